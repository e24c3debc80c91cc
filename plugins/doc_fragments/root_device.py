# Copyright (c) 2026 weft.fabric contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations


class ModuleDocFragment:
    # What modules share that run on a node itself, in the deploy ramdisk.
    DOCUMENTATION = r"""
options: {}
requirements:
  - Linux, and root's rights. Made for the deploy ramdisk, where no disk is in use.
notes:
  - Root device hints are O(ignore:name), O(ignore:serial), O(ignore:wwn), O(ignore:vendor), O(ignore:model),
    O(ignore:by_path), O(ignore:size) and O(ignore:rotational). All that are given must be true.
  - Their values may begin with an operator, as Ironic's may. C(s==), C(s!=), C(s<), C(s<=), C(s>), C(s>=) compare text,
    C(==), C(!=), C(<), C(<=), C(>), C(>=) sizes. C(<in> part), C(<all-in> part <all-in> part) and C(<or> this <or>
    that) are for text. Without one, the value must be equal. Small and capital letters are the same.
  - A size is a number of GiB, or has a unit, as C(>= 100 GiB) or C(480 GB) have. Disks are measured in whole units.
  - Disks that are read-only or removable, and loop devices, count only when the hint O(ignore:name) says their name.
    Arrays, volumes, memory disks and optical drives do not count.
"""
