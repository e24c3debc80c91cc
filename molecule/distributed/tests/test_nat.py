# Copyright (c) 2026 weft.fabric contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whom a receiver sees, behind distributed routers: what it sees behind any other."""

from __future__ import annotations

from ansible_collections.weft.fabric.tests.wire.nat_matrix import (
    test_an_unused_address_outside_answers_nobody,
    test_from_outside_a_floating_ip_leads_in_with_the_source_kept,
    test_from_outside_no_inside_address_is_reached,
    test_own_floating_ip_from_inside,
    test_source_seen_behind_another_router,
    test_source_seen_inside,
    test_source_seen_outside,
    test_the_matrix_is_whole,
)

__all__ = [
    "test_an_unused_address_outside_answers_nobody",
    "test_from_outside_a_floating_ip_leads_in_with_the_source_kept",
    "test_from_outside_no_inside_address_is_reached",
    "test_own_floating_ip_from_inside",
    "test_source_seen_behind_another_router",
    "test_source_seen_inside",
    "test_source_seen_outside",
    "test_the_matrix_is_whole",
]
