# Copyright (c) 2026 weft.fabric contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Every kind of network carries its frames in its own way, and every kind of port is on its network."""

from __future__ import annotations

import re

import pytest

from ansible_collections.weft.fabric.plugins.plugin_utils.topology.build import build
from ansible_collections.weft.fabric.tests.wire.lab import Capture, reachable, wait_for
from ansible_collections.weft.fabric.tests.wire.machine import TapMachine
from ansible_collections.weft.fabric.tests.wire.plays import play
from ansible_collections.weft.fabric.tests.wire.tenant import Tenant

# What a capture on the underlay (or the physical network) shows of a frame of each type.
CARRIER = {
    "gre": ("eth1", "ip proto 47", r"GREv0.*key=0x{number:x},.*ICMP echo"),
    "geneve": ("eth1", "udp port 6081", r"Geneve.*vni 0x{number:x}.*ICMP echo"),
    "vlan": ("eth2", "vlan", r"vlan {number},.*ICMP echo"),
    "flat": ("eth2", "not vlan", r"ethertype IPv4.*ICMP echo"),
}


@pytest.fixture(scope="module")
def model(topology_source):
    return build(str(topology_source))


@pytest.fixture(scope="module")
def tenant(lab, model):
    """Return a function that gives a port's machine, with its addresses set by hand where no DHCP serves."""
    made = {}

    def get(name):
        if name not in made:
            port = model.projects["green"].ports[name]
            network = model.network(("green", port.network))
            made[name] = Tenant(lab(port.host), port.binding.namespace, port.binding.interface or "eth0")
            for fixed in port.fixed_ips:
                subnet = network.subnets[fixed.subnet]
                if not subnet.enable_dhcp:
                    own = f"{fixed.address}/{subnet.cidr.prefixlen}"
                    made[name].run(f"ip address replace {own} dev {made[name].interface}")
        return made[name]

    return get


@pytest.fixture(scope="module")
def address(model):
    return lambda name, version=4: next(
        str(a) for a in model.projects["green"].ports[name].addresses if a.version == version
    )


@pytest.mark.parametrize("kind", sorted(CARRIER))
def test_each_type_carries_its_frames_in_its_own_way(lab, model, tenant, address, kind):
    if kind == "vlan":
        for name in ("vlan-1", "vlan-2"):
            tenant(name).dhcp()
    first, _second = tenant(f"{kind}-1"), tenant(f"{kind}-2")
    interface, expression, pattern = CARRIER[kind]
    number = model.network(("green", kind)).segmentation_id or 0
    capture = Capture(lab("cmp1"), interface, expression)
    assert first.reaches(address(f"{kind}-2"))
    frames = [line for line in capture.stop() if "ICMP echo" in line]
    assert frames
    wanted = re.compile(pattern.format(number=number))
    assert all(wanted.search(line) for line in frames), frames[:3]


@pytest.mark.parametrize("kind", ["gre", "geneve", "vlan", "flat"])
def test_tcp_passes_on_each_type(tenant, address, kind):
    first, second = tenant(f"{kind}-1"), tenant(f"{kind}-2")
    assert first.throughput(second, address(f"{kind}-2"), seconds=1) > 1


def test_a_flat_network_reaches_the_outside_world(tenant):
    assert tenant("flat-1").reaches("203.0.113.1")


def test_other_networks_do_not_reach_the_outside_world(lab, tenant, address):
    capture = Capture(lab("world"), "eth2", "")
    gre = tenant("gre-1")
    gre.run("arping -c 2 -w 2 -I eth0 10.1.0.222 || true")
    assert [line for line in capture.stop() if gre.mac() in line] == []


