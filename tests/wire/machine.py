# Copyright (c) 2026 weft.fabric contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A machine behind a persistent tap, as QEMU would be: the tap is opened and joined to one in a namespace."""

from __future__ import annotations

from .lab import Background, Host, wait_for

# Runs on the host: opens both taps as QEMU opens its one, and carries frames between them.
JOIN = r"""
import fcntl, os, select, struct, sys
def tap(name):
    descriptor = os.open("/dev/net/tun", os.O_RDWR)
    fcntl.ioctl(descriptor, 0x400454CA, struct.pack("16sH", name.encode(), 0x0002 | 0x1000))
    return descriptor
first, second = tap(sys.argv[1]), tap(sys.argv[2])
print("joined", flush=True)
while True:
    for ready in select.select([first, second], [], [])[0]:
        try:
            os.write(second if ready == first else first, os.read(ready, 65536))
        except OSError:
            pass  # an interface that is still down loses what is sent to it
"""


class TapMachine:
    """A namespace wt-vm whose interface vm0 is the far end of a tap of the fabric."""

    namespace = "weft-t-vm"

    def __init__(self, host: Host, tap: str, mac: str, address: str) -> None:
        self.host = host
        host.run("cat > /run/weft-t-join.py", stdin=JOIN)
        self.process: Background = host.start(f"python3 /run/weft-t-join.py {tap} weft-t-vm0")
        wait_for("the tap machine", lambda: "joined" in self.process.output(), 10)
        host.run(
            f"ip netns add {self.namespace}; ip link set weft-t-vm0 address {mac} mtu 1400 netns {self.namespace};"
            f"ip -n {self.namespace} address add {address} dev weft-t-vm0;"
            f"ip -n {self.namespace} link set weft-t-vm0 up"
        )

    def stop(self) -> None:
        self.host.run(f"kill {self.process.pid}; ip netns delete {self.namespace}; rm -f /run/weft-t-join.py")
