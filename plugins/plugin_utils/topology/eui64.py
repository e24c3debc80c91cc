# Copyright (c) 2026 weft.fabric contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""IPv6 interface identifiers that follow from a MAC (RFC 4291, appendix A)."""

from __future__ import annotations

from functools import lru_cache
from ipaddress import IPv6Address

_LINK_LOCAL = 0xFE80 << 112


@lru_cache(maxsize=65536)
def link_local(mac: str) -> IPv6Address:
    """Return the link-local address that a host with this MAC gives itself by default."""
    return IPv6Address(_LINK_LOCAL | interface_identifier(mac))


def interface_identifier(mac: str) -> int:
    """Return the lower 64 bits of an address: the MAC with ff:fe in its middle and the universal bit inverted."""
    value = int(mac.replace(":", ""), 16)
    return ((value >> 24) << 40 | 0xFFFE << 24 | value & 0xFFFFFF) ^ (1 << 57)
