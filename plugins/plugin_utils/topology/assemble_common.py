# Copyright (c) 2026 weft.fabric contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What several kinds of resources have in common when they are read. Part of assemble.py."""

from __future__ import annotations

import re

from .checker import Read
from .model import FixedIp


def fixed_ips(given: Read) -> list[FixedIp]:
    """Return the fixed IPs that a port, a gateway or a server's network has been given."""
    return [
        FixedIp(item.get("subnet", ""), item.get("address"), "address" in item) for item in given.get("fixed_ips") or ()
    ]


def dns_label(name: str) -> str:
    """Return a resource's name as a host name: DNS knows no '_' and a '.' would make two labels."""
    return re.sub(r"[._]", "-", name).rstrip("-")
