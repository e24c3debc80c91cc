# Copyright (c) 2026 weft.fabric contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the namespaces module is asked for: arguments, checked and brought into the kernel's own spelling.

Every word that comes out of here is fit to stand in a line for ip.
"""

from __future__ import annotations

import pwd
import typing as t

from ansible_collections.weft.fabric.plugins.module_utils import iproute, namespaces_peers, netns
from ansible_collections.weft.fabric.plugins.module_utils.reconcile import FabricError
from ansible_collections.weft.fabric.plugins.module_utils.rtnetlink import MAIN_TABLE

LINK_KINDS = ("veth", "tap", "existing")
ROUTE_KINDS = ("unicast", "blackhole", "unreachable", "prohibit", "throw")

# The metric the kernel gives an IPv6 route that comes without one.
_IPV6_METRIC = 1024
_TABLES = {"main": MAIN_TABLE, "default": 253, "local": 255}
_MAX = (1 << 32) - 1
# Where the kernel looks up the tables main and default.
_KERNEL_PRIORITIES = (32766, 32767)


class Link(t.NamedTuple):
    """A device. What is None is left as it is."""

    namespace: t.Optional[str]
    name: str
    kind: str
    present: bool
    peer: t.Optional[str]
    peer_namespace: t.Optional[str]  # None: the host's own
    mac: t.Optional[str]
    mtu: t.Optional[int]
    addresses: t.Optional[t.Tuple[str, ...]]
    tx_checksum: t.Optional[bool]
    owner: t.Optional[int]
    up: bool
    mark: str
    takes_addresses_from: t.Optional[str]
    host_stack: t.Optional[bool]
    announce: bool

    @property
    def host_end(self) -> str:
        """The device of the link that is in the host's own namespace, unless both are elsewhere."""
        return self.peer or self.name

    def stack_sysctls(self) -> t.Dict[str, str]:
        """Return what lets the host's own network stack listen on the host's end, or not: path and value.

        disable_ipv6 keeps it from taking router advertisements, arp_ignore 8 from answering for any address of the
        host, a strict rp_filter drops whatever comes in all the same, as no route leads back there.
        """
        if self.host_stack is None or self.peer_namespace is not None:
            return {}
        values = {"ipv6/conf/%s/disable_ipv6": "1", "ipv4/conf/%s/arp_ignore": "8", "ipv4/conf/%s/rp_filter": "1"}
        return {
            "/proc/sys/net/" + path % self.host_end: netns.DEFAULT if self.host_stack else value
            for path, value in values.items()
        }

    @property
    def ours(self) -> bool:
        """Whether the collection makes the device; an existing one is only set up."""
        return self.kind != "existing"


class Hop(t.NamedTuple):
    """One of several gateways of a route."""

    via: str
    device: t.Optional[str]


class Route(t.NamedTuple):
    """A route. device None: whichever the kernel finds by the gateway."""

    family: int
    table: int
    to: str
    metric: int
    kind: str
    via: t.Optional[str]
    device: t.Optional[str]
    onlink: bool
    nexthops: t.Tuple[Hop, ...] = ()  # several gateways, in place of via and device
    announce_on: t.Optional[str] = None  # the device whose neighbours are told when the route comes

    @property
    def key(self) -> t.Tuple[int, int, str, int]:
        return (self.family, self.table, self.to, self.metric)


class Neighbour(t.NamedTuple):
    """A permanent ARP or ND entry."""

    device: str
    address: str
    mac: str


class Rule(t.NamedTuple):
    """A policy routing rule."""

    family: int
    priority: int
    source: str
    to: str
    iif: str
    table: int


class Namespace(t.NamedTuple):
    """A network namespace; name None is the host's own. A list that is None is left as it is."""

    name: t.Optional[str]
    present: bool
    links: t.Dict[str, Link]
    routes: t.Optional[t.Dict[t.Tuple[int, int, str, int], Route]]
    neighbours: t.Optional[t.Dict[t.Tuple[str, str], Neighbour]]
    rules: t.Optional[t.Dict[Rule, Rule]]
    absent: t.Tuple[t.Any, ...]  # routes, neighbours and rules that must not be there
    sysctls: t.Dict[str, str]  # path of the file: value
    stack: t.Dict[str, t.Dict[str, str]]  # the host's own: device: what keeps the host's stack off it, or lets it on


