# Copyright (c) 2026 weft.fabric contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The compiler alone: time and memory per port for ever larger fabrics. No host is needed."""

from __future__ import annotations

import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from .generate import write_fabric

SIZES = (100, 1000, 3000)
PORTS_PER_HOST = 100
HOSTS_COMPILED = 20


def measure(path: Path) -> dict[str, float]:
    """Build the topology and compile some of its hosts; run in a process of its own, for its memory."""
    from ansible_collections.weft.fabric.plugins.plugin_utils.topology.build import build
    from ansible_collections.weft.fabric.plugins.plugin_utils.topology.compile.host import compile_host

    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    started = time.perf_counter()
    topology = build(str(path))
    built = time.perf_counter()
    names = sorted(topology.hosts)[:: max(1, len(topology.hosts) // HOSTS_COMPILED)]
    for name in names:
        compile_host(topology, name)
    compiled = time.perf_counter()
    ports = sum(len(ports) for ports in topology.ports_by_network.values())
    return {
        "ports": ports,
        "build_seconds": built - started,
        "host_seconds": (compiled - built) / len(names),
        "kilobytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before,
    }


def run() -> None:
    """Print one line for each size."""
    print("compiler: hosts, ports, build s, build us/port, memory KiB/port, compile one host ms, us/port of the host")
    for hosts in SIZES:
        with tempfile.TemporaryDirectory(prefix="weft-t-") as directory:
            path = write_fabric(Path(directory), hosts, PORTS_PER_HOST)
            child = subprocess.run(
                [sys.executable, "-m", __spec__.name, str(path)], capture_output=True, text=True, check=True
            )
        row = json.loads(child.stdout)
        print(
            f"compiler: {hosts:5d} {row['ports']:7.0f} {row['build_seconds']:7.2f} "
            f"{row['build_seconds'] / row['ports'] * 1e6:7.1f} {row['kilobytes'] / row['ports']:7.2f} "
            f"{row['host_seconds'] * 1e3:7.1f} {row['host_seconds'] / PORTS_PER_HOST * 1e6:7.1f}"
        )


if __name__ == "__main__":
    print(json.dumps(measure(Path(sys.argv[1]))))
