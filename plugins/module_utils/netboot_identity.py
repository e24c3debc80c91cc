# Copyright (c) 2026 weft.fabric contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who a ramdisk is, and whom it lets in: keys for one deployment, and the archive that brings them to the node."""

from __future__ import annotations

import json
import os
import shutil
import stat
import tempfile
import typing as t

from ansible_collections.weft.fabric.plugins.module_utils import command
from ansible_collections.weft.fabric.plugins.module_utils.reconcile import FabricError, read_file

#: pairs of keys: that of who deploys, and that of the ramdisk's sshd
DEPLOYER, HOST = "deployer", "host"
_FILES = (DEPLOYER, DEPLOYER + ".pub", HOST, HOST + ".pub")

# An archive for the kernel: each header and each content begins at a multiple of four bytes.
_ALIGNMENT, _BLOCK = 4, 512


class Keys(t.NamedTuple):
    """The keys of one deployment, as OpenSSH writes them."""

    deployer: str
    deployer_public: str
    host: str
    host_public: str


def make_keys(directory: str) -> None:
    """Make the keys of a deployment in a directory that is there whole, or not at all."""
    parent = os.path.dirname(directory)
    os.makedirs(parent, mode=0o700, exist_ok=True)
    temporary = tempfile.mkdtemp(dir=parent, prefix=".weft-")
    try:
        for name in (DEPLOYER, HOST):
            words = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "", "-f", os.path.join(temporary, name)]
            _run(words)
        os.rename(temporary, directory)
    except BaseException:
        shutil.rmtree(temporary, ignore_errors=True)
        raise


def _run(words: t.List[str]) -> None:
    try:
        done = command.run(words)
    except FileNotFoundError as error:
        raise FabricError(
            "the program ssh-keygen is missing on this host: install openssh-client (Debian) or openssh (Fedora)"
        ) from error
    if done.returncode != 0:
        raise FabricError("ssh-keygen cannot make a key: %s" % " ".join((done.stderr or done.stdout).split()))


def read_keys(directory: str) -> t.Optional[Keys]:
    """Return the keys of a deployment, or None when they are not all there."""
    found = [read_file(os.path.join(directory, name)) for name in _FILES]
    if not all(found):
        return None
    deployer, deployer_public, host, host_public = [text or "" for text in found]
    return Keys(deployer, " ".join(deployer_public.split()), host, " ".join(host_public.split()))


def archive(keys: Keys, node: t.Mapping[str, t.Any]) -> bytes:
    """Return the archive: the same bytes for the same keys and node."""
    told = json.dumps(node, sort_keys=True) + "\n"
    entries = [
        ("etc", stat.S_IFDIR | 0o755, ""),
        ("etc/ssh", stat.S_IFDIR | 0o755, ""),
        ("etc/ssh/ssh_host_ed25519_key", stat.S_IFREG | 0o600, keys.host),
        ("etc/weft", stat.S_IFDIR | 0o755, ""),
        ("etc/weft/node.json", stat.S_IFREG | 0o600, told),
        ("root", stat.S_IFDIR | 0o700, ""),
        ("root/.ssh", stat.S_IFDIR | 0o700, ""),
        ("root/.ssh/authorized_keys", stat.S_IFREG | 0o600, keys.deployer_public + "\n"),
    ]
    parts = [_entry(number, *entry) for number, entry in enumerate(entries, 1)]
    parts.append(_entry(0, "TRAILER!!!", 0, ""))
    return _padded(b"".join(parts), _BLOCK)


def _entry(inode: int, name: str, mode: int, content: str) -> bytes:
    data, path = content.encode("utf-8"), name.encode("ascii") + b"\0"
    links = 2 if stat.S_ISDIR(mode) else 1
    # inode, mode, owner, group, links, time, size, device (2), device it is (2), length of the name, checksum
    numbers = (inode, mode, 0, 0, links, 0, len(data), 0, 0, 0, 0, len(path), 0)
    header = b"070701" + b"".join(b"%08x" % number for number in numbers)
    return _padded(header + path, _ALIGNMENT) + _padded(data, _ALIGNMENT)


def _padded(data: bytes, multiple: int) -> bytes:
    return data + bytes(-len(data) % multiple)
