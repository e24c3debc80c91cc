# Copyright (c) 2026 weft.fabric contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Redfish: power and boot source of one computer system."""

from __future__ import annotations

import typing as t

from ansible_collections.weft.fabric.plugins.module_utils import bmc_redfish_session
from ansible_collections.weft.fabric.plugins.module_utils.bmc_model import (
    OFF,
    ON,
    STARTING,
    STOPPING,
    BmcError,
    Boot,
    Client,
    Unsupported,
    Way,
)
from ansible_collections.weft.fabric.plugins.module_utils.bmc_redfish_session import Body, Session

_POWER = {"On": ON, "Off": OFF, "PoweringOn": STARTING, "PoweringOff": STOPPING, "Paused": ON}

# The best first: not every service has each.
_ON = ("On", "ForceOn")
_OFF = ("ForceOff",)
_SOFT = ("GracefulShutdown", "PushPowerButton")

_TARGETS = {
    "bios": "BiosSetup",
    "cdrom": "Cd",
    "disk": "Hdd",
    "http": "UefiHttp",
    "none": "None",
    "pxe": "Pxe",
    "usb": "Usb",
}
_DEVICES = {target: device for device, target in _TARGETS.items()}
_MODES = {"uefi": "UEFI", "bios": "Legacy"}
_MODE_NAMES = {name: mode for mode, name in _MODES.items()}


def connect(to: Way) -> Client:
    """Return a session. One attempt to log in."""
    if bmc_redfish_session.MISSING:
        raise BmcError("the Python package pyghmi is missing on this machine", "Install it where Ansible runs")
    session = Session(to)
    try:
        root = session.log_in()
        return RedfishClient(session, _system(session, root, to.system))
    except BaseException:
        session.close()
        raise


def _system(session: Session, root: Body, wanted: t.Optional[str]) -> str:
    """Return the URL of the computer system: the one that is asked for, or the only one."""
    collection = (root.get("Systems") or {}).get("@odata.id")
    if not collection:
        raise BmcError("its Redfish service has no computer systems", "Look whether the port is that of a BMC")
    found = [member["@odata.id"] for member in session.get(collection).get("Members") or []]
    chosen = [url for url in found if wanted in (None, url, url.rstrip("/").rsplit("/", 1)[-1])]
    if len(chosen) == 1:
        return chosen[0]
    names = ", ".join(url.rstrip("/").rsplit("/", 1)[-1] for url in found) or "none"
    if wanted:
        raise BmcError("it has no system %s, but: %s" % (wanted, names), "Correct system")
    raise BmcError("it has not one computer system, but: %s" % names, "Say in system which one the node is")


class RedfishClient(Client):
    """A session that is logged in, and the system in it."""

    def __init__(self, session: Session, url: str):
        self.session = session
        self.url = url

    def close(self) -> None:
        self.session.close()

    # Power

    def power(self) -> str:
        told = self._system().get("PowerState")
        if told not in _POWER:
            raise BmcError("it tells %s as its power state" % told, "Look at the BMC's own pages, and at the machine")
        return _POWER[told]

    def power_on(self) -> None:
        self._reset("power on", _ON)

    def power_off(self) -> None:
        self._reset("power off", _OFF)

    def shut_down(self) -> None:
        self._reset("shut down softly", _SOFT)

    def _reset(self, what: str, ways: t.Sequence[str]) -> None:
        action = (self._system().get("Actions") or {}).get("#ComputerSystem.Reset") or {}
        if not action.get("target"):
            raise Unsupported("it has no action to change power", "Look at the rights of the user, and at the firmware")
        allowed = self._allowed(action)
        usable = [way for way in ways if allowed is None or way in allowed]
        if not usable:
            raise Unsupported("it cannot %s: it has only %s" % (what, ", ".join(allowed or ())), "Do it by hand")
        self.session.write(what, "POST", action["target"], {"ResetType": usable[0]})

    def _allowed(self, action: Body) -> t.Optional[t.List[str]]:
        told = action.get("ResetType@Redfish.AllowableValues")
        if told is None and action.get("@Redfish.ActionInfo"):
            parameters = self.session.get(action["@Redfish.ActionInfo"]).get("Parameters") or []
            for parameter in parameters:
                if parameter.get("Name") == "ResetType":
                    told = parameter.get("AllowableValues")
        return told

    # Boot source

    def boot(self) -> Boot:
        return _boot(self._system())

    def check_boot(self, wanted: Boot) -> None:
        if wanted.device == "none":
            return
        allowed = self._override().get("BootSourceOverrideTarget@Redfish.AllowableValues")
        if allowed is not None and _TARGETS[wanted.device] not in allowed:
            can = ", ".join(sorted(_DEVICES.get(target, target) for target in allowed))
            raise Unsupported("it cannot boot from %s, but from: %s" % (wanted.device, can), "Choose one of these")

    def set_boot(self, wanted: Boot) -> None:
        answer = self.session.fetch(self.url)
        etag = answer.headers.get("ETag") or answer.body.get("@odata.etag")
        change: t.Dict[str, t.Any] = {"BootSourceOverrideEnabled": "Disabled"}
        if wanted.device != "none":
            change["BootSourceOverrideEnabled"] = "Continuous" if wanted.persistent else "Once"
            change["BootSourceOverrideTarget"] = _TARGETS[wanted.device]
        if wanted.http_uri and wanted.device == "http":
            change["HttpBootUri"] = wanted.http_uri
        if wanted.device == "none" or wanted.mode is None:
            self._patch(wanted, change, etag)
            return
        # Some forget the mode unless it comes along, and some refuse it then, so both are tried.
        try:
            self._patch(wanted, dict(change, BootSourceOverrideMode=_MODES[wanted.mode]), etag)
        except Unsupported:
            if _boot(answer.body, always=True).mode != wanted.mode:
                raise
            self._patch(wanted, change, etag)

    def _patch(self, wanted: Boot, change: Body, etag: t.Optional[str]) -> None:
        self.session.write("take boot device %s" % wanted, "PATCH", self.url, {"Boot": change}, etag)

    def _override(self) -> Body:
        return self._system().get("Boot") or {}

    # What it is

    def identity(self) -> t.Dict[str, str]:
        system = self._system()
        told = {
            "manufacturer": system.get("Manufacturer"),
            "model": system.get("Model"),
            "serial_number": system.get("SerialNumber"),
            "firmware": system.get("BiosVersion"),
        }
        return {name: str(value) for name, value in told.items() if value}

    def _system(self) -> Body:
        return self.session.get(self.url)


def _boot(system: Body, always: bool = False) -> Boot:
    """Return the boot source of a system; always has the mode told even where there is no override."""
    told = system.get("Boot") or {}
    if "BootSourceOverrideEnabled" not in told:
        raise Unsupported("it does not tell its boot device", "Look at the rights of the user, and at the firmware")
    enabled, target = told["BootSourceOverrideEnabled"], told.get("BootSourceOverrideTarget") or "None"
    mode = _MODE_NAMES.get(told.get("BootSourceOverrideMode") or "")
    if enabled in (None, "Disabled") or target == "None":
        return Boot("none", mode=mode if always else None)
    device = _DEVICES.get(target, target)
    return Boot(device, enabled == "Continuous", mode, (told.get("HttpBootUri") or None) if device == "http" else None)
