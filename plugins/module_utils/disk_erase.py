# Copyright (c) 2026 weft.fabric contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Ways to erase a whole disk. Each says whether it can be used for a disk, which changes nothing, and does it then."""

from __future__ import annotations

import json
import mmap
import os
import random
import re
import typing as t

from ansible_collections.weft.fabric.plugins.module_utils import disk_child
from ansible_collections.weft.fabric.plugins.module_utils.disk_block import Disk
from ansible_collections.weft.fabric.plugins.module_utils.disk_signatures import is_zero
from ansible_collections.weft.fabric.plugins.module_utils.errors import FabricError

METHODS = ("metadata", "discard", "secure_erase", "overwrite")

Facts = t.Mapping[str, t.Any]

#: told how many more bytes are done
Tell = t.Callable[[int], None]

#: runs a program within so many seconds; returns exit code, output and errors
Run = t.Callable[[t.Sequence[str], float], t.Tuple[int, str, str]]

_SHORT = 60.0  # seconds, for a question
_STEP = 4 << 20
_SAMPLES = 64
_SAMPLE = 64 << 10

# It guards nothing: a disk wants to be locked before it can be erased.
_WORD = "weft-fabric"


class Samples(object):
    """Blocks all over a disk, which must not be the same after it was erased."""

    def __init__(self, disk: Disk):
        last = max(0, disk.size - _SAMPLE) // disk.sector_size
        places = {random.randint(0, last) * disk.sector_size for _number in range(_SAMPLES)}
        read = ((place, disk.read(place, _SAMPLE)) for place in sorted(places))
        self._before = {place: content for place, content in read if not is_zero(content)}

    def check(self, disk: Disk) -> int:
        """Fail when one is the same. Return how many were looked at."""
        disk.forget_cache()
        for place, content in self._before.items():
            if disk.read(place, _SAMPLE) == content:
                raise FabricError("what was at byte %d before can still be read. Take method overwrite" % place)
        return len(self._before)


def overwrite(disk: Disk, tell: Tell) -> None:
    """Write zeros everywhere, and not by commands that a disk may take its own view of."""
    zeros = memoryview(mmap.mmap(-1, _STEP))
    whole = disk.size - disk.size % disk.sector_size
    for offset in range(0, whole, _STEP):
        count = min(_STEP, whole - offset)
        disk.write_aligned(offset, zeros[:count])
        tell(count)
    disk.sync()


def discard(disk: Disk, tell: Tell) -> None:
    """Tell the disk that nothing on it is of use."""
    if not disk.discard():
        raise FabricError("it has no command for discard")
    disk.sync()
    tell(disk.size)


class SecureErase(object):
    """What disks have for it themselves: NVMe's format, and ATA's security feature set."""

    def __init__(self, facts: Facts, seconds: float, runner: Run = disk_child.run):
        self._device = facts["device"]
        self._seconds = seconds
        self._run = runner
        self._is_nvme = os.path.basename(self._device).startswith("nvme")
        self._enhanced = False

    def why_not(self) -> str:
        """Return why it cannot be used; nothing when it can."""
        return self._nvme_why_not() if self._is_nvme else self._ata_why_not()

    def erase(self) -> None:
        """Do it, and wait for the end."""
        if self._is_nvme:
            self._nvme_erase()
        else:
            self._ata_erase()

    def _json(self, *words: str) -> t.Dict[str, t.Any]:
        code, out, _err = self._run(["nvme", *words, "-o", "json", self._device], _SHORT)
        try:
            told = json.loads(out) if not code else None
        except ValueError:
            told = None
        return told if isinstance(told, dict) else {}

    def _nvme_why_not(self) -> str:
        controller = self._json("id-ctrl")
        if not controller:
            return "the program nvme cannot tell what the disk can do"
        if not int(controller.get("oacs", 0)) & 2:
            return "it has no command for NVMe's format"
        self._enhanced = bool(int(controller.get("fna", 0)) & 4)
        return ""

    def _nvme_erase(self) -> None:
        # Its sectors shall keep their size.
        form = int(self._json("id-ns").get("flbas", 0)) & 0x0F
        words = ["nvme", "format", "--force", "--lbaf=%d" % form, "--ses=%d" % (2 if self._enhanced else 1)]
        self._must([*words, "--timeout=%d" % (self._seconds * 1000), self._device])

    def _ata_why_not(self) -> str:
        code, out, _err = self._run(["hdparm", "-I", self._device], _SHORT)
        security = out.partition("Security:")[2]
        words = [" ".join(line.split()) for line in security.splitlines()]
        if code or "supported" not in words:
            return "it has no ATA security feature set"
        if "not frozen" not in words:
            return "its firmware has frozen ATA's security feature set, until it is powered off"
        if "not enabled" not in words or "not locked" not in words:
            return "it has an ATA password"
        self._enhanced = "supported: enhanced erase" in words and bool(re.search(r"for ENHANCED SECURITY", security))
        return ""

    def _ata_erase(self) -> None:
        hdparm = ["hdparm", "--user-master", "u"]
        self._must([*hdparm, "--security-set-pass", _WORD, self._device], _SHORT)
        erase = "--security-erase-enhanced" if self._enhanced else "--security-erase"
        try:
            self._must([*hdparm, erase, _WORD, self._device])
        finally:
            # An erased disk has no password any more; one that failed must not keep it.
            if self._ata_why_not() == "it has an ATA password":
                self._must([*hdparm, "--security-unlock", _WORD, self._device], _SHORT)
                self._must([*hdparm, "--security-disable", _WORD, self._device], _SHORT)

    def _must(self, words: t.Sequence[str], seconds: t.Optional[float] = None) -> None:
        code, out, err = self._run(words, seconds or self._seconds)
        if code:
            lines = (err or out).strip().splitlines()
            raise FabricError("%s says: %s" % (words[0], lines[-1] if lines else "exit code %d" % code))
