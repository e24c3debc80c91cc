# Copyright (c) 2026 weft.fabric contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The deploy ramdisk's own programs: what the kernel starts, and what that starts.

POSIX shell, as it has to wait for hardware and to start what others have written. There is no systemd: a ramdisk lives
for minutes and has one task.
"""

from __future__ import annotations

import typing as t

RUN = "/run/weft"
LEASE = "/usr/lib/weft/lease"
POWER_BUTTON = "/etc/acpi/PWRF/00000080"

#: What the programs wait for, and how long, in seconds.
BOUNDS = {"identity": 30, "nic": 60, "lease": 300, "sshd": 60}

#: What Ansible's modules need of Python, the greater part of it. What is missing here costs time and nothing else.
_IMPORTED = (
    "argparse, bz2, ctypes, dataclasses, datetime, decimal, gettext, hashlib, http.client, inspect, ipaddress, json, "
    "locale, logging, lzma, pathlib, platform, selectors, shlex, shutil, signal, socket, ssl, subprocess, tempfile, "
    "traceback, typing, urllib.request, zipfile"
)

# Process 1 must not end: the kernel would stop with all that runs, and the node stay on.
#
# Whoever is on the deployment network may answer a DHCP request or connect to port 22, and the deployer may be told to
# connect to anybody. Therefore: the address is the one that the identity names, or none; only the deployer's key gets
# in; and the host key is the one that the deployer expects. Without an identity nobody can log in, so that nothing
# that is reached by the network is started.
_INIT = """\
#!/bin/sh
# Made by weft.fabric: the deploy ramdisk. Kernel arguments: BOOTIF=01-AA-BB-CC-DD-EE-FF weft.timeout=SECONDS
PATH=/usr/sbin:/usr/bin
LANG=C.UTF-8
export PATH LANG
run=%(run)s
mac=
timeout=0

# To all consoles, and in the order of the kernel's own messages.
say() {
    printf '<1>weft: %%s\\n' "$*" > /dev/kmsg
}

power_off() {
    trap - EXIT
    say "$*: powering off"
    sync
    busybox poweroff -f
    echo o > /proc/sysrq-trigger
    while :; do sleep 60; done
}

uptime() {
    read -r now rest < /proc/uptime
    now=${now%%%%.*}
}

# within SECONDS COMMAND...: until it succeeds
within() {
    uptime
    until=$((now + $1))
    shift
    until "$@"; do
        uptime
        [ "$now" -lt "$until" ] || return 1
        sleep 0.1
    done
}

# field NAME: of the identity
field() {
    sed -n 's/.*"'"$1"'" *: *"\\([^"]*\\)".*/\\1/p' /etc/weft/node.json
}

find_nic() {
    for file in /sys/class/net/*/address; do
        nic=${file%%/address}
        if [ -e "$nic/device" ] && read -r found < "$file" && [ "$found" = "$mac" ]; then
            nic=${nic##*/}
            return 0
        fi
    done
    return 1
}

# sshd, with its port 22 on whatever address.
listening() {
    grep -q '^ *[0-9]*: [0-9A-F]*:0016 00000000:0000 0A' /proc/net/tcp
}

# The titles that sshd gives to the processes of those who have logged in.
anybody_here() {
    grep -qsE '^sshd[^:]*: root@' /proc/[0-9]*/cmdline
}

mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs devtmpfs /dev
trap 'power_off "/init has ended, which is a fault of the ramdisk"' EXIT
echo on > /proc/sys/kernel/printk_devkmsg
mkdir -p /dev/pts /dev/shm
ln -s /proc/self/fd /dev/fd
mount -t devpts -o gid=5,mode=620 devpts /dev/pts
mount -t tmpfs -o mode=755 run /run
mount -t tmpfs -o mode=1777,size=75%% tmp /tmp
mkdir -p "$run/code" /run/sshd /run/lock
if [ -d /sys/firmware/efi/efivars ]; then
    modprobe -q efivarfs
    mount -t efivarfs efivarfs /sys/firmware/efi/efivars
fi

