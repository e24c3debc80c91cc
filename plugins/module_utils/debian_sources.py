# Copyright (c) 2026 weft.fabric contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where Debian comes from: the running machine's own apt settings, else Debian's public names.

The lab, which no module has called, uses this as well: it imports nothing of the collection.
"""

from __future__ import annotations

import glob
import os
import re
import typing as t

DEFAULT_MIRROR = "http://deb.debian.org/debian"
DEFAULT_SECURITY = "http://deb.debian.org/debian-security"
KEYRING = "/usr/share/keyrings/debian-archive-keyring.gpg"

# Only how to fetch is taken over, never what to install or where apt keeps its files.
TAKEN_OVER = re.compile(r"^Acquire::(https?::|Check-Date$|Check-Valid-Until$|ForceIPv[46]$|Retries$)", re.IGNORECASE)
OPTION = re.compile(r'^(?P<key>[A-Za-z0-9_:./+-]+) "(?P<value>[^"]*)";$')


class Source(t.NamedTuple):
    """A line, or a stanza, of apt's sources."""

    uri: str
    suites: t.Tuple[str, ...]


def parse_one_line(text: str) -> t.List[Source]:
    """Read the classic form: deb [options] URI SUITE COMPONENT..."""
    found: t.List[Source] = []
    for line in text.splitlines():
        match = re.match(r"^\s*deb\s+(?:\[[^\]]*\]\s+)?(\S+)\s+(\S+)", line)
        if match:
            found.append(Source(match.group(1).rstrip("/"), (match.group(2),)))
    return found


def parse_deb822(text: str) -> t.List[Source]:
    """Read the stanza form of *.sources files."""
    found: t.List[Source] = []
    for stanza in re.split(r"\n\s*\n", text):
        fields = _fields(stanza)
        if "deb" in fields.get("types", "").split() and fields.get("enabled", "yes").lower() not in ("no", "false"):
            suites = tuple(fields.get("suites", "").split())
            found.extend(Source(uri.rstrip("/"), suites) for uri in fields.get("uris", "").split())
    return found


def _fields(stanza: str) -> t.Dict[str, str]:
    fields: t.Dict[str, str] = {}
    key = ""
    for line in stanza.splitlines():
        if line.startswith("#"):
            continue
        if line[:1].isspace():
            fields[key] = "%s %s" % (fields.get(key, ""), line.strip())
        elif ":" in line:
            key, _colon, value = line.partition(":")
            key = key.strip().lower()
            fields[key] = value.strip()
    return fields


def read_sources(directory: str = "/etc/apt") -> t.List[Source]:
    """Return all sources that a machine's apt has."""
    found: t.List[Source] = []
    lists = sorted(glob.glob(os.path.join(directory, "sources.list.d", "*.list")))
    for path in [os.path.join(directory, "sources.list")] + lists:
        if os.path.isfile(path):
            found += parse_one_line(_text(path))
    for path in sorted(glob.glob(os.path.join(directory, "sources.list.d", "*.sources"))):
        found += parse_deb822(_text(path))
    return found


def _text(path: str) -> str:
    with open(path, "r", encoding="utf-8", errors="replace") as stream:
        return stream.read()


def resolve(uri: str) -> str:
    """Return the mirror of a list of mirrors, its first line: cloud images name a local one."""
    prefix = "mirror+file:"
    if uri.startswith(prefix):
        for line in _text(uri[len(prefix) :]).splitlines():
            words = line.split("#")[0].split()
            if words:
                return words[0].rstrip("/")
    return uri


def os_release(path: str = "/etc/os-release") -> t.Dict[str, str]:
    """Return what a machine says it is."""
    pairs = (line.partition("=") for line in _text(path).splitlines() if "=" in line)
    return {key: value.strip('"') for key, _equals, value in pairs}


def choose(sources: t.List[Source], machine: t.Dict[str, str]) -> t.Tuple[str, str]:
    """Return the archive and the security archive; a Debian machine's own, else the public ones."""
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
        (resolve(source.uri) for source in sources if {name + "-security" for name in names} & set(source.suites)),
        DEFAULT_SECURITY,
    )
    return archive, security


def source_lines(release: str, components: t.Sequence[str] = ("main",)) -> t.List[str]:
    """Return the lines of a sources.list for a release."""
    archive, security = choose(read_sources(), os_release())
    suites = [(archive, release), (archive, release + "-updates"), (security, release + "-security")]
    return ["deb %s %s %s" % (uri, suite, " ".join(components)) for uri, suite in suites]


def fetch_options(dump: str) -> t.List[str]:
    """Return a machine's proxy, certificate and date settings as apt options, from what apt-config dump says."""
    matches = (OPTION.match(line) for line in dump.splitlines())
    return [
        '%s "%s"' % (match.group("key"), match.group("value"))
        for match in matches
        if match
        and match.group("value")
        and TAKEN_OVER.match(match.group("key"))
        and not match.group("key").endswith("::")
    ]
