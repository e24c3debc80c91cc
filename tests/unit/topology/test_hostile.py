# Copyright (c) 2026 weft.fabric contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Files made to hurt: each is refused within a second, in a process that may use no more than 1 GiB."""

from __future__ import annotations

import os
import subprocess
import sys
import typing as t
from pathlib import Path

import pytest

HEAD = b"plugin: weft.fabric.topology\n"
MIB = 1024 * 1024

# The child limits itself, so that a loader that takes more fails and doesn't take the machine with it.
CHILD = """
import resource, sys, time
from ansible_collections.weft.fabric.plugins.plugin_utils.topology.load import load
from ansible_collections.weft.fabric.plugins.plugin_utils.topology.problems import TopologyError
resource.setrlimit(resource.RLIMIT_AS, (1 << 30, 1 << 30))
started = time.process_time()
try:
    load([sys.argv[1]])
except TopologyError as error:
    print(time.process_time() - started)
    print(error)
"""


def bomb(container: str) -> bytes:
    """Ten levels of ten aliases each: some hundred bytes that stand for ten thousand million values."""
    opening, closing = container
    lines = [f"x0: &x0 {opening}{_items(container, 'v')}{closing}"]
    for level in range(1, 11):
        lines.append(f"x{level}: &x{level} {opening}{_items(container, f'*x{level - 1}')}{closing}")
    body = "\n".join(f"      {line}" for line in lines)
    return HEAD + f"hosts:\n  net1:\n    vars:\n{body}\n".encode()


def _items(container: str, item: str) -> str:
    return ", ".join(f"k{number}: {item}" if container == "{}" else item for number in range(10))


def merge_bomb() -> bytes:
    lines = ["x0: &x0 {" + ", ".join(f"k{number}: v" for number in range(2000)) + "}"]
    lines += [f"x{level}: {{<<: [{', '.join(['*x0'] * 200)}]}}" for level in range(1, 20)]
    body = "\n".join(f"      {line}" for line in lines)
    return HEAD + f"hosts:\n  net1:\n    vars:\n{body}\n".encode()


CASES: dict[str, t.Callable[[], bytes]] = {
    "bomb of lists": lambda: bomb("[]"),
    "bomb of mappings": lambda: bomb("{}"),
    "bomb of merges": merge_bomb,
    "64 MiB and one byte": lambda: b"#" * (64 * MIB + 1),
    "60 MiB on one line": lambda: HEAD + b"hosts: {net1: {vars: {a: '" + b"x" * 60 * MIB + b"'}}}\n",
    "60 MiB of spaces": lambda: HEAD + b" " * 60 * MIB,
    "60 MiB of NUL": lambda: b"\0" * 60 * MIB,
    "60 MiB of Latin-1": lambda: b"\xe4" * 60 * MIB,
    "60 MiB of keys at the top": lambda: b"".join(b"key%d: 1\n" % number for number in range(4_000_000)),
    "60 MiB of brackets": lambda: HEAD + (b"[" * 1000 + b"\n") * 60_000,
    "60 MiB of open mappings": lambda: HEAD + b"a: " + (b"{a: " * 1000 + b"\n") * 15_000,
    "60 MiB of indentation": lambda: HEAD + b"".join(b" " * depth + b"a:\n" for depth in range(10_000)),
    "60 MiB of question marks": lambda: HEAD + (b"? " * 1000 + b"\n") * 30_000,
    "20,000 names that are none": lambda: HEAD + b"hosts:\n" + b"".join(b"  'n %d': {}\n" % n for n in range(20_000)),
    "50,000 unknown attributes": lambda: (
        HEAD
        + b"hosts:\n  net1:\n    roles: [network_node]\n"
        + b"".join(b"    attribute%d: 1\n" % number for number in range(50_000))
    ),
    "10,000 ports on unknown hosts": lambda: (
        HEAD
        + b"hosts:\n"
        + b"".join(b"  cmp%d: {roles: [compute_node]}\n" % number for number in range(1000))
        + b"projects:\n  blue:\n    networks: {web: {}}\n    ports:\n"
        + b"".join(b"      p%d: {network: web, host: cpm%d}\n" % (n, n) for n in range(10_000))
    ),
    "UTF-16": lambda: HEAD.decode().encode("utf-16"),
    "carriage returns only": lambda: HEAD.replace(b"\n", b"\r") + b"hosts: [\r",
    "a digit bomb": lambda: HEAD + b"physical_networks: {p: {mtu: " + b"9" * 60_000 + b"}}\n",
    "an underscore bomb": lambda: HEAD + b"hosts: {n: {vars: {a: " + b"1:" * 30_000 + b"1}}}\n",
    "a directory of itself": lambda: HEAD + b"include: ['*.yml', '/dev/*']\n",
}


@pytest.mark.parametrize("case", CASES)
def test_is_refused(case: str, tmp_path: Path) -> None:
    path = tmp_path / "topology.yml"
    path.write_bytes(CASES[case]())
    child = subprocess.run(
        [sys.executable, "-c", CHILD, str(path)], capture_output=True, text=True, check=False, env=os.environ.copy()
    )
    assert child.returncode == 0, child.stderr[-2000:]
    seconds, *problems = child.stdout.splitlines()
    assert problems[0].startswith(f"{path}:"), problems[0]
    assert int(problems[0].removeprefix(f"{path}:").split(":")[0]) >= 1
    assert len(problems) <= 101
    assert float(seconds) < 1.0


@pytest.mark.parametrize("kind", ["missing", "directory", "empty directory", "device", "unreadable link"])
def test_what_is_no_file(kind: str, tmp_path: Path) -> None:
    path = tmp_path / "topology.yml"
    if kind == "directory":
        path.mkdir()
    elif kind == "empty directory":
        path = tmp_path
    elif kind == "device":
        path.symlink_to("/dev/zero")
    elif kind == "unreadable link":
        path.symlink_to(path)
    child = subprocess.run([sys.executable, "-c", CHILD, str(path)], capture_output=True, text=True, check=False)
    assert child.returncode == 0, child.stderr[-2000:]
    assert ":1: (file): " in child.stdout
