# Copyright (c) 2026 weft.fabric contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A lab of booted Debian hosts on one machine: systemd-nspawn, network namespaces, Linux bridges."""

from __future__ import annotations