def test_a_vlan_of_the_physical_network_reaches_the_fabric_and_another_does_not(lab, tenant, address, model):
    """The world tags frames by itself; only VLAN 200 is the network's."""
    world = lab("world")
    world.run(
        "ovs-vsctl add-br weft-t-world -- set bridge weft-t-world datapath_type=netdev"
        " -- add-port weft-t-world eth2"
        " -- add-port weft-t-world weft-t-200 tag=200 -- set interface weft-t-200 type=internal"
        " -- add-port weft-t-world weft-t-201 tag=201 -- set interface weft-t-201 type=internal"
    )
    try:
        world.run("ip address add 10.3.0.1/24 dev weft-t-200; ip link set weft-t-200 up")
        wait_for("VLAN 200", lambda: world.try_run(f"ping -n -c 1 -W 1 {address('vlan-1')}").returncode == 0, 10)
        world.run("ip address flush dev weft-t-200; ip address add 10.3.0.1/24 dev weft-t-201")
        world.run("ip link set weft-t-201 up")
        assert world.try_run(f"ping -n -c 2 -W 1 {address('vlan-1')}").returncode != 0
    finally:
        world.run("ovs-vsctl del-br weft-t-world")


def test_ipv6_stateful_and_stateless(tenant, model, address):
    first, second = tenant("six-1"), tenant("six-2")
    for machine, name in ((first, "six-1"), (second, "six-2")):
        lease = machine.dhcp(version=6)
        stateful = [str(ip.address) for ip in model.projects["green"].ports[name].fixed_ips if ip.subnet == "six-v6"]
        assert [lease["new_ip6_address"]] == stateful
        assert "six.example" in lease["new_dhcp6_domain_search"]
        assert lease["new_dhcp6_name_servers"]
    other = [str(ip.address) for ip in model.projects["green"].ports["six-2"].fixed_ips if ip.subnet == "six-v6"][0]
    assert first.reaches(other)


def test_dhcp_options(tenant):
    first = tenant("options-1").dhcp()
    second = tenant("options-2").dhcp()
    for lease in (first, second):
        assert lease["new_domain_name_servers"] == "192.0.2.53"
        assert lease["new_ntp_servers"] == "192.0.2.123"
        assert lease["new_routers"] == "10.4.0.1"
        # RFC 3442: 16 bits of 10.99, then the next hop; a default route, as clients that read 121 ignore option 3.
        for name in ("new_rfc3442_classless_static_routes", "new_ms_classless_static_routes"):
            assert "16 10 99 10 4 0 254" in lease[name]
            assert "0 10 4 0 1" in lease[name]
    capture = tenant("options-1").capture("udp port 67")
    tenant("options-1").dhcp()
    capture.stop()


def test_unknown_macs_are_learned_where_the_network_says_so(tenant, lab, address, model):
    """A second machine behind learning-1, with a MAC nobody knows, is reached; on the others it is not."""
    first, second, third = (tenant(f"learning-{n}") for n in (1, 2, 3))
    first.run("ip link add weft-t-mv link eth0 type macvlan mode bridge")
    try:
        first.run("ip link set weft-t-mv address 02:00:00:00:00:77 up")
        first.run("ip address add 10.5.0.77/24 dev weft-t-mv")
        first.run("ip address flush dev eth0")
        assert second.reaches("10.5.0.77")
        capture = third.capture("icmp and ether dst 02:00:00:00:00:77")
        second.run("ping -n -c 5 -i 0.2 10.5.0.77")
        assert len(capture.stop()) <= 1, "learned unicast is still flooded"
    finally:
        first.run("ip link delete weft-t-mv")
        first.run(f"ip address replace {address('learning-1')}/24 dev eth0")


def test_a_tap_carries_what_its_machine_sends(lab, model, tenant, address):
    port = model.projects["green"].ports["kinds-tap"]
    machine = TapMachine(lab("cmp1"), f"tap{port.id[:11]}", port.mac_address, f"{address('kinds-tap')}/24")
    try:
        tenant("kinds-veth")
        wait_for(
            "the machine behind the tap",
            lambda: reachable(lab("cmp1"), machine.namespace, address("kinds-veth"), 1),
            10,
        )
    finally:
        machine.stop()


