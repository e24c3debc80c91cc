# Copyright (c) 2026 weft.fabric contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""QEMU's monitor: a question, an answer."""

from __future__ import annotations

import json
import socket
from pathlib import Path
from typing import Any


class Qmp:
    """A session with the machine whose socket it is given; QEMU serves one at a time. Raises OSError."""

    def __init__(self, path: Path, seconds: float) -> None:
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._socket.settimeout(seconds)
        self._buffer = b""
        self._path = path

    def __enter__(self) -> Qmp:
        try:
            self._socket.connect(str(self._path))
            self._next()
            self.ask("qmp_capabilities")
        except BaseException:
            self._socket.close()
            raise
        return self

    def __exit__(self, *_error: object) -> None:
        self._socket.close()

    def _next(self) -> dict[str, Any]:
        while b"\n" not in self._buffer:
            data = self._socket.recv(65536)
            if not data:
                raise ConnectionError("QEMU has ended the session")
            self._buffer += data
        line, _end, self._buffer = self._buffer.partition(b"\n")
        return dict(json.loads(line))

    def ask(self, question: str, **arguments: Any) -> Any:
        text = json.dumps({"execute": question, "arguments": arguments})
        self._socket.sendall(text.encode() + b"\n")
        while True:
            answer = self._next()
            if "error" in answer:
                raise OSError(f"{question}: {answer['error'].get('desc')}")
            if "return" in answer:
                return answer["return"]
