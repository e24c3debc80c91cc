# Copyright (c) 2026 weft.fabric contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Nodes of metal: machines of QEMU that are off until their BMC is told otherwise, and whose disks outlast them."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from weft_lab import bmcs, network
from weft_lab.accelerator import QEMU
from weft_lab.bmcs import folder
from weft_lab.definition import Lab
from weft_lab.node_definition import BMC_USER, Node, NodeDisk, NodeNic
from weft_lab.system import LabError, each, kill_all, missing_packages, process_start, run, write_file

TOOLS = {QEMU: "qemu-system-x86", "ipmi_sim": "openipmi", "openssl": "openssl"}
CODE = Path("/usr/share/OVMF/OVMF_CODE_4M.fd")
VARIABLES = Path("/usr/share/OVMF/OVMF_VARS_4M.fd")
BOOT_ROM = Path("/usr/lib/ipxe/qemu/efi-virtio.rom")
FILES = {CODE: "ovmf", VARIABLES: "ovmf", BOOT_ROM: "ipxe-qemu"}
# What runs for a node: its machine, its BMC, and what goes between them.
WORKERS = (QEMU, "ipmi_sim", "redfish_bmc.py", "chassis.py")
# What is not stopped for each of these takes the firmware a minute or more to give up.
UEFI_ONLY_IPV4 = ("-fw_cfg", "name=opt/org.tianocore/IPv6PXESupport,string=n")
UEFI_ONLY_HTTP = ("-fw_cfg", "name=opt/org.tianocore/IPv4PXESupport,string=n")


def require_tools(lab: Lab) -> None:
    if not lab.nodes:
        return
    missing = set(missing_packages(TOOLS)) | {package for file, package in FILES.items() if not file.exists()}
    if missing:
        words = " ".join(sorted(missing))
        raise LabError(f"the lab's nodes need more than is on this machine. Install with: apt-get install {words}")


def store(lab: Lab, node: Node) -> Path:
    """What outlasts a power cut: disks, and the firmware's variables."""
    return lab.disks / "nodes" / node.name


def disk_file(lab: Lab, node: Node, disk: NodeDisk) -> Path:
    return store(lab, node) / f"{disk.name}.raw"


def console(lab: Lab, node: Node) -> Path:
    return folder(lab, node) / "console.log"


def machine_words(lab: Lab, node: Node, emulation: Sequence[str]) -> list[str]:
    """QEMU's command line but for the devices that it may boot from."""
    place = folder(lab, node)
    words = [
        "nsenter",
        f"--net={network.NAMESPACES / lab.fabric}",
        shutil.which(QEMU) or QEMU,
        *("-name", f"{lab.name}-{node.name}"),
        *("-nodefaults", "-no-user-config", "-display", "none"),
        # Without graphics the BIOS, and what it loads, shows on the serial console what it would show on a screen.
        *("-machine", "q35,smm=off,graphics=off"),
        *emulation,
        *("-smp", "1", "-m", str(node.memory)),
        *("-uuid", str(bmcs.identity(lab, node))),
        *("-smbios", f"type=1,manufacturer=weft.fabric,product=lab node,serial={lab.name}-{node.name}"),
        *("-chardev", f"file,id=console,path={console(lab, node)},append=on", "-serial", "chardev:console"),
        *("-qmp", f"unix:{place / 'qmp.sock'},server=on,wait=off"),
        # Without it the firmware's network boot has no random numbers, and does not start.
        *("-object", "rng-builtin,id=random", "-device", "virtio-rng-pci,rng=random"),
    ]
    if node.boot_mode == "uefi":
        words += ["-drive", f"if=pflash,unit=0,format=raw,readonly=on,file={CODE}"]
        words += ["-drive", f"if=pflash,unit=1,format=raw,file={store(lab, node) / 'variables.fd'}"]
        words += UEFI_ONLY_IPV4
    for nic in node.nics:
        # A switch in userspace on the way would not fill in the checksums that a virtio header leaves out.
        words += ["-netdev", f"tap,id={nic.name}-cable,ifname={nic.tap},script=no,downscript=no,vnet_hdr=off"]
    for disk in node.disks:
        # What the guest flushes need not reach the machine's own disk: a power cut here ends QEMU, not the machine.
        file = disk_file(lab, node, disk)
        words += ["-drive", f"if=none,id={disk.name}-file,file={file},format=raw,discard=unmap,cache=unsafe"]
    return words


def nic_device(node: Node, nic: NodeNic) -> str:
    # OVMF has a network boot of its own, and would start the ROM's beside it.
    rom = ",romfile=" if node.boot_mode == "uefi" else ""
    return f"virtio-net-pci,id={nic.name},netdev={nic.name}-cable,mac={nic.mac}{rom}"


def disk_device(disk: NodeDisk) -> str:
    kind = "nvme" if disk.bus == "nvme" else "virtio-blk-pci"
    return f"{kind},id={disk.name},drive={disk.name}-file,serial={disk.serial}"


def settings(lab: Lab, node: Node, emulation: Sequence[str]) -> dict[str, Any]:
    """What chassis.py has to know to start the machine."""
    return {
        "name": node.name,
        "command": machine_words(lab, node, emulation),
        "disks": {disk.name: disk_device(disk) for disk in node.disks},
        "nics": {nic.name: nic_device(node, nic) for nic in node.nics},
        "http": list(UEFI_ONLY_HTTP),
    }