def test_an_internal_port_is_on_its_network(lab, model, tenant, address):
    host = lab("cmp1")
    port = model.projects["green"].ports["kinds-internal"]
    device = f"int{port.id[:11]}"
    tenant("kinds-veth")
    assert host.run(f"cat /sys/class/net/{device}/address").strip() == port.mac_address
    host.run(f"ip address replace {address('kinds-internal')}/24 dev {device}; ip link set {device} up")
    try:
        assert host.try_run(f"ping -n -c 3 -i 0.2 -W 1 -I {device} {address('kinds-veth')}").returncode == 0
    finally:
        host.run(f"ip address flush dev {device}")


def test_an_interface_plugged_later_is_wired_without_ansible(lab, model, tenant, address, topology_source):
    """As libvirt does: plug in, unplug, plug in again under another name."""
    host = lab("cmp2")
    port = model.projects["green"].ports["kinds-plugged"]
    tenant("kinds-veth")
    host.run("ip netns add weft-t-plug")
    try:
        for device in ("weft-t-v1", "weft-t-v2"):
            host.run(
                f"ip link add {device} type veth peer name eth0 netns weft-t-plug;"
                f"ip -n weft-t-plug link set eth0 address {port.mac_address} mtu 1400 up;"
                f"ip -n weft-t-plug address add {address('kinds-plugged')}/24 dev eth0;"
                f"ip netns exec weft-t-plug ethtool -K eth0 tx off; ip link set {device} up;"
                f"ovs-vsctl add-port br-int {device} -- set interface {device}"
                f" external_ids:iface-id={port.binding.iface_id}"
            )
            wait_for(
                "the plugged interface to be wired",
                lambda: reachable(host, "weft-t-plug", address("kinds-veth"), 1),
                20,
            )
            assert play("weft.fabric.site", topology_source).changed == []
            host.run(f"ovs-vsctl del-port {device}; ip link delete {device}")
    finally:
        host.run(
            "ip netns delete weft-t-plug; for device in weft-t-v1 weft-t-v2; do"
            " ovs-vsctl --if-exists del-port $device; ip link delete $device 2>/dev/null; done; true"
        )


def test_an_address_shared_by_two_ports_follows_its_holder(lab, tenant, address):
    """As a VRRP pair of a tenant does: the address moves with a gratuitous ARP, and back."""
    first, second = tenant("kinds-veth"), tenant("kinds-pair")
    for holder, other in ((first, second), (second, first)):
        holder.run("ip address add 10.6.0.200/24 dev eth0")
        holder.run("arping -U -c 2 -w 2 -I eth0 10.6.0.200 || true")
        assert other.reaches("10.6.0.200")
        holder.run("ip address delete 10.6.0.200/24 dev eth0")
        other.run("ip neighbour flush dev eth0")
    assert not second.reaches("10.6.0.200", 1)


def test_ipv6_underlay_in_place(tenant, address, topology, lab, figure):
    """The underlay moves to IPv6 by editing the file; the tenants go on, and no IPv4 tunnel is left."""
    text = topology.read_text(encoding="utf-8")
    edited = re.sub(r"address: 198\.51\.100\.(1\d)/24", r'address: "2001:db8:100::\1/64"', text)
    assert edited != text
    topology.write_text(edited, encoding="utf-8")
    done = play("weft.fabric.site", topology)
    figure(f"network_types: underlay from IPv4 to IPv6 in {done.seconds:.1f} s")
    capture = Capture(lab("cmp1"), "eth1", "ip6")
    for kind in ("gre", "geneve"):
        tenant(f"{kind}-1")
        # The kernel looks for duplicates of the new address before it lets it be used (RFC 4862).
        wait_for(f"{kind} over IPv6", lambda kind=kind: tenant(f"{kind}-1").reaches(address(f"{kind}-2")), 10)
    assert capture.stop()
    assert "198.51.100." not in lab("cmp1").run("ovs-vsctl --columns=options list Interface")
    assert play("weft.fabric.site", topology).changed == []
    topology.write_text(text, encoding="utf-8")
    play("weft.fabric.site", topology)
    assert tenant("gre-1").reaches(address("gre-2"))
