# Copyright (c) 2026 weft.fabric contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The tools behind ./check find what they look for, and find nothing where there is nothing."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from ansible_collections.weft.fabric.tools import embedded_shell, markdown_links, own_machine


@pytest.fixture
def in_tmp(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


class TestMarkdownLinks:
    def found(self, directory: Path, text: str) -> list[str]:
        page = directory / "page.md"
        page.write_text(text, encoding="utf-8")
        return list(markdown_links.problems(page.relative_to(directory)))

    def test_a_file_that_is_there(self, in_tmp: Path) -> None:
        (in_tmp / "other.md").write_text("# The lock: what it is for\n", encoding="utf-8")

        assert (
            self.found(
                in_tmp, "See [it](other.md), [this](other.md#the-lock-what-it-is-for), [net](https://x.example/)."
            )
            == []
        )

    def test_a_file_that_is_not(self, in_tmp: Path) -> None:
        assert self.found(in_tmp, "one\n[gone](gone.md)") == ["page.md:2: gone.md: there is no such file"]

    def test_a_heading_that_is_not(self, in_tmp: Path) -> None:
        (in_tmp / "other.md").write_text("# Here\n", encoding="utf-8")

        assert self.found(in_tmp, "[x](other.md#there)") == ["page.md:1: other.md#there: there is no such heading"]

    def test_the_second_of_two_like_headings(self, in_tmp: Path) -> None:
        assert self.found(in_tmp, "# Same\n# Same\n[x](#same-1)") == []

    def test_the_second_of_one_heading(self, in_tmp: Path) -> None:
        assert self.found(in_tmp, "# Same\n[x](#same-1)") == ["page.md:2: #same-1: there is no such heading"]

    def test_code_is_no_prose(self, in_tmp: Path) -> None:
        assert self.found(in_tmp, "```\n[x](gone.md)\n```\nand `[x](gone.md)`") == []


class TestOwnMachine:
    def found(self, directory: Path, text: str, checkout: str = "/data/builds/fabric") -> list[str]:
        (directory / "file.txt").write_text(text, encoding="utf-8")
        return list(own_machine.findings(directory, own_machine.pattern_for(Path(checkout))))

    @pytest.mark.parametrize(
        "line",
        [
            "cd /home/" + "somebody/src",
            "path: /data/builds/fabric/check",
            "import sys; sys.path.append('/data/builds/venv')",
        ],
    )
    def test_a_path_of_one_machine(self, tmp_path: Path, line: str) -> None:
        assert len(self.found(tmp_path, f"harmless\n{line}\n")) == 1

    @pytest.mark.parametrize(
        "line",
        [
            "state: /var/lib/weft-fabric/state",
            "https://example.org/home/" + "somebody/",
            "mydata: /srv/data/builds/x",
        ],
    )
    def test_any_other_path(self, tmp_path: Path, line: str) -> None:
        assert self.found(tmp_path, line) == []

    def test_a_checkout_in_a_common_place_forbids_only_itself(self, tmp_path: Path) -> None:
        checkout = "/tmp/" + "checkout"

        assert self.found(tmp_path, "mktemp in /tmp/x", checkout) == []
        assert len(self.found(tmp_path, f"mktemp in {checkout}/x", checkout)) == 1


class TestEmbeddedShell:
    def test_every_program_that_a_host_gets(self, root: Path) -> None:
        modules = root / "plugins/module_utils"
        found = embedded_shell.find(modules)

        assert {"vrrp_program.program.sh", "vrrp_health.program.sh", "boot_files.watch_script.sh"} <= set(found)
        having = {path.stem for path in modules.glob("*.py") if "#!/bin/sh" in path.read_text(encoding="utf-8")}
        assert {name.partition(".")[0] for name in found} == having

    def test_a_shell_reads_them_all(self, root: Path) -> None:
        for name, text in embedded_shell.find(root / "plugins/module_utils").items():
            assert "%(" not in text, name
            subprocess.run(["sh", "-n"], input=text, text=True, check=True)

    def test_a_program_that_is_no_constant_is_not_overlooked(self, tmp_path: Path) -> None:
        (tmp_path / "errors.py").write_text('"""Writes #!/bin/sh somewhere."""\n', encoding="utf-8")

        with pytest.raises(SystemExit, match="in no constant"):
            embedded_shell.find(tmp_path)


class TestGetPip:
    def test_options_that_pip_does_not_know_are_dropped(self, root: Path, tmp_path: Path) -> None:
        script = root / "tools/get_pip_offline.py"
        done = subprocess.run(
            [
                sys.executable,
                str(script),
                "--no-setuptools",
                "--no-wheel",
                "--no-index",
                "--dry-run",
                "-r",
                str(tmp_path / "none.txt"),
            ],
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )

        # pip ran, knew every option, and found no requirements file.
        assert done.returncode == 1
        assert "none.txt" in done.stderr
