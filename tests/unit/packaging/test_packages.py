# Copyright (c) 2026 weft.fabric contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Installing the system's packages: only what is missing, and no daemon comes to life because of it.

apt-get, dpkg-query and systemctl are stand-ins that write down what they were asked.
"""

from __future__ import annotations

import subprocess
import typing as t
from pathlib import Path

import pytest

STAND_INS = {
    # Says that what stands in the file "installed" is installed.
    "dpkg-query": 'grep -qxF "${@: -1}" installed && printf "install ok installed"',
    "apt-get": """
echo "apt-get $*" >>calls
[[ " $* " == *" install "* ]] || exit 0
test -x policy && cp policy policy-seen
exit "$(cat exit-code)"
""",
    "systemctl": 'echo "systemctl $*" >>calls',
    "find": "cat units; echo openvswitch-switch.service >>units; echo template@.service >>units",
}


class Machine(t.NamedTuple):
    directory: Path
    root: Path

    def install(self, *names: str) -> subprocess.CompletedProcess[str]:
        script = (
            'source "$0/tools/lib/common.sh"; source "$0/tools/lib/packages.sh"; POLICY=policy; install_packages "$@"'
        )
        return subprocess.run(
            ["bash", "-euo", "pipefail", "-c", script, str(self.root), *names],
            cwd=self.directory,
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
            env={
                "PATH": f"{self.directory}:/usr/bin:/bin",
                "WEFT_CACHE": str(self.directory),
                "HOME": str(self.directory),
            },
        )

    def calls(self) -> list[str]:
        path = self.directory / "calls"
        return path.read_text(encoding="utf-8").splitlines() if path.exists() else []


@pytest.fixture
def machine(root: Path, tmp_path: Path) -> Machine:
    for name, body in STAND_INS.items():
        program = tmp_path / name
        program.write_text(f"#!/bin/bash\n{body}\n", encoding="utf-8")
        program.chmod(0o755)
    (tmp_path / "installed").write_text("git\n", encoding="utf-8")
    (tmp_path / "exit-code").write_text("0", encoding="utf-8")
    (tmp_path / "units").write_text("ssh.service\n", encoding="utf-8")
    return Machine(tmp_path, root)


def test_nothing_is_asked_of_apt_when_nothing_is_missing(machine: Machine) -> None:
    assert machine.install("git").returncode == 0
    assert machine.calls() == []


def test_only_what_is_missing_is_installed_in_one_go(machine: Machine) -> None:
    assert machine.install("git", "socat", "openvswitch-switch").returncode == 0

    update, install = [call for call in machine.calls() if call.startswith("apt-get")]
    assert update.endswith(" update")
    assert install.endswith(" install --yes --no-install-recommends socat openvswitch-switch")


def test_daemons_may_not_start_while_packages_are_installed_and_may_again_after(machine: Machine) -> None:
    assert machine.install("openvswitch-switch").returncode == 0

    refusal = machine.directory / "policy-seen"
    assert subprocess.run([str(refusal)], check=False, timeout=10).returncode == 101
    assert not (machine.directory / "policy").exists()


def test_the_guard_is_gone_when_apt_fails_too(machine: Machine) -> None:
    (machine.directory / "exit-code").write_text("100", encoding="utf-8")

    done = machine.install("openvswitch-switch")

    assert done.returncode == 1
    assert "could not install" in done.stderr
    assert not (machine.directory / "policy").exists()


def test_a_guard_that_somebody_else_put_there_stays(machine: Machine) -> None:
    policy = machine.directory / "policy"
    policy.write_text("#!/bin/sh\nexit 101\n", encoding="utf-8")

    assert machine.install("openvswitch-switch").returncode == 0
    assert policy.read_text(encoding="utf-8") == "#!/bin/sh\nexit 101\n"


def test_units_that_came_along_do_not_start_at_the_next_boot_and_others_are_let_be(machine: Machine) -> None:
    machine.install("openvswitch-switch")

    assert [call for call in machine.calls() if call.startswith("systemctl")] == [
        "systemctl --quiet disable openvswitch-switch.service"
    ]


def test_the_lab_finds_all_its_programs(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(root / "roles/lab/files"))
    from weft_lab import nodes
    from weft_lab.system import TOOLS

    # Every Debian has these.
    hosts = set(TOOLS.values()) - {"apt", "mount", "util-linux"}
    metal = {*nodes.TOOLS.values(), *nodes.FILES.values()}
    for name in ("lab", "bench", "soak", "quickstart"):
        listed = set((root / f"tools/packages/{name}.txt").read_text(encoding="utf-8").split())
        assert hosts <= listed, name
        # Who only wants to look need not have a machine emulator for it.
        assert metal & listed == (set() if name == "quickstart" else metal), name
