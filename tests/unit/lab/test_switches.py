# Copyright (c) 2026 weft.fabric contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The lab's switch: its definition and cables, its factory's configuration, and what its bridge makes of running."""

from __future__ import annotations

import copy
import re
import socket
import subprocess
import sys
import threading
import zipfile
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import lldp
import netconfd_link
import pytest
import switch_bridge
import yaml

from ansible_collections.weft.fabric.plugins.module_utils import lldp_frames
from weft_lab import access, models, network, switches
from weft_lab.definition import Lab, load, parse
from weft_lab.system import LabError

ROOT = Path(__file__).resolve().parents[3]
EXAMPLE = ROOT / "examples" / "switches" / "lab.yml"
DOCUMENT: dict[str, Any] = yaml.safe_load(EXAMPLE.read_text(encoding="utf-8"))


@pytest.fixture(name="lab")
def example_lab() -> Lab:
    return load(EXAMPLE)


def changed(**ports: Any) -> dict[str, Any]:
    document = copy.deepcopy(DOCUMENT)
    document["switches"]["leaf1"]["ports"].update(ports)
    return document


class TestDefinition:
    def test_all_but_the_switch_and_the_rack_is_the_lab_of_the_other_scenarios(self, lab: Lab) -> None:
        usual = load(ROOT / "examples" / "lab.yml")
        assert lab.networks == usual.networks
        # So that a lab that is up can get a switch and lose it again while its hosts run.
        assert lab.hosts[: len(usual.hosts)] == usual.hosts
        assert [host.name for host in lab.hosts[len(usual.hosts) :]] == ["rack1", "leaf1"]

    def test_a_switch_has_the_management_network_and_its_ports(self, lab: Lab) -> None:
        leaf1 = lab.host("leaf1")
        assert leaf1.nics[0].addresses == ("192.0.2.20/24",)
        assert [nic.name for nic in leaf1.nics[1:]] == [f"Ethernet{n}" for n in (1, 2, 3, 4, 5, 6, 7, 49)]
        assert max(len(nic.far_end) for nic in leaf1.nics) <= 15

    def test_a_host_gets_the_nics_that_a_switch_is_wired_to(self, lab: Lab) -> None:
        assert [nic.name for nic in lab.host("rack1").nics] == [f"eth{n}" for n in range(8)]
        macs = [value for host in lab.hosts for nic in host.nics for value in (nic.mac, nic.far_mac)]
        assert len(set(macs)) == len(macs)

    def test_cables_lead_to_the_switch_while_there_is_one(self, lab: Lab) -> None:
        usual = load(ROOT / "examples" / "lab.yml")
        cmp1, leaf1 = lab.host("cmp1"), lab.host("leaf1")
        assert usual.bridge_of(cmp1, cmp1.nic("eth2")) == "external"
        assert lab.bridge_of(cmp1, cmp1.nic("eth2")) == lab.bridge_of(leaf1, leaf1.nic("Ethernet1")) == "leaf1-w1"
        assert lab.bridge_of(cmp1, cmp1.nic("eth1")) == "underlay"
        assert lab.bridge_of(leaf1, leaf1.nic("Ethernet49")) == "external"

    def test_a_cable_passes_what_a_bridge_would_keep(self, lab: Lab) -> None:
        lines = network.cable_lines(lab, lab.host("rack1"), set())
        assert "link set rack1-eth6 type bridge_slave group_fwd_mask 65533" in lines
        assert not [line for line in lines if "rack1-eth2 type bridge_slave" in line]

    @pytest.mark.parametrize(
        ("document", "words"),
        [
            (changed(Ethernet8={"host": "rack1"}), "wired to a host and its nic, or to a network"),
            (changed(Ethernet8={"network": "moon"}), "there is no network 'moon'"),
            (changed(Ethernet8={"host": "rack1", "nic": "eth3"}), "cable used twice: rack1 eth3"),
            (changed(swp8={"network": "external"}), "must look like Ethernet"),
        ],
    )
    def test_mistakes_are_told(self, document: dict[str, Any], words: str) -> None:
        with pytest.raises(LabError, match=re.escape(words)):
            parse(document)

    @pytest.mark.parametrize(("key", "value"), [("number", 0), ("netconf_port", 830), ("netconf_port", None)])
    def test_numbers_have_bounds(self, key: str, value: Any) -> None:
        document = copy.deepcopy(DOCUMENT)
        document["switches"]["leaf1"][key] = value
        with pytest.raises(LabError, match=f"switches.leaf1.{key}"):
            parse(document)

    def test_its_shell_does_not_bear_the_name_that_a_topology_gives_it(self, lab: Lab) -> None:
        found: dict[str, Any] = access.inventory(lab)
        assert "leaf1" not in found["weft_lab"]["hosts"]
        assert found["weft_lab_switches"]["hosts"] == {"leaf1-shell": {"ansible_host": "192.0.2.20"}}
        assert list(access.inventory(load(ROOT / "examples" / "lab.yml"))) == ["weft_lab"]


