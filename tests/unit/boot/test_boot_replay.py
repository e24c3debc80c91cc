# Copyright (c) 2026 weft.fabric contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Installing and removing the boot replay, with a systemd that only remembers."""

from __future__ import annotations

import ast
import configparser
import io
import os
import typing as t
import zipfile
from pathlib import Path

import pytest

from ansible_collections.weft.fabric.plugins.module_utils import boot_files, boot_replay
from ansible_collections.weft.fabric.plugins.module_utils.boot_replay import BootReplayEngine, Systemd
from ansible_collections.weft.fabric.plugins.module_utils.reconcile import FabricError, reconcile
from ansible_collections.weft.fabric.tests.unit.ovs.helpers import cycle

UNIT_DIR = "etc/systemd/system"


class FakeSystemd(Systemd):
    """Remembers what it was asked for."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, ...]] = []
        self.units: dict[str, tuple[bool, bool]] = {}

    def read(self, units: t.Iterable[str]) -> dict[str, tuple[bool, bool]]:
        return {unit: self.units.get(unit, (False, False)) for unit in units}

    def reload(self) -> None:
        self.calls.append(("reload",))

    def enable(self, units: list[str]) -> None:
        self.calls.append(("enable", *units))
        # The watcher ends at once where it has nothing to watch.
        self.units.update({unit: (True, unit not in boot_files.MAY_REST) for unit in units})

    def renew(self, units: list[str]) -> None:
        self.calls.append(("renew", *units))

    def disable(self, units: list[str]) -> None:
        self.calls.append(("disable", *units))
        self.units.update(dict.fromkeys(units, (False, False)))


@pytest.fixture
def systemd() -> FakeSystemd:
    return FakeSystemd()


def engine(systemd: Systemd, root: Path, state: str = "present") -> BootReplayEngine:
    return BootReplayEngine({"state": state}, systemd, str(root))


def test_it_is_installed_as_foretold(systemd: FakeSystemd, tmp_path: Path) -> None:
    result = cycle(engine(systemd, tmp_path))
    assert result["changes"] == [
        "write /etc/systemd/system/weft-fabric-ports.path",
        "write /etc/systemd/system/weft-fabric-ports.service",
        "write /etc/systemd/system/weft-fabric-replay.service",
        "write /etc/systemd/system/weft-fabric-watch.path",
        "write /etc/systemd/system/weft-fabric-watch.service",
        "write /usr/local/lib/weft-fabric/replay.pyz",
        "write /usr/local/lib/weft-fabric/watch",
        "enable weft-fabric-replay.service",
        "enable weft-fabric-ports.path",
        "enable weft-fabric-watch.path",
        "enable weft-fabric-watch.service",
    ]
    # enable has systemd read the unit files as well.
    assert systemd.calls == [("enable", *boot_files.ENABLED)]
    assert (tmp_path / "usr/local/lib/weft-fabric/replay.pyz").read_bytes() == boot_files.zipapp()
    assert all(path.stat().st_mode & 0o777 == 0o644 for path in tmp_path.rglob("*") if path.is_file())


def test_an_unchanged_run_calls_nothing(systemd: FakeSystemd, tmp_path: Path) -> None:
    reconcile(engine(systemd, tmp_path))
    systemd.calls.clear()
    assert not reconcile(engine(systemd, tmp_path))["changed"]
    assert systemd.calls == []


def test_a_changed_unit_is_reloaded_and_a_running_one_renewed(systemd: FakeSystemd, tmp_path: Path) -> None:
    reconcile(engine(systemd, tmp_path))
    systemd.calls.clear()
    for unit in ("weft-fabric-watch.service", "weft-fabric-replay.service"):
        (tmp_path / UNIT_DIR / unit).write_text("[Unit]\n")
    assert cycle(engine(systemd, tmp_path))["changes_total"] == 2
    assert systemd.calls == [("reload",), ("renew", "weft-fabric-watch.service")]


def test_a_changed_program_needs_no_reload(systemd: FakeSystemd, tmp_path: Path) -> None:
    reconcile(engine(systemd, tmp_path))
    systemd.calls.clear()
    (tmp_path / "usr/local/lib/weft-fabric/replay.pyz").write_bytes(b"old")
    (tmp_path / "usr/local/lib/weft-fabric/watch").unlink()
    assert cycle(engine(systemd, tmp_path))["changes_total"] == 2
    assert systemd.calls == [("renew", "weft-fabric-watch.service")]


@pytest.mark.parametrize(("known", "changed"), [((True, False), True), ((False, True), True), ((True, True), False)])
def test_a_unit_that_failed_or_was_disabled_is_started_again(
    systemd: FakeSystemd, tmp_path: Path, known: tuple[bool, bool], changed: bool
) -> None:
    reconcile(engine(systemd, tmp_path))
    systemd.units["weft-fabric-replay.service"] = known
    result = cycle(engine(systemd, tmp_path))
    assert result["changes"] == (["enable weft-fabric-replay.service"] if changed else [])


def test_removal_leaves_nothing(systemd: FakeSystemd, tmp_path: Path) -> None:
    reconcile(engine(systemd, tmp_path))
    for name in ("var/lib/weft-fabric/state", "run/weft-fabric/ofports"):
        (tmp_path / name).mkdir(parents=True)
        (tmp_path / name / "x.json").write_text("{}")
    systemd.calls.clear()
    result = cycle(engine(systemd, tmp_path, "absent"))
    assert result["changes"][:4] == [f"disable {unit}" for unit in boot_files.ENABLED]
    assert result["changes"][-2:] == ["remove /var/lib/weft-fabric/state", "remove /run/weft-fabric"]
    assert systemd.calls == [("disable", *boot_files.ENABLED), ("reload",)]
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []
    assert not (tmp_path / "usr/local/lib/weft-fabric").exists()
    assert not (tmp_path / "var/lib/weft-fabric").exists()


def test_removal_leaves_what_others_keep(systemd: FakeSystemd, tmp_path: Path) -> None:
    reconcile(engine(systemd, tmp_path))
    other = tmp_path / "var/lib/weft-fabric/dhcp"
    other.mkdir(parents=True)
    (tmp_path / UNIT_DIR / "theirs.service").write_text("[Unit]\n")
    reconcile(engine(systemd, tmp_path, "absent"))
    assert other.is_dir()
    assert [path.name for path in (tmp_path / UNIT_DIR).iterdir()] == ["theirs.service"]


def test_removing_what_is_not_there_changes_nothing(systemd: FakeSystemd, tmp_path: Path) -> None:
    assert not cycle(engine(systemd, tmp_path, "absent"))["changed"]
    assert systemd.calls == []


# The files


def test_the_program_is_the_same_every_time_and_complete() -> None:
    assert boot_files.zipapp() == boot_files.zipapp()
    sources = boot_files.sources()
    assert {"replay", "reconcile", "ovsdb", "openflow_flows", "namespaces", "dhcp_servers"} <= set(sources)
    for name, source in sources.items():
        for imported in imported_by(source):
            assert imported in sources, f"{name} imports {imported}"


def imported_by(source: str) -> set[str]:
    """Return the names of the module_utils that a source imports, as Python's own parser finds them."""
    names = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.ImportFrom) and node.module == boot_files.PREFIX:
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and (node.module or "").startswith(boot_files.PREFIX + "."):
            names.add((node.module or "")[len(boot_files.PREFIX) + 1 :])
    return names


