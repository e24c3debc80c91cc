# Copyright (c) 2026 weft.fabric contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What nodes boot: who gets which file, what is in it, and who else can know."""

from __future__ import annotations

import json
import os
import re
import shutil
import socket
import stat
import subprocess
import typing as t
from pathlib import Path

import pytest

from ansible_collections.weft.fabric.plugins.module_utils import netboot_identity, netboot_log, netboot_store
from ansible_collections.weft.fabric.plugins.module_utils.netboot_files_info import describe
from ansible_collections.weft.fabric.plugins.module_utils.reconcile import FabricError
from ansible_collections.weft.fabric.tests.unit.netboot.machine import (
    ADDRESSES,
    MACS,
    NAME,
    ROOT,
    SERVER,
    BootNet,
    boot,
    node,
    script,
)

Item = dict[str, t.Any]

VOLUME = {
    "portal": "10.66.100.5",
    "target": "iqn.2016-01.example:db-1",
    "initiator": "iqn.2016-01.example:n1",
    "lun": 17,
}


class Killed(BaseException):
    """Stands for the end of the process."""


def identity_url(served: BootNet, name: str = "n1") -> str:
    return f"/deployments/{served.info(name)['deployment']}/identity.cpio"


def unpack(archive: bytes, directory: Path) -> dict[str, tuple[int, bytes | None]]:
    """Let cpio unpack an archive. Return mode and content of all that is in it, in order."""
    directory.mkdir()
    subprocess.run(["cpio", "-idm", "--quiet"], input=archive, cwd=directory, check=True)
    listed = subprocess.run(["cpio", "-t", "--quiet"], input=archive, capture_output=True, check=True).stdout.decode()
    found: dict[str, tuple[int, bytes | None]] = {}
    for name in listed.splitlines():
        path = directory / name
        found[name] = (stat.S_IMODE(path.stat().st_mode), path.read_bytes() if path.is_file() else None)
    return found


# What a node gets


def test_a_ramdisk(served: BootNet, tmp_path: Path) -> None:
    item = boot("ramdisk", kernel_arguments=["console=ttyS0,115200n8", "weft.timeout=600"])
    predicted = served.boot(item, check_mode=True)
    assert served.get("n1", script()).status == 404
    assert predicted["nodes"][0]["private_key"] is None
    made = served.boot(item)
    assert made["changes"] == ["make keys and an identity for node n1", "let node n1 boot the ramdisk"]
    assert predicted["changes"] == made["changes"]
    assert served.systemd.calls == [], "no daemon need be told"
    found = made["nodes"][0]
    lines = served.get("n1", script()).text.splitlines()
    assert lines[0] == "#!ipxe"
    kernel = next(line for line in lines if line.startswith("kernel "))
    assert kernel.split(" && ")[0].split() == [
        "kernel",
        "--name",
        "vmlinuz",
        "${base}/ramdisk/vmlinuz",
        "initrd=identity.cpio",
        "initrd=initrd",
        "BOOTIF=01-52-54-00-00-00-01",
        "console=ttyS0,115200n8",
        "weft.timeout=600",
    ]
    assert f"set base {found['url']}" in lines
    assert f"initrd --name identity.cpio ${{base}}{identity_url(served)}" in "\n".join(lines)
    answer = served.get("n1", identity_url(served))
    assert len(answer.body) % 512 == 0
    content = unpack(answer.body, tmp_path / "identity")
    assert {name: mode for name, (mode, _data) in content.items()} == {
        "etc": 0o755,
        "etc/ssh": 0o755,
        "etc/ssh/ssh_host_ed25519_key": 0o600,
        "etc/weft": 0o755,
        "etc/weft/node.json": 0o600,
        "root": 0o700,
        "root/.ssh": 0o700,
        "root/.ssh/authorized_keys": 0o600,
    }
    assert json.loads(content["etc/weft/node.json"][1] or b"") == {
        "node": "n1",
        "deployment": found["deployment"],
        "address": ADDRESSES["n1"],
        "boot_mac": MACS["n1"],
    }
    assert public_key(content["etc/ssh/ssh_host_ed25519_key"][1] or b"", tmp_path) == found["host_key"]
    authorized = (content["root/.ssh/authorized_keys"][1] or b"").decode().strip()
    assert public_key(found["private_key"].encode(), tmp_path) == authorized
    assert authorized != found["host_key"]
    for check_mode in (True, False):
        again = served.boot(item, check_mode=check_mode)
        assert (again["changes"], again["nodes"][0]["private_key"]) == ([], found["private_key"])


