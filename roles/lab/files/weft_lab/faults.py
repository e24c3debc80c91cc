# Copyright (c) 2026 weft.fabric contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What operators fear, and its repair. Each verb may be said twice: the second time changes nothing."""

from __future__ import annotations

import time
from typing import Any

from weft_lab import access, cgroups, machine, network
from weft_lab.definition import Host, Lab
from weft_lab.lab import lap
from weft_lab.system import LabError


def power_cut(lab: Lab, host: Host, *, check: bool) -> dict[str, Any]:
    started = time.monotonic()
    changed = bool(cgroups.members(lab.machine(host))) or network.exists(lab.machine(host))
    if changed and not check:
        machine.cut_power(lab, host)
    return {"changed": changed, "host": host.name, "seconds": lap(started)}


def power_on(lab: Lab, host: Host, *, check: bool) -> dict[str, Any]:
    started = time.monotonic()
    changed = not machine.is_running(lab, host)
    if changed and not check:
        base = machine.base_of(lab, host)
        if not base.is_dir():
            raise LabError(f"the root file system {base} is gone: bring the lab up again")
        machine.cut_power(lab, host)
        machine.insert_disk(lab, host, base)
        machine.furnish(lab, host, access.ensure_key(lab))
        machine.start(lab, host)
        returned(lab, host, before=None)
    return {"changed": changed, "host": host.name, "seconds": lap(started)}


def reboot(lab: Lab, host: Host, *, check: bool) -> dict[str, Any]:
    """A clean reboot from inside; the machine's supervisor starts it again with fresh cables."""
    started = time.monotonic()
    before = cgroups.leader(lab.machine(host))
    if before is None:
        raise LabError(f"{host.name} is off: power it on")
    if not check:
        done = access.execute(lab, host, ["systemctl", "reboot", "--no-block"], timeout=20)
        if done["rc"] != 0:
            raise LabError(f"{host.name}: systemctl reboot failed: {done['stderr']}")
        returned(lab, host, before=before)
    return {"changed": True, "host": host.name, "seconds": lap(started)}


def returned(lab: Lab, host: Host, *, before: int | None) -> None:
    machine.wait_for_port(lab, host, before=before)
    network.forget_connections(lab, host)
    if any(nic.network == lab.management and nic.name in machine.pulled_links(lab, host) for nic in host.nics):
        # Nobody can log in to a host whose management cable is pulled: that it booted has to do.
        return
    access.settled(lab, host)


def freeze(lab: Lab, host: Host, *, check: bool) -> dict[str, Any]:
    return change_frozen(lab, host, True, check)


def thaw(lab: Lab, host: Host, *, check: bool) -> dict[str, Any]:
    return change_frozen(lab, host, False, check)


def change_frozen(lab: Lab, host: Host, on: bool, check: bool) -> dict[str, Any]:
    started = time.monotonic()
    if not machine.is_running(lab, host):
        raise LabError(f"{host.name} is off: only a running host can be frozen or thawed")
    changed = cgroups.frozen(lab.machine(host)) != on
    if changed and not check:
        cgroups.freeze(lab.machine(host), on)
    return {"changed": changed, "host": host.name, "seconds": lap(started)}


def link_down(lab: Lab, host: Host, nic: str, *, check: bool) -> dict[str, Any]:
    return change_link(lab, host, nic, False, check)


def link_up(lab: Lab, host: Host, nic: str, *, check: bool) -> dict[str, Any]:
    return change_link(lab, host, nic, True, check)


def change_link(lab: Lab, host: Host, nic: str, up: bool, check: bool) -> dict[str, Any]:
    """Pull or plug the far end of the cable: the host sees its carrier go and come."""
    started = time.monotonic()
    pulled = machine.pulled_links(lab, host)
    far_end = host.nic(nic).far_end
    actual = network.links(lab).get(far_end)
    wanted = pulled - {nic} if up else pulled | {nic}
    changed = wanted != pulled or (actual is not None and actual != up)
    if changed and not check:
        machine.remember_pulled(lab, host, wanted)
        if actual is not None:
            network.set_link(lab, host, nic, up)
    return {"changed": changed, "host": host.name, "nic": nic, "seconds": lap(started)}