class TestFactory:
    def test_its_configuration_carries_nothing_but_the_uplink(self, lab: Lab) -> None:
        switch = lab.host("leaf1").switch
        assert switch is not None
        running = ElementTree.fromstring(switches.startup(switch).encode())
        ports, up = switch_bridge.wanted(running, {plug.port: plug.port for plug in switch.plugs})
        carrying = {name for name, columns in ports.items() if columns["trunks"] != [switch_bridge.NOWHERE]}
        assert carrying == {"Ethernet49"}
        assert set(up.values()) == {True}

    def test_models_come_out_of_the_package_and_nothing_else(self, tmp_path: Path) -> None:
        wheel = tmp_path / "package.whl"
        with zipfile.ZipFile(wheel, "w") as archive:
            for name in (*models.MODELS, "openconfig-bgp"):
                archive.writestr(f"{models.INSIDE}/{name}.yang", name)
            archive.writestr("yang/ncdiff/__init__.py", "raise SystemExit")
        models.unpack(wheel, tmp_path / "models")
        assert {path.stem for path in (tmp_path / "models").iterdir()} == set(models.MODELS)

    def test_every_loaded_model_is_fetched_or_the_labs_own(self) -> None:
        own = {path.stem for path in (switches.FILES / "yang").glob("*.yang")}
        assert set(models.LOADED) <= own | set(models.MODELS)
        assert not own & set(models.MODELS)

    def test_what_is_cached_is_not_fetched_again(self, tmp_path: Path) -> None:
        models.path_of(tmp_path).mkdir(parents=True)
        assert models.ensure(cache=tmp_path) == (models.path_of(tmp_path), False)


def running(*interfaces: str, vlans: tuple[int, ...] = (), lacp: str = "") -> ElementTree.Element:
    database = "".join(f"<vlan><vlan-id>{n}</vlan-id><config><vlan-id>{n}</vlan-id></config></vlan>" for n in vlans)
    names = switch_bridge.NAMES
    return ElementTree.fromstring(
        f'<data xmlns="{names["nc"]}"><interfaces xmlns="{names["oc"]}">{"".join(interfaces)}</interfaces>'
        f'<network-instances xmlns="{names["ni"]}"><network-instance><vlans>{database}</vlans></network-instance>'
        f"</network-instances>{lacp}</data>"
    )


def interface(name: str, leaves: str = "", inside: str = "ethernet", more: str = "", enabled: str = "true") -> str:
    space = switch_bridge.NAMES["eth" if inside == "ethernet" else "lag"]
    vlans = f'<switched-vlan xmlns="{switch_bridge.NAMES["vlan"]}"><config>{leaves}</config></switched-vlan>'
    return (
        f"<interface><name>{name}</name><config><enabled>{enabled}</enabled></config>"
        f'<{inside} xmlns="{space}">{more}{vlans if leaves else ""}</{inside}></interface>'
    )


ACCESS = "<interface-mode>ACCESS</interface-mode><access-vlan>120</access-vlan>"
TRUNK = "<interface-mode>TRUNK</interface-mode><native-vlan>100</native-vlan><trunk-vlans>110..112</trunk-vlans>"
OPEN = "<interface-mode>TRUNK</interface-mode>"


