# Copyright (c) 2026 weft.fabric contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The modules take what the compiler hands them: only options they document, and values they accept."""

from __future__ import annotations

import importlib
import typing as t

import pytest
import yaml

from ansible_collections.weft.fabric.plugins.plugin_utils.topology.compile.host import CONCERNS, compile_host
from ansible_collections.weft.fabric.tests.unit.topology.compile.topologies import GOLDEN

MODULES = {**dict.fromkeys(CONCERNS, ""), "requirements": "_info"}
TYPES: dict[str, type | tuple[type, ...]] = {
    "str": str,
    "int": int,
    "bool": bool,
    "dict": dict,
    "list": list,
    "path": str,
}


def documented(module: str) -> dict[str, t.Any]:
    code = pytest.importorskip(
        "ansible_collections.weft.fabric.plugins.modules." + module, exc_type=ModuleNotFoundError
    )
    code = importlib.import_module("ansible_collections.weft.fabric.plugins.modules." + module)
    return yaml.safe_load(code.DOCUMENTATION)["options"]


def problems(value: t.Any, options: dict[str, t.Any], path: str) -> list[str]:
    """Return what is wrong with arguments, by the module's documentation."""
    found = [f"{path} lacks {name}" for name, option in options.items() if option.get("required") and name not in value]
    for name, item in value.items():
        here = f"{path}.{name}"
        option = options.get(name)
        if option is None:
            found.append(f"{here} is unknown")
            continue
        if not isinstance(item, TYPES[option["type"]]):
            found.append(f"{here} is no {option['type']}")
            continue
        for element in item if isinstance(item, list) else [item]:
            if "choices" in option and element not in option["choices"]:
                found.append(f"{here} is none of {option['choices']}")
            if "suboptions" in option:
                found += problems(element, option["suboptions"], here)
    return found


@pytest.mark.parametrize("concern", MODULES)
@pytest.mark.parametrize("name", GOLDEN)
def test_arguments_are_what_the_module_documents(name: str, concern: str) -> None:
    options = documented(concern + MODULES[concern])
    topology = GOLDEN[name]()
    for host in topology.hosts:
        assert problems(compile_host(topology, host, concern)[concern], options, concern) == []


@pytest.mark.parametrize("name", GOLDEN)
def test_what_comes_first_and_last_is_what_the_modules_document_too(name: str) -> None:
    topology = GOLDEN[name]()
    for host in topology.hosts:
        for module, arguments in compile_host(topology, host, "underlay")["underlay"].items():
            assert problems(arguments, documented(module), module) == []
        last = compile_host(topology, host, "underlay_release")["underlay_release"]
        assert problems(last, documented("namespaces"), "namespaces") == []


def test_this_test_sees_what_is_wrong() -> None:
    wrong = {"bridges": [{"nam": "br-int", "fail_mode": "open", "ports": [{"tag": "1"}]}]}
    assert problems(wrong, documented("ovs_bridges"), "") == [
        ".bridges lacks name",
        ".bridges.nam is unknown",
        ".bridges.fail_mode is none of ['secure', 'standalone']",
        ".bridges.ports.tag is no int",
    ]
