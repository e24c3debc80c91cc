# Copyright (c) 2026 weft.fabric contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Traffic that goes on while something happens: pings, sessions and streams, and how long they stood still.

All hosts of the lab share one clock, so what a host wrote down can be compared with when a test did something.
"""

from __future__ import annotations

import json
import re
import time
import typing as t
from dataclasses import dataclass
from pathlib import Path

from .lab import Background, Host, ping_answers, wait_for

PROGRAMS = Path(__file__).parent / "programs"
SILENCE, REFUSED = "silence", "refused"

# (protocol, address, port)
Question = tuple[str, str, int]


def program(host: Host, name: str) -> str:
    """Put one of the programs on a host and return how it is called there."""
    path = f"/run/weft-t-{name}.py"
    host.run(f"cat > {path}.new && mv {path}.new {path}", stdin=(PROGRAMS / f"{name}.py").read_text(encoding="utf-8"))
    return f"python3 {path}"


def inside(namespace: str | None) -> str:
    return f"ip netns exec {namespace} " if namespace else ""


class Server:
    """Answers by TCP and UDP with its name and whom it sees."""

    def __init__(self, host: Host, namespace: str | None, name: str, *ports: int | str) -> None:
        words = " ".join(map(str, ports))
        self._process = host.start(f"{inside(namespace)}{program(host, 'answer')} {name} {words}")
        wait_for(f"the server {name}", lambda: "ready" in self._process.output(), 10)

    def stop(self) -> None:
        self._process.stop()


def ask(host: Host, namespace: str | None, questions: t.Iterable[Question], seconds: float = 2.5) -> list[str]:
    """Ask servers, all at once: each answer is the server's name and the address it saw, or silence or refused."""
    text = host.run(f"{inside(namespace)}{program(host, 'ask')} {seconds}", stdin=json.dumps(list(questions)))
    return json.loads(text)


@dataclass
class Timeline:
    """When answers came."""

    times: list[float]

    def longest_gap(self, since: float, until: float) -> float:
        """Return the longest stretch without an answer, of those that lie between two moments at least in part."""
        marks = sorted(self.times)
        # What had not come by then is still missing.
        marks = [mark for mark in marks if mark <= until] + [min((m for m in marks if m > until), default=until)]
        gaps = [later - earlier for earlier, later in zip(marks, marks[1:], strict=False) if later > since]
        return max(gaps, default=float("inf"))

    def answered(self, since: float, until: float) -> int:
        return sum(since <= moment <= until for moment in self.times)


class PingTrack:
    """A ping every 10 ms, looked at while it goes on."""

    def __init__(self, host: Host, namespace: str | None, target: str, interval: float = 0.01) -> None:
        self._process = host.start(f"{inside(namespace)}ping -D -n -i {interval} {target}")
        wait_for(f"the first answer of {target}", lambda: "bytes from" in self._process.output(), 15)

    def _answers(self) -> dict[int, float]:
        return ping_answers(self._process.output())

    def timeline(self) -> Timeline:
        return Timeline(list(self._answers().values()))

    def lost(self) -> list[tuple[int, float]]:
        """Return the packets without an answer, each with about when it was sent; the last ones are on their way."""
        answers = self._answers()
        found, before = [], min(answers.values(), default=0.0)
        for number in range(1, max(answers, default=0)):
            if number in answers:
                before = answers[number]
            else:
                found.append((number, before))
        return found

    def summary(self) -> str:
        answers = self._answers()
        return f"{max(answers, default=0)} sent, {len(self.lost())} lost"

    def duplicates(self) -> int:
        """Return how many answers came more than once: two routers have done the work of one."""
        return self._process.output().count("DUP!")

    def stop(self) -> None:
        self._process.stop()


class Held:
    """A TCP session or a UDP stream of numbers, which a server gives back."""

    def __init__(self, host: Host, namespace: str | None, protocol: str, address: str, port: int) -> None:
        self.name = f"{protocol} to {address}"
        command = f"{inside(namespace)}{program(host, 'hold')} {protocol} {address} {port}"
        self._process: Background = host.start(command)
        wait_for(f"the first answer of {self.name}", lambda: self.timeline().times, 15)

    def _lines(self) -> list[list[str]]:
        whole, _newline, _rest = self._process.output().rpartition("\n")
        return [line.split() for line in whole.splitlines()]

    def timeline(self) -> Timeline:
        return Timeline([float(words[0]) for words in self._lines() if words[1] != "end"])

    def seen_as(self) -> set[str]:
        """Return the addresses with ports under which the server has seen this end: one, unless mappings were lost."""
        return {":".join(words[2:4]) for words in self._lines() if words[1] != "end"}

    def ended(self) -> str | None:
        """Return why the session has ended, or what the program died of; None while it goes on."""
        last = self._process.latest().strip().splitlines()[-1:]
        return None if last and re.fullmatch(r"[\d.]+ \d+ \S+ \d+", last[0]) else " ".join(last)

    def answers_within(self, seconds: float) -> bool:
        """Tell whether the session goes on: whether an answer comes later than this was asked."""
        asked = time.time()
        while time.time() < asked + seconds:
            if self.ended() is not None:
                return False
            if float(self._process.latest(1).split()[0]) > asked:
                return True
            time.sleep(0.1)
        return False

    def stop(self) -> None:
        self._process.stop()


class Watched:
    """Pings and sessions of many kinds at once, each under its name."""

    # Seconds after which something that stands still is broken; for how long it does is measured and printed.
    BROKEN = 5.0

    def __init__(self, pings: dict[str, PingTrack], sessions: dict[str, Held]) -> None:
        self.pings = pings
        self.sessions = sessions

    def _all(self) -> dict[str, PingTrack | Held]:
        return {**self.pings, **self.sessions}

    def alive(self) -> dict[str, bool]:
        """Return which sessions go on, each for the server under one address and port all the time."""
        return {
            name: one.answers_within(self.BROKEN) and len(one.seen_as()) == 1 for name, one in self.sessions.items()
        }

    def check_sessions(self) -> None:
        """All of them go on, and their servers have seen each under one address and port all the time."""
        dead = {name: one.ended() for name, one in self.sessions.items() if not one.answers_within(self.BROKEN)}
        assert dead == {}
        seen = {name: one.seen_as() for name, one in self.sessions.items()}
        assert {name: addresses for name, addresses in seen.items() if len(addresses) != 1} == {}

    def longest_gaps(self, *windows: tuple[float, float]) -> list[dict[str, float]]:
        """Return for each stretch of time how long each kind of traffic stood still at most."""
        timelines = {name: one.timeline() for name, one in self._all().items()}
        return [{name: line.longest_gap(*window) for name, line in timelines.items()} for window in windows]

    def answered_twice(self) -> dict[str, int]:
        """Return how many answers of each kind of ping came more than once, of those that had any."""
        return {name: number for name, ping in self.pings.items() if (number := ping.duplicates())}

    def check_nothing_lost(self) -> None:
        assert {name: lost for name, ping in self.pings.items() if (lost := ping.lost())} == {}
        assert self.answered_twice() == {}

    def show(self) -> str:
        return "; ".join(f"{name}: {ping.summary()}" for name, ping in self.pings.items())

    def stop(self) -> None:
        for one in self._all().values():
            one.stop()
