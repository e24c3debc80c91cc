# Copyright (c) 2026 weft.fabric contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The tables that stand on the host, by namespace."""

from __future__ import annotations

import contextlib
import typing as t

from ansible_collections.weft.fabric.plugins.module_utils import namespaces_current, netns, nftables_client, rtnetlink
from ansible_collections.weft.fabric.plugins.module_utils.nftables_model import MARK, Key, Table, listed

Tables = t.Dict[Key, Table]
Namespaces = t.Iterable[t.Optional[str]]


def read(wanted: t.Iterable[Key], purge: bool) -> Tables:
    """Return the wanted tables that exist and, for a purge, all of the collection."""
    keys = set(wanted)
    own = _own_namespaces() if purge else []
    found = read_marked(own)
    found.update(_tables({key.namespace for key in keys}.difference(own), keys.__contains__))
    return found


def read_marked(namespaces: t.Optional[Namespaces]) -> Tables:
    """Return the tables of the collection in some namespaces, or in the host and the collection's namespaces.

    In a namespace of somebody else only if it was named: a container may be a host of another fabric.
    """
    return _tables(_own_namespaces() if namespaces is None else namespaces, lambda key: key.name.startswith(MARK))


def read_all(namespaces: t.Optional[Namespaces]) -> Tables:
    """Return the tables of everybody in some namespaces, or everywhere."""
    return _tables([None, *netns.names()[0]] if namespaces is None else namespaces, lambda key: True)


def _own_namespaces() -> t.List[t.Optional[str]]:
    found: t.List[t.Optional[str]] = [None]
    intended = namespaces_current.read_intent().get("namespaces", ())
    for name in netns.names()[0]:
        with contextlib.suppress(FileNotFoundError), netns.entered(name), rtnetlink.Reader() as reader:
            mark = next((link.alias for link in reader.links() if link.name == "lo"), "")
            if namespaces_current.is_mark(mark) or name in intended:
                found.append(name)
    return found


def _tables(namespaces: Namespaces, chosen: t.Callable[[Key], bool]) -> Tables:
    found = {}
    for namespace in sorted(namespaces, key=lambda name: name or ""):
        # It may not be there yet, or be removed at this moment by somebody else.
        with contextlib.suppress(FileNotFoundError), netns.entered(namespace):
            found.update(_of_namespace(namespace, chosen))
    return found


def _of_namespace(namespace: t.Optional[str], chosen: t.Callable[[Key], bool]) -> Tables:
    """Read the chosen tables of the namespace the caller is in. Where there is none, nft is not asked at all."""
    names = {Key(namespace, found.family, found.name): found for found in nftables_client.tables()}
    names = {key: found for key, found in names.items() if chosen(key)}
    awake = {key: found for key, found in names.items() if not found.dormant}
    contents = dict(zip(awake, nftables_client.content(awake.values()) if awake else []))
    return {key: listed(key, contents.get(key)) for key in names}
