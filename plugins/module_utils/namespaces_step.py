# Copyright (c) 2026 weft.fabric contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The smallest parts of a change to namespaces and links, and the order they go in."""

from __future__ import annotations

import typing as t

WAIT = 0  # for devices that somebody else is about to make
REPLACE = 1  # removes what stands in the way
CREATE = 2
MOVE = 3  # takes a link from one namespace to another
KERNEL = 4  # what ip cannot do: sysctls, offloads, owners
SETTINGS = 5
FINISH = 6  # what the kernel is told when addresses are where they belong
REMOVE = 7  # the old goes last


class Step(t.NamedTuple):
    """A part of an operation.

    action ip: a line for ip; ip6: a line for ip -6; del_link: remove the device; wait: for the device;
    sysctl, owner and tx_checksum: set to value.
    """

    phase: int
    namespace: t.Optional[str]
    action: str
    text: str
    value: str = ""


def place(name: t.Optional[str]) -> str:
    """Return how messages name a namespace."""
    return "the host" if name is None else name
