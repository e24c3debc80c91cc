# Copyright (c) 2026 weft.fabric contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Two tenants with the same addresses: each works, and they are apart."""

from __future__ import annotations

import pytest

from ansible_collections.weft.fabric.plugins.plugin_utils.topology.build import build
from ansible_collections.weft.fabric.tests.wire.lab import Capture
from ansible_collections.weft.fabric.tests.wire.plays import play
from ansible_collections.weft.fabric.tests.wire.tenant import boot_all

COLOURS = ("red", "blue")


@pytest.fixture(scope="module")
def model(topology_source):
    return build(str(topology_source))


@pytest.fixture(scope="module")
def tenants(lab, model):
    """All tenants' machines, each with the addresses that DHCP gave it."""
    return boot_all(lab, model)


def test_dhcp_gives_the_address_the_topology_foretold(tenants, model):
    for (colour, name), tenant in tenants.items():
        foretold = [str(a) for a in model.projects[colour].ports[name].addresses if a.version == 4]
        assert [tenant.lease["new_ip_address"]] == foretold
        assert foretold[0] in tenant.addresses()
        assert int(tenant.lease["new_interface_mtu"]) == model.network((colour, "web")).mtu


def test_both_tenants_use_the_same_range(model):
    ranges = {
        str(subnet.cidr)
        for colour in COLOURS
        for subnet in model.network((colour, "web")).subnets.values()
        if subnet.ip_version == 4
    }
    assert len(ranges) == 1


@pytest.mark.parametrize("colour", COLOURS)
def test_ports_reach_each_other_across_hosts_by_name(tenants, colour):
    first, second = tenants[colour, "web-1"], tenants[colour, "web-2"]
    assert first.host.name != second.host.name
    assert first.reaches("web-2")
    assert second.reaches("web-1")
    assert not first.reaches("no-such-name", count=1)


@pytest.mark.parametrize("colour", COLOURS)
def test_full_sized_frames_pass_and_larger_ones_do_not(tenants, model, colour):
    first = tenants[colour, "web-1"]
    size = model.network((colour, "web")).mtu - 28
    first.run(f"ping -n -c 2 -i 0.2 -W 1 -M do -s {size} web-2")
    assert first.host.try_run(
        f"ip netns exec {first.namespace} ping -n -c 1 -W 1 -M do -s {size + 1} web-2"
    ).returncode, "a frame larger than the network's MTU went through"


@pytest.mark.parametrize("colour", COLOURS)
def test_tcp_carries_data_across_hosts(tenants, colour, figure):
    """Pings hide wrong checksums; TCP does not."""
    first, second = tenants[colour, "web-1"], tenants[colour, "web-2"]
    rate = first.throughput(second, "web-2")
    figure(f"two_tenants: TCP of {colour} across hosts: {rate:.0f} Mbit/s")
    assert rate > 1


def test_not_one_frame_of_one_tenant_reaches_the_other(tenants, model):
    """Red calls everything it can: broadcast, multicast, blue's MACs by address. Blue hears none of it."""
    red, blue = tenants["red", "web-1"], [tenants["blue", "web-1"], tenants["blue", "web-2"]]
    macs = [tenants["red", name].mac() for name in ("web-1", "web-2")]
    expression = " or ".join(f"ether src {mac}" for mac in macs)
    captures = [tenant.capture(expression) for tenant in blue]
    control = tenants["red", "web-2"].capture(expression)
    for number, tenant in enumerate(blue):
        target = f"10.0.0.{250 - number}"
        red.run(f"ip neighbour replace {target} lladdr {tenant.mac()} dev eth0 nud permanent")
        assert not red.reaches(target, count=2)
        red.run(f"ip neighbour delete {target} dev eth0")
    red.run("arping -c 3 -w 2 -I eth0 10.0.0.77 || true")
    red.run("ping -n -c 3 -i 0.2 -W 1 -b 10.0.0.255 || true")
    red.run("ping -n -c 3 -i 0.2 -W 1 -6 ff02::1%eth0 || true")
    assert red.reaches("web-2")
    for capture in captures:
        assert capture.stop() == []
    assert control.stop(), "the control heard nothing either: the test proves nothing"


def test_only_the_tenants_own_vni_carries_its_frames(tenants, model, lab):
    red = tenants["red", "web-1"]
    vni = {colour: model.network((colour, "web")).segmentation_id for colour in COLOURS}
    capture = Capture(lab(red.host.name), "eth1", "udp port 4789")
    assert red.reaches("web-2")
    lines = [line for line in capture.stop() if "ICMP echo" in line]
    assert lines
    assert all(f"vni {vni['red']}" in line for line in lines)
    assert not any(f"vni {vni['blue']}" in line for line in lines)