MARK = "weft.fabric"

# What a purge without a word about the host's own namespace wants of it.
NOTHING = Namespace(None, True, {}, None, None, None, (), {}, {})


def parse(params: t.Mapping[str, t.Any]) -> t.Dict[t.Optional[str], Namespace]:
    """Return the desired namespaces by name, in the order given."""
    found: t.Dict[t.Optional[str], Namespace] = {}
    for item in params.get("namespaces") or []:
        name = item.get("name")
        where = "namespace %s" % name if name is not None else "the host's own namespace"
        if name is not None:
            iproute.namespace(name, where)
        if name in found:
            raise FabricError("%s is listed twice: put all of it into one item" % where)
        found[name] = _namespace(name, item, where)
    namespaces_peers.check(found)
    _note_stack(found)
    return found


def _note_stack(found: t.Dict[t.Optional[str], Namespace]) -> None:
    """Collect host_stack of all links where it takes effect, in the host's own namespace."""
    stack = {}
    for namespace in found.values():
        for link in namespace.links.values():
            if link.present and link.stack_sysctls() and (link.peer or namespace.name is None):
                stack[link.host_end] = link.stack_sysctls()
    if stack:
        found[None] = found.get(None, NOTHING)._replace(stack=stack)


def _namespace(name: t.Optional[str], item: t.Mapping[str, t.Any], where: str) -> Namespace:
    present = item.get("state") != "absent"
    if name is None and not present:
        raise FabricError("the host's own namespace cannot be absent: give the name of a namespace")
    absent: t.List[t.Any] = []
    links = [_link(name, entry, where) for entry in item.get("links") or []]
    routes = _properties(item.get("routes"), _route, where, absent)
    neighbours = _properties(item.get("neighbours"), _neighbour, where, absent)
    rules = _properties(item.get("rules"), _rule, where, absent)
    return Namespace(
        name=name,
        present=present,
        links=_unique(links, lambda link: link.name, where),
        routes=None if routes is None else _unique(routes, lambda route: route.key, where),
        neighbours=None if neighbours is None else _unique(neighbours, lambda n: (n.device, n.address), where),
        rules=None if rules is None else _unique(rules, lambda rule: rule, where),
        absent=tuple(absent),
        sysctls=dict(_sysctl(key, value, where) for key, value in (item.get("sysctls") or {}).items()),
        stack={},
    )


def _properties(
    entries: t.Optional[t.List[t.Mapping[str, t.Any]]],
    parser: t.Callable[[t.Mapping[str, t.Any], str], t.Any],
    where: str,
    absent: t.List[t.Any],
) -> t.Optional[t.List[t.Any]]:
    """Parse routes, neighbours or rules; those with state absent go to a list of their own."""
    if entries is None:
        return None
    wanted: t.List[t.Any] = []
    for entry in entries:
        (absent if entry.get("state") == "absent" else wanted).append(parser(entry, where))
    return wanted


def _unique(items: t.Iterable[t.Any], key: t.Callable[[t.Any], t.Any], where: str) -> t.Dict[t.Any, t.Any]:
    found: t.Dict[t.Any, t.Any] = {}
    for item in items:
        if key(item) in found:
            raise FabricError("%s: %s is listed twice" % (where, _name_of(item)))
        found[key(item)] = item
    return found


def _name_of(item: t.Any) -> str:
    for attribute in ("name", "to", "address"):
        if getattr(item, attribute, None):
            return "%s %s" % (type(item).__name__.lower(), getattr(item, attribute))
    return "an entry"


