# Copyright (c) 2026 weft.fabric contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Root file systems of the lab's hosts: built once with mmdebstrap, then read-only lower layers."""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
import time
from collections.abc import Iterable
from pathlib import Path

from weft_lab import mirrors
from weft_lab.system import KEYRING, LabError, each, exclusive, progress, run

CACHE = Path("/var/cache/weft-fabric/rootfs")
PACKAGES = (
    "systemd",
    "systemd-sysv",
    "dbus",
    "openssh-server",
    "python3",
    "python3-apt",
    "kmod",
    "procps",
    "openvswitch-switch",
    "iproute2",
    "nftables",
    "keepalived",
    "conntrackd",
    "conntrack",
    "dnsmasq-base",
    "nginx-light",
    "ipxe",
    "libiscsi-bin",
    "zstd",
    # A volume that nodes boot from is on a tenant's machine.
    "tgt",
    "haproxy",
    "radvd",
    "ethtool",
    "tcpdump",
    "iputils-ping",
    "iputils-arping",
    "ndisc6",
    "isc-dhcp-client",
    "udhcpc",
    "iperf3",
    "curl",
    "netcat-openbsd",
    "socat",
)
# What only one release has, and what needs it.
RELEASE_PACKAGES = {
    # The NETCONF server of the lab's switches, which are Debian 12 for its sake.
    "bookworm": ("netconfd",),
}
# Units that make no sense, or wait in vain, in a machine without hardware, seats and a console.
MASKED = (
    "systemd-udevd.service",
    "systemd-udevd-control.socket",
    "systemd-udevd-kernel.socket",
    "systemd-udev-trigger.service",
    "systemd-udev-settle.service",
    "systemd-logind.service",
    "systemd-resolved.service",
    "systemd-networkd.service",
    "systemd-firstboot.service",
    "systemd-journal-flush.service",
    "systemd-pstore.service",
    "systemd-network-generator.service",
    # Host keys are made once per host by the lab; this would add an RSA key at each first boot.
    "sshd-keygen.service",
    "getty@tty1.service",
    "console-getty.service",
    "getty-static.service",
    "uuidd.socket",
    "sys-kernel-debug.mount",
    "sys-kernel-tracing.mount",
    "dev-hugepages.mount",
    "dev-mqueue.mount",
    "proc-sys-fs-binfmt_misc.automount",
)
# Installed, but what runs is decided by who manages the host.
UNWANTED = (
    "keepalived.service",
    "conntrackd.service",
    "haproxy.service",
    "radvd.service",
    "nginx.service",
    "tgt.service",
    "iperf3.service",
    "nftables.service",
    "networking.service",
    "e2scrub_reap.service",
    "e2scrub_all.timer",
    "fstrim.timer",
    "apt-daily.timer",
    "apt-daily-upgrade.timer",
    "dpkg-db-backup.timer",
    "systemd-timesyncd.service",
)
NETWORK_UNIT = """\
[Unit]
Description=Addresses of this lab host's network cards
DefaultDependencies=no
After=systemd-sysctl.service
Before=network.target network-online.target ssh.service openvswitch-switch.service
Wants=network.target
ConditionPathExists=/etc/lab/network.batch

[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart=/sbin/ip -batch /etc/lab/network.batch

[Install]
WantedBy=sysinit.target
"""
FILES = {
    "etc/systemd/system/lab-network.service": NETWORK_UNIT,
    "etc/systemd/journald.conf.d/lab.conf": "[Journal]\nStorage=volatile\nRuntimeMaxUse=16M\n",
    "etc/systemd/system.conf.d/lab.conf": "[Manager]\nDefaultTimeoutStopSec=10s\n",
    "etc/ssh/sshd_config.d/lab.conf": (
        "UseDNS no\nPermitRootLogin prohibit-password\nPasswordAuthentication no\n"
        "KbdInteractiveAuthentication no\nMaxSessions 100\nMaxStartups 100\n"
    ),
    # ovs-ctl refuses to start where the kernel's module is missing; the userspace datapath needs none, and
    # a host of the lab could not load one. The lab loads it on the machine beforehand, where there is one.
    "etc/modprobe.d/lab.conf": "install openvswitch /bin/true\n",
    # Open vSwitch would drop and copy the kernel's routes whenever a device comes or goes, and frames with them; the
    # collection gives tunnels routes of their own.
    "etc/default/openvswitch-switch": 'OVS_CTL_OPTS="--ovs-vswitchd-options=--disable-system-route"\n',
    # Open vSwitch gives itself a nice value of -10, which on this machine counts among its own processes only where the
    # kernel groups them by session (sched_autogroup). What forwards must not wait for all that other hosts do: routers
    # would take one another for dead when many are started at a time, and again for what that has them do.
    "etc/systemd/system/ovs-vswitchd.service.d/lab.conf": (
        "[Service]\nExecStartPost=-/bin/sh -c 'echo -10 >/proc/$MAINPID/autogroup'\n"
    ),
    # Programs that find no file complain; the hosts have no name server to ask.
    "etc/resolv.conf": "",
    "etc/machine-id": "",
}
LINKS = {"etc/systemd/system/sysinit.target.wants/lab-network.service": "/etc/systemd/system/lab-network.service"}
# What one host must not share with another, and what only the build needed.
REMOVED = (
    "etc/hostname",
    "etc/resolv.conf",
    "etc/openvswitch/conf.db",
    "etc/openvswitch/.conf.db.~lock~",
    "etc/openvswitch/system-id.conf",
    "var/lib/openvswitch/conf.db",
    "var/lib/dbus/machine-id",
    "etc/apt/apt.conf.d/99mmdebstrap",
    "etc/apt/sources.list.d/0000mmdebstrap.list",
    "etc/apt/sources.list",
    "etc/ssh/ssh_host_rsa_key",
    "etc/ssh/ssh_host_rsa_key.pub",
    "etc/ssh/ssh_host_ecdsa_key",
    "etc/ssh/ssh_host_ecdsa_key.pub",
    "etc/ssh/ssh_host_ed25519_key",
    "etc/ssh/ssh_host_ed25519_key.pub",
)
DPKG_OPTIONS = (
    "force-unsafe-io",
    "path-exclude=/usr/share/man/*",
    "path-exclude=/usr/share/doc/*",
    "path-exclude=/usr/share/locale/*",
    "path-include=/usr/share/doc/*/copyright",
)


