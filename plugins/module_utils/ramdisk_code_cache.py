# Copyright (c) 2026 weft.fabric contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Keeps what Python compiles out of zip archives. In the ramdisk each Python starts with this.

Ansible sends what a module imports as an archive, with each task, and Python keeps nothing of what it compiles from
one. That takes most of the time of a task on a slow machine, such as an emulated one; on a fast one it costs nothing.
"""

from __future__ import annotations

import _imp
import marshal
import os
import zipimport
from importlib import _bootstrap_external

DIRECTORY = "/run/weft/code"


def keep(directory=DIRECTORY):
    """Look for compiled code in a directory, by what the source is, before it is compiled; and leave it there."""
    compile_source = getattr(zipimport, "_compile_source", None)
    load = getattr(_bootstrap_external, "_compile_bytecode", None)
    # Another Python may do it in another way, and then does it without this.
    if compile_source is None or load is None or not os.access(directory, os.W_OK):
        return

    def kept(pathname, source):
        path = "%s/%s-%d" % (directory, _imp.source_hash(len(source), source).hex(), len(source))
        try:
            with open(path, "rb") as stream:
                # With the name of this archive in it, for tracebacks.
                return load(stream.read(), pathname, path, pathname)
        except (EOFError, ImportError, OSError, TypeError, ValueError):
            code = compile_source(pathname, source)
            leave(code, path)
            return code

    def leave(code, path):
        temporary = "%s.%d" % (path, os.getpid())
        try:
            with open(temporary, "wb") as stream:
                marshal.dump(code, stream)
            os.rename(temporary, path)
        except OSError:
            # A full memory must not keep anything from running.
            pass

    zipimport.__dict__["_compile_source"] = kept