def _link(namespace: t.Optional[str], item: t.Mapping[str, t.Any], where: str) -> Link:
    name = iproute.interface(item.get("name"), where + ", links")
    where = "%s, link %s" % (where, name)
    kind = item.get("kind")
    if kind not in LINK_KINDS:
        raise FabricError("%s: kind %r is none of %s" % (where, kind, ", ".join(LINK_KINDS)))
    _check_options(item, kind, where)
    addresses = item.get("addresses")
    source = item.get("takes_addresses_from")
    resource = iproute.resource(item.get("resource") or "", where)
    return Link(
        namespace=namespace,
        name=name,
        kind=kind,
        present=item.get("state") != "absent",
        peer=iproute.interface(item.get("peer"), where + ", peer") if kind == "veth" else None,
        peer_namespace=_peer_namespace(namespace, item, where),
        mac=None if item.get("mac") is None else iproute.mac(item["mac"], where),
        mtu=None if item.get("mtu") is None else iproute.number(item["mtu"], where + ", mtu", 68, 65535),
        addresses=None if addresses is None else tuple(iproute.interface_address(text, where) for text in addresses),
        tx_checksum=item.get("tx_checksum"),
        owner=None if item.get("owner") is None else _owner(item["owner"], where),
        up=item.get("up") is not False,
        mark=(MARK + " " + resource).rstrip(),
        takes_addresses_from=None if source is None else iproute.interface(source, where + ", takes_addresses_from"),
        host_stack=item.get("host_stack"),
        announce=bool(item.get("announce")),
    )


def _check_options(item: t.Mapping[str, t.Any], kind: str, where: str) -> None:
    """Refuse options that mean nothing for this kind of link."""
    pair = (("peer", ("veth",)), ("peer_namespace", ("veth",)))
    for option, kinds in pair + (("owner", ("tap",)), ("takes_addresses_from", ("existing",))):
        if item.get(option) is not None and kind not in kinds:
            raise FabricError("%s: %s is for links of kind %s only" % (where, option, ", ".join(kinds)))
    if item.get("state") == "absent" and kind == "existing":
        raise FabricError("%s: a link of kind existing belongs to somebody else and is never removed" % where)
    if item.get("takes_addresses_from") is not None and not item.get("addresses"):
        raise FabricError("%s: takes_addresses_from needs addresses: which ones are to move?" % where)


def _peer_namespace(namespace: t.Optional[str], item: t.Mapping[str, t.Any], where: str) -> t.Optional[str]:
    name = item.get("peer_namespace")
    if name is None:
        return None
    if namespace is None:
        raise FabricError("%s: list the link in namespace %s, with %s as its peer" % (where, name, item.get("name")))
    if name == namespace:
        raise FabricError("%s: both ends would be in %s" % (where, name))
    return str(iproute.namespace(name, where + ", peer_namespace"))


def _owner(name: t.Any, where: str) -> int:
    text = iproute.user(name, where)
    if text.isdigit():
        return int(text)
    try:
        return pwd.getpwnam(text).pw_uid
    except KeyError as error:
        raise FabricError(
            "%s: there is no user %s on this host: name another, or install it" % (where, text)
        ) from error


def _route(item: t.Mapping[str, t.Any], where: str) -> Route:
    where += ", routes"
    hops = _nexthops(item, where)
    if len(hops) == 1:
        # One of several is one: the kernel makes no difference either.
        item, hops = {**item, "via": hops[0].via, "dev": hops[0].device}, ()
    via = None if item.get("via") is None else iproute.address(item["via"], where)
    if item.get("to") == "default":
        if via is None:
            raise FabricError("%s: a default route needs via, or to: 0.0.0.0/0 or ::/0" % where)
        family, to = via.version, "default"
    else:
        network = iproute.network(item.get("to"), where)
        family, to = network.version, str(network) if network.prefixlen else "default"
    if via is not None and via.version != family:
        raise FabricError("%s: %s via %s mixes IPv4 and IPv6" % (where, item.get("to"), via))
    if any((":" in hop.via) != (family == 6) for hop in hops):
        raise FabricError("%s: %s and its nexthops mix IPv4 and IPv6" % (where, item.get("to")))
    kind = item.get("type") or "unicast"
    if kind not in ROUTE_KINDS:
        raise FabricError("%s: type %r is none of %s" % (where, kind, ", ".join(ROUTE_KINDS)))
    device = None if item.get("dev") is None else iproute.interface(item["dev"], where)
    if kind == "unicast" and via is None and device is None and not hops and item.get("state") != "absent":
        raise FabricError("%s: the route to %s needs via, dev or both" % (where, item.get("to")))
    metric = iproute.number(item.get("metric") or 0, where, 0, _MAX)
    return Route(
        family=family,
        table=_table(item.get("table"), where),
        to=to,
        metric=metric or (_IPV6_METRIC if family == 6 else 0),
        kind=kind,
        via=None if via is None else str(via),
        device=device,
        onlink=bool(item.get("onlink")),
        nexthops=hops,
        announce_on=_announce_on(item, to, where),
    )


