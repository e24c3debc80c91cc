# Copyright (c) 2026 weft.fabric contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One lab host with 100 networks and 1,000 ports: by hand, by site, and by tasks in a loop, side by side."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
import sys
import tempfile
import time
import typing as t
import zipfile
from pathlib import Path

import yaml

from ansible_collections.weft.fabric.plugins.plugin_utils.topology.build import build
from ansible_collections.weft.fabric.plugins.plugin_utils.topology.compile.host import compile_host
from ansible_collections.weft.fabric.tests.wire.lab import LAB_INVENTORY, Host
from ansible_collections.weft.fabric.tests.wire.plays import environment, play

from .generate import write_one_host

HOST = "cmp1"
NETWORKS = 100
PORTS = 1000
LOOPED = 50
RUNS = 3

State = dict[str, t.Any]


def option(prefix: str, values: dict[str, t.Any]) -> list[str]:
    """Return the settings of a map column as ovs-vsctl takes them."""
    return [f"{prefix}:{key}={json.dumps(str(value))}" for key, value in values.items()]


def vsctl_by_hand(state: State) -> str:
    """Return one ovs-vsctl command that makes all bridges and ports."""
    words: list[str] = []
    for bridge in state["ovs_bridges"]["bridges"]:
        name = bridge["name"]
        words += ["--", "--may-exist", "add-br", name, "--", "set", "Bridge", name]
        words += [f"datapath_type={bridge['datapath_type']}", f"fail_mode={bridge.get('fail_mode') or 'standalone'}"]
        for port in bridge["ports"]:
            interface = port.get("interface") or {}
            words += ["--", "--may-exist", "add-port", name, port["name"]]
            if port.get("tag"):
                words += [f"tag={port['tag']}"]
            settings = option("external_ids", interface.get("external_ids") or {})
            settings += option("options", interface.get("options") or {})
            if interface.get("type"):
                settings.append(f"type={interface['type']}")
            if settings:
                words += ["--", "set", "Interface", port["name"], *settings]
    return "ovs-vsctl " + " ".join(shlex.quote(word) for word in words)


def ip_by_hand(state: State) -> str:
    """Return the lines of one ip -batch that makes all links of the host's own namespace."""
    lines = []
    for namespace in state["namespaces"]["namespaces"]:
        for link in namespace.get("links", []):
            if link["kind"] == "tap":
                lines += [f"tuntap add dev {link['name']} mode tap", f"link set {link['name']} mtu {link['mtu']} up"]
    return "\n".join(lines) + "\n"


def flows_by_hand(host: Host, state: State) -> dict[str, str]:
    """Return the flows of each bridge, with the port numbers a person would look up."""
    found = {}
    for bridge in state["openflow_flows"]["bridges"]:
        text = host.run("ovs-vsctl --format=json --columns=name,ofport list Interface")
        numbers = {row[0]: row[1] for row in json.loads(text)["data"]}
        found[bridge["name"]] = "".join(with_numbers(flow, numbers) + "\n" for flow in bridge["flows"])
    return found


def with_numbers(flow: str, numbers: dict[str, int]) -> str:
    """Return a flow with the numbers of ports in the place of their names."""
    return re.sub(r'"([^"]+)"', lambda m: str(numbers[m.group(1)]), flow)


def by_hand(host: Host, state: State) -> float:
    """Make the end state with one ip -batch, one ovs-vsctl and one bundle for each bridge; return seconds."""
    seconds = 0.0

    def timed(command: str, stdin: str) -> None:
        nonlocal seconds
        text = host.run(
            f"cat > /run/weft-t-in; start=$(date +%s%N); {command} >/dev/null; end=$(date +%s%N); echo $((end-start))",
            stdin=stdin,
            seconds=300,
        )
        seconds += int(text.split()[-1]) / 1e9

    timed("ip -batch /run/weft-t-in", ip_by_hand(state))
    timed("sh /run/weft-t-in", vsctl_by_hand(state))
    for bridge, flows in flows_by_hand(host, state).items():
        timed(f"ovs-ofctl -O OpenFlow14 --bundle add-flows {bridge} /run/weft-t-in", flows)
    return seconds


def undo_by_hand(host: Host, state: State) -> None:
    """Remove what by_hand() made."""
    for bridge in state["ovs_bridges"]["bridges"]:
        host.run(f"ovs-vsctl --if-exists del-br {bridge['name']}", seconds=300)
    links = [line.split()[3] for line in ip_by_hand(state).splitlines() if line.startswith("tuntap")]
    host.run("ip -batch -", stdin="".join(f"link set {name} group 7799\n" for name in links))
    host.run("ip link delete group 7799; rm -f /run/weft-t-in")


