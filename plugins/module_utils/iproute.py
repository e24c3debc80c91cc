# Copyright (c) 2026 weft.fabric contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The ip program: many changes in one process.

Lines for a batch are split at blanks by ip itself, so every word that goes in must have been checked:
the functions below refuse what is not plainly a name, an address or a number.
"""

from __future__ import annotations

import contextlib
import ipaddress
import re

from ansible_collections.weft.fabric.plugins.module_utils import command
from ansible_collections.weft.fabric.plugins.module_utils.reconcile import FabricError

# Routes, rules and neighbours have no alias to bear a mark; the protocol number does it ("w").
PROTOCOL = 119

# What keepalived makes bears its own, also when the router has no standby any more and keepalived is gone.
KEEPALIVED_PROTOCOL = 18

_INTERFACE = re.compile(r"\A[A-Za-z0-9_][A-Za-z0-9_.:+-]{0,14}\Z")
_NAMESPACE = re.compile(r"\A[A-Za-z0-9_][A-Za-z0-9_.:+-]{0,199}\Z")
_MAC = re.compile(r"\A[0-9a-f]{2}(:[0-9a-f]{2}){5}\Z")
_USER = re.compile(r"\A[A-Za-z0-9_][A-Za-z0-9_.-]{0,31}\Z")
_RESOURCE = re.compile(r"\A[A-Za-z0-9_./:+-]{0,200}\Z")
# Words that ip would read as something else where a device name is expected.
_RESERVED = frozenset(["all", "default"])


class BatchError(FabricError):
    """A line of a batch failed. line is its text, or None when ip did not come so far."""

    def __init__(self, message, line):
        FabricError.__init__(self, message)
        self.line = line


def interface(value, where):
    """Return a device name, or refuse it."""
    if isinstance(value, str) and _INTERFACE.match(value) and value not in _RESERVED:
        return value
    raise FabricError(
        "%s: %r is not a device name: 1 to 15 of the characters A-Z a-z 0-9 _ . : + -, the first a letter, digit or _"
        % (where, value)
    )


def namespace(value, where):
    """Return the name of a network namespace, or refuse it."""
    if isinstance(value, str) and _NAMESPACE.match(value):
        return value
    raise FabricError("%s: %r is not a namespace name: use the characters A-Z a-z 0-9 _ . : + -" % (where, value))


def mac(value, where):
    """Return a MAC address in lower case, or refuse it."""
    text = value.lower() if isinstance(value, str) else ""
    if _MAC.match(text):
        return text
    raise FabricError("%s: %r is not a MAC address: use the form fa:16:3e:00:00:01" % (where, value))


def user(value, where):
    """Return the name or number of a user, or refuse it."""
    if _USER.match(str(value)):
        return str(value)
    raise FabricError("%s: %r is not the name of a user" % (where, value))


def resource(value, where):
    """Return the path of the resource a link stands for, or refuse it."""
    if isinstance(value, str) and _RESOURCE.match(value):
        return value
    raise FabricError("%s: %r is not a resource path such as ports/blue/web-1" % (where, value))


def number(value, where, low, high):
    """Return an integer in a range, or refuse it."""
    try:
        if isinstance(value, bool) or not low <= int(value) <= high:
            raise ValueError
    except (TypeError, ValueError) as error:
        raise FabricError("%s: %r is not a number from %d to %d" % (where, value, low, high)) from error
    return int(value)


def address(value, where):
    """Return an IP address object, or refuse it."""
    return _parse(ipaddress.ip_address, value, where, "an IP address")


def interface_address(value, where):
    """Return an address with its prefix length, as the kernel writes it: 10.0.0.2/24."""
    return str(_parse(ipaddress.ip_interface, value, where, "an address with a prefix length, such as 10.0.0.2/24"))


def network(value, where):
    """Return an IP network object, or refuse it."""
    return _parse(ipaddress.ip_network, value, where, "a network such as 10.0.0.0/24, without host bits")


def _parse(parser, value, where, what):
    # ipaddress would take an integer for an address, and a scope ("%") or a newline must not get to ip.
    try:
        if not isinstance(value, str) or "%" in value:
            raise ValueError
        return parser(value)
    except ValueError as error:
        raise FabricError("%s: %r is not %s" % (where, value, what)) from error


def change(lines, netns=None, family=None):
    """Carry out changes in one process; the first that fails ends it."""
    if not lines:
        return
    done = _call([], lines, netns, family)
    if done.returncode != 0:
        raise _explain(done.stderr, lines, netns)


def change_all(wanted, family=None):
    """Carry out changes inside namespaces, in a process for each. One that fails keeps no other from its own."""
    wanted = {name: lines for name, lines in wanted.items() if lines}
    done = _call_all(wanted, family)
    for (name, lines), result in zip(wanted.items(), done):
        if result.returncode != 0:
            raise _explain(result.stderr, lines, name)


def remove(lines, netns=None, family=None):
    """Carry out removals in one process; what is gone already is no failure."""
    if not lines:
        return
    done = _call(["-force"], lines, netns, family)
    failures = [
        line
        for line in done.stderr.splitlines()
        if line and not line.startswith("Command failed") and not _means_gone(line)
    ]
    if failures:
        raise FabricError("ip could not remove: %s" % "; ".join(failures[:5]))


def _means_gone(line):
    gone = ("Cannot find device", "No such file or directory", "No such process", "No such device", "Cannot assign")
    return any(text in line for text in gone)


def _explain(stderr, lines, netns):
    """Turn what ip says into an error that names the line."""
    place = "namespace %s" % netns if netns else "the host's own namespace"
    found = re.search(r"^Command failed -:(\d+)", stderr, re.MULTILINE)
    reason = "; ".join(line for line in stderr.splitlines() if line and not line.startswith("Command failed"))
    if "Operation not permitted" in reason:
        reason += " (root is needed, in a container CAP_NET_ADMIN and CAP_SYS_ADMIN too)"
    if found and 0 < int(found.group(1)) <= len(lines):
        line = lines[int(found.group(1)) - 1]
        return BatchError("ip failed in %s at '%s': %s" % (place, line, reason or "no reason given"), line)
    return BatchError("ip failed in %s: %s" % (place, reason or "no reason given"), None)


def _call(options, lines, netns, family):
    with _needed():
        return command.run(*_batch(options, lines, netns, family))


def _call_all(wanted, family):
    with _needed():
        return command.run_all([_batch([], lines, name, family) for name, lines in wanted.items()])


def _batch(options, lines, netns, family):
    # A batch cannot say -6 in a line, and rules without it are those of IPv4.
    family_option = ["-family", "inet6" if family == 6 else "inet"] if family else []
    words = ["ip"] + options + family_option + (["-netns", netns] if netns else []) + ["-batch", "-"]
    return words, "".join(line + "\n" for line in lines)


@contextlib.contextmanager
def _needed():
    try:
        yield
    except FileNotFoundError as error:
        raise FabricError(
            "the program ip is missing on this host: install iproute2 (Debian) or iproute (Fedora)"
        ) from error
