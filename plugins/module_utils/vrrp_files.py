# Copyright (c) 2026 weft.fabric contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Files and daemons as routers have them: what is written, what a daemon was told last, and which devices it knew."""

from __future__ import annotations

import hashlib
import json
import os
import re
import typing as t

from ansible_collections.weft.fabric.plugins.module_utils import netns, rtnetlink
from ansible_collections.weft.fabric.plugins.module_utils.reconcile import FabricError, read_file

NAME = re.compile(r"\A[A-Za-z0-9][A-Za-z0-9_.-]{0,99}\Z")

# What a daemon was told, kept beside its files.
STAMP = "applied"

_FILE_MODE = 0o600


def router_name(item: t.Mapping[str, t.Any], kind: str, known: t.Container[str]) -> str:
    """Return the name of a router that is listed for the first time, in its namespace, or refuse it."""
    name = item.get("name")
    if not isinstance(name, str) or not NAME.match(name):
        raise FabricError("%s %r: the name may hold A-Z a-z 0-9 _ . - only" % (kind, name))
    if name in known:
        raise FabricError("%s %s is listed twice" % (kind, name))
    if item.get("namespace") not in (None, namespace_of(name)):
        # The unit is a template, and knows a router by its name only.
        raise FabricError("%s %s: its namespace must be %s" % (kind, name, namespace_of(name)))
    return name


def namespace_of(name: str) -> str:
    """Return the namespace of a router."""
    return "qrouter-" + name


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
    write(os.path.join(directory, STAMP), json.dumps(content, sort_keys=True) + "\n")


def devices(namespace: str) -> t.Optional[t.Dict[str, int]]:
    """Return the numbers of a namespace's devices: one made anew has the name of the old, but not the number."""
    try:
        with netns.entered(namespace), rtnetlink.Reader() as reader:
            return {link.name: link.ifindex for link in reader.links()}
    except FileNotFoundError:
        return None


def write(path: str, content: str, mode: int = _FILE_MODE) -> None:
    """Replace a file in one step if it differs.

    Without waiting for the disk: what a power failure takes, the replay at boot writes again.
    """
    if read_file(path) == content and os.stat(path).st_mode & 0o777 == mode:
        return
    os.makedirs(os.path.dirname(path), mode=0o755, exist_ok=True)
    temporary = path + ".weft"
    with open(temporary, "w", encoding="utf-8") as stream:
        stream.write(content)
    os.chmod(temporary, mode)
    os.rename(temporary, path)


def changed_lines(before: t.Optional[str], after: t.Optional[str], label: str) -> t.Tuple[str, str]:
    """Return the lines that go and those that come, for a diff."""
    old, new = (before or "").splitlines(), (after or "").splitlines()
    gone = ["%s: %s" % (label, line) for line in old if line not in set(new)]
    come = ["%s: %s" % (label, line) for line in new if line not in set(old)]
    return "\n".join(gone), "\n".join(come)
