# Copyright (c) 2026 weft.fabric contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What went wrong with a node, in one text: the node, the phase, the cause, how it was left, and what to do. Pure."""

from __future__ import annotations

import typing as t

Item = t.Mapping[str, t.Any]

#: what a node fetches on its way into the ramdisk, in order, and what it lacks when it comes no further
WAY = (
    (
        "boot.ipxe",
        "it has fetched nothing by HTTP: either it did not boot from the network, or nobody answered its DHCP",
    ),
    (".ipxe", "it runs iPXE and did not ask for its own boot file: none of its NICs has a MAC address of the topology"),
    ("vmlinuz", "it read its boot file and did not fetch the kernel"),
    ("identity.cpio", "it fetched the kernel and not its keys"),
    ("initrd", "it fetched kernel and keys and not the ramdisk"),
)
ALL = "it fetched all there is, and then nobody could log in: its kernel has not booted, or its network is not up"

REMEDIES = {
    "boot.ipxe": (
        "Look at its console. Compare the MAC address of its PXE NIC with the topology, the cable with the switch "
        "port, and the order in which its firmware boots"
    ),
    ".ipxe": "Compare the MAC addresses of its NICs with the topology",
    "": "Look at its console",
}
#: verbs of which the playbook is called node_ and not server_
OF_NODES = ("adopt", "inspect", "power", "rescue", "unrescue")
AGAIN = "Then run {command} again: it goes on from where the node stands"


def how_far(node: Item, fetches: t.Sequence[Item]) -> tuple[str, str]:
    """Return how far a node came on its way into the ramdisk, and what to do about it."""
    own = [str(one["file"]) for one in fetches]
    for suffix, lack in WAY:
        if suffix == ".ipxe":
            reached = any(name.endswith(".ipxe") and not name.endswith("boot.ipxe") for name in own)
        else:
            reached = any(name.endswith(suffix) for name in own)
        if not reached and not any(_later(suffix, name) for name in own):
            return lack, REMEDIES.get(suffix, REMEDIES[""])
    return ALL, REMEDIES[""]


def _later(suffix: str, name: str) -> bool:
    """Tell whether a file is one that is fetched after those of a suffix."""
    order = [one for one, _lack in WAY]
    return any(name.endswith(later) for later in order[order.index(suffix) + 1 :] if later != ".ipxe")


def left(power: str, in_tenant: bool) -> str:
    """Return how the node was left."""
    if power == "off" and in_tenant:
        return "It is off. Not all of its ports could be led out of its server's networks: see to its switches"
    if power == "off":
        return "It is off, and in no network of a tenant"
    where = "its ports are still in its server's networks" if in_tenant else "its ports are in no network of a tenant"
    return f"IT MAY BE ON: its BMC says {power}, so its ports were left as they are; {where}. See to its power first"


def text(
    node: Item,
    verb: str,
    task: str,
    message: str,
    fetches: t.Sequence[Item] | None,
    power: str,
    in_tenant: bool = False,
) -> str:
    """Return the one error. fetches is None where nobody has waited for the node in vain, or nobody knows them."""
    cause, remedy = _plain(message), ""
    if fetches is not None:
        lack, remedy = how_far(node, fetches)
        cause = f"{cause}; {lack}"
    command = f"{'node' if verb in OF_NODES else 'server'}_{verb}"
    parts = [f"{node['name']}: {_lower(task.rpartition(' : ')[2])} failed: {cause}", left(power, in_tenant)]
    parts.append(remedy or "Mend that")
    parts.append(AGAIN.format(command=command))
    return ". ".join(parts) + "."


def _plain(message: str) -> str:
    """Return a message without what Ansible says before it."""
    for words in ("Task failed: ", "Action failed: ", "Module failed: "):
        message = message.removeprefix(words)
    return message.rstrip(". \n")


def _lower(words: str) -> str:
    return f"{words[:1].lower()}{words[1:]}"
