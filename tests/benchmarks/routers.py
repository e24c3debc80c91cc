# Copyright (c) 2026 weft.fabric contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""50 highly available routers on the lab's two network nodes: by a plain script and by site, side by side."""

from __future__ import annotations

import contextlib
import json
import tempfile
import time
import typing as t
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from ansible_collections.weft.fabric.plugins.module_utils.vrrp_plan import watches_for
from ansible_collections.weft.fabric.plugins.module_utils.vrrp_program import PRIMARY_NETWORK
from ansible_collections.weft.fabric.plugins.plugin_utils.topology.build import build
from ansible_collections.weft.fabric.plugins.plugin_utils.topology.compile.host import compile_host
from ansible_collections.weft.fabric.tests.wire.lab import Host, LabError, wait_for
from ansible_collections.weft.fabric.tests.wire.plays import play

from . import router_script
from .generate import write_routers
from .host import empty_play, median
from .router_script import PLACE, State

HOSTS = ("net1", "net2")
LIMIT = ":".join(HOSTS)
ROUTERS = 50
FLOATING_IPS = 5
RUNS = 1
GOAL_MEMORY = 10.0  # MB for each router

# What is measured: which script of router_script.
SCRIPTS = {"(a) script": "make", "(A) script, by systemd": "make.systemd"}

# Neither a script nor a play waits for it: each router has exactly one primary.
SETTLED = "and settled"

WATCHES = Path("/proc/sys/fs/inotify/max_user_instances")
NAMESPACES = "/proc/sys/user/max_net_namespaces"

# Run on a host: the processes of each router, known by their namespace, so that none escapes, whoever started it.
MEMORY = r"""
import json, os, re
routers = {}
for name in os.listdir("/run/netns"):
    if name.startswith("qrouter-"):
        routers[os.stat("/run/netns/" + name).st_ino] = name
found = []
for pid in filter(str.isdigit, os.listdir("/proc")):
    try:
        router = routers.get(os.stat("/proc/%s/ns/net" % pid).st_ino)
        if router:
            with open("/proc/%s/smaps_rollup" % pid) as stream:
                sizes = dict(re.findall(r"^(Rss|Pss): +(\d+) kB", stream.read(), re.M))
            with open("/proc/%s/comm" % pid) as stream:
                found.append((router, stream.read().strip(), int(sizes["Pss"]), int(sizes["Rss"])))
    except (FileNotFoundError, ProcessLookupError, KeyError):
        pass  # it has ended
print(json.dumps(found))
"""

Process = tuple[str, str, int, int]  # namespace, program, PSS and RSS in kB


def on_all(action: t.Callable[[str], t.Any]) -> dict[str, t.Any]:
    """Do something on all hosts at a time and return what each gave."""
    with ThreadPoolExecutor(len(HOSTS)) as pool:
        return dict(zip(HOSTS, pool.map(action, HOSTS), strict=True))


@contextlib.contextmanager
def enough_watches() -> t.Iterator[None]:
    """Let the kernel give each keepalived an inotify instance.

    A host of one's own raises its limit when it gets routers. The lab's hosts share this machine's kernel, and may not.
    """
    before, needed = int(WATCHES.read_text(encoding="ascii")), watches_for(len(HOSTS) * ROUTERS)
    if before >= needed:
        yield
        return
    WATCHES.write_text(str(needed), encoding="ascii")
    try:
        yield
    finally:
        WATCHES.write_text(str(before), encoding="ascii")


def check_room() -> None:
    """Refuse hosts that are too small for this."""
    for name in HOSTS:
        text = Host(name).run(f"cat {WATCHES} {NAMESPACES}; awk '/^MemAvailable/ {{ print $2 }}' /proc/meminfo")
        watches, namespaces, available = (int(word) for word in text.split())
        print(f"routers: {name}: {watches} inotify instances, {namespaces} namespaces, {available // 1024} MB free")
        # One kernel, so what each has is what all have.
        if watches < watches_for(len(HOSTS) * ROUTERS):
            raise LabError(f"{WATCHES} is {watches}: too low for {ROUTERS} routers on each of {len(HOSTS)} hosts")
        if namespaces < 2 * len(HOSTS) * ROUTERS:
            raise LabError(f"{NAMESPACES} is {namespaces}: too few for {ROUTERS} routers on each of {len(HOSTS)} hosts")
        if available < len(HOSTS) * ROUTERS * GOAL_MEMORY * 1024:
            raise LabError(f"{available // 1024} MB of memory are too few for {len(HOSTS)} x {ROUTERS} routers")


