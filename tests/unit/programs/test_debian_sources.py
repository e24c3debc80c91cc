# Copyright (c) 2026 weft.fabric contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where Debian's packages come from, as a machine's apt has it."""

from __future__ import annotations

from pathlib import Path

from ansible_collections.weft.fabric.plugins.module_utils import debian_sources


def test_sources_are_read_in_both_forms() -> None:
    one_line = "deb [signed-by=/x.gpg] http://m.example/debian/ bookworm main\n# deb http://no.example x y\n"
    assert debian_sources.parse_one_line(one_line) == [debian_sources.Source("http://m.example/debian", ("bookworm",))]
    stanzas = (
        "Types: deb\n# a remark\nURIs: http://a.example/debian/\nSuites: bookworm bookworm-updates\n\n"
        "Types: deb\nEnabled: no\nURIs: http://b.example/debian\nSuites: bookworm\n\n"
        "Types: deb-src\nURIs: http://c.example/debian\nSuites: bookworm\n"
    )
    assert debian_sources.parse_deb822(stanzas) == [
        debian_sources.Source("http://a.example/debian", ("bookworm", "bookworm-updates"))
    ]


def test_a_debian_machines_own_mirrors_are_used_and_no_other_machines() -> None:
    sources = [
        debian_sources.Source("https://other.example/tool", ("nodistro",)),
        debian_sources.Source("http://m.example/debian", ("bookworm", "bookworm-updates")),
        debian_sources.Source("http://m.example/debian-security", ("bookworm-security",)),
    ]
    debian = {"ID": "debian", "VERSION_CODENAME": "bookworm"}
    assert debian_sources.choose(sources, debian) == ("http://m.example/debian", "http://m.example/debian-security")
    assert debian_sources.choose([], debian) == (debian_sources.DEFAULT_MIRROR, debian_sources.DEFAULT_SECURITY)
    ubuntu = {"ID": "ubuntu", "VERSION_CODENAME": "noble"}
    assert debian_sources.choose(sources, ubuntu) == (debian_sources.DEFAULT_MIRROR, debian_sources.DEFAULT_SECURITY)


def test_a_mirror_list_stands_for_its_first_mirror(tmp_path: Path) -> None:
    file = tmp_path / "debian.list"
    file.write_text("# chosen by the cloud\nhttps://m.example/debian/\n", encoding="utf-8")
    assert debian_sources.resolve(f"mirror+file:{file}") == "https://m.example/debian"


def test_only_how_to_fetch_is_taken_from_apts_settings() -> None:
    dump = (
        'APT::Architecture "amd64";\nAcquire::http::Proxy "http://p:1";\nAcquire::Languages "none";\n'
        'Acquire::http::Dl-Limit "";\nAcquire::Check-Date "false";\nDPkg::Post-Invoke:: "rm x";\n'
    )
    assert debian_sources.fetch_options(dump) == ['Acquire::http::Proxy "http://p:1"', 'Acquire::Check-Date "false"']
