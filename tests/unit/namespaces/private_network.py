# Copyright (c) 2026 weft.fabric contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A network stack for a test alone.

The test runs in a network namespace and a mount namespace of its own: what the code takes for "the host" and for
all of /run is empty at first and gone afterwards, so a purge can be tried next to a fabric that is in use.
"""

from __future__ import annotations

import contextlib
import ctypes
import fcntl
import json
import os
import subprocess
import typing as t

_FRESH = ("/run/netns", "/run/weft-fabric")

# os.unshare() and os.setns() came with Python 3.12 only.
_CLONE = {"net": 0x40000000, "mnt": 0x00020000}
_CLONE_FS = 0x00000200
_libc = ctypes.CDLL(None, use_errno=True)


def _checked(result: int) -> None:
    if result != 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))


@contextlib.contextmanager
def _places() -> t.Iterator[None]:
    """Have the directories of _FRESH for as long as somebody may mount something there.

    To remove one takes away what others have mounted on it, each in a namespace of its own. So whoever has made one
    removes it only when he is the last: all hold a lock, and his can be had alone.
    """
    users = os.open("/run", os.O_RDONLY)
    try:
        fcntl.flock(users, fcntl.LOCK_SH)
        made = [path for path in _FRESH if not os.path.isdir(path)]
        for path in made:
            os.makedirs(path, exist_ok=True)
        try:
            yield
        finally:
            with contextlib.suppress(OSError):
                fcntl.flock(users, fcntl.LOCK_EX | fcntl.LOCK_NB)
                for path in made:
                    os.rmdir(path)
    finally:
        os.close(users)


@contextlib.contextmanager
def private_network() -> t.Iterator[None]:
    """Be on a host without any network for a while."""
    assert os.geteuid() == 0, "these tests make network namespaces and need root"
    before = [(os.open(f"/proc/self/ns/{kind}", os.O_RDONLY), flag) for kind, flag in _CLONE.items()]
    directory = os.getcwd()
    with _places():
        try:
            _checked(_libc.unshare(sum(_CLONE.values())))
            subprocess.run(["mount", "--make-rprivate", "/"], check=True)
            for path in _FRESH:
                subprocess.run(["mount", "-t", "tmpfs", "tmpfs", path], check=True)
            ip("link set lo up")
            yield
        finally:
            # A thread that was started in the meantime (pytest has one for each test) shares our working directory, and
            # as long as it does we may not leave the mount namespace.
            _checked(_libc.unshare(_CLONE_FS))
            for descriptor, flag in before:
                _checked(_libc.setns(descriptor, flag))
                os.close(descriptor)
            os.chdir(directory)


def ip(*lines: str, namespace: str | None = None) -> None:
    """Run lines of ip, apart from the code under test."""
    command = ["ip", *(["-n", namespace] if namespace else []), "-batch", "-"]
    subprocess.run(command, input="".join(line + "\n" for line in lines), text=True, check=True)


def ask(question: str, namespace: str | None = None, *options: str) -> list[dict[str, t.Any]]:
    """Ask ip, apart from the code under test."""
    command = ["ip", "-j", "-d", *options, *(["-n", namespace] if namespace else []), *question.split()]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return [entry for entry in json.loads(done.stdout or "[]") if entry]


def links(namespace: str | None = None) -> dict[str, dict[str, t.Any]]:
    """Return the devices of a namespace by name, with their addresses under "global"."""
    found = {entry["ifname"]: entry for entry in ask("addr show", namespace) if entry["ifname"] != "lo"}
    for entry in found.values():
        entry["global"] = {
            f"{address['local']}/{address['prefixlen']}"
            for address in entry["addr_info"]
            if address.get("scope") == "global"
        }
    return found