def public_key(private: bytes, directory: Path) -> str:
    path = directory / "key"
    path.write_bytes(private)
    path.chmod(0o600)
    return subprocess.run(["ssh-keygen", "-y", "-f", path], capture_output=True, text=True, check=True).stdout.strip()


def test_each_nic_has_a_script_of_its_own(net: BootNet) -> None:
    second = "52:54:00:00:01:01"
    macs = {"mac_addresses": [MACS["n1"], second]}
    net.run(net.server(nodes=[node("n1", **macs)]))
    net.boot(boot("ramdisk", **macs))
    for mac in macs["mac_addresses"]:
        hyphens = mac.replace(":", "-")
        assert f"BOOTIF=01-{hyphens} " in net.get("n1", f"/nodes/{hyphens}.ipxe").text
    assert net.boot(boot("ramdisk"))["changes"] == [
        "note that node n1 boots the ramdisk",
        "remove the boot file of 52:54:00:00:01:01 at 10.66.100.11, which is not node n1's any more",
    ]
    assert net.get("n1", "/nodes/52-54-00-00-01-01.ipxe").status == 404
    assert net.get("n1", script()).status == 200


def test_from_the_ramdisk_to_the_disk(served: BootNet) -> None:
    served.boot(boot("ramdisk"))
    url = identity_url(served)
    assert served.get("n1", url).status == 200
    predicted = served.boot(boot("local"), check_mode=True)
    assert served.get("n1", url).status == 200
    result = served.boot(boot("local"))
    assert result["changes"] == ["let node n1 boot its disk", "remove former keys of node n1"]
    assert predicted["changes"] == result["changes"]
    assert served.get("n1", url).status == 404
    text = served.get("n1", script()).text
    assert "sanboot --no-describe --drive 0x80" in text
    assert "exit 1" in text
    assert "kernel" not in text
    assert keys_of(served) == []
    assert result["nodes"][0] == {
        **result["nodes"][0],
        "boot": "local",
        "deployment": None,
        "private_key": None,
        "host_key": None,
        "identity_fetches": 0,
    }
    assert not served.boot(boot("local"))["changed"]


def keys_of(served: BootNet, name: str = "n1") -> list[str]:
    return [entry for entry in os.listdir(served.paths.join("keys", name)) if entry != "record.json"]


def test_a_volume(served: BootNet) -> None:
    secrets = {"username": "n1", "password": 'a b"${net0/mac}\\#'}
    result = served.boot(boot("iscsi", iscsi={**VOLUME, **secrets}))
    assert result["changes"] == ["let node n1 boot its volume"]
    text = served.get("n1", script()).text
    assert "set initiator-iqn iqn.2016-01.example:n1\n" in text
    assert "sanboot iscsi:10.66.100.5::3260:11:iqn.2016-01.example:db-1 ||" in text
    words = next(line for line in text.splitlines() if line.startswith("set password:hex ")).split()
    assert bytes.fromhex(words[2].replace(":", "")).decode() == secrets["password"]
    assert "${net0" not in text
    assert served.get("n2", script()).status == 403
    assert "password" not in served.info()["iscsi"]
    assert served.info(secrets=True)["iscsi"]["password"] == secrets["password"]
    assert secrets["password"] not in json.dumps(result["diff"])
    assert not served.boot(boot("iscsi", iscsi={**VOLUME, **secrets}))["changed"]
    # Without CHAP no line is left over.
    served.boot(boot("iscsi", iscsi=VOLUME))
    assert "set password" not in served.get("n1", script()).text
    served.boot(boot("local"))
    assert "set password" not in Path(served.paths.join("keys", "n1", "record.json")).read_text()


def test_absent(served: BootNet) -> None:
    served.boot(boot("ramdisk"), boot("local", "n2"))
    predicted = served.boot({"name": "n1", "boot": "absent"}, check_mode=True)
    result = served.boot({"name": "n1", "boot": "absent"})
    assert result["changes"] == predicted["changes"] == ["remove the boot files of node n1"]
    assert result["nodes"][0]["boot"] == "absent"
    assert served.get("n1", script()).status == 404
    assert os.listdir(served.paths.join("http", "deployments")) == []
    assert os.listdir(served.paths.join("keys")) == ["n2"]
    assert served.get("n2", script("n2")).status == 200, "the other stays as it is"
    assert not served.boot({"name": "n1", "boot": "absent"})["changed"]


