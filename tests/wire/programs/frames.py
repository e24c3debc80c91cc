# Copyright (c) 2026 weft.fabric contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Sends broadcast frames out of network cards, with and without VLAN tags, and tells which come in, and how tagged.

Usage: frames.py [--send NIC TAG[,TAG...]]... [--catch NIC]...     (a tag of 0 is none)
Every 20 ms each NIC sends one frame with each tag. Each frame that comes in is a line: time, NIC, tag, sender, the
sender's tag, the time of sending.
"""

from __future__ import annotations

import argparse
import selectors
import signal
import socket
import struct
import sys
import time

PROTOCOL = 0x88B5  # for local experiments
INTERVAL = 0.02
SOL_PACKET, PACKET_AUXDATA, ETH_P_ALL = 263, 8, 3
TAGGED = 0x10  # TP_STATUS_VLAN_VALID


def open_nic(name: str, protocol: int) -> socket.socket:
    nic = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(protocol))
    nic.setsockopt(SOL_PACKET, PACKET_AUXDATA, 1)
    nic.bind((name, protocol))
    return nic


def frame(nic: socket.socket, name: str, tag: int) -> bytes:
    header = b"\xff" * 6 + nic.getsockname()[4]
    if tag:
        header += struct.pack("!HH", 0x8100, tag)
    text = f"weft-probe {name} {tag} {time.time():.6f} "
    return header + struct.pack("!H", PROTOCOL) + text.encode().ljust(64, b".")


def tell(nic: socket.socket, name: str, host: str) -> None:
    data, extra, _flags, (_name, _protocol, kind, *_rest) = nic.recvmsg(2048, 256)
    if kind == socket.PACKET_OUTGOING or b"weft-probe" not in data[:40]:
        return
    tag = 0
    for level, what, value in extra:
        if (level, what) == (SOL_PACKET, PACKET_AUXDATA):
            status, _length, _snap, _mac, _net, vlan, _type = struct.unpack("=IIIHHHH", value[:20])
            tag = vlan & 0xFFF if status & TAGGED else 0
    if data[12:14] == b"\x81\x00":
        tag = struct.unpack("!H", data[14:16])[0] & 0xFFF
    _probe, sender, sent_tag, sent = data[data.index(b"weft-probe") :].split()[:4]
    print(f"{time.time():.6f}", f"{host}:{name}", tag, sender.decode(), sent_tag.decode(), sent.decode(), flush=True)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--send", nargs=2, action="append", default=[])
    parser.add_argument("--catch", action="append", default=[])
    options = parser.parse_args()
    # A shell has those that it starts in the background ignore it.
    signal.signal(signal.SIGINT, lambda _signal, _frame: sys.exit())
    host = socket.gethostname()
    watched = selectors.DefaultSelector()
    for name in options.catch:
        watched.register(open_nic(name, ETH_P_ALL), selectors.EVENT_READ, name)
    senders = [(open_nic(name, 0), name, int(tag)) for name, tags in options.send for tag in tags.split(",")]
    print("ready", flush=True)
    due = time.monotonic()
    while True:
        for key, _events in watched.select(max(0.0, due - time.monotonic())):
            tell(key.fileobj, key.data, host)
        if time.monotonic() >= due:
            due += INTERVAL
            for nic, name, tag in senders:
                try:
                    nic.send(frame(nic, f"{host}:{name}", tag))
                except OSError as error:
                    # Its cable is out for now.
                    print(f"{host}:{name}: {error}", file=sys.stderr)


if __name__ == "__main__":
    main()
