# Copyright (c) 2026 weft.fabric contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Limits of the machine's kernel that a lab needs higher: raised when it comes up, put back when it goes."""

from __future__ import annotations

from pathlib import Path

from weft_lab.definition import Lab
from weft_lab.system import progress

INOTIFY = Path("/proc/sys/fs/inotify/max_user_instances")
# A booted host takes about five; below this many hosts the kernel's default of 128 is enough.
INOTIFY_PER_HOST = 6
INOTIFY_RAISED = 1024
# Open vSwitch's userspace datapath opens its sockets with this much room. Where images are fetched through it, the
# kernel's default drops so much that TCP sends every third segment again.
SOCKET_ROOM = Path("/proc/sys/net/core/rmem_default")
SOCKET_ROOM_RAISED = 8 << 20

Raised = dict[str, list[int]]


def wanted(lab: Lab) -> dict[Path, int]:
    """What each limit has to be at least, and what it is set to otherwise."""
    found = {}
    if value(INOTIFY) < INOTIFY_PER_HOST * len(lab.hosts) + 20:
        found[INOTIFY] = INOTIFY_RAISED
    if lab.nodes and value(SOCKET_ROOM) < SOCKET_ROOM_RAISED:
        found[SOCKET_ROOM] = SOCKET_ROOM_RAISED
    return found


def value(file: Path) -> int:
    return int(file.read_text(encoding="utf-8"))


def raise_all(lab: Lab, before: Raised) -> Raised:
    """Raise what is too low; return, by file, what stood there before the lab and what it has set."""
    raised = dict(before)
    for file, number in wanted(lab).items():
        old = value(file)
        raised[str(file)] = [raised.get(str(file), [old])[0], number]
        file.write_text(str(number), encoding="utf-8")
        progress(f"raised {file} from {old} to {number}; the lab's end puts it back")
    return raised


def put_back(raised: Raised) -> None:
    """Put back what nobody has changed since."""
    for name, (old, number) in raised.items():
        if value(Path(name)) == number:
            Path(name).write_text(str(old), encoding="utf-8")
