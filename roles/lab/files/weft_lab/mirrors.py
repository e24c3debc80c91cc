# Copyright (c) 2026 weft.fabric contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Where Debian comes from: the running machine's own apt settings, else Debian's public names."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from weft_lab.system import run

DEFAULT_MIRROR = "http://deb.debian.org/debian"
DEFAULT_SECURITY = "http://deb.debian.org/debian-security"
# Only how to fetch is taken over, never what to install or where apt keeps its files.
TAKEN_OVER = re.compile(r"^Acquire::(https?::|Check-Date$|Check-Valid-Until$|ForceIPv[46]$|Retries$)", re.IGNORECASE)
OPTION = re.compile(r'^(?P<key>[A-Za-z0-9_:./+-]+) "(?P<value>[^"]*)";$')


@dataclass(frozen=True)
class Source:
    uri: str
    suites: tuple[str, ...]


def parse_one_line(text: str) -> list[Source]:
    """The classic form: deb [options] URI SUITE COMPONENT..."""
    found: list[Source] = []
    for line in text.splitlines():
        match = re.match(r"^\s*deb\s+(?:\[[^\]]*\]\s+)?(\S+)\s+(\S+)", line)
        if match:
            found.append(Source(match[1].rstrip("/"), (match[2],)))
    return found


def parse_deb822(text: str) -> list[Source]:
    """The stanza form of *.sources files."""
    found: list[Source] = []
    for stanza in re.split(r"\n\s*\n", text):
        fields: dict[str, str] = {}
        key = ""
        for line in stanza.splitlines():
            if line.startswith("#"):
                continue
            if line[:1].isspace():
                fields[key] = f"{fields.get(key, '')} {line.strip()}"
            elif ":" in line:
                key, _colon, value = line.partition(":")
                key = key.strip().lower()
                fields[key] = value.strip()
        if "deb" in fields.get("types", "").split() and fields.get("enabled", "yes").lower() not in ("no", "false"):
            suites = tuple(fields.get("suites", "").split())
            found.extend(Source(uri.rstrip("/"), suites) for uri in fields.get("uris", "").split())
    return found


def read_sources(directory: Path = Path("/etc/apt")) -> list[Source]:
    found: list[Source] = []
    for path in [directory / "sources.list", *sorted(directory.glob("sources.list.d/*.list"))]:
        if path.is_file():
            found += parse_one_line(path.read_text(encoding="utf-8", errors="replace"))
    for path in sorted(directory.glob("sources.list.d/*.sources")):
        found += parse_deb822(path.read_text(encoding="utf-8", errors="replace"))
    return found


def resolve(uri: str) -> str:
    """Cloud images name a local list of mirrors; its first line is the mirror."""
    prefix = "mirror+file:"
    if uri.startswith(prefix):
        for line in Path(uri[len(prefix) :]).read_text(encoding="utf-8").splitlines():
            words = line.split("#")[0].split()
            if words:
                return words[0].rstrip("/")
    return uri


def os_release(path: Path = Path("/etc/os-release")) -> dict[str, str]:
    pairs = (line.partition("=") for line in path.read_text(encoding="utf-8").splitlines() if "=" in line)
    return {key: value.strip('"') for key, _equals, value in pairs}


def choose(sources: list[Source], machine: dict[str, str]) -> tuple[str, str]:
    """The archive and the security archive; a Debian machine's own, else the public ones."""
    if machine.get("ID") != "debian":
        return DEFAULT_MIRROR, DEFAULT_SECURITY
    names = {machine.get("VERSION_CODENAME", ""), "stable", "testing", "unstable", "sid"} - {""}
    archive = next(
        (
            resolve(source.uri)
            for source in sources
            if names & set(source.suites) and re.search(r"debian|mirror\+file", source.uri)
        ),
        DEFAULT_MIRROR,
    )
    security = next(
        (resolve(source.uri) for source in sources if {f"{name}-security" for name in names} & set(source.suites)),
        DEFAULT_SECURITY,
    )
    return archive, security


def source_lines(release: str) -> list[str]:
    archive, security = choose(read_sources(), os_release())
    return [
        f"deb {archive} {release} main",
        f"deb {archive} {release}-updates main",
        f"deb {security} {release}-security main",
    ]


def fetch_options(dump: str | None = None) -> list[str]:
    """The machine's proxy, certificate and date settings as apt options."""
    text = run(["apt-config", "dump"]).stdout if dump is None else dump
    matches = (OPTION.match(line) for line in text.splitlines())
    return [
        f'{match["key"]} "{match["value"]}"'
        for match in matches
        if match and match["value"] and TAKEN_OVER.match(match["key"]) and not match["key"].endswith("::")
    ]
