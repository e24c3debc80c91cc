# Copyright (c) 2026 weft.fabric contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Flows as text: names to port numbers and back, and what `ovs-ofctl diff-flows` says. Pure.

In the collection's flows a port is always a name in double quotes; Open vSwitch knows numbers.
"""

from __future__ import annotations

import re
from collections import namedtuple

from ansible_collections.weft.fabric.plugins.module_utils.pipeline import COOKIE_MARK, COOKIE_MARK_LEARNED, REG_OUTPUT
from ansible_collections.weft.fabric.plugins.module_utils.reconcile import FabricError

IFACE_ID = "iface-id:"
OFPP_LOCAL = 65534  # as OVSDB and OpenFlow 1.0 write it

# A port that is never there. Frames sent to it go nowhere; Open vSwitch numbers its ports from 1 upwards.
OFPORT_NOBODY = 65279

# OpenFlow 1.4 has one name for this action, and Open vSwitch reports the other spelling as a difference for ever.
_STRIP_VLAN = re.compile(r"\bstrip_vlan\b")
_QUOTED = re.compile(r'"([^"]*)"')
_COOKIE = re.compile(r"\bcookie=([^,\s/]+)(,\s*|\s+|$)")
_FORBIDDEN = re.compile(r"[\n\r\0#]")
_OPTIONS = ("cookie=", "idle_timeout=", "hard_timeout=", "importance=")
_IN_PORT = re.compile(r"\bin_port=(\d+)\b")
_OUTPUT = re.compile(r"\boutput:(\d+)\b")
_REGISTER = re.compile(r"\bset_field:(0x[0-9a-f]+|\d+)->%s\b" % REG_OUTPUT)

#: A flow as diff-flows prints it: key is table and match, the rest what a flow with that key says.
FlowLine = namedtuple("FlowLine", "key cookie options actions")


class WantedFlow(object):
    """One flow of the list: text as the user wrote it (without cookie), and what Open vSwitch gets."""

    __slots__ = ("cookie", "line", "missing", "text")

    def __init__(self, text, cookie, line, missing):
        self.text = text
        self.cookie = cookie
        self.line = line
        self.missing = missing  # names of ports that don't exist


def parse_wanted(flow, bridge):
    """Split a flow into (cookie, text without cookie); refuse what could become another line."""
    if not isinstance(flow, str) or _FORBIDDEN.search(flow):
        raise FabricError("bridge %s: a flow must be one line of text without '#': %r" % (bridge, flow))
    match, separator, actions = flow.strip().partition("actions=")
    if not separator:
        raise FabricError("bridge %s: a flow needs actions=: %s" % (bridge, flow))
    found = _COOKIE.search(match)
    if found is None:
        return COOKIE_MARK << 32, match + separator + actions
    try:
        cookie = int(found.group(1), 0)
    except ValueError:
        cookie = -1
    if cookie >> 32 != COOKIE_MARK:
        raise FabricError(
            "bridge %s: the cookie of a flow must lie under the collection's mark 0x%x00000000/0xffffffff00000000, or "
            "nobody could tell later whose it is: %s" % (bridge, COOKIE_MARK, flow)
        )
    return cookie, match[: found.start()] + match[found.end() :] + separator + actions


class PortNames(object):
    """Puts port numbers in the place of names. Remembers what was not there.

    A port that somebody else plugs in (iface-id:) may not be there yet. Flows for what it sends wait for it; in the
    actions of others, such as a list of ports to flood to, a number stands for it that no port has. With tolerant,
    ports of our own are treated alike: at boot, one dead device must not cost all others their flows.
    """

    def __init__(self, numbers, tolerant=False):
        self.numbers = numbers
        self.tolerant = tolerant
        self.pending = set()
        self.absent = set()
        self._placeholders = {}

    def resolve(self, flow, bridge):
        """Return a WantedFlow, or None when the flow has to wait."""
        cookie, text = parse_wanted(flow, bridge)
        line, missing = text, []
        if '"' in text:
            missing = [name for name in _QUOTED.findall(text) if name not in self.numbers]
            if missing and self._waits(text, missing):
                return None
            line = _QUOTED.sub(self._number, text)
        if "strip_vlan" in line:
            line = _STRIP_VLAN.sub("pop_vlan", line)
        missing = [name for name in missing if not self._optional(name)]
        return WantedFlow(text, cookie, "cookie=0x%x,%s" % (cookie, line), missing)

    def _optional(self, name):
        return self.tolerant or name.startswith(IFACE_ID)

    def _waits(self, text, missing):
        optional = [name for name in missing if self._optional(name)]
        foreign = [name for name in optional if name.startswith(IFACE_ID)]
        self.pending.update(name[len(IFACE_ID) :] for name in foreign)
        self.absent.update(set(optional) - set(foreign))
        match = _QUOTED.findall(text[: text.index("actions=")])
        return any(name in optional for name in match)

    def _number(self, found):
        name = found.group(1)
        number = self.numbers.get(name)
        if number is None:
            return str(OFPORT_NOBODY if self._optional(name) else self._placeholder(name))
        before = found.string[max(found.start() - 8, 0) : found.start()]
        return "LOCAL" if number == OFPP_LOCAL and before.endswith(("in_port=", "output:")) else str(number)

    def _placeholder(self, name):
        """Return a number that no port has, so that a flow can be compared before its port is there."""
        if name not in self._placeholders:
            self._placeholders[name] = OFPORT_NOBODY - 1 - len(self._placeholders)
        return self._placeholders[name]


def parse_flow_line(line):
    """Split a flow as `ovs-ofctl diff-flows` prints it (without the sign)."""
    head, _separator, actions = line.partition(" actions=")
    if not _separator and head.startswith("actions="):
        head, actions = "", head[len("actions=") :]
    key = []
    options = []
    cookie = 0
    for word in head.split():
        if word.startswith("cookie="):
            cookie = int(word[len("cookie=") :], 0)
        elif word.startswith(_OPTIONS):
            options.append(word)
        else:
            key.append(word)
    # Open vSwitch leaves table 0 out, and takes a deletion without a table for one in all tables.
    if not key or not key[0].startswith("table="):
        key.insert(0, "table=0")
    return FlowLine(" ".join(key), cookie, " ".join(options), actions)


def parse_diff(output):
    """Return (only in the switch, only in the list), each a list of FlowLine, from diff-flows' output."""
    current = []
    wanted = []
    for line in output.splitlines():
        if line.startswith("-"):
            current.append(parse_flow_line(line[1:]))
        elif line.startswith("+"):
            wanted.append(parse_flow_line(line[1:]))
    return current, wanted


