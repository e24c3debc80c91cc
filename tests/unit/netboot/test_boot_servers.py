# Copyright (c) 2026 weft.fabric contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Boot servers, with a dnsmasq and an nginx that really run: what each kind of firmware is told, and who is not."""

from __future__ import annotations

import os
import re
import socket
import subprocess
import typing as t
from pathlib import Path

import pytest

from ansible_collections.weft.fabric.plugins.module_utils import netboot_info, netns
from ansible_collections.weft.fabric.plugins.module_utils.reconcile import FabricError
from ansible_collections.weft.fabric.tests.unit.dhcp.wire_client import DISCOVER, REQUEST, Reply
from ansible_collections.weft.fabric.tests.unit.namespaces.private_network import ip
from ansible_collections.weft.fabric.tests.unit.netboot.firmware import (
    BIOS,
    EFI,
    EFI_BC,
    EFI_HTTP,
    ipxe,
    option,
    pxe,
    tftp,
)
from ansible_collections.weft.fabric.tests.unit.netboot.machine import (
    ADDRESSES,
    CLIENTS,
    MACS,
    NAME,
    ROOT,
    SERVER,
    BootNet,
    node,
    wait_for,
)

URL = "http://10.66.100.2"


class Killed(BaseException):
    """Stands for the end of the process."""


def text(reply: Reply, number: int) -> str:
    """Return the text of an option; some end with a zero."""
    return reply.options[number].rstrip(b"\0").decode()


# What firmware is told


@pytest.mark.parametrize(
    ("architecture", "file"), [(BIOS, "undionly.kpxe"), (EFI, "snponly.efi"), (EFI_BC, "snponly.efi")]
)
def test_firmware_gets_the_loader_of_its_kind(served: BootNet, architecture: int, file: str) -> None:
    with served.firmware(MACS["n1"]) as firmware:
        reply = firmware.boot(pxe(architecture))
        assert reply is not None
        assert reply.address == ADDRESSES["n1"]
        assert (reply.next_server, text(reply, 66), text(reply, 67)) == (SERVER, SERVER, file)
        assert not {3, 6} & set(reply.options), "no router and no name server"
        # Some read the header only, and don't ask for options.
        reply = firmware.boot(pxe(architecture, wants=bytes([1])))
        assert reply is not None
        assert (reply.next_server, reply.server_name, reply.file) == (SERVER, SERVER, file)
    with netns.entered(CLIENTS):
        assert tftp(SERVER, file, ADDRESSES["n1"]) == Path(served.paths.join("tftp", file)).read_bytes()


def test_the_loaders_are_those_of_the_package(served: BootNet) -> None:
    for file, places in served.paths.loaders.items():
        found = [place for place in places if Path(place).is_file()]
        assert Path(served.paths.join("tftp", file)).read_bytes() == Path(found[0]).read_bytes()


def test_firmware_that_boots_by_http_gets_a_url_and_is_told_it_was_understood(served: BootNet) -> None:
    with served.firmware(MACS["n1"]) as firmware:
        reply = firmware.boot(pxe(EFI_HTTP))
    assert reply is not None
    assert reply.options[60] == b"HTTPClient"
    assert text(reply, 67) == f"{URL}/loader/snponly.efi"
    assert served.get("n1", "/loader/snponly.efi").body == Path(served.paths.join("tftp", "snponly.efi")).read_bytes()


@pytest.mark.parametrize("architecture", [BIOS, EFI, EFI_HTTP])
def test_ipxe_gets_a_script_and_no_loader_again(served: BootNet, architecture: int) -> None:
    with served.firmware(MACS["n1"]) as firmware:
        reply = firmware.boot(ipxe(architecture))
    assert reply is not None
    assert text(reply, 67) == f"{URL}/boot.ipxe"
    assert reply.options[175].rstrip(b"\xff") == bytes([176, 1, 1]), "it need not wait for a proxy"
    assert reply.options.get(60) != b"HTTPClient"
    assert served.get("n1", "/boot.ipxe").text.startswith("#!ipxe\n")


