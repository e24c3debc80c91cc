# Copyright (c) 2026 weft.fabric contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The tables of a host, in the shape the nftables module takes."""

from __future__ import annotations

import typing as t

from ansible_collections.weft.fabric.plugins.module_utils import nftables_current


def describe(
    names: t.Optional[t.List[str]], namespaces: t.Optional[t.List[str]], everything: bool
) -> t.List[t.Dict[str, t.Any]]:
    """Return the tables of these names and in these namespaces; only those of the collection unless asked for all."""
    read = nftables_current.read_all if everything else nftables_current.read_marked
    return [
        {"namespace": key.namespace, "family": key.family, "name": key.name, "content": table.content}
        for key, table in read(namespaces).items()
        if names is None or key.name in names
    ]
