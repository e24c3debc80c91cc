# Copyright (c) 2026 weft.fabric contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""When the ramdisk is built, and when it is not; and that a run that is killed leaves nothing that seems whole."""

from __future__ import annotations

import json
import typing as t
from pathlib import Path

import pytest

from ansible_collections.weft.fabric.plugins.module_utils import ramdisk_build, ramdisk_programs, ramdisk_recipe
from ansible_collections.weft.fabric.plugins.module_utils.deploy_ramdisk import DeployRamdiskEngine
from ansible_collections.weft.fabric.plugins.module_utils.errors import FabricError
from ansible_collections.weft.fabric.plugins.module_utils.ramdisk_recipe import Recipe
from ansible_collections.weft.fabric.plugins.module_utils.reconcile import reconcile


class Builder:
    """Puts files in their place as the real one does, without any packages."""

    def __init__(self) -> None:
        self.built: list[Recipe] = []

    def __call__(self, recipe: Recipe, directory: str) -> None:
        self.built.append(recipe)
        scratch = Path(directory) / ".weft-building-x"
        scratch.mkdir()
        for name in (ramdisk_build.KERNEL, ramdisk_build.INITRD):
            (scratch / name).write_text(f"{name} of {recipe.kernel}, build {len(self.built)}", encoding="utf-8")
        files = {name: ramdisk_build.describe(str(scratch / name)) for name in ("vmlinuz", "initrd")}
        manifest = {"version": recipe.version(), "inputs": recipe.inputs(), "files": files, "kernel": "6.1.0-1-amd64"}
        ramdisk_build.install(str(scratch), directory, manifest)
        scratch.rmdir()


@pytest.fixture
def builder() -> Builder:
    return Builder()


def run(builder: Builder, directory: Path, check_mode: bool = False, **changed: t.Any) -> dict[str, t.Any]:
    params: dict[str, t.Any] = {
        "directory": str(directory),
        "release": "bookworm",
        "kernel": "linux-image-amd64",
        "packages": [],
        "components": ["main"],
        "force": False,
        **changed,
    }
    return reconcile(DeployRamdiskEngine(params, builder), check_mode)


def test_the_whole_cycle(builder: Builder, tmp_path: Path) -> None:
    predicted = run(builder, tmp_path, check_mode=True)
    assert (predicted["changed"], builder.built, list(tmp_path.iterdir())) == (True, [], [])
    assert predicted["manifest"] == {}

    done = run(builder, tmp_path)
    assert (done["changed"], done["changes"]) == (True, predicted["changes"])
    assert done["changes_digest"] == predicted["changes_digest"]
    assert done["manifest"]["version"] == done["version"] == predicted["version"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["initrd", "manifest.json", "vmlinuz"]

    for check_mode in (True, False):
        again = run(builder, tmp_path, check_mode=check_mode)
        assert (again["changed"], again["changes"]) == (False, [])
        assert again["manifest"] == done["manifest"]
    assert len(builder.built) == 1


@pytest.mark.parametrize(
    "changed",
    [
        {"release": "trixie"},
        {"kernel": "linux-image-cloud-amd64"},
        {"packages": ["firmware-bnx2x"]},
        {"components": ["main", "non-free-firmware"]},
    ],
    ids=lambda changed: next(iter(changed)),
)
def test_another_recipe_is_another_ramdisk(builder: Builder, tmp_path: Path, changed: dict[str, t.Any]) -> None:
    first = run(builder, tmp_path)
    second = run(builder, tmp_path, check_mode=True, **changed)

    assert second["changed"]
    assert second["version"] != first["version"]
    value = next(iter(changed.values()))
    word = value if isinstance(value, str) else value[-1]
    assert f'"{word}"' in second["diff"]["after"]
    assert f'"{word}"' not in second["diff"]["before"]
    assert run(builder, tmp_path, **changed)["changes"] == second["changes"]
    assert not run(builder, tmp_path, **changed)["changed"]


def test_the_order_and_repetition_of_packages_make_no_difference(builder: Builder, tmp_path: Path) -> None:
    run(builder, tmp_path, packages=["b", "a"])
    assert not run(builder, tmp_path, packages=["a", "b", "a", "python3"])["changed"]


def test_another_init_is_another_ramdisk(monkeypatch: pytest.MonkeyPatch) -> None:
    before = Recipe().version()
    monkeypatch.setattr(ramdisk_programs, "BOUNDS", {**ramdisk_programs.BOUNDS, "lease": 5})
    assert Recipe().version() != before


@pytest.mark.parametrize("name", ["vmlinuz", "initrd"])
def test_what_is_damaged_is_built_anew(builder: Builder, tmp_path: Path, name: str) -> None:
    run(builder, tmp_path)
    path = tmp_path / name
    content = path.read_bytes()
    for damage in (content[:-1], content[:-1] + b"?"):
        path.write_bytes(damage)
        assert run(builder, tmp_path)["changes"][0].endswith(f"({name} damaged)")
        assert path.read_bytes() != damage
    path.unlink()
    assert run(builder, tmp_path)["changed"]


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"files": {"vmlinuz": {}}}'])
def test_a_manifest_that_says_nothing_is_none(builder: Builder, tmp_path: Path, text: str) -> None:
    (tmp_path / "manifest.json").write_text(text, encoding="utf-8")
    assert run(builder, tmp_path)["changes"][0].endswith("(there is none)")


