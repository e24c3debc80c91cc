# Copyright (c) 2026 weft.fabric contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Boot device of one node: read, set where it differs, and read back."""

from __future__ import annotations

import typing as t

from ansible_collections.weft.fabric.plugins.module_utils.bmc_link import MARGIN_SECONDS, Link, Task
from ansible_collections.weft.fabric.plugins.module_utils.bmc_model import DEVICES, BmcError, Boot, Unsupported
from ansible_collections.weft.fabric.plugins.module_utils.bmc_watch import Watch

# How long a BMC may take until it tells what it has just accepted.
SETTLE_SECONDS = 5.0
POLL_SECONDS = 0.5

#: what the module takes for each node besides what all for BMCs do
OPTIONS = dict(
    device=dict(type="str", choices=list(DEVICES), required=True),
    persistent=dict(type="bool", default=False),
    boot_mode=dict(type="str", choices=["bios", "uefi"]),
    http_boot_uri=dict(type="str"),
    verify=dict(type="str", choices=["strict", "warn"], default="strict"),
)


def task(check_mode: bool) -> Task:
    """Return what the module does for each node."""
    return lambda node, link, watch: BootDevice(link, watch, node).run(check_mode)


class BootDevice(object):
    """Has a node boot from something."""

    def __init__(self, link: Link, watch: Watch, wanted: t.Mapping[str, t.Any]):
        self.link = link
        self.watch = watch
        self.wanted = boot(wanted)
        self.strict: bool = wanted["verify"] == "strict"

    def run(self, check_mode: bool) -> None:
        before = self._read()
        self.watch.report.update(before=str(before or "unknown"), **describe(before))
        if before is not None and before.meets(self.wanted):
            return
        self.link.ask("tell what it can boot from", lambda client: client.check_boot(self.wanted))
        text = "boot device %s -> %s" % (before or "unknown", self.wanted)
        self.watch.plan(text, "boot device %s" % (before or "unknown"), "boot device %s" % self.wanted)
        if check_mode:
            after: t.Optional[Boot] = self.wanted
        else:
            after = self._set()
        self.watch.done()
        self.watch.report.update(describe(after))

    def _set(self) -> t.Optional[Boot]:
        self.watch.command("boot device %s" % self.wanted)
        self.link.ask("take boot device %s" % self.wanted, lambda client: client.set_boot(self.wanted))
        after = self._read_back()
        if after is None or not after.meets(self.wanted):
            self.watch.report.update(describe(after))
            cause = "it accepted boot device %s, but tells %s when it is asked" % (self.wanted, after or "nothing")
            if self.strict:
                raise BmcError(
                    cause,
                    "Do not trust it to boot from there: update its firmware, set the device there, or, if it is known "
                    "to boot right without telling so, set verify to warn",
                )
            self.watch.warn(cause)
        return after

    def _read_back(self) -> t.Optional[Boot]:
        # Who says that it may not tell does not want to wait for it either.
        end = self.watch.now() + (SETTLE_SECONDS if self.strict else 0)
        with self.watch.step(
            "tell the boot device it was given", SETTLE_SECONDS + self.link.to.timeout + MARGIN_SECONDS
        ):
            while True:
                after = self._read()
                if (after is not None and after.meets(self.wanted)) or self.watch.now() >= end:
                    return after
                self.watch.sleep(POLL_SECONDS)

    def _read(self) -> t.Optional[Boot]:
        try:
            return self.link.ask("tell its boot device", lambda client: client.boot())
        except Unsupported:
            if self.strict:
                raise
            return None


def boot(wanted: t.Mapping[str, t.Any]) -> Boot:
    """Return what the module's arguments for a node want."""
    return Boot(
        wanted["device"], bool(wanted["persistent"]), wanted.get("boot_mode"), wanted.get("http_boot_uri") or None
    )


def describe(found: t.Optional[Boot]) -> t.Dict[str, t.Any]:
    """Return a boot device in the shape of the module's arguments."""
    if found is None:
        return {"device": None, "persistent": None, "boot_mode": None, "http_boot_uri": None}
    return {
        "device": found.device,
        "persistent": found.persistent,
        "boot_mode": found.mode,
        "http_boot_uri": found.http_uri,
    }
