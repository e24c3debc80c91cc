# Copyright (c) 2026 weft.fabric contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The systemd units of a boot server: one dnsmasq and one nginx for each network that nodes boot from."""

from __future__ import annotations

import grp
import os
import pwd
import shutil
import typing as t

from ansible_collections.weft.fabric.plugins.module_utils.netboot_paths import Paths
from ansible_collections.weft.fabric.plugins.module_utils.reconcile import FabricError

DHCP, HTTP = "dhcp", "http"
KINDS = (DHCP, HTTP)

_PREFIX = "weft-fabric-boot-%s@"
_PACKAGES = {"dnsmasq": "dnsmasq-base (Debian) or dnsmasq (Fedora)", "nginx": "nginx-light (Debian) or nginx (Fedora)"}

# Whom the packages of the distributions let nginx's workers be.
_WORKERS = ("www-data", "nginx", "nobody")

# As with the DHCP servers of networks: started by the replay at boot, without an order towards it, and in the
# background once the sockets are open, so that a start that failed is told.
_HEAD = """\
# Made by weft.fabric; changes are overwritten. Put yours into a drop-in.
[Unit]
Description={description} (weft.fabric)
ConditionPathExists=/run/netns/qboot-%i
StartLimitIntervalSec=0

[Service]
Type=forking
NetworkNamespacePath=/run/netns/qboot-%i
RuntimeDirectory=weft-fabric-boot-{kind}/%i
PIDFile={run}/weft-fabric-boot-{kind}/%i/pid
ExecStart={command}
ExecReload=/bin/kill -HUP $MAINPID
Restart=always
RestartSec=1
# Only what needs no mount namespace of its own: that and NetworkNamespacePath= do not go together in every container.
NoNewPrivileges=yes
LockPersonality=yes
RestrictRealtime=yes
"""
_TAILS = {
    DHCP: """\
CapabilityBoundingSet=CAP_NET_ADMIN CAP_NET_RAW CAP_NET_BIND_SERVICE CAP_SETUID CAP_SETGID CAP_SETPCAP CAP_CHOWN \\
CAP_DAC_OVERRIDE CAP_FOWNER CAP_KILL
RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6 AF_NETLINK AF_PACKET
""",
    HTTP: """\
# The workers have none of these.
CapabilityBoundingSet=CAP_NET_BIND_SERVICE CAP_SETUID CAP_SETGID CAP_CHOWN CAP_DAC_OVERRIDE CAP_FOWNER CAP_KILL
RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6 AF_NETLINK
KillMode=mixed
""",
}
_DESCRIPTIONS = {
    DHCP: "DHCP and TFTP for nodes that boot from network %i",
    HTTP: "HTTP for nodes that boot from network %i",
}


def unit_name(kind: str, server: str) -> str:
    """Return the name of a unit of a boot server."""
    return _PREFIX % kind + server + ".service"


def unit_file(paths: Paths, kind: str) -> str:
    """Return the path of a unit file."""
    return os.path.join(paths.units, unit_name(kind, ""))


def pattern(kind: str) -> str:
    """Return what matches the units of all servers."""
    return unit_name(kind, "*")


def server_name(kind: str, unit: str) -> str:
    """Return the server a unit is for."""
    return unit[len(_PREFIX % kind) : -len(".service")]


def unit_text(paths: Paths, kind: str) -> str:
    """Return a unit file."""
    run = "%s/weft-fabric-boot-%s/%%i" % (paths.run, kind)
    directory = paths.server("%i")
    if kind == DHCP:
        words = "%s --conf-file=%sdnsmasq.conf --pid-file=%s/pid" % (program("dnsmasq"), directory, run)
    else:
        words = '%s -c %snginx.conf -g "%s"' % (program("nginx"), directory, directives(run))
    text = _HEAD.format(description=_DESCRIPTIONS[kind], kind=kind, run=paths.run, command=words)
    return text + _TAILS[kind]


def directives(run: str) -> str:
    """Return what nginx is told beside its configuration."""
    return "user %s; pid %s/pid;" % (worker(), run)


def program(name: str) -> str:
    """Return where a daemon is."""
    found = shutil.which(name, path="/usr/sbin:/usr/local/sbin:/sbin:/usr/bin:/usr/local/bin:/bin")
    if found is None:
        raise FabricError("the program %s is missing on this host: install %s" % (name, _PACKAGES[name]))
    return found


def worker() -> str:
    """Return the user that nginx's workers are: one who may do nothing."""
    known = {entry.pw_name for entry in pwd.getpwall()}
    return next((name for name in _WORKERS if name in known), "nobody")


def worker_group() -> int:
    """Return the group that nginx's workers are in."""
    user = pwd.getpwnam(worker())
    # nginx takes the group that is called like the user, when it is told the user only.
    groups: t.Dict[str, int] = {entry.gr_name: entry.gr_gid for entry in grp.getgrall()}
    return groups.get(user.pw_name, user.pw_gid)