def _announce_on(item: t.Mapping[str, t.Any], to: str, where: str) -> t.Optional[str]:
    if item.get("announce_on") is None:
        return None
    if not to.endswith(("/32", "/128")):
        raise FabricError("%s: %s is no single address that could be announced" % (where, to))
    return str(iproute.interface(item["announce_on"], where + ", announce_on"))


def _nexthops(item: t.Mapping[str, t.Any], where: str) -> t.Tuple[Hop, ...]:
    """Return the gateways of a route that has several, in an order that is always the same."""
    entries = item.get("nexthops") or []
    if entries and (item.get("via") is not None or item.get("dev") is not None or item.get("onlink")):
        raise FabricError("%s: nexthops stand in place of via, dev and onlink" % where)
    if entries and item.get("type") not in (None, "unicast"):
        raise FabricError("%s: nexthops are for routes of type unicast only" % where)
    found = {
        Hop(
            str(iproute.address(entry.get("via"), where + ", nexthops")),
            None if entry.get("dev") is None else iproute.interface(entry["dev"], where + ", nexthops"),
        )
        for entry in entries
    }
    if len(found) != len(entries):
        raise FabricError("%s: a next hop of %s is listed twice" % (where, item.get("to")))
    return tuple(sorted(found, key=lambda hop: (hop.via, hop.device or "")))


def _table(value: t.Any, where: str) -> int:
    if value is None:
        return MAIN_TABLE
    return _TABLES[value] if value in _TABLES else iproute.number(value, where + ", table", 1, _MAX)


def _neighbour(item: t.Mapping[str, t.Any], where: str) -> Neighbour:
    where += ", neighbours"
    address = str(iproute.address(item.get("ip"), where))
    absent = item.get("state") == "absent" and item.get("mac") is None
    return Neighbour(
        device=iproute.interface(item.get("dev"), where),
        address=address,
        mac="" if absent else iproute.mac(item.get("mac"), where),
    )


def _rule(item: t.Mapping[str, t.Any], where: str) -> Rule:
    where += ", rules"
    ends = {side: iproute.network(item[side], where) for side in ("from", "to") if item.get(side) is not None}
    versions = {network.version for network in ends.values()}
    if item.get("ip_version") is not None:
        versions.add(iproute.number(item["ip_version"], where + ", ip_version", 4, 6))
    if len(versions) > 1:
        raise FabricError("%s: from, to and ip_version of one rule mix IPv4 and IPv6" % where)
    text = {side: "default" if not network.prefixlen else str(network) for side, network in ends.items()}
    return Rule(
        family=versions.pop() if versions else 4,
        priority=_priority(item.get("priority"), where + ", priority"),
        source=text.get("from", "default"),
        to=text.get("to", "default"),
        iif="" if item.get("iif") is None else iproute.interface(item["iif"], where),
        table=_table(item.get("table"), where),
    )


def _priority(value: t.Any, where: str) -> int:
    number = iproute.number(value, where, 1, _MAX)
    if number in _KERNEL_PRIORITIES:
        raise FabricError("%s: at %d is a rule of the kernel's own" % (where, number))
    return number


def _sysctl(name: t.Any, value: t.Any, where: str) -> t.Tuple[str, str]:
    path = netns.sysctl_path(name, where)
    text = str(int(value)) if isinstance(value, bool) else str(value)
    if not text.isprintable():
        raise FabricError("%s: the value of sysctl %s must be one line" % (where, name))
    return path, " ".join(text.split())
