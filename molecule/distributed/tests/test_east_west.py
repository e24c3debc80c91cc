# Copyright (c) 2026 weft.fabric contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""From subnet to subnet: routed where the sender is, never over a network node, and never into another project."""

from __future__ import annotations

import re

import pytest

from ansible_collections.weft.fabric.tests.wire.conftest_routers import ECHO
from ansible_collections.weft.fabric.tests.wire.lab import Capture
from ansible_collections.weft.fabric.tests.wire.traffic import REFUSED, SILENCE

HOSTS = ("net1", "net2", "cmp1", "cmp2")
NETWORK_NODES = ("net1", "net2")
COLOURS = ("red", "blue")

# A sender and a receiver behind one router, on two hosts.
ACROSS_HOSTS = {
    "HA": ("red", "ha", "web-2", "db-2"),
    "without HA": ("red", "single", "app-2", "store-2"),
    "the same addresses": ("blue", "single", "web-1", "store-2"),
}
# Who is behind routers of both projects under the same addresses: senders, and receivers that only one project has.
SENDERS = {"red": "web-1", "blue": "web-1"}
ROUTERS = {"red": "ha", "blue": "single"}
ONLY = {"red": ("db-1", "db-2", "web-4"), "blue": ("web-5", "store-5")}

ETHERNET = r"((?:[0-9a-f]{2}:){5}[0-9a-f]{2}) > ((?:[0-9a-f]{2}:){5}[0-9a-f]{2})"


class Underlay:
    """What every host says on the underlay, and hears there."""

    def __init__(self, lab):
        self._captures = {name: Capture(lab(name), "eth1", "udp port 4789") for name in HOSTS}

    def stop(self):
        """Return what was carried in tunnels: (host, VNI, source, destination, the whole line)."""
        found = []
        for host, capture in self._captures.items():
            for line in capture.stop():
                vni = re.search(r"vni (\d+)", line)
                if vni is not None:
                    inner = re.search(ETHERNET, line[vni.end() :])
                    found.append((host, int(vni.group(1)), *inner.groups(), line))
        return found


@pytest.mark.parametrize("case", list(ACROSS_HOSTS))
def test_each_way_is_routed_at_its_source_and_visits_no_network_node(machines, model, router, lab, case):
    """In the destination's VNI, from the sending host's own MAC; the machine sees its gateway's."""
    project, name, *ends = ACROSS_HOSTS[case]
    sender, receiver = (machines(project, end) for end in ends)
    assert (sender.host.name, receiver.host.name) == ("cmp1", "cmp2")
    vni = {one: model.network((project, one.model.network)).segmentation_id for one in (sender, receiver)}
    leg = {one: router(project, name).leg(one.model.network).mac_address for one in (sender, receiver)}
    assert sender.reaches(receiver.address())

    underlay = Underlay(lab)
    at_ends = {one: one.tenant.capture("icmp") for one in (sender, receiver)}
    assert sender.reaches(receiver.address())
    carried = underlay.stop()
    arrived = {one: capture.stop() for one, capture in at_ends.items()}

    macs = {host: model.hosts[host].dvr_mac_address for host in ("cmp1", "cmp2")}
    assert len(set(macs.values())) == 2
    for origin, target in ((sender, receiver), (receiver, sender)):
        pair = f"{origin.address()} > {target.address()}"
        frames = {(host, *frame) for host, *frame, line in carried if pair in line and "ICMP echo" in line}
        frame = (vni[target], macs[origin.host.name], target.tenant.mac())
        assert frames == {("cmp1", *frame), ("cmp2", *frame)}, "seen where it leaves and where it arrives, nowhere else"
        heard = [line for line in arrived[target] if pair in line]
        assert heard
        assert all(f"{leg[target]} > {target.tenant.mac()}" in line for line in heard)
    # No switch of the underlay may see the legs' MACs, which are everywhere.
    assert [line for _host, _vni, source, _target, line in carried if source in leg.values()] == []


