# Copyright (c) 2026 weft.fabric contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs of one machine that wait for the same switch: what they want is done together, in one session and one commit.

A commit takes some switches ten seconds, and a rack of nodes comes at once. Who waits for its turn leaves a note of
what it wants; whose turn it is does the notes along with its own, and answers them. Who finds no answer when its own
turn comes does it by itself, so that one that is refused costs the others time and nothing else.

A note counts only while who left it lives: the file is locked as long. It is taken by renaming it, so that who gives up
waiting knows whether somebody is at it.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import time
import typing as t
import uuid

Item = t.Mapping[str, t.Any]

_NEW, _WAITING, _TAKEN, _ANSWER = ".new", ".waiting", ".taken", ".answer"
#: what killed runs have left is removed after so long
_STALE_SECONDS = 3600.0
#: what a note and its key leave out: what each has for itself, and secrets
_OWN = ("ports", "vlans", "lock_timeout")
_SECRET = ("password",)


class Wish(t.NamedTuple):
    """What one run wants of a switch."""

    #: only those with the same one are done together
    key: str
    ports: t.List[t.Dict[str, t.Any]]
    vlans: t.List[t.Dict[str, t.Any]]
    allowed_ports: t.Optional[t.List[str]]


def wish(params: Item) -> t.Optional[Wish]:
    """Return what a run wants, or None where it is better done alone: it is about more than the ports it lists."""
    ports, vlans = params.get("ports") or [], params.get("vlans") or []
    alone = params.get("purge_vlans") or any(item.get("aggregate") for item in ports)
    if alone or not ports or any(item.get("state") == "absent" for item in vlans):
        return None
    policy = dict(params["policy"])
    allowed = policy.pop("allowed_ports", None)
    common = dict({name: value for name, value in params.items() if name not in _OWN}, policy=policy)
    common["switch"] = {name: value for name, value in params["switch"].items() if name not in _SECRET}
    return Wish(json.dumps(common, sort_keys=True, default=str), list(ports), list(vlans), allowed)


def joined(params: Item, others: t.Iterable[Wish]) -> t.Dict[str, t.Any]:
    """Return the arguments of one run that does what others want along with its own."""
    ports = list(params["ports"])
    vlans = {item["vlan_id"]: item for item in params.get("vlans") or ()}
    policy = dict(params["policy"])
    allowed = policy.get("allowed_ports")
    for other in others:
        ports += other.ports
        for item in other.vlans:
            vlans.setdefault(item["vlan_id"], item)
        # Each was held against its own list before it left its note.
        if allowed is not None or other.allowed_ports is not None:
            listed = [item["name"] for item in ports]
            allowed = sorted(
                set(allowed or listed) | set(other.allowed_ports or [item["name"] for item in other.ports])
            )
    policy["allowed_ports"] = allowed
    return dict(params, ports=ports, vlans=list(vlans.values()), policy=policy)


class Note(object):
    """A note of this run's, or one of another's that this run has taken."""

    def __init__(self, path: str, own: t.Optional[Wish]):
        self._path = path
        self.wish = own
        self._descriptor: t.Optional[int] = None

    def leave(self) -> None:
        """Lay it down for others to see, whole and locked."""
        if self.wish is None:
            return
        os.makedirs(os.path.dirname(self._path), mode=0o700, exist_ok=True)
        self._descriptor = os.open(self._path + _NEW, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        fcntl.flock(self._descriptor, fcntl.LOCK_EX)
        os.write(self._descriptor, json.dumps(self.wish._asdict()).encode("utf-8"))
        os.rename(self._path + _NEW, self._path + _WAITING)

    def remove(self) -> None:
        if self._descriptor is not None:
            for suffix in (_NEW, _WAITING, _TAKEN, _ANSWER):
                with contextlib.suppress(FileNotFoundError):
                    os.unlink(self._path + suffix)
            os.close(self._descriptor)
            self._descriptor = None

    def withdraw(self) -> bool:
        """Want it no more. Return False when somebody is at it already."""
        try:
            os.unlink(self._path + _WAITING)
        except FileNotFoundError:
            return self._descriptor is None
        return True

    def was_taken(self) -> bool:
        return os.path.exists(self._path + _TAKEN)

    def answer(self) -> t.Optional[t.Dict[str, t.Any]]:
        """Return what came of it, if another run has done it."""
        try:
            with open(self._path + _ANSWER, "r", encoding="utf-8") as stream:
                found: t.Dict[str, t.Any] = json.load(stream)
        except FileNotFoundError:
            return None
        return found

    def tell(self, answer: Item) -> None:
        """Answer it."""
        with open(self._path + _NEW, "w", encoding="utf-8") as stream:
            json.dump(answer, stream)
        os.rename(self._path + _NEW, self._path + _ANSWER)

    def take_others(self) -> t.List[Note]:
        """Take the notes of others that can be done along with this one. Only whose turn it is may do that."""
        found: t.List[Note] = []
        if self.wish is None:
            return found
        directory = os.path.dirname(self._path)
        ports = {item["name"] for item in self.wish.ports}
        vlans = {item["vlan_id"]: item for item in self.wish.vlans}
        for name in sorted(os.listdir(directory)):
            path, suffix = os.path.splitext(os.path.join(directory, name))
            other = _read(path) if suffix == _WAITING and path != self._path else None
            if other is None:
                _sweep(path + suffix)
                continue
            same = all(vlans.get(item["vlan_id"], item) == item for item in other.vlans)
            if other.key == self.wish.key and same and ports.isdisjoint(item["name"] for item in other.ports):
                with contextlib.suppress(FileNotFoundError):
                    os.rename(path + _WAITING, path + _TAKEN)
                    ports.update(item["name"] for item in other.ports)
                    vlans.update((item["vlan_id"], item) for item in other.vlans)
                    found.append(Note(path, other))
        return found


def _read(path: str) -> t.Optional[Wish]:
    """Return what a note wants; None, and no note, when nobody is there any more who wants it."""
    try:
        descriptor = os.open(path + _WAITING, os.O_RDWR | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    with os.fdopen(descriptor, "r", encoding="utf-8") as stream:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return Wish(**json.load(stream))
        with contextlib.suppress(FileNotFoundError):
            os.unlink(path + _WAITING)
    return None


def _sweep(path: str) -> None:
    with contextlib.suppress(FileNotFoundError):
        if time.time() - os.stat(path).st_mtime > _STALE_SECONDS:
            os.unlink(path)


@contextlib.contextmanager
def note(directory: str, own: t.Optional[Wish]) -> t.Iterator[Note]:
    """Leave a note for as long as it takes."""
    found = Note(os.path.join(directory, uuid.uuid4().hex), own)
    try:
        found.leave()
        yield found
    finally:
        found.remove()