def test_an_operating_system_gets_an_address_and_nothing_to_boot(served: BootNet) -> None:
    with served.firmware(MACS["n1"]) as firmware:
        reply = firmware.boot(option(55, bytes([1, 3, 6, 67])) + option(60, b"udhcp 1.35.0"))
    assert reply is not None
    assert reply.address == ADDRESSES["n1"]
    assert (reply.file, reply.options.get(67)) == ("", None)


@pytest.mark.parametrize("options", [pxe(BIOS), pxe(EFI), pxe(EFI_HTTP), ipxe(BIOS), ipxe(EFI)])
def test_an_unknown_mac_gets_no_answer_at_all(served: BootNet, options: bytes) -> None:
    with served.firmware("52:54:00:00:00:99") as firmware:
        assert firmware.boot(options) is None
        # Not even a refusal, when it asks for an address that it had elsewhere, or that is somebody's here.
        for address in ("192.168.1.7", ADDRESSES["n1"], ADDRESSES["stranger"]):
            wanted = option(50, socket.inet_aton(address))
            assert firmware.speak(REQUEST, wanted + options) == []
        assert firmware.speak(DISCOVER, options) == []


def test_all_nics_of_a_node_get_its_address(net: BootNet) -> None:
    second = "52:54:00:00:01:01"
    net.run(net.server(nodes=[node("n1", mac_addresses=[MACS["n1"], second])]))
    for mac in (MACS["n1"], second, MACS["n1"]):
        with net.firmware(mac) as firmware:
            reply = firmware.boot(pxe(EFI))
        assert reply is not None
        assert reply.address == ADDRESSES["n1"]


def test_router_advertisements_say_that_there_is_no_router(served: BootNet) -> None:
    with netns.entered(CLIENTS), socket.socket(socket.AF_INET6, socket.SOCK_RAW, socket.IPPROTO_ICMPV6) as listener:
        index = socket.if_nametoindex("br0")
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, b"br0")
        listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_HOPS, 255)
        listener.settimeout(5)
        wait_for("a link-local address", lambda: has_link_local("br0"))
        advertisement = b""
        while advertisement[:1] != b"\x86":
            listener.sendto(bytes([133, 0, 0, 0, 0, 0, 0, 0]), ("ff02::2", 0, 0, index))
            advertisement = listener.recv(2000)
    flags, lifetime = advertisement[5], int.from_bytes(advertisement[6:8], "big")
    assert (flags & 0xC0, lifetime) == (0, 0), "no DHCPv6, and no router"
    assert socket.inet_pton(socket.AF_INET6, "fd66::") in advertisement


def has_link_local(device: str) -> bool:
    """Whether a device has a link-local address, and the kernel is done with looking who else has."""
    lines = [line.split() for line in Path("/proc/thread-self/net/if_inet6").read_text().splitlines()]
    return any(words[5] == device and words[3] == "20" and not int(words[4], 16) & 0x40 for words in lines)


# TFTP


@pytest.mark.parametrize(
    "name", ["../servers/weft-t/nginx.conf", "../../../../etc/passwd", "/etc/passwd", "..\\nginx.conf", "nothing"]
)
def test_tftp_gives_nothing_but_loaders(served: BootNet, name: str) -> None:
    with netns.entered(CLIENTS), pytest.raises(OSError, match=r"not found|denied|Permission"):
        tftp(SERVER, name, ADDRESSES["n1"])


def test_tftp_takes_nothing(served: BootNet) -> None:
    with netns.entered(CLIENTS), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        client.settimeout(1)
        client.sendto(b"\0\x02evil\0octet\0", (SERVER, 69))
        try:
            assert client.recv(100)[:2] == b"\0\x05"
        except TimeoutError:
            pass
    assert sorted(os.listdir(served.paths.join("tftp"))) == ["snponly.efi", "undionly.kpxe"]


# HTTP


def test_large_files_come_whole_and_in_parts(served: BootNet) -> None:
    content = os.urandom(1 << 20) * 40
    Path(served.paths.join("http", "images", "aa.raw")).write_bytes(content)
    assert served.get("n1", "/images/aa.raw").body == content
    part = served.get("n1", "/images/aa.raw", Range="bytes=1000000-30000000")
    assert (part.status, part.body) == (206, content[1000000:30000001])
    assert part.headers["Content-Range"] == f"bytes 1000000-30000000/{len(content)}"
    assert served.get("n1", "/images/aa.raw", Range=f"bytes={len(content)}-").status == 416
    assert served.get("n1", "/ramdisk/vmlinuz").body == b"vmlinuz" * 1000


