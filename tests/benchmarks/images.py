# Copyright (c) 2026 weft.fabric contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Bytes of an image per second on a disk: by hand with curl, zstd and dd, and by disk_image, in turns.

The disk is a loop device, full of something old each time: holes from the turn before would make the next one slow.
The second one is a file in memory, where nothing but the processor is measured; by hand nothing is hashed, so that it
only says how much time there is left.
"""

from __future__ import annotations

import functools
import http.server
import multiprocessing
import os
import shutil
import statistics
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from ansible_collections.weft.fabric.plugins.module_utils import command
from ansible_collections.weft.fabric.tests.unit import runner
from ansible_collections.weft.fabric.tests.unit.disks import machine as machines
from ansible_collections.weft.fabric.tests.unit.disks.machine import MIB, Machine

SIZE = 1024 * MIB
DISK = SIZE + 64 * MIB
RUNS = 3
LEAST = 0.9
BY_HAND = {
    "dd": "conv=fsync,notrunc",
    "dd, sparse": "conv=sparse,fsync,notrunc",  # leaves what was there before, where the image has zeros
    "dd, direct": "oflag=direct conv=fsync,notrunc",
}


class _Handler(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_words: object) -> None:
        pass

    def copyfile(self, source: object, _target: object) -> None:
        with suppress(OSError):
            self.connection.sendfile(source)  # type: ignore[arg-type]


def _serve(directory: Path, address: str, port: multiprocessing.Queue[int]) -> None:
    server = http.server.ThreadingHTTPServer((address, 0), functools.partial(_Handler, directory=str(directory)))
    port.put(server.server_address[1])
    server.serve_forever()


@contextmanager
def serving(directory: Path, address: str = "127.0.0.1") -> Iterator[str]:
    port: multiprocessing.Queue[int] = multiprocessing.Queue()
    process = multiprocessing.Process(target=_serve, args=(directory, address, port), daemon=True)
    process.start()
    try:
        yield f"http://{address}:{port.get(timeout=30)}"
    finally:
        process.terminate()
        process.join()


def make(path: Path, size: int = SIZE) -> Path:
    """Make an image: a quarter of it noise, half of the rest zeros."""
    machines.make_image(path, size)
    with path.open("r+b") as stream:
        for at in range(64, size // MIB - 8, 4):
            stream.seek(at * MIB)
            if at % 3:
                stream.write(os.urandom(MIB) + b"some text that packs well %d\n" % at * 30000)
    return path


def fill(path: Path) -> None:
    """Fill a disk with something old."""
    with path.open("r+b" if path.exists() else "wb") as stream:
        for _number in range(DISK // MIB):
            stream.write(b"old." * (MIB // 4))
        stream.flush()
        os.fsync(stream.fileno())


@contextmanager
def disk_of(machine: Machine, directory: Path, loop: bool) -> Iterator[Path]:
    backing = directory / "weft-disk"
    fill(backing)
    disk = machine.add_disk("vda", DISK)
    disk.unlink()
    device = str(backing)
    if loop:
        device = machines.tool("losetup", "--find", "--show", str(backing)).strip()
    disk.symlink_to(device)
    try:
        yield disk
    finally:
        if loop:
            machines.tool("losetup", "--detach", device)


def measure(directory: Path, loop: bool, form: str) -> float:
    machine = Machine(directory / "machine")
    image = make(directory / "image.raw")
    served = image if form == "raw" else machines.packed(image, form)
    checksum = machines.sha256(served)
    unpack = "" if form == "raw" else "| zstd -dc"
    seconds: dict[str, list[float]] = {}
    with serving(directory) as url, disk_of(machine, directory, loop) as disk:
        for turn in range(RUNS):
            for name, options in {**BY_HAND, "disk_image": ""}.items():
                fill(disk)
                began = time.monotonic()
                if options:
                    line = f"curl -sf {url}/{served.name} {unpack} | dd of={disk} bs=4M iflag=fullblock {options}"
                    subprocess.run(["bash", "-o", "pipefail", "-c", line], check=True, capture_output=True)
                else:
                    given = machines.params(
                        f"{url}/{served.name}", checksum, form, deployment=str(turn), grow=False, timeout=600.0
                    )
                    machines.write(machine, given)
                seconds.setdefault(name, []).append(time.monotonic() - began)
    kind = "loop device" if loop else "file in memory"
    for name, taken in seconds.items():
        print(
            f"image, {form}, {kind}: {name:<11} {SIZE / MIB / min(taken):6.0f} MiB/s at best, "
            f"{SIZE / MIB / statistics.median(taken):6.0f} mostly"
        )
    ratio = min(min(seconds[name]) for name in BY_HAND) / min(seconds["disk_image"])
    print(f"image, {form}, {kind}: disk_image has {ratio:.2f} of the fastest by hand")
    return min(seconds["dd"]) / min(seconds["disk_image"])


def run() -> None:
    command.use(runner.run)
    ratios = []
    for loop, where in ((True, None), (False, "/dev/shm")):
        for form in ("raw.zst", "raw"):
            directory = Path(tempfile.mkdtemp(prefix="weft-image-", dir=where))
            try:
                ratio = measure(directory, loop, form)
            finally:
                shutil.rmtree(directory)
            if loop:
                ratios.append(ratio)
    print(f"image: on a block device disk_image has {min(ratios):.2f} of curl, zstd and dd; at least {LEAST} is wanted")
    if min(ratios) < LEAST:
        raise SystemExit(1)
