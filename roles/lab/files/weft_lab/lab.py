# Copyright (c) 2026 weft.fabric contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The whole lab: up, down, status."""

from __future__ import annotations

import json
import re
import shutil
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from weft_lab import accelerator, access, cgroups, image, limits, machine, network, nodes, rootfs, switches
from weft_lab.definition import HOST_NAME, Host, Lab, parse
from weft_lab.node_definition import Node
from weft_lab.system import LabError, each, process_start, run, systemd_is_pid1, write_file


@dataclass(frozen=True)
class Origin:
    """Where a lab's definition was read, and what stood there."""

    source: Path
    document: Any


def saved(name: str) -> dict[str, Any]:
    file = Path(f"/run/{name}-lab/state.json")
    try:
        return dict(json.loads(file.read_text(encoding="utf-8")))
    except (FileNotFoundError, ValueError):
        # A state that an interrupted run or another version left must not stop anybody from taking the lab down.
        return {}


def saved_lab(name: str) -> Lab | None:
    document = saved(name).get("definition")
    return parse(document) if document else None


def origin_of(name: str) -> Origin | None:
    state = saved(name)
    return Origin(Path(state.get("source", "")), state["definition"]) if "definition" in state else None


def save(lab: Lab, origin: Origin, raised: limits.Raised, *, complete: bool) -> None:
    state = {
        "source": str(origin.source),
        "definition": origin.document,
        "raised": raised,
        # Of a run that was killed: the next one must not take hosts that still boot for hosts that are up.
        "complete": complete,
    }
    write_file(lab.state / "state.json", json.dumps(state, indent=1) + "\n")


def up(lab: Lab, origin: Origin, *, check: bool = False) -> dict[str, Any]:
    started = time.monotonic()
    before = saved_lab(lab.name)
    gone, gone_nodes = leaving(lab, before), leaving_nodes(lab, before)
    off = [host for host in lab.hosts if not machine.is_running(lab, host)]
    ill = [
        host
        for host in lab.hosts
        if host not in off and (cgroups.frozen(lab.machine(host)) or machine.pulled_links(lab, host))
    ]
    bases = {host.name: machine.base_of(lab, host) for host in off}
    missing = sorted({host.release for host in off if not bases[host.name].is_dir()})
    astray = network.misplugged(lab)
    uncabled = network.missing_taps(lab)
    images = [name for name in lab.images if not image.BUILT[name].current()]
    fresh = [node for node in lab.nodes if node in uncabled or not nodes.is_ready(lab, node)]
    ill_nodes = [node for node in lab.nodes if node not in fresh and nodes.is_ill(lab, node)]
    result: dict[str, Any] = {
        "changed": bool(off or ill or gone or missing or astray or gone_nodes or fresh or ill_nodes or images),
        "built": missing + images,
        "booted": [host.name for host in off],
        "repaired": [host.name for host in ill] + [node.name for node in ill_nodes],
        "removed": [host.name for host in gone] + [node.name for node in gone_nodes],
        "nodes": [node.name for node in fresh],
        "replugged": [nic.far_end for _host, nic in astray],
        "inventory": str(access.inventory_file(lab)),
        "controller": {"namespace": lab.fabric},
    }
    if check:
        return result
    rootfs.ensure_all(missing, lab.packages)
    for name in images:
        image.BUILT[name].ensure()
    emulation = accelerator.words() if fresh else ()
    timing = {"rootfs": lap(started)}
    was_complete = bool(saved(lab.name).get("complete"))
    prepare_machine(lab, origin)
    mark = time.monotonic()
    network.create_fabric(lab)
    public = access.ensure_key(lab)
    each(gone_nodes, lambda node: nodes.take_away(lab, node))
    each(gone, lambda host: take_away(lab, host))
    network.ensure_wires(lab)
    network.replug(lab)
    network.ensure_taps(lab)
    nodes.ensure_all(lab, emulation)
    each(ill_nodes, lambda node: nodes.repair(lab, node))

    def boot(host: Host) -> float:
        machine.cut_power(lab, host)
        machine.insert_disk(lab, host, bases[host.name])
        machine.furnish(lab, host, public)
        machine.start(lab, host)
        switches.open_door(lab, host)
        return time.monotonic()

    begun = dict(zip([host.name for host in off], each(off, boot), strict=True))
    timing["started"] = lap(mark)
    result["changed"] |= access.write_all(lab)
    for host in ill:
        repair(lab, host)
    mark = time.monotonic()

    unsettled = off if was_complete else list(lab.hosts)

    def await_boot(host: Host) -> float:
        machine.wait_for_port(lab, host)
        if host in unsettled:
            access.settled(lab, host)
        return round(time.monotonic() - begun.get(host.name, mark), 3)

    waited = dict(zip([host.name for host in lab.hosts], each(lab.hosts, await_boot), strict=True))
    result["boot_seconds"] = {name: waited[name] for name in begun}
    timing["booting"] = lap(mark)
    save(lab, origin, saved(lab.name).get("raised", {}), complete=True)
    return {**result, "kernel_datapath": kernel_datapath(), "phases": timing, "seconds": lap(started)}


