# Copyright (c) 2026 weft.fabric contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""DHCP servers as clients see them: a real dnsmasq, real frames, in namespaces."""

from __future__ import annotations

import socket
import struct
import subprocess
import typing as t
from pathlib import Path

import pytest

from ansible_collections.weft.fabric.plugins.module_utils import dhcp_info, dhcp_servers, netns
from ansible_collections.weft.fabric.plugins.module_utils.reconcile import FabricError
from ansible_collections.weft.fabric.tests.unit.dhcp.machine import CLIENTS, Net, host, mac, wait_for
from ansible_collections.weft.fabric.tests.unit.dhcp.wire_client import ACK, DISCOVER, NAK, REQUEST, Client6
from ansible_collections.weft.fabric.tests.unit.namespaces.private_network import ip


class Killed(BaseException):
    """Like SIGKILL, nothing catches it."""


def kinds(replies: list[t.Any]) -> list[int]:
    return sorted(reply.kind for reply in replies)


def resolve(name: str) -> list[str]:
    """Ask server 1 for the IPv4 addresses of a name, from the clients' side."""
    labels = b"".join(bytes([len(label)]) + label.encode() for label in name.split("."))
    question = struct.pack("!HHHHHH", 7, 0x0100, 1, 0, 0, 0) + labels + struct.pack("!BHH", 0, 1, 1)
    with netns.entered(CLIENTS), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asker:
        asker.settimeout(5)
        asker.sendto(question, ("10.0.0.2", 53))
        answer = asker.recv(4096)
    count = struct.unpack_from("!H", answer, 6)[0]
    # Each answer: a pointer to the name, type, class, time to live, length and four bytes of address.
    return [socket.inet_ntoa(answer[len(question) + 16 * index :][12:16]) for index in range(count)]


def test_life_cycle(net: Net) -> None:
    """Create, change each part, remove: predicted first, done, then nothing is left to do."""
    one, two = host(1), host(2)
    removed = {"name": "weft-t-1", "state": "absent"}
    steps: list[tuple[dict[str, t.Any], list[str] | None]] = [
        (net.server(1, [one]), ["start"]),
        (net.server(1, [one, two]), ["reload"]),
        (net.server(1, [two]), ["reload"]),
        (net.server(1, [two], options=[{"option": "3", "value": "10.0.0.254"}]), ["reload"]),
        (net.server(1, [two], names=[]), ["reload"]),
        (net.server(1, [two], config=net.config(1) + "dhcp-option-force=26,1400\n"), ["stop", "start"]),
        (net.server(1, [{**two, "tags": ["ports-2"]}]), ["stop", "start"]),
        (removed, ["stop"]),
    ]
    for item, expected in steps:
        predicted = net.run(item, check_mode=True)
        assert not net.systemd.calls
        done = net.run(item)
        assert done == predicted
        assert done["changed"]
        assert [call[0] for call in net.systemd.calls] == expected
        for check_mode in (True, False):
            assert not net.run(item, check_mode=check_mode)["changed"]
            assert not net.systemd.calls
    assert not (net.directory / "weft-t-1").exists()
    assert not net.systemd.alive(net.unit(1))


def test_a_client_gets_what_the_file_says(net: Net) -> None:
    net.run(net.server(1, [host(1)]))
    with net.client(mac(1)) as client:
        reply = client.lease()
    assert (reply.kind, reply.address, reply.server) == (ACK, "10.0.0.101", "10.0.0.2")
    assert socket.inet_ntoa(reply.options[3]) == "10.0.0.1"
    with net.client(mac(9)) as client:
        assert client.say(DISCOVER) == [], "a client nobody listed gets nothing"


def test_names(net: Net) -> None:
    net.run(net.server(1, [host(1)], names=[{"address": "10.0.0.101", "names": ["web-1.blue.example"]}]))
    ip("addr add 10.0.0.200/24 dev br0", namespace=CLIENTS)
    assert resolve("web-1.blue.example") == ["10.0.0.101"]
    assert resolve("web-2.blue.example") == []
    net.run(net.server(1, [host(2)], names=[{"address": "10.0.0.102", "names": ["web-2.blue.example"]}]))
    wait_for("the new name", lambda: resolve("web-2.blue.example") == ["10.0.0.102"])
    assert resolve("web-1.blue.example") == []


