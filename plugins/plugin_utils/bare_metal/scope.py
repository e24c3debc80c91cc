# Copyright (c) 2026 weft.fabric contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which nodes a verb is about. Pure."""

from __future__ import annotations

import difflib
import typing as t

Item = t.Mapping[str, t.Any]

#: what a verb is about when nothing is named: all nodes, those whose server has one or the other, or nothing at all
WITHOUT_NAMES = {"status": "all", "deploy": "image", "boot_from_volume": "volume"}


class ScopeError(Exception):
    """A name is not known, or one is needed."""


def server_name(node: Item) -> str | None:
    """Return project and name of a node's server."""
    server = node.get("server")
    return f"{server['project']}/{server['name']}" if server else None


def select(
    nodes: t.Mapping[str, Item],
    verb: str,
    servers: t.Sequence[str] = (),
    names: t.Sequence[str] = (),
    limited: bool = False,
) -> list[str]:
    """Return the names of the nodes that a verb is about, in the order of the topology.

    nodes are those that the limit of the run leaves, limited is whether there is one.
    """
    by_server = {found: name for name, node in nodes.items() if (found := server_name(node))}
    chosen = [_lookup("server", wanted, by_server, "PROJECT/SERVER") for wanted in servers]
    chosen += [_lookup("node", wanted, {name: name for name in nodes}, "NODE") for wanted in names]
    if chosen:
        return [name for name in nodes if name in chosen]
    if verb not in WITHOUT_NAMES and not limited:
        raise ScopeError("which node? Say -e server=PROJECT/SERVER, -e node=NODE, or limit the run to nodes (-l)")
    has = WITHOUT_NAMES.get(verb)
    if has not in ("image", "volume"):
        return list(nodes)
    return [name for name, node in nodes.items() if (node.get("server") or {}).get(has)]


def payloads(nodes: t.Iterable[Item]) -> dict[str, list[Item]]:
    """Return the images that each boot server has to have for nodes, each once."""
    found: dict[str, dict[str, Item]] = {}
    for node in nodes:
        images = found.setdefault(node["boot_server"]["host"], {})
        image = (node.get("server") or {}).get("image") or {}
        # One whose checksum is not there yet cannot be served: whoever wants to write it is told.
        if image.get("served"):
            images[image["served"]] = image
    return {host: [images[name] for name in sorted(images)] for host, images in found.items()}


def firsts(nodes: t.Iterable[Item]) -> list[str]:
    """Return one node for each boot server."""
    found: dict[str, str] = {}
    for node in nodes:
        found.setdefault(node["boot_server"]["host"], node["name"])
    return list(found.values())


def _lookup(noun: str, wanted: str, known: t.Mapping[str, str], shape: str) -> str:
    if wanted in known:
        return known[wanted]
    same = [name for name in known if name.partition("/")[2] == wanted]
    near = same if len(same) == 1 else difflib.get_close_matches(wanted, known, 1)
    hint = f": did you mean {near[0]}?" if near else f". Say -e {noun}={shape}; there are {', '.join(known) or 'none'}"
    raise ScopeError(f"there is no {noun} {wanted!r}{hint}")
