# Copyright (c) 2026 weft.fabric contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The files that all highly available routers of a host share: a shell program and systemd units."""

from __future__ import annotations

import os
import shutil
import typing as t

from ansible_collections.weft.fabric.plugins.module_utils.reconcile import FabricError
from ansible_collections.weft.fabric.plugins.module_utils.systemd import Unit

# keepalived runs it, and refuses what a group may write to (on Debian 12 that is all of /usr/local) or what a symbolic
# link leads to (/bin/sh).
PROGRAM = "/etc/weft-fabric/vrrp"
UNIT_DIR = "/etc/systemd/system"
RUN_DIR = "/run/weft-fabric-vrrp"

UNIT = "weft-fabric-vrrp@.service"
PATTERN = "weft-fabric-vrrp@*.service"
SESSIONS_UNIT = "weft-fabric-conntrackd@.service"
SESSIONS_PATTERN = "weft-fabric-conntrackd@*.service"
REFRESH_UNIT = "weft-fabric-conntrackd-refresh.service"
REFRESH_TIMER = "weft-fabric-conntrackd-refresh.timer"
PATTERNS = (PATTERN, SESSIONS_PATTERN, REFRESH_TIMER)

# The constant address that only the primary has, on the HA link.
PRIMARY_NETWORK = "169.254.0.0/24"

# The longest delay that keepalived.conf.j2 has for a router that starts among many, in seconds.
CROWD_DELAY = 9

_SEARCH = "/usr/sbin:/usr/local/sbin:/sbin:/usr/bin:/usr/local/bin:/bin"
_NOTE = "# Made by weft.fabric; changes are overwritten."

