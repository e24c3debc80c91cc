# Copyright (c) 2026 weft.fabric contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The kinds of values a topology file holds: how each is read, and what JSON Schema says of it.

Whatever ends up in a configuration file, a flow or a command line on a host is checked here for
characters that mean something there. That is why a list of what may stand is used, never of what may not.
"""

from __future__ import annotations

import re
import typing as t
from functools import lru_cache
from ipaddress import ip_address, ip_interface, ip_network

from .model import IPAddress, IPNetwork
from .problems import near_miss, shown

_NAME = r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}"
_PORT_MAX = 65_535

Parsed = t.Any
Fragment = dict[str, t.Any]


class Wrong(Exception):
    """A value that can't be: message and remedy."""

    def __init__(self, message: str, remedy: str) -> None:
        super().__init__(message)
        self.message = message
        self.remedy = remedy


def kind_of(value: object) -> str:
    """Return what a value is, in words."""
    if value is None:
        return "empty"
    if isinstance(value, bool):
        return f"the boolean {str(value).lower()}"
    if isinstance(value, (int, float)):
        return f"the number {str(value)[:40]}"
    if isinstance(value, str):
        return f"the text {shown(value)}"
    return "a mapping" if isinstance(value, dict) else "a list"


class Kind:
    """One kind of value."""

    noun = "a value"

    def parse(self, value: t.Any) -> Parsed:
        raise NotImplementedError

    def schema(self) -> Fragment:
        raise NotImplementedError


class Text(Kind):
    """Text of certain characters."""

    def __init__(
        self, noun: str, pattern: str, remedy: str, not_allowed: tuple[str, ...] = (), limit: int = 255
    ) -> None:
        self.noun = noun
        self.pattern = pattern
        self.remedy = remedy
        self.not_allowed = not_allowed
        self.limit = limit
        self._match = re.compile(pattern).fullmatch

    def parse(self, value: t.Any) -> Parsed:
        if not isinstance(value, str):
            quotes_help = isinstance(value, (bool, int, float)) and self._match(str(value).lower()) is not None
            remedy = "put it in quotes" if quotes_help else self.remedy
            raise Wrong(f"is {kind_of(value)}, not {self.noun}", remedy)
        if self._match(value) is None or len(value) > self.limit:
            raise Wrong(f"{shown(value)} is not {self.noun}{_reason(value, self.limit)}", self.remedy)
        if value in self.not_allowed:
            raise Wrong(f"{shown(value)} is reserved", "choose another name")
        return value

    def schema(self) -> Fragment:
        fragment: Fragment = {"type": "string", "pattern": f"^(?:{self.pattern})$", "maxLength": self.limit}
        if self.not_allowed:
            fragment["not"] = {"enum": list(self.not_allowed)}
        return fragment


def _reason(value: str, limit: int = 255) -> str:
    """Say which of the dangerous things is in a value: the reader can't see a control character."""
    if len(value) > limit:
        return f" ({len(value)} characters, at most {limit})"
    if "{{" in value or "{%" in value:
        return " (a Jinja template; only 'vars' and ansible_* of a host may hold one)"
    if not value.isprintable():
        return " (it holds a line break or control character)"
    return ""


class Choice(Kind):
    """One of a few words."""

    def __init__(self, *choices: str) -> None:
        self.choices = choices
        self.noun = "one of " + ", ".join(choices)

    def parse(self, value: t.Any) -> Parsed:
        if isinstance(value, str) and value in self.choices:
            return value
        meant = near_miss(value, self.choices) if isinstance(value, str) else None
        text = shown(value) if isinstance(value, str) else f"is {kind_of(value)}, which"
        raise Wrong(f"{text} is not {self.noun}", f"write {meant!r}" if meant else f"use {self.noun}")

    def schema(self) -> Fragment:
        return {"enum": list(self.choices)}


class Whole(Kind):
    """A whole number in a range."""

    def __init__(self, minimum: int, maximum: int) -> None:
        self.minimum = minimum
        self.maximum = maximum
        self.noun = f"a whole number from {minimum} to {maximum}"

    def parse(self, value: t.Any) -> Parsed:
        if isinstance(value, bool) or not isinstance(value, int):
            raise Wrong(f"is {kind_of(value)}, not {self.noun}", f"write {self.noun}, without quotes")
        if not self.minimum <= value <= self.maximum:
            raise Wrong(f"{str(value)[:40]} is not {self.noun}", f"use {self.noun}")
        return value

    def schema(self) -> Fragment:
        return {"type": "integer", "minimum": self.minimum, "maximum": self.maximum}


