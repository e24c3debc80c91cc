# Copyright (c) 2026 weft.fabric contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A Debian with cloud-init for nodes, put together from Debian's packages as its own cloud images are.

Unlike the tiny image it does nothing with its config drive but what cloud-init does. It has no network configuration,
no key and no password of its own. Booted by BIOS and by UEFI, from whatever bus.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import time
from pathlib import Path

from weft_lab import mirrors, tiny_image
from weft_lab.rootfs import DPKG_OPTIONS, remove_tree
from weft_lab.system import KEYRING, LabError, exclusive, progress, run
from weft_lab.tiny_image import MIB, RELEASE, SECTOR, embed, sized

NAME = "cloud.raw.zst"
LABEL = "cloud-root"
PACKAGES = (
    "systemd-sysv",
    "systemd-resolved",
    "udev",
    "dbus",
    "linux-image-cloud-amd64",
    "initramfs-tools",
    "cloud-init",
    "cloud-guest-utils",
    "netplan.io",
    "openssh-server",
    "iproute2",
    "iputils-ping",
    "sudo",
    "e2fsprogs",
)
# They want a network, or to fetch something.
UNWANTED = ("apt-daily.timer", "apt-daily-upgrade.timer", "e2scrub_all.timer", "fstrim.timer", "dpkg-db-backup.timer")
GRUB_CFG = """\
serial --unit=0 --speed=115200
terminal_input serial
terminal_output serial
set timeout=0
menuentry "cloud" {{
  linux /boot/{kernel} root=LABEL={label} rw console=ttyS0 mitigations=off
  initrd /boot/{initrd}
}}
"""
FILES = {
    "etc/fstab": f"LABEL={LABEL} / ext4 defaults 0 1\n",
    "etc/hostname": "localhost\n",
    "etc/machine-id": "",
    "etc/ssh/sshd_config.d/cloud.conf": "PasswordAuthentication no\nUseDNS no\n",
}
GRUB_MODULES = (*tiny_image.GRUB_MODULES, "ext2")
SIZE = 1280 * MIB
BIOS_PART = (1 * MIB, 2 * MIB - 1)
EFI_PART = (2 * MIB, 18 * MIB - 1)
ROOT_PART = (18 * MIB, 1279 * MIB - 1)


def recipe_id() -> str:
    """A digest of everything that decides what is in the image, but for the versions of Debian's packages."""
    sources = [Path(__file__), Path(tiny_image.__file__)]
    return hashlib.sha256(b"\0".join(file.read_bytes() for file in sources)).hexdigest()[:12]


def current(cache: Path = tiny_image.CACHE) -> bool:
    try:
        made = json.loads((cache / "cloud.json").read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError):
        return False
    return made.get("recipe") == recipe_id() and (cache / NAME).is_file()


def ensure(*, cache: Path = tiny_image.CACHE, check: bool = False) -> tuple[Path, bool]:
    """Return the image's path, and whether it was (in check mode: would be) built."""
    if current(cache):
        return cache / NAME, False
    if check:
        return cache / NAME, True
    with exclusive(cache / "cloud.lock", "the image cloud", timeout=1800):
        if current(cache):
            return cache / NAME, False
        progress(f"cloud: building the image (once; then cached in {cache})")
        started = time.monotonic()
        tree = cache / "cloud.building"
        remove_tree(tree)
        try:
            Builder(tree).build()
            publish(tree / tiny_image.WORK, cache)
        finally:
            remove_tree(tree)
        progress(f"cloud: built in {time.monotonic() - started:.1f} s")
    return cache / NAME, True


def publish(made: Path, cache: Path) -> None:
    """Put the parts in place; what tells that they are current comes last."""
    digest = hashlib.sha256((made / NAME).read_bytes()).hexdigest()
    (made / f"{NAME}.sha256").write_text(f"{digest}  {NAME}\n", encoding="utf-8")
    told = {"recipe": recipe_id(), "checksum": f"sha256:{digest}", "size": SIZE * SECTOR}
    (made / "cloud.json").write_text(json.dumps(told, indent=1) + "\n", encoding="utf-8")
    (cache / "cloud.json").unlink(missing_ok=True)
    for name in (NAME, f"{NAME}.sha256", "cloud.json"):
        (made / name).replace(cache / name)


