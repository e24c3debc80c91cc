# Copyright (c) 2026 weft.fabric contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A machine with disks that are files, images made by the tools everybody uses, and servers that serve or do not."""

from __future__ import annotations

import contextlib
import hashlib
import http.server
import json
import os
import socket
import subprocess
import threading
import time
import typing as t
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

from ansible_collections.weft.fabric.plugins.module_utils.disk_list import Places
from ansible_collections.weft.fabric.plugins.module_utils.disk_progress import Progress
from ansible_collections.weft.fabric.plugins.module_utils.image_write import ImageWriter, Place

MIB = 1 << 20

__all__ = ["uuid4"]

Item = dict[str, t.Any]


def tool(*words: str, data: str = "", **environ: str) -> str:
    """Run a program that must succeed, and return what it prints."""
    done = subprocess.run(
        words, input=data, capture_output=True, text=True, check=False, timeout=120, env={**os.environ, **environ}
    )
    assert done.returncode == 0, f"{words}: {done.stdout}{done.stderr}"
    return done.stdout


class Machine:
    """Places below a directory, that look as the kernel's and udev's do."""

    def __init__(self, root: Path):
        self.root = root
        self.places = Places(*(str(root / name) for name in ("sys", "dev", "udev", "proc")))
        for name in ("sys/block", "dev", "udev", "proc"):
            (root / name).mkdir(parents=True)
        (root / "proc/meminfo").write_text("MemTotal: 4000000 kB\nMemAvailable: 2000000 kB\n")
        self.progress = root / "run/progress.json"

    def add_disk(self, name: str = "vda", size: int = 96 * MIB, fill: bytes = b"", **facts: t.Any) -> Path:
        """Add a disk, full of something old."""
        path = self.root / "dev" / name
        with path.open("wb") as stream:
            old = (fill * (MIB // len(fill) + 1))[:MIB] if fill else b""
            for _number in range(size // MIB):
                stream.write(old)
            stream.truncate(size)
        base = self.root / "sys/block" / name
        (base / "queue").mkdir(parents=True)
        (base / "device").mkdir()
        values = {"dev": f"254:{len(os.listdir(base.parent))}", "size": size // 512, "removable": 0, "ro": 0, **facts}
        for key, value in values.items():
            where = base / key.replace("__", "/")
            where.parent.mkdir(exist_ok=True)
            where.write_text(f"{value}\n")
        (base / "queue/rotational").exists() or (base / "queue/rotational").write_text("0\n")
        return path

    def note(self, name: str, *lines: str) -> None:
        """Let udev have found out something about a disk."""
        numbers = (self.root / "sys/block" / name / "dev").read_text().strip()
        (self.root / "udev" / f"b{numbers}").write_text("".join(line + "\n" for line in lines))

    def place(self, sector_size: int | None = None) -> Place:
        return Place(self.places, str(self.root / "run"), Progress(str(self.progress), 0.05), sector_size=sector_size)

    def told(self) -> Item:
        return t.cast("Item", json.loads(self.progress.read_text()))

    def efivars(self) -> Path:
        """Let it have been started by UEFI."""
        path = self.root / "sys/firmware/efi/efivars"
        path.mkdir(parents=True)
        (path / "Lang-8be4df61-93ca-11d2-aa0d-00e098032b8c").write_bytes(b"\7\0\0\0eng\0")
        return path


def params(url: str, checksum: str, form: str = "raw", **more: t.Any) -> Item:
    """Return the arguments of disk_image, those not given with their defaults."""
    image = {"url": url, "checksum": checksum, "format": form, "size": more.pop("size", None), "name": None}
    return {
        "root_device": {},
        "image": image,
        "server_id": "server-1",
        "deployment": None,
        "config_drive": {
            "meta_data": {"hostname": "db-1"},
            "user_data": "#cloud-config\n",
            "network_data": {"links": []},
        },
        "grow": True,
        "boot_mode": "bios",
        "discard": True,
        "minimum_size": MIB,
        "stall_timeout": 5.0,
        "timeout": 60.0,
        "validate_certs": True,
        **more,
    }


def write(machine: Machine, given: Item, check_mode: bool = False, sector_size: int | None = None) -> Item:
    return t.cast("Item", ImageWriter(given, machine.place(sector_size)).run(check_mode))


def sha256(path: Path) -> str:
    return "sha256:" + hashlib.sha256(path.read_bytes()).hexdigest()


def make_image(path: Path, size: int = 64 * MIB, table: str = "gpt") -> Path:
    """Make the image of a disk: a partition for UEFI, and a file system with something in it, and holes."""
    root = path.with_suffix(".root")
    (root / "etc").mkdir(parents=True, exist_ok=True)
    (root / "etc/hostname").write_text("image\n")
    (root / "noise").write_bytes(os.urandom(9 * MIB))
    with path.open("wb") as stream:
        stream.truncate(size)
    kinds = {"gpt": ("U", "L"), "dos": ("ef", "83")}[table]
    tool(
        "sfdisk", "-q", str(path),
        data=f"label: {table}\nstart=2048, size=16384, type={kinds[0]}\nstart=18432, type={kinds[1]}\n",
    )  # fmt: skip
    end = json.loads(tool("sfdisk", "-J", str(path)))["partitiontable"]["partitions"][1]
    tool(
        "mke2fs", "-q", "-t", "ext4", "-F", "-d", str(root), "-E", f"offset={18432 * 512}", str(path),
        f"{end['size'] * 512 // 1024}K",
    )  # fmt: skip
    esp = path.with_suffix(".esp")
    with esp.open("wb") as stream:
        stream.truncate(8 * MIB)
    tool("mkfs.vfat", str(esp))
    loader = path.with_suffix(".efi")
    loader.write_bytes(b"MZ" + os.urandom(1000))
    tool("mmd", "-i", str(esp), "::/EFI", "::/EFI/BOOT")
    for name in ("BOOTX64.EFI", "BOOTAA64.EFI"):
        tool("mcopy", "-i", str(esp), str(loader), f"::/EFI/BOOT/{name}")
    with path.open("r+b") as stream:
        stream.write(b"boot code of a BIOS")
        stream.seek(MIB)
        stream.write(esp.read_bytes())
    return path


def packed(path: Path, form: str) -> Path:
    """Return the image in another format."""
    target = path.with_suffix("." + form)
    if form == "raw.zst":
        tool("zstd", "-qf", str(path), "-o", str(target))
    elif form == "raw.gz":
        target.write_bytes(subprocess.run(["gzip", "-1c", str(path)], capture_output=True, check=True).stdout)
    elif form == "qcow2":
        tool("qemu-img", "convert", "-c", "-f", "raw", "-O", "qcow2", str(path), str(target))
    return target


class Server:
    """An HTTP server. Behaviour is what a test makes of it: called with the request's handler, for each request."""

    def __init__(self, behaviour: t.Callable[[http.server.BaseHTTPRequestHandler], None]):
        self.requests: list[tuple[str, str | None]] = []
        self.times: list[float] = []
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                outer.requests.append((self.path, self.headers.get("Range")))
                outer.times.append(time.monotonic())
                with contextlib.suppress(ConnectionError):
                    behaviour(self)

            def log_message(self, *_words: object) -> None:
                pass

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}/image"

    def __enter__(self) -> Server:
        threading.Thread(target=self._server.serve_forever, args=[0.02], daemon=True).start()
        return self

    def __exit__(self, *_exception: object) -> None:
        self._server.shutdown()
        self._server.server_close()


def serve(path: Path) -> Server:
    """Serve a file, and parts of it, as servers do."""
    return Server(lambda handler: send(handler, path.read_bytes()))


def send(
    handler: http.server.BaseHTTPRequestHandler, content: bytes, most: int | None = None, tag: str = '"1"'
) -> None:
    """Answer with content, or with the part that is asked for. After most bytes the connection breaks."""
    start = 0
    asked = handler.headers.get("Range")
    if asked:
        start = int(asked.removeprefix("bytes=").partition("-")[0])
        handler.send_response(206)
        handler.send_header("Content-Range", f"bytes {start}-{len(content) - 1}/{len(content)}")
    else:
        handler.send_response(200)
    handler.send_header("Content-Length", str(len(content) - start))
    handler.send_header("ETag", tag)
    handler.end_headers()
    handler.wfile.write(content[start : None if most is None else start + most])
    if most is not None and start + most < len(content):
        handler.wfile.flush()
        handler.close_connection = True
        handler.connection.shutdown(socket.SHUT_RDWR)


@contextlib.contextmanager
def within(seconds: float) -> Iterator[None]:
    started = time.monotonic()
    yield
    taken = time.monotonic() - started
    assert taken <= seconds, f"it took {taken:.1f} s"
