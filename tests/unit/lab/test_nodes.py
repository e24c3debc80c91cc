# Copyright (c) 2026 weft.fabric contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Nodes in a lab definition, the command lines and cables that come of it, and the tiny image's parts."""

from __future__ import annotations

import copy
import io
import json
import re
import struct
from pathlib import Path
from typing import Any

import pytest
import yaml

from weft_lab import accelerator, bmcs, image, limits, network, nodes, system, tiny_image
from weft_lab.definition import IMAGES, Lab, load, parse
from weft_lab.system import LabError

ROOT = Path(__file__).resolve().parents[3]
EXAMPLE = ROOT / "examples/bare-metal/lab.yml"
DOCUMENT: dict[str, Any] = yaml.safe_load(EXAMPLE.read_text(encoding="utf-8"))


@pytest.fixture(name="lab")
def example_lab() -> Lab:
    return load(EXAMPLE)


def changed(node: str = "n1", **keys: Any) -> dict[str, Any]:
    document = copy.deepcopy(DOCUMENT)
    document["nodes"][node].update(keys)
    return document


class TestDefinition:
    def test_all_but_the_nodes_is_the_lab_with_the_switch(self, lab: Lab) -> None:
        usual = load(ROOT / "examples/switches/lab.yml")
        assert lab.networks == usual.networks
        assert [host for host in lab.hosts if not host.switch] == [host for host in usual.hosts if not host.switch]
        assert [node.name for node in lab.nodes] == ["n1", "n2"]
        assert lab.images == ("tiny",)

    def test_a_node_is_wired_to_a_port_of_the_switch(self, lab: Lab) -> None:
        leaf1, n1 = lab.host("leaf1"), lab.node("n1")
        assert [nic.name for nic in leaf1.nics[-2:]] == ["Ethernet10", "Ethernet11"]
        assert lab.tap_bridge(n1, "n1-nic0") == lab.bridge_of(leaf1, leaf1.nic("Ethernet10")) == "leaf1-w10"
        assert "leaf1-w10" in lab.wires
        lines = network.tap_lines(lab, n1)
        assert lines[0] == "tuntap add dev n1-nic0 mode tap"
        assert "link set n1-nic0 master leaf1-w10 up" in lines
        assert "link set n1-nic0 type bridge_slave group_fwd_mask 65533" in lines

    def test_macs_are_of_nobody_else_and_can_be_given(self, lab: Lab) -> None:
        document = changed()
        del document["nodes"]["n1"]["nics"]["nic0"]["mac_address"]
        made = parse(document)
        # What the example says is what it would be anyhow, for a topology to have it too.
        assert made.nodes == lab.nodes
        macs = [mac for host in made.hosts for nic in host.nics for mac in (nic.mac, nic.far_mac)]
        macs += [mac for node in made.nodes for nic in node.nics for mac in (nic.mac, nic.tap_mac)]
        assert len(set(macs)) == len(macs)
        document["nodes"]["n1"]["nics"]["nic0"]["mac_address"] = "52:54:00:77:66:01"
        assert parse(document).node("n1").nics[0].mac == "52:54:00:77:66:01"

    @pytest.mark.parametrize(
        ("document", "words"),
        [
            (changed(boot_mode="efi"), "nodes.n1.boot_mode: 'efi' is none of bios, uefi"),
            (changed(bmc={"protocol": "ipmi", "port": 623}), "nodes.n1.bmc.port: 623 is not a number from 1024"),
            (changed(bmc={"protocol": "telnet", "port": 9001}), "'telnet' is none of ipmi, redfish"),
            (changed(bmc={"protocol": "ipmi", "port": 9002}), "port of 127.0.0.1 used twice: 9002"),
            (changed(bmc={"protocol": "ipmi", "port": 8830}), "port of 127.0.0.1 used twice: 8830"),
            (changed(memory=64), "nodes.n1.memory: 64 is not a number from 256"),
            (changed(disks=[]), "nodes.n1.disks must be a list of 1 to 8 disks"),
            (changed(disks=[{"size": "2G", "serial": "a"}]), "nodes.n1.disks[0].size: '2G' must look like"),
            (changed(disks=[{"size": "2 GiB", "serial": "a,readonly=on"}]), "nodes.n1.disks[0].serial"),
            (changed(disks=[{"size": "2 GiB", "serial": "a"}] * 2), "nodes.n1: serial used twice: a"),
            (changed(nics={}), "nodes.n1.nics: 0 NICs"),
            (changed(nics={"nic0": {"switch": "leaf1"}}), "wired to a switch and its port, or to a network"),
            (changed(nics={"nic0": {"switch": "leaf9", "port": "Ethernet9"}}), "there is no switch 'leaf9'"),
            (changed(nics={"nic0": {"switch": "leaf1", "port": "Ethernet1"}}), "port number used twice: 1"),
            (changed(nics={"nic0": {"network": "lan", "mac_address": "53:54:00:77:66:01"}}), "nic0.mac_address: '53:"),
            (changed(nics={"nic0": {"network": "moon"}}), "there is no network 'moon'"),
            (changed(number=2), "node number used twice: 2"),
            ({**DOCUMENT, "images": ["huge"]}, "images: 'huge' is none of tiny, cloud"),
            ({**DOCUMENT, "nodes": {"leaf1": DOCUMENT["nodes"]["n1"]}}, "host name used twice: leaf1"),
        ],
    )
    def test_mistakes_are_told(self, document: dict[str, Any], words: str) -> None:
        with pytest.raises(LabError, match=re.escape(words)):
            parse(document)

    def test_what_is_missing_on_the_machine_is_named_by_package(
        self, lab: Lab, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(nodes, "TOOLS", {"no-such-qemu": "qemu-system-x86"})
        monkeypatch.setattr(nodes, "FILES", {Path("/no/such/firmware"): "ovmf"})
        with pytest.raises(LabError, match="apt-get install ovmf qemu-system-x86"):
            nodes.require_tools(lab)
        nodes.require_tools(load(ROOT / "examples/switches/lab.yml"))


class TestMachine:
    def test_its_nics_leave_no_checksum_to_others(self, lab: Lab) -> None:
        words = nodes.machine_words(lab, lab.node("n1"), accelerator.SOFTWARE)
        assert "tap,id=nic0-cable,ifname=n1-nic0,script=no,downscript=no,vnet_hdr=off" in words
        assert words[:2] == ["nsenter", "--net=/run/netns/weft-fabric"]

    def test_a_uefi_node_has_variables_of_its_own_and_boots_by_its_firmware_only(self, lab: Lab) -> None:
        bios, uefi = (" ".join(nodes.machine_words(lab, one, accelerator.SOFTWARE)) for one in lab.nodes)
        assert "pflash" not in bios
        assert "if=pflash,unit=1,format=raw,file=/var/lib/weft-lab/nodes/n2/variables.fd" in uefi
        told = nodes.settings(lab, lab.node("n2"), ())
        assert told["nics"] == {"nic0": "virtio-net-pci,id=nic0,netdev=nic0-cable,mac=02:57:46:a0:01:02,romfile="}
        assert told["disks"] == {"disk0": "nvme,id=disk0,drive=disk0-file,serial=weft-n2-a"}
        assert not nodes.settings(lab, lab.node("n1"), ())["nics"]["nic0"].endswith("romfile=")

    def test_a_password_is_in_no_command_line(self, lab: Lab) -> None:
        for node in lab.nodes:
            assert not [word for word in bmcs.command(lab, node) if "password" in word.lower()]

    def test_nodes_that_come_up_together_write_nothing_twice(
        self, lab: Lab, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """They share programs and a password: written by each, one takes the other's file away, or its password."""
        written: list[Path] = []

        def write_file(path: Path, text: str, mode: int = 0o644) -> bool:
            written.append(path)
            return system.write_file(path, text, mode)

        monkeypatch.setattr(Lab, "state", property(lambda _lab: tmp_path / "run"))
        monkeypatch.setattr(Lab, "disks", property(lambda _lab: tmp_path / "disks"))
        monkeypatch.setattr(nodes, "VARIABLES", tmp_path / "variables")
        (tmp_path / "variables").touch()
        for module in (nodes, bmcs):
            monkeypatch.setattr(module, "write_file", write_file)
        for verb in ("start", "stop"):
            monkeypatch.setattr(bmcs, verb, lambda _lab, _node: None)
        nodes.ensure_all(lab, ["-accel", "tcg"])
        assert len(set(written)) == len(written)
        password = bmcs.password_file(lab).read_text(encoding="utf-8")
        for node in lab.nodes:
            settings = bmcs.home(lab, node) / ("lan.conf" if node.bmc.protocol == "ipmi" else "redfish.json")
            assert f'"{password}"' in settings.read_text(encoding="utf-8"), node.name

    def test_kvm_is_not_trusted_because_it_is_there(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        asked = []

        def probe(kernel: Path, _initrd: Path) -> bool:
            asked.append(kernel)
            return False

        monkeypatch.setattr(accelerator, "DEVICE", Path("/dev/null"))
        monkeypatch.setattr(accelerator, "probe", probe)
        assert accelerator.words(tmp_path) == accelerator.SOFTWARE
        assert asked == [], "there is no kernel to try it with"
        for name in ("tiny.vmlinuz", "tiny.initrd"):
            (tmp_path / name).write_text("", encoding="utf-8")
        assert accelerator.words(tmp_path) == accelerator.SOFTWARE
        assert accelerator.words(tmp_path) == accelerator.SOFTWARE
        assert len(asked) == 1, "the answer is kept"
        monkeypatch.setattr(accelerator, "probe", lambda *_files: True)
        (tmp_path / "tiny.vmlinuz").write_text("another kernel", encoding="utf-8")
        assert accelerator.words(tmp_path) == accelerator.KVM


class TestLimits:
    def test_they_are_raised_for_nodes_and_put_back(
        self, lab: Lab, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        room, inotify = tmp_path / "rmem_default", tmp_path / "max_user_instances"
        room.write_text("212992\n", encoding="utf-8")
        inotify.write_text("8192\n", encoding="utf-8")
        monkeypatch.setattr(limits, "SOCKET_ROOM", room)
        monkeypatch.setattr(limits, "INOTIFY", inotify)
        assert limits.raise_all(load(ROOT / "examples/lab.yml"), {}) == {}
        raised = limits.raise_all(lab, {})
        assert raised == {str(room): [212992, 8 << 20]}
        assert limits.value(room) == 8 << 20
        # The second time there is nothing to do, and what stood there first is not forgotten.
        assert limits.raise_all(lab, raised) == raised
        limits.put_back(raised)
        assert limits.value(room) == 212992
        room.write_text("77", encoding="utf-8")
        limits.put_back(raised)
        assert limits.value(room) == 77, "somebody else's"


class TestImage:
    def test_the_first_stages_find_each_other(self) -> None:
        disk, core = io.BytesIO(b"\0" * 512 + b"table"), b"c" * 1000
        disk.write(b"\0" * 440 + b"id  " + b"\0" * 66 + b"\x55\xaa")
        tiny_image.embed(b"b" * 512, core, disk)
        data = disk.getvalue()
        assert struct.unpack_from("<Q", data, 0x5C) == (2048,)
        assert data[0x66:0x68] == b"\x90\x90"
        # What is not code is the disk's own.
        assert data[440:444] == b"id  "
        assert data[510:512] == b"\x55\xaa"
        assert struct.unpack_from("<Q", data, 2048 * 512 + 500) == (2049,)
        assert data[2048 * 512 + 508 :] == core[508:]

    def test_too_large_a_first_stage_is_told(self) -> None:
        with pytest.raises(LabError, match="too many for its partition"):
            tiny_image.embed(b"", b"c" * (2 << 20), io.BytesIO())

    def test_it_is_built_again_when_what_it_is_made_of_changes(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        assert not tiny_image.current(tmp_path)
        assert tiny_image.ensure(cache=tmp_path, check=True) == (tmp_path / "tiny.raw.zst", True)
        (tmp_path / "tiny.raw.zst").write_text("", encoding="utf-8")
        (tmp_path / "tiny.json").write_text(json.dumps({"recipe": tiny_image.recipe_id()}), encoding="utf-8")
        assert tiny_image.ensure(cache=tmp_path) == (tmp_path / "tiny.raw.zst", False)
        files = tmp_path / "files"
        files.mkdir()
        (files / "start").write_text("something else", encoding="utf-8")
        monkeypatch.setattr(tiny_image, "FILES", files)
        assert not tiny_image.current(tmp_path)

    def test_every_image_that_a_definition_may_name_can_be_built(self, tmp_path: Path) -> None:
        assert tuple(image.BUILT) == IMAGES
        for name, builder in image.BUILT.items():
            assert builder.ensure(cache=tmp_path, check=True) == (tmp_path / f"{name}.raw.zst", True)
