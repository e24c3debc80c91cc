# Copyright (c) 2026 weft.fabric contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Things come and go; what stays does not notice, and what is somebody else's is not touched."""

from __future__ import annotations

import pytest

from ansible_collections.weft.fabric.plugins.plugin_utils.topology.build import build
from ansible_collections.weft.fabric.tests.wire.leftovers import Foreign
from ansible_collections.weft.fabric.tests.wire.plays import edit, play
from ansible_collections.weft.fabric.tests.wire.tenant import Tenant, boot_all

HOSTS = ("net1", "net2", "cmp1", "cmp2")


@pytest.fixture(scope="module")
def tenants(lab, topology_source):
    return boot_all(lab, build(str(topology_source)))


@pytest.fixture(scope="module")
def foreign(lab):
    """Put somebody else's things on every host, and see that they stand as they were at the end."""
    found = Foreign(lab(name) for name in HOSTS)
    yield found
    found.check()
    found.remove()


def pinged(tenants, work):
    """Do some work while both tenants ping across hosts; return what the work returned and what the pings saw."""
    pings = [tenants["red", "web-1"].ping("web-2"), tenants["blue", "web-2"].ping("web-1")]
    done = work()
    return done, [ping.stop() for ping in pings]


def step(figure, tenants, name, topology):
    """Run site on an edited topology under pings: nothing may be lost, and a check run must have foretold it."""
    foretold = play("weft.fabric.site", topology, "--check")
    done, pings = pinged(tenants, lambda: play("weft.fabric.site", topology))
    figure(
        f"changes: {name}: {sum(map(len, done.changes().values()))} changes in {done.seconds:.1f} s; "
        + "; ".join(map(str, pings))
    )
    assert foretold.changes() == done.changes()
    for ping in pings:
        assert not ping.lost
    return done


def test_network_port_and_host_come_and_go(lab, tenants, foreign, topology, figure):
    unchanged = play("weft.fabric.site", topology)
    assert unchanged.changed == []

    def add_network(data):
        data["projects"]["red"]["networks"]["db"] = {"subnets": {"db-v4": {"cidr": "10.0.1.0/24"}}}
        data["projects"]["red"]["ports"]["db-1"] = {
            "network": "db",
            "host": "cmp1",
            "binding": {"kind": "veth", "namespace": "red-db-1", "interface": "eth0"},
        }

    done = step(figure, tenants, "a network with one port is added", edit(topology, add_network))
    assert any("red-db-1" in line for line in done.changes()["cmp1"])
    assert "cmp2" not in done.changes(), "cmp2 has no port of the new network and needs no change"
    database = Tenant(lab("cmp1"), "red-db-1")
    database.dhcp()

    def add_port(data):
        data["projects"]["red"]["ports"]["db-2"] = {
            "network": "db",
            "host": "cmp2",
            "binding": {"kind": "veth", "namespace": "red-db-2", "interface": "eth0"},
        }

    step(figure, tenants, "a port is added", edit(topology, add_port))
    second = Tenant(lab("cmp2"), "red-db-2")
    lease = second.dhcp()
    assert database.reaches(lease["new_ip_address"])

    def move_port(data):
        data["projects"]["red"]["ports"]["db-2"]["host"] = "cmp1"

    step(figure, tenants, "a port moves to another host", edit(topology, move_port))
    assert "red-db-2" not in lab("cmp2").run("ip netns list")
    moved = Tenant(lab("cmp1"), "red-db-2")
    assert moved.dhcp()["new_ip_address"] == lease["new_ip_address"]
    assert database.reaches(lease["new_ip_address"])

    def add_host(data):
        data["hosts"]["world"] = {
            "roles": ["compute_node"],
            "ansible_host": "192.0.2.15",
            "underlay": dict(data["hosts"]["cmp1"]["underlay"], address="198.51.100.15/24"),
        }
        data["projects"]["blue"]["ports"]["web-3"] = {
            "network": "web",
            "host": "world",
            "binding": {"kind": "veth", "namespace": "blue-web-3", "interface": "eth0"},
        }

    step(figure, tenants, "a host is added", edit(topology, add_host))
    third = Tenant(lab("world"), "blue-web-3")
    third.dhcp()
    assert third.reaches("web-1")

    def remove_host_port(data):
        del data["projects"]["blue"]["ports"]["web-3"]

    step(figure, tenants, "the host's port is removed", edit(topology, remove_host_port))
    assert "blue-web-3" not in lab("world").run("ip netns list")
    play("weft.fabric.teardown", topology, "--limit", "world")

    def remove_host(data):
        del data["hosts"]["world"]

    step(figure, tenants, "the host is removed", edit(topology, remove_host))
    for name in HOSTS:
        assert "vxlan-c633640f" not in lab(name).run("ovs-vsctl list-ports br-tun"), "a tunnel to the host is left"

    def remove_port(data):
        del data["projects"]["red"]["ports"]["db-2"]

    step(figure, tenants, "a port is removed", edit(topology, remove_port))

    def remove_network(data):
        del data["projects"]["red"]["ports"]["db-1"]
        del data["projects"]["red"]["networks"]["db"]

    step(figure, tenants, "the network is removed", edit(topology, remove_network))
    back = play("weft.fabric.site", topology)
    assert back.changed == []
    for name in HOSTS:
        assert "red-db" not in lab(name).run("ip netns list; ovs-vsctl show")


def test_drift_is_seen_and_mended(lab, tenants, topology, figure):
    """What somebody changed by hand is named by status and put right by site."""
    host = lab("cmp2")
    tap = host.run("ovs-vsctl --bare --columns=name find Port 'external_ids:weft-fabric!=\"\"' | grep ^tap").split()[0]
    host.run(f"ovs-vsctl set port {tap} tag=4000; ovs-ofctl --strict del-flows br-int table=0,priority=0")
    seen = play("weft.fabric.site", topology, "--check")
    assert any(tap in line for line in seen.changes()["cmp2"])
    mended = play("weft.fabric.site", topology)
    assert mended.changes() == seen.changes()
    assert play("weft.fabric.site", topology).changed == []
    assert tenants["red", "web-1"].reaches("web-2")
