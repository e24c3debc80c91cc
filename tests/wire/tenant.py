# Copyright (c) 2026 weft.fabric contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A tenant's machine: a namespace on a compute node that gets its address as any machine does, by DHCP."""

from __future__ import annotations

import json
import typing as t

from ansible_collections.weft.fabric.plugins.plugin_utils.topology.model import Topology

from .lab import Capture, Host, Ping, reachable, wait_for

# The reason dhclient gives decides what is set; the environment is kept for the tests to look at.
DHCLIENT_SCRIPT = r"""#!/bin/sh
case "$reason" in
BOUND|RENEW|REBIND|REBOOT)
    env | sort > "/run/weft-t-lease-$namespace-4"
    ip address replace "$new_ip_address/$new_subnet_mask" dev "$interface"
    [ -z "$new_interface_mtu" ] || ip link set "$interface" mtu "$new_interface_mtu"
    for router in $new_routers; do ip route replace default via "$router" dev "$interface"; done
    { [ -z "$new_domain_name" ] || echo "search $new_domain_name"
      for server in $new_domain_name_servers; do echo "nameserver $server"; done
    } > "/etc/netns/$namespace/resolv.conf"
    ;;
BOUND6|RENEW6|REBIND6)
    env | sort > "/run/weft-t-lease-$namespace-6"
    [ -z "$new_ip6_address" ] || ip -6 address replace "$new_ip6_address/64" dev "$interface" nodad
    ;;
esac
exit 0
"""

DHCLIENT_CONF = """
option rfc3442-classless-static-routes code 121 = array of unsigned integer 8;
option ms-classless-static-routes code 249 = array of unsigned integer 8;
request subnet-mask, routers, domain-name, domain-name-servers, domain-search, interface-mtu, ntp-servers,
        rfc3442-classless-static-routes, ms-classless-static-routes, dhcp6.name-servers, dhcp6.domain-search;
timeout 20;
retry 2;
"""


class Tenant:
    """One tenant's machine."""

    def __init__(self, host: Host, namespace: str, interface: str = "eth0") -> None:
        self.host = host
        self.namespace = namespace
        self.interface = interface
        self.lease: dict[str, str] = {}

    def __str__(self) -> str:
        return f"{self.namespace}@{self.host.name}"

    def run(self, command: str, **arguments: t.Any) -> str:
        return self.host.run(f"ip netns exec {self.namespace} {command}", **arguments)

    def dhcp(self, version: int = 4, stateless: bool = False) -> dict[str, str]:
        """Get a lease and return what the server said, by dhclient's names."""
        name = f"{self.namespace}-{version}"
        self.host.run(f"mkdir -p /etc/netns/{self.namespace}; touch /etc/netns/{self.namespace}/resolv.conf")
        self.host.run("cat > /run/weft-t-script && chmod +x /run/weft-t-script", stdin=DHCLIENT_SCRIPT)
        self.host.run("cat > /run/weft-t-conf", stdin=DHCLIENT_CONF)
        self.host.run(f"rm -f /run/weft-t-lease-{name}")
        # DUID-LL, as a machine that keeps its DUID over reboots: the lease belongs to the DUID.
        kind = {(4, False): "-4", (6, False): "-6 -D LL", (6, True): "-6 -D LL -S"}[version, stateless]
        self.run(
            f"dhclient {kind} -1 -v -e namespace={self.namespace}"
            f" -sf /run/weft-t-script -cf /run/weft-t-conf -lf /run/weft-t-{name}.leases -pf /run/weft-t-{name}.pid"
            f" {self.interface}",
            seconds=60,
        )
        text = self.host.run(f"cat /run/weft-t-lease-{name}")
        self.host.run(f"kill $(cat /run/weft-t-{name}.pid); rm -f /run/weft-t-{name}.pid /run/weft-t-{name}.leases")
        lease = dict(line.split("=", 1) for line in text.splitlines() if "=" in line)
        if version == 4:
            self.lease = lease
        return lease

    def addresses(self) -> list[str]:
        """Return the addresses the machine has, link-local ones left out."""
        words = self.run(f"ip -o address show dev {self.interface} scope global").split()
        return [word.split("/")[0] for key, word in zip(words, words[1:], strict=False) if key in ("inet", "inet6")]

    def mac(self) -> str:
        return self.run(f"cat /sys/class/net/{self.interface}/address").strip()

    def reaches(self, target: str, count: int = 3) -> bool:
        return reachable(self.host, self.namespace, target, count)

    def ping(self, target: str) -> Ping:
        return Ping(self.host, self.namespace, target).wait_first()

    def capture(self, expression: str = "") -> Capture:
        return Capture(self.host, self.interface, expression, self.namespace)

    def throughput(self, server: Tenant, target: str, seconds: int = 2) -> float:
        """Send TCP to another machine, and return Mbit/s at the receiver."""
        process = server.host.start(f"ip netns exec {server.namespace} iperf3 -s -1 -p 5201")
        wait_for("iperf3", lambda: ":5201" in server.run("ss -ltnH"), 10)
        text = self.run(f"iperf3 -J -c {target} -p 5201 -t {seconds}", seconds=seconds + 30)
        process.stop()
        return json.loads(text)["end"]["sum_received"]["bits_per_second"] / 1e6


def boot_all(lab: t.Callable[[str], Host], model: Topology) -> dict[tuple[str, str], Tenant]:
    """Return every machine of a topology that is a namespace, by project and port, with its address by DHCP."""
    found = {}
    for project in model.projects.values():
        for port in project.ports.values():
            if port.host is not None and port.binding.namespace is not None:
                tenant = Tenant(lab(port.host), port.binding.namespace)
                tenant.dhcp()
                found[project.name, port.name] = tenant
    return found
