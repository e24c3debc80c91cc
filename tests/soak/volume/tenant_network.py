# Copyright (c) 2026 weft.fabric contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a node finds in the network in which it boots from a volume, made by the collection's own texts and engines."""

from __future__ import annotations

import contextlib
import hashlib
import re
import shutil
import subprocess
import time
import typing as t
from pathlib import Path

from ansible_collections.weft.fabric.plugins.plugin_utils.topology.compile.dhcp import BOOTS, TEMPLATE
from ansible_collections.weft.fabric.plugins.plugin_utils.topology.compile.template import render
from ansible_collections.weft.fabric.tests.unit.namespaces.private_network import ip
from ansible_collections.weft.fabric.tests.unit.netboot.machine import (
    ADDRESSES,
    CLIENTS,
    MACS,
    SERVER,
    BootNet,
    boot,
)

GATEWAY = "10.66.100.1"  # of the tenant's DHCP server, and of his volume
IQN = "iqn.2016-01.example:disk-1"
USER, PASSWORD = "db", "chap-secret-42"
FIRMWARE = Path("/usr/share/OVMF")
_INSIDE = ["ip", "netns", "exec", CLIENTS]
# Never KVM: that it opens does not mean that a stock kernel ever boots.
_MACHINE = "-M q35,smm=off,graphics=off -cpu max -accel tcg,thread=multi,tb-size=256 -smp 1 -nodefaults -display none"


class TenantNetwork:
    """The bridge of BootNet, whose clients are a tenant's machines here."""

    def __init__(self, net: BootNet, directory: Path, disk: Path) -> None:
        self.net = net
        self.directory = directory
        self.disk = disk
        self._dhcp: subprocess.Popen[bytes] | None = None
        self._tgtadm = ["tgtadm", "-C", "31", "--lld", "iscsi"]

    def __enter__(self) -> TenantNetwork:
        # The addresses are the nodes' own now.
        ip(
            "addr flush dev br0 scope global",
            f"addr add {GATEWAY}/24 dev br0",
            "link set lo up",
            "tuntap add node mode tap",
            "link set node master br0 up",
            namespace=CLIENTS,
        )
        self.net.run(self.net.server(volumes=True, ra_prefix=None))
        self._serve_dhcp()
        self._export()
        return self

    def __exit__(self, *_exception: object) -> None:
        if self._dhcp is not None:
            self._dhcp.terminate()
            self._dhcp.wait(10)
        for words in ("delete --mode target --tid 1 --force", "delete --mode system"):
            subprocess.run([*self._tgtadm, "--op", *words.split()], check=False, capture_output=True)

    def _serve_dhcp(self) -> None:
        place = self.directory / "dhcp"
        place.mkdir()
        (place / "hosts").write_text(f"{MACS['n1']},set:{BOOTS},{ADDRESSES['n1']},db-1\n", encoding="utf-8")
        for name in ("options", "names", "leases"):
            (place / name).touch()
        values = {"tag": "v4", "ip_version": 4, "start": "10.66.100.0", "netmask": "255.255.255.0"}
        text = render(
            TEMPLATE,
            None,
            network="red/metal",
            interface="br0",
            addresses=[GATEWAY],
            domain="",
            mtu=1500,
            ranges=[{**values, "lease_time": "3600"}],
            lease_max=256,
            directory=str(place),
            boot_server={"address": SERVER, "url": f"http://{SERVER}", "tag": BOOTS},
        )
        (place / "dnsmasq.conf").write_text(f"{text}user=root\nlog-dhcp\nlog-facility={place}/log\n", encoding="utf-8")
        words = [*_INSIDE, "dnsmasq", "--keep-in-foreground", f"--conf-file={place}/dnsmasq.conf"]
        self._dhcp = subprocess.Popen([*words, f"--pid-file={place}/pid"], stdin=subprocess.DEVNULL)

    def _export(self) -> None:
        subprocess.run([*_INSIDE, "tgtd", "-C", "31", "--iscsi", f"portal={GATEWAY}:3260"], check=True)
        end = time.monotonic() + 10
        show = [*self._tgtadm, "--op", "show", "--mode", "target"]
        while subprocess.run(show, capture_output=True, check=False).returncode:
            assert time.monotonic() < end, "tgtd did not come up"
            time.sleep(0.1)
        for words in (
            f"new --mode target --tid 1 -T {IQN}",
            f"new --mode logicalunit --tid 1 --lun 1 -b {self.disk}",
            f"new --mode account --user {USER} --password {PASSWORD}",
            f"bind --mode account --tid 1 --user {USER}",
            "bind --mode target --tid 1 -I ALL",
        ):
            subprocess.run([*self._tgtadm, "--op", *words.split()], check=True)

    def lead(self, **changes: t.Any) -> None:
        """Say which volume the node boots from."""
        iscsi = {"portal": GATEWAY, "target": IQN, "initiator": "iqn.2016-01.example:n1", "lun": 1}
        self.net.boot(boot("iscsi", iscsi={**iscsi, "username": USER, "password": PASSWORD, **changes}))

    def sessions(self) -> str:
        """Return who is logged in to the volume."""
        words = [*self._tgtadm, "--op", "show", "--mode", "conn", "--tid", "1"]
        return subprocess.run(words, check=True, capture_output=True, text=True).stdout

    def digest(self) -> str:
        return hashlib.sha256(self.disk.read_bytes()).hexdigest()

    def asked(self) -> str:
        """Return what the tenant's DHCP server was asked, and said."""
        return (self.directory / "dhcp/log").read_text(encoding="utf-8")

    @contextlib.contextmanager
    def node(self, boot_mode: str, name: str = "node") -> t.Iterator[Node]:
        found = Node(self.directory, boot_mode, name)
        try:
            yield found
        finally:
            found.close()