def test_a_reload_is_no_restart_and_leaves_the_others_alone(pair: Net) -> None:
    pair.run(pair.server(1, [host(1)]), pair.server(2, [host(1)]))
    before = [pair.systemd.pid(pair.unit(number)) for number in (1, 2)]
    result = pair.run(pair.server(1, [host(1), host(2)]), pair.server(2, [host(1)]))
    assert result["changes"] == [
        "add host in DHCP server weft-t-1: fa:16:3e:00:00:02,web-2,10.0.0.102",
        "add name in DHCP server weft-t-1: 10.0.0.102 web-2",
        "reload DHCP server weft-t-1",
    ]
    assert [pair.systemd.pid(pair.unit(number)) for number in (1, 2)] == before
    assert pair.systemd.calls == [("reload", pair.unit(1))]


def test_one_call_for_all_servers(pair: Net) -> None:
    pair.run(pair.server(1, [host(1)]), pair.server(2, [host(1)]))
    assert pair.systemd.calls == [("start", pair.unit(1), pair.unit(2))]
    assert pair.systemd.reloads == 1
    pair.run(pair.server(1, [host(2)]), pair.server(2, [host(2)]))
    assert pair.systemd.calls == [("reload", pair.unit(1), pair.unit(2))]
    assert pair.systemd.reloads == 1


# Several servers for one network


def test_all_servers_answer_alike(pair: Net) -> None:
    """Any server may give a lease, any renews it, none refuses it; whether it saw the client before or not."""
    pair.run(pair.server(1, [host(1)]), pair.server(2, [host(1)]))
    with pair.client(mac(1)) as client:
        offers = client.say(DISCOVER, enough=3)
        assert {offer.server for offer in offers} == {"10.0.0.2", "10.0.0.3"}
        for offer in offers:
            answers = client.say(REQUEST, requested=offer.address, server=offer.server, enough=3)
            assert [(answer.kind, answer.server) for answer in answers] == [(ACK, offer.server)]
        assert kinds(client.renew("10.0.0.101", enough=3)) == [ACK, ACK]
        assert kinds(client.say(REQUEST, requested="10.0.0.101", enough=3)) == [ACK, ACK]


def test_without_the_match_two_authoritative_servers_refuse_each_others_clients(pair: Net) -> None:
    """The negative: why the configuration has the three lines about option 54."""
    servers = [pair.server(number, [host(1)], config=pair.config(number, mine_only=False)) for number in (1, 2)]
    pair.run(*servers)
    with pair.client(mac(1)) as client:
        offer = client.say(DISCOVER)[0]
        answers = client.say(REQUEST, requested=offer.address, server=offer.server, enough=3)
    assert kinds(answers) == [ACK, NAK]


@pytest.mark.parametrize("authoritative", [True, False])
def test_a_server_that_lost_everything_renews(net: Net, authoritative: bool) -> None:
    """A new server on another host knows no leases; the seeded file, or authority, makes it renew them."""
    item = net.server(1, [host(1)], config=net.config(1, authoritative=authoritative))
    net.run(item)
    with net.client(mac(1)) as client:
        assert kinds(client.renew("10.0.0.101")) == [ACK]
    # With a client id, as systemd-networkd sends it.
    with net.client(mac(1), b"\xff\x00\x00\x00\x01\x00\x01abc") as client:
        assert kinds(client.renew("10.0.0.101")) == [ACK]


def test_without_seed_and_authority_a_renewal_is_not_answered(net: Net) -> None:
    """The negative of the test above."""
    net.run(net.server(1, [host(1)], config=net.config(1, authoritative=False), leases=False))
    with net.client(mac(1)) as client:
        assert client.renew("10.0.0.101", wait=0.5) == []