class Boolean(Kind):
    """true or false; yes, no, on and off as Ansible's users write them."""

    noun = "true or false"
    _words: t.ClassVar[dict[str, bool]] = {"yes": True, "on": True, "no": False, "off": False}

    def parse(self, value: t.Any) -> Parsed:
        if isinstance(value, bool):
            return value
        if isinstance(value, str) and value.lower() in self._words:
            return self._words[value.lower()]
        raise Wrong(f"is {kind_of(value)}, not {self.noun}", "write true or false, without quotes")

    def schema(self) -> Fragment:
        return {"type": ["boolean", "string"], "enum": [True, False, *self._words]}


# The ipaddress module takes long over each text, and a fabric repeats a few.
@lru_cache(maxsize=65536)
def _address(text: str) -> IPAddress:
    return ip_address(text)


class Address(Kind):
    """An IP address; with a prefix length where with_prefix says so (then the value is a pair)."""

    def __init__(self, with_prefix: bool = False) -> None:
        self.with_prefix = with_prefix
        self.noun = "an IP address" + (", with or without a prefix length" if with_prefix else "")
        self._remedy = (
            "write it like 198.51.100.11/24 or 2001:db8::11/64"
            if with_prefix
            else ("write it like 192.0.2.1 or 2001:db8::1")
        )

    def parse(self, value: t.Any) -> Parsed:
        if not isinstance(value, str):
            raise Wrong(f"is {kind_of(value)}, not {self.noun}", self._remedy)
        try:
            if self.with_prefix and "/" in value and "%" not in value:
                interface = ip_interface(value)
                return interface.ip, int(interface.network.prefixlen)
            address = _address(value)
        except ValueError:
            raise Wrong(f"{shown(value)} is not {self.noun}{_reason(value)}", self._remedy) from None
        if "%" in value:
            raise Wrong(f"{shown(value)} has a zone", "write the address without '%'")
        return (address, None) if self.with_prefix else address

    def schema(self) -> Fragment:
        pattern = r"[0-9a-fA-F:.]+(/[0-9]{1,3})?" if self.with_prefix else r"[0-9a-fA-F:.]+"
        return {"type": "string", "pattern": f"^{pattern}$", "examples": ["192.0.2.1", "2001:db8::1"]}


class OptionalAddress(Address):
    """An address, or null for none (the value is then False: None means that nothing was said)."""

    def parse(self, value: t.Any) -> Parsed:
        return False if value is None or value == "none" else super().parse(value)

    def schema(self) -> Fragment:
        return {"anyOf": [super().schema(), {"type": "null"}, {"const": "none"}]}


@lru_cache(maxsize=65536)
def _cidr(text: str) -> IPNetwork:
    return ip_network(text)


class Cidr(Kind):
    """An IP network. An address alone stands for itself where single says so."""

    def __init__(self, single: bool = False) -> None:
        self.single = single
        self.noun = "an IP address or CIDR" if single else "a CIDR"

    def parse(self, value: t.Any) -> Parsed:
        remedy = "write it like 10.0.0.0/24 or 2001:db8::/64"
        if not isinstance(value, str):
            raise Wrong(f"is {kind_of(value)}, not {self.noun}", remedy)
        if "/" not in value and "{" not in value and not self.single:
            raise Wrong(f"{shown(value)} is not {self.noun}: the prefix length is missing", remedy)
        try:
            return _cidr(value)
        except ValueError as error:
            if "host bits" not in str(error):
                raise Wrong(f"{shown(value)} is not {self.noun}{_reason(value)}", remedy) from None
        raise Wrong(f"{shown(value)} has host bits set", f"write {ip_network(value, strict=False)}")

    def schema(self) -> Fragment:
        prefix = "(/[0-9]{1,3})?" if self.single else "/[0-9]{1,3}"
        return {"type": "string", "pattern": f"^[0-9a-fA-F:.]+{prefix}$", "examples": ["10.0.0.0/24"]}


class Mac(Text):
    """A unicast MAC address, kept in lower case with colons."""

    def __init__(self) -> None:
        super().__init__("a MAC address", "[0-9a-fA-F]{2}(?:[:-][0-9a-fA-F]{2}){5}", "write it like fa:16:3e:00:00:01")

    def parse(self, value: t.Any) -> Parsed:
        mac = super().parse(value).lower().replace("-", ":")
        if int(mac[:2], 16) & 1:
            raise Wrong(f"{shown(mac)} is a multicast or broadcast address", "use one whose first byte is even")
        if mac == "00:00:00:00:00:00":
            raise Wrong(f"{shown(mac)} belongs to nobody", "use another one")
        return mac


