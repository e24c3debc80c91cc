# Copyright (c) 2026 weft.fabric contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a topology file may say of ports, wherever they are. Part of schema.py."""

from __future__ import annotations

from . import kinds
from .kinds import Address
from .shapes import Attribute as A
from .shapes import Resource

FIXED_IP = Resource(
    "fixed IP",
    (
        A("subnet", kinds.NAME, "A subnet of the network. That of the address when not given."),
        A("address", Address(), "The address. Allocated when not given."),
    ),
)