def test_a_renewal_survives_a_restart(net: Net) -> None:
    net.run(net.server(1, [host(1)]))
    with net.client(mac(1)) as client:
        client.lease()
    pid = net.systemd.pid(net.unit(1))
    net.run(net.server(1, [host(1)], config=net.config(1) + "dhcp-option-force=26,1400\n"))
    assert net.systemd.pid(net.unit(1)) != pid
    with net.client(mac(1)) as client:
        assert kinds(client.renew("10.0.0.101")) == [ACK]


# Addresses that change hands


@pytest.mark.parametrize("client_id", [None, b"\xff\x00\x00\x00\x01\x00\x01abc"])
def test_an_address_goes_to_another_port(net: Net, client_id: bytes | None) -> None:
    """And the former one, which still believes it has it, is told."""
    net.run(net.server(1, [host(1)]))
    with net.client(mac(1), client_id) as client:
        assert client.lease().address == "10.0.0.101"
    net.run(net.server(1, [host(2, "10.0.0.101")]))
    with net.client(mac(2)) as client:
        reply = client.lease()
    assert (reply.kind, reply.address) == (ACK, "10.0.0.101")
    with net.client(mac(1), client_id) as client:
        assert kinds(client.renew("10.0.0.101")) in ([NAK], [])
        assert client.say(DISCOVER) == []


def test_two_ports_swap_their_addresses(net: Net) -> None:
    net.run(net.server(1, [host(1), host(2)]))
    for number in (1, 2):
        with net.client(mac(number)) as client:
            client.lease()
    net.run(net.server(1, [host(1, "10.0.0.102"), host(2, "10.0.0.101")]))
    for number, address in ((1, "10.0.0.102"), (2, "10.0.0.101")):
        with net.client(mac(number)) as client:
            assert client.lease().address == address


def test_without_the_release_the_address_would_not_change_hands(net: Net, monkeypatch: pytest.MonkeyPatch) -> None:
    """The negative: dnsmasq keeps leases over a reload."""
    net.run(net.server(1, [host(1)]))
    with net.client(mac(1)) as client:
        client.lease()
    monkeypatch.setattr(dhcp_servers.dhcp_release, "release", lambda *_arguments: None)
    monkeypatch.setattr(dhcp_servers, "_RELEASE_LIMIT", 0.05)
    with pytest.raises(FabricError, match=r"does not let go of the lease of 10\.0\.0\.101"):
        net.run(net.server(1, [host(2, "10.0.0.101")]))
    with net.client(mac(2)) as client:
        assert client.say(DISCOVER) == []


def test_a_release_is_not_seen_on_the_network(net: Net) -> None:
    hosts = [host(1, addresses=["10.0.0.101", "fd00::101"])]
    net.run(net.server(1, hosts))
    with net.client(mac(1)) as client:
        client.lease()
    with net.client6(mac(1)) as client6:
        client6.lease()
    with Capture("p1") as capture:
        net.run(net.server(1, []))
        # Something that is seen, so that nothing is no accident.
        with net.client(mac(3)) as client:
            client.say(DISCOVER, wait=0.2)
    assert "Discover" in capture.text
    assert "Release" not in capture.text
    assert "dhcp6 release" not in capture.text
    assert "10.0.0.101" not in net.leases(1)


class Capture:
    """tcpdump on a device of the clients' namespace."""

    def __init__(self, device: str):
        self.device = device
        self.text = ""

    def __enter__(self) -> Capture:
        command = ["ip", "netns", "exec", CLIENTS, "tcpdump", "-vnlU", "-i", self.device]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        assert self.process.stderr is not None
        assert any("listening on" in line for line in self.process.stderr)
        return self

    def __exit__(self, *exc: object) -> None:
        assert self.process.stdout is not None
        while "Discover" not in self.text and (line := self.process.stdout.readline()):
            self.text += line
        self.process.terminate()
        self.text += self.process.communicate()[0]


# IPv6