def test_unknown_unicast_does_not_leave_the_host(tenants, lab):
    red = tenants["red", "web-1"]
    red.run("ip neighbour replace 10.0.0.251 lladdr fa:16:3e:ff:ff:fe dev eth0 nud permanent")
    capture = Capture(lab(red.host.name), "eth1", "udp port 4789")
    assert not red.reaches("10.0.0.251", count=2)
    assert [line for line in capture.stop() if "fa:16:3e:ff:ff:fe" in line] == []
    red.run("ip neighbour delete 10.0.0.251 dev eth0")


def test_arp_is_answered_on_the_spot(tenants, lab):
    """A question about a known address never crosses the underlay, and the answer is the owner's MAC."""
    red, other = tenants["red", "web-1"], tenants["red", "web-2"]
    address = other.lease["new_ip_address"]
    red.run("ip neighbour flush dev eth0")
    heard = other.capture("arp")
    text = red.run(f"arping -c 2 -w 3 -I eth0 {address}")
    assert other.mac().lower() in text.lower()
    assert [line for line in heard.stop() if "Request" in line and "Broadcast" in line] == []


def test_own_address_is_not_answered(tenants):
    """The probe for a duplicate of one's own address (RFC 5227) must stay without an answer."""
    red = tenants["red", "web-1"]
    result = red.host.try_run(
        f"ip netns exec {red.namespace} arping -D -c 2 -w 3 -I eth0 {red.lease['new_ip_address']}"
    )
    assert result.returncode == 0, result.stdout


def test_a_spoofed_source_goes_nowhere(tenants):
    red, other = tenants["red", "web-1"], tenants["red", "web-2"]
    capture = other.capture("src host 10.0.0.66")
    red.run("ip address add 10.0.0.66/24 dev eth0")
    red.run(f"ping -n -c 2 -i 0.2 -W 1 -I 10.0.0.66 {other.lease['new_ip_address']} || true")
    red.run("ip address delete 10.0.0.66/24 dev eth0")
    assert capture.stop() == []


def test_a_tenant_does_not_reach_the_host_it_runs_on(tenants, lab):
    """The userspace datapath leaves the kernel listening on every port: it must not answer a tenant."""
    red = tenants["red", "web-1"]
    host = lab(red.host.name)
    device = host.run(
        f"ovs-vsctl --bare --columns=name find Interface external_ids:attached-mac='\"{red.mac()}\"'"
    ).strip()
    assert "inet" not in host.run(f"ip -o address show dev {device}"), "the host has an address on a tenant's port"
    for address in ("192.0.2.13", "198.51.100.13"):
        red.run(f"ip route add {address}/32 dev eth0")
        answers = red.host.try_run(f"ip netns exec {red.namespace} arping -c 2 -w 2 -I eth0 {address}").stdout
        assert "Received 0 response" in answers
        # With the host's own MAC and by broadcast, as somebody would who doesn't ask first.
        for mac in (host.run(f"cat /sys/class/net/{device}/address").strip(), "ff:ff:ff:ff:ff:ff"):
            red.run(f"ip neighbour replace {address} lladdr {mac} dev eth0 nud permanent")
            assert not red.reaches(address, count=2)
        red.run(f"ip route delete {address}/32 dev eth0")


def test_either_server_alone_serves_the_same(tenants, model, lab):
    """All servers of a network answer alike: with one stopped, the other gives the same lease."""
    tenant = tenants["blue", "web-1"]
    identifier = model.network(("blue", "web")).id
    nodes = [port.host for port in model.dhcp_ports["blue", "web"]]
    assert len(nodes) == 2
    for node in nodes:
        lab(node).run(f"systemctl stop weft-fabric-dhcp@{identifier}")
        lease = tenant.dhcp()
        lab(node).run(f"systemctl start weft-fabric-dhcp@{identifier}")
        assert lease["new_ip_address"] == tenant.lease["new_ip_address"]


def test_ipv6_by_dhcp_where_the_topology_says_so(tenants, model):
    found = 0
    for (colour, name), tenant in tenants.items():
        for address in model.projects[colour].ports[name].addresses:
            if address.version == 6:
                lease = tenant.dhcp(version=6)
                assert lease["new_ip6_address"] == str(address)
                found += 1
    assert found


def test_a_second_run_changes_nothing_and_loses_nothing(tenants, topology_source, figure):
    first = tenants["red", "web-1"]
    ping = first.ping("web-2")
    second = play("weft.fabric.site", topology_source)
    result = ping.stop()
    figure(f"two_tenants: unchanged site in {second.seconds:.1f} s; 10 ms ping across hosts meanwhile: {result}")
    assert second.changed == []
    assert result.lost == []
    assert result.sent > 100
