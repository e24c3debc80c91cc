# Copyright (c) 2026 weft.fabric contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What sshd runs for a NETCONF client of the lab's switch, in place of netconfd's own program: see netconfd_link."""

from __future__ import annotations

import os
import select

from netconfd_link import Link, Splitter


def main() -> None:
    link = Link(os.environ.get("USER", "root"), os.environ.get("SSH_CONNECTION", "127.0.0.1").split()[0])
    client = Splitter()
    while True:
        ready, _write, _errors = select.select([0, link.socket], [], [])
        if link.socket in ready:
            data = link.socket.recv(65536)
            if not data:
                return
            view = memoryview(data)
            while view:
                view = view[os.write(1, view) :]
        if 0 in ready:
            data = os.read(0, 65536)
            if not data:
                return
            for message in client.messages(data):
                link.send(message)


if __name__ == "__main__":
    main()
