# Copyright (c) 2026 weft.fabric contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The metadata agree with what is there, and with each other."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

# One applies what the other modules left on the host, and their twins tell the outcome;
# one writes a file in the operator's repository.
# A host's whole state is read by its parts; the others work on the controller, or measure.
# What the two modules for BMCs write is read by one, and so is what is done to disks.
# What the two modules for BMCs write is read by one. One builds a file whose manifest says all.
WITHOUT_TWIN = {
    "bmc_boot_device",
    "bmc_power",
    "boot_payload",
    "boot_replay",
    "deploy_ramdisk",
    "disk_clean",
    "disk_export",
    "disk_image",
    "host_state",
    "iscsi_image",
    "node_failure",
    "node_inspection",
    "node_scope",
    "node_state",
    "ramdisk_connection",
    "router_moves",
    "router_probe",
    "router_scope",
    "router_status",
    "topology_lock",
}


def documented_fragments(module: Path) -> set[str]:
    """Return the documentation fragments that a module extends, without importing it."""
    found = re.search(
        r'^DOCUMENTATION = r?"""\n?(.*?)"""', module.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE
    )
    assert found, f"{module.name} has no DOCUMENTATION"
    return set(yaml.safe_load(found[1]).get("extends_documentation_fragment", []))


@pytest.fixture(scope="module")
def modules(root: Path) -> dict[str, Path]:
    return {path.stem: path for path in (root / "plugins/modules").glob("*.py") if path.stem != "__init__"}


@pytest.fixture(scope="module")
def runtime(root: Path) -> dict[str, object]:
    return yaml.safe_load((root / "meta/runtime.yml").read_text(encoding="utf-8"))


def test_every_module_is_in_the_action_group(modules: dict[str, Path], runtime: dict) -> None:
    assert sorted(runtime["action_groups"]["fabric"]) == sorted(modules)


def test_documentation_agrees_with_the_action_group(modules: dict[str, Path], runtime: dict) -> None:
    says_so = {
        name for name, path in modules.items() if "weft.fabric.attributes.actiongroup" in documented_fragments(path)
    }

    assert sorted(says_so) == sorted(set(runtime["action_groups"]["fabric"]) & set(modules))


def test_every_writing_module_has_its_info_twin(modules: dict[str, Path]) -> None:
    writing = {name for name in modules if not name.endswith("_info")} - WITHOUT_TWIN

    assert sorted(name for name in writing if f"{name}_info" not in modules) == []


def test_the_oldest_core_is_the_same_everywhere(root: Path, runtime: dict) -> None:
    oldest = re.fullmatch(r">=(\d+\.\d+)\.0", runtime["requires_ansible"])[1]

    assert f"ansible-core~={oldest}.0" in (root / "tools/requirements/oldest.in").read_text(encoding="utf-8")
    for meta in sorted((root / "roles").glob("*/meta/main.yml")):
        assert yaml.safe_load(meta.read_text(encoding="utf-8"))["galaxy_info"]["min_ansible_version"] == oldest, meta
    assert re.search(rf"ansible-core\D+{re.escape(oldest)}", (root / "README.md").read_text(encoding="utf-8"))


def test_an_execution_environment_has_what_a_controller_needs(root: Path) -> None:
    """What the quick start installs besides Ansible itself must be told to ansible-builder as well."""
    lines = (root / "tools/requirements/controller.in").read_text(encoding="utf-8").splitlines()
    needed = [line.strip() for line in lines if line.strip() and not line.startswith("#")]
    dependencies = yaml.safe_load((root / "meta/execution-environment.yml").read_text(encoding="utf-8"))["dependencies"]

    told = (root / dependencies["python"]).read_text(encoding="utf-8").split()
    assert told == [name for name in needed if not name.startswith("ansible-core")]


def test_the_oldest_netconf_client_is_the_same_everywhere(root: Path) -> None:
    oldest = re.search(r"ncclient>=(\d+\.\d+\.\d+)", (root / "meta/ee-requirements.txt").read_text(encoding="utf-8"))[1]

    assert f"ncclient~={oldest}," in (root / "tools/requirements/oldest.in").read_text(encoding="utf-8")
    for told in ("docs/dependencies.md", "plugins/doc_fragments/switch.py"):
        assert f"ncclient {oldest} or newer" in (root / told).read_text(encoding="utf-8"), told


def test_the_oldest_bmc_library_is_the_same_everywhere(root: Path) -> None:
    oldest = re.search(r"pyghmi>=(\d+\.\d+\.\d+)", (root / "meta/ee-requirements.txt").read_text(encoding="utf-8"))[1]

    assert f"pyghmi~={oldest}," in (root / "tools/requirements/oldest.in").read_text(encoding="utf-8")
    for told in ("docs/dependencies.md", "plugins/doc_fragments/bmc.py"):
        assert f"pyghmi {oldest} or newer" in (root / told).read_text(encoding="utf-8"), told


def test_no_sanity_finding_is_ignored(root: Path) -> None:
    assert list((root / "tests").glob("sanity/ignore*")) == []
