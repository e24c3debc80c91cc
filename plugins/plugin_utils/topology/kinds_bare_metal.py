# Copyright (c) 2026 weft.fabric contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The kinds of values that bare metal is described with."""

from __future__ import annotations

import base64
import binascii
import re
import typing as t
from ipaddress import IPv4Address

from .kinds import Fragment, Free, Kind, Parsed, Text, Wrong, kind_of
from .kinds_switches import LOGIN, LiteralOrReference, Secret
from .problems import shown

_UNITS = {"B": 1, "KiB": 2**10, "MiB": 2**20, "GiB": 2**30, "TiB": 2**40, "PiB": 2**50}
_UNITS.update({"kB": 10**3, "KB": 10**3, "MB": 10**6, "GB": 10**9, "TB": 10**12, "PB": 10**15})
_DIGESTS = {"sha256": 64, "sha512": 128}
_WEAK = ("md5", "sha1", "sha224")

_HINT_MAX = 255
USER_DATA_MAX = 64 * 1024  # characters: the config drive has to hold it


class Size(Kind):
    """A size: the value is a number of bytes."""

    noun = "a size"
    _pattern = r"([0-9]{1,15})(?: ?(B|[KMGTP]iB|[kKMGTP]B))?"
    _remedy = "write a number with a unit, like 2 GiB or 512 MiB"

    def parse(self, value: t.Any) -> Parsed:
        if isinstance(value, bool) or not isinstance(value, (int, str)):
            raise Wrong(f"is {kind_of(value)}, not {self.noun}", self._remedy)
        match = re.fullmatch(self._pattern, str(value))
        if match is None:
            raise Wrong(f"{shown(value)} is not {self.noun}", self._remedy)
        number = int(match[1]) * _UNITS[match[2] or "B"]
        if match[2] is None and number < 2**20:
            raise Wrong(f"{number} would be bytes", self._remedy)
        if not 1 <= number < 2**63:
            raise Wrong(f"{shown(value)} is not {self.noun} that anything has", self._remedy)
        return number

    def schema(self) -> Fragment:
        text = {"type": "string", "pattern": f"^{self._pattern}$", "examples": ["2 GiB"]}
        return {"anyOf": [{"type": "integer", "minimum": 2**20}, text]}


class ImageUrl(Text):
    """Where an image is fetched from."""

    def __init__(self) -> None:
        super().__init__(
            "the URL of an image",
            r"https?://[A-Za-z0-9.:\[\]-]+/[A-Za-z0-9._~:/%+,=&?-]+|file:///[A-Za-z0-9._~/+,-]+",
            "write it like https://images.example/debian.raw.zst, or file:///srv/images/debian.raw.zst",
            limit=1024,
        )

    def parse(self, value: t.Any) -> Parsed:
        if isinstance(value, str) and "@" in value:
            # Not shown: it may be a password.
            message = "a URL with somebody's name or password, which Git would keep in clear"
            raise Wrong(message, "put the image where it needs none: its checksum says what it is")
        return super().parse(value)


class Checksum(Text):
    """The digest of a file, kept in lower case."""

    def __init__(self) -> None:
        pattern = "|".join(f"{name}:[0-9a-fA-F]{{{length}}}" for name, length in _DIGESTS.items())
        super().__init__("a checksum", pattern, "write what sha256sum prints, as sha256:HEX", limit=140)

    def parse(self, value: t.Any) -> Parsed:
        try:
            return super().parse(value).lower()
        except Wrong as wrong:
            raise Wrong(wrong.message + self._reason(value), wrong.remedy) from None

    @staticmethod
    def _reason(value: t.Any) -> str:
        kind, _colon, digits = value.partition(":") if isinstance(value, str) else ("", "", "")
        if kind in _WEAK:
            return f": {kind} proves nothing any more"
        if kind in _DIGESTS and re.fullmatch("[0-9a-fA-F]*", digits):
            return f": {len(digits)} digits, and {kind} has {_DIGESTS[kind]}"
        return ""


class PublicKey(Text):
    """A public SSH key as authorized_keys has it, without options. The comment stays."""

    def __init__(self) -> None:
        types = (
            r"ssh-ed25519|ssh-rsa|ecdsa-sha2-nistp(?:256|384|521)|sk-(?:ssh-ed25519|ecdsa-sha2-nistp256)@openssh\.com"
        )
        super().__init__(
            "a public SSH key",
            rf"(?:{types}) [A-Za-z0-9+/]+={{0,2}}(?: [A-Za-z0-9 ._@+:/-]*)?",
            "write what stands in the user's id_ed25519.pub",
            limit=2048,
        )

    def parse(self, value: t.Any) -> Parsed:
        text = super().parse(value)
        kind, encoded = text.split(" ")[:2]
        try:
            decoded = base64.b64decode(encoded, validate=True)
        except binascii.Error:
            decoded = b""
        name = kind.encode()
        # The key says once more, behind the length, of which type it is: a cut or mixed-up line shows here.
        if not decoded.startswith(len(name).to_bytes(4, "big") + name) or len(decoded) < len(name) + 36:
            raise Wrong(f"{shown(value)} is not {self.noun}: it is incomplete", self.remedy)
        return text.rstrip()


class UserData(Free):
    """What cloud-init is given: any text, as the tenant wrote it."""

    noun = "text"

    def parse(self, value: t.Any) -> Parsed:
        if not isinstance(value, str):
            raise Wrong(f"is {kind_of(value)}, not text", "write it as a block of text, behind '|'")
        problem = user_data_problem(value)
        if problem is not None:
            raise Wrong(*problem)
        return value

    def schema(self) -> Fragment:
        return {"type": "string", "maxLength": USER_DATA_MAX}