def test_new_keys_when_asked(served: BootNet) -> None:
    before = served.boot(boot("ramdisk"))["nodes"][0]
    url = identity_url(served)
    predicted = served.boot(boot("ramdisk", renew=True), check_mode=True)
    assert predicted["nodes"][0]["private_key"] is None
    result = served.boot(boot("ramdisk", renew=True))
    assert result["changes"] == predicted["changes"]
    after = result["nodes"][0]
    assert {key for key in ("deployment", "private_key", "host_key") if before[key] == after[key]} == set()
    assert served.get("n1", url).status == 404
    assert served.get("n1", identity_url(served)).status == 200
    assert keys_of(served) == [after["deployment"]]
    # A deployment that comes after another boot has new keys anyway.
    served.boot(boot("local"))
    assert served.boot(boot("ramdisk"))["nodes"][0]["deployment"] not in (before["deployment"], after["deployment"])


# Who else gets it


def test_a_node_gets_its_own_and_nobody_else_does(net: BootNet) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as syslog:
        syslog.bind(str(ROOT / "syslog"))
        (ROOT / "syslog").chmod(0o666)
        syslog.settimeout(5)
        net.run(net.server())
        net.boot(boot("ramdisk"), boot("ramdisk", "n2"))
        for name, other in (("n1", "n2"), ("n2", "n1")):
            assert net.get(name, script(name)).status == 200
            assert net.get(name, identity_url(net, name)).status == 200
            for url in (script(name), identity_url(net, name)):
                for thief in (other, "stranger"):
                    assert net.get(thief, url).status == 403
                    assert f'refused {ADDRESSES[thief]} "GET {url} HTTP/1.1": 403' in syslog.recv(2000).decode()
    assert net.get("n1", "/deployments/" + "0" * 32 + "/identity.cpio").status == 404
    assert net.get("n1", "/deployments/").status in (403, 404)


def test_what_is_fetched_is_counted(served: BootNet) -> None:
    served.boot(boot("ramdisk"), boot("ramdisk", "n2"))
    assert served.info()["fetches"] == []
    for url in ("/boot.ipxe", script(), "/ramdisk/vmlinuz", identity_url(served), "/ramdisk/initrd"):
        served.get("n1", url)
    files = [fetch["file"] for fetch in served.info()["fetches"]]
    identity = "identity.cpio"
    assert files == ["boot.ipxe", script().lstrip("/"), "ramdisk/vmlinuz", identity, "ramdisk/initrd"]
    found = served.info()
    assert found["identity_fetches"] == 1
    assert {fetch["address"] for fetch in found["fetches"]} == {ADDRESSES["n1"]}
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d[+-]\d\d:\d\d", found["fetches"][0]["time"])
    # What was refused does not count, nor what only looks, nor what the other node does.
    served.get("n2", identity_url(served))
    served.get("stranger", identity_url(served))
    served.get("n1", identity_url(served), "HEAD")
    served.get("n2", identity_url(served, "n2"))
    assert served.info()["identity_fetches"] == 1
    assert served.info("n2")["identity_fetches"] == 1
    # Somebody who took the node's address has it as well, or a part of it that is enough.
    for number, url in enumerate((identity_url(served), "/" + identity_url(served).replace("/", "//") + "?x"), 2):
        assert served.get("n1", url, Range="bytes=100-900").status == 206
        assert served.info()["identity_fetches"] == number
    assert served.boot(boot("ramdisk"))["nodes"][0]["identity_fetches"] == 3
    served.boot(boot("ramdisk", renew=True))
    assert served.info()["identity_fetches"] == 0


def test_an_identity_is_served_again_although_nothing_has_changed(served: BootNet) -> None:
    """No answer of "not modified": it would not be counted, and a firmware keeps nothing anyway."""
    served.boot(boot("ramdisk"))
    headers = served.get("n1", identity_url(served)).headers
    assert "ETag" not in headers
    again = served.get("n1", identity_url(served), If_Modified_Since=headers["Last-Modified"])
    assert again.status == 200


def test_a_log_that_has_become_large_makes_way(served: BootNet, monkeypatch: pytest.MonkeyPatch) -> None:
    served.boot(boot("ramdisk"))
    served.get("n1", identity_url(served))
    monkeypatch.setattr(netboot_log, "LIMIT", 10)
    with served.reloading():
        served.boot(boot("local", "n2"))
    assert served.systemd.calls == [("reload", served.http)]
    served.boot(boot("ramdisk", "n2"))
    assert served.systemd.calls == [], "the new one is empty"
    assert served.info()["identity_fetches"] == 1
    served.get("n1", identity_url(served))
    assert served.info()["identity_fetches"] == 2, "one is in each"