def test_who_is_no_node_gets_nothing(served: BootNet) -> None:
    paths = ("/", "/boot.ipxe", "/ramdisk/vmlinuz", "/ramdisk/", "/images/", "/loader/snponly.efi", "/nothing")
    assert {path: served.get("stranger", path).status for path in paths} == dict.fromkeys(paths, 403)


@pytest.mark.parametrize(
    "path",
    [
        "/",
        "/nodes/",
        "/deployments/",
        "/images/",
        "/ramdisk/",
        "/loader/",
        "/images/../../keys/",
        "/images/%2e%2e/%2e%2e/servers/weft-t/nginx.conf",
        "/loader/../servers/weft-t/nginx.conf",
        "/loader../servers/weft-t/nginx.conf",
        "/ramdisk../nodes/",
        "/nodes/52-54-00-00-00-01/10.66.100.11.ipxe",
    ],
)
def test_nothing_is_listed_and_nothing_outside_is_served(served: BootNet, path: str) -> None:
    assert served.get("n1", path).status in (400, 403, 404)


def test_symbolic_links_are_not_followed(served: BootNet) -> None:
    images = Path(served.paths.join("http", "images"))
    (images / "out").symlink_to("/etc/passwd")
    (images / "dir").symlink_to("/etc")
    (images / "in").symlink_to(served.paths.join("http", "ramdisk", "vmlinuz"))
    for name in ("out", "dir/passwd", "in"):
        assert served.get("n1", f"/images/{name}").status in (403, 404), name
    assert served.get("n1", "/ramdisk/vmlinuz").status == 200


@pytest.mark.parametrize("method", ["PUT", "POST", "DELETE", "PROPFIND"])
def test_nothing_is_taken(served: BootNet, method: str) -> None:
    assert served.get("n1", "/images/new", method).status in (403, 404, 405)
    assert os.listdir(served.paths.join("http", "images")) == []


def is_root(pid: int) -> bool:
    status = Path(f"/proc/{pid}/status").read_text()
    return "0" in next(line.split()[1:] for line in status.splitlines() if line.startswith("Uid:"))


def test_workers_have_no_rights(served: BootNet) -> None:
    assert served.get("n1", "/boot.ipxe").status == 200
    wait_for("all workers to have given up their rights", lambda: not any(map(is_root, served.workers())))
    assert served.workers()
    for worker in served.workers():
        status = Path(f"/proc/{worker}/status").read_text()
        assert "CapEff:\t0000000000000000" in status
    dnsmasq = Path(f"/proc/{served.systemd.pid(served.dhcp)}/status").read_text()
    assert "Uid:\t0" not in dnsmasq


def test_who_was_refused_is_told_to_syslog(net: BootNet) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as syslog:
        syslog.bind(str(ROOT / "syslog"))
        (ROOT / "syslog").chmod(0o666)
        syslog.settimeout(5)
        net.run(net.server())
        assert net.get("n1", "/boot.ipxe").status == 200
        assert net.get("stranger", "/boot.ipxe").status == 403
        line = syslog.recv(2000).decode()
    # The journal files it under the name that stands behind the time.
    assert re.match(r"<\d+>\w+ +\d+ [\d:]+ weft_fabric_boot: boot server weft-t refused ", line)
    assert 'boot server weft-t refused 10.66.100.77 "GET /boot.ipxe HTTP/1.1": 403' in line


# Changes


def test_the_whole_life(net: BootNet) -> None:
    predicted = net.run(net.server("n1"), check_mode=True)
    assert not Path(net.paths.directory).exists()
    assert not Path(net.paths.relay).exists()
    assert os.listdir(net.paths.units) == []
    made = net.run(net.server("n1"))
    assert made["changes"] == predicted["changes"]
    assert made["changes"][-3:] == [
        "create boot server weft-t on s0 for 1 nodes",
        "start the dnsmasq of boot server weft-t",
        "start the nginx of boot server weft-t",
    ]
    assert net.systemd.calls == [("start", net.dhcp, net.http)]
    for check_mode in (True, False):
        again = net.run(net.server("n1"), purge=True, check_mode=check_mode)
        assert (again["changes"], net.systemd.calls) == ([], [])


