# Copyright (c) 2026 weft.fabric contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The images that a lab may have for its nodes, by the names that its definition gives them."""

from __future__ import annotations

from pathlib import Path

from weft_lab import cloud_image, tiny_image

BUILT = {"tiny": tiny_image, "cloud": cloud_image}


def path_of(name: str) -> Path:
    return tiny_image.CACHE / str(BUILT[name].NAME)
