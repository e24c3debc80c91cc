# Copyright (c) 2026 weft.fabric contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations


class ModuleDocFragment:
    # A module that changes something.
    DOCUMENTATION = r"""
options: {}
attributes:
  check_mode:
    description: Can run in check mode and report exactly what a real run then does, without changing anything.
    support: full
  diff_mode:
    description: Returns what differs between the current and the desired state.
    support: full
  idempotent:
    description: A second run with the same arguments changes nothing and opens no write transaction.
    support: full
  platform:
    description: Target operating systems.
    platforms: linux
    support: full
"""

    # A module that only reads.
    INFO = r"""
options: {}
attributes:
  check_mode:
    description: Can run in check mode; it never changes anything.
    support: full
  diff_mode:
    description: Returns what differs between the current and the desired state.
    support: N/A
    details: The module changes nothing.
  idempotent:
    description: A second run with the same arguments changes nothing.
    support: full
  platform:
    description: Target operating systems.
    platforms: linux
    support: full
"""

    # All modules can be given defaults together.
    ACTIONGROUP = r"""
options: {}
attributes:
  action_group:
    description: Use C(group/weft.fabric.fabric) in C(module_defaults) to set defaults for this module.
    support: full
    membership:
      - weft.fabric.fabric
"""

    # A module whose work is the controller's, and that is no program of its own there.
    CONTROLLER = r"""
options: {}
attributes:
  action:
    description:
      - Has a corresponding action plugin. Where the task's host is the machine that Ansible runs on, it is done in
        Ansible's own process.
      - It is a module like any other for another machine, user, environment or Python, and in the background.
    support: full
"""