def test_a_node_more_restarts_nothing(net: BootNet) -> None:
    net.run(net.server("n1"))
    pids = [net.systemd.pid(unit) for unit in (net.dhcp, net.http)]
    predicted = net.run(net.server("n1", "n2"), check_mode=True)
    with net.firmware(MACS["n2"]) as firmware:
        assert firmware.boot(pxe(EFI)) is None
    with net.reloading():
        result = net.run(net.server("n1", "n2"))
    assert result["changes"] == predicted["changes"]
    assert "let 52:54:00:00:00:02,10.66.100.12 boot from boot server weft-t" in result["changes"]
    assert net.systemd.calls == [("reload", net.dhcp, net.http)]
    with net.firmware(MACS["n2"]) as firmware:
        assert firmware.boot(pxe(EFI)) is not None
    assert net.get("n2", "/boot.ipxe").status == 200
    assert [net.systemd.pid(unit) for unit in (net.dhcp, net.http)] == pids


def test_a_node_that_is_gone_is_not_served(net: BootNet) -> None:
    net.run(net.server())
    pid = net.systemd.pid(net.http)
    with net.reloading():
        net.run(net.server("n1"))
    assert net.get("n2", "/boot.ipxe").status == 403
    assert net.systemd.pid(net.http) == pid
    with net.firmware(MACS["n2"]) as firmware:
        assert firmware.boot(pxe(EFI)) is None


def test_an_address_goes_to_another_machine(net: BootNet) -> None:
    """dnsmasq would give it away to nobody while it knows a lease for it."""
    net.run(net.server())
    with net.firmware(MACS["n1"]) as firmware:
        assert firmware.boot(pxe(EFI)) is not None
    other = "52:54:00:00:00:51"
    changed = net.run(net.server(nodes=[node("n1", mac_addresses=[other]), node("n2")]))
    assert "restart the dnsmasq of boot server weft-t" in changed["changes"]
    with net.firmware(MACS["n1"]) as firmware:
        assert firmware.boot(pxe(EFI)) is None
    with net.firmware(other) as firmware:
        reply = firmware.boot(pxe(EFI))
    assert reply is not None
    assert reply.address == ADDRESSES["n1"]


def test_a_download_outlives_a_change(served: BootNet) -> None:
    content = os.urandom(1 << 20) * 60
    Path(served.paths.join("http", "images", "aa.raw")).write_bytes(content)
    with netns.entered(CLIENTS):
        client = socket.create_connection((SERVER, 80), 5, source_address=(ADDRESSES["n1"], 0))
    with client:
        client.sendall(b"GET /images/aa.raw HTTP/1.0\r\n\r\n")
        received = client.recv(100)
        served.run(served.server("n1"))
        wait_for("the new configuration", lambda: served.get("n2", "/boot.ipxe").status == 403)
        while part := client.recv(1 << 20):
            received += part
    assert received.split(b"\r\n\r\n", 1)[1] == content


def test_another_port_and_text(net: BootNet) -> None:
    net.run(net.server("n1"))
    pid = net.systemd.pid(net.http)
    assert "restart the nginx of boot server weft-t" in net.run(net.server("n1", http_port=8080))["changes"]
    assert net.systemd.pid(net.http) != pid
    with pytest.raises(ConnectionRefusedError):
        net.get("n1", "/boot.ipxe")
    with net.firmware(MACS["n1"]) as firmware:
        reply = firmware.boot(ipxe(BIOS))
    assert reply is not None
    assert text(reply, 67) == f"{URL}:8080/boot.ipxe"


@pytest.mark.parametrize(("text", "program"), [("dhcp_config", "dnsmasq"), ("http_config", "nginx")])
def test_a_configuration_that_is_refused_changes_nothing(served: BootNet, text: str, program: str) -> None:
    item = served.server("n1")
    item[text] += "nonsense\n"
    pids = [served.systemd.pid(unit) for unit in (served.dhcp, served.http)]
    with pytest.raises(FabricError, match=rf"nothing was changed: {program} refuses .* weft-t: .*{program}.conf"):
        served.run(item)
    assert [served.systemd.pid(unit) for unit in (served.dhcp, served.http)] == pids
    assert not served.run(served.server())["changed"]


