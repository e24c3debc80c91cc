# Copyright (c) 2026 weft.fabric contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations


class ModuleDocFragment:
    DOCUMENTATION = r"""
options:
  purge:
    description:
      - Whether to remove what bears the collection's mark and is not listed.
      - What does not bear the mark is never touched.
    type: bool
    default: false
  save:
    description:
      - Whether to keep the arguments of this call on the host after it succeeded,
        readable by root only, for M(weft.fabric.boot_replay) to apply them again at boot.
    type: bool
    default: false
"""
