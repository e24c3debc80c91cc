# Copyright (c) 2026 weft.fabric contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A topology with routers of each kind, and hosts' answers as their nodes give them."""

from __future__ import annotations

import typing as t

TOPOLOGY = """---
plugin: weft.fabric.topology
physical_networks: {physnet1: {}}
hosts:
  net1:
    roles: [network_node]
    underlay: {address: 198.51.100.11}
    physical_networks: {physnet1: {interface: eth2}}
  net2:
    roles: [network_node]
    underlay: {address: 198.51.100.12}
    physical_networks: {physnet1: {interface: eth2}}
  net3:
    roles: [network_node]
    underlay: {address: 198.51.100.13}
    physical_networks: {physnet1: {interface: eth2}}
  cmp1: {roles: [compute_node], underlay: {address: 198.51.100.21}}
projects:
  admin:
    networks:
      public:
        type: flat
        physical_network: physnet1
        external: true
        subnets: {v4: {cidr: 203.0.113.0/24, enable_dhcp: false}}
  blue:
    networks:
      web: {subnets: {v4: {cidr: 10.0.0.0/24}}}
      db: {subnets: {v4: {cidr: 10.0.1.0/24}}}
      lonely: {subnets: {v4: {cidr: 10.0.2.0/24, enable_dhcp: false}}}
    ports:
      web-1: {network: web, host: cmp1, binding: {kind: veth, namespace: web-1}}
      db-1: {network: db, host: cmp1, binding: {kind: tap}}
    routers:
      r1:
        ha: true
        hosts: [net1, net2]
        external_gateway: {network: admin/public}
        interfaces: [{network: web}, {network: db}]
      r2: {hosts: [net1], interfaces: [{network: lonely, subnet: v4, address: 10.0.2.254}]}
      r3:
        ha: true
        network_nodes: 3
        hosts: [net3, net1, net2]
        interfaces: [{network: db, subnet: v4, address: 10.0.1.253}]
  red:
    networks: {web: {subnets: {v4: {cidr: 10.0.0.0/24}}}}
    ports: {web-1: {network: web, host: cmp1}}
    routers: {r1: {ha: true, hosts: [net2, net1], interfaces: [{network: web}]}}
"""

# The same, but that two routers are distributed, one of which leads nowhere outside.
SPREAD = TOPOLOGY.replace("hosts: [net1, net2]\n", "distributed: true\n        hosts: [net1, net2]\n").replace(
    "r1: {ha: true, hosts: [net2, net1],", "r1: {ha: true, distributed: true,"
)


def router(name: str, *nodes: str, ha: bool = True, parts: t.Sequence[str] = ()) -> dict[str, t.Any]:
    kind = ("HA" if ha else "centralised") if not parts else "HA, distributed" if ha else "distributed"
    return {"name": name, "id": f"id-{name}", "kind": kind, "ha": ha, "nodes": list(nodes), "parts": list(parts)}


def role(state: str | None = "backup", **changes: t.Any) -> dict[str, t.Any]:
    """What a node says of an HA router."""
    return {
        "ha": True,
        "active": state is not None,
        "state": state,
        "since": 1790000000.0,
        "seconds": 300.0,
        "priority": 100,
        "handicap": 0,
        "addresses": [],
        "missing": [],
        "surplus": [],
        "sessions": {"current": 12},
        **changes,
    }


def answer(drained: bool = False, health: dict[str, int] | None = None, **status: t.Any) -> dict[str, t.Any]:
    """What a host answers; a router is named without what its id begins with."""
    return {"drained": drained, "health": health or {}, "status": by_id(status)}


def part(**parts: list[str] | None) -> dict[str, t.Any]:
    """What a host answers that has parts of distributed routers: their addresses, or None for one that is not there."""
    found = {name: {"active": held is not None, "addresses": held or []} for name, held in parts.items()}
    return {**answer(), "parts": by_id(found)}


def by_id(values: dict[str, t.Any]) -> dict[str, t.Any]:
    return {f"id-{name.replace('_', '/')}": value for name, value in values.items()}
