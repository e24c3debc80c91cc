# Copyright (c) 2026 weft.fabric contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is asked of the kernel without a program: sysctls, checksum offload and the owner of a tap.

A process per sysctl and namespace costs 3 ms; entering the namespace costs 20 microseconds.
"""

from __future__ import annotations

import array
import contextlib
import ctypes
import errno
import fcntl
import os
import re
import socket
import struct
import typing as t

from ansible_collections.weft.fabric.plugins.module_utils import command
from ansible_collections.weft.fabric.plugins.module_utils.reconcile import FabricError

NETNS_DIR = "/run/netns"

_CLONE_NEWNET = 0x40000000
_SIOCETHTOOL = 0x8946
_ETHTOOL_GTXCSUM = 0x16
_ETHTOOL_STXCSUM = 0x17
_TUNSETIFF = 0x400454CA
_TUNSETOWNER = 0x400454CC
_IFF_TAP = 0x0002
_IFF_NO_PI = 0x1000

_SYSCTL = re.compile(r"\Anet((\.[A-Za-z0-9_:+@-]+)+|(/[A-Za-z0-9_.:+@-]+)+)\Z")

# These are there once the kernel's module of that name is.
_CONNTRACK = "/proc/sys/net/netfilter/nf_conntrack_"

_libc = ctypes.CDLL(None, use_errno=True)


def names():
    """Return the names of all namespaces, and of those that are only a file left over by a killed ip."""
    alive: t.List[str] = []
    broken: t.List[str] = []
    try:
        entries = sorted(os.listdir(NETNS_DIR))
    except FileNotFoundError:
        return alive, broken
    device = os.stat("/proc/self/ns/net").st_dev
    for entry in entries:
        try:
            is_namespace = os.stat(os.path.join(NETNS_DIR, entry)).st_dev == device
        except OSError:
            continue  # removed at this moment
        (alive if is_namespace else broken).append(entry)
    return alive, broken


@contextlib.contextmanager
def entered(name):
    """Be in a network namespace for a while; None is the host's own, where we are already."""
    if name is None:
        yield
        return
    own = os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
    try:
        other = os.open(os.path.join(NETNS_DIR, name), os.O_RDONLY | os.O_CLOEXEC)
        try:
            _setns(other, name)
        finally:
            os.close(other)
        try:
            yield
        finally:
            _setns(own, "the host's own")
    finally:
        os.close(own)


def _setns(descriptor, name):
    if _libc.setns(descriptor, _CLONE_NEWNET) != 0:
        number = ctypes.get_errno()
        hint = " (root is needed, in a container CAP_SYS_ADMIN too)" if number == errno.EPERM else ""
        raise FabricError("cannot enter network namespace %s: %s%s" % (name, os.strerror(number), hint))


# In place of a value: whatever new devices get on this host.
DEFAULT = "default"


def sysctl_path(name, where):
    """Return the file of a sysctl. Only net.* is per namespace; a slash as separator allows dots in device names."""
    if not isinstance(name, str) or not _SYSCTL.match(name) or ".." in name:
        raise FabricError("%s: %r is not a sysctl of the network (net.…)" % (where, name))
    return "/proc/sys/" + (name if "/" in name else name.replace(".", "/"))


def read_sysctl(path):
    """Return a sysctl of the namespace we are in, with single blanks, or None when there is no such thing."""
    try:
        with open(path, "r", encoding="ascii") as stream:
            return " ".join(stream.read().split())
    except FileNotFoundError:
        return None


def has_sysctl(path, value):
    """Tell whether a device's sysctl has a value, which may be DEFAULT."""
    return read_sysctl(path) == (read_sysctl(_default_path(path)) if value == DEFAULT else value)


def _default_path(path):
    """Return where the value stands that new devices get: /proc/sys/net/ipv4/conf/DEVICE/NAME of default."""
    parts = path.split("/")
    return "/".join(parts[:6] + ["default"] + parts[7:])


def write_sysctl(path, value):
    """Set a sysctl of the namespace we are in."""
    if value == DEFAULT:
        value = read_sysctl(_default_path(path))
    if path.startswith(_CONNTRACK) and not os.path.exists(path):
        # A host on which nobody has tracked connections yet. If it can't be loaded, the error is about the sysctl.
        with contextlib.suppress(FileNotFoundError):
            command.run(["modprobe", "nf_conntrack"])
    try:
        with open(path, "w", encoding="ascii") as stream:
            stream.write(value + "\n")
    except OSError as error:
        name = path[len("/proc/sys/") :].replace("/", ".")
        raise FabricError("sysctl %s cannot be set to %r: %s" % (name, value, error.strerror)) from error


def read_tx_checksum(device):
    """Return whether a device leaves checksums to the next one, or None when it can't be asked."""
    return _ethtool(device, _ETHTOOL_GTXCSUM, 0)


def write_tx_checksum(device, enabled):
    """Switch the checksum offload of a device."""
    if _ethtool(device, _ETHTOOL_STXCSUM, int(enabled)) is None:
        raise FabricError("the checksum offload of %s cannot be switched: its driver does not support it" % device)


def _ethtool(device, command, value):
    request = array.array("B", struct.pack("II", command, value))
    address, _length = request.buffer_info()
    ifreq = struct.pack("16sP16x", device.encode("ascii"), address)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as control:
        try:
            fcntl.ioctl(control, _SIOCETHTOOL, ifreq)
        except OSError as error:
            if error.errno in (errno.EOPNOTSUPP, errno.ENODEV):
                return None
            raise
    return bool(struct.unpack("II", request.tobytes())[1])


def write_tap_owner(device, uid):
    """Give a persistent tap to another user. It must not be in use."""
    with open("/dev/net/tun", "r+b", buffering=0) as stream:
        try:
            fcntl.ioctl(stream, _TUNSETIFF, struct.pack("16sH22x", device.encode("ascii"), _IFF_TAP | _IFF_NO_PI))
            fcntl.ioctl(stream, _TUNSETOWNER, uid)
        except OSError as error:
            if error.errno != errno.EBUSY:
                raise
            raise FabricError(
                "tap %s cannot get another owner while a program uses it: stop the virtual machine first" % device
            ) from error