class PortRange(Kind):
    """A port of TCP or UDP, or a range of them: the value is the first and the last."""

    noun = "a port or a range of ports"
    _pattern = r"([0-9]{1,5})(?:-([0-9]{1,5}))?"
    _remedy = "write a port like 8080, or a range like 3000-3010"

    def parse(self, value: t.Any) -> Parsed:
        if isinstance(value, bool) or not isinstance(value, (int, str)):
            raise Wrong(f"is {kind_of(value)}, not {self.noun}", self._remedy)
        text = str(value)
        match = re.fullmatch(self._pattern, text)
        if match is None:
            raise Wrong(f"{shown(text)} is not {self.noun}{_reason(text)}", self._remedy)
        first = int(match[1])
        last = first if match[2] is None else int(match[2])
        if first > last:
            raise Wrong(f"the range ends ({last}) before it starts ({first})", f"write {last}-{first}")
        if first < 1 or last > _PORT_MAX:
            raise Wrong(f"{shown(text)} is not {self.noun}", f"use numbers from 1 to {_PORT_MAX}")
        return first, last

    def schema(self) -> Fragment:
        number = {"type": "integer", "minimum": 1, "maximum": _PORT_MAX}
        return {"anyOf": [number, {"type": "string", "pattern": f"^{self._pattern}$", "examples": ["3000-3010"]}]}


class NetworkReference(Text):
    """A network: the value is its project (empty for the one that speaks) and its name."""

    def __init__(self) -> None:
        super().__init__(
            "the name of a network",
            f"(?:{_NAME}/)?{_NAME}",
            "write NAME for a network of the same project, PROJECT/NAME for one of another",
            limit=127,
        )

    def parse(self, value: t.Any) -> Parsed:
        project, _slash, name = super().parse(value).rpartition("/")
        return project, name


class Free(Kind):
    """Whatever Ansible takes: handed through."""

    noun = "anything"

    def __init__(self, must_be: type | None = None) -> None:
        self._type = must_be

    def parse(self, value: t.Any) -> Parsed:
        if self._type is not None and not isinstance(value, self._type):
            want = "a mapping" if self._type is dict else "a list"
            raise Wrong(f"is {kind_of(value)}, not {want}", f"write {want}")
        return value

    def schema(self) -> Fragment:
        return {} if self._type is None else {"type": "object" if self._type is dict else "array"}


NAME = Text(
    "a name",
    _NAME,
    "use letters, digits, '.', '_' and '-', at most 63, the first a letter or digit",
    limit=63,
)
# all and default are directories below net.ipv4.conf, where they stand for other things than a device.
DEVICE = Text(
    "the name of a network device",
    r"[A-Za-z0-9][A-Za-z0-9._-]{0,14}",
    "use letters, digits, '.', '_' and '-', at most 15, the first a letter or digit",
    ("lo", "all", "default"),
    limit=15,
)
NAMESPACE = Text(
    "the name of a network namespace",
    r"(?!(?:qdhcp|qrouter|snat|fip|qlbaas)-)[A-Za-z0-9][A-Za-z0-9._-]{0,62}",
    "use letters, digits, '.', '_' and '-'; qdhcp-, qrouter-, snat-, fip- and qlbaas- begin the fabric's own names",
    limit=63,
)
USER = Text("the name of a user", r"[a-z_][a-z0-9_-]{0,31}", "use a user name of the host, like libvirt-qemu", limit=32)
INTERFACE_ID = Text(
    "an interface id",
    r"[A-Za-z0-9][A-Za-z0-9._:-]{0,63}",
    "use what external_ids:iface-id says, often a UUID",
    limit=64,
)
_LABEL = r"[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
DNS_LABEL = Text(
    "a host name", _LABEL, "use letters, digits and '-', at most 63, neither first nor last a '-'", limit=63
)
DNS_DOMAIN = Text("a domain name", rf"{_LABEL}(?:\.{_LABEL})*", "write it like blue.example", limit=253)
FQDN_OR_ADDRESS = DNS_DOMAIN
DHCP_OPTION = Text(
    "a DHCP option",
    r"[a-z][a-z0-9-]{0,62}|[1-9][0-9]{0,4}",
    "use a name that 'dnsmasq --help dhcp' lists, or the option's number in quotes",
    limit=63,
)
# No quotes, braces, backslashes or '#': each means something in a dnsmasq file.
DHCP_VALUE = Text(
    "the value of a DHCP option",
    r"[A-Za-z0-9._:/@,=+%?&~*!()\[\]-](?:[A-Za-z0-9 ._:/@,=+%?&~*!()\[\]-]*[A-Za-z0-9._:/@,=+%?&~*!()\[\]-])?|",
    "use letters, digits, spaces and ._:/@,=+%?&~*!()[]- only",
)
INCLUDE = Text("a path or pattern of files", r"[A-Za-z0-9._*?/\[\]-]+", "write it like networks/*.yml", limit=1024)
PLUGIN = Text("the plugin's name", r"weft\.fabric\.topology", "write weft.fabric.topology", limit=63)
MAC = Mac()
BOOLEAN = Boolean()
NETWORK = NetworkReference()
PORTS = PortRange()