def test_a_flood_of_fetches_is_slowed_down(served: BootNet) -> None:
    statuses = [served.get("n1", "/boot.ipxe").status for _number in range(400)]
    assert statuses[:300] == [200] * 300
    assert statuses.count(503) > 50
    assert served.get("n2", "/boot.ipxe").status == 200
    assert len(Path(served.paths.log(NAME)).read_text().splitlines()) < 350


def test_only_root_reads_keys_and_only_nginx_what_is_served(served: BootNet) -> None:
    served.boot(boot("ramdisk"))
    worker = served.systemd.processes(served.http)[1]
    status = Path(f"/proc/{worker}/status").read_text()
    uid, gid = (re.search(rf"^{kind}:\t(\d+)", status, re.MULTILINE) for kind in ("Uid", "Gid"))
    assert uid
    assert gid
    served_files = {
        Path(served.paths.join("http", "deployments", served.info()["deployment"], ADDRESSES["n1"], "identity.cpio")),
        Path(served.paths.join("http", "nodes", MACS["n1"].replace(":", "-"), ADDRESSES["n1"] + ".ipxe")),
    }
    private = [path for top in ("keys", "log") for path in Path(served.paths.join(top)).rglob("*") if path.is_file()]
    assert len(private) >= 5
    for path in private:
        assert not readable(path, int(uid[1]), int(gid[1])), path
        assert not readable(path, 65534, 65534), path
    for path in served_files:
        assert readable(path, int(uid[1]), int(gid[1])), path
        assert not readable(path, 65534, 65534), path
    # It can't find out what there is.
    for top in ("deployments", "nodes"):
        assert not readable(Path(served.paths.join("http", top)), int(uid[1]), int(gid[1]))


def readable(path: Path, uid: int, gid: int) -> bool:
    """Whether somebody can read a file or list a directory."""
    program = "import os, sys; p = sys.argv[1]; os.listdir(p) if os.path.isdir(p) else open(p, 'rb').read(1)"
    words = ["setpriv", f"--reuid={uid}", f"--regid={gid}", "--clear-groups", "/usr/bin/python3", "-c", program]
    return subprocess.run([*words, str(path)], stderr=subprocess.DEVNULL, check=False).returncode == 0


def test_secrets_are_told_to_nobody_who_has_not_asked(served: BootNet, monkeypatch: pytest.MonkeyPatch) -> None:
    commands: list[list[str]] = []
    run = netboot_identity.command.run
    monkeypatch.setattr(
        netboot_identity.command, "run", lambda words, data="": (commands.append(list(words)), run(words, data))[1]
    )
    result = served.boot(boot("ramdisk"))
    secret = result["nodes"][0]["private_key"]
    assert "PRIVATE KEY" in secret
    told = json.dumps([result["diff"], result["changes"], served.info(), commands])
    assert "PRIVATE" not in told
    assert "private_key" not in served.info()
    assert result["nodes"][0]["deployment"] not in json.dumps([result["diff"], result["changes"]])
    assert served.info(secrets=True)["private_key"] == secret
    body = secret.splitlines()[2]
    for path in Path(served.paths.join("log")).iterdir():
        assert body not in path.read_text()


# What goes wrong


def test_what_the_boot_server_does_not_know_is_told(served: BootNet) -> None:
    for wrong, message in (
        ({"server": "other"}, "there is no boot server other on this host"),
        ({"name": "n3"}, "boot server weft-t does not know it"),
        ({"address": ADDRESSES["n2"]}, "does not know it with address 10.66.100.12"),
        ({"mac_addresses": [MACS["n2"]]}, "does not know it with address .* 52:54:00:00:00:02"),
    ):
        with pytest.raises(FabricError, match=message):
            served.boot({**boot("local"), **wrong})
    assert os.listdir(served.paths.join("keys")) == []


