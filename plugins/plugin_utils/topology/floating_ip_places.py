# Copyright (c) 2026 weft.fabric contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where a floating IP of a distributed router is translated: with its port, if that is possible.

It is not where the port is on no host, where its host does not reach the external network, and where the address inside
may be held by several ports (address pairs): the network node has it then, as it has all those of other routers.
"""

from __future__ import annotations

from .claims import Claims
from .model import FloatingIp, Port, Topology

_Key = tuple[str, str]


def place_floating_ips(topology: Topology) -> None:
    """Fill in the host of every floating IP that is translated with its port. Their routers must be known."""
    claims: dict[_Key, Claims] = {}
    for floating_ip in topology.floating_ips():
        floating_ip.host = None
        port = _port_behind(topology, floating_ip)
        if port is None or floating_ip.fixed_address is None:
            continue
        key = (port.project, port.network)
        if key not in claims:
            claims[key] = Claims(topology.ports_by_network[key])
        if not claims[key].contest(floating_ip.fixed_address, port):
            floating_ip.host = port.host


def _port_behind(topology: Topology, floating_ip: FloatingIp) -> Port | None:
    """Return the port of a floating IP, if a distributed router is with it and the external network too."""
    if floating_ip.router is None or floating_ip.port is None:
        return None
    router = topology.router(floating_ip.router)
    port = topology.projects[floating_ip.project].ports[floating_ip.port]
    if port.host is None or port.host not in router.places:
        return None
    return port if topology.hosts[port.host].reaches(topology.network(floating_ip.network)) else None