def by_script(name: str, state: State, script: str = "make") -> float:
    """Make the end state with a plain script; return seconds. What it reads is there before the clock starts."""
    host = Host(name)
    unpack = f"mkdir -p {PLACE} && base64 -d | tar -xz -C {PLACE}"
    host.run(unpack, stdin=router_script.archive(router_script.files(state)), seconds=120)
    text = host.run(
        f"cd {PLACE}; start=$(date +%s%N); sh {script} >log 2>&1 || {{ tail -n 20 *log; exit 1; }}; "
        "end=$(date +%s%N); echo $((end-start))",
        seconds=300,
    )
    return int(text.split()[-1]) / 1e9


def undo_script(name: str, state: State) -> None:
    """Remove what by_script() made, however far it came."""
    host = Host(name)
    if host.try_run(f"test -e {PLACE}/undo").returncode != 0:
        return
    host.try_run(f"cd {PLACE} && sh undo >log 2>&1", seconds=300)
    pids = router_script.running(state)
    wait_for(f"the end of the routers' processes on {name}", lambda: not host.run(pids).split(), 30)
    names = {item["name"] for item in router_script.namespaces_of(state)}
    left = names & {line.split()[0] for line in host.run("ip netns list").splitlines() if line}
    if left:
        log = host.run(f"tail -n 20 {PLACE}/log")
        raise LabError(f"{name}: {len(left)} namespaces of the script could not be removed:\n{log}")
    host.run(f"rm -rf {PLACE}")


def primaries(name: str) -> list[str]:
    """Return the namespaces of the routers that a host is the primary of."""
    return Host(name).run(
        "for name in $(ip netns list | awk '/^qrouter-/ { print $1 }'); do "
        f'[ -z "$(ip -n $name -o -4 address show to {PRIMARY_NETWORK})" ] || echo $name; done'
    ).split()  # fmt: skip


def wait_settled(what: str) -> dict[str, int]:
    """Wait until each router has exactly one primary; return how many each host has."""
    found: dict[str, list[str]] = {}

    def settled() -> bool:
        found.update(on_all(primaries))
        holders = Counter(router for routers in found.values() for router in routers)
        return len(holders) == ROUTERS and set(holders.values()) == {1}

    wait_for(f"one primary of each router ({what})", settled, 60)
    return {name: len(routers) for name, routers in found.items()}


def settling(what: str) -> tuple[float, dict[str, int]]:
    """Return for how many seconds roles were still being found, and how many of them each host has."""
    began = time.monotonic()
    spread = wait_settled(what)
    return time.monotonic() - began, spread


def measure_memory(name: str) -> list[Process]:
    """Return the processes of a host's routers."""
    return [tuple(row) for row in json.loads(Host(name).run("python3 -", stdin=MEMORY, seconds=120))]


def report_memory(processes: t.Mapping[str, t.Sequence[Process]]) -> None:
    """Print what the routers' processes need."""
    pss: Counter[tuple[str, str]] = Counter()
    rss: Counter[tuple[str, str]] = Counter()
    programs: dict[str, list[int]] = {}
    for host, rows in processes.items():
        for router, program, proportional, resident in rows:
            pss[host, router] += proportional
            rss[host, router] += resident
            programs.setdefault(program, []).append(proportional)
    for label, sizes in (("PSS", pss), ("RSS", rss)):
        mean, largest = sum(sizes.values()) / len(sizes) / 1024, max(sizes.values()) / 1024
        print(f"routers: memory of a router on a host, {label}: mean {mean:.1f} MB, largest {largest:.1f} MB")
    for program, values in sorted(programs.items()):
        mean = sum(values) / len(values) / 1024
        print(f"routers:   {program:12s} {len(values):4d} processes, PSS mean {mean:.2f} MB")
    largest = max(pss.values()) / 1024
    print(f"routers: largest PSS / {GOAL_MEMORY:g} MB                  = {largest / GOAL_MEMORY:.2f}; goal: at most 1")