def user_data_problem(text: str) -> tuple[str, str] | None:
    """Return message and remedy for user data that no config drive takes."""
    if len(text) > USER_DATA_MAX:
        message = f"user data of {len(text)} characters, at most {USER_DATA_MAX}"
        return message, "let it fetch the rest from somewhere"
    if any(not character.isprintable() and character not in "\n\t\r" for character in text):
        return "user data with control characters", "give it as plain text"
    return None


class Hint(Kind):
    """What a disk must be like: a value, or Ironic's operators with what it is compared with."""

    def __init__(
        self, noun: str, value: str, operators: tuple[str, ...], lists: tuple[str, ...], example: str, number: bool
    ) -> None:
        self.noun = noun
        self._number = number  # False: a number without quotes has lost the zeros before it
        repeated = (rf"{word} *(?:{value})(?: *{word} *(?:{value}))*" for word in lists)
        self._pattern = "|".join([rf"(?:(?:{'|'.join(operators)}) *)?(?:{value})", *repeated])
        self._match = re.compile(self._pattern).fullmatch
        self._remedy = f"write it like {example}; before it may stand {', '.join((*operators, *lists))}"

    def parse(self, value: t.Any) -> Parsed:
        if isinstance(value, int) and not isinstance(value, bool):
            if not self._number:
                raise Wrong(f"is {kind_of(value)}, not {self.noun}", "put it in quotes")
            value = str(value)
        if not isinstance(value, str):
            raise Wrong(f"is {kind_of(value)}, not {self.noun}", self._remedy)
        if len(value) > _HINT_MAX or self._match(value) is None:
            raise Wrong(f"{shown(value)} is not {self.noun}", self._remedy)
        return value

    def schema(self) -> Fragment:
        text = {"type": "string", "pattern": f"^(?:{self._pattern})$", "maxLength": _HINT_MAX}
        return {"anyOf": [{"type": "integer", "minimum": 0}, text]} if self._number else text


class Portal(Kind):
    """Where an iSCSI target listens: the value is its address and its port."""

    noun = "the portal of an iSCSI target"
    _pattern = r"([0-9]{1,3}(?:\.[0-9]{1,3}){3})(?::([0-9]{1,5}))?"
    _remedy = "write it like 203.0.113.20 or 203.0.113.20:3260; firmware boots by IPv4"

    def parse(self, value: t.Any) -> Parsed:
        match = re.fullmatch(self._pattern, value) if isinstance(value, str) else None
        if match is None:
            raise Wrong(f"{shown(value)} is not {self.noun}", self._remedy)
        try:
            address, port = IPv4Address(match[1]), int(match[2] or ISCSI_PORT)
        except ValueError:
            raise Wrong(f"{shown(value)} is not {self.noun}", self._remedy) from None
        if not 1 <= port <= 65_535:
            raise Wrong(f"{shown(value)} is not {self.noun}: there is no port {port}", self._remedy)
        return str(address), port

    def schema(self) -> Fragment:
        return {"type": "string", "pattern": f"^{self._pattern}$", "examples": ["203.0.113.20:3260"]}


ISCSI_PORT = 3260
IQN = Text(
    "the name of an iSCSI target or initiator",
    r"iqn\.[0-9]{4}-[0-9]{2}\.[a-z0-9.-]+(?::[a-z0-9.:_-]+)?|(?:eui|naa)\.[0-9A-Fa-f]{16,32}",
    "write it like iqn.2016-01.example:disk-1",
    limit=223,
)
PORTAL = Portal()
CHAP_USER = LiteralOrReference(
    Text("a user name for CHAP", r"[A-Za-z0-9][A-Za-z0-9._:@-]{0,62}", "use letters, digits and '._:@-'", limit=63)
)
CHAP_PASSWORD = Secret("password", "vault_volume_password")
TRAIT = Text("a trait", r"[A-Za-z0-9][A-Za-z0-9_.:-]{0,62}", "use letters, digits and '_.:-', at most 63", limit=63)
SYSTEM = Text("a computer system", r"[A-Za-z0-9._/:-]+", "write its identifier, or its path in Redfish", limit=255)
FINGERPRINT = LiteralOrReference(
    Text(
        "a SHA-256 fingerprint",
        r"[0-9a-fA-F]{2}(?::?[0-9a-fA-F]{2}){31}",
        "write what 'openssl x509 -fingerprint -sha256' prints, with or without colons",
        limit=95,
    )
)
IMAGE_URL = ImageUrl()
SIZE = Size()
CHECKSUM = Checksum()
PUBLIC_KEY = PublicKey()
USER_DATA = UserData()
TEXT_HINT = Hint(
    "a hint for a disk",
    r"[A-Za-z0-9._:/+@()*,-]+(?: [A-Za-z0-9._:/+@()*,-]+)*",
    ("s==", "s!=", "s<=", "s>=", "s<", "s>", "==", "="),
    ("<in>", "<all-in>", "<or>"),
    "S3Z8NB0K",
    number=False,
)
SIZE_HINT = Hint(
    "a hint for a disk's size",
    r"[0-9]{1,15}(?:\.[0-9]{1,9})?(?: ?[KMGT]i?B)?",
    ("==", "!=", "<=", ">=", "<", ">", "="),
    ("<or>",),
    "100 (in GiB) or 480 GB",
    number=True,
)
USERNAME = LiteralOrReference(LOGIN)
PASSWORD = Secret("password", "vault_bmc_password")
KEY = Secret("key", "vault_bmc_key")
