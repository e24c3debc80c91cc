# Copyright (c) 2026 weft.fabric contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Cleaning the disks of a node: what they are recognised by first, so that nothing boots, then their content."""

from __future__ import annotations

import threading
import time
import typing as t

from ansible_collections.weft.fabric.plugins.module_utils import (
    disk_child,
    disk_erase,
    disk_hints,
    disk_list,
    disk_module,
    disk_signatures,
)
from ansible_collections.weft.fabric.plugins.module_utils.disk_block import Disk
from ansible_collections.weft.fabric.plugins.module_utils.disk_progress import Progress
from ansible_collections.weft.fabric.plugins.module_utils.errors import FabricError

Report = t.Dict[str, t.Any]


class DiskCleaner(object):
    """All disks of a node, or those that are meant."""

    def __init__(
        self,
        params: t.Mapping[str, t.Any],
        places: t.Optional[disk_list.Places] = None,
        progress: t.Optional[Progress] = None,
        run: disk_erase.Run = disk_child.run,
        sector_size: t.Optional[int] = None,
    ):
        self._methods = [method for method in params["method"] if method != "metadata"]
        self._wanted = _hints("disks", params["disks"])
        self._skip = _hints("skip", params["skip"])
        self._until = time.monotonic() + params["timeout"]
        self._timeout = params["timeout"]
        self._parallel = threading.BoundedSemaphore(max(1, params["parallel"]))
        self._places = places or disk_list.Places()
        self._progress = progress or Progress()
        self._run = run
        self._sector_size = sector_size
        self._lock = threading.Lock()
        self._done = 0
        self.warnings: t.List[str] = []

    def run(self, check_mode: bool = False) -> t.Dict[str, t.Any]:
        """Clean them, and return what the module returns."""
        chosen, left_out = self._choose(disk_list.disks(self._places))
        reports: t.List[Report] = [
            {"name": facts["name"], "method": None, "changes": [], "error": None, "seconds": 0.0} for facts in chosen
        ]
        if check_mode:
            for facts, report in zip(chosen, reports):
                self._told(report, self._foretell, facts)
        else:
            with self._progress:
                self._progress.phase("cleaning", sum(facts["size"] for facts in chosen) if self._methods else None)
                self._all(chosen, reports)
        errors = ["%s: %s" % (report["name"], report["error"]) for report in reports if report["error"]]
        texts = ["%s: %s" % (report["name"], text) for report in reports for text in report.pop("changes")]
        result = dict(
            disk_module.summary(texts),
            disks=reports,
            left_out=left_out,
            diff={"before": "", "after": "".join(text + "\n" for text in texts)},
        )
        if errors:
            raise CleaningError(
                "%d of %d disks are not clean. %s" % (len(errors), len(reports), " ".join(errors)), result
            )
        return result

    def _choose(self, found: t.Sequence[disk_list.Facts]) -> t.Tuple[t.List[disk_list.Facts], t.List[Report]]:
        chosen, left_out = [], []
        for facts in found:
            reasons = [disk_hints.why_not(hints, facts) for hints in self._wanted]
            if any(not disk_hints.mismatches(hints, facts) for hints in self._skip):
                left_out.append({"name": facts["name"], "why": "skip says so"})
            elif all(reasons):
                if not facts["named_only"]:
                    left_out.append({"name": facts["name"], "why": ", ".join(reasons[0])})
            else:
                chosen.append(facts)
        if not chosen and self._wanted != [{}]:
            raise FabricError(
                "no disk is meant by disks. Those that are there: %s"
                % ("; ".join("%s %s" % (one["name"], one["why"]) for one in left_out) or "none")
            )
        return chosen, left_out

    def _all(self, chosen: t.Sequence[disk_list.Facts], reports: t.Sequence[Report]) -> None:
        # What a disk is recognised by goes from all of them first, whatever happens then.
        for work in (self._metadata, self._content) if self._methods else (self._metadata,):
            threads = [
                threading.Thread(target=self._told, args=(report, work, facts), daemon=True)
                for facts, report in zip(chosen, reports)
                if not report["error"]
            ]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()

    def _told(self, report: Report, work: t.Callable[[disk_list.Facts, Report], None], facts: disk_list.Facts) -> None:
        with self._parallel:
            started = time.monotonic()
            report["error"] = "cleaning it ended unexpectedly"
            try:
                work(facts, report)
                report["error"] = None
            except (FabricError, OSError) as error:
                report["error"] = str(error)
            report["seconds"] = round(report["seconds"] + time.monotonic() - started, 3)

    def _foretell(self, facts: disk_list.Facts, report: Report) -> None:
        with Disk(facts["device"], sector_size=self._sector_size) as disk:
            if self._dirty(disk):
                report["changes"].append("metadata wiped")
        report["method"] = self._method(facts) if self._methods else "metadata"
        if self._methods:
            report["changes"].append("erased by %s" % report["method"])

    def _dirty(self, disk: Disk) -> t.List[disk_signatures.Range]:
        return [
            (start, end)
            for start, end in disk_signatures.ranges(disk)
            if not disk_signatures.is_zero(disk.read(start, end - start))
        ]

    def _metadata(self, facts: disk_list.Facts, report: Report) -> None:
        report["method"] = "metadata"
        with Disk(facts["device"], write=True, sector_size=self._sector_size) as disk:
            disk.lock(self._until)
            if self._wipe(disk):
                report["changes"].append("metadata wiped")

    def _wipe(self, disk: Disk) -> bool:
        dirty = self._dirty(disk)
        for start, end in dirty:
            disk.write(start, b"\0" * (end - start))
        if dirty:
            disk.sync()
            disk.forget_cache()
            for start, end in dirty:
                if not disk_signatures.is_zero(disk.read(start, end - start)):
                    raise FabricError("zeros were written at byte %d, and something else is read there" % start)
            disk.reread_partitions()
        return bool(dirty)

    def _method(self, facts: disk_list.Facts) -> str:
        """Return the first of the methods that the disk has."""
        reasons = []
        for method in self._methods:
            if method == "overwrite":
                return method
            if method == "discard" and facts["discard"]:
                return method
            why = "it has no command for it"
            if method == "secure_erase":
                why = disk_erase.SecureErase(facts, self._timeout, self._run).why_not()
                if not why:
                    return method
            reasons.append("%s (%s)" % (method, why))
        raise FabricError("it has none of the methods: %s. Add method overwrite, or skip it" % ", ".join(reasons))

    def _content(self, facts: disk_list.Facts, report: Report) -> None:
        report["method"] = method = self._method(facts)
        with Disk(facts["device"], write=True, sector_size=self._sector_size) as disk:
            disk.lock(self._until)
            samples = disk_erase.Samples(disk)
            report["changes"].append("erased by %s" % method)
            if method == "secure_erase":
                eraser = disk_erase.SecureErase(facts, max(60.0, self._until - time.monotonic()), self._run)
                why = eraser.why_not()
                if why:
                    raise FabricError(why)
                eraser.erase()
                self._tell(disk.size)
            elif method == "discard":
                disk_erase.discard(disk, self._tell)
            else:
                disk_erase.overwrite(disk, self._tell)
            report["samples"] = samples.check(disk)
            # What an erased disk reads as is its maker's choice; at its ends it shall be zeros.
            self._wipe(disk)

    def _tell(self, count: int) -> None:
        with self._lock:
            self._done += count
            self._progress.update(bytes=self._done)
        if time.monotonic() > self._until:
            raise FabricError("it took longer than %g s" % self._timeout)


class CleaningError(FabricError):
    """Not all disks are clean; what became of each is told all the same."""

    def __init__(self, text: str, result: t.Dict[str, t.Any]):
        super().__init__(text)
        self.result = result


def _hints(name: str, given: t.Any) -> t.List[t.Dict[str, t.Any]]:
    """Return what is given as hints of one or of several disks."""
    if given in (None, "all"):
        return [{}]
    found = [given] if isinstance(given, dict) else given
    if not isinstance(found, list) or not all(isinstance(one, dict) and one for one in found):
        raise FabricError("%s is neither all, nor hints, nor a list of hints" % name)
    problems = [problem for one in found for problem in disk_hints.check(one)]
    if problems:
        raise FabricError("%s: %s" % (name, "; ".join(problems)))
    return found
