# Copyright (c) 2026 weft.fabric contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The systemd unit that runs one radvd for each router."""

from __future__ import annotations

from ansible_collections.weft.fabric.plugins.module_utils.vrrp_program import executable

UNIT_FILE = "/etc/systemd/system/weft-fabric-ra@.service"
PATTERN = "weft-fabric-ra@*.service"
RUN_DIR = "/run/weft-fabric-ra"

# Without [Install]: the namespace has to be there first, so the replay at boot starts it, or keepalived does.
# Type=forking, because radvd goes into the background when its sockets are open and its file is read: a start that
# failed is told, and a reload never meets a process that does not yet handle the signal.
_TEXT = """\
# Made by weft.fabric; changes are overwritten. Put yours into a drop-in.
[Unit]
Description=Router advertisements of router %i (weft.fabric)
Documentation=man:radvd(8)
ConditionPathExists=/run/netns/qrouter-%i
StartLimitIntervalSec=0

[Service]
Type=forking
NetworkNamespacePath=/run/netns/qrouter-%i
PrivateMounts=no
RuntimeDirectory=weft-fabric-ra/%i
PIDFile={run}/%i/pid
ExecStart={radvd} --config={directory}/%i/radvd.conf --pidfile={run}/%i/pid --logmethod=stderr_clean
ExecReload=/bin/kill -HUP $MAINPID
Restart=always
RestartSec=1
NoNewPrivileges=yes
LockPersonality=yes
RestrictRealtime=yes
"""


def unit_name(router: str) -> str:
    """Return the name of the unit of a router."""
    return "weft-fabric-ra@%s.service" % router


def router_name(unit: str) -> str:
    """Return the router a unit is for."""
    return unit[len("weft-fabric-ra@") : -len(".service")]


def unit_text(directory: str) -> str:
    """Return the unit file."""
    text = _TEXT.replace("{radvd}", executable("radvd"))
    return text.replace("{directory}", directory).replace("{run}", RUN_DIR)