class Builder(tiny_image.Builder):
    """Makes the image beside the programs that the tiny one is made with."""

    def build(self) -> None:
        self.unpack()
        self.work.mkdir()
        self.root = self.work / "root"
        self.install_root()
        self.make_boot()
        self.make_disk()
        self.inside("zstd", "-q", "-3", "cloud.raw", "-o", NAME)

    def inside(self, *words: str) -> str:
        """Run one of the tree's own programs, in the directory work. A file system of a gibibyte takes its time."""
        entry = ["chroot", str(self.tree), "/bin/busybox", "sh", "-c", 'cd /work && exec "$@"', "sh"]
        return run([*entry, *words], timeout=600).stdout

    def install_root(self) -> None:
        command = ["mmdebstrap", "--mode=root", "--variant=apt", "--format=directory", f"--keyring={KEYRING}"]
        command += [f"--include={','.join(PACKAGES)}"]
        command += [f"--dpkgopt={option}" for option in DPKG_OPTIONS]
        command += [f"--aptopt={option}" for option in mirrors.fetch_options()]
        run([*command, RELEASE, str(self.root), *mirrors.source_lines(RELEASE)], timeout=1500)
        for name in ("var/lib/apt/lists", "var/cache/apt"):
            shutil.rmtree(self.root / name, ignore_errors=True)
        # Each machine makes its own, which is cloud-init's business.
        for key in (self.root / "etc/ssh").glob("ssh_host_*"):
            key.unlink()
        for link in (self.root / "etc/systemd/system").glob("*.wants/*"):
            if link.name in UNWANTED:
                link.unlink()
        for name, text in FILES.items():
            (self.root / name).parent.mkdir(parents=True, exist_ok=True)
            (self.root / name).write_text(text, encoding="utf-8")
        self.root.chmod(0o755)

    def of_root(self, pattern: str) -> str:
        found = sorted(file.name for file in (self.root / "boot").glob(pattern))
        if len(found) != 1:
            raise LabError(f"cloud: {len(found)} files /boot/{pattern} instead of one")
        return found[0]

    def make_boot(self) -> None:
        prefix = ["-p", "(,gpt3)/boot/grub"]
        self.inside("grub-mkimage", "-O", "x86_64-efi", "-o", "grub.efi", *prefix, *GRUB_MODULES)
        self.inside("grub-mkimage", "-O", "i386-pc", "-o", "core.img", *prefix, "biosdisk", *GRUB_MODULES)
        shutil.copyfile(self.tree / "usr/lib/grub/i386-pc/boot.img", self.work / "boot.img")
        config = GRUB_CFG.format(kernel=self.of_root("vmlinuz-*"), initrd=self.of_root("initrd.img-*"), label=LABEL)
        (self.root / "boot/grub").mkdir(exist_ok=True)
        (self.root / "boot/grub/grub.cfg").write_text(config, encoding="utf-8")
        sized(self.work / "efi.part", EFI_PART)
        self.inside("mkfs.fat", "-n", "CLOUD-EFI", "efi.part")
        self.inside("mmd", "-i", "efi.part", "::EFI", "::EFI/BOOT")
        self.inside("mcopy", "-i", "efi.part", "grub.efi", "::EFI/BOOT/BOOTX64.EFI")

    def make_disk(self) -> None:
        disk = self.work / "cloud.raw"
        sized(disk, (0, SIZE - 1))
        words = ["-a", "1"]
        parts = [(BIOS_PART, "ef02", "bios"), (EFI_PART, "ef00", "efi"), (ROOT_PART, "8304", "root")]
        for number, ((first, last), kind, name) in enumerate(parts, 1):
            words += ["-n", f"{number}:{first}:{last}", "-t", f"{number}:{kind}", "-c", f"{number}:{name}"]
        self.inside("sgdisk", *words, "cloud.raw")
        kilobytes = (ROOT_PART[1] - ROOT_PART[0] + 1) * SECTOR // 1024
        place = f"offset={ROOT_PART[0] * SECTOR}"
        options = ["-q", "-F", "-t", "ext4", "-L", LABEL, "-d", "root", "-E", place]
        self.inside("mke2fs", *options, "cloud.raw", f"{kilobytes}k")
        with disk.open("r+b") as file:
            file.seek(EFI_PART[0] * SECTOR)
            file.write((self.work / "efi.part").read_bytes())
            embed((self.work / "boot.img").read_bytes(), (self.work / "core.img").read_bytes(), file)
