# Copyright (c) 2026 weft.fabric contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the modules share that change disks: the one place where errors become fail_json."""

from __future__ import annotations

import hashlib
import signal
import typing as t

from ansible_collections.weft.fabric.plugins.module_utils import command
from ansible_collections.weft.fabric.plugins.module_utils.errors import FabricError

#: what a config drive is given as
CONFIG_DRIVE = dict(
    meta_data=dict(type="dict"),
    network_data=dict(type="dict"),
    user_data=dict(type="str", no_log=True),
    vendor_data=dict(type="dict", no_log=True),
)


def run_module(module: t.Any, engine_class: t.Any, shown: t.Sequence[str]) -> None:
    """Run an engine as an Ansible module. Only these arguments are sent back: others may hold secrets, or are long."""
    told = {"invocation": {"module_args": {name: module.params[name] for name in shown}}}
    command.use(command.module_runner(module))
    # What was started is ended, and what was begun is made unbootable, also when somebody ends this.
    signal.signal(signal.SIGTERM, _end)
    try:
        engine = engine_class(module.params)
        result = engine.run(module.check_mode)
    except (FabricError, OSError) as error:
        # What was done all the same.
        module.fail_json(msg=str(error), **dict(getattr(error, "result", {}), **told))
    else:
        for warning in engine.warnings:
            module.warn(warning)
        if not module._diff:
            result.pop("diff", None)
        module.exit_json(**dict(result, **told))


def _end(_number: int, _frame: t.Any) -> None:
    raise SystemExit(143)


def summary(texts: t.Sequence[str]) -> t.Dict[str, t.Any]:
    """Return what is returned of changes."""
    return {
        "changed": bool(texts),
        "changes": list(texts),
        "changes_total": len(texts),
        "changes_digest": hashlib.sha256("".join(text + "\n" for text in sorted(texts)).encode("utf-8")).hexdigest(),
    }