def test_dhcpv6(net: Net) -> None:
    hosts = [host(1, addresses=["10.0.0.101", "fd00::101"])]
    net.run(net.server(1, hosts))
    with net.client6(mac(1)) as client:
        assert client.lease() == "fd00::101"
        duid = client.server
        net.run(net.server(1, hosts, config=net.config(1) + "dhcp-option-force=26,1400\n"))
        answer = client.say(Client6.RENEW, "fd00::101")
        assert answer is not None
        assert answer[:2] == (Client6.REPLY, ["fd00::101"]), "lease and DUID outlive a restart"
        assert client.server == duid
    with net.client6(mac(2)) as client:
        answer = client.say(Client6.SOLICIT)
        assert answer is None or answer[1] == []


def test_an_ipv6_address_goes_to_another_port(net: Net) -> None:
    net.run(net.server(1, [host(1, addresses=["fd00::101"])]))
    with net.client6(mac(1)) as client:
        client.lease()
    net.run(net.server(1, [host(2, addresses=["fd00::101"])]))
    with net.client6(mac(2)) as client:
        assert client.lease() == "fd00::101"


# What goes wrong


def test_tagged_hosts_survive_a_reload(net: Net) -> None:
    """dnsmasq 2.90 dies when a host with a tag was served and the hosts file is read again; see the next test."""
    tagged = host(1, tags=["ports-1"])
    options = [{"tags": ["ports-1"], "option": "option:ntp-server", "value": "10.0.0.77"}]
    net.run(net.server(1, [tagged], options=options))
    with net.client(mac(1)) as client:
        assert socket.inet_ntoa(client.lease().options[42]) == "10.0.0.77"
    pid = net.systemd.pid(net.unit(1))
    for hosts in ([tagged, host(2)], [tagged]):
        net.run(net.server(1, hosts, options=options))
        with net.client(mac(1)) as client:
            assert kinds(client.renew("10.0.0.101")) == [ACK]
    assert net.systemd.pid(net.unit(1)) == pid


def test_a_configuration_dnsmasq_refuses_changes_nothing(net: Net) -> None:
    net.run(net.server(1, [host(1)]))
    pid = net.systemd.pid(net.unit(1))
    with pytest.raises(
        FabricError, match=r"nothing was changed: dnsmasq refuses .* weft-t-1: .*line 1 of dnsmasq.conf"
    ):
        net.run(net.server(1, [host(1), host(2)], config="dhcp-rangee=1\n"))
    assert net.systemd.pid(net.unit(1)) == pid
    assert not net.run(net.server(1, [host(1)]))["changed"]


def test_a_missing_namespace_or_device_is_told(net: Net) -> None:
    with pytest.raises(FabricError, match=r"needs link s9 in namespace qdhcp-weft-t-1"):
        net.run(net.server(1, [], interface="s9"))
    with pytest.raises(FabricError, match=r"needs link s0 in namespace qdhcp-weft-t-2"):
        net.run(net.server(2, []))
    assert not net.directory.exists()


@pytest.mark.parametrize("moment", ["reload", "_release", "_stamp"])
def test_a_run_killed_before_the_daemon_knew(net: Net, moment: str, monkeypatch: pytest.MonkeyPatch) -> None:
    net.run(net.server(1, [host(1)]))
    with net.client(mac(1)) as client:
        client.lease()

    def killed(*_arguments: object) -> None:
        raise Killed

    engine = net.engine(net.server(1, [host(2, "10.0.0.101")]))
    monkeypatch.setattr(engine.systemd if moment == "reload" else engine, moment, killed)
    operations = engine.diff(engine.read())
    with pytest.raises(Killed):
        engine.apply(operations)
    monkeypatch.undo()
    assert net.run(net.server(1, [host(2, "10.0.0.101")]))["changes"] == ["reload DHCP server weft-t-1"]
    with net.client(mac(2)) as client:
        assert client.lease().address == "10.0.0.101"


def test_a_dead_daemon_is_started(net: Net) -> None:
    net.run(net.server(1, [host(1)]))
    net.systemd.kill([net.unit(1)])
    assert net.run(net.server(1, [host(1)]))["changes"] == ["start DHCP server weft-t-1"]


