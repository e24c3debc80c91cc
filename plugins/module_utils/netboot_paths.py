# Copyright (c) 2026 weft.fabric contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where network boot keeps what it serves, and what it must not."""

from __future__ import annotations

import os
import typing as t

#: file that firmware asks for -> where packages put it (Debian; Fedora)
LOADERS = {
    "undionly.kpxe": ("/usr/lib/ipxe/undionly.kpxe", "/usr/share/ipxe/undionly.kpxe"),
    "snponly.efi": ("/usr/lib/ipxe/snponly.efi", "/usr/share/ipxe/ipxe-snponly-x86_64.efi"),
}

RELAY = "/usr/libexec/weft-fabric-relay"

# A directory's own mode, and whether it belongs to the group of nginx's workers.
_PUBLIC, _PRIVATE, _WORKERS = (0o755, False), (0o700, False), (0o710, True)


class Paths(t.NamedTuple):
    """All paths; tests have others."""

    directory: str = "/var/lib/weft-fabric/boot"
    units: str = "/etc/systemd/system"
    run: str = "/run"
    relay: str = RELAY
    loaders: t.Mapping[str, t.Sequence[str]] = LOADERS

    def join(self, *parts: str) -> str:
        """Return a path below the directory."""
        return os.path.join(self.directory, *parts)

    def server(self, name: str, file: str = "") -> str:
        """Return a file of a boot server."""
        return self.join("servers", name, file)

    def log(self, server: str) -> str:
        """Return the file that tells what was fetched from a boot server."""
        return self.join("log", server + ".log")

    def tree(self) -> t.Dict[str, t.Tuple[int, bool]]:
        """Return all directories: mode, and whether it belongs to the group of nginx's workers."""
        return {
            self.directory: _PUBLIC,
            self.join("servers"): _PUBLIC,
            self.join("tftp"): _PUBLIC,
            self.join("http"): _PUBLIC,
            self.join("http", "ramdisk"): _PUBLIC,
            self.join("http", "images"): _PUBLIC,
            # To be entered by who knows a name, and not to be listed.
            self.join("http", "nodes"): _WORKERS,
            self.join("http", "deployments"): _WORKERS,
            self.join("keys"): _PRIVATE,
            self.join("log"): _PRIVATE,
        }
