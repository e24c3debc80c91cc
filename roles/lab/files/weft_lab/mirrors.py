# Copyright (c) 2026 weft.fabric contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Where the lab's packages come from: what the collection knows of it, asked of this machine."""

from __future__ import annotations

from ansible_collections.weft.fabric.plugins.module_utils import debian_sources
from weft_lab.system import run


def source_lines(release: str) -> list[str]:
    return debian_sources.source_lines(release)


def fetch_options() -> list[str]:
    return debian_sources.fetch_options(run(["apt-config", "dump"]).stdout)
