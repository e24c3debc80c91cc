# Copyright (c) 2026 weft.fabric contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What dnsmasq reads: from structured arguments to lines, every word checked. Pure.

A comma, a newline or a quote in a name would end one field and begin another, so words that hold
one are refused with the name of the server they were meant for.
"""

from __future__ import annotations

import ipaddress
import re
import typing as t

from ansible_collections.weft.fabric.plugins.module_utils import iproute
from ansible_collections.weft.fabric.plugins.module_utils.dhcp_release import Lease
from ansible_collections.weft.fabric.plugins.module_utils.reconcile import FabricError

NAME = re.compile(r"\A[A-Za-z0-9][A-Za-z0-9_.-]{0,99}\Z")
_HOSTNAME = re.compile(r"\A(?!-)[A-Za-z0-9_-]{1,63}(?<!-)(\.(?!-)[A-Za-z0-9_-]{1,63}(?<!-))*\.?\Z")
_TAG = re.compile(r"\A[A-Za-z0-9][A-Za-z0-9_.-]{0,127}\Z")
_CLIENT_ID = re.compile(r"\A(\*|[0-9a-fA-F]{2}(:[0-9a-fA-F]{2})*|[A-Za-z0-9][A-Za-z0-9._-]*)\Z")
_OPTION = re.compile(r"\A(option6?:)?[a-z0-9][a-z0-9-]{0,63}\Z")


class Host(t.NamedTuple):
    """A client. mac may be empty when client_id identifies it."""

    mac: str
    client_id: str
    hostname: str
    addresses: t.Tuple[str, ...]
    tags: t.Tuple[str, ...]

    def line(self) -> str:
        """Return the line for dhcp-hostsfile, or behind dhcp-host=."""
        words = [self.mac] if self.mac else []
        words += ["id:" + self.client_id] if self.client_id else []
        words += ["set:" + tag for tag in self.tags]
        words += [self.hostname] if self.hostname else []
        words += ["[%s]" % address if ":" in address else address for address in self.addresses]
        return ",".join(words)


def parse_host(item: t.Mapping[str, t.Any], where: str) -> Host:
    """Return a client from its arguments."""
    where += ", hosts"
    client_id = _match(_CLIENT_ID, item.get("client_id") or "", where, "a client id (hex, a word or *)", True)
    if not item.get("mac") and client_id in ("", "*"):
        raise FabricError("%s: a host needs a mac or a client_id" % where)
    if is_address(str(item.get("hostname"))):
        raise FabricError("%s: %r is an address and no host name" % (where, item["hostname"]))
    return Host(
        mac=iproute.mac(item["mac"], where) if item.get("mac") else "",
        client_id=client_id,
        hostname=_match(_HOSTNAME, item.get("hostname") or "", where, "a host name", True),
        addresses=tuple(str(iproute.address(text, where)) for text in item.get("addresses") or ()),
        tags=tuple(_match(_TAG, tag, where, "a tag") for tag in item.get("tags") or ()),
    )


def check_unique(hosts: t.Iterable[Host], where: str) -> None:
    """Refuse one address for two hosts: dnsmasq would silently drop one of them."""
    owners: t.Dict[str, Host] = {}
    for host in hosts:
        for address in host.addresses:
            if address in owners:
                raise FabricError(
                    "%s: address %s is given to %s and to %s"
                    % (where, address, owners[address].mac or owners[address].client_id, host.mac or host.client_id)
                )
            owners[address] = host


def option_line(item: t.Mapping[str, t.Any], where: str) -> str:
    """Return a line for dhcp-optsfile."""
    where += ", options"
    words = ["tag:" + _match(_TAG, tag, where, "a tag") for tag in item.get("tags") or ()]
    words.append(_match(_OPTION, item.get("option"), where, "an option (a number, option:name or option6:name)"))
    value = item.get("value")
    text = "" if value is None else str(value)
    if not text.isprintable() or '"' in text or "\\" in text or "#" in text or text != text.strip():
        raise FabricError(
            "%s: the value %r of option %s holds a quote, a backslash, a #, a control character or blanks at an end"
            % (where, text, item.get("option"))
        )
    return ",".join(words + ([text] if text else []))


def name_line(item: t.Mapping[str, t.Any], where: str) -> str:
    """Return a line for addn-hosts."""
    where += ", names"
    names = [_match(_HOSTNAME, name, where, "a host name") for name in item.get("names") or ()]
    if not names:
        raise FabricError("%s: %s has no name" % (where, item.get("address")))
    return " ".join([str(iproute.address(item.get("address"), where))] + names)


def _match(pattern: "re.Pattern[str]", value: t.Any, where: str, what: str, empty: bool = False) -> str:
    if isinstance(value, str) and (pattern.match(value) or (empty and value == "")):
        return value
    raise FabricError("%s: %r is not %s" % (where, value, what))


def owners(hosts: t.Iterable[Host]) -> t.Dict[str, str]:
    """Return who has each address: what a lease must agree with."""
    return {address: host.mac or host.client_id for host in hosts for address in host.addresses}


def stale(leases: t.Iterable[Lease], before: t.Mapping[str, str], now: t.Mapping[str, str]) -> t.List[Lease]:
    """Return the leases that stand in the way: their address is no longer, or not any more, their client's.

    before is what dnsmasq was told last. An IPv4 lease tells its MAC; of an IPv6 one only before knows whose it was.
    """
    found = []
    for lease in leases:
        owner = now.get(lease.address)
        by_mac = lease.version == 4 and owner is not None and _is_mac(owner)
        moved = lease.key.lower() != owner if by_mac else before.get(lease.address) not in (None, owner)
        if owner is None or moved:
            found.append(lease)
    return found


def is_address(text: str) -> bool:
    """Whether a word is an IP address. A host name of digits and dots would be taken for one, so it is refused."""
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


def _is_mac(text: str) -> bool:
    return len(text) == 17 and text.count(":") == 5


def seed(leases: t.List[Lease], before: t.Mapping[str, str], hosts: t.Sequence[Host]) -> t.List[Lease]:
    """Return the leases a server starts with: those that hold, and one without end for each other static client.

    A client that renews at a server that does not know its lease may be refused; it must not matter which of the
    servers it got the lease from, or that this one was made later.
    """
    now = owners(hosts)
    obsolete = set(stale(leases, before, now))
    kept = [lease for lease in leases if lease not in obsolete]
    known = {lease.address for lease in kept}
    for host in hosts:
        for address in host.addresses:
            if host.mac and address not in known and ipaddress.ip_address(address).version == 4:
                kept.append(Lease(0, host.mac, address, host.hostname or "*", "*"))
    return kept


def lease_file(leases: t.Sequence[Lease], duid: t.Optional[str]) -> str:
    """Return the text of a lease file. Those of IPv6 stand behind the server's DUID."""
    lines = [str(lease) for lease in leases if lease.version == 4]
    lines += ["duid " + duid] if duid else []
    lines += [str(lease) for lease in leases if lease.version == 6] if duid else []
    return "".join(line + "\n" for line in lines)
