# Copyright (c) 2026 weft.fabric contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""How nodes are emulated: by KVM where it has booted a kernel in time, else in software.

That KVM can be opened says little: there are machines on which it does, and no kernel of a distribution ever gets up.
"""

from __future__ import annotations

import contextlib
import json
import os
import platform
import shutil
import subprocess
import time
from pathlib import Path

from weft_lab import tiny_image
from weft_lab.system import progress, write_file

QEMU = "qemu-system-x86_64"
DEVICE = Path("/dev/kvm")
# The same in software takes about four.
SECONDS = 20.0
SOFTWARE = ("-accel", "tcg,thread=multi,tb-size=256", "-cpu", "max")
KVM = ("-accel", "kvm", "-cpu", "host")


def words(cache: Path = tiny_image.CACHE) -> tuple[str, ...]:
    """Return QEMU's words for the emulation to use. The probe's answer is kept for as long as nothing has changed."""
    kernel, initrd = cache / "tiny.vmlinuz", cache / "tiny.initrd"
    if not os.access(DEVICE, os.R_OK | os.W_OK) or not kernel.exists() or not initrd.exists():
        return SOFTWARE
    file, here = cache / "kvm.json", circumstances(kernel)
    with contextlib.suppress(FileNotFoundError, ValueError):
        known = json.loads(file.read_text(encoding="utf-8"))
        if known.get("circumstances") == here:
            return KVM if known.get("boots") else SOFTWARE
    progress(f"looking whether KVM boots a kernel here within {SECONDS:g} s (once)")
    boots = probe(kernel, initrd)
    progress(f"KVM {'is used' if boots else 'does not, so nodes are emulated in software'}")
    write_file(file, json.dumps({"circumstances": here, "boots": boots}, indent=1) + "\n")
    return KVM if boots else SOFTWARE


def circumstances(kernel: Path) -> list[str]:
    """What the answer depends on."""
    model = [line for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines() if "model name" in line]
    emulator = Path(shutil.which(QEMU) or "/").resolve().stat()
    return [
        platform.release(),
        "".join(model[:1]),
        f"{emulator.st_size} {emulator.st_mtime_ns}",
        str(kernel.stat().st_size),
    ]


def probe(kernel: Path, initrd: Path) -> bool:
    """Boot the image's kernel to where it is told to power off."""
    command = [QEMU, "-nodefaults", "-no-user-config", "-display", "none", "-machine", "q35,smm=off", *KVM]
    command += ["-m", "256", "-kernel", str(kernel), "-initrd", str(initrd), "-append", "quiet panic=-1 tiny.probe"]
    started = time.monotonic()
    try:
        done = subprocess.run(
            [*command, "-no-reboot"], stdin=subprocess.DEVNULL, capture_output=True, check=False, timeout=SECONDS
        )
    except subprocess.TimeoutExpired:
        return False
    # Where KVM cannot be used at all, QEMU says so and ends at once.
    return done.returncode == 0 and time.monotonic() - started > 0.1
