# Copyright (c) 2026 weft.fabric contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a node's BMC tells. Nothing is changed."""

from __future__ import annotations

from ansible_collections.weft.fabric.plugins.module_utils.bmc_boot_device import describe
from ansible_collections.weft.fabric.plugins.module_utils.bmc_link import Item, Link
from ansible_collections.weft.fabric.plugins.module_utils.bmc_model import BmcError, NoAnswer, Refused
from ansible_collections.weft.fabric.plugins.module_utils.bmc_watch import Watch


def task(_node: Item, link: Link, watch: Watch) -> None:
    """Do what the module does for each node."""
    read(link, watch)


def read(link: Link, watch: Watch) -> None:
    """Note power, boot device and identity in the report. What a BMC cannot tell is a warning."""
    watch.report.update(state=None, identity={}, **describe(None))
    watch.report["state"] = link.ask("tell its power state", lambda client: client.power())
    try:
        watch.report.update(describe(link.ask("tell its boot device", lambda client: client.boot())))
        watch.report["identity"] = link.ask("tell what it is", lambda client: client.identity())
    except (NoAnswer, Refused):
        raise
    except BmcError as error:
        watch.warn(error.cause)