def leaving(lab: Lab, before: Lab | None) -> list[Host]:
    """Hosts that stand but are no longer in the definition; what cannot change in a running lab is refused."""
    if before is None:
        return []
    if (before.networks, before.management, before.packages) != (lab.networks, lab.management, lab.packages):
        raise LabError(f"lab {lab.name} is up with other networks or packages: take it down first")
    changed = [
        host.name for host in lab.hosts if host.name in {one.name for one in before.hosts} and host not in before.hosts
    ]
    if changed:
        raise LabError(f"lab {lab.name} is up with another definition of {', '.join(changed)}: take it down first")
    kept = {host.name for host in lab.hosts}
    return [host for host in before.hosts if host.name not in kept]


def leaving_nodes(lab: Lab, before: Lab | None) -> list[Node]:
    """Nodes that stand but are no longer in the definition."""
    if before is None:
        return []
    kept = {node.name: node for node in lab.nodes}
    changed = [node.name for node in before.nodes if node.name in kept and node != kept[node.name]]
    if changed:
        raise LabError(f"lab {lab.name} is up with another definition of {', '.join(changed)}: take it down first")
    return [node for node in before.nodes if node.name not in kept]


def prepare_machine(lab: Lab, origin: Origin) -> None:
    lab.state.mkdir(mode=0o700, parents=True, exist_ok=True)
    save(lab, origin, limits.raise_all(lab, saved(lab.name).get("raised", {})), complete=False)
    if not kernel_datapath() and shutil.which("modprobe"):
        run(["modprobe", "--quiet", "openvswitch"], check=False)


def kernel_datapath() -> bool:
    return Path("/sys/module/openvswitch").exists()


def repair(lab: Lab, host: Host) -> None:
    if cgroups.frozen(lab.machine(host)):
        cgroups.freeze(lab.machine(host), False)
    for nic in machine.pulled_links(lab, host):
        network.set_link(lab, host, nic, True)
    machine.remember_pulled(lab, host, set())


def take_away(lab: Lab, host: Host) -> None:
    switches.close_door(lab, host)
    machine.cut_power(lab, host)
    machine.remove_disk(lab, host)
    shutil.rmtree(machine.runtime(lab, host), ignore_errors=True)


def down(lab: Lab, *, check: bool = False) -> dict[str, Any]:
    started = time.monotonic()
    found = remains(lab)
    result: dict[str, Any] = {"changed": bool(found), "found": found}
    if check or not found:
        return {**result, "left": found if check else [], "seconds": lap(started)}
    each(lab.nodes, lambda node: nodes.take_away(lab, node))
    each(lab.hosts, lambda host: take_away(lab, host))
    if network.exists(lab.fabric):
        machine.end_guests(lab, [lab.fabric])
        run(["ip", "netns", "del", lab.fabric])
    limits.put_back(saved(lab.name).get("raised", {}))
    shutil.rmtree(lab.state, ignore_errors=True)
    shutil.rmtree(lab.disks, ignore_errors=True)
    left = remains(lab)
    if left:
        raise LabError(f"lab {lab.name} is not all gone; what is left: {'; '.join(left)}")
    return {**result, "left": [], "seconds": lap(started)}


