# Copyright (c) 2026 weft.fabric contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The kinds of values that a switch is described with.

A switch has no shell between it and what is written here, but names and descriptions end up in the configuration of
devices that read some characters in their own way: there too, a list of what may stand is used.
"""

from __future__ import annotations

import base64
import binascii
import re
import typing as t
from functools import lru_cache

from .kinds import DNS_DOMAIN, Address, Fragment, Free, Kind, Parsed, Text, Whole, Wrong, kind_of
from .model_switches import VLAN_MAX
from .problems import shown
from .yamlmap import Unsafe, Vault

_NAME = r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}"
_NUMBERS = r"([0-9]{1,4})(?:-([0-9]{1,4}))?"
_KEY_TYPE = r"ssh-ed25519|ssh-rsa|ecdsa-sha2-nistp(?:256|384|521)"


class AddressOrName(Kind):
    """Where a device is reached."""

    noun = "an IP address or host name"
    _remedy = "write it like 198.51.100.2, 2001:db8::2 or leaf1.example"

    def parse(self, value: t.Any) -> Parsed:
        if not isinstance(value, str):
            raise Wrong(f"is {kind_of(value)}, not {self.noun}", self._remedy)
        # What consists of digits and dots is an address that somebody mistyped, not a name.
        kind: Kind = Address() if re.fullmatch(r"[0-9.]+|.*:.*", value, re.DOTALL) else DNS_DOMAIN
        try:
            return str(kind.parse(value))
        except Wrong:
            raise Wrong(f"{shown(value)} is not {self.noun}", self._remedy) from None

    def schema(self) -> Fragment:
        return {"type": "string", "pattern": "^[A-Za-z0-9:.-]+$", "examples": ["198.51.100.2", "leaf1.example"]}


class HostKey(Text):
    """A public SSH key as known_hosts has it, without the host's name: the comment goes."""

    def __init__(self) -> None:
        super().__init__(
            "a public SSH key",
            rf"(?:{_KEY_TYPE}) [A-Za-z0-9+/]+={{0,2}}(?: [A-Za-z0-9 ._@+-]*)?",
            "write what 'ssh-keyscan -p PORT ADDRESS' prints behind the address, like 'ssh-ed25519 AAAA...'",
            limit=2048,
        )

    def parse(self, value: t.Any) -> Parsed:
        kind, encoded = super().parse(value).split(" ")[:2]
        try:
            decoded = base64.b64decode(encoded, validate=True)
        except binascii.Error:
            decoded = b""
        # The key says once more, behind the length, of which type it is: a cut or mixed-up line shows here.
        name = kind.encode()
        if not decoded.startswith(len(name).to_bytes(4, "big") + name) or len(decoded) < len(name) + 36:
            raise Wrong(f"{shown(value)} is not {self.noun}: it is incomplete", self.remedy)
        return f"{kind} {encoded}"


class Secret(Free):
    """What Git must not keep in clear: a Jinja reference to a variable, or !vault. It is never shown."""

    noun = "a Jinja reference or !vault"

    def __init__(self, what: str, example: str) -> None:
        super().__init__()
        self._what = what
        self._example = f"{{{{ {example} }}}}"

    def parse(self, value: t.Any) -> Parsed:
        if isinstance(value, Vault) or (isinstance(value, str) and _is_reference(value)):
            return value
        raise Wrong(
            f"a literal {self._what}, which Git would keep in clear",
            f"write a reference to a variable, like \"{self._example}\", or encrypt it with '!vault'",
        )

    def schema(self) -> Fragment:
        return {"type": "string", "examples": [self._example]}


class LiteralOrReference(Free):
    """Text of certain characters, or what Secret takes."""

    def __init__(self, text: Text) -> None:
        super().__init__()
        self._text = text
        self.noun = f"{text.noun}, or a Jinja reference"

    def parse(self, value: t.Any) -> Parsed:
        if isinstance(value, Vault) or (isinstance(value, str) and _is_reference(value)):
            return value
        return self._text.parse(value)

    def schema(self) -> Fragment:
        return {"type": "string", "maxLength": 1024}


def _is_reference(value: str) -> bool:
    """Tell whether text is one Jinja expression that names something, and isn't a literal in braces."""
    match = re.fullmatch(r"\{\{([^{}]+)\}\}", value.strip())
    if match is None or isinstance(value, Unsafe) or not value.isprintable():
        return False
    outside_quotes = re.sub(r"'[^']*'|\"[^\"]*\"", "", match[1])
    return re.search(r"[A-Za-z_]", outside_quotes) is not None


