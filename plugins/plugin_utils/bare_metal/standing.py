# Copyright (c) 2026 weft.fabric contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where a node stands, derived from what BMC, switches and boot server say of it. Pure: no state is kept anywhere.

The boot server's record of a node is a note of what the last run came to. What contradicts it is told, and is believed
rather than the record wherever a power command or a VLAN hangs on it.
"""

from __future__ import annotations

import typing as t
from dataclasses import dataclass, field

Item = t.Mapping[str, t.Any]

#: phases in which a node runs the ramdisk
RAMDISK = ("deployment", "cleaning", "inspection", "rescue")
TENANT, IDLE = "tenant", "idle"

#: where a node can stand, and what that means
STANDINGS = {
    "idle": "off, in no VLAN, without a server",
    "active": "on in its server's networks, booted from its disk or volume",
    "stopped": "its server is on the disk or volume, the ports are in its networks, and it is off",
    "written": "its server is on the disk or volume, and it is not in the server's networks yet",
    "deployment": "runs the ramdisk, to be written",
    "cleaning": "runs the ramdisk, to be cleaned",
    "inspection": "runs the ramdisk, to be looked at",
    "rescue": "runs the ramdisk beside its server",
    "interrupted": "a run ended before it was done",
    "unknown": "somewhere that no run of ours has led it to",
}


@dataclass(frozen=True, slots=True)
class Facts:
    """What was read of a node."""

    power: str | None
    #: phases that the ports are set for
    ports: frozenset[str]
    #: what the node's boot file says: local, ramdisk, iscsi or absent
    boot: str = "absent"
    #: what the last run wrote down: phase, server, image
    record: Item = field(default_factory=dict)
    #: what the BMC says it boots from for all boots; None when it does not tell
    device: str | None = None
    #: by whom identity.cpio was fetched, in order
    fetched_by: tuple[str, ...] = ()

    @property
    def off(self) -> bool:
        return self.power == "off"

    @property
    def on(self) -> bool:
        return self.power == "on"

    @property
    def deployed(self) -> bool:
        """Whether a server is on the disk, whole, as far as the record knows."""
        return self.record.get("phase") in (TENANT, "rescue")

    @property
    def in_tenant(self) -> bool:
        return TENANT in self.ports


@dataclass(frozen=True, slots=True)
class Wanted:
    """What the topology says of a node."""

    name: str
    address: str
    #: identifier of the server, where there is one
    server: str | None = None
    server_name: str | None = None
    #: checksum of its image, or which volume it boots from
    image: str | None = None
    #: why nobody knows that checksum, where the topology says where it should be
    image_problem: str | None = None

    @property
    def volume(self) -> bool:
        """Whether its server boots from a volume."""
        return is_volume(self.image)


def standing(facts: Facts) -> str:
    """Return where a node stands, one of STANDINGS."""
    if facts.boot == "ramdisk":
        return _with_ramdisk(facts)
    if facts.record.get("phase") in RAMDISK:
        return "interrupted"
    if facts.in_tenant:
        return "active" if facts.on else "stopped" if facts.off else "unknown"
    if facts.deployed:
        return "written" if facts.off else "unknown"
    return "idle" if facts.off and IDLE in facts.ports else "unknown"


def _with_ramdisk(facts: Facts) -> str:
    phase = str(facts.record.get("phase") or "deployment")
    return phase if facts.on and phase in RAMDISK and phase in facts.ports else "interrupted"


def contradictions(facts: Facts, wanted: Wanted) -> list[str]:
    """Return what does not fit together, each with what to do about it."""
    unknown = [wanted.image_problem] if wanted.image_problem else []
    return [*unknown, *_of_server(facts, wanted), *_of_network(facts), *_of_boot(facts, wanted)]


def _of_server(facts: Facts, wanted: Wanted) -> list[str]:
    found = []
    holder = facts.record.get("server")
    if holder and holder != wanted.server:
        says = f"server {wanted.server_name}" if wanted.server else "no server"
        found.append(
            f"it carries server {named(facts.record)}, and the topology says {says}: server_delete cleans it first"
        )
    elif wanted.server and facts.deployed and other_image(facts, wanted):
        has = "boots from" if is_volume(facts.record["image"]) else "carries image"
        found.append(
            f"it {has} {short(facts.record['image'])}, and the topology says {short(wanted.image)}: "
            f"{_remedy_of_image(facts, wanted)}"
        )
    elif wanted.volume and facts.in_tenant and not facts.record:
        found.append(
            f"it is in the networks of {wanted.server_name}, and no run has led it there: server_boot_from_volume "
            "boots it from its volume"
        )
    elif wanted.server and facts.in_tenant and not facts.record:
        found.append(
            f"it is in the networks of {wanted.server_name}, and no run wrote it: node_adopt takes it as it is, "
            "server_rebuild writes it"
        )
    return found


def _remedy_of_image(facts: Facts, wanted: Wanted) -> str:
    if wanted.volume and is_volume(facts.record["image"]):
        return "server_boot_from_volume -e force=true boots it from there"
    if wanted.volume or is_volume(facts.record["image"]):
        return "server_delete frees it first"
    return "server_rebuild writes that"


def _of_network(facts: Facts) -> list[str]:
    found = []
    if not facts.ports:
        found.append("its ports are in VLANs of none of its phases: look who changed them")
    if facts.on and not facts.in_tenant and (facts.boot != "ramdisk" or not facts.ports.intersection(RAMDISK)):
        found.append("it is on where it should be off: node_power -e power=off")
    if facts.on and facts.in_tenant and facts.boot == "ramdisk":
        found.append("it is on in its server's networks, and its boot file says ramdisk: it did not boot by that file")
    return found


def _of_boot(facts: Facts, wanted: Wanted) -> list[str]:
    found = []
    if facts.in_tenant and facts.device in ("pxe", "http") and facts.boot != "iscsi":
        found.append("it boots from the network each time: server_deploy says its disk to the BMC")
    if facts.in_tenant and facts.device == "disk" and facts.boot == "iscsi":
        found.append("it boots from its disk each time, and not its volume: server_boot_from_volume tells the BMC")
    others = sorted({who for who in facts.fetched_by if who != wanted.address})
    if facts.boot == "ramdisk" and others:
        found.append(
            f"its keys were fetched by {', '.join(others)} as well: look who that is on the deployment network"
        )
    return found


def other_image(facts: Facts, wanted: Wanted) -> bool:
    """Tell whether another image is on the disk than is wanted. Of one that was adopted nobody knows."""
    image = facts.record.get("image")
    return bool(image) and not wanted.image_problem and image != wanted.image


def named(record: Item) -> str:
    """Return the server of a record, for people."""
    return str(record.get("name") or record.get("server"))


def is_volume(image: t.Any) -> bool:
    """Tell whether what stands for an image is a volume."""
    return str(image).startswith("iscsi:")


def short(checksum: t.Any) -> str:
    """Return a checksum so that people can compare it; of a volume all that it is."""
    if is_volume(checksum):
        return str(checksum)
    kind, _colon, value = str(checksum).partition(":")
    return f"{kind}:{value[:12]}" if value else str(checksum)