def test_on_one_host_nothing_leaves_it(machines, lab):
    sender, receiver = machines("red", "web-2"), machines("red", "db-1")
    assert sender.host.name == receiver.host.name
    assert sender.reaches(receiver.address())
    underlay = Underlay(lab)
    assert sender.reaches(receiver.address())
    control = machines("red", "db-2")
    assert sender.reaches(control.address())
    carried = [line for *_frame, line in underlay.stop() if "ICMP echo" in line]
    assert any(control.address() in line for line in carried), "the control was not captured: this proves nothing"
    assert [line for line in carried if f" {receiver.address()}" in line] == []


def test_both_projects_have_the_same_addresses(machines, model):
    assert machines("red", "web-1").address() == machines("blue", "web-1").address()
    assert machines("red", "store-2").address() == machines("blue", "store-2").address()


@pytest.mark.parametrize(
    ("colour", "sender", "receivers"),
    [
        ("red", "web-1", ("db-1", "db-2", "db-3", "web-4")),
        ("red", "app-1", ("store-1", "store-2", "store-3", "app-4")),
        ("blue", "web-1", ("store-2", "store-5", "web-5")),
    ],
)
def test_inside_all_is_reached_and_the_right_one_answers(machines, colour, sender, receivers):
    sender, receivers = machines(colour, sender), [machines(colour, name) for name in receivers]
    questions = [(protocol, receiver.address(), ECHO) for receiver in receivers for protocol in ("tcp", "udp")]
    assert sender.ask(*questions) == [f"{one} {sender.address()}" for one in receivers for _protocol in ("tcp", "udp")]
    for receiver in receivers:
        assert receiver.reaches(sender.address())


@pytest.mark.parametrize("colour", COLOURS)
def test_across_nothing_is_reached(machines, model, router, lab, colour):
    """Each address of the other project, also by its router's MAC: nothing of it is heard there, or in its VNIs."""
    other = COLOURS[1 - COLOURS.index(colour)]
    sender = machines(colour, SENDERS[colour])
    own = {str(a) for port in model.projects[colour].ports.values() for a in port.addresses}
    foreign = [one for name in ONLY[other] if (one := machines(other, name)).address() not in own]
    assert foreign
    source = f"src host {sender.address()}"
    captures = [one.tenant.capture(source) for one in foreign]
    vnis = {network.segmentation_id for network in model.projects[other].networks.values()} - {None}
    underlay = Underlay(lab)
    answers = sender.ask(*((protocol, one.address(), ECHO) for one in foreign for protocol in ("tcp", "udp")))
    gateway = sender.tenant.lease["new_routers"]
    theirs = router(other, ROUTERS[other]).leg("web").mac_address
    sender.tenant.run(f"ip neighbour replace {gateway} lladdr {theirs} dev eth0 nud permanent")
    try:
        by_their_router = [sender.reaches(one.address(), 2) for one in foreign]
    finally:
        sender.tenant.run(f"ip neighbour delete {gateway} dev eth0")
    carried, heard = underlay.stop(), [capture.stop() for capture in captures]
    assert set(answers) <= {SILENCE, REFUSED}
    assert not any(by_their_router)
    assert heard == [[] for _one in foreign]
    # Both have machines under the sender's address: so what is in the other's VNIs must not come from a MAC of its own.
    theirs_only = {port.mac_address for port in model.projects[other].ports.values()}
    theirs_only |= {model.hosts[name].dvr_mac_address for name in HOSTS}
    said = f" {sender.address()}"
    assert [line for _h, vni, mac, _t, line in carried if vni in vnis and said in line and mac not in theirs_only] == []
    asked = [f"{said}.{ECHO} >", f"{said} >"]
    assert [line for _h, vni, _m, _t, line in carried if vni in vnis and any(text in line for text in asked)] == []


def test_path_mtu_is_told_by_the_router_of_the_senders_host(machines):
    """The other network carries less, and the sender hears of it."""
    sender, receiver = machines("red", "web-2"), machines("red", "db-2")
    # Without fragmenting: 1400 bytes fit, one more doesn't.
    for size, fits in ((1400, True), (1401, False)):
        command = f"ip netns exec {sender.namespace} ping -n -M do -c 2 -i 0.2 -W 1 -s {size - 28} {receiver.address()}"
        assert (sender.host.try_run(command).returncode == 0) == fits
