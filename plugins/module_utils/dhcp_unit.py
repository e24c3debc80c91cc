# Copyright (c) 2026 weft.fabric contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The systemd unit that runs one dnsmasq for each network."""

from __future__ import annotations

import shutil

from ansible_collections.weft.fabric.plugins.module_utils.reconcile import FabricError

RUN_DIR = "/run/weft-fabric-dhcp"  # RuntimeDirectory= makes one below it for each server, and removes no more
UNIT_FILE = "/etc/systemd/system/weft-fabric-dhcp@.service"
PATTERN = "weft-fabric-dhcp@*.service"

# Without [Install]: the namespace has to be there first, so the replay at boot starts it. Without an order towards the
# replay: it waits for this unit from within its own start, and systemd would wait for ever.
# Type=forking, because dnsmasq goes into the background when its sockets are open and its files are read: a start that
# failed is told, and a reload never meets a process that does not yet handle the signal (and would die of it).
_TEXT = """\
# Made by weft.fabric; changes are overwritten. Put yours into a drop-in.
[Unit]
Description=DHCP and names of network %i (weft.fabric)
Documentation=man:dnsmasq(8)
ConditionPathExists=/run/netns/qdhcp-%i
StartLimitIntervalSec=0

[Service]
Type=forking
NetworkNamespacePath=/run/netns/qdhcp-%i
PrivateMounts=no
RuntimeDirectory=weft-fabric-dhcp/%i
PIDFile=/run/weft-fabric-dhcp/%i/pid
ExecStart={dnsmasq} --conf-file={directory}/%i/dnsmasq.conf --conf-file={directory}/%i/tagged.conf \
--pid-file=/run/weft-fabric-dhcp/%i/pid
ExecReload=/bin/kill -HUP $MAINPID
Restart=always
RestartSec=1
# Only what needs no mount namespace of its own: that and NetworkNamespacePath= do not go together in every container.
NoNewPrivileges=yes
CapabilityBoundingSet=CAP_NET_ADMIN CAP_NET_RAW CAP_NET_BIND_SERVICE CAP_SETUID CAP_SETGID CAP_SETPCAP CAP_CHOWN \
CAP_DAC_OVERRIDE CAP_FOWNER CAP_KILL
RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6 AF_NETLINK AF_PACKET
LockPersonality=yes
RestrictRealtime=yes
"""


def unit_name(server: str) -> str:
    """Return the name of the unit of a server."""
    return "weft-fabric-dhcp@%s.service" % server


def server_name(unit: str) -> str:
    """Return the server a unit is for."""
    return unit[len("weft-fabric-dhcp@") : -len(".service")]


def program() -> str:
    """Return where dnsmasq is."""
    found = shutil.which("dnsmasq", path="/usr/sbin:/usr/local/sbin:/sbin:/usr/bin:/usr/local/bin:/bin")
    if found is None:
        raise FabricError(
            "the program dnsmasq is missing on this host: install dnsmasq-base (Debian) or dnsmasq (Fedora)"
        )
    return found


def unit_text(directory: str) -> str:
    """Return the unit file."""
    return _TEXT.replace("{dnsmasq}", program()).replace("{directory}", directory)
