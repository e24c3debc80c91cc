# Copyright (c) 2026 weft.fabric contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whose an address is: its port's, unless address pairs let others hold it as well (VRRP between machines)."""

from __future__ import annotations

import typing as t

from .model import IPAddress, IPNetwork, Port


class Claims:
    """The address pairs of a network's ports: who may hold an address besides its owner."""

    def __init__(self, ports: t.Iterable[Port]) -> None:
        self._single: dict[IPAddress, list[tuple[Port, str]]] = {}
        self._ranges: list[tuple[IPNetwork, Port, str]] = []
        for port in ports:
            for pair in port.allowed_address_pairs:
                mac = pair.mac_address or port.mac_address
                if pair.cidr.prefixlen == pair.cidr.max_prefixlen:
                    self._single.setdefault(pair.cidr.network_address, []).append((port, mac))
                else:
                    self._ranges.append((pair.cidr, port, mac))

    def contest(self, address: IPAddress, owner: Port) -> bool:
        """Tell whether somebody but the owner, or the owner with another MAC, may hold an address."""
        holders = self._single.get(address, []) + [(port, mac) for cidr, port, mac in self._ranges if address in cidr]
        return any(port.name != owner.name or mac != owner.mac_address for port, mac in holders)
