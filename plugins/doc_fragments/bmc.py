# Copyright (c) 2026 weft.fabric contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations


class ModuleDocFragment:
    # For all modules that speak to BMCs. How one is reached stands in each of them: what is nested does not merge.
    DOCUMENTATION = r"""
options:
  parallel:
    description: How many BMCs to speak to at the same time.
    type: int
    default: 16
requirements:
  - pyghmi 1.6.8 or newer, on the controller
notes:
  - Runs on the controller. In a play of its own, set C(connection=local). Ansible's own Python is used, and with it
    pyghmi, unless C(ansible_python_interpreter) names another one.
  - Each wait has a bound, and the error says which one it was. A BMC that says nothing costs
    O(nodes[].bmc.connect_timeout) seconds at most, and the others nothing.
"""