@pytest.mark.parametrize("start", ["local", "ramdisk"])
@pytest.mark.parametrize("goal", ["local", "ramdisk", "renew"])
@pytest.mark.parametrize(
    "moment",
    [
        "make_keys",
        "write_served",
        "second write_served",
        "write_record",
        "remove_deployment",
        "remove_script",
    ],
)
def test_a_run_that_is_killed_is_finished_by_the_next(
    served: BootNet, start: str, goal: str, moment: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    served.boot(boot(start))
    item = boot("ramdisk", renew=True) if goal == "renew" else boot(goal)
    count = [2 if moment.startswith("second ") else 1]
    moment = moment.removeprefix("second ")
    where = netboot_identity if moment == "make_keys" else netboot_store
    original = getattr(where, moment)

    def killed(*arguments: object) -> None:
        count[0] -= 1
        if not count[0]:
            raise Killed
        original(*arguments)

    monkeypatch.setattr(where, moment, killed)
    try:
        served.boot(item)
    except Killed:
        pass
    monkeypatch.undo()
    result = served.boot(item)
    assert not served.boot({**item, "renew": False})["changed"]
    assert served.info()["boot"] == item["boot"]
    deployments = os.listdir(served.paths.join("http", "deployments"))
    if item["boot"] == "local":
        assert (keys_of(served), deployments) == ([], [])
        assert "sanboot" in served.get("n1", script()).text
    else:
        assert keys_of(served) == deployments == [result["nodes"][0]["deployment"]]
        assert deployments[0] in served.get("n1", script()).text
        assert served.get("n1", identity_url(served)).status == 200


def test_leftovers_of_a_write_go(served: BootNet) -> None:
    served.boot(boot("ramdisk"))
    token = served.info()["deployment"]
    left = [
        Path(served.paths.join("keys", "n1", ".weft-record")),
        Path(served.paths.join("http", "nodes", MACS["n1"].replace(":", "-"), ".weft-script")),
        Path(served.paths.join("http", "deployments", token, ADDRESSES["n1"], ".weft-identity")),
    ]
    for path in left:
        path.write_text("secret")
    served.boot(boot("local"))
    assert [path for path in left if path.exists()] == []


@pytest.mark.parametrize(
    "damage",
    [
        lambda paths, _token: Path(paths.join("http", "nodes", "52-54-00-00-00-01", "10.66.100.11.ipxe")).unlink(),
        lambda paths, token: shutil.rmtree(paths.join("http", "deployments", token)),
        lambda paths, token: Path(paths.join("keys", "n1", token, "host")).unlink(),
        lambda paths, _token: Path(paths.join("keys", "n1", "record.json")).unlink(),
        lambda paths, _token: Path(paths.join("keys", "n1", "record.json")).write_text('{"boot": "ram'),
    ],
)
def test_what_somebody_else_has_changed_is_mended(served: BootNet, damage: t.Callable[[t.Any, str], object]) -> None:
    served.boot(boot("ramdisk"))
    damage(served.paths, served.info()["deployment"])
    assert served.boot(boot("ramdisk"))["changed"]
    assert not served.boot(boot("ramdisk"))["changed"]
    assert served.get("n1", identity_url(served)).status == 200
    assert len(keys_of(served)) == 1


def test_a_new_address_or_server_text(served: BootNet) -> None:
    served.boot(boot("ramdisk"))
    token = served.info()["deployment"]
    moved = {"address": ADDRESSES["stranger"]}
    with served.reloading():
        served.run(served.server(nodes=[node("n1", **moved)]))
    result = served.boot(boot("ramdisk", **moved))
    assert result["changed"]
    assert result["nodes"][0]["deployment"] == token, "the keys are still nobody else's"
    assert served.get("stranger", identity_url(served)).status == 200
    assert served.get("stranger", script()).status == 200
    assert not served.boot(boot("ramdisk", **moved))["changed"]
    assert os.listdir(served.paths.join("http", "deployments", token)) == [ADDRESSES["stranger"]]


def test_a_node_that_no_server_knows_any_more_is_forgotten(served: BootNet) -> None:
    served.boot(boot("ramdisk"), boot("ramdisk", "n2"))
    assert served.run(served.server("n1"))["changed"]
    assert keys_of(served, "n2")
    predicted = served.run(served.server("n1"), purge=True, check_mode=True)
    result = served.run(served.server("n1"), purge=True)
    assert result["changes"] == predicted["changes"]
    assert result["changes"] == ["remove the boot files of node n2, which no boot server knows"]
    assert os.listdir(served.paths.join("keys")) == ["n1"]
    assert os.listdir(served.paths.join("http", "nodes")) == [MACS["n1"].replace(":", "-")]


def test_info_goes_back_in(served: BootNet) -> None:
    served.boot(
        boot("ramdisk", kernel_arguments=["quiet"]),
        boot("iscsi", "n2", iscsi={**VOLUME, "username": "a", "password": "b"}),
    )
    found = describe(None, True, served.paths)["nodes"]
    known = ("name", "boot", "server", "address", "mac_addresses", "kernel_arguments", "iscsi")
    assert not served.boot(*({key: item[key] for key in known} for item in found))["changed"]
    assert [item["url"] for item in found] == [f"http://{SERVER}"] * 2