def is_ours(cookie):
    """Tell whether a flow bears the collection's mark."""
    return cookie >> 32 == COOKIE_MARK


def is_learned(cookie):
    """Tell whether a flow was made by one of the collection's learn() actions."""
    return cookie >> 32 == COOKIE_MARK_LEARNED


def content(flow):
    """Return what identifies a flow apart from its cookie."""
    return (flow.key, flow.options, flow.actions)


def named(text, names):
    """Put port names in the place of numbers, where it is sure that a number is a port."""

    def name(found):
        known = names.get(int(found.group(1), 0))
        return found.group(0) if known is None else found.group(0).replace(found.group(1), '"%s"' % known, 1)

    for pattern in (_IN_PORT, _OUTPUT, _REGISTER):
        text = pattern.sub(name, text)
    return text


def show_flow(flow, names):
    """Return a flow of the switch as a person reads it: with names, in the module's own syntax."""
    match = ("%s %s" % (flow.key, flow.options)).strip().replace(" ", ",")
    return named("%s actions=%s" % (match, flow.actions), names)


def parse_dump(output):
    """Return the flows (FlowLine) of `ovs-ofctl --no-stats dump-flows`."""
    return [parse_flow_line(line.strip().replace(", ", " ")) for line in output.splitlines() if "actions=" in line]