# What keepalived and systemd call. POSIX shell: one for all routers, and nothing of it stays running.
#
# keepalived starts a notify script for each transition and does not wait for the last one, so two may run at a time and
# in the wrong order. Each goes by what is (who has the primary's address), not by what it was told.
#
# What a change of roles takes of the processors must not make others change: where Open vSwitch forwards in user space,
# advertisements wait for a processor as all else does, and a host on which many roles move at a time would never come
# to an end. So of all notify scripts of a host only one is at work, and a router whose role came and went while it
# waited is done at once. Only whether packets are forwarded does not wait.
#
# conntrackd puts what a peer tells into the kernel at once, so nothing has to be committed at a failover. Who gives up
# the role forgets what it knew of its own: an entry that times out there must not be deleted on the new primary.
#
# Routers that begin to advertise while others are being started take the processors that these need: where Open vSwitch
# forwards in user space, more than all else together. So whoever starts among many leaves the first election until the
# others have been started, too. A router's own clock says when, so nobody has to come back to let it go.
#
# A host may start hundreds of daemons at a time, so neither a start nor the first word of a keepalived that becomes a
# backup runs a program that it does not need.
_PROGRAM = """\
#!/bin/sh
%(note)s
# Usage: vrrp start NAME COMMAND... | sessions NAME COMMAND... | notify NAME KIND INSTANCE STATE PRIORITY |
#        cleanup NAME | refresh
directory=%(directory)s
run=%(run)s
advertisements=%(advertisements)s
verb=$1
name=$2
# What a router's settings say:
interface=
peers=
forwarding=

settings() {
    # shellcheck source=/dev/null
    . "$directory/$name/settings"
}

forward() {
    for device in $forwarding; do
        echo "$1" > "/proc/sys/net/ipv6/conf/$device/forwarding"
    done
}

sessions() {
    [ -S "$run/$name/conntrackd.ctl" ] || return 0
    # One that hangs must not hold up who waits for the locks for ever.
    timeout 5 conntrackd -C "$directory/$name/conntrackd.conf" "$@" > /dev/null
}

is_primary() {
    [ -n "$(ip -o -4 address show dev "$interface" to %(primary)s)" ]
}

# Router advertisements are the primary's. A radvd that is asked to end tells all hosts that their router is gone,
# which is not true: it has moved.
advertise() {
    [ -e "$advertisements/$name/radvd.conf" ] || return 0
    # Of a distributed router each host advertises its own part, and this is not it.
    case $(readlink "$directory/$name/namespace") in
    */snat-*) return 0 ;;
    esac
    if [ "$1" = 1 ]; then
        systemctl --no-block start "weft-fabric-ra@$name.service"
    else
        systemctl kill --signal=KILL "weft-fabric-ra@$name.service" 2> /dev/null
        systemctl --no-block stop "weft-fabric-ra@$name.service"
    fi
}

remember() {
    before=
    [ -e "$run/$name/state" ] && read -r before _ < "$run/$name/state"
    [ "$before" = "$role" ] && return
    printf '%%s %%s\\n' "$role" "$(date +%%s.%%3N)" > "$run/$name/state.new"
    mv "$run/$name/state.new" "$run/$name/state"
}

give_up() {
    forward 0
    sessions -f internal
    sessions -n
    advertise 0
}

# What it is now; and between those that have no addresses, what keepalived said last.
look() {
    read -r role _ < "$run/$name/word"
    case $role in
    FAULT) role=fault ;;
    *) role=backup ;;
    esac
    if is_primary; then
        role=primary
        forward 1
    else
        forward 0
    fi
}

# What the others were told last; that it is primary, even when they have been told only half of it.
tell() {
    told=
    [ -e "$run/$name/told" ] && read -r told _ < "$run/$name/told"
    [ "$role" = "$told" ] && return
    if [ "$role" = primary ]; then
        echo primary > "$run/$name/told"
        advertise 1
        sessions -R
        sessions -B
        return
    fi
    if [ "$told" = primary ]; then
        give_up
    else
        # It has just started, and its predecessor has tidied up; or its link is back. What conntrackd asked its peers
        # for when it started itself may have been lost on a link that was not wired yet.
        sessions -n
    fi
    echo "$role" > "$run/$name/told"
}

forget() {
    for file; do
        [ ! -e "$file" ] || rm -f "$file"
    done
}

# Of this router.
one_at_a_time() {
    exec 9> "$run/$name/lock"
    flock 9
}

# Of all routers. Who finds that somebody waits for this router need not wait, too: it is looked at when its turn has
# come. Who has waited for so long goes on, as a conntrackd that hangs is another router's.
wait_for_turn() {
    exec 8> "$run/$name/waiting"
    flock -n 8 || exit 0
    exec 7> "$run.lock"
    flock -w 15 7
    one_at_a_time
    exec 8>&-
}

case $verb in
start)
    # In the place of keepalived, which it becomes. A router that starts before its HA link is wired would find no peer,
    # and take a role that somebody has. The peer may be dead, so this ends after some seconds.
    shift 2
    # Whoever starts it among many says so, once.
    crowd=0
    if [ -s "$run/$name/crowd" ]; then
        read -r crowd < "$run/$name/crowd"
        : > "$run/$name/crowd"
    fi
    set -- "$@" "--config-id=crowd-$crowd"
    settings
    forget "$run/$name/keepalived.pid" "$run/$name/vrrp.pid" "$run/$name/checkers.pid" "$run/$name/bfd.pid" \
        "$run/$name/keep"
    # A node that an operator has drained stays so after a reboot, and for routers that are new to it.
    [ -e "${directory%%/*}/drained" ] && cp "${directory%%/*}/drained" "$run/$name/handicap"
    turn=0
    while [ -n "$peers" ] && [ "$turn" -lt 5 ]; do
        for peer in $peers; do
            ping -q -n -c 1 -i 0.2 -w 1 "$peer" > /dev/null 2>&1 && exec "$@"
            turn=$((turn + 1))
        done
    done
    exec "$@"
    ;;
sessions)
    # In the place of conntrackd. One that was killed leaves these behind, and the next would refuse to start.
    shift 2
    forget "$run/$name/conntrackd.lock" "$run/$name/conntrackd.ctl"
    exec "$@"
    ;;
notify)
    settings
    # At first by what keepalived says, which may no longer be true.
    echo "$5" > "$run/$name/word"
    case $5 in
    MASTER) forward 1 ;;
    *) forward 0 ;;
    esac
    wait_for_turn
    look
    remember
    tell
    ;;
cleanup)
    # keepalived has ended, for whatever reason. What it had put in must not stay, as the next primary has it now.
    # Everything but the HA link's own address is keepalived's.
    [ -e "$run/$name/keep" ] && exit 0
    settings
    one_at_a_time
    ip -4 address flush dev "$interface" to %(primary)s
    ip -o link show | while IFS=': @' read -r _ device _; do
        case $device in
        lo | "$interface") ;;
        *) ip address flush dev "$device" ;;
        esac
    done
    ip -4 route flush proto 18
    ip -6 route flush proto 18
    give_up
    rm -f "$run/$name/state" "$run/$name/told"
    exit 0
    ;;
refresh)
    # What was lost on the way to the peers heals, and entries that see no packets there (a backup forwards none) do not
    # time out while they live here.
    for state in "$run"/*/state; do
        [ -e "$state" ] || continue
        read -r role _ < "$state"
        name=${state%%/state}
        name=${name##*/}
        [ "$role" = primary ] && sessions -B
    done
    exit 0
    ;;
esac
"""