def one_turn(
    directory: Path, topology: Path, states: t.Mapping[str, State], note: t.Callable[[str, float], None]
) -> dict[str, list[Process]]:
    """Measure everything once; return the processes of the routers."""
    limit = ("--limit", LIMIT)
    note("empty play", empty_play(directory, False, LIMIT))
    note("empty play with facts", empty_play(directory, True, LIMIT))
    for what, script in SCRIPTS.items():
        try:
            seconds = max(on_all(lambda name, script=script: by_script(name, states[name], script)).values())
            note(what, seconds)
            note(f"{what}, {SETTLED}", seconds + settling(what)[0])
        finally:
            on_all(lambda name: undo_script(name, states[name]))
    # Also gives the underlay's devices back what the script has turned off.
    play("weft.fabric.teardown", topology, *limit, seconds=600)
    cold = play("weft.fabric.site", topology, *limit, seconds=600)
    note("(b) site, cold", cold.seconds)
    seconds, spread = settling("site")
    note(f"(b) site, cold, {SETTLED}", cold.seconds + seconds)
    unchanged = play("weft.fabric.site", topology, *limit, seconds=600)
    if unchanged.changed:
        raise AssertionError(f"not idempotent: {unchanged.changes()}")
    note("(c) site, unchanged", unchanged.seconds)
    # On the hosts that (c) had: with hundreds of devices, and processors that the routers' advertisements share.
    note("facts, beside routers", empty_play(directory, True, LIMIT))
    if wait_settled("site, unchanged") != spread:
        raise AssertionError("a run that changed nothing has moved a role")
    print("routers: primaries: " + ", ".join(f"{name} {count}" for name, count in spread.items()))
    processes = on_all(measure_memory)
    play("weft.fabric.teardown", topology, *limit, seconds=600)
    return processes


def clean_up(topology: Path, states: t.Mapping[str, State]) -> None:
    """Remove everything, also what a run that was killed has left."""
    with contextlib.ExitStack() as stack:
        # Called from the last to the first, and both, whatever becomes of the other.
        stack.callback(lambda: play("weft.fabric.teardown", topology, "--limit", LIMIT, seconds=600))
        stack.callback(lambda: on_all(lambda name: undo_script(name, states[name])))


def run() -> None:
    """Print all figures of one run side by side."""
    rows: dict[str, list[float]] = {}
    processes: dict[str, list[Process]] = {}
    with tempfile.TemporaryDirectory(prefix="weft-t-") as name, enough_watches():
        directory = Path(name)
        topology = write_routers(directory, ROUTERS, FLOATING_IPS)
        fabric = build(str(topology))
        states = {host: compile_host(fabric, host) for host in HOSTS}
        flows = sum(len(bridge["flows"]) for bridge in states[HOSTS[0]]["openflow_flows"]["bridges"])
        print(f"routers: {ROUTERS} routers, {ROUTERS * FLOATING_IPS} floating IPs, {flows} flows on each of {LIMIT}")
        check_room()
        try:
            clean_up(topology, states)
            for _turn in range(RUNS):
                processes = one_turn(directory, topology, states, lambda what, s: rows.setdefault(what, []).append(s))
        finally:
            clean_up(topology, states)
    for what, seconds in rows.items():
        each = " ".join(f"{value:6.2f}" for value in seconds)
        print(f"routers: {what:36s} {each}  median {median(seconds):6.2f} s")
    a, b, c = (median(rows[key]) for key in ("(a) script", "(b) site, cold", "(c) site, unchanged"))
    bare, facts = median(rows["empty play"]), median(rows["empty play with facts"])
    print(f"routers: (b) / (1.5 x (a) + empty play)            = {b / (1.5 * a + bare):.2f}; goal: at most 1")
    print(f"routers: (b) / (1.5 x (a) + empty play with facts) = {b / (1.5 * a + facts):.2f}")
    settled = 1.5 * median(rows[f"(a) script, {SETTLED}"]) + bare
    ratio = median(rows[f"(b) site, cold, {SETTLED}"]) / settled
    print(f"routers: the same, until each router has its primary = {ratio:.2f}")
    kept = median(rows["(A) script, by systemd"])
    print(f"routers: (b) / (1.5 x (A) + empty play)            = {b / (1.5 * kept + bare):.2f}; both with systemd")
    beside = median(rows["facts, beside routers"])
    for what, yardstick in (("bare hosts", facts), ("hosts as they are", beside)):
        print(f"routers: (c) / (3 x facts of {what:17s})      = {c / (3 * yardstick):.2f}; goal: at most 1")
    report_memory(processes)