def furnish(lab: Lab, node: Node, emulation: Sequence[str]) -> None:
    folder(lab, node).mkdir(mode=0o700, parents=True, exist_ok=True)
    store(lab, node).mkdir(mode=0o700, parents=True, exist_ok=True)
    for disk in node.disks:
        file = disk_file(lab, node, disk)
        if not file.exists():
            with file.open("wb") as empty:
                empty.truncate(disk.size)
    variables = store(lab, node) / "variables.fd"
    if node.boot_mode == "uefi" and not variables.exists():
        shutil.copyfile(VARIABLES, variables)
    write_file(folder(lab, node) / "node.json", json.dumps(settings(lab, node, emulation), indent=1) + "\n")
    bmcs.furnish(lab, node)


def pid(lab: Lab, node: Node) -> int | None:
    with contextlib.suppress(FileNotFoundError, ValueError):
        number, _space, started = (folder(lab, node) / "pid").read_text(encoding="utf-8").partition(" ")
        if process_start(int(number)) == started:
            return int(number)
    return None


def faults(lab: Lab, node: Node) -> list[str]:
    with contextlib.suppress(FileNotFoundError):
        return sorted(set((folder(lab, node) / "faults").read_text(encoding="utf-8").split()))
    return []


def pulled(lab: Lab, node: Node) -> set[str]:
    file = folder(lab, node) / "pulled.json"
    return set(json.loads(file.read_text(encoding="utf-8"))) if file.exists() else set()


def remember_pulled(lab: Lab, node: Node, nics: set[str]) -> None:
    write_file(folder(lab, node) / "pulled.json", json.dumps(sorted(nics)))


def is_ready(lab: Lab, node: Node) -> bool:
    """Whether its BMC can be spoken to. Whether the node is on is not the lab's business, but the BMC's."""
    return bmcs.state(lab, node) != "off" and (folder(lab, node) / "node.json").exists()


def is_ill(lab: Lab, node: Node) -> bool:
    return bmcs.state(lab, node) == "silent" or bool(faults(lab, node)) or bool(pulled(lab, node))


def ensure_all(lab: Lab, emulation: Sequence[str]) -> None:
    if lab.nodes:
        bmcs.furnish_common(lab)
    each(lab.nodes, lambda node: ensure(lab, node, emulation))


def ensure(lab: Lab, node: Node, emulation: Sequence[str]) -> None:
    if not is_ready(lab, node):
        furnish(lab, node, emulation)
        bmcs.stop(lab, node)
        bmcs.start(lab, node)


def repair(lab: Lab, node: Node) -> None:
    bmcs.resume(lab, node)
    (folder(lab, node) / "faults").unlink(missing_ok=True)
    for nic in sorted(pulled(lab, node)):
        network.set_tap(lab, node, nic, True)
    remember_pulled(lab, node, set())


def power(lab: Lab, node: Node, on: bool) -> None:
    """What a person at the machine would do, past the BMC: pull the cord, press the button."""
    if on:
        run([*bmcs.chassis_command(lab, node), "set", "power", "1"])
    else:
        kill_all(lambda: [one for one in [pid(lab, node)] if one is not None], what=node.name)


@contextlib.contextmanager
def undisturbed(lab: Lab, node: Node) -> Iterator[None]:
    """Wait for a command of the BMC that is under way, and let no other begin."""
    place = folder(lab, node)
    if not place.is_dir():
        yield
        return
    descriptor = os.open(place / "lock", os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def take_away(lab: Lab, node: Node) -> None:
    bmcs.stop(lab, node)
    with undisturbed(lab, node):
        # What the BMC started before it ended finds no settings, and starts nothing.
        (folder(lab, node) / "node.json").unlink(missing_ok=True)
        power(lab, node, on=False)
    # What is left notes the machine's end, and would end by itself.
    kill_all(lambda: list(workers(folder(lab, node))), what=node.name)
    network.remove_taps(lab, node)
    shutil.rmtree(folder(lab, node), ignore_errors=True)
    shutil.rmtree(store(lab, node), ignore_errors=True)


def workers(directory: Path) -> dict[int, str]:
    """Processes that work for nodes with files below a directory, found by their command lines."""
    found = {}
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit() or not process_start(int(entry.name)):
            continue
        try:
            words = (entry / "cmdline").read_bytes().decode(errors="replace").split("\0")
        except OSError:
            continue
        program = next((name for name in WORKERS if any(word.rpartition("/")[2] == name for word in words[:7])), None)
        if program and any(f"{directory}/" in f"{word}/" for word in words):
            found[int(entry.name)] = program
    return found


def remains(lab: Lab) -> list[str]:
    """Processes that work for a node of this lab, even if nothing else is known of them any more."""
    return [f"process {pid} ({name})" for pid, name in sorted(workers(lab.state / "nodes").items())]


def status(lab: Lab, node: Node, links: dict[str, bool]) -> dict[str, Any]:
    number = pid(lab, node)
    bmc: dict[str, Any] = {
        "protocol": node.bmc.protocol,
        "address": "127.0.0.1",
        "port": node.bmc.port,
        "username": BMC_USER,
        "password_file": str(bmcs.password_file(lab)),
        "state": bmcs.state(lab, node),
    }
    if node.bmc.protocol == "redfish":
        bmc["fingerprint_file"] = str(bmcs.fingerprint_file(lab, node))
    return {
        "state": "off" if number is None else "on",
        "pid": number,
        "boot_mode": node.boot_mode,
        "bmc": bmc,
        "macs": {nic.name: nic.mac for nic in node.nics},
        "ports": {nic.name: f"{nic.switch} {nic.port}" if nic.switch else nic.network for nic in node.nics},
        "links": {nic.name: "up" if links.get(nic.tap) else "down" for nic in node.nics},
        "disks": {disk.name: str(disk_file(lab, node, disk)) for disk in node.disks},
        "console": str(console(lab, node)),
        "faults": faults(lab, node),
    }