class TestBridge:
    @pytest.mark.parametrize(
        ("leaves", "database", "columns"),
        [
            (ACCESS, (120,), {"vlan_mode": "access", "tag": 120, "trunks": []}),
            (ACCESS, (121,), {"vlan_mode": "trunk", "tag": [], "trunks": [4095]}),
            (TRUNK, (100, 110, 112, 120), {"vlan_mode": "native-untagged", "tag": 100, "trunks": [100, 110, 112]}),
            (TRUNK, (111,), {"vlan_mode": "trunk", "tag": [], "trunks": [111]}),
            (OPEN, (1, 110), {"vlan_mode": "trunk", "tag": [], "trunks": [1, 110]}),
            (OPEN, (), {"vlan_mode": "trunk", "tag": [], "trunks": [4095]}),
            ("", (1,), {"vlan_mode": "trunk", "tag": [], "trunks": [4095]}),
        ],
    )
    def test_a_port_is_in_those_of_its_vlans_that_there_are(
        self, leaves: str, database: tuple[int, ...], columns: dict[str, Any]
    ) -> None:
        found, _up = switch_bridge.wanted(
            running(interface("Ethernet1", leaves), vlans=database), {"Ethernet1": "Ethernet1"}
        )
        assert {name: found["Ethernet1"][name] for name in columns} == columns

    def test_members_are_one_port(self) -> None:
        spaces = switch_bridge.NAMES
        member = f'<config><aggregate-id xmlns="{spaces["lag"]}">Port-Channel1</aggregate-id></config>'
        aggregate = interface("Port-Channel1", ACCESS, "aggregation", "<config><lag-type>LACP</lag-type></config>")
        lacp = (
            f'<lacp xmlns="{spaces["lacp"]}"><interfaces><interface><name>Port-Channel1</name><config>'
            "<interval>FAST</interval><lacp-mode>PASSIVE</lacp-mode></config></interface></interfaces></lacp>"
        )
        entries = [interface(name, more=member) for name in ("Ethernet5", "Ethernet6")]
        cables = {"Ethernet5": "Ethernet5", "Ethernet6": "Ethernet6"}
        found, _up = switch_bridge.wanted(running(*entries, aggregate, vlans=(120,), lacp=lacp), cables)
        assert list(found) == ["Port-Channel1"]
        port = found["Port-Channel1"]
        assert port["interfaces"] == ["Ethernet5", "Ethernet6"]
        assert (port["tag"], port["lacp"], port["lacp-time"], port["bond_mode"]) == (
            120,
            "passive",
            "fast",
            "balance-tcp",
        )

    def test_a_shut_port_is_down(self) -> None:
        _ports, up = switch_bridge.wanted(
            running(interface("Ethernet1", enabled="false")), {"Ethernet1": "Ethernet1", "Ethernet2": "Ethernet2"}
        )
        assert up == {"Ethernet1": False, "Ethernet2": True}

    def test_it_says_by_lldp_who_it_is_where_it_may(self) -> None:
        told = lldp.frame("leaf1", b"\x02W\x46\0\0\x14", "Ethernet10", b"\x02W\x46\0\0\x15")
        heard = lldp_frames.parse(told)
        assert heard is not None
        assert (heard["system_name"], heard["port_id"], heard["port_id_type"]) == (
            "leaf1",
            "Ethernet10",
            "interface_name",
        )
        assert (heard["chassis_id"], heard["source"], heard["ttl"]) == ("02:57:46:00:00:14", "02:57:46:00:00:15", 120)
        quiet = (
            f'<lldp xmlns="{switch_bridge.NAMES["lldp"]}"><interfaces><interface><name>Ethernet2</name><config>'
            "<name>Ethernet2</name><enabled>false</enabled></config></interface></interfaces></lldp>"
        )
        cables = {name: name for name in ("Ethernet1", "Ethernet2", "Ethernet3")}
        entries = running(interface("Ethernet3", enabled="false"), lacp=quiet)
        _ports, up = switch_bridge.wanted(entries, cables)
        assert switch_bridge.speaking(entries, cables, up) == {"Ethernet1": "Ethernet1"}


class TestWays:
    def test_messages_are_cut_where_they_end_however_they_come(self) -> None:
        newer = b"<hello>urn:ietf:params:netconf:base:1.1</hello>]]>]]>"
        parts = [newer, b"\n#5\n<rpc>\n#3\nabc\n##\n", b"\n#4\n<a/>\n##\n"]
        whole = b"".join(parts)
        for step in (1, 3, len(whole)):
            splitter = netconfd_link.Splitter()
            pieces = [whole[at : at + step] for at in range(0, len(whole), step)]
            assert [message for piece in pieces for message in splitter.messages(piece)] == parts

    def test_an_older_client_marks_ends(self) -> None:
        splitter = netconfd_link.Splitter()
        assert list(splitter.messages(b"<hello/>]]>]]><rpc/>]]>]]><r")) == [b"<hello/>]]>]]>", b"<rpc/>]]>]]>"]

    def test_a_message_waits_until_the_one_before_is_taken(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        path = tmp_path / "socket"
        monkeypatch.setattr(netconfd_link, "SOCKET", str(path))
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(str(path))
            listener.listen()
            read: list[bytes] = []

            def serve() -> None:
                connection, _address = listener.accept()
                while data := connection.recv(65536):
                    read.append(data)

            server = threading.Thread(target=serve)
            server.start()
            link = netconfd_link.Link("root", "192.0.2.1")
            for number in range(50):
                link.send(b"message %d" % number)
            link.socket.close()
            server.join(10)
        assert b'user="root" address="192.0.2.1"' in read[0]
        assert read[1:] == [b"message %d" % number for number in range(50)]

    def test_connections_are_carried_both_ways(self) -> None:
        with (
            socket.create_server(("127.0.0.1", 0)) as server,
            socket.create_server(("127.0.0.1", 0)) as listener,
            subprocess.Popen(
                [sys.executable, switches.RELAY, str(listener.fileno()), "127.0.0.1", str(server.getsockname()[1])],
                pass_fds=[listener.fileno()],
            ) as relay,
        ):
            with socket.create_connection(listener.getsockname(), timeout=10) as client:
                far, _address = server.accept()
                with far:
                    client.sendall(b"there")
                    assert far.recv(10) == b"there"
                    far.sendall(b"and back")
                    far.shutdown(socket.SHUT_WR)
                    assert client.recv(10) == b"and back"
                    assert client.recv(10) == b""
            relay.terminate()
