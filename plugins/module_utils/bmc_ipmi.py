# Copyright (c) 2026 weft.fabric contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""IPMI over LAN, through pyghmi's session.

Its helpers for power and boot devices read too little of the answers: no completion codes, no valid bit, and
some commands sent twice. So the commands are put together here, and the session, its cryptography and its
repetition of lost packets are pyghmi's.
"""

from __future__ import annotations

import contextlib
import functools
import socket
import struct
import traceback
import typing as t

from ansible_collections.weft.fabric.plugins.module_utils.bmc_model import (
    OFF,
    ON,
    BmcError,
    Boot,
    Client,
    NoAnswer,
    Refused,
    Transient,
    Unsupported,
    Way,
)

try:
    from pyghmi.exceptions import PyghmiException
    from pyghmi.ipmi.command import Command
    from pyghmi.ipmi.private import session as pyghmi_session
    from pyghmi.ipmi.private.session import Session
except ImportError:
    MISSING: t.Optional[str] = traceback.format_exc()
else:
    MISSING = None
    _wait: t.Optional[t.Callable[..., None]] = getattr(pyghmi_session, "_io_wait", None)

    def _wait_shortly(wait: t.Callable[..., None], timeout: float, *more: t.Any) -> None:
        """Wait as pyghmi does, but look again soon.

        An answer that comes before it has begun to wait does not wake it: it is found when the request is about to be
        sent once more, up to a second later. That happens now and then with a BMC that is near.
        """
        wait(min(timeout, 0.02), *more)

    if _wait is not None:
        pyghmi_session._io_wait = functools.partial(_wait_shortly, _wait)

# Network functions, and commands in them.
_CHASSIS, _APPLICATION = 0, 6
_GET_STATUS, _CONTROL, _SET_BOOT, _GET_BOOT = 1, 2, 8, 9
_GET_DEVICE_ID = 1
# What a chassis can be told.
_POWER_OFF, _POWER_ON, _SOFT_OFF = 0, 1, 5
# Parameters of the boot options, and the bits of the flags.
_KEEP_FLAGS, _FLAGS = 3, 5
_NOT_ON_TIMEOUT = 8
_VALID, _PERSISTENT, _UEFI = 0x80, 0x40, 0x20

_SELECTORS = {"none": 0x00, "pxe": 0x04, "disk": 0x08, "cdrom": 0x14, "bios": 0x18, "usb": 0x3C}
_DEVICES = {selector: device for device, selector in _SELECTORS.items()}
# Supermicro's firmware has an own selector for a disk that is booted by UEFI.
_SUPERMICRO = (10876, 47488)
_SUPERMICRO_UEFI_DISK = 0x24
_DEVICES[_SUPERMICRO_UEFI_DISK] = "disk"

_PRIVILEGES = {"operator": 3, "administrator": 4}

# Completion codes that say that another time would have been better.
_BUSY = (0xC0, 0xC3, 0xC4, 0xCE, 0xCF, 0xD0, 0xD1, 0xD2, 0xD3)
_NO_PRIVILEGE = 0xD4
_NOT_NOW = 0xD5
_UNKNOWN = (0xC1, 0xC9, 0xCC, 0xD6)
_LOST = 0xFFFF

_AGAIN = "It was tried again for as long as retry_timeout says; when it does not recover by itself, restart the BMC"
_SILENT = (
    "Look whether the address and port are the BMC's, whether it has power and network, and whether IPMI over LAN is "
    "enabled in its settings"
)


def connect(to: Way) -> Client:
    """Return a session. One attempt to log in."""
    if MISSING:
        raise BmcError("the Python package pyghmi is missing on this machine", "Install it where Ansible runs")
    _check_lengths(to)
    try:
        socket.getaddrinfo(to.address, to.port, 0, socket.SOCK_DGRAM)
        # pyghmi would take a session that has failed or ended for a new one that is on its way, and wait for it.
        Session.initting_sessions.clear()
        # With a privilege given, pyghmi does not try another one when a user is refused.
        command = Command(
            bmc=to.address,
            userid=to.username,
            password=to.password,
            port=to.port,
            kg=to.kg,
            privlevel=_PRIVILEGES[to.privilege],
        )
    except socket.gaierror as error:
        raise BmcError("its address is not known: %s" % error, "Correct it, or give an IP address") from error
    except (PyghmiException, OSError) as error:
        raise _explain_login(to, str(error)) from error
    except (struct.error, AssertionError, IndexError, KeyError, TypeError) as error:
        raise _dialect(error) from error
    return IpmiClient(command)


def _check_lengths(to: Way) -> None:
    for what, value, limit in (("username", to.username, 16), ("password", to.password, 20), ("kg", to.kg or "", 20)):
        if len(value.encode("utf-8")) > limit:
            raise Refused(
                "its %s is longer than the %d bytes that IPMI 2.0 allows" % (what, limit),
                "Give the BMC's user a shorter one, or use Redfish. The BMC was not asked",
            )


def _dialect(error: BaseException) -> BmcError:
    return BmcError(
        "it answers in a way that pyghmi cannot read (%s: %s)" % (type(error).__name__, error),
        "Its IPMI may offer only old cipher suites: update its firmware, enable cipher suite 17, or use Redfish",
    )


def _explain_login(to: Way, text: str) -> BmcError:
    """Return the error for what pyghmi says about a login, which is nothing at all when nobody answered."""
    said = text.lower()
    if "insufficient resources" in said:
        return Transient("it has no session left for us", "End sessions of others, or restart the BMC: " + _AGAIN)
    if said in ("", "none") or "timeout" in said or "no longer connected" in said:
        return NoAnswer("nobody answers there: no reply to any of several requests", _SILENT)
    if "incorrect password" in said:
        return Refused(
            "it refuses user %s with the password that was given" % to.username,
            "Correct the credentials. One attempt was made, so that no account is locked",
        )
    if "unauthorized name" in said or "username" in said or "user name" in said:
        return Refused(
            "it knows no user %s who may be %s" % (to.username, to.privilege),
            "Correct username, or privilege, or enable the user for IPMI over LAN. One attempt was made",
        )
    if "role" in said or "privilege" in said or "privelege" in said:
        return Refused(
            "user %s may not have the privilege %s (%s)" % (to.username, to.privilege, text),
            "Give the user that privilege at the BMC, or set another one in privilege. One attempt was made",
        )
    if "kg" in said or "integrity code" in said:
        return Refused("its BMC key is another one (%s)" % text, "Set kg to the one that the BMC has")
    if "algorithm" in said or "cipher" in said or "integrity payload" in said:
        return BmcError(
            "it offers no cipher suite that pyghmi has (%s)" % text, "Enable cipher suite 17 or 3 in its settings"
        )
    if "busy" in said or "initialization in progress" in said or "out of" in said:
        return Transient("it is not ready (%s)" % text, _AGAIN)
    return BmcError("no session came about: %s" % text, "Look at the BMC's own log")


class IpmiClient(Client):
    """A session that is logged in."""

    def __init__(self, command: t.Any):
        self.command = command

    def close(self) -> None:
        session = self.command.ipmi_session
        # Otherwise pyghmi waits for the answer to a request that was given up.
        session.incommand = False
        # The BMC frees its slot by itself after a minute if this gets lost; nothing is to be done about it here.
        with contextlib.suppress(Exception):
            session.logout()

    def power(self) -> str:
        status = self._ask("tell its power state", _CHASSIS, _GET_STATUS, length=1)
        return ON if status[0] & 1 else OFF

    def power_on(self) -> None:
        self._ask("power on", _CHASSIS, _CONTROL, (_POWER_ON,))

    def power_off(self) -> None:
        self._ask("power off", _CHASSIS, _CONTROL, (_POWER_OFF,))

    def shut_down(self) -> None:
        self._ask("shut down softly", _CHASSIS, _CONTROL, (_SOFT_OFF,))

    def boot(self) -> Boot:
        answer = self._ask("tell its boot device", _CHASSIS, _GET_BOOT, (_FLAGS, 0, 0), length=4)
        invalid, flags, selector = answer[1] & 0x80, answer[2], answer[3] & 0x3C
        if invalid or not flags & _VALID or not selector:
            return Boot("none")
        device = _DEVICES.get(selector, "selector 0x%02x" % selector)
        return Boot(device, bool(flags & _PERSISTENT), "uefi" if flags & _UEFI else "bios")

    def check_boot(self, wanted: Boot) -> None:
        if wanted.device == "http":
            raise Unsupported(
                "IPMI has no boot device for HTTP",
                "Use pxe, which most firmware takes for any boot from the network, or reach the BMC by Redfish",
            )

    def set_boot(self, wanted: Boot) -> None:
        # Otherwise the flags are forgotten when the machine is not started within a minute. Not all can be told so.
        with contextlib.suppress(Unsupported):
            self._ask("keep boot flags", _CHASSIS, _SET_BOOT, (_KEEP_FLAGS, _NOT_ON_TIMEOUT))
        flags, selector = 0, 0
        if wanted.device != "none":
            flags = _VALID | (_PERSISTENT if wanted.persistent else 0) | (_UEFI if self._is_uefi(wanted) else 0)
            selector = self._selector(wanted)
        self._ask("take boot device %s" % wanted, _CHASSIS, _SET_BOOT, (_FLAGS, flags, selector, 0, 0, 0))

    def _is_uefi(self, wanted: Boot) -> bool:
        """Return the mode; there is none that says "as it is", so what was set before is kept."""
        mode = wanted.mode
        if mode is None:
            with contextlib.suppress(Unsupported):
                mode = self.boot().mode
        return mode == "uefi"

    def _selector(self, wanted: Boot) -> int:
        if wanted.device == "disk" and wanted.mode == "uefi" and self._manufacturer() in _SUPERMICRO:
            return _SUPERMICRO_UEFI_DISK
        return _SELECTORS[wanted.device]

    def identity(self) -> t.Dict[str, str]:
        answer = self._device_id()
        major, minor = answer[2] & 0x7F, answer[3]
        return {
            "manufacturer": "IANA %d" % self._manufacturer(answer),
            "model": "product %d" % (answer[9] | answer[10] << 8),
            "firmware": "%d.%02x" % (major, minor),
        }

    def _device_id(self) -> bytes:
        return self._ask("tell what it is", _APPLICATION, _GET_DEVICE_ID, length=11)

    def _manufacturer(self, answer: t.Optional[bytes] = None) -> int:
        known = self._device_id() if answer is None else answer
        return known[6] | known[7] << 8 | known[8] << 16

    def _ask(self, what: str, function: int, command: int, data: t.Sequence[int] = (), length: int = 0) -> bytes:
        """Send a command, and return the data of the answer, which has at least so many bytes."""
        try:
            answer = self.command.raw_command(netfn=function, command=command, data=data)
        except PyghmiException as error:
            raise _lost(what) from error
        except (struct.error, AssertionError, IndexError, KeyError, TypeError) as error:
            raise _dialect(error) from error
        code = answer.get("code", _LOST)
        if code or "error" in answer:
            raise _explain_answer(what, code, answer.get("error") or "no reason given")
        found = bytes(answer["data"])
        if len(found) < length:
            raise BmcError(
                "its answer is cut short when it is to %s" % what, "Update the BMC's firmware, or restart it"
            )
        return found


def _lost(what: str) -> BmcError:
    return NoAnswer(
        "it stopped answering when it was to %s" % what,
        "Whether it did is not known; run again, which reads first. Look whether the BMC is restarting or overloaded",
    )


def _explain_answer(what: str, code: int, text: str) -> BmcError:
    if code == _LOST:
        return _lost(what)
    told = "it cannot %s: %s (completion code 0x%02x)" % (what, text, code)
    if code in _BUSY:
        return Transient(told, _AGAIN)
    if code == _NO_PRIVILEGE:
        return Refused(told, "Set privilege to administrator, or give the user more rights at the BMC")
    if code == _NOT_NOW:
        return Unsupported(told, "Look at the machine's console: it may be in its self-test, or have no power supply")
    if code in _UNKNOWN or code == 0x80:
        return Unsupported(told, "This BMC does not have that command; look whether it has Redfish")
    return BmcError(told, "Look at the BMC's own log, and at the machine")
