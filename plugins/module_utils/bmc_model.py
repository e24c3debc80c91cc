# Copyright (c) 2026 weft.fabric contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A BMC as the modules see it, whatever it speaks: how it is reached, what it can be asked, and how it fails."""

from __future__ import annotations

import dataclasses
import typing as t

from ansible_collections.weft.fabric.plugins.module_utils.errors import FabricError

PROTOCOLS = ("ipmi", "redfish")
PORTS = {"ipmi": 623, "redfish": 443}

#: what a machine can be told to boot from; none is its firmware's own order
DEVICES = ("bios", "cdrom", "disk", "http", "none", "pxe", "usb")

ON, OFF = "on", "off"
#: on the way to on or off; only Redfish tells these
STARTING, STOPPING = "starting", "stopping"


class BmcError(FabricError):
    """What the BMC did not do. cause and remedy are clauses without a full stop."""

    def __init__(self, cause: str, remedy: str):
        super().__init__("%s. %s." % (cause, remedy))
        self.cause = cause
        self.remedy = remedy


class Transient(BmcError):
    """It would have worked at another time: the only kind that is tried again."""


class NoAnswer(BmcError):
    """It says nothing (any more)."""


class Refused(BmcError):
    """Our credentials are wrong. Never tried again: most BMCs lock an account after a few such attempts."""


class Unsupported(BmcError):
    """It cannot do that at all, or not now."""


@dataclasses.dataclass(frozen=True)
class Way(object):
    """How a BMC is reached, and how long it is waited for."""

    protocol: str
    address: str
    port: int
    username: str
    password: str = dataclasses.field(repr=False)
    kg: t.Optional[str] = dataclasses.field(default=None, repr=False)
    privilege: str = "operator"
    system: t.Optional[str] = None
    validate_certs: bool = True
    certificate_fingerprint: t.Optional[str] = None
    timeout: float = 30
    connect_timeout: float = 10
    lock_timeout: float = 120
    retry_timeout: float = 60

    def __str__(self) -> str:
        return "%s, %s port %d" % (self.protocol, self.address, self.port)


def way(bmc: t.Mapping[str, t.Any]) -> Way:
    """Return the way that the argument `bmc` describes."""
    given = {field.name: bmc.get(field.name) for field in dataclasses.fields(Way)}
    given["port"] = bmc.get("port") or PORTS[bmc["protocol"]]
    return Way(**{field: value for field, value in given.items() if value is not None})


@dataclasses.dataclass(frozen=True)
class Boot(object):
    """From what the machine boots next."""

    device: str
    persistent: bool = False
    #: uefi or bios; None is not said
    mode: t.Optional[str] = None
    #: what is loaded over HTTP; None is what DHCP tells
    http_uri: t.Optional[str] = None

    def __str__(self) -> str:
        if self.device == "none":
            return "none"
        words = [self.device, "always" if self.persistent else "once"]
        words += [self.mode] if self.mode else []
        words += ["from %s" % self.http_uri] if self.http_uri else []
        return " ".join(words)

    def meets(self, wanted: "Boot") -> bool:
        """Return whether this is what is wanted. What the wish leaves open, may be anything."""
        if wanted.device == "none":
            return self.device == "none"
        return (
            (self.device, self.persistent) == (wanted.device, wanted.persistent)
            and wanted.mode in (None, self.mode)
            and wanted.http_uri in (None, self.http_uri)
        )


class Client(object):
    """A session with a BMC: what each protocol implements. Every method asks the BMC, and may raise BmcError."""

    def power(self) -> str:
        """Return ON, OFF, STARTING or STOPPING."""
        raise NotImplementedError

    def power_on(self) -> None:
        raise NotImplementedError

    def power_off(self) -> None:
        """Cut the power."""
        raise NotImplementedError

    def shut_down(self) -> None:
        """Ask the operating system to power off."""
        raise NotImplementedError

    def boot(self) -> Boot:
        raise NotImplementedError

    def check_boot(self, wanted: Boot) -> None:
        """Raise Unsupported when it is known beforehand that this cannot be set."""
        raise NotImplementedError

    def set_boot(self, wanted: Boot) -> None:
        raise NotImplementedError

    def identity(self) -> t.Dict[str, str]:
        """Return what the machine and the BMC say that they are."""
        raise NotImplementedError

    def close(self) -> None:
        """End the session at the BMC. Never raises."""
        raise NotImplementedError
