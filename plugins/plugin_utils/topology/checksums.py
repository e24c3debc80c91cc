# Copyright (c) 2026 weft.fabric contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Files of checksums, as sha256sum and its like write them."""

from __future__ import annotations

import posixpath
import re
import typing as t

_KINDS = {64: "sha256", 128: "sha512"}
_GNU = re.compile(r"\\?([0-9a-fA-F]{32,128})(?: [ *](.+))?")
_BSD = re.compile(r"SHA(?:256|512) \((.+)\) = ([0-9a-fA-F]{64,128})")
_MAX_BYTES = 2**20


def find_checksum(path: str, url: str) -> str:
    """Return the checksum that a file has for what a URL names, as sha256:… or sha512:….

    The directories before the names in the file don't matter: they are those of whoever wrote it. Raises OSError, and
    ValueError saying why there is none.
    """
    with open(path, encoding="utf-8", errors="replace") as stream:
        found = list(_entries(stream.read(_MAX_BYTES)))
    wanted = posixpath.basename(url.partition("?")[0])
    digests = {digest for name, digest in found if name is not None and posixpath.basename(name) == wanted}
    if not digests and len(found) == 1 and found[0][0] is None:
        digests = {found[0][1]}  # a digest and nothing else, as many projects publish it
    kinds = {_KINDS[len(digest)]: digest for digest in sorted(digests)}
    if not kinds:
        raise ValueError(f"it has no SHA-256 or SHA-512 checksum of {wanted}")
    if len(kinds) < len(digests):
        raise ValueError(f"it has several checksums of {wanted}")
    kind = max(kinds)
    return f"{kind}:{kinds[kind]}"


def _entries(text: str) -> t.Iterator[tuple[str | None, str]]:
    """Yield name (None: it has none) and digest of each line that has one."""
    for line in text.splitlines():
        line = line.strip()
        bsd = _BSD.fullmatch(line)
        match = _GNU.fullmatch(line)
        if bsd is not None:
            name, digest = bsd[1], bsd[2]
        elif match is not None:
            name, digest = match[2], match[1]
        else:
            continue
        if len(digest) in _KINDS:
            yield name, digest.lower()
