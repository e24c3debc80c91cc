# Copyright (c) 2026 weft.fabric contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the hosts answered, out of the variables that their tasks left."""

from __future__ import annotations

import typing as t

from ansible_collections.weft.fabric.plugins.plugin_utils.routers.judge import Answers


def collect(hostvars: t.Mapping[str, t.Any], hosts: t.Iterable[str], variable: str) -> Answers:
    """Return what each host answered, None for one that did not: it was out of reach, or out of a --limit."""
    return {host: _answer(hostvars, host, variable) for host in hosts}


def _answer(hostvars: t.Mapping[str, t.Any], host: str, variable: str) -> t.Mapping[str, t.Any] | None:
    found = hostvars[host].get(variable) if host in hostvars else None
    return found if found and "status" in found else None