def test_a_device_or_namespace_made_anew_is_served_again(net: Net) -> None:
    net.run(net.server(1, [host(1)]))
    ip("link del s0", namespace="qdhcp-weft-t-1")
    net.wire(1)
    assert net.run(net.server(1, [host(1)]))["changes"] == ["restart DHCP server weft-t-1"]
    with net.client(mac(1)) as client:
        assert client.lease().kind == ACK
    ip("link del s0", namespace="qdhcp-weft-t-1")
    ip("netns del qdhcp-weft-t-1", "netns add qdhcp-weft-t-1")
    net.wire(1)
    assert net.systemd.alive(net.unit(1)), "it runs on in a namespace that has no name any more"
    assert net.run(net.server(1, [host(1)]))["changes"] == ["restart DHCP server weft-t-1"]
    with net.client(mac(1)) as client:
        assert client.lease().kind == ACK


def test_a_file_changed_by_hand_is_mended(net: Net) -> None:
    net.run(net.server(1, [host(1)]))
    path = net.directory / "weft-t-1" / "hosts"
    path.write_text("")
    net.systemd.reload([net.unit(1)])
    result = net.run(net.server(1, [host(1)]))
    assert result["changes"] == [
        "add host in DHCP server weft-t-1: fa:16:3e:00:00:01,web-1,10.0.0.101",
        "reload DHCP server weft-t-1",
    ]
    assert path.read_text() == "fa:16:3e:00:00:01,web-1,10.0.0.101\n"
    with net.client(mac(1)) as client:
        assert client.lease().kind == ACK


# Purge and information


def test_purge_takes_what_is_not_listed_and_nothing_else(pair: Net) -> None:
    foreign = pair.path / "foreign"
    command = ["ip", "netns", "exec", CLIENTS, "dnsmasq", "--user=root", f"--pid-file={foreign}.pid", "--port=5353"]
    subprocess.run([*command, "--conf-file=/dev/null", "--interface=lo"], check=True)
    pid = int(Path(f"{foreign}.pid").read_text())
    try:
        pair.run(pair.server(1, [host(1)]), pair.server(2, [host(1)]))
        assert not pair.run(pair.server(1, [host(1)]))["changed"], "without purge nothing is removed"
        assert pair.run(pair.server(1, [host(1)]), purge=True)["changes"] == ["remove DHCP server weft-t-2"]
        assert pair.systemd.alive(pair.unit(1))
        assert not pair.systemd.alive(pair.unit(2))
        result = pair.run(purge=True)
        assert result["changes"] == ["remove DHCP server weft-t-1", "remove the unit file of DHCP servers"]
        assert not pair.directory.exists()
        assert not (pair.path / "unit.service").exists()
        assert not pair.run(purge=True)["changed"]
        assert Path(f"/proc/{pid}/comm").read_text() == "dnsmasq\n"
    finally:
        subprocess.run(["kill", "-9", str(pid)], check=True)


def test_info_goes_back_in(net: Net) -> None:
    hosts = [
        host(1, addresses=["10.0.0.101", "fd00::101"]),
        host(2, tags=["ports-2", "x"]),
        host(3, client_id="ff:00:01:02:03"),
    ]
    options = [
        {"tags": ["v4"], "option": "option:router", "value": "10.0.0.1"},
        {"tags": ["ports-2", "x"], "option": "121", "value": "10.9.0.0/16,10.0.0.3"},
        {"tags": ["v6"], "option": "option6:dns-server", "value": "[fd00::53]"},
        {"option": "42"},
    ]
    net.run(net.server(1, hosts, options=options))
    with net.client(mac(1)) as client:
        client.lease()
    found = dhcp_info.describe(None, str(net.directory), net.systemd)
    assert not net.run(*found["servers"], purge=True)["changed"]
    assert found["active"] == {"weft-t-1": True}
    leases = {lease["address"]: lease for lease in found["leases"]["weft-t-1"]}
    assert leases["10.0.0.101"]["client"] == mac(1)
    assert leases["10.0.0.101"]["expires"] > 0
    assert leases["10.0.0.102"]["expires"] == 0, "seeded, and never asked for"
    assert dhcp_info.describe(["weft-t-9"], str(net.directory), net.systemd)["servers"] == []
