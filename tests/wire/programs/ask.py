# Copyright (c) 2026 weft.fabric contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Asks many servers at once, each once, and prints as JSON what each answered.

Standard input: a list of [protocol, address, port]. Standard output: as many texts, NAME ADDRESS of answer.py, or
"refused" (somebody said no) or "silence" (nobody said anything).

python3 ask.py [SECONDS]
"""

import asyncio
import contextlib
import json
import sys

SILENCE, REFUSED = "silence", "refused"
REPEAT = 0.4  # seconds after which a datagram is sent again


def short(text):
    """Return name and address out of an answer."""
    return " ".join(text.split()[:2])


async def ask_tcp(address, port):
    try:
        reader, writer = await asyncio.open_connection(address, port)
    except TimeoutError:
        return SILENCE
    except OSError:
        return REFUSED
    writer.write(b"hello\n")
    text = await reader.readline()
    writer.close()
    return short(text.decode()) or REFUSED


class Question(asyncio.DatagramProtocol):
    """Keeps the first answer."""

    def __init__(self):
        self.answer = asyncio.get_running_loop().create_future()

    def datagram_received(self, data, addr):
        if not self.answer.done():
            self.answer.set_result(short(data.decode()))

    def error_received(self, exc):
        if not self.answer.done():
            self.answer.set_result(REFUSED)


async def ask_udp(address, port):
    loop = asyncio.get_running_loop()
    try:
        transport, question = await loop.create_datagram_endpoint(Question, remote_addr=(address, port))
    except OSError:
        return REFUSED
    try:
        while True:
            transport.sendto(b"hello")
            with contextlib.suppress(TimeoutError):
                return await asyncio.wait_for(asyncio.shield(question.answer), REPEAT)
    finally:
        transport.close()


async def ask(protocol, address, port, seconds):
    try:
        return await asyncio.wait_for({"tcp": ask_tcp, "udp": ask_udp}[protocol](address, port), seconds)
    except TimeoutError:
        return SILENCE


async def main():
    seconds = float(sys.argv[1]) if len(sys.argv) > 1 else 2.5
    questions = json.load(sys.stdin)
    answers = [ask(protocol, address, port, seconds) for protocol, address, port in questions]
    print(json.dumps(await asyncio.gather(*answers)))


if __name__ == "__main__":
    asyncio.run(main())
