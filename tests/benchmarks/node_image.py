# Copyright (c) 2026 weft.fabric contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""An image on a disk of a node of the lab, in its ramdisk: by hand with curl, zstd and dd, and by disk_image, in turns.

The node is emulated where the machine has no KVM: that says little of a server's speed, but much of how far the two are
apart where the processor is what is scarce.
"""

from __future__ import annotations

import json
import shutil
import statistics
import tempfile
import typing as t
from pathlib import Path

from ansible_collections.weft.fabric.tests.unit.disks import machine as machines
from ansible_collections.weft.fabric.tests.unit.disks.machine import MIB
from ansible_collections.weft.fabric.tests.wire.metal import EXAMPLE, RAMDISK
from ansible_collections.weft.fabric.tests.wire.plays import Play, play

from .images import LEAST, make

NODE = "n1"
SIZE = 512 * MIB
RUNS = 3
HERE = Path(__file__).parent
LAB = EXAMPLE.with_name("lab.yml")
BY_HAND = {"dd": "conv=fsync,notrunc", "dd, direct": "oflag=direct conv=fsync,notrunc"}


def prepare() -> None:
    """Have the lab of the example, and its boot server."""
    play("weft.fabric.lab_up", EXAMPLE, "-e", f"lab_definition={LAB}", seconds=600)
    words = ("deploy_ramdisk_kernel=linux-image-cloud-amd64", RAMDISK)
    play("weft.fabric.ramdisk_build", EXAMPLE, *(part for word in words for part in ("-e", word)), seconds=900)
    play("weft.fabric.site", EXAMPLE, seconds=600)


def image_of(directory: Path, form: str) -> dict[str, t.Any]:
    """Return an image as the compiler tells of one."""
    raw = make(directory / "image.raw", SIZE)
    file = raw if form == "raw" else machines.packed(raw, form)
    checksum = machines.sha256(file)
    served = f"{checksum.partition(':')[2]}.{form}"
    return {"name": form, "url": f"file://{file}", "checksum": checksum, "format": form, "served": served}


def measure(form: str) -> float:
    directory = Path(tempfile.mkdtemp(prefix="weft-image-"))
    try:
        given = {"image": image_of(directory, form), "by_hand": BY_HAND, "runs": RUNS, "node_verb": "inspect"}
        (directory / "given.json").write_text(json.dumps(given), encoding="utf-8")
        words = ("-e", f"@{directory}/given.json", "-e", RAMDISK, "-l", NODE)
        done = play(str(HERE / "node_image.yml"), EXAMPLE, *words, seconds=1500)
    finally:
        shutil.rmtree(directory)
    return told(form, seconds_of(done))


def seconds_of(done: Play) -> dict[str, list[float]]:
    """Return how long each way took, in turns."""
    found: dict[str, list[float]] = {}
    for row in done.tasks:
        task = row["task"].rpartition(" : ")[2]
        if task == "By hand":
            for turn in row["result"]["results"]:
                began, ended = (float(line.split()[0]) for line in turn["stdout_lines"][:2])
                found.setdefault(turn["item"]["key"], []).append(ended - began)
        elif task == "By disk_image":
            found.setdefault("disk_image", []).append(row["result"]["seconds"])
    return found


def told(form: str, seconds: dict[str, list[float]]) -> float:
    for name, taken in seconds.items():
        print(
            f"node, {form}: {name:<10} {SIZE / MIB / min(taken):6.1f} MiB/s at best, "
            f"{SIZE / MIB / statistics.median(taken):6.1f} mostly"
        )
    ratio = min(seconds["dd, direct"]) / min(seconds["disk_image"])
    print(
        f"node, {form}: disk_image has {ratio:.2f} of curl, zstd and dd with oflag=direct; at least {LEAST} is wanted"
    )
    return ratio


def run() -> None:
    prepare()
    if min(measure(form) for form in ("raw.zst", "raw")) < LEAST:
        raise SystemExit(1)