# Without [Install]: the replay at boot starts it last, when everything is wired.
# Newer versions of systemd mount /sys anew for whoever has a network namespace, in a mount namespace made for each
# process that they start. Nobody here looks at /sys, and each namespace of the host is a mount that all would copy.
# The child that speaks VRRP takes the addresses away when its parent dies. When both die at once, ExecStopPost does.
# The pid files have to be named, all four: their defaults are the same for every keepalived of the host.
# What keepalived tells comes from its console only: it would tell the journal twice.
_UNIT = """\
%(note)s Put yours into a drop-in.
[Unit]
Description=Router %%i, highly available (weft.fabric)
Documentation=man:keepalived(8)
ConditionPathExists=%(directory)s/%%i/namespace
After=weft-fabric-conntrackd@%%i.service weft-fabric-health.service
StartLimitIntervalSec=0

[Service]
Type=notify
NetworkNamespacePath=%(directory)s/%%i/namespace
PrivateMounts=no
RuntimeDirectory=weft-fabric-vrrp/%%i
# A handicap outlives a restart.
RuntimeDirectoryPreserve=yes
ExecStart=/bin/sh %(program)s start %%i %(keepalived)s --dont-fork --log-console --no-syslog --vrrp \
--use-file=%(directory)s/%%i/keepalived.conf \
--pid=%(run)s/%%i/keepalived.pid --vrrp_pid=%(run)s/%%i/vrrp.pid \
--checkers_pid=%(run)s/%%i/checkers.pid --bfd_pid=%(run)s/%%i/bfd.pid
SyslogIdentifier=keepalived
ExecReload=/bin/kill -HUP $MAINPID
ExecStopPost=/bin/sh %(program)s cleanup %%i
Restart=always
RestartSec=1
TimeoutStopSec=10
"""

_SESSIONS_UNIT = """\
%(note)s Put yours into a drop-in.
[Unit]
Description=Sessions of router %%i, told to its peers (weft.fabric)
Documentation=man:conntrackd(8)
ConditionPathExists=%(directory)s/%%i/namespace
StartLimitIntervalSec=0

[Service]
Type=notify
NetworkNamespacePath=%(directory)s/%%i/namespace
PrivateMounts=no
# It would make itself the first of all that want a processor, once for each router: one tenant's new connections would
# keep keepalived, and what forwards, from theirs. It says that this failed, and goes on.
CapabilityBoundingSet=~CAP_SYS_NICE
RuntimeDirectory=weft-fabric-vrrp/%%i
RuntimeDirectoryPreserve=yes
ExecStart=/bin/sh %(program)s sessions %%i %(conntrackd)s -C %(directory)s/%%i/conntrackd.conf
SyslogIdentifier=conntrackd
Restart=always
RestartSec=1
"""

_REFRESH_UNIT = """\
%(note)s
[Unit]
Description=Tell the peers of all routers their sessions once more (weft.fabric)

[Service]
Type=oneshot
ExecStart=/bin/sh %(program)s refresh
# Without a limit one that hangs would be the last.
TimeoutStartSec=50
"""

# Well below the two minutes after which the kernel forgets a UDP stream.
_REFRESH_TIMER = """\
%(note)s
[Unit]
Description=Tell the peers of all routers their sessions once a minute (weft.fabric)

[Timer]
OnActiveSec=60
OnUnitActiveSec=60
AccuracySec=5
"""

#: unit -> text
UNITS = {
    UNIT: _UNIT,
    SESSIONS_UNIT: _SESSIONS_UNIT,
    REFRESH_UNIT: _REFRESH_UNIT,
    REFRESH_TIMER: _REFRESH_TIMER,
}


class Paths(t.NamedTuple):
    """Where things are; tests put them elsewhere."""

    directory: str
    run: str = RUN_DIR
    program: str = PROGRAM
    units: str = UNIT_DIR
    advertisements: str = "/var/lib/weft-fabric/ra"
    watches: str = "/proc/sys/fs/inotify/max_user_instances"


def unit_name(router: str) -> str:
    """Return the unit that runs keepalived for a router."""
    return UNIT.replace("@", "@" + router)


def sessions_name(router: str) -> str:
    """Return the unit that runs conntrackd for a router."""
    return SESSIONS_UNIT.replace("@", "@" + router)


def by_router(units: t.Mapping[str, Unit], name: t.Callable[[str], str]) -> t.Dict[str, Unit]:
    """Return those of the units that a function names for a router, by router."""
    instances = {unit: unit.partition("@")[2][: -len(".service")] for unit in units}
    return {router: units[unit] for unit, router in instances.items() if router and unit == name(router)}


def executable(name: str) -> str:
    """Return where a program is."""
    found = shutil.which(name, path=_SEARCH)
    if found is None:
        raise FabricError("the program %s is missing on this host: install the package %s" % (name, name))
    return found


def files(paths: Paths) -> t.Dict[str, str]:
    """Return {path: text} of what all routers share."""
    values = {
        "note": _NOTE,
        "directory": paths.directory,
        "run": paths.run,
        "program": paths.program,
        "advertisements": paths.advertisements,
        "primary": PRIMARY_NETWORK,
        "keepalived": executable("keepalived"),
        "conntrackd": executable("conntrackd"),
    }
    found = {os.path.join(paths.units, unit): text % values for unit, text in UNITS.items()}
    found[paths.program] = _PROGRAM % values
    return found


def file_names(paths: Paths) -> t.List[str]:
    """Return the paths of what all routers share."""
    return sorted([os.path.join(paths.units, unit) for unit in UNITS] + [paths.program])


def lock_of(paths: Paths) -> str:
    """Return the path of the lock of all routers, which only the shell program takes."""
    return paths.run + ".lock"