def test_imports_are_found_as_python_finds_them() -> None:
    sources = [path.read_text("utf-8") for path in Path(boot_files.__file__).parent.glob("*.py")]
    sources.append(f"def late():\n    from {boot_files.PREFIX} import one, two as three\n")
    assert len(sources) > 50
    for source in sources:
        assert boot_files.imports(source) == sorted(imported_by(source))


def test_the_program_needs_neither_ansible_nor_a_new_python() -> None:
    with zipfile.ZipFile(io.BytesIO(boot_files.zipapp())) as archive:
        for name in archive.namelist():
            tree = ast.parse(archive.read(name), name, feature_version=(3, 8))
            for node in ast.walk(tree):
                modules = (
                    [node.module or ""] if isinstance(node, ast.ImportFrom)
                    else [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
                )  # fmt: skip
                assert not any(module.split(".")[0] == "ansible" for module in modules), name


def units() -> dict[str, configparser.ConfigParser]:
    found = {}
    for path, content in boot_files.files().items():
        if path.startswith("/" + UNIT_DIR):
            parser = configparser.ConfigParser(interpolation=None)
            parser.read_string(content.decode())
            found[Path(path).name] = parser
    return found


def test_the_units_fit_together() -> None:
    found = units()
    assert set(found) == set(boot_files.UNITS)
    for name in boot_files.ENABLED:
        assert "multi-user.target" in found[name]["Install"]["WantedBy"]
    unit = found["weft-fabric-replay.service"]
    assert "ovs-vswitchd.service" in unit["Unit"]["After"].split()
    assert unit["Unit"]["PartOf"] == "ovs-vswitchd.service"
    # What is reloaded together has to be over before the replay looks.
    assert set(unit["Unit"]["ReloadPropagatedFrom"].split()) <= set(unit["Unit"]["After"].split())
    assert "ovs-vswitchd.service" in unit["Install"]["WantedBy"].split()
    assert found["weft-fabric-ports.path"]["Path"]["PathExists"] == boot_files.TRIGGER
    assert found["weft-fabric-watch.path"]["Path"]["Unit"] == "weft-fabric-watch.service"
    assert boot_files.TRIGGER.startswith("/run/" + found["weft-fabric-watch.service"]["Service"]["RuntimeDirectory"])


def test_the_interpreter_is_named_so_that_an_upgrade_keeps_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os.path, "realpath", {"/usr/bin/python3": "x", "/usr/bin/python3.11": "x"}.get)
    assert boot_files.interpreter("/usr/bin/python3.11") == "/usr/bin/python3"
    assert boot_files.interpreter("/opt/bin/python3.12") == "/opt/bin/python3.12"