read -r words < /proc/cmdline
for word in $words; do
    case $word in
    BOOTIF=*) mac=$(echo "${word#BOOTIF=??-}" | tr 'A-F-' 'a-f:') ;;
    weft.timeout=*[!0-9]* | weft.timeout=) say "$word is no number of seconds: ignored" ;;
    weft.timeout=*) timeout=${word#*=} ;;
    esac
done

# Who built the cpio archive may not have known what sshd asks of files.
for file in /etc/ssh/ssh_host_ed25519_key /root/.ssh/authorized_keys /etc/weft/node.json; do
    if [ ! -s "$file" ]; then
        say "no identity: $file is missing. The boot server gives one to the node that it deploys, and only then." \\
            "Nobody can log in."
        sleep %(identity)s
        power_off "no identity"
    fi
    chmod 600 "$file"
done
chown -R 0:0 /etc/ssh /etc/weft /root
chmod 755 / /etc /etc/ssh /etc/weft
chmod 700 /root /root/.ssh
node=$(field node)
deployment=$(field deployment)
address=$(field address)
[ -n "$mac" ] || mac=$(field boot_mac | tr 'A-F' 'a-f')
if [ -z "$address" ] || [ -z "$mac" ]; then
    power_off "the identity has no address, or nothing tells the network card"
fi
echo "$node" > /proc/sys/kernel/hostname
say "node $node, deployment $deployment, network card $mac, address $address"

# What network cards are on comes first; its children come by themselves.
/usr/lib/systemd/systemd-udevd --daemon --resolve-names=never
udevadm trigger --type=devices --action=add --subsystem-match=pci
within %(nic)s find_nic || power_off "no network card with the address $mac within %(nic)s s"
ip link set lo up
# Only what DHCP says, on this network card and no other.
echo 0 > "/proc/sys/net/ipv6/conf/$nic/accept_ra"
ip link set "$nic" up
printf 'nic=%%s\\naddress=%%s\\n' "$nic" "$address" > "$run/settings"
# It stays, as a lease has to be renewed while an image is written. It is killed when it takes a foreign lease.
(
    while :; do
        busybox udhcpc -f -i "$nic" -s %(lease_program)s -r "$address" -t 4 -T 1 -A 2
        sleep 1
    done
) < /dev/null > /dev/null 2>&1 &
within %(lease)s [ -e "$run/lease" ] || power_off "no DHCP server gave $address to $nic ($mac) within %(lease)s s"

(
    while :; do
        /usr/sbin/sshd -D -e -o "ListenAddress=$address"
        sleep 1
    done
) < /dev/null > "$run/sshd.log" 2>&1 &
# What takes its time, and nobody waits for at first: whoever wants disks waits for $run/settled. Processors are left
# out, as all they bring is the kernel's cryptography made for them, which tests itself for a second or more. Python
# starts a second time in a fraction of the time, and there is a moment until the deployer needs it.
(
    udevadm trigger --type=subsystems --action=add
    udevadm trigger --type=devices --action=add --subsystem-nomatch=cpu
    udevadm settle --timeout=120
    : > "$run/settled"
    nice -n 19 python3 -c 'import %(imported)s' &
    modprobe -q -a ipmi_si ipmi_devintf loop evdev
    exec busybox acpid -f -l /dev/null -p "$run/acpid.pid"
) < /dev/null > /dev/null 2>&1 &
within %(sshd)s listening || power_off "sshd does not start: $(tail -n 3 "$run/sshd.log")"
uptime
last=$now
say "ready after $now s: node $node, deployment $deployment, ssh root@$address"

while :; do
    sleep 2
    uptime
    anybody_here && last=$now
    [ "$timeout" -gt 0 ] && [ $((now - last)) -ge "$timeout" ] &&
        power_off "nobody has been logged in for $timeout s (weft.timeout)"
done
"""

# What udhcpc starts. A lease with another address is not ours: another server, or another node's identity.
_LEASE = """\
#!/bin/sh
# Made by weft.fabric: what a DHCP server says, obeyed if it says what the identity says.
nic=
address=
# shellcheck source=/dev/null
. %(run)s/settings
say() {
    printf '<1>weft: %%s\\n' "$*" > /dev/kmsg
}
# udhcpc's:
ip=${ip:-}
mask=${mask:-}
router=${router:-}
serverid=${serverid:-}
case $1 in
bound | renew)
    if [ "$ip" != "$address" ]; then
        say "the DHCP server $serverid gives $ip, but the address of this node is $address: not taken"
        # Without a word to that server; /init starts the client again.
        kill -KILL "$PPID"
        exit 1
    fi
    ip address replace "$address/$mask" dev "$nic"
    [ -z "$router" ] || ip route replace default via "${router%%%% *}" dev "$nic"
    echo "$serverid" > %(run)s/lease
    ;;
esac
"""

_POWER_BUTTON = """\
#!/bin/sh
# Made by weft.fabric: the power button, which a BMC presses for a soft power off.
printf '<1>weft: power button pressed: powering off\\n' > /dev/kmsg
sync
busybox poweroff -f
"""


def programs() -> t.Dict[str, str]:
    """Return {path in the ramdisk: text}."""
    values = dict({key: str(bound) for key, bound in BOUNDS.items()}, run=RUN, lease_program=LEASE, imported=_IMPORTED)
    return {"/init": _INIT % values, LEASE: _LEASE % values, POWER_BUTTON: _POWER_BUTTON % values}
