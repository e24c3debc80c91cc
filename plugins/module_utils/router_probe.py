# Copyright (c) 2026 weft.fabric contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How much is lost on the way through routers: an echo request every 10 ms, from inside a network, by a child process.

Frames go from a port's device straight to the router's MAC address, so nothing has to be configured in the namespace:
no route, no address. The child ends when it is asked to, and in any case after a time that is set at its start.
"""

from __future__ import annotations

import contextlib
import ipaddress
import json
import os
import select
import signal
import socket
import struct
import time
import typing as t

from ansible_collections.weft.fabric.plugins.module_utils import iproute, netns
from ansible_collections.weft.fabric.plugins.module_utils.reconcile import FabricError, read_file, write_file

DIRECTORY = "/run/weft-fabric-probe"

INTERVAL = 0.01
# How long an answer may take to count. Also how long the targets are tried before the measurement.
PATIENCE = 0.5
# Enough for a scheduling hiccup of the host that measures, which is not the router's loss.
_TRIES_NEEDED = 3

_ETH_P_IP = 0x0800
_ICMP, _ECHO, _ECHO_REPLY = 1, 8, 0
_HEADER = struct.Struct("!BBHHHBBH4s4s")
_ICMP_HEADER = struct.Struct("!BBHHH")
_PAYLOAD = struct.Struct("!Q")
_NAMES_MAX = 1000


class Target(t.NamedTuple):
    """Who answers, and what that proves."""

    address: str
    what: str


class Way(t.NamedTuple):
    """A way through a router: from a port, by the router's MAC address, to who answers first of the targets."""

    router: str
    namespace: str
    interface: str
    source: str
    mac: str
    targets: t.Tuple[Target, ...]


def parse(items: t.Iterable[t.Mapping[str, t.Any]]) -> t.List[Way]:
    """Return the ways to measure."""
    return [_way(item) for item in items]


def _way(item: t.Mapping[str, t.Any]) -> Way:
    where = "way through router %s" % item["router"]
    targets = tuple(Target(_ipv4(entry["address"], where), str(entry["what"])) for entry in item["targets"])
    if not targets:
        raise FabricError("%s: there is no target" % where)
    interface = iproute.interface(item["interface"], where + ", interface")
    return Way(
        str(item["router"]), item["namespace"], interface, _ipv4(item["source"], where), _mac(item["mac"]), targets
    )


def _ipv4(text: str, where: str) -> str:
    try:
        return str(ipaddress.IPv4Address(text))
    except ValueError as error:
        raise FabricError("%s: %s" % (where, error)) from error


def _mac(text: str) -> str:
    try:
        raw = bytes.fromhex(text.replace(":", ""))
    except ValueError:
        raw = b""
    if len(raw) != 6:
        raise FabricError("%r is not a MAC address" % text)
    return text


def echo_request(source: str, target: str, number: int, sequence: int) -> bytes:
    """Return an IPv4 packet with an echo request. number tells whose it is, sequence which one."""
    payload = _PAYLOAD.pack(sequence)
    body = _ICMP_HEADER.pack(_ECHO, 0, 0, number, sequence & 0xFFFF) + payload
    body = _ICMP_HEADER.pack(_ECHO, 0, _checksum(body), number, sequence & 0xFFFF) + payload
    ends = socket.inet_aton(source), socket.inet_aton(target)
    fields = (0x45, 0, _HEADER.size + len(body), sequence & 0xFFFF, 0, 64, _ICMP)
    header = _HEADER.pack(*fields, 0, *ends)
    return _HEADER.pack(*fields, _checksum(header), *ends) + body


def echo_reply(packet: bytes) -> t.Optional[t.Tuple[str, int, int]]:
    """Take an echo reply apart: who answers, whose it is and which one. None for all else."""
    if len(packet) < _HEADER.size:
        return None
    start = (packet[0] & 0x0F) * 4
    if packet[9] != _ICMP or len(packet) < start + _ICMP_HEADER.size + _PAYLOAD.size or packet[start] != _ECHO_REPLY:
        return None
    _kind, _code, _sum, number, _sequence = _ICMP_HEADER.unpack_from(packet, start)
    (sequence,) = _PAYLOAD.unpack_from(packet, start + _ICMP_HEADER.size)
    return socket.inet_ntoa(packet[12:16]), number, sequence