# systemctl


@pytest.fixture
def systemctl(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A systemctl that writes down its arguments and prints what systemd 252 printed."""
    program = tmp_path / "systemctl"
    program.write_text(
        f'#!/bin/sh\necho "$@" >> {tmp_path}/calls\n'
        '[ "$1" = show ] && printf "Id=a.service\\nActiveState=activating\\nUnitFileState=enabled\\n\\n'
        "Id=b.path\\nActiveState=inactive\\nUnitFileState=\\n\\n"
        'Job=4711\\nId=d.service\\nActiveState=inactive\\nUnitFileState=enabled\\n"\n[ "$1" != disable ]\n'
    )
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    return tmp_path / "calls"


def test_systemctl_is_read_and_called(systemctl: Path) -> None:
    systemd = Systemd()
    assert systemd.read(["a.service", "b.path", "c.service", "d.service"]) == {
        "a.service": (True, True),
        "b.path": (False, False),
        "c.service": (False, False),
        "d.service": (True, True),  # nobody waits for the start of a unit, and process 1 may be busy
    }
    systemd.reload()
    systemd.enable(["a.service"])
    systemd.renew(["b.path"])
    assert systemctl.read_text().splitlines() == [
        "show --property=Id,UnitFileState,ActiveState,Job a.service b.path c.service d.service",
        "daemon-reload",
        "enable --now --no-block a.service",
        "try-restart --no-block b.path",
    ]


def test_a_failure_of_systemctl_is_told(systemctl: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(FabricError, match=r"systemctl disable --now a\.service failed"):
        Systemd().disable(["a.service"])
    monkeypatch.setenv("PATH", "/nonexistent")
    with pytest.raises(FabricError, match="does not run systemd"):
        Systemd().reload()
    assert boot_replay.TIMEOUT > 0
