# Copyright (c) 2026 weft.fabric contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What must be left when the collection has gone: nothing of its own, and everything of others.

Seen by other eyes than the collection's own.
"""

from __future__ import annotations

import typing as t

from .lab import Host

# Everything the collection could have left behind.
LEFT_BEHIND = r"""
ip netns list
ip -o link | grep -v -E ' (lo|eth[0-9]|ovs-netdev)[:@]' || true
ovs-vsctl --columns=name --no-headings list Bridge
ls -A /var/lib/weft-fabric /usr/lib/weft-fabric /usr/local/lib/weft-fabric /etc/weft-fabric \
    /etc/systemd/system /run 2>/dev/null | grep weft | grep -v weft-t- || true
pgrep -a 'dnsmasq|keepalived|conntrackd|radvd' || true
nft list tables
systemctl list-units --all --no-legend 'weft-fabric*'
"""

# What routers and networks consist of. A host without any of it still has its bridges and tunnels.
OF_PROJECTS = r"""
ip netns list | grep -v weft-t-ns || true
ip -o link | grep -E ' (tap|qr-|qg-|ha-|sg-|fg-|rfp-|fpr-)' || true
ovs-vsctl list-ports br-int | grep -v -E '^(patch-tun|int-)' || true
pgrep -a 'keepalived|conntrackd|radvd' || true
pgrep -a dnsmasq | grep -v -E '/dev/null' || true
systemctl list-units --all --no-legend 'weft-fabric-vrrp@*' 'weft-fabric-conntrackd*' 'weft-fabric-ra@*' \
    'weft-fabric-dhcp@*' 'weft-fabric-health*'
ls -A /run/weft-fabric-vrrp /run/weft-fabric-health /var/lib/weft-fabric/vrrp /var/lib/weft-fabric/ra \
    /var/lib/weft-fabric/health 2>/dev/null | grep -v -E ':$|^$' || true
nft list tables | grep -v somebodys || true
"""

# One of each kind that the collection makes, without its mark.
FOREIGN_UP = r"""
ovs-vsctl --may-exist add-br weft-t-br -- set bridge weft-t-br datapath_type=netdev
ovs-ofctl add-flow weft-t-br cookie=0x77,priority=7,actions=normal
ovs-ofctl add-flow br-int cookie=0x77,table=99,priority=7,actions=drop
ip netns add weft-t-ns
ip -n weft-t-ns link set lo up
ip link add weft-t-veth type veth peer name eth9 netns weft-t-ns
ip -n weft-t-ns address add 192.0.2.200/25 dev eth9
ip -n weft-t-ns link set eth9 up
ip -n weft-t-ns route add 192.0.2.128/26 dev eth9 proto 18
ip netns exec weft-t-ns dnsmasq --conf-file=/dev/null --pid-file=/run/weft-t-dnsmasq.pid --port=0 \
    --interface=eth9 --dhcp-range=192.0.2.210,192.0.2.220 --dhcp-leasefile=/run/weft-t-leases
for inside in "" "ip netns exec weft-t-ns"; do
    $inside nft add table inet somebodys
    $inside nft add map inet somebodys fip_dnat '{ type ipv4_addr : ipv4_addr ; }'
    $inside nft add element inet somebodys fip_dnat '{ 192.0.2.201 : 192.0.2.202 }'
    $inside nft add chain inet somebodys prerouting '{ type nat hook prerouting priority -90 ; }'
    $inside nft add rule inet somebodys prerouting dnat ip to ip daddr map @fip_dnat
done
"""
FOREIGN_STATE = r"""
ovs-vsctl --columns=name,datapath_type,ports,external_ids list Bridge weft-t-br
ovs-ofctl --no-stats dump-flows weft-t-br
ip -n weft-t-ns -o address show
ip -n weft-t-ns route show
ip -o link show weft-t-veth
cat /proc/$(cat /run/weft-t-dnsmasq.pid)/cmdline | tr '\0' ' '; cat /run/weft-t-dnsmasq.pid
nft -a list table inet somebodys
ip netns exec weft-t-ns nft -a list table inet somebodys
"""
FOREIGN_FLOWS = "ovs-ofctl --no-stats dump-flows br-int cookie=0x77/-1"
FOREIGN_DOWN = r"""
kill $(cat /run/weft-t-dnsmasq.pid); ip netns delete weft-t-ns; ip link delete weft-t-veth 2>/dev/null
ovs-vsctl --if-exists del-br weft-t-br; ovs-ofctl del-flows br-int cookie=0x77/-1 2>/dev/null
nft delete table inet somebodys; rm -f /run/weft-t-leases
"""


class Foreign:
    """Somebody else's things on hosts."""

    def __init__(self, hosts: t.Iterable[Host]) -> None:
        self.hosts = list(hosts)
        self._before: dict[tuple[str, str], str] = {}
        for host in self.hosts:
            host.run(FOREIGN_UP)
            for question in (FOREIGN_STATE, FOREIGN_FLOWS):
                self._before[host.name, question] = host.run(question)

    def check(self, bridge_stands: bool = True) -> None:
        """See that they stand as they were; with br-int, the flow that somebody had put there has gone too."""
        for host in self.hosts:
            for question in (FOREIGN_STATE, FOREIGN_FLOWS) if bridge_stands else (FOREIGN_STATE,):
                after = host.run(question)
                before = self._before[host.name, question]
                assert after == before, f"somebody else's things on {host.name} were touched:\n{before}\nnow:\n{after}"

    def remove(self) -> None:
        for host in self.hosts:
            host.try_run(FOREIGN_DOWN)
