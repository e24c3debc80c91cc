# Copyright (c) 2026 weft.fabric contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Running the modules' work the way the modules do, but in a process that a test can look into."""

from __future__ import annotations

import contextlib
import time
import typing as t
from collections.abc import Iterator

from ansible.module_utils.common.arg_spec import ArgumentSpecValidator

from ansible_collections.weft.fabric.plugins.module_utils import bmc_module
from ansible_collections.weft.fabric.plugins.module_utils.bmc_boot_device import BootDevice
from ansible_collections.weft.fabric.plugins.module_utils.bmc_power import Power
from ansible_collections.weft.fabric.plugins.module_utils.bmc_processes import run_all
from ansible_collections.weft.fabric.plugins.module_utils.bmc_read import read

Item = dict[str, t.Any]

POWER: Item = {"soft_timeout": 0.0, "hard": True, "power_timeout": 10.0}
BOOT: Item = {"persistent": False, "boot_mode": None, "http_boot_uri": None, "verify": "strict"}


def filled(bmc: Item) -> Item:
    """Return the argument `bmc` with what its options default to, as Ansible fills it in."""
    checked = ArgumentSpecValidator({"bmc": {"type": "dict", "options": bmc_module.BMC}}).validate({"bmc": bmc})
    assert not checked.error_messages
    return t.cast("Item", checked.validated_parameters["bmc"])


def node(bmc: Item, name: str = "n1", **wanted: t.Any) -> Item:
    return {"name": name, "bmc": filled(bmc), **wanted}


def run(nodes: list[Item], task: bmc_module.Task, parallel: int = 16) -> Item:
    assert bmc_module.check_nodes(nodes, parallel) == []
    return bmc_module.summarise(run_all(nodes, lambda item, watch: bmc_module.work(item, watch, task), parallel))


def power(*nodes: Item, check_mode: bool = False) -> Item:
    """Run bmc_power; each node has at least bmc and state."""
    return run([{**POWER, **item} for item in nodes], lambda i, link, watch: Power(link, watch, i).run(check_mode))


def boot(*nodes: Item, check_mode: bool = False) -> Item:
    """Run bmc_boot_device; each node has at least bmc and device."""
    return run([{**BOOT, **item} for item in nodes], lambda i, link, watch: BootDevice(link, watch, i).run(check_mode))


def info(*nodes: Item) -> Item:
    return run(list(nodes), lambda _item, link, watch: read(link, watch))


def predicted_and_done(work: t.Callable[..., Item], *nodes: Item) -> Item:
    """Run in check mode, and for real; what was predicted is what was done."""
    foretold = work(*nodes, check_mode=True)
    assert all(report["commands"] == [] for report in foretold["nodes"])
    done = work(*nodes)
    for key in ("changed", "changes", "changes_digest", "diff", "failure"):
        assert done[key] == foretold[key], key
    return done


@contextlib.contextmanager
def within(seconds: float, at_least: float = 0) -> Iterator[None]:
    started = time.monotonic()
    yield
    taken = time.monotonic() - started
    assert at_least <= taken <= seconds, f"it took {taken:.1f} s"