@lru_cache(maxsize=4096)
def _numbers(text: str) -> tuple[int, int] | None:
    match = re.fullmatch(_NUMBERS, text)
    if match is None:
        return None
    first = int(match[1])
    return first, first if match[2] is None else int(match[2])


class Vlans(Kind):
    """A VLAN or a range of them: the value is the first and the last."""

    noun = "a VLAN or a range of VLANs"
    _remedy = "write a VLAN like 120, or a range like 100-199"

    def parse(self, value: t.Any) -> Parsed:
        if isinstance(value, bool) or not isinstance(value, (int, str)):
            raise Wrong(f"is {kind_of(value)}, not {self.noun}", self._remedy)
        found = _numbers(str(value))
        if found is None:
            raise Wrong(f"{shown(value)} is not {self.noun}", self._remedy)
        first, last = found
        if first > last:
            raise Wrong(f"the range ends ({last}) before it starts ({first})", f"write {last}-{first}")
        if first < 1 or last > VLAN_MAX:
            raise Wrong(f"{shown(value)} is not {self.noun}", f"use numbers from 1 to {VLAN_MAX}")
        return first, last

    def schema(self) -> Fragment:
        number = {"type": "integer", "minimum": 1, "maximum": VLAN_MAX}
        return {"anyOf": [number, {"type": "string", "pattern": f"^{_NUMBERS}$", "examples": ["100-199"]}]}


class ProjectNetwork(Text):
    """A network, by project and name: a switch belongs to no project."""

    def __init__(self) -> None:
        super().__init__("a network as PROJECT/NAME", f"{_NAME}/{_NAME}", "write PROJECT/NAME", limit=127)

    def parse(self, value: t.Any) -> Parsed:
        project, _slash, name = super().parse(value).partition("/")
        return project, name


class NetworkOr(Kind):
    """A network as PROJECT/NAME, or what another kind takes."""

    def __init__(self, other: Kind) -> None:
        self._other = other
        self._network = ProjectNetwork()
        self.noun = f"{self._network.noun}, or {other.noun}"

    def parse(self, value: t.Any) -> Parsed:
        if not isinstance(value, str) or _numbers(value) is not None:
            return self._other.parse(value)
        try:
            return self._network.parse(value)
        except Wrong as wrong:
            raise Wrong(f"{shown(value)} is not {self.noun}", "write PROJECT/NAME, or a number") from wrong

    def schema(self) -> Fragment:
        return {"anyOf": [self._network.schema(), self._other.schema()]}


# Aliases and the one name a device gives are told apart later: see module_utils/switch_names.py.
INTERFACE = Text(
    "the name of a switch port",
    r"[A-Za-z0-9][A-Za-z0-9._:/-]*(?: [A-Za-z0-9._:/-]+)?",
    "write it as the switch does, like Ethernet1/1, GigabitEthernet1/0/1 or ge-0/0/1",
    limit=63,
)
# No quotes, braces, '?', '!', '#', ';' or backslashes: command lines and configuration files of switches read those.
DESCRIPTION = Text(
    "a description",
    r"[A-Za-z0-9._:/@,=+%&*()\[\]-](?:[A-Za-z0-9 ._:/@,=+%&*()\[\]-]*[A-Za-z0-9._:/@,=+%&*()\[\]-])?",
    "use letters, digits, spaces and ._:/@,=+%&*()[]- only, and no space first or last",
    limit=200,
)
PATH = Text("a path", r"[A-Za-z0-9._~/+@-]+", "use letters, digits and ._~/+@-, no spaces", limit=1024)
LOGIN = Text("a user name", r"[A-Za-z0-9_][A-Za-z0-9_.@-]{0,63}", "use letters, digits and _.@-, at most 64", limit=64)

ADDRESS = AddressOrName()
HOST_KEY = HostKey()
PASSWORD = Secret("password", "vault_leaf1_password")
USERNAME = LiteralOrReference(LOGIN)
KEY_FILE = LiteralOrReference(PATH)
VLAN = Whole(1, VLAN_MAX)
VLANS = Vlans()
NETWORK = ProjectNetwork()
NETWORK_OR_VLAN = NetworkOr(VLAN)
NETWORK_OR_VLANS = NetworkOr(VLANS)
