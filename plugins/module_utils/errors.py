# Copyright (c) 2026 weft.fabric contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The one kind of error that engines raise. It has a place of its own, for those that reconcile itself needs."""

from __future__ import annotations


class FabricError(Exception):
    """What went wrong, with which resource, and what to do about it. Becomes fail_json in one place."""
