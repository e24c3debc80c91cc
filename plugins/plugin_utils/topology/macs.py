# Copyright (c) 2026 weft.fabric contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""MAC addresses as numbers, and the ranges that those we choose come from."""

from __future__ import annotations

import typing as t

# Neutron's base MAC: the first three bytes of every MAC we choose for a port.
MAC_PREFIX = 0xFA163E << 24
# Neutron's dvr_base_mac: those of the hosts' distributed routers, so that they never meet a port's.
DVR_MAC_PREFIX = 0xFA163F << 24
MAC_COUNT = 2**24 - 1


def mac_text(number: int) -> str:
    text = f"{number:012x}"
    return ":".join(text[i : i + 2] for i in range(0, 12, 2))


def mac_number(value: t.Any) -> int | None:
    try:
        return int(value.replace(":", ""), 16) if len(value) == 17 else None
    except (AttributeError, ValueError, TypeError):
        return None
