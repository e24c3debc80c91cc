# Copyright (c) 2026 weft.fabric contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Pairs of links, as they are asked for: no name twice, and both ends of one that joins two namespaces."""

from __future__ import annotations

import typing as t

from ansible_collections.weft.fabric.plugins.module_utils.reconcile import FabricError

if t.TYPE_CHECKING:
    from ansible_collections.weft.fabric.plugins.module_utils.namespaces_desired import Link, Namespace

    Namespaces = t.Dict[t.Optional[str], Namespace]


def check(namespaces: "Namespaces") -> None:
    """The host's ends of all veth pairs share one name space with the host's own links."""
    own = namespaces.get(None)
    taken = {name: "the host's own links" for name, link in (own.links if own else {}).items() if link.present}
    for namespace in namespaces.values():
        for link in namespace.links.values():
            if link.peer is None or not link.present or not namespace.present:
                continue
            if link.peer_namespace is not None:
                _check_pair(namespaces, link)
                continue
            if link.peer in taken:
                raise FabricError(
                    "link %s of %s: its peer %s is already named by %s"
                    % (link.name, namespace.name or "the host's own namespace", link.peer, taken[link.peer])
                )
            taken[link.peer] = "link %s of %s" % (link.name, namespace.name or "the host's own namespace")


def _check_pair(namespaces: "Namespaces", link: "Link") -> None:
    """Both ends of a pair between two namespaces must be listed, each as the other's peer."""
    there = namespaces.get(link.peer_namespace)
    other = there.links.get(str(link.peer)) if there is not None and there.present else None
    if other is None or not other.present or (other.peer, other.peer_namespace) != (link.name, link.namespace):
        raise FabricError(
            "link %s of %s: list its peer %s in %s too, with peer: %s and peer_namespace: %s"
            % (link.name, link.namespace, link.peer, link.peer_namespace, link.name, link.namespace)
        )
