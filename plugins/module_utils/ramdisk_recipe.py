# Copyright (c) 2026 weft.fabric contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the deploy ramdisk consists of: packages, files, and what of the packages is left out.

Everything that decides what is in it goes into its version, so that a changed recipe is built anew and an unchanged
one is not.
"""

from __future__ import annotations

import hashlib
import json
import typing as t

from ansible_collections.weft.fabric.plugins.module_utils import (
    ramdisk_code_cache,
    ramdisk_kernel,
    ramdisk_programs,
)

#: Raised when the way of building changes what comes out.
FORMAT = 1

#: Without their recommendations; what they depend on comes along.
PACKAGES = (
    # a system that one can log in to
    "base-files",
    "bash",
    "busybox",
    "coreutils",
    "dash",
    "diffutils",
    "findutils",
    "grep",
    "iproute2",
    "kmod",
    "libc-bin",
    "mawk",
    "mount",
    "ncurses-base",
    "openssh-server",
    "procps",
    "python3",
    "sed",
    "tar",
    "udev",
    "util-linux",
    # images: fetched, unpacked, written
    "ca-certificates",
    "curl",
    "gzip",
    "qemu-utils",
    "xz-utils",
    "zstd",
    # disks: partitions, file systems, erasure
    "dosfstools",
    "e2fsprogs",
    "fdisk",
    "gdisk",
    "genisoimage",
    "hdparm",
    "mdadm",
    "mtools",
    "nvme-cli",
    "parted",
    "smartmontools",
    "xfsprogs",
    # the disk exported to the network node
    "tgt",
    # firmware, BMC, hardware
    "dmidecode",
    "efibootmgr",
    "ethtool",
    "ipmitool",
)

#: Programs that must be there in the end, with all their libraries.
PROGRAMS = (
    "usr/bin/bash",
    "usr/bin/curl",
    "usr/bin/dash",
    "usr/bin/ipmitool",
    "usr/bin/lsblk",
    "usr/bin/mcopy",
    "usr/bin/python3",
    "usr/bin/qemu-img",
    "usr/bin/udevadm",
    "usr/bin/xz",
    "usr/bin/zstd",
    "usr/bin/genisoimage",
    "usr/bin/efibootmgr",
    "usr/sbin/blkdiscard",
    "usr/sbin/blkid",
    "usr/sbin/dmidecode",
    "usr/sbin/e2fsck",
    "usr/sbin/ethtool",
    "usr/sbin/hdparm",
    "usr/sbin/mdadm",
    "usr/sbin/mkfs.ext4",
    "usr/sbin/mkfs.vfat",
    "usr/sbin/mkfs.xfs",
    "usr/sbin/nvme",
    "usr/sbin/parted",
    "usr/sbin/resize2fs",
    "usr/sbin/sfdisk",
    "usr/sbin/sgdisk",
    "usr/sbin/smartctl",
    "usr/sbin/sshd",
    "usr/sbin/tgtd",
    "usr/sbin/wipefs",
    "usr/sbin/xfs_repair",
)

#: Left out, as patterns of paths in the tree (of pathlib). What boots needs no package management, no documentation, no
#: Perl (which only serves the packages' own scripts), and no names of hardware.
LEFT_OUT = (
    "boot",
    "dev",
    "etc/apt",
    "etc/cron.*",
    "etc/default",
    "etc/init.d",
    "etc/initramfs-tools",
    "etc/kernel",
    "etc/logrotate.d",
    "etc/pam.d",
    "etc/python3*",
    "etc/rc*.d",
    "etc/runit",
    "etc/ssh/*",
    "etc/ssl/certs",
    "etc/systemd",
    "etc/update-motd.d",
    "usr/bin/*perl*",
    "usr/bin/qemu-io",
    "usr/bin/qemu-nbd",
    "usr/bin/qemu-storage-daemon",
    "usr/games",
    "usr/include",
    "usr/lib/*/gconv",
    "usr/lib/*/libicu*",
    "usr/lib/*/libperl*",
    "usr/lib/*/perl*",
    "usr/lib/apt",
    "usr/lib/dpkg",
    "usr/lib/file",
    "usr/lib/gcc",
    "usr/lib/initramfs-tools",
    "usr/lib/locale/*-*",
    "usr/lib/modules-load.d",
    "usr/lib/python3*/ensurepip",
    "usr/lib/python3*/idlelib",
    "usr/lib/python3*/lib2to3",
    "usr/lib/python3*/pydoc_data",
    "usr/lib/python3*/sitecustomize.py",
    "usr/lib/python3*/test",
    "usr/lib/python3*/tkinter",
    "usr/lib/python3*/turtledemo",
    "usr/lib/systemd/network",
    "usr/lib/systemd/system",
    "usr/lib/systemd/user",
    "usr/lib/udev/hwdb.d",
    "usr/lib/udev/rules.d/60-autosuspend.rules",
    "usr/lib/udev/rules.d/60-persistent-alsa.rules",
    "usr/lib/udev/rules.d/60-persistent-input.rules",
    "usr/lib/udev/rules.d/60-persistent-v4l.rules",
    "usr/lib/udev/rules.d/6?-md-*.rules",
    "usr/lib/udev/rules.d/7[0158]-*.rules",
    "usr/lib/udev/rules.d/73-*.rules",
    # The kernel's names of network cards are as good as any: what counts is the address.
    "usr/lib/udev/rules.d/80-net-setup-link.rules",
    "usr/lib/udev/rules.d/8[15]-*.rules",
    "usr/lib/udev/rules.d/9?-*.rules",
    "usr/sbin/xfs_scrub*",
    "usr/share/[!cs]*",
    "usr/share/common-licenses",
    "usr/sbin/*initramfs*",
    "var/cache/*",
    "var/lib/*",
    "var/log/*",
)

#: Kept although a pattern above leaves it out.
KEPT = ("usr/share/terminfo", "usr/share/zoneinfo")

SSHD_CONFIG = """\
# One key gets in, the deployer's, and one key answers: both came with this node's identity.
AddressFamily inet
HostKey /etc/ssh/ssh_host_ed25519_key
AuthenticationMethods publickey
AuthorizedKeysFile /root/.ssh/authorized_keys
AllowUsers root
PermitRootLogin prohibit-password
PasswordAuthentication no
KbdInteractiveAuthentication no
HostbasedAuthentication no
PermitEmptyPasswords no
UsePAM no
StrictModes yes
LoginGraceTime 30
MaxSessions 20
MaxStartups 20:30:60
DisableForwarding yes
PermitTunnel no
PermitUserEnvironment no
PermitUserRC no
PrintMotd no
PrintLastLog no
UseDNS no
PidFile none
# A deployer that is gone is noticed within a minute: weft.timeout counts from then.
ClientAliveInterval 15
ClientAliveCountMax 4
SetEnv LANG=C.UTF-8
Subsystem sftp internal-sftp
"""


def _source(module: t.Any) -> str:
    """Return the source of a module, from wherever it was loaded: a directory, or the archive that Ansible sends."""
    return str(module.__spec__.loader.get_source(module.__name__))


FILES = {
    "etc/fstab": "",
    "etc/group": "root:x:0:\ntty:x:5:\ndisk:x:6:\nsshd:x:100:\nnogroup:x:65534:\n",
    "etc/hosts": "127.0.0.1 localhost\n",
    "etc/machine-id": "",
    "etc/nsswitch.conf": "passwd: files\ngroup: files\nshadow: files\nhosts: files dns\n",
    # No password is right for an asterisk.
    "etc/passwd": (
        "root:*:0:0:root:/root:/bin/sh\n"
        "sshd:*:100:65534::/run/sshd:/usr/sbin/nologin\n"
        "nobody:*:65534:65534:nobody:/nonexistent:/usr/sbin/nologin\n"
    ),
    "etc/ssh/sshd_config": SSHD_CONFIG,
    # Every Python that starts imports this.
    "usr/lib/python3/dist-packages/sitecustomize.py": _source(ramdisk_code_cache) + "\n\nkeep()\n",
}
DIRECTORIES = {
    "dev": 0o755,
    "etc/ssl/certs": 0o755,
    "etc/weft": 0o755,
    "proc": 0o755,
    "root": 0o700,
    "root/.ssh": 0o700,
    "run": 0o755,
    "sys": 0o755,
    "tmp": 0o1777,
    "var/lib": 0o755,
    "var/log": 0o755,
    "var/tmp": 0o1777,
}
LINKS = {
    "etc/mtab": "/proc/mounts",
    "usr/bin/awk": "mawk",
    "var/lock": "/run/lock",
    "var/run": "/run",
}


class Recipe(t.NamedTuple):
    """What a user chooses."""

    release: str = "bookworm"
    kernel: str = "linux-image-amd64"
    packages: t.Tuple[str, ...] = ()
    components: t.Tuple[str, ...] = ("main",)

    def all_packages(self) -> t.List[str]:
        """Return the packages to put in, sorted."""
        return sorted(set(PACKAGES) | set(self.packages) | {self.kernel})

    def inputs(self) -> t.Dict[str, t.Any]:
        """Return what decides what is in the ramdisk, in the words of a diff."""
        rest = (
            FORMAT,
            DIRECTORIES,
            FILES,
            KEPT,
            LEFT_OUT,
            LINKS,
            ramdisk_kernel.DROPPED,
            ramdisk_kernel.KEPT,
            ramdisk_programs.programs(),
        )
        return {
            "release": self.release,
            "kernel": self.kernel,
            "components": list(self.components),
            "packages": self.all_packages(),
            "recipe": digest(rest),
        }

    def version(self) -> str:
        """Return a name for all that."""
        return digest(self.inputs())


def digest(value: t.Any) -> str:
    """Return a short name for a value."""
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode("utf-8")).hexdigest()[:16]
