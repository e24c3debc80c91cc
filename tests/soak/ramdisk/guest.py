# Copyright (c) 2026 weft.fabric contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A node that boots the deploy ramdisk: a machine of QEMU's, its console, and the way in."""

from __future__ import annotations

import contextlib
import io
import json
import os
import re
import shutil
import socket
import subprocess
import time
import typing as t
from pathlib import Path

from ansible_collections.weft.fabric.plugins.module_utils import newc

NODE = "n1"
DEPLOYMENT = "3f1c2b9a"
ADDRESS = "10.66.100.11"
MAC = "52:54:00:66:00:11"
OTHER_MAC = "52:54:00:66:00:12"
READY = r"weft: ready after (\d+) s"

# Never KVM: that it opens does not mean that a stock kernel ever boots.
_MACHINE = ["-M", "q35,smm=off", "-cpu", "max", "-accel", "tcg,thread=multi,tb-size=256", "-smp", "1", "-nodefaults"]


def wait_for(what: str, condition: t.Callable[[], t.Any], patience: float) -> t.Any:
    """Return what a condition gives as soon as it gives something."""
    deadline = time.monotonic() + patience
    while not (found := condition()):
        assert time.monotonic() < deadline, f"waited {patience:g} s in vain for {what}"
        time.sleep(0.05)
    return found


class Keys:
    """A deployer's key, a stranger's, and the host key of the ramdisk."""

    def __init__(self, directory: Path):
        self.directory = directory
        for name in ("deployer", "stranger", "host"):
            words = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", name, "-f", str(directory / name)]
            subprocess.run(words, check=True)

    def private(self, name: str) -> Path:
        return self.directory / name

    def public(self, name: str) -> str:
        return (self.directory / f"{name}.pub").read_text(encoding="utf-8")

    def known_hosts(self, name: str = "host") -> Path:
        """Return a known_hosts in which the ramdisk has the host key of that name."""
        path = self.directory / f"known_hosts.{name}"
        path.write_text(f"{ADDRESS} {self.public(name)}", encoding="utf-8")
        return path


def identity(keys: Keys, address: str = ADDRESS, mac: str = MAC) -> bytes:
    """Return the archive that the boot server gives to the node that it deploys."""
    stream = io.BytesIO()
    writer = newc.Writer(stream)
    # Linux makes none by itself, and this may be the first of the archives.
    for name in ("etc", "etc/ssh", "etc/weft", "root", "root/.ssh"):
        writer.directory(name)
    writer.file("etc/ssh/ssh_host_ed25519_key", keys.private("host").read_bytes(), 0o600)
    writer.file("root/.ssh/authorized_keys", keys.public("deployer").encode(), 0o600)
    told = {"node": NODE, "deployment": DEPLOYMENT, "address": address, "boot_mac": mac}
    writer.file("etc/weft/node.json", json.dumps(told).encode(), 0o600)
    writer.end()
    return stream.getvalue()


class Guest:
    """The machine. Its network cards are taps that are there already."""

    def __init__(
        self,
        directory: Path,
        ramdisk: Path,
        taps: dict[str, str],
        archive: bytes = b"",
        arguments: str = f"BOOTIF=01-{MAC.replace(':', '-')}",
        memory: int = 768,
        machine: t.Sequence[str] = ("-device", "virtio-rng-pci"),
        nic: str = "virtio-net-pci",
        identity_first: bool = False,
    ):
        self.directory = directory
        self.started = time.monotonic()
        initrd = directory / "initrd"
        # One after the other, as iPXE puts them into memory: in either order.
        with initrd.open("wb") as stream, (ramdisk / "initrd").open("rb") as base:
            stream.write(archive if identity_first else b"")
            shutil.copyfileobj(base, stream)
            stream.write(b"" if identity_first else archive)
        words = ["qemu-system-x86_64", *_MACHINE, "-m", str(memory), "-display", "none", *machine]
        words += ["-serial", f"file:{directory / 'console.log'}"]
        words += ["-qmp", f"unix:{directory / 'qmp'},server=on,wait=off"]
        words += ["-kernel", str(ramdisk / "vmlinuz"), "-initrd", str(initrd)]
        words += ["-append", f"console=ttyS0 panic=0 {arguments}"]
        for number, (tap, mac) in enumerate(taps.items()):
            words += ["-netdev", f"tap,id=net{number},ifname={tap},script=no,downscript=no,vnet_hdr=off"]
            words += ["-device", f"{nic},netdev=net{number},mac={mac},romfile="]
        # Its ends are this file, the console, and those who look at them.
        with (directory / "qemu.log").open("wb") as log:
            self.process = subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=log, stderr=log)

    def console(self) -> str:
        path = self.directory / "console.log"
        return path.read_text(encoding="utf-8", errors="replace") if path.exists() else ""

    def says(self, pattern: str, patience: float) -> re.Match[str]:
        """Wait for a line on the console; a machine that ends first will never say it."""

        def look() -> re.Match[str] | None:
            found = re.search(pattern, self.console())
            assert found or self.process.poll() is None, f"off, and never said {pattern}:\n{self.console()[-3000:]}"
            return found

        return t.cast("re.Match[str]", wait_for(f"{pattern} on the console", look, patience))

    def off(self, patience: float) -> float:
        """Wait until the machine is off. Return how many seconds that took."""
        began = time.monotonic()
        self.process.wait(patience)
        return time.monotonic() - began

    def press_power_button(self) -> None:
        with socket.socket(socket.AF_UNIX) as connection:
            connection.connect(str(self.directory / "qmp"))
            stream = connection.makefile("rw", encoding="utf-8")
            stream.readline()
            for command in ("qmp_capabilities", "system_powerdown"):
                stream.write(json.dumps({"execute": command}) + "\n")
                stream.flush()
                stream.readline()

    def age(self) -> float:
        """Return how many seconds ago it was switched on."""
        return time.monotonic() - self.started

    def peak_memory(self) -> int:
        """Return how much memory of this machine QEMU has needed, in MiB."""
        text = Path(f"/proc/{self.process.pid}/status").read_text(encoding="utf-8")
        return int(re.search(r"VmHWM:\s+(\d+) kB", text)[1]) // 1024

    def close(self) -> None:
        with contextlib.suppress(ProcessLookupError):
            self.process.kill()
        self.process.wait(10)


def ssh(
    keys: Keys, *words: str, key: str = "deployer", host_key: str = "host", options: t.Sequence[str] = ()
) -> subprocess.CompletedProcess[str]:
    """Run a command in the ramdisk, with a key of that name, if the host key is the one of that name."""
    command = ["ssh", "-F", "/dev/null", "-i", str(keys.private(key)), *options]
    for option in (
        "BatchMode=yes",
        "IdentitiesOnly=yes",
        "StrictHostKeyChecking=yes",
        "GlobalKnownHostsFile=/dev/null",
        f"UserKnownHostsFile={keys.known_hosts(host_key)}",
        "ConnectTimeout=20",
    ):
        command += ["-o", option]
    env = {key: value for key, value in os.environ.items() if key != "SSH_AUTH_SOCK"}
    return subprocess.run(
        [*command, f"root@{ADDRESS}", *words], capture_output=True, text=True, check=False, timeout=60, env=env
    )
