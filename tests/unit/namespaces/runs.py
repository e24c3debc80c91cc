# Copyright (c) 2026 weft.fabric contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Running the engine the way a play does, and a small fabric to run it on."""

from __future__ import annotations

import json
import os
import typing as t

from ansible_collections.weft.fabric.plugins.module_utils.namespaces import NamespacesEngine
from ansible_collections.weft.fabric.plugins.module_utils.reconcile import reconcile
from ansible_collections.weft.fabric.tests.unit.namespaces.private_network import ask, ip, links

Item = dict[str, t.Any]


def run(*namespaces: Item, purge: bool = False, check_mode: bool = False) -> dict[str, t.Any]:
    """Reconcile once."""
    return reconcile(NamespacesEngine({"namespaces": list(namespaces), "purge": purge}), check_mode)


def changes(*namespaces: Item, purge: bool = False) -> list[str]:
    """Reconcile as a play does: predict, do, and find nothing left to do. Return what was changed."""
    predicted = run(*namespaces, purge=purge, check_mode=True)
    done = run(*namespaces, purge=purge)
    assert done == predicted, "check mode predicted something else"
    for check_mode in (True, False):
        again = run(*namespaces, purge=purge, check_mode=check_mode)
        assert not again["changed"], f"the second run changed {again['changes']}"
    return t.cast("list[str]", done["changes"])


def veth(name: str = "eth0", peer: str = "tap1", **options: t.Any) -> Item:
    return {"name": name, "kind": "veth", "peer": peer, **options}


def tap(name: str = "tap9", **options: t.Any) -> Item:
    return {"name": name, "kind": "tap", **options}


def existing(name: str, **options: t.Any) -> Item:
    return {"name": name, "kind": "existing", **options}


def inside(*links: Item, name: str = "weft-t-a", **options: t.Any) -> Item:
    return {"name": name, "links": list(links), **options}


def outside(*links: Item, **options: t.Any) -> Item:
    return {"links": list(links), **options}


MAC = "fa:16:3e:00:00:01"
FULL = veth(mac=MAC, mtu=1450, addresses=["10.0.0.2/24", "fd00::2/64"], resource="ports/blue/web-1")


def routes(namespace: str | None = None, family: str = "-4", table: str = "main") -> set[tuple[str, ...]]:
    """Return the routes the collection made, or anybody but the kernel."""
    found = ask(f"route show table {table}", namespace, family)
    return {
        (route["type"], route["dst"], route.get("gateway", ""), route.get("dev", ""))
        for route in found
        if route["protocol"] not in ("kernel", "ra")
    }


def neighbour(address: str) -> Item:
    return {"ip": address, "mac": "02:00:00:00:00:09", "dev": "eth0"}


def make_foreign() -> None:
    ip(
        "netns add foreign",
        "link add keep type bridge",
        "link add other netns foreign type veth peer name other-p",
        "addr add 192.0.2.1/24 dev keep",
        "link set keep up",
        "route add 203.0.113.0/24 via 192.0.2.9",
        "neigh add 192.0.2.7 lladdr 02:00:00:00:00:07 dev keep nud permanent",
        "rule add priority 7 from 192.0.2.0/24 table 7",
    )


def foreign_state() -> str:
    return json.dumps(
        [
            {name: (sorted(link["global"]), link["flags"]) for name, link in links().items()},
            sorted(links("foreign")),
            sorted(routes()),
            ask("neigh show nud permanent"),
            ask("rule show"),
        ]
    )


def picture() -> dict[str, t.Any]:
    """Return all that stands, without what differs by chance."""
    found: dict[str, t.Any] = {}
    for name in [None, *sorted(os.listdir("/run/netns"))]:
        if name is not None and os.stat(f"/run/netns/{name}").st_dev != os.stat("/proc/self/ns/net").st_dev:
            found[name] = "broken"
            continue
        present = ask("addr show", name)
        found[str(name)] = {
            link["ifname"]: [
                link["mtu"],
                "UP" in link["flags"],
                link.get("ifalias"),
                link["address"] if link["ifname"] == "eth0" else None,
                sorted(entry["local"] for entry in link["addr_info"] if entry["scope"] == "global"),
            ]
            for link in present
        }
        found[f"routes of {name}"] = sorted(routes(name))
    return found
