# Copyright (c) 2026 weft.fabric contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The lab's own image for nodes: 96 MiB, boots by BIOS and UEFI, and does what a test wants to see of a server.

It takes its name, keys and a script from its config drive and its address from DHCP, and lets its keys' owners in. All
of it is Debian's. What makes it runs in a tree of Debian's packages, so that the machine needs no programs for it, and
nothing is mounted.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import struct
import time
from pathlib import Path
from typing import BinaryIO

from weft_lab import mirrors
from weft_lab.rootfs import remove_tree
from weft_lab.system import KEYRING, LabError, exclusive, progress, run

CACHE = Path("/var/cache/weft-fabric/images")
NAME = "tiny.raw.zst"
RELEASE = "bookworm"
FILES = Path(__file__).resolve().parent.parent / "tiny"
PACKAGES = (
    # What is in the image.
    "linux-image-cloud-amd64",
    "busybox-static",
    "dropbear-bin",
    "jq",
    # What makes a volume boot that holds it.
    "open-iscsi",
    # What makes it.
    "dosfstools",
    "e2fsprogs",
    "gdisk",
    "grub-common",
    "grub-efi-amd64-bin",
    "grub-pc-bin",
    "kmod",
    "mtools",
    "zstd",
)
MODULES = (
    "virtio_pci",
    "virtio_blk",
    "virtio_net",
    "virtio_rng",
    "evdev",
    "button",
    "vfat",
    "nls_cp437",
    "nls_ascii",
    "nls_utf8",
    "isofs",
)
VOLUME_MODULES = ("iscsi_ibft", "iscsi_tcp", "sd_mod")
GRUB_MODULES = ("part_gpt", "fat", "normal", "linux", "configfile", "serial", "terminal", "boot", "test")
PROGRAMS = ("usr/sbin/dropbear", "usr/bin/dropbearkey", "usr/bin/jq")
SCRIPTS = ("start", "stop", "dhcp", "sshd", "user-data")
SECTOR = 512
MIB = (1 << 20) // SECTOR
# First and last sector of each partition; the backup table needs the last 33.
SIZE = 96 * MIB
BIOS_PART = (1 * MIB, 2 * MIB - 1)
BOOT_PART = (2 * MIB, 34 * MIB - 1)
ROOT_PART = (34 * MIB, 95 * MIB - 1)
WORK = Path("work")


def recipe_id() -> str:
    """A digest of everything that decides what is in the image, but for the versions of Debian's packages."""
    sources = [Path(__file__), *sorted(FILES.iterdir())]
    return hashlib.sha256(b"\0".join(file.read_bytes() for file in sources)).hexdigest()[:12]


def current(cache: Path = CACHE) -> bool:
    try:
        made = json.loads((cache / "tiny.json").read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError):
        return False
    return made.get("recipe") == recipe_id() and (cache / NAME).is_file()


def ensure(*, cache: Path = CACHE, check: bool = False) -> tuple[Path, bool]:
    """Return the image's path, and whether it was (in check mode: would be) built."""
    if current(cache):
        return cache / NAME, False
    if check:
        return cache / NAME, True
    with exclusive(cache / "tiny.lock", "the image tiny", timeout=1800):
        if current(cache):
            return cache / NAME, False
        progress(f"tiny: building the image (once; then cached in {cache})")
        started = time.monotonic()
        tree = cache / "tiny.building"
        remove_tree(tree)
        try:
            Builder(tree).build()
            publish(tree / WORK, cache)
        finally:
            remove_tree(tree)
        progress(f"tiny: built in {time.monotonic() - started:.1f} s")
    return cache / NAME, True


def publish(made: Path, cache: Path) -> None:
    """Put the parts in place; what tells that they are current comes last."""
    digest = hashlib.sha256((made / NAME).read_bytes()).hexdigest()
    raw = hashlib.sha256((made / "tiny.raw").read_bytes()).hexdigest()
    (made / f"{NAME}.sha256").write_text(f"{digest}  {NAME}\n", encoding="utf-8")
    told = {"recipe": recipe_id(), "checksum": f"sha256:{digest}", "size": SIZE * SECTOR, "raw": f"sha256:{raw}"}
    (made / "tiny.json").write_text(json.dumps(told, indent=1) + "\n", encoding="utf-8")
    (cache / "tiny.json").unlink(missing_ok=True)
    for name in ("tiny.vmlinuz", "tiny.initrd", "tiny.volume", NAME, f"{NAME}.sha256", "tiny.json"):
        (made / name).replace(cache / name)


