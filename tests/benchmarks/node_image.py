# Copyright (c) 2026 weft.fabric contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""An image on the disk of a node, in its ramdisk: by hand with curl, zstd and dd, and by disk_image, in turns.

The node is a machine of QEMU's, emulated: that says little of a server's speed, but much of how far the two are apart
where the processor is what is scarce. How long Ansible takes to start a module there is told as well.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import typing as t
from pathlib import Path

from ansible_collections.weft.fabric.tests.soak.ramdisk.guest import ADDRESS, MAC, READY, Guest, Keys, identity
from ansible_collections.weft.fabric.tests.soak.ramdisk.wire import DhcpServer, Wire
from ansible_collections.weft.fabric.tests.unit.disks import machine as machines
from ansible_collections.weft.fabric.tests.unit.disks.machine import MIB
from ansible_collections.weft.fabric.tests.unit.namespaces.private_network import private_network
from ansible_collections.weft.fabric.tests.wire.plays import environment

from .images import LEAST, make, serving

SIZE = 512 * MIB
RUNS = 3
SERVER = "10.66.100.2"
RAMDISK = Path(os.environ.get("WEFT_CACHE", "/var/cache/weft-fabric")) / "ramdisk-cloud"
BY_HAND = {"dd": "conv=fsync,notrunc", "dd, direct": "oflag=direct conv=fsync,notrunc"}

Item = dict[str, t.Any]


def build() -> Path:
    """Have a ramdisk, where the lab has it."""
    words = ["ansible-playbook", "-i", "localhost,", "weft.fabric.ramdisk_build"]
    words += ["-e", f"deploy_ramdisk_directory={RAMDISK}", "-e", "deploy_ramdisk_kernel=linux-image-cloud-amd64"]
    subprocess.run(words, check=True, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    return RAMDISK


def tasks(url: str, checksum: str, form: str) -> list[Item]:
    """Return the tasks of all turns."""
    unpack = "" if form == "raw" else "| zstd -dc "
    found: list[Item] = []
    for turn in range(RUNS):
        for name, options in BY_HAND.items():
            line = f"curl -sf {url} {unpack}| dd of=/dev/vda bs=4M iflag=fullblock {options} 2>/dev/null"
            found.append({"name": name, "ansible.builtin.raw": f"cat /proc/uptime; {line}; cat /proc/uptime"})
        given: Item = {
            "root_device": {"name": "/dev/vda"},
            "image": {"name": form, "url": url, "checksum": checksum, "format": form},
            "server_id": "benchmark",
            "deployment": str(turn),
            "grow": False,
        }
        found.append({"name": "disk_image", "weft.fabric.disk_image": given})
    return found


def play(directory: Path, keys: Keys, what: list[Item]) -> list[Item]:
    """Run tasks in the ramdisk, and return what each of them reported."""
    file, record = directory / "play.json", directory / "record"
    file.write_text(json.dumps([{"hosts": "all", "gather_facts": False, "tasks": what}]), encoding="utf-8")
    record.unlink(missing_ok=True)
    options = f"-F /dev/null -o UserKnownHostsFile={keys.known_hosts()} -o StrictHostKeyChecking=yes"
    words = [str(Path(sys.executable).with_name("ansible-playbook")), "-i", f"{ADDRESS},", str(file), "-u", "root"]
    words += ["--private-key", str(keys.private("deployer")), "-e", "ansible_python_interpreter=/usr/bin/python3"]
    # A connection of another machine that had this address must not be taken for one to this.
    env = {**environment(record), "ANSIBLE_SSH_CONTROL_PATH_DIR": str(directory / "cp")}
    subprocess.run([*words, "--ssh-common-args", options], check=True, env=env, stdout=subprocess.DEVNULL, timeout=900)
    return [json.loads(line) for line in record.read_text(encoding="utf-8").splitlines()]


def seconds_of(rows: list[Item]) -> dict[str, list[float]]:
    """Return how long each way took, in turns."""
    found: dict[str, list[float]] = {}
    for row in rows:
        took = row["result"].get("seconds")
        if took is None:
            # sshd has something to say as well.
            began, ended = re.findall(r"^(\d+\.\d+) \d+\.\d+\s*$", row["result"]["stdout"], re.M)
            took = float(ended) - float(began)
        found.setdefault(row["task"], []).append(took)
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


def measure(directory: Path, form: str) -> float:
    keys = Keys(directory)
    raw = make(directory / "image.raw", SIZE)
    image = raw if form == "raw" else machines.packed(raw, form)
    disk = directory / "disk.raw"
    with disk.open("wb") as stream:
        stream.truncate(SIZE + 64 * MIB)
    drive = f"file={disk},format=raw,if=virtio,cache=unsafe,discard=unmap"
    wire = Wire("dep", SERVER)
    dhcp = DhcpServer(directory / "dhcp", wire.name, {MAC: ADDRESS})
    guest = Guest(directory, RAMDISK, {wire.tap: MAC}, identity(keys), machine=("-drive", drive))
    try:
        with serving(directory, SERVER) as url:
            guest.says(READY, 300)
            starts = play(directory, keys, [{"name": "start", "weft.fabric.disk_info": {}} for _turn in range(2)])
            print(f"node: a module starts in {starts[0]['seconds']:.1f} s, and then in {starts[1]['seconds']:.1f} s")
            rows = play(directory, keys, tasks(f"{url}/{image.name}", machines.sha256(image), form))
    finally:
        guest.close()
        dhcp.close()
    return told(form, seconds_of(rows))


def run() -> None:
    build()
    ratios = {}
    for form in ("raw.zst", "raw"):
        directory = Path(tempfile.mkdtemp(prefix="weft-node-"))
        try:
            with private_network():
                ratios[form] = measure(directory, form)
        finally:
            shutil.rmtree(directory)
    # Of the other, each byte of the disk is hashed, which by hand nobody does.
    if ratios["raw.zst"] < LEAST:
        raise SystemExit(1)
