# Copyright (c) 2026 weft.fabric contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The names of a switch's ports: one spelling for each, whichever of its aliases a person wrote.

The compiler and the modules both ask here, so that "Gi1/0/1" in a topology and "GigabitEthernet1/0/1"
on the switch are one port. Pure.
"""

from __future__ import annotations

import re
import typing as t

DRIVERS = ("eos", "iosxe", "junos", "nxos", "openconfig")

_PARTS = re.compile(r"([A-Za-z][A-Za-z-]*?)\s*([0-9].*)")
_NUMBERS = re.compile(r"[0-9]+(?:[/:.][0-9]+)*")
_JUNOS = re.compile(r"(?:[a-z]{2}-[0-9]+/[0-9]+/[0-9]+(?::[0-9]+)?|(?:ae|em|fxp|irb|lo|me|vme)[0-9]+)(?:\.0)?")
# OpenConfig leaves names to the device: what can stand in an element of XML and on one line of a log is a name.
_ANY = re.compile(r"[A-Za-z0-9][A-Za-z0-9_./:-]{0,63}")

_ETHERNET = {"ethernet": "Ethernet", "eth": "Ethernet", "et": "Ethernet", "e": "Ethernet"}
_MANAGEMENT = {"management": "Management", "ma": "Management", "mgmt": "Management"}
_IOS = {
    "FastEthernet": ("fa", "fas", "fastethernet"),
    "GigabitEthernet": ("gi", "gig", "gigabitethernet"),
    "TwoGigabitEthernet": ("tw", "two", "twogigabitethernet"),
    "FiveGigabitEthernet": ("fi", "fiv", "fivegigabitethernet"),
    "TenGigabitEthernet": ("te", "ten", "tengigabitethernet"),
    "TwentyFiveGigE": ("twe", "twentyfivegige"),
    "FortyGigabitEthernet": ("fo", "for", "fortygigabitethernet"),
    "HundredGigE": ("hu", "hun", "hundredgige"),
    "Port-channel": ("po", "port-channel", "portchannel"),
}


def _words(canonical: str, *aliases: str) -> t.Dict[str, str]:
    return dict.fromkeys(aliases, canonical)


_WORDS: t.Dict[str, t.Dict[str, str]] = {
    "eos": dict(_ETHERNET, **_MANAGEMENT, **_words("Port-Channel", "port-channel", "po", "portchannel")),
    "nxos": dict(_ETHERNET, mgmt="mgmt", **_words("port-channel", "port-channel", "po", "portchannel")),
    "iosxe": {alias: name for name, aliases in _IOS.items() for alias in aliases},
}


def normalise(driver: str, name: str) -> str:
    """Return the one spelling of a port's name. Raises ValueError for what is no name of a port there."""
    if driver not in DRIVERS:
        raise ValueError("there is no driver %r; there are %s" % (driver, ", ".join(DRIVERS)))
    text = name.strip()
    if driver == "junos":
        found = _junos(text)
    elif driver == "openconfig":
        found = _openconfig(text)
    else:
        found = _worded(_WORDS[driver], text)
    if found is None:
        raise ValueError("%r is not the name of a port of a switch with driver %s%s" % (name, driver, _HINTS[driver]))
    return found


_HINTS = {
    "eos": ", such as Ethernet1, Et49/1 or Port-Channel7",
    "iosxe": ", such as GigabitEthernet1/0/1, Te1/1/1 or Port-channel7",
    "junos": ", such as ge-0/0/1, xe-0/0/1 or ae7",
    "nxos": ", such as Ethernet1/1, Eth1/1 or port-channel7",
    "openconfig": "; write it as the switch does",
}


def _worded(words: t.Dict[str, str], text: str) -> t.Optional[str]:
    parts = _PARTS.fullmatch(text)
    if parts is None or not _NUMBERS.fullmatch(parts.group(2)):
        return None
    word = words.get(parts.group(1).lower())
    return None if word is None else word + parts.group(2)


def _junos(text: str) -> t.Optional[str]:
    text = text.lower()
    if not _JUNOS.fullmatch(text):
        return None
    # Unit 0 is where a switched port has its VLANs; the port itself is named without it.
    return text[:-2] if text.endswith(".0") else text


def _openconfig(text: str) -> t.Optional[str]:
    """Return a name as the device has it, with the blanks of "Ethernet 1/1" taken out."""
    text = re.sub(r"(?<=[A-Za-z])\s+(?=[0-9])", "", text)
    return text if _ANY.fullmatch(text) else None


def key(driver: str, name: str) -> str:
    """Return what two names of one port have in common, for names that a device tells: it never refuses one.

    A device with OpenConfig may say eth1/1 where its operators say Ethernet1/1 and Eth1/1.
    """
    try:
        text = normalise(driver, name)
    except ValueError:
        text = name.strip()
    if driver == "openconfig":
        for words in (_WORDS["eos"], _WORDS["iosxe"]):
            text = _worded(words, text) or text
    return text.lower()


def is_aggregate(driver: str, name: str) -> bool:
    """Whether a name is that of an aggregate, by its spelling."""
    return re.match(r"(port-channel|po|ae|lag|bond|trk)[0-9]", key(driver, name)) is not None
