# Copyright (c) 2026 weft.fabric contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs the engines' programs where there is neither an Ansible module nor the replay."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Sequence

from ansible_collections.weft.fabric.plugins.module_utils import command


def run(words: Sequence[str], data: str) -> command.Result:
    env = {**os.environ, **command.ENVIRONMENT}
    try:
        done = subprocess.run(
            words, input=data, capture_output=True, text=True, env=env, timeout=command.LIMIT, check=False
        )
    except subprocess.TimeoutExpired:
        raise command.hangs(words) from None
    return command.Result(done.returncode, done.stdout, done.stderr)