def test_what_is_missing_is_told(net: BootNet) -> None:
    with pytest.raises(FabricError, match=r"needs link s9 in namespace qboot-weft-t"):
        net.run(net.server(interface="s9"))
    with pytest.raises(FabricError, match=r"needs address 10\.66\.100\.3 on link s0"):
        net.run(net.server(address="10.66.100.3"))
    with pytest.raises(FabricError, match=r"cannot advertise fd77::/64: link s0 .* has no address of it"):
        net.run(net.server(ra_prefix="fd77::/64"))
    assert not Path(net.paths.directory).exists()


def test_a_busy_port_is_told(net: BootNet) -> None:
    told = r"(?s)start failed.*Address already in use"
    with netns.entered(f"qboot-{NAME}"), socket.create_server(("0.0.0.0", 80)), pytest.raises(FabricError, match=told):
        net.run(net.server())
    net.run(net.server())
    assert net.get("n1", "/boot.ipxe").status == 200
    assert not net.run(net.server())["changed"]


@pytest.mark.parametrize("moment", ["_share", "_write_files", "_run", "_stamp"])
def test_a_run_that_is_killed_is_finished_by_the_next(
    net: BootNet, moment: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    net.run(net.server("n1"))
    engine = net.engine(net.server("n1", "n2", lease_time=600))

    def killed(*_arguments: object) -> None:
        raise Killed

    monkeypatch.setattr(engine, moment, killed)
    with pytest.raises(Killed):
        engine.apply(engine.diff(engine.read()))
    monkeypatch.undo()
    net.run(net.server("n1", "n2", lease_time=600))
    assert not net.run(net.server("n1", "n2", lease_time=600))["changed"]
    with net.firmware(MACS["n2"]) as firmware:
        reply = firmware.boot(pxe(EFI))
    assert reply is not None
    assert reply.options[51] == (600).to_bytes(4, "big")
    wait_for("nginx to serve it", lambda: net.get("n2", "/boot.ipxe").status == 200)


def test_what_has_died_or_is_stranded_serves_again(served: BootNet) -> None:
    served.systemd.crash(served.dhcp, served.http)
    assert served.run(served.server())["changes"] == [
        "start the dnsmasq of boot server weft-t",
        "start the nginx of boot server weft-t",
    ]
    ip("link del s0", namespace=f"qboot-{NAME}")
    served.wire()
    assert served.run(served.server())["changes"] == ["restart the dnsmasq of boot server weft-t"]
    assert served.get("n1", "/boot.ipxe").status == 200, "nginx listens on an address, and has never noticed"
    ip("link del s0", namespace=f"qboot-{NAME}")
    ip(f"netns del qboot-{NAME}", f"netns add qboot-{NAME}")
    served.wire()
    assert served.run(served.server())["changes"] == [
        "restart the dnsmasq of boot server weft-t",
        "restart the nginx of boot server weft-t",
    ]
    with served.firmware(MACS["n1"]) as firmware:
        assert firmware.boot(pxe(EFI)) is not None
    assert served.get("n1", "/boot.ipxe").status == 200


@pytest.mark.parametrize(
    "damage",
    [
        lambda paths: Path(paths.join("tftp", "undionly.kpxe")).write_bytes(b"evil"),
        lambda paths: Path(paths.join("keys")).chmod(0o755),
        lambda paths: Path(paths.relay).unlink(),
        lambda paths: Path(paths.server(NAME, "boot.ipxe")).write_text("#!ipxe\n"),
        lambda paths: Path(paths.server(NAME, "hosts")).write_text(""),
        lambda paths: Path(paths.server(NAME, "server.json")).unlink(),
    ],
)
def test_what_somebody_else_has_changed_is_mended(served: BootNet, damage: t.Callable[[t.Any], object]) -> None:
    damage(served.paths)
    assert served.run(served.server())["changed"]
    assert not served.run(served.server())["changed"]


def test_purge_takes_everything_and_nothing_else(served: BootNet) -> None:
    foreign = Path(served.paths.directory).parent / "state"
    foreign.mkdir()
    assert not served.run()["changed"], "without purge nothing is removed"
    predicted = served.run(purge=True, check_mode=True)
    assert served.get("n1", "/boot.ipxe").status == 200
    removed = served.run(purge=True)
    assert removed["changes"] == predicted["changes"]
    assert removed["changes"] == [
        "remove boot server weft-t",
        "remove all of network boot, with images and keys",
    ]
    assert not served.systemd.alive(served.dhcp)
    assert not served.systemd.alive(served.http)
    assert not Path(served.paths.directory).exists()
    assert not Path(served.paths.relay).exists()
    assert os.listdir(served.paths.units) == []
    assert foreign.exists()
    assert not served.run(purge=True)["changed"]


def test_one_server_goes(served: BootNet) -> None:
    assert served.run({"name": NAME, "state": "absent"})["changes"] == ["remove boot server weft-t"]
    assert not served.run({"name": NAME, "state": "absent"})["changed"]
    assert Path(served.paths.join("http", "ramdisk", "vmlinuz")).exists()


def test_a_host_without_nodes_needs_nothing(net: BootNet, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(net.systemd, "units", lambda _pattern: pytest.fail("systemd was asked"))
    assert not net.run(purge=True)["changed"]


def test_info_goes_back_in(served: BootNet) -> None:
    with served.firmware(MACS["n1"]) as firmware:
        firmware.boot(pxe(EFI))
    found = netboot_info.describe(None, served.paths, served.systemd)
    assert not served.run(*found["servers"], purge=True)["changed"]
    assert found["active"] == {NAME: {"dhcp": True, "http": True}}
    assert [(lease["address"], lease["client"]) for lease in found["leases"][NAME]] == [(ADDRESSES["n1"], MACS["n1"])]
    assert netboot_info.describe(["other"], served.paths, served.systemd)["servers"] == []


# The relay


def relay(served: BootNet, *words: str, data: bytes = b"") -> subprocess.CompletedProcess[bytes]:
    return subprocess.run([served.paths.relay, *words], input=data, capture_output=True, timeout=20, check=False)


def test_the_relay_reaches_into_the_namespace(served: BootNet) -> None:
    request = b"GET /boot.ipxe HTTP/1.0\r\n\r\n"
    done = relay(served, f"qboot-{NAME}", SERVER, "80", data=request)
    assert (done.returncode, done.stderr) == (0, b"")
    assert done.stdout.startswith(b"HTTP/1.1 200 OK")
    assert b"#!ipxe" in done.stdout


def test_the_relay_carries_much_both_ways(served: BootNet) -> None:
    content = os.urandom(1 << 20) * 8
    with netns.entered(CLIENTS):
        echo = socket.create_server((ADDRESSES["n1"], 7))
    with echo:
        program = [served.paths.relay, f"qboot-{NAME}", ADDRESSES["n1"], "7"]
        with subprocess.Popen(program, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
            connection, peer = echo.accept()
            assert peer[0] == SERVER
            with connection:
                sender = subprocess.Popen(["cat"], stdin=connection, stdout=connection)
            back, _errors = process.communicate(content, timeout=20)
            sender.wait(20)
    assert back == content


@pytest.mark.parametrize(
    ("words", "code", "told"),
    [
        (("qboot-weft-t", "10.66.100.11", "81"), 1, "Connection refused"),
        (("qboot-none", "10.66.100.11", "22"), 1, "No such file"),
        (("../../proc/1/ns/net", "10.66.100.11", "22"), 2, "not the name of a namespace"),
        (("qboot-weft-t", "host.example", "22"), 2, "does not appear to be"),
        (("qboot-weft-t", "10.66.100.11"), 2, "NAMESPACE ADDRESS PORT"),
    ],
)
def test_the_relay_tells_what_is_wrong(served: BootNet, words: tuple[str, ...], code: int, told: str) -> None:
    done = relay(served, *words)
    assert done.returncode == code
    assert told in done.stderr.decode()
    assert done.stdout == b""
