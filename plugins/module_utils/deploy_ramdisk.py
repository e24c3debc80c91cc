# Copyright (c) 2026 weft.fabric contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The deploy ramdisk, built when what it is made of has changed, and not otherwise. The engine."""

from __future__ import annotations

import json
import os
import typing as t

from ansible_collections.weft.fabric.plugins.module_utils import ramdisk_build
from ansible_collections.weft.fabric.plugins.module_utils.ramdisk_recipe import Recipe
from ansible_collections.weft.fabric.plugins.module_utils.reconcile import Engine, Operation, read_file

Builder = t.Callable[[Recipe, str], None]


class Current(t.NamedTuple):
    """What is in the directory."""

    manifest: t.Dict[str, t.Any]
    broken: t.List[str]  # files that are not what the manifest says


class DeployRamdiskEngine(Engine):
    """Makes the ramdisk in a directory what the arguments say."""

    name = "deploy_ramdisk"

    def __init__(self, params: t.Dict[str, t.Any], builder: Builder = ramdisk_build.build) -> None:
        Engine.__init__(self, params)
        self.directory: str = params["directory"]
        self.force = bool(params.get("force"))
        self.recipe = Recipe(
            params["release"], params["kernel"], tuple(params["packages"]), tuple(params["components"])
        )
        self.builder = builder

    def read(self) -> Current:
        try:
            manifest = json.loads(read_file(os.path.join(self.directory, ramdisk_build.MANIFEST)) or "{}")
        except ValueError:
            manifest = {}
        files = manifest.get("files", {}) if isinstance(manifest, dict) else {}
        if set(files) != {ramdisk_build.KERNEL, ramdisk_build.INITRD}:
            return Current({}, [])
        return Current(manifest, sorted(name for name, told in files.items() if not self._is(name, told)))

    def _is(self, name: str, told: t.Dict[str, t.Any]) -> bool:
        path = os.path.join(self.directory, name)
        if not os.path.isfile(path) or os.path.getsize(path) != told.get("size"):
            return False
        return ramdisk_build.describe(path) == told

    def diff(self, current: Current) -> t.List[Operation]:
        version = self.recipe.version()
        reason = self._reason(current, version)
        if not reason:
            return []
        text = "build the deploy ramdisk %s in %s (%s)" % (version, self.directory, reason)
        before = current.manifest.get("inputs")
        return [Operation(text, before=_lines(before) if before else "", after=_lines(self.recipe.inputs()))]

    def _reason(self, current: Current, version: str) -> str:
        if not current.manifest:
            return "there is none"
        if current.broken:
            return "%s damaged" % ", ".join(current.broken)
        if current.manifest.get("version") != version:
            return "made of something else: %s" % current.manifest.get("version")
        return "asked for" if self.force else ""

    def apply(self, operations: t.List[Operation]) -> None:
        self.builder(self.recipe, self.directory)
        # Once is enough.
        self.force = False

    def extra(self, current: Current) -> t.Dict[str, t.Any]:
        manifest = {key: value for key, value in current.manifest.items() if key != "inputs"}
        return {"directory": self.directory, "version": self.recipe.version(), "manifest": manifest}


def _lines(inputs: t.Dict[str, t.Any]) -> str:
    return json.dumps(inputs, indent=2, sort_keys=True)
