# Copyright (c) 2026 weft.fabric contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a verb has to do with a node that stands where it stands: the steps, in order, or why it must not. Pure.

Each step is done so that it can be done again. Two rules hold in every list of steps: no port changes before the node
is off, and no node is powered on before its ports are where they should be (tests/unit/bare_metal/test_plan.py).
"""

from __future__ import annotations

import typing as t
from dataclasses import dataclass, field

from .standing import RAMDISK, TENANT, Facts, Wanted, contradictions, is_volume, named, other_image, short, standing

OFF, PORTS, FILES, DEVICE, ON, CONNECT = "off", "ports", "files", "device", "on", "connect"
WRITE, CLEAN, INSPECT, LEAVE = "write", "clean", "inspect", "leave"
LOCAL, FORGET, TENANT_PORTS, IDLE_PORTS, DISK, START = "local", "forget", "tenant", "idle", "disk", "start"
VOLUME, NETWORK = "volume", "network"

VERBS = ("status", "deploy", "boot_from_volume", "rebuild", "delete", "rescue", "unrescue", "inspect", "adopt", "power")

#: from off into the ramdisk of a phase
INTO_RAMDISK = (OFF, PORTS, FILES, DEVICE, ON, CONNECT)
#: from a written disk into the server's networks
INTO_TENANT = (TENANT_PORTS, DISK, START)
#: the same for a server that boots from a volume
INTO_VOLUME = (TENANT_PORTS, NETWORK, START)

REMEDY_UNKNOWN = (
    "Look at it, and at its switch ports. node_power -e power=off powers it off, -e force=true does all the same"
)


class Refused(Exception):
    """A verb must not do anything to a node."""


@dataclass(slots=True)
class Plan:
    """What a verb does."""

    standing: str
    phase: str | None = None
    steps: tuple[str, ...] = ()
    #: what is left to do if the node's ramdisk is still there from the run before
    resumed: tuple[str, ...] = ()
    #: whether the operating system is asked to power off first
    softly: bool = False
    #: whether the disk is to be written though it carries that very image
    overwrite: bool = False
    #: the name of such a writing, which the disk bears when it is done; empty where the image alone counts
    again: str = ""
    contradictions: list[str] = field(default_factory=list)


def plan(verb: str, facts: Facts, wanted: Wanted, force: bool = False, power: str = "on", name: str = "again") -> Plan:
    """Return what to do. Raises Refused. name is of a writing, should this run begin one that is forced."""
    found = Plan(standing(facts), contradictions=contradictions(facts, wanted))
    # Whoever runs what may be a tenant's system gives it the time to end by itself.
    found.softly = facts.on and (facts.in_tenant or (facts.deployed and facts.boot != "ramdisk"))
    _PLANNERS[verb](found, facts, wanted, force, power)
    # One that an earlier run has begun goes on under its name, by whatever verb: it is neither lost nor done twice.
    found.again = name if found.overwrite else str(facts.record.get("again") or "")
    return found


def _nothing(found: Plan, facts: Facts, wanted: Wanted, force: bool, power: str) -> None:
    """Only look."""


def _deploy(found: Plan, facts: Facts, wanted: Wanted, force: bool, power: str) -> None:
    _has_image(wanted)
    _nobody_elses(facts, wanted)
    if facts.record.get("phase") == "cleaning":
        raise Refused("its disks are not clean yet. server_delete goes on with that")
    if facts.record.get("phase") == "rescue":
        raise Refused("it is in rescue. node_unrescue ends that")
    if facts.deployed:
        if is_volume(facts.record.get("image")):
            raise Refused("it boots from a volume, and the topology says an image. server_delete frees it first")
        if other_image(facts, wanted):
            raise Refused(
                f"it carries image {short(facts.record['image'])}, and the topology says {short(wanted.image)}. "
                "server_rebuild writes that, and all on its disk is lost then"
            )
        _known(facts, force)
        found.steps = _to_tenant(facts)
        if found.steps:
            _image_known(wanted)
        return
    _image_known(wanted)
    if facts.in_tenant and not facts.record and not force:
        raise Refused(
            f"its ports are in the networks of {wanted.server_name}, and no run wrote its disk. node_adopt takes it as "
            "it is; server_rebuild writes it, and all on its disk is lost then"
        )
    _known(facts, force)
    _write(found, facts)


def _boot_from_volume(found: Plan, facts: Facts, wanted: Wanted, force: bool, power: str) -> None:
    _has_server(wanted)
    if not wanted.volume:
        raise Refused(f"{wanted.server_name} has an image and no volume. server_deploy writes it")
    _nobody_elses(facts, wanted)
    if facts.record.get("phase") == "cleaning":
        raise Refused("its disks are not clean yet. server_delete goes on with that")
    if facts.deployed:
        if not is_volume(facts.record.get("image")):
            raise Refused(
                f"it carries image {short(facts.record.get('image'))}, and the topology says a volume. server_delete "
                "frees it first, and all on its disk is lost then"
            )
        if other_image(facts, wanted) and not force:
            raise Refused(
                f"it boots from {facts.record['image']}, and the topology says {wanted.image}. -e force=true powers it "
                "off and boots it from there"
            )
        _known(facts, force)
        found.steps = _to_volume(facts, wanted, force)
        return
    if facts.in_tenant and not facts.record and not force:
        raise Refused(
            f"its ports are in the networks of {wanted.server_name}, and no run has led it there. -e force=true powers "
            "it off and boots it from its volume"
        )
    _known(facts, force)
    found.steps = (OFF, VOLUME, *INTO_VOLUME)


def _to_volume(facts: Facts, wanted: Wanted, force: bool) -> tuple[str, ...]:
    """Return what is left to do for a server that boots from a volume."""
    tells = force or facts.boot != "iscsi"
    if facts.in_tenant and facts.on and not other_image(facts, wanted):
        network = facts.device is not None and facts.device not in ("pxe", "http")
        return (*((VOLUME,) if tells else ()), *((NETWORK,) if network else ()))
    begin = (OFF,) if not facts.off else ()
    return (*begin, *((VOLUME,) if tells else ()), *INTO_VOLUME)


def _rebuild(found: Plan, facts: Facts, wanted: Wanted, force: bool, power: str) -> None:
    _has_image(wanted)
    _nobody_elses(facts, wanted)
    if facts.record.get("phase") == "cleaning":
        raise Refused("its disks are not clean yet. server_delete goes on with that")
    if facts.deployed and is_volume(facts.record.get("image")):
        raise Refused("it boots from a volume, and the topology says an image. server_delete frees it first")
    _image_known(wanted)
    same = facts.deployed and facts.record.get("image") == wanted.image
    if same and not force and facts.record.get("phase") == TENANT:
        _known(facts, force)
        found.steps = _to_tenant(facts)
        return
    if not facts.in_tenant:
        _known(facts, force)
    found.overwrite = same
    _write(found, facts)


def _write(found: Plan, facts: Facts) -> None:
    found.phase = "deployment"
    rest = (WRITE, LEAVE, OFF, LOCAL, *INTO_TENANT)
    found.steps = (*INTO_RAMDISK, *rest)
    if found.standing == "deployment" and not found.overwrite:
        found.resumed = rest


def _to_tenant(facts: Facts) -> tuple[str, ...]:
    """Return what is left to do for a server whose disk is written."""
    if facts.in_tenant and facts.on:
        heals = [LOCAL] if facts.boot == "ramdisk" else []
        return (*heals, *([DISK] if facts.device in ("pxe", "http") and facts.boot != "iscsi" else []))
    begin = (OFF,) if not facts.off else ()
    heal = (LOCAL,) if facts.boot == "ramdisk" else ()
    return (*begin, *heal, *INTO_TENANT)


def _delete(found: Plan, facts: Facts, wanted: Wanted, force: bool, power: str) -> None:
    untouched = not facts.record and facts.boot != "ramdisk"
    if untouched and not force and not facts.in_tenant:
        if facts.off:
            # Nothing of a tenant's was ever written, or all is gone already.
            found.steps = () if "idle" in facts.ports else (IDLE_PORTS,)
            return
        _known(facts, force)
    found.phase = "cleaning"
    rest = (CLEAN, LEAVE, OFF, FORGET, IDLE_PORTS)
    found.steps = (*INTO_RAMDISK, *rest)
    if found.standing == "cleaning":
        found.resumed = rest


def _rescue(found: Plan, facts: Facts, wanted: Wanted, force: bool, power: str) -> None:
    if wanted.volume:
        raise Refused("it boots from a volume, which the ramdisk does not see. Mend that where it is")
    if found.standing == "rescue" and not force:
        return
    if not facts.deployed and not (facts.in_tenant and force):
        raise Refused("it carries no server. node_inspect shows what it is, server_deploy writes it")
    found.phase = "rescue"
    found.steps = INTO_RAMDISK


def _unrescue(found: Plan, facts: Facts, wanted: Wanted, force: bool, power: str) -> None:
    if wanted.volume:
        raise Refused("it boots from a volume, and such a server is not rescued. server_status shows where it stands")
    if facts.record.get("phase") != "rescue":
        if facts.record.get("phase") == TENANT:
            found.steps = _to_tenant(facts)
            return
        raise Refused("it is not in rescue. server_status shows where it stands")
    _nobody_elses(facts, wanted)
    _has_server(wanted)
    begin = (OFF,) if not facts.off else ()
    found.steps = (*begin, LOCAL, *INTO_TENANT)


def _inspect(found: Plan, facts: Facts, wanted: Wanted, force: bool, power: str) -> None:
    if facts.deployed or facts.in_tenant or facts.record.get("phase") in ("deployment", "cleaning"):
        raise Refused(
            f"it is {found.standing}{' with ' + named(facts.record) if facts.record.get('server') else ''}, and would "
            "have to be powered off. server_delete frees it"
        )
    _known(facts, force or facts.record.get("phase") == "inspection")
    found.phase = "inspection"
    rest = (INSPECT, LEAVE, OFF, FORGET, IDLE_PORTS)
    found.steps = (*INTO_RAMDISK, *rest)
    if found.standing == "inspection":
        found.resumed = rest


def _adopt(found: Plan, facts: Facts, wanted: Wanted, force: bool, power: str) -> None:
    _has_image(wanted)
    _nobody_elses(facts, wanted)
    if facts.deployed:
        return
    if facts.record or facts.boot == "ramdisk":
        raise Refused(f"it stands in {found.standing}, and is no node that only has to be noted down")
    if not facts.in_tenant:
        raise Refused(
            "its ports are not in its server's networks. Make topology and switch agree first: node_adopt changes "
            "neither of them"
        )
    found.steps = (LOCAL,)


def _power(found: Plan, facts: Facts, wanted: Wanted, force: bool, power: str) -> None:
    if power == "off":
        found.steps = () if facts.off else (OFF,)
        return
    at_home = (facts.in_tenant and facts.boot != "ramdisk") or found.standing == "rescue"
    if not at_home and not force:
        raise Refused(
            f"it is {found.standing}, and would be on in a VLAN where it does not belong. server_deploy leads it into "
            "its server's networks"
        )
    if power == "restarted" and facts.on:
        found.steps = (OFF, ON)
    else:
        found.steps = () if facts.on else (ON,)


def _has_server(wanted: Wanted) -> None:
    if not wanted.server:
        raise Refused("the topology gives it no server. Add one below servers of a project")


def _image_known(wanted: Wanted) -> None:
    if wanted.image_problem:
        raise Refused(wanted.image_problem.rstrip("."))


def _has_image(wanted: Wanted) -> None:
    _has_server(wanted)
    if wanted.volume:
        raise Refused(f"{wanted.server_name} boots from a volume. server_boot_from_volume does that")


def _nobody_elses(facts: Facts, wanted: Wanted) -> None:
    holder = facts.record.get("server")
    if holder and holder != wanted.server:
        raise Refused(f"it still carries server {named(facts.record)}. server_delete cleans it first")


def _known(facts: Facts, force: bool) -> None:
    """Whatever is on without being ours must not be switched off by the way."""
    if force or not facts.on or facts.record.get("phase") in RAMDISK:
        return
    if not facts.ports:
        raise Refused(f"it is on, and its ports are in VLANs of none of its phases. {REMEDY_UNKNOWN}")


_Planner = t.Callable[[Plan, Facts, Wanted, bool, str], None]
_PLANNERS: dict[str, _Planner] = {
    "status": _nothing,
    "deploy": _deploy,
    "boot_from_volume": _boot_from_volume,
    "rebuild": _rebuild,
    "delete": _delete,
    "rescue": _rescue,
    "unrescue": _unrescue,
    "inspect": _inspect,
    "adopt": _adopt,
    "power": _power,
}