def test_force_builds_once_more(builder: Builder, tmp_path: Path) -> None:
    run(builder, tmp_path)
    assert run(builder, tmp_path, check_mode=True, force=True)["changes"][0].endswith("(asked for)")
    assert run(builder, tmp_path, force=True)["changed"]
    assert len(builder.built) == 2


def test_a_run_killed_between_two_files_leaves_no_manifest(
    builder: Builder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run(builder, tmp_path)
    rename = ramdisk_build.os.rename

    def killed(source: str, target: str) -> None:
        if target.endswith("/initrd"):
            raise KeyboardInterrupt
        rename(source, target)

    with monkeypatch.context() as patch:
        patch.setattr(ramdisk_build.os, "rename", killed)
        with pytest.raises(KeyboardInterrupt):
            run(builder, tmp_path, kernel="linux-image-cloud-amd64")
    assert not (tmp_path / "manifest.json").exists()

    for left in (tmp_path / ".weft-building-x").iterdir():
        left.unlink()
    (tmp_path / ".weft-building-x").rmdir()
    assert run(builder, tmp_path, kernel="linux-image-cloud-amd64")["changed"]
    told = json.loads((tmp_path / "manifest.json").read_text(encoding="utf-8"))["files"]
    assert told["initrd"] == ramdisk_build.describe(str(tmp_path / "initrd"))


def test_missing_tools_are_named_by_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ramdisk_build, "TOOLS", {"sh": "dash", "no-such-program": "some-package"})
    monkeypatch.setattr(ramdisk_build.debian_sources, "KEYRING", "/")
    with pytest.raises(FabricError, match=r": some-package\. Install with: apt-get install some-package"):
        ramdisk_build.check_machine()


def test_nothing_is_run_inside_the_tree() -> None:
    words = ramdisk_build.unpack_command(Recipe(), "/tree", ["deb http://m.example bookworm main"], ['A::b "c"'])
    assert "--variant=extract" in words
    assert '--aptopt=A::b "c"' in words
    assert words[-3:] == ["bookworm", "/tree", "deb http://m.example bookworm main"]
    assert not any("chroot" in word for word in words if "=chrootless" not in word)


def test_packages_are_told_with_their_versions(tmp_path: Path) -> None:
    path = tmp_path / "list"
    path.write_text("lock\npartial\nbusybox_1%3a1.35.0-4_amd64.deb\nbase-files_12.4_amd64.deb\n", encoding="utf-8")
    assert ramdisk_build._packages(str(path)) == {"base-files": "12.4", "busybox": "1:1.35.0-4"}


def test_no_password_is_right() -> None:
    """Neither is a password asked for, nor is there one."""
    assert all(line.split(":")[1] == "*" for line in ramdisk_recipe.FILES["etc/passwd"].splitlines())
    options = dict(line.split(" ", 1) for line in ramdisk_recipe.SSHD_CONFIG.splitlines() if not line.startswith("#"))
    assert options["AuthenticationMethods"] == "publickey"
    assert {options[name] for name in options if name.endswith("Authentication")} == {"no"}