class Builder:
    """Makes the image in the directory work of a tree of Debian's packages."""

    def __init__(self, tree: Path) -> None:
        self.tree = tree
        self.work = tree / WORK

    def inside(self, *words: str) -> str:
        """Run one of the tree's own programs, in the directory work."""
        return run(["chroot", str(self.tree), "/bin/busybox", "sh", "-c", 'cd /work && exec "$@"', "sh", *words]).stdout

    def build(self) -> None:
        self.unpack()
        self.kernel = self.one("boot/vmlinuz-*")
        self.version = self.kernel.name.removeprefix("vmlinuz-")
        self.work.mkdir()
        shutil.copyfile(self.kernel, self.work / "tiny.vmlinuz")
        self.make_early()
        self.make_volume()
        self.make_root()
        self.make_boot()
        self.make_disk()
        self.inside("zstd", "-q", "-10", "tiny.raw", "-o", NAME)

    def unpack(self) -> None:
        """Packages without their configuration: their programs need none."""
        command = ["mmdebstrap", "--mode=root", "--variant=extract", f"--keyring={KEYRING}"]
        command += [f"--include={','.join(PACKAGES)}", "--dpkgopt=path-exclude=/usr/share/doc/*"]
        command += [f"--aptopt={option}" for option in mirrors.fetch_options()]
        run([*command, RELEASE, str(self.tree), *mirrors.source_lines(RELEASE)], timeout=900)

    def one(self, pattern: str) -> Path:
        found = sorted(self.tree.glob(pattern))
        if len(found) != 1:
            raise LabError(f"tiny: Debian's packages have {len(found)} files {pattern} instead of one")
        return found[0]

    def make_early(self) -> None:
        """The initial RAM file system: drivers, and the way to the disk."""
        top = self.work / "early"
        (top / "bin").mkdir(parents=True)
        (top / "modules").mkdir()
        shutil.copy(self.tree / "bin/busybox", top / "bin/busybox")
        (top / "bin/sh").symlink_to("busybox")
        install(FILES / "early", top / "init")
        self.copy_modules(self.module_files(MODULES), top / "modules", "order")
        self.archive("early", "tiny.initrd")

    def make_volume(self) -> None:
        """What the initial RAM file system needs besides to find its disk behind the network; a file of its own.

        Whoever puts the image onto a volume puts this beside the kernel, as /volume.
        """
        top = self.work / "volume"
        (top / "modules").mkdir(parents=True)
        install(FILES / "volume", top / "volume")
        has = self.module_files(MODULES)
        needed = [one for one in self.module_files((*MODULES, *VOLUME_MODULES)) if one not in has]
        self.copy_modules(needed, top / "modules", "volume")
        self.copy_with_libraries("sbin/iscsistart", top)
        self.archive("volume", "tiny.volume")

    @staticmethod
    def copy_modules(files: list[Path], place: Path, order: str) -> None:
        for module in files:
            shutil.copy(module, place / module.name)
        (place / order).write_text("".join(f"{module.name}\n" for module in files), encoding="utf-8")

    def archive(self, directory: str, name: str) -> None:
        words = f"cd {directory} && busybox find . | busybox cpio -o -H newc -R 0:0 >../{name}"
        self.inside("busybox", "sh", "-c", words)

    def module_files(self, wanted: tuple[str, ...]) -> list[Path]:
        """The modules and what each needs, in an order in which they can be loaded."""
        run(["chroot", str(self.tree), "depmod", self.version])
        home = self.tree / "lib/modules" / self.version
        needs: dict[str, tuple[str, list[str]]] = {}
        for line in (home / "modules.dep").read_text(encoding="utf-8").splitlines():
            path, _colon, others = line.partition(":")
            needs[module_name(path)] = path, others.split()
        found: list[str] = []
        for name in wanted:
            if name not in needs:
                raise LabError(f"tiny: Debian's kernel {self.version} has no module {name}")
            path, deeper = needs[name]
            # Whom a module needs stands after it, the deepest last.
            found += [one for one in [*reversed(deeper), path] if one not in found]
        return [home / path for path in found]

    def make_root(self) -> None:
        top = self.work / "root"
        for name in ("bin", "sbin", "usr/bin", "usr/sbin", "dev", "proc", "sys", "run", "etc/tiny", "etc/dropbear"):
            (top / name).mkdir(parents=True)
        for name in ("var/log", "var/lib/tiny", "etc/acpi/PWRF"):
            (top / name).mkdir(parents=True)
        for name, mode in {"root": 0o700, "tmp": 0o1777}.items():
            (top / name).mkdir()
            (top / name).chmod(mode)
        shutil.copy(self.tree / "bin/busybox", top / "bin/busybox")
        for applet in self.inside("busybox", "--list").split():
            if applet != "busybox":
                (top / "bin" / applet).symlink_to("/bin/busybox")
        (top / "sbin/init").symlink_to("/bin/busybox")
        for program in PROGRAMS:
            self.copy_with_libraries(program, top)
        for script in SCRIPTS:
            install(FILES / script, top / "etc/tiny" / script)
        install(FILES / "power-button", top / "etc/acpi/PWRF/00000080")
        install(FILES / "inittab", top / "etc/inittab", 0o644)
        small = {
            "etc/hostname": "tiny\n",
            "etc/passwd": "root:x:0:0:root:/root:/bin/sh\n",
            "etc/group": "root:x:0:\n",
            "etc/shadow": "root:*:19000:0:99999:7:::\n",
            "etc/shells": "/bin/sh\n",
            "etc/resolv.conf": "",
            "etc/os-release": f'ID=tiny\nPRETTY_NAME="tiny image of the weft.fabric lab, {recipe_id()}"\n',
        }
        for name, text in small.items():
            (top / name).write_text(text, encoding="utf-8")
        (top / "etc/shadow").chmod(0o600)

    def copy_with_libraries(self, program: str, top: Path) -> None:
        loader = "lib64/ld-linux-x86-64.so.2"
        words = run(["chroot", str(self.tree), f"/{loader}", "--list", f"/{program}"]).stdout.split()
        for name in [program, *(word.lstrip("/") for word in words if word.startswith("/"))]:
            target = top / name
            target.parent.mkdir(parents=True, exist_ok=True)
            # Links among libraries are followed: each is there under the name that it is asked for by.
            if not target.exists():
                shutil.copy((self.tree / name).resolve(), target)

    def make_boot(self) -> None:
        """The EFI system partition, from which GRUB takes the kernel in both modes."""
        prefix = ["-p", "(,gpt2)/grub"]
        self.inside("grub-mkimage", "-O", "x86_64-efi", "-o", "grub.efi", *prefix, *GRUB_MODULES)
        self.inside("grub-mkimage", "-O", "i386-pc", "-o", "core.img", *prefix, "biosdisk", *GRUB_MODULES)
        shutil.copyfile(self.tree / "usr/lib/grub/i386-pc/boot.img", self.work / "boot.img")
        install(FILES / "grub.cfg", self.work / "grub.cfg", 0o644)
        sized(self.work / "boot.part", BOOT_PART)
        self.inside("mkfs.fat", "-n", "TINY-BOOT", "boot.part")
        self.inside("mmd", "-i", "boot.part", "::EFI", "::EFI/BOOT", "::grub")
        for source, target in {
            "grub.efi": "EFI/BOOT/BOOTX64.EFI",
            "grub.cfg": "grub/grub.cfg",
            "tiny.vmlinuz": "vmlinuz",
            "tiny.initrd": "initrd",
        }.items():
            self.inside("mcopy", "-i", "boot.part", source, f"::{target}")

    def make_disk(self) -> None:
        sized(self.work / "root.part", ROOT_PART)
        self.inside("mke2fs", "-q", "-F", "-t", "ext4", "-L", "tiny-root", "-d", "root", "root.part")
        disk = self.work / "tiny.raw"
        sized(disk, (0, SIZE - 1))
        parts = [(BIOS_PART, "ef02", "bios"), (BOOT_PART, "ef00", "boot"), (ROOT_PART, "8304", "root")]
        words = ["-a", "1"]
        for number, ((first, last), kind, name) in enumerate(parts, 1):
            words += ["-n", f"{number}:{first}:{last}", "-t", f"{number}:{kind}", "-c", f"{number}:{name}"]
        self.inside("sgdisk", *words, "tiny.raw")
        with disk.open("r+b") as file:
            for name, (first, _last) in {"boot.part": BOOT_PART, "root.part": ROOT_PART}.items():
                file.seek(first * SECTOR)
                file.write((self.work / name).read_bytes())
            embed((self.work / "boot.img").read_bytes(), (self.work / "core.img").read_bytes(), file)


