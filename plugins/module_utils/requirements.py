# Copyright (c) 2026 weft.fabric contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What must be on a host before anything is changed there: programs, and interfaces with their MTU."""

from __future__ import annotations

import os

from ansible_collections.weft.fabric.plugins.module_utils.netboot_paths import LOADERS
from ansible_collections.weft.fabric.plugins.module_utils.reconcile import FabricError

# Debian's names first; the second column is Fedora's, RHEL's and their kin's.
PACKAGES = {
    "ip": ("iproute2", "iproute"),
    "ovs-vsctl": ("openvswitch-switch", "openvswitch"),
    "ovs-ofctl": ("openvswitch-switch", "openvswitch"),
    "ovsdb-client": ("openvswitch-switch", "openvswitch"),
    "dnsmasq": ("dnsmasq-base", "dnsmasq"),
    "nginx": ("nginx-light", "nginx"),
    "ipxe": ("ipxe", "ipxe-bootimgs-x86"),
    "iscsi-ls": ("libiscsi-bin", "libiscsi-utils"),
    "zstd": ("zstd", "zstd"),
    "ssh-keygen": ("openssh-client", "openssh"),
    "keepalived": ("keepalived", "keepalived"),
    "conntrackd": ("conntrackd", "conntrack-tools"),
    "conntrack": ("conntrack", "conntrack-tools"),
    "radvd": ("radvd", "radvd"),
    "nft": ("nftables", "nftables"),
    "arping": ("iputils-arping", "iputils"),
    "ping": ("iputils-ping", "iputils"),
}

# What is no program: there when one of these files is.
FILES = {"ipxe": [place for places in LOADERS.values() for place in places]}


def packages_for(programs, rpm):
    """Return the sorted names of the packages that bring some programs."""
    return sorted({PACKAGES[program][1 if rpm else 0] for program in programs})


def read_mtu(name, root="/sys/class/net"):
    """Return the MTU of an interface in bytes, or None when there is no such interface."""
    try:
        with open(os.path.join(root, name, "mtu"), "r", encoding="ascii") as stream:
            return int(stream.read())
    except FileNotFoundError:
        return None


def interface_problem(name, wanted, actual):
    """Return what is wrong with an interface, or None."""
    if actual is None:
        return "interface %s does not exist on this host: correct its name in the topology" % name
    if wanted and actual < wanted:
        return (
            "interface %s has an MTU of %d bytes, the topology counts on %d: full-sized frames would be lost "
            "without a trace. Raise the interface's MTU or lower underlay_mtu" % (name, actual, wanted)
        )
    return None


def missing_packages(module, programs, interfaces):
    """Return the programs that a host lacks and the packages that bring them.

    Raise FabricError when an interface is missing or too small: no package cures that.
    """
    missing = [program for program in programs if not _is_there(module, program)]
    problems = []
    for interface in interfaces:
        problem = interface_problem(interface["name"], interface.get("mtu"), read_mtu(interface["name"]))
        if problem:
            problems.append(problem)
    if problems:
        raise FabricError("; ".join(problems))
    return missing, packages_for(missing, os.path.exists("/etc/redhat-release"))


def _is_there(module, program):
    if program in FILES:
        return any(os.path.isfile(path) for path in FILES[program])
    return module.get_bin_path(program) is not None
