# Copyright (c) 2026 weft.fabric contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The iPXE script of one NIC of a node: from the boot server's text, with what is the node's own. Pure.

iPXE has no quotes. A word ends at a blank and a line at its end, ${…} is replaced wherever it stands, and && and ||
join commands: what comes from outside and holds any of that is refused.
"""

from __future__ import annotations

import re
import typing as t

from ansible_collections.weft.fabric.plugins.module_utils import dhcp_files, iproute, netboot_desired
from ansible_collections.weft.fabric.plugins.module_utils.reconcile import FabricError

LOCAL, RAMDISK, ISCSI, ABSENT = "local", "ramdisk", "iscsi", "absent"
BOOTS = (LOCAL, RAMDISK, ISCSI, ABSENT)
WHAT = {LOCAL: "its disk", RAMDISK: "the ramdisk", ISCSI: "its volume"}

_SHEBANG = "#!ipxe\n"
_MARK = re.compile(r"\A#!ipxe\n# weft-fabric: node (\S+) boots (\S+)\n")
_WORD = re.compile(r"\A(?!#)[A-Za-z0-9!%()*+,./:;<=>?@\[\]^_~-]{1,500}\Z")
_IQN = re.compile(r"\A(iqn\.[0-9]{4}-[0-9]{2}\.[a-z0-9.-]+(:[a-z0-9.:_-]+)?|(eui|naa)\.[0-9A-Fa-f]{16,32})\Z")


class Node(t.NamedTuple):
    """How a node shall boot."""

    name: str
    boot: str
    server: str
    address: str
    mac_addresses: t.Tuple[str, ...]
    kernel_arguments: t.Tuple[str, ...]
    iscsi: t.Dict[str, t.Any]
    renew: bool
    #: what somebody wants to find here again; None leaves what there is
    note: t.Optional[t.Dict[str, t.Any]] = None


def parse(params: t.Mapping[str, t.Any]) -> t.Dict[str, Node]:
    """Return the nodes by name."""
    found: t.Dict[str, Node] = {}
    for item in params.get("nodes") or []:
        node = _node(item)
        if node.name in found:
            raise FabricError("node %s is listed twice" % node.name)
        found[node.name] = node
    return found


def _node(item: t.Mapping[str, t.Any]) -> Node:
    name = netboot_desired.node_name(item.get("name"), "boot files")
    where = "node %s" % name
    boot = item.get("boot")
    if boot not in BOOTS:
        raise FabricError("%s: it can boot %s, not %r" % (where, ", ".join(BOOTS), boot))
    if boot == ABSENT:
        return Node(name, ABSENT, "", "", (), (), {}, False)
    words = tuple(_word(word, where) for word in item.get("kernel_arguments") or ())
    return Node(
        name=name,
        boot=boot,
        server=netboot_desired.server_name(item.get("server")),
        address=netboot_desired.ipv4(item.get("address"), where),
        mac_addresses=netboot_desired.mac_addresses(item.get("mac_addresses"), where),
        kernel_arguments=words,
        iscsi=_iscsi(item.get("iscsi") or {}, where) if boot == ISCSI else {},
        renew=bool(item.get("renew")),
        note=item.get("record"),
    )


def _word(word: t.Any, where: str) -> str:
    if not isinstance(word, str) or not _WORD.match(word):
        raise FabricError(
            "%s: %r cannot be an argument of its kernel: no blanks, quotes, $, {, }, &, |, # or backslashes"
            % (where, word)
        )
    return word


def _iscsi(item: t.Mapping[str, t.Any], where: str) -> t.Dict[str, t.Any]:
    where += ", iscsi"
    for key in ("target", "initiator"):
        if not isinstance(item.get(key), str) or not _IQN.match(item[key]):
            raise FabricError(
                "%s: %s %r is not a name of iSCSI (iqn.2016-01.example:disk)" % (where, key, item.get(key))
            )
    user, password = item.get("username"), item.get("password")
    if bool(user) != bool(password):
        raise FabricError("%s: CHAP takes a username and a password" % where)
    return {
        "portal": netboot_desired.ipv4(item.get("portal"), where),
        "port": iproute.number(item.get("port") or 3260, where + ", port", 1, 65535),
        "lun": iproute.number(item.get("lun") or 0, where + ", lun", 0, 0xFFFF),
        "target": item["target"],
        "initiator": item["initiator"],
        "username": user or None,
        "password": password or None,
    }


def fill(template: str, node: Node, mac: str, deployment: t.Optional[str]) -> str:
    """Return the script of a NIC. deployment tells where the identity of the node lies."""
    values = {
        "node": node.name,
        "mac": mac,
        "mac_hyphens": mac.replace(":", "-"),
        "kernel_arguments": " ".join(node.kernel_arguments),
        "deployment": deployment or "",
        "initiator": node.iscsi.get("initiator", ""),
        "target": _target(node.iscsi) if node.iscsi else "",
        "credentials": _credentials(node.iscsi),
    }
    text = re.sub(r"@(%s)@" % "|".join(values), lambda found: values[found.group(1)], template)
    mark = "# weft-fabric: node %s boots %s\n" % (node.name, node.boot)
    return _SHEBANG + mark + (text[len(_SHEBANG) :] if text.startswith(_SHEBANG) else text)


def mark(text: str) -> t.Optional[t.Tuple[str, str]]:
    """Return the node and what it boots, as a script says, or None when it is none of ours."""
    found = _MARK.match(text)
    return (found.group(1), found.group(2)) if found and dhcp_files.NAME.match(found.group(1)) else None


def _target(iscsi: t.Mapping[str, t.Any]) -> str:
    return "iscsi:%s::%d:%x:%s" % (iscsi["portal"], iscsi["port"], iscsi["lun"], iscsi["target"])


def _credentials(iscsi: t.Mapping[str, t.Any]) -> str:
    """Return the lines that set user and password: in hex, so that they may hold anything."""
    if not iscsi.get("username"):
        return ""
    return "\n".join("set %s:hex %s" % (key, _hex(iscsi[key])) for key in ("username", "password"))


def _hex(text: str) -> str:
    return ":".join("%02x" % byte for byte in text.encode("utf-8"))