def embed(boot: bytes, core: bytes, disk: BinaryIO) -> None:
    """Do what grub-bios-setup does, which wants a block device: the first stages find each other by sector."""
    first, last = BIOS_PART
    if len(core) > (last - first + 1) * SECTOR:
        raise LabError(f"tiny: GRUB has {len(core)} bytes, too many for its partition")
    stage = bytearray(boot[:440])
    # Where boot.img finds the next sector, and its check of the drive's number, which some BIOSes tell wrongly.
    struct.pack_into("<Q", stage, 0x5C, first)
    stage[0x66:0x68] = b"\x90\x90"
    rest = bytearray(core)
    # The first sector of core.img has a list of where the others are; grub-mkimage has filled in how many.
    struct.pack_into("<Q", rest, SECTOR - 12, first + 1)
    # The first 440 bytes are code; after them come the disk's number and the protective partition table.
    disk.seek(0)
    disk.write(stage)
    disk.seek(first * SECTOR)
    disk.write(rest)


def sized(file: Path, sectors: tuple[int, int]) -> None:
    with file.open("wb") as empty:
        empty.truncate((sectors[1] - sectors[0] + 1) * SECTOR)


def install(source: Path, target: Path, mode: int = 0o755) -> None:
    shutil.copyfile(source, target)
    target.chmod(mode)


def module_name(path: str) -> str:
    return path.rpartition("/")[2].partition(".")[0].replace("-", "_")
