# Copyright (c) 2026 weft.fabric contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Installs the boot replay on a host, or removes it with all it keeps."""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile

from ansible_collections.weft.fabric.plugins.module_utils import boot_files, command
from ansible_collections.weft.fabric.plugins.module_utils.reconcile import STATE_DIR, Engine, FabricError, Operation

TIMEOUT = 90  # seconds for one call of systemctl
MODE = 0o644
_ACTIVE = ("active", "activating", "reloading")


class Systemd(object):
    """What is needed of systemd."""

    def read(self, units):
        """Return {unit: (enabled, active)}. One that process 1 is about to start counts as active."""
        output = self._run("show", "--property=Id,UnitFileState,ActiveState,Job", *units)
        found = {}
        for block in output.strip().split("\n\n"):
            values = dict(line.partition("=")[::2] for line in block.splitlines())
            active = values.get("ActiveState") in _ACTIVE or bool(values.get("Job"))
            found[values.get("Id")] = (values.get("UnitFileState") == "enabled", active)
        return {unit: found.get(unit, (False, False)) for unit in units}

    def reload(self):
        """Read the unit files again."""
        self._run("daemon-reload")

    def enable(self, units):
        """Read the unit files again, and start units now and at boot.

        Nobody waits: the replay waits for the lock that this run holds.
        """
        self._run("enable", "--now", "--no-block", *units)

    def renew(self, units):
        """Restart those of the units that run."""
        self._run("try-restart", "--no-block", *units)

    def disable(self, units):
        """Stop units now and for good."""
        self._run("disable", "--now", *units)

    def _run(self, *arguments):
        try:
            done = command.run(["systemctl", *arguments])
        except FileNotFoundError as error:
            raise FabricError("boot_replay: there is no systemctl: this host does not run systemd") from error
        if done.returncode != 0:
            raise FabricError(
                "boot_replay: systemctl %s failed: %s" % (" ".join(arguments), done.stderr.strip() or done.returncode)
            )
        return done.stdout


class BootReplayEngine(Engine):
    """Makes the boot replay present or absent."""

    name = "boot_replay"

    def __init__(self, params, systemd=None, root="/"):
        super().__init__(params)
        self.present = params.get("state") in (None, "present")
        self.systemd = systemd or Systemd()
        self.root = root
        self.wanted = {}

    def read(self):
        """Return {"files": {path: content or None}, "units": {unit: (enabled, active)}, "kept": [directory]}."""
        # Once: to put the program together takes a tenth of a second.
        self.wanted = self.wanted or (boot_files.files() if self.present else dict.fromkeys(boot_files.files()))
        kept = [path for path in (STATE_DIR, boot_files.RUN_DIR) if os.path.isdir(self._at(path))]
        return {
            "files": {path: _read_bytes(self._at(path)) for path in self.wanted},
            "units": self.systemd.read(boot_files.ENABLED),
            "kept": kept,
        }

    def diff(self, current):
        return self._missing(current) if self.present else self._remains(current)

    def apply(self, operations):
        if self.present:
            self._install([operation.payload for operation in operations])
        else:
            self._remove([operation.payload for operation in operations])

    def _missing(self, current):
        operations = [
            _operation("write", path, current["files"][path], content)
            for path, content in sorted(self.wanted.items())
            if current["files"][path] != content
        ]
        for unit in boot_files.ENABLED:
            enabled, active = current["units"][unit]
            if not enabled or not (active or unit in boot_files.MAY_REST):
                operations.append(Operation("enable %s" % unit, ("enable", unit), after="%s enabled" % unit))
        return operations

    def _remains(self, current):
        operations = [
            Operation("disable %s" % unit, ("disable", unit), before="%s enabled" % unit)
            for unit in boot_files.ENABLED
            if any(current["units"][unit])
        ]
        operations += [
            _operation("remove", path, content, None)
            for path, content in sorted(current["files"].items())
            if content is not None
        ]
        operations += [Operation("remove %s" % path, ("forget", path), before=path) for path in current["kept"]]
        return operations

    def _install(self, steps):
        written = [path for verb, path in steps if verb == "write"]
        for path in written:
            _write_bytes(self._at(path), self.wanted[path])
        units = [os.path.basename(path) for path in written if path.startswith(boot_files.UNIT_DIR)]
        enable = [unit for verb, unit in steps if verb == "enable"]
        if enable:
            self.systemd.enable(enable)
        elif units:
            self.systemd.reload()
        # The replay itself is not run again only because its text is new.
        renewed = [unit for unit in boot_files.ENABLED[1:] if unit in units and unit not in enable]
        if boot_files.WATCHER in written and "weft-fabric-watch.service" not in enable + renewed:
            renewed.append("weft-fabric-watch.service")
        if renewed:
            self.systemd.renew(renewed)

    def _remove(self, steps):
        disable = [unit for verb, unit in steps if verb == "disable"]
        if disable:
            self.systemd.disable(disable)
        removed = [path for verb, path in steps if verb == "remove"]
        for path in removed:
            os.unlink(self._at(path))
        if any(path.startswith(boot_files.UNIT_DIR) for path in removed):
            self.systemd.reload()
        for path in [path for verb, path in steps if verb == "forget"]:
            shutil.rmtree(self._at(path))
        for path in (boot_files.PROGRAM_DIR, os.path.dirname(STATE_DIR)):
            # Others may keep something there.
            with contextlib.suppress(OSError):
                os.rmdir(self._at(path))

    def _at(self, path):
        return os.path.join(self.root, path.lstrip("/"))


def _operation(verb, path, before, after):
    return Operation("%s %s" % (verb, path), (verb, path), _show(path, before), _show(path, after))


def _show(path, content):
    if content is None:
        return ""
    return "%s (%d bytes)" % (path, len(content)) if path == boot_files.PROGRAM else content.decode("utf-8", "replace")


def _read_bytes(path):
    try:
        with open(path, "rb") as stream:
            return stream.read()
    except FileNotFoundError:
        return None


def _write_bytes(path, content):
    """Write a file in one step; systemd and Python must be able to read it."""
    directory = os.path.dirname(path)
    os.makedirs(directory, mode=0o755, exist_ok=True)
    descriptor, temporary = tempfile.mkstemp(dir=directory, prefix=".weft-")
    try:
        with os.fdopen(descriptor, "wb") as stream:
            stream.write(content)
            stream.flush()
            os.fsync(stream.fileno())
        os.chmod(temporary, MODE)
        os.rename(temporary, path)
    except BaseException:
        os.unlink(temporary)
        raise
