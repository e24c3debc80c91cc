# Copyright (c) 2026 weft.fabric contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
name: record
type: notification
short_description: Write the result of every task as one JSON line
description:
  - For tests that compare what a check run foretold with what the real run did.
options:
  path:
    description: File to append to.
    type: path
    required: true
    env:
      - name: WEFT_RECORD
"""

import json
import os
import time

from ansible.plugins.callback import CallbackBase


class CallbackModule(CallbackBase):
    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "notification"
    CALLBACK_NAME = "record"
    CALLBACK_NEEDS_ENABLED = True

    def __init__(self, *arguments, **options):
        super().__init__(*arguments, **options)
        self._begun = {}

    def v2_runner_on_start(self, host, task):
        self._begun[host.get_name(), task._uuid] = time.monotonic()
        # For whoever wants to end a run while it does something.
        if "WEFT_STARTS" in os.environ:
            with open(os.environ["WEFT_STARTS"], "a", encoding="utf-8") as stream:
                stream.write(f"{host.get_name()}: {task.get_name().rpartition(' : ')[2]}\n")

    def _write(self, result, failed=False):
        row = {"host": result._host.get_name(), "task": result._task.get_name(), "result": dict(result._result)}
        row["failed"] = failed
        begun = self._begun.pop((row["host"], result._task._uuid), None)
        row["seconds"] = None if begun is None else time.monotonic() - begun
        row["ended"] = time.time()
        with open(self.get_option("path"), "a", encoding="utf-8") as stream:
            stream.write(json.dumps(row, default=str) + "\n")

    def v2_runner_on_ok(self, result):
        self._write(result)

    def v2_runner_on_failed(self, result, ignore_errors=False):
        self._write(result, failed=True)
