# Copyright (c) 2026 weft.fabric contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a server has and a virtual machine has not: UEFI, an Intel network card, controllers for disks, a BMC."""

from __future__ import annotations

import shutil
import typing as t
from pathlib import Path

import pytest

from ansible_collections.weft.fabric.tests.soak.ramdisk.conftest import Site
from ansible_collections.weft.fabric.tests.soak.ramdisk.guest import READY, Guest, identity, ssh

FIRMWARE = Path("/usr/share/OVMF")
# Device of QEMU's, by the serial number of the disk behind it.
DISKS = {
    "weft-sata": "ide-hd,bus=ide.0",
    "weft-nvme": "nvme",
    "weft-raid": "scsi-hd,bus=raid.0",
    "weft-usb": "usb-storage,bus=usb.0",
}


def machine(directory: Path) -> list[str]:
    """Return the words of such a machine."""
    shutil.copy(FIRMWARE / "OVMF_VARS_4M.fd", directory / "vars")
    words = ["-drive", f"if=pflash,format=raw,readonly=on,file={FIRMWARE}/OVMF_CODE_4M.fd"]
    words += ["-drive", f"if=pflash,format=raw,file={directory}/vars", "-device", "virtio-rng-pci"]
    words += ["-device", "ipmi-bmc-sim,id=bmc", "-device", "isa-ipmi-kcs,bmc=bmc"]
    words += ["-device", "megasas,id=raid", "-device", "qemu-xhci,id=usb"]
    for serial, device in DISKS.items():
        with (directory / serial).open("wb") as stream:
            stream.truncate(64 << 20)
        words += ["-drive", f"if=none,id={serial},format=raw,file={directory}/{serial}"]
        words += ["-device", f"{device},drive={serial},serial={serial}"]
    return words


@pytest.fixture(scope="module")
def guest(site: Site, ramdisk_for_servers: Path) -> t.Iterator[Guest]:
    directory = site.directory / "server"
    directory.mkdir()
    found = site.guest(
        "server",
        identity(site.keys),
        ramdisk=ramdisk_for_servers,
        memory=1024,
        machine=machine(directory),
        nic="e1000e",
    )
    try:
        found.says(READY, 180)
        print(f"\npower on to sshd {found.age():.1f} s with UEFI, QEMU's peak {found.peak_memory()} MiB")
        yield found
    finally:
        found.close()


def run(site: Site, *words: str) -> str:
    done = ssh(site.keys, *words)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize("serial", sorted(DISKS))
def test_each_disk_is_there_by_its_serial_number(site: Site, guest: Guest, serial: str) -> None:
    found = run(site, "udevadm settle; lsblk --nodeps --noheadings --output SERIAL; ls /dev/disk/by-id")
    assert serial in found


def test_uefi_takes_a_boot_entry(site: Site, guest: Guest) -> None:
    assert "BootOrder" in run(site, "efibootmgr")
    run(site, "sgdisk --new=1:0:+32M --typecode=1:ef00 /dev/nvme0n1 && udevadm settle")
    entry = r"efibootmgr --create --disk /dev/nvme0n1 --part 1 --label weft --loader '\EFI\BOOT\BOOTX64.EFI'"
    assert "weft" in run(site, entry)
    assert "weft" in run(site, "efibootmgr")


def test_the_bmc_answers(site: Site, guest: Guest) -> None:
    assert "IPMI Version" in run(site, "udevadm settle; until [ -e /dev/ipmi0 ]; do sleep 1; done; ipmitool mc info")