def empty_play(directory: Path, facts: bool, hosts: str = HOST) -> float:
    """Return the seconds that a play without tasks takes."""
    path = directory / "empty.yml"
    path.write_text(f"- hosts: {hosts}\n  gather_facts: {str(facts).lower()}\n  tasks: []\n", encoding="utf-8")
    return play(str(path), LAB_INVENTORY).seconds


def incumbent(directory: Path) -> float | None:
    """Return the seconds that tasks of openvswitch.openvswitch take for some ports, in a loop."""
    wheels = directory / "wheel"
    subprocess.run(
        [sys.executable, "-m", "pip", "download", "-q", "--no-deps", "-d", str(wheels), "ansible==10.7.0"], check=True
    )
    with zipfile.ZipFile(next(wheels.glob("*.whl"))) as archive:
        wanted = [n for n in archive.namelist() if n.startswith("ansible_collections/openvswitch/")]
        archive.extractall(directory / "incumbent", wanted)
    task = [
        {
            "hosts": HOST,
            "gather_facts": False,
            "tasks": [
                {
                    "openvswitch.openvswitch.openvswitch_bridge": {
                        "bridge": "weft-t-inc",
                        "fail_mode": "secure",
                        "set": "bridge weft-t-inc datapath_type=netdev",
                    }
                },
                {
                    "openvswitch.openvswitch.openvswitch_port": {
                        "bridge": "weft-t-inc",
                        "port": "wti{{ item }}",
                        "tag": 5,
                        "set": "Interface wti{{ item }} type=internal",
                    },
                    "loop": list(range(LOOPED)),
                },
            ],
        }
    ]
    path = directory / "incumbent.yml"
    path.write_text(yaml.safe_dump(task), encoding="utf-8")
    started = time.monotonic()
    subprocess.run(
        [str(Path(sys.executable).with_name("ansible-playbook")), "-i", str(LAB_INVENTORY), str(path)],
        env=dict(environment(), ANSIBLE_COLLECTIONS_PATH=str(directory / "incumbent")),
        check=True,
        capture_output=True,
        stdin=subprocess.DEVNULL,
    )
    seconds = time.monotonic() - started
    Host(HOST).run("ovs-vsctl del-br weft-t-inc")
    return seconds


def run() -> None:
    """Print all figures of one run side by side."""
    host = Host(HOST)
    with tempfile.TemporaryDirectory(prefix="weft-t-") as name:
        directory = Path(name)
        topology = write_one_host(directory, NETWORKS, PORTS)
        larger = write_one_host(directory, NETWORKS, PORTS + 1, "larger.yml")
        state = compile_host(build(str(topology)), HOST)
        flows = sum(len(bridge["flows"]) for bridge in state["openflow_flows"]["bridges"])
        print(f"host: {NETWORKS} networks, {PORTS} ports, {flows} flows on {HOST}")
        limit = ("--limit", HOST)
        play("weft.fabric.teardown", topology, *limit)
        rows: dict[str, list[float]] = {}

        def note(what: str, seconds: float) -> None:
            rows.setdefault(what, []).append(seconds)

        # The underlay bridge is there in both cases: what is compared is the networks and ports.
        for _turn in range(RUNS):
            note("empty play", empty_play(directory, facts=False))
            note("empty play with facts", empty_play(directory, facts=True))
            note("(a) by hand", by_hand(host, state))
            undo_by_hand(host, state)
            note("(b) site, cold", play("weft.fabric.site", topology, *limit).seconds)
            unchanged = play("weft.fabric.site", topology, *limit)
            if unchanged.changed:
                raise AssertionError(f"not idempotent: {unchanged.changes()}")
            note("(c) site, unchanged", unchanged.seconds)
            note("(d) site, one port more", play("weft.fabric.site", larger, *limit).seconds)
            play("weft.fabric.teardown", topology, *limit, seconds=600)
        looped = incumbent(directory)
    for what, seconds in rows.items():
        each = " ".join(f"{value:6.2f}" for value in seconds)
        print(f"host: {what:24s} {each}  median {median(seconds):6.2f} s")
    a, b, c = (median(rows[key]) for key in ("(a) by hand", "(b) site, cold", "(c) site, unchanged"))
    bare, facts = median(rows["empty play"]), median(rows["empty play with facts"])
    print(f"host: (b) / (1.5 x (a) + empty play with facts) = {b / (1.5 * a + facts):.2f}; goal: at most 1")
    print(f"host: (b) / (1.5 x (a) + empty play)            = {b / (1.5 * a + bare):.2f}")
    print(f"host: (c) / (3 x empty play with facts)         = {c / (3 * facts):.2f}; goal: at most 1")
    if looped is not None:
        print(
            f"host: (e) openvswitch.openvswitch, {LOOPED} ports in a loop: {looped:.1f} s; extrapolated, "
            f"not measured, to {PORTS} ports without flows: {(looped - bare) / LOOPED * PORTS:.0f} s"
        )


def median(values: list[float]) -> float:
    return sorted(values)[len(values) // 2]