class Node:
    """A machine that has no disk, and whose firmware boots from the network."""

    def __init__(self, directory: Path, boot_mode: str, name: str) -> None:
        self._console = directory / f"{name}.console"
        words = [*_INSIDE, "qemu-system-x86_64", *_MACHINE.split(), "-m", "768", "-serial", f"file:{self._console}"]
        words += ["-object", "rng-builtin,id=random", "-device", "virtio-rng-pci,rng=random"]
        words += ["-netdev", "tap,id=cable,ifname=node,script=no,downscript=no,vnet_hdr=off"]
        nic = f"virtio-net-pci,netdev=cable,mac={MACS['n1']},bootindex=0"
        if boot_mode == "uefi":
            variables = directory / f"{name}.vars"
            shutil.copyfile(FIRMWARE / "OVMF_VARS_4M.fd", variables)
            words += ["-drive", f"if=pflash,unit=0,format=raw,readonly=on,file={FIRMWARE / 'OVMF_CODE_4M.fd'}"]
            words += ["-drive", f"if=pflash,unit=1,format=raw,file={variables}"]
            words += ["-fw_cfg", "name=opt/org.tianocore/IPv6PXESupport,string=n"]
            # OVMF has a network boot of its own, and would start the ROM's beside it.
            nic += ",romfile="
        with (directory / f"{name}.log").open("wb") as log:
            self._process = subprocess.Popen([*words, "-device", nic], stdin=subprocess.DEVNULL, stdout=log, stderr=log)

    def console(self) -> str:
        text = self._console.read_bytes().decode("utf-8", "replace") if self._console.exists() else ""
        return re.sub(r"\x1b(\[[0-9;?=]*[A-Za-z]|[()].|c)", "", text).replace("\r", "")

    def says(self, pattern: str, seconds: float = 180) -> re.Match[str]:
        """Wait for a line on the console."""
        end = time.monotonic() + seconds
        while not (found := re.search(pattern, self.console(), re.M)):
            assert self._process.poll() is None, f"off, and never said {pattern}: {self.console()[-2000:]}"
            assert time.monotonic() < end, f"waited {seconds} s in vain for {pattern}: {self.console()[-2000:]}"
            time.sleep(0.1)
        return found

    def close(self) -> None:
        with contextlib.suppress(ProcessLookupError):
            self._process.kill()
        self._process.wait(10)
