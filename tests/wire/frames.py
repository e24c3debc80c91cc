# Copyright (c) 2026 weft.fabric contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which frames get from which port of a switch to which, while something happens: probes from all, caught at all."""

from __future__ import annotations

import re
import time
import typing as t

from .lab import Background, Host, wait_for
from .traffic import program

LINE = re.compile(r"(\d+\.\d+) (\S+) (\d+) (\S+) (\d+) (\d+\.\d+)")


class Way(t.NamedTuple):
    """From a NIC with a tag (0: none) to a NIC with a tag."""

    sender: str
    sent: int
    receiver: str
    received: int


class Caught(t.NamedTuple):
    way: Way
    when: float
    sent_at: float


# A port's VLANs as a person would write them down: the one without a tag (0: none), and those with.
Vlans = tuple[int, frozenset[int]]


def ways(ports: t.Mapping[str, Vlans], sent: t.Mapping[str, t.Iterable[int]]) -> set[Way]:
    """Return the ways on which frames get through a switch, by nothing but each port's VLANs."""
    found = set()
    for sender, tags in sent.items():
        for tag in tags:
            untagged, tagged = ports[sender]
            vlan = untagged if tag == 0 else tag if tag in tagged else 0
            for receiver, (native, allowed) in ports.items():
                if vlan and receiver != sender and (vlan == native or vlan in allowed):
                    found.add(Way(sender, tag, receiver, 0 if vlan == native else vlan))
    return found


class Probes:
    """Probes from and to NICs of some hosts, until stopped; NICs are named HOST:NIC."""

    def __init__(self, lab: t.Callable[[str], Host], sent: t.Mapping[str, t.Iterable[int]], caught: t.Iterable[str]):
        words: dict[str, list[str]] = {}
        for nic, tags in sent.items():
            host, _colon, name = nic.partition(":")
            words.setdefault(host, []).append(f"--send {name} {','.join(map(str, tags))}")
        for nic in caught:
            host, _colon, name = nic.partition(":")
            words.setdefault(host, []).append(f"--catch {name}")
        self._running: list[Background] = [
            lab(host).start(f"{program(lab(host), 'frames')} {' '.join(options)}") for host, options in words.items()
        ]
        for process in self._running:
            wait_for(f"probes on {process.host.name}", lambda process=process: "ready" in process.output(), 10)
        self.since = time.time()

    def wait(self, seconds: float = 0.3) -> float:
        """Let probes go on for a while, and return when that was over."""
        end = time.time() + seconds
        wait_for("probes to have gone on", lambda: time.time() > end, seconds + 5)
        return end

    def stop(self) -> list[Caught]:
        """End them, and return what was caught, in the order of its coming."""
        found = []
        for process in self._running:
            for line in process.stop().splitlines():
                match = LINE.fullmatch(line)
                if match:
                    when, receiver, received, sender, sent, sent_at = match.groups()
                    way = Way(sender, int(sent), receiver, int(received))
                    found.append(Caught(way, float(when), float(sent_at)))
        return sorted(found, key=lambda one: one.when)


def seen(caught: t.Iterable[Caught], since: float = 0.0, until: float = float("inf")) -> set[Way]:
    """Return the ways of frames that were sent in that time."""
    return {one.way for one in caught if since <= one.sent_at < until}


def look(lab: t.Callable[[str], Host], sent: t.Mapping[str, t.Iterable[int]], caught: t.Iterable[str]) -> set[Way]:
    """Return the ways on which frames get now."""
    probes = Probes(lab, sent, caught)
    since = time.time()
    # Half a second is some twenty probes of each kind.
    until = probes.wait(0.5)
    return seen(probes.stop(), since, until)