def remains(lab: Lab) -> list[str]:
    """Everything on this machine that bears the lab's mark."""
    # The whole form of a machine's name, not only its beginning: others may use the same first word.
    ours = re.compile(f"{lab.name}-{HOST_NAME.pattern}")
    found = [f"namespace {entry.name}" for entry in sorted_entries(network.NAMESPACES) if ours.fullmatch(entry.name)]
    for line in Path("/proc/self/mountinfo").read_text(encoding="utf-8").splitlines():
        point = line.split()[4]
        if point.startswith(f"{lab.disks}/"):
            found.append(f"mount {point}")
    names = {f"{lab.machine(host)}" for host in lab.hosts}
    groups: dict[str, list[str]] = {}
    for path in cgroups.hierarchies().wanted():
        for entry in sorted_entries(path):
            if ours.fullmatch(entry.name) and entry.is_dir():
                groups.setdefault(entry.name, []).append(str(path))
    found += [f"control groups {name} in {', '.join(paths)}" for name, paths in sorted(groups.items())]
    if systemd_is_pid1():
        for name in sorted(names):
            if run(["systemctl", "is-active", cgroups.unit_name(name)], check=False).stdout.strip() in (
                "active",
                "activating",
                "deactivating",
            ):
                found.append(f"unit {cgroups.unit_name(name)}")
    processes = {name: sorted(cgroups.members(name)) for name in sorted(names)}
    found += [f"processes of {name}: {', '.join(map(str, pids))}" for name, pids in processes.items() if pids]
    found += [f"process {pid} ({words})" for pid, words in machines_of(lab)]
    found += nodes.remains(lab)
    found += [f"directory {path}" for name in sorted(names) for path in machine.leftovers(name)]
    found += [f"directory {path}" for path in (lab.state, lab.disks) if path.exists()]
    return found


def machines_of(lab: Lab) -> list[tuple[int, str]]:
    """nspawn processes that run this lab's disks, even if nothing else is known of them any more."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and process_start(int(entry.name)):
            try:
                words = (entry / "cmdline").read_bytes().decode(errors="replace").split("\0")
            except OSError:
                continue
            if words[0].endswith("systemd-nspawn") and any(
                word.startswith(f"--directory={lab.disks}/") for word in words
            ):
                found.append((int(entry.name), words[0]))
    return found


def sorted_entries(path: Path) -> list[Path]:
    return sorted(path.iterdir()) if path.is_dir() else []


def status(lab: Lab) -> dict[str, Any]:
    started = time.monotonic()
    links = network.links(lab)
    hosts = {host.name: host_status(lab, host, links) for host in lab.hosts}
    metal = {node.name: nodes.status(lab, node, links) for node in lab.nodes}
    return {
        "changed": False,
        "name": lab.name,
        "up": all(one["state"] == "running" for one in hosts.values())
        and all(one["bmc"]["state"] == "running" for one in metal.values()),
        "hosts": hosts,
        "nodes": metal,
        "images": {name: str(image.path_of(name)) for name in lab.images},
        "inventory": str(access.inventory_file(lab)) if access.inventory_file(lab).exists() else None,
        "kernel_datapath": kernel_datapath(),
        "seconds": lap(started),
    }


def host_status(lab: Lab, host: Host, links: dict[str, bool]) -> dict[str, Any]:
    name = lab.machine(host)
    leader = cgroups.leader(name)
    state = "off" if leader is None else "frozen" if cgroups.frozen(name) else "running"
    return {
        "state": state,
        "release": host.release,
        "namespace": name,
        "leader": leader,
        "ssh": leader is not None and machine.listens(leader, 22),
        "addresses": {nic.name: list(nic.addresses) for nic in host.nics},
        "macs": {nic.name: nic.mac for nic in host.nics},
        "links": {nic.name: "up" if links.get(nic.far_end) else "down" for nic in host.nics},
    }


def lap(since: float) -> float:
    return round(time.monotonic() - since, 3)