def recipe_id(release: str, packages: tuple[str, ...] = PACKAGES) -> str:
    """A short digest of everything that decides what is in the tree, so that a changed recipe is built anew."""
    recipe = json.dumps(
        [release, sorted(packages), MASKED, UNWANTED, FILES, LINKS, REMOVED, DPKG_OPTIONS], sort_keys=True
    )
    return hashlib.sha256(recipe.encode()).hexdigest()[:12]


def path_of(release: str, extra: tuple[str, ...] = (), cache: Path = CACHE) -> Path:
    return cache / f"{release}-{recipe_id(release, packages_of(release, extra))}"


def packages_of(release: str, extra: tuple[str, ...] = ()) -> tuple[str, ...]:
    return PACKAGES + RELEASE_PACKAGES.get(release, ()) + extra


def build_command(
    release: str, target: Path, packages: tuple[str, ...], sources: list[str], options: list[str]
) -> list[str]:
    return [
        "mmdebstrap",
        "--mode=root",
        "--variant=apt",
        "--format=directory",
        f"--keyring={KEYRING}",
        f"--include={','.join(packages)}",
        *(f"--aptopt={option}" for option in options),
        *(f"--dpkgopt={option}" for option in DPKG_OPTIONS),
        release,
        str(target),
        *sources,
    ]


def prepare(root: Path) -> None:
    """Turn a fresh Debian tree into one that any number of hosts can boot from."""
    for name in REMOVED:
        (root / name).unlink(missing_ok=True)
    for name, text in FILES.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text, encoding="utf-8")
    for name, aim in [*LINKS.items(), *((f"etc/systemd/system/{unit}", "/dev/null") for unit in MASKED)]:
        link = root / name
        link.parent.mkdir(parents=True, exist_ok=True)
        link.unlink(missing_ok=True)
        link.symlink_to(aim)
    # The links point into the tree, and so to nothing as seen from here: globbing for a full name skips them.
    for link in (root / "etc/systemd/system").glob("*.wants/*"):
        if link.name in UNWANTED:
            link.unlink()
    # Interface definitions of the image would fight with lab-network.service.
    shutil.rmtree(root / "etc/network/interfaces.d", ignore_errors=True)


def ensure(release: str, extra: tuple[str, ...] = (), *, cache: Path = CACHE, check: bool = False) -> tuple[Path, bool]:
    """Return the tree's path, and whether it was (in check mode: would be) built."""
    final = path_of(release, extra, cache)
    if final.is_dir():
        return final, False
    if check:
        return final, True
    with exclusive(cache / f"{release}.lock", f"the root file system of {release}", timeout=1800):
        if final.is_dir():
            return final, False
        build(release, packages_of(release, extra), final)
    return final, True


def ensure_all(
    releases: Iterable[str], extra: tuple[str, ...] = (), *, check: bool = False
) -> dict[str, tuple[Path, bool]]:
    names = list(releases)
    return dict(zip(names, each(names, lambda release: ensure(release, extra, check=check)), strict=True))


def build(release: str, packages: tuple[str, ...], final: Path) -> None:
    scratch = final.with_name(f"{final.name}.building")
    remove_tree(scratch)
    progress(f"{release}: building the root file system (once; then cached in {final})")
    started = time.monotonic()
    command = build_command(release, scratch, packages, mirrors.source_lines(release), mirrors.fetch_options())
    log = final.with_name(f"{final.name}.log")
    with log.open("w", encoding="utf-8") as handle:
        code = subprocess.run(
            command, stdin=subprocess.DEVNULL, stdout=handle, stderr=handle, check=False, timeout=1500
        ).returncode
    if code != 0:
        lines = [line for line in log.read_text(encoding="utf-8", errors="replace").splitlines() if line.strip()]
        remove_tree(scratch)
        raise LabError(
            f"mmdebstrap of {release} failed (exit code {code}); the log is {log}: " + " | ".join(lines[-6:])
        )
    prepare(scratch)
    # The tree's own directory is "/" for the hosts: mmdebstrap's umask must not reach them.
    scratch.chmod(0o755)
    scratch.rename(final)
    progress(f"{release}: built in {time.monotonic() - started:.1f} s")


def remove_tree(path: Path) -> None:
    """Remove a half-made tree, but never walk into something still mounted below it."""
    if not path.exists():
        return
    mounts = Path("/proc/self/mountinfo").read_text(encoding="utf-8").splitlines()
    points = [line.split()[4] for line in mounts]
    for point in sorted((p for p in points if p.startswith(f"{path}/")), key=len, reverse=True):
        run(["umount", "--lazy", point])
    shutil.rmtree(path)