def _checksum(data: bytes) -> int:
    total = sum(struct.unpack("!%dH" % (len(data) // 2), data))
    total = (total >> 16) + (total & 0xFFFF)
    return ~(total + (total >> 16)) & 0xFFFF


class Line(object):
    """One way being measured. Its socket stays in the namespace it was opened in."""

    def __init__(self, way: Way, number: int):
        self.way = way
        self.number = number
        self.target: t.Optional[Target] = None
        self.sent: t.List[float] = []
        self.answered: t.Set[int] = set()
        with netns.entered(way.namespace):
            self.socket = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(_ETH_P_IP))
        try:
            self.socket.bind((way.interface, _ETH_P_IP))
        except OSError:
            self.socket.close()
            raise
        self.socket.setblocking(False)

    def send(self, target: Target) -> None:
        """Send the next request."""
        packet = echo_request(self.way.source, target.address, self.number, len(self.sent))
        mac = bytes.fromhex(self.way.mac.replace(":", ""))
        try:
            self.socket.sendto(packet, (self.way.interface, _ETH_P_IP, 0, 0, mac))
        except BlockingIOError:
            return  # our own buffer is full: that is no loss of the router's
        except OSError:
            pass  # a link that is down has lost it
        self.sent.append(time.monotonic())

    def receive(self, target: Target) -> None:
        """Take in what has come."""
        while True:
            try:
                packet = self.socket.recv(2048)
            except OSError:
                return  # nothing more, or the link has gone down meanwhile
            reply = echo_reply(packet)
            if reply is not None and reply[:2] == (target.address, self.number) and reply[2] < len(self.sent):
                self.answered.add(reply[2])

    def answers(self, target: Target) -> bool:
        """Tell whether a target answers."""
        self.sent, self.answered = [], set()
        end = time.monotonic() + PATIENCE
        while time.monotonic() < end and len(self.answered) < _TRIES_NEEDED:
            self.send(target)
            select.select([self.socket], [], [], INTERVAL * 2)
            self.receive(target)
        found = len(self.answered) >= _TRIES_NEEDED
        self.number = (self.number + 1) & 0xFFFF  # late answers are nobody's
        self.sent, self.answered = [], set()
        return found

    def report(self, until: float) -> t.Dict[str, t.Any]:
        """Return what was lost of the requests that were sent before a time."""
        sent = [moment for moment in self.sent if moment <= until]
        target = self.target
        return {
            "router": self.way.router,
            "source": self.way.source,
            "namespace": self.way.namespace,
            "target": target.address if target is not None else None,
            "what": target.what if target is not None else None,
            "sent": len(sent),
            "lost": len(sent) - sum(1 for number in self.answered if number < len(sent)),
            "longest_gap_ms": round(longest_gap(sent, self.answered) * 1000),
        }


def longest_gap(sent: t.Sequence[float], answered: t.Container[int]) -> float:
    """Return the seconds of the longest time without an answer: from the first request lost to the next answered."""
    longest = 0.0
    since: t.Optional[float] = None
    for number, moment in enumerate(sent):
        if number in answered:
            since = None
            continue
        since = moment if since is None else since
        following = sent[number + 1] if number + 1 < len(sent) else moment + INTERVAL
        longest = max(longest, following - since)
    return longest


def start(ways: t.List[Way], seconds: int, directory: str = DIRECTORY) -> t.Dict[str, t.Any]:
    """Begin to measure in a child process. Return which ways are measured, and which can't be."""
    if not ways:
        return {"measuring": [], "silent": []}
    if os.path.exists(os.path.join(directory, "pid")):
        stop(directory)
    lines, silent = _open(ways)
    if lines:
        os.makedirs(directory, mode=0o700, exist_ok=True)
        _fork(lines, seconds, directory)
    for line in lines:
        line.socket.close()
    measuring = [{"router": line.way.router, "source": line.way.source, **_told(line)} for line in lines]
    return {"measuring": measuring, "silent": silent}


def _told(line: Line) -> t.Dict[str, t.Any]:
    return {"target": line.target.address, "what": line.target.what} if line.target is not None else {}


def _open(ways: t.List[Way]) -> t.Tuple[t.List[Line], t.List[str]]:
    """Open the ways on which somebody answers: the first way of each router, and the first target of a way."""
    lines: t.Dict[str, Line] = {}
    silent: t.List[str] = []
    for index, way in enumerate(ways[:_NAMES_MAX]):
        if way.router in lines:
            continue
        try:
            line = Line(way, (os.getpid() + index * 64) & 0xFFFF)
        except OSError:
            continue  # the port's namespace or device is not there
        line.target = next((target for target in way.targets if line.answers(target)), None)
        if line.target is None:
            line.socket.close()
        else:
            lines[way.router] = line
    silent = sorted({way.router for way in ways} - set(lines))
    return list(lines.values()), silent


def _fork(lines: t.List[Line], seconds: int, directory: str) -> None:
    """Measure in a child that outlives its parent. The parent returns when the first requests have been sent."""
    ready, begun = os.pipe()
    between = os.fork()
    if between == 0:
        # By way of a process that ends at once: who measures is nobody's child, and nobody waits for it.
        code = 1
        try:
            os.setsid()
            if os.fork() == 0:
                os.close(ready)
                _detach(begun)
                code = _measure(lines, seconds, directory, begun)
            else:
                code = 0
        finally:
            os._exit(code)
    os.close(begun)
    os.waitpid(between, 0)
    with os.fdopen(ready, "rb") as stream:
        if stream.read(1) != b"+":
            raise FabricError("the measurement did not start: look for a full or read-only /run on this host")


def _detach(keep: int) -> None:
    """Let go of the module's own channels, or Ansible would wait for them to be closed."""
    null = os.open(os.devnull, os.O_RDWR)
    for descriptor in (0, 1, 2):
        os.dup2(null, descriptor)
    os.set_inheritable(keep, False)


def _measure(lines: t.List[Line], seconds: int, directory: str, begun: int) -> int:
    """Send and receive until SIGTERM or the end of the time, then write down what was lost."""
    stopped: t.List[int] = []
    signal.signal(signal.SIGTERM, lambda number, frame: stopped.append(number))
    write_file(os.path.join(directory, "pid"), "%d %s\n" % (os.getpid(), _started(os.getpid())))
    beginning = moment = time.monotonic()
    while not stopped and moment - beginning < seconds:
        for line in lines:
            if line.target is not None:
                line.send(line.target)
        if begun >= 0:
            os.write(begun, b"+")
            os.close(begun)
            begun = -1
        _listen(lines, moment + INTERVAL)
        # A host that was late does not send in a burst what it has missed.
        moment = max(moment + INTERVAL, time.monotonic())
    ended = time.monotonic()
    _listen(lines, ended + PATIENCE)
    write_file(os.path.join(directory, "result"), json.dumps([line.report(ended) for line in lines]))
    return 0


def _listen(lines: t.List[Line], until: float) -> None:
    sockets = {line.socket.fileno(): line for line in lines}
    while True:
        left = until - time.monotonic()
        if left <= 0:
            return
        # poll: more than a thousand descriptors are too many for select.
        poll = select.poll()
        for descriptor in sockets:
            poll.register(descriptor, select.POLLIN)
        for descriptor, _event in poll.poll(max(left * 1000, 1)):
            line = sockets[descriptor]
            if line.target is not None:
                line.receive(line.target)


def stop(directory: str = DIRECTORY) -> t.List[t.Dict[str, t.Any]]:
    """End the measurement and return what was lost. Nothing when there is none."""
    result = os.path.join(directory, "result")
    pid, _blank, started = (read_file(os.path.join(directory, "pid")) or "0").strip().partition(" ")
    # Numbers are used again: it must be the process that wrote its own.
    if int(pid) and not os.path.exists(result) and _started(int(pid)) == started:
        with contextlib.suppress(ProcessLookupError):
            os.kill(int(pid), signal.SIGTERM)
        end = time.monotonic() + 10
        while not os.path.exists(result):
            if time.monotonic() > end:
                raise FabricError("the measurement (process %s) does not end on this host" % pid)
            time.sleep(INTERVAL)
    found = json.loads(read_file(result) or "[]")
    for name in ("pid", "result"):
        with contextlib.suppress(FileNotFoundError):
            os.unlink(os.path.join(directory, name))
    with contextlib.suppress(OSError):
        os.rmdir(directory)
    return found


def _started(pid: int) -> t.Optional[str]:
    """Return when a process was started, in the kernel's ticks. The time of its directory is that of the first look."""
    text = read_file("/proc/%d/stat" % pid)
    # The name of the program comes before, in brackets, and may hold anything.
    return None if text is None else text.rpartition(")")[2].split()[19]
