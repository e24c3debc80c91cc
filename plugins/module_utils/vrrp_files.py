# Copyright (c) 2026 weft.fabric contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Files and daemons as routers have them: what is written, what a daemon was told last, and which devices it knew."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
import typing as t

from ansible_collections.weft.fabric.plugins.module_utils import netns, rtnetlink
from ansible_collections.weft.fabric.plugins.module_utils.reconcile import FabricError, read_file, write_file

NAME = re.compile(r"\A[A-Za-z0-9][A-Za-z0-9_.-]{0,99}\Z")

# What a daemon was told, kept beside its files.
STAMP = "applied"

_FILE_MODE = 0o600
_DIRECTORY_MODE = 0o755


def router_name(item: t.Mapping[str, t.Any], kind: str, known: t.Container[str], centralised: bool = False) -> str:
    """Return the name of a router that is listed for the first time, in its namespace, or refuse it.

    centralised: it may be what a distributed router has on its network nodes.
    """
    name = item.get("name")
    if not isinstance(name, str) or not NAME.match(name):
        raise FabricError("%s %r: the name may hold A-Z a-z 0-9 _ . - only" % (kind, name))
    if name in known:
        raise FabricError("%s %s is listed twice" % (kind, name))
    allowed = [namespace_of(name), centralised_namespace_of(name)][: 2 if centralised else 1]
    if item.get("namespace") not in (None, *allowed):
        # Names and nothing else tell whose a namespace is.
        raise FabricError("%s %s: its namespace must be %s" % (kind, name, " or ".join(allowed)))
    return name


def namespace_of(name: str) -> str:
    """Return the namespace of a router."""
    return "qrouter-" + name


def centralised_namespace_of(name: str) -> str:
    """Return the namespace of what a distributed router has on its network nodes."""
    return "snat-" + name


def path_of(namespace: str) -> str:
    """Return where a namespace has its name."""
    return os.path.join(netns.NETNS_DIR, namespace)


def read_link(path: str) -> t.Optional[str]:
    """Return where a symbolic link leads; None when there is none."""
    try:
        return os.readlink(path)
    except OSError:
        return None


def link(path: str, target: str) -> None:
    """Let a symbolic link lead to a target, in one step."""
    temporary = path + ".weft"
    with contextlib.suppress(FileNotFoundError):
        os.unlink(temporary)
    os.symlink(target, temporary)
    os.rename(temporary, path)


def config_text(value: t.Any, where: str) -> str:
    """Return a configuration with an end of line."""
    if not isinstance(value, str) or "\0" in value or not value.strip():
        raise FabricError("%s is missing" % where)
    return value if value.endswith("\n") else value + "\n"


def digest(text: t.Optional[str]) -> str:
    """Return a digest of a file's text; of one that is not there, nothing."""
    return "" if text is None else hashlib.sha256(text.encode("utf-8")).hexdigest()


def read_stamp(directory: str) -> t.Dict[str, t.Any]:
    """Return what a daemon was told last."""
    try:
        found = json.loads(read_file(os.path.join(directory, STAMP)) or "{}")
    except ValueError:
        return {}  # cut short by a power failure; what it says is only whether work can be saved
    return found if isinstance(found, dict) else {}


def write_stamp(directory: str, content: t.Mapping[str, t.Any]) -> None:
    """Note what a daemon was told."""
    write(os.path.join(directory, STAMP), json.dumps(content, sort_keys=True) + "\n", durable=False)


def devices(namespace: str) -> t.Optional[t.Dict[str, int]]:
    """Return the numbers of a namespace's devices: one made anew has the name of the old, but not the number."""
    try:
        with netns.entered(namespace), rtnetlink.Reader() as reader:
            return {link.name: link.ifindex for link in reader.links()}
    except FileNotFoundError:
        return None


def write(path: str, content: str, mode: int = _FILE_MODE, durable: bool = True) -> None:
    """Replace a file in one step if it differs. It may be in a directory that others read, too.

    Those of a single router need not be durable, and hundreds of them are written at a time: nothing reads them after a
    power failure before the replay at boot has compared them and written again what is not right.
    """
    write_file(path, content, mode, _DIRECTORY_MODE, durable)


def changed_lines(before: t.Optional[str], after: t.Optional[str], label: str) -> t.Tuple[str, str]:
    """Return the lines that go and those that come, for a diff."""
    old, new = (before or "").splitlines(), (after or "").splitlines()
    gone = ["%s: %s" % (label, line) for line in old if line not in set(new)]
    come = ["%s: %s" % (label, line) for line in new if line not in set(old)]
    return "\n".join(gone), "\n".join(come)
