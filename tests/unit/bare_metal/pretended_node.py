# Copyright (c) 2026 weft.fabric contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A node that does what the steps say, as far as power, ports, boot file and disk go; it can be stopped anywhere."""

from __future__ import annotations

import dataclasses
import typing as t

from ansible_collections.weft.fabric.plugins.plugin_utils.bare_metal import plan as steps
from ansible_collections.weft.fabric.plugins.plugin_utils.bare_metal.plan import Plan, plan
from ansible_collections.weft.fabric.plugins.plugin_utils.bare_metal.standing import Facts, Wanted

ADDRESS = "10.66.100.11"
RED, BLUE = "server-of-red", "server-of-blue"
OLD, NEW = "sha256:old", "sha256:new"
VOLUME, OTHER_VOLUME = "iscsi:10.0.1.9::3260:1:iqn.2016-01.example:a", "iscsi:10.0.1.9::3260:1:iqn.2016-01.example:b"

#: phases share a network unless the topology says otherwise
SERVICE = frozenset({"deployment", "cleaning", "inspection", "rescue"})
PLACES: dict[str, frozenset[str]] = {
    "idle": frozenset({"idle"}),
    "tenant": frozenset({"tenant"}),
    "strange": frozenset(),
    **dict.fromkeys(SERVICE, SERVICE),
}


def wanted(server: str | None = RED, image: str = OLD) -> Wanted:
    return Wanted("n1", ADDRESS, server, f"{server}/db" if server else None, image if server else None)


class Broken(Exception):
    """A rule was broken that no run may break."""


@dataclasses.dataclass
class Machine:
    """The node, and what the boot server keeps for it."""

    power: str = "off"
    place: str = "idle"
    boot: str = "absent"
    record: dict[str, t.Any] = dataclasses.field(default_factory=dict)
    device: str | None = None
    fetched: int = 0
    #: what runs: nothing, the ramdisk, or what is on the disk
    runs: str | None = None
    disk: tuple[str, str] | None = None
    #: the name of the writing, if it has one
    mark: str = ""
    writes: int = 0
    runs_made: int = 0
    log: list[str] = dataclasses.field(default_factory=list)

    def facts(self) -> Facts:
        return Facts(
            power=self.power,
            ports=PLACES[self.place],
            boot=self.boot,
            record=dict(self.record),
            device=self.device,
            fetched_by=(ADDRESS,) * self.fetched,
        )

    def run(self, verb: str, want: Wanted, stop_after: int | None = None, **options: t.Any) -> Plan:
        """Do what a verb says; with stop_after, so many steps of it."""
        self.runs_made += 1
        found = plan(verb, self.facts(), want, name=f"run {self.runs_made}", **options)
        reached = bool(found.resumed) and self.runs == "ramdisk"
        todo = found.resumed if reached else found.steps
        for step in todo[:stop_after]:
            self.log.append(step)
            getattr(self, f"_{step}")(found, want)
            self.check()
        return found

    def check(self) -> None:
        """The rules."""
        if self.power == "on" and self.runs == "ramdisk" and self.place not in SERVICE:
            raise Broken(f"the ramdisk is on in {self.place}: {self.log}")
        if self.power == "on" and self.runs in ("disk", "volume") and self.place != "tenant":
            raise Broken(f"what is on the {self.runs} runs in {self.place}: {self.log}")

    # the steps

    def _off(self, found: Plan, want: Wanted) -> None:
        self.power, self.runs = "off", None

    def _move(self, place: str) -> None:
        if self.power != "off" and PLACES[place] != PLACES[self.place]:
            raise Broken(f"a port changes to {place} while the node is on: {self.log}")
        self.place = place

    def _ports(self, found: Plan, want: Wanted) -> None:
        self._move(found.phase or "?")

    def _files(self, found: Plan, want: Wanted) -> None:
        self.boot, self.fetched = "ramdisk", 0
        kept = self.record if found.phase == "rescue" else {}
        server = want.server if found.phase == "deployment" else kept.get("server")
        self.record = {"phase": found.phase, "server": server, "image": kept.get("image")}
        if found.phase == "deployment":
            self.record["again"] = found.again

    def _device(self, found: Plan, want: Wanted) -> None:
        self.device = None

    def _on(self, found: Plan, want: Wanted) -> None:
        if self.power != "on":
            self.power = "on"
            self.runs = "ramdisk" if self.boot == "ramdisk" and self.place in SERVICE else "disk"
            if self.boot == "iscsi" and self.place == "tenant":
                self.runs = "volume"
            self.fetched += self.runs == "ramdisk"

    def _start(self, found: Plan, want: Wanted) -> None:
        self._on(found, want)

    def _connect(self, found: Plan, want: Wanted) -> None:
        if self.runs != "ramdisk" or self.fetched != 1:
            raise Broken(f"nobody to connect to: {self.runs}, {self.fetched} fetches: {self.log}")

    def _write(self, found: Plan, want: Wanted) -> None:
        self._connect(found, want)
        assert want.server is not None
        assert want.image is not None
        if self.disk != (want.server, want.image) or (found.again and self.mark != found.again):
            self.disk, self.mark = (want.server, want.image), found.again
            self.writes += 1

    def _clean(self, found: Plan, want: Wanted) -> None:
        self._connect(found, want)
        self.disk = None

    def _inspect(self, found: Plan, want: Wanted) -> None:
        self._connect(found, want)

    def _leave(self, found: Plan, want: Wanted) -> None:
        self.power, self.runs = "off", None

    def _local(self, found: Plan, want: Wanted) -> None:
        kept = self.record if self.record.get("phase") == "rescue" else {}
        image = kept.get("image", want.image)
        self.boot, self.fetched = "local", 0
        self.record = {"phase": "tenant", "server": want.server, "image": image}

    def _forget(self, found: Plan, want: Wanted) -> None:
        self.boot, self.record, self.fetched = "absent", {}, 0

    def _tenant(self, found: Plan, want: Wanted) -> None:
        self._move("tenant")

    def _idle(self, found: Plan, want: Wanted) -> None:
        self._move("idle")

    def _volume(self, found: Plan, want: Wanted) -> None:
        assert want.volume
        self.boot, self.fetched = "iscsi", 0
        self.record = {"phase": "tenant", "server": want.server, "image": want.image}

    def _network(self, found: Plan, want: Wanted) -> None:
        self.device = "pxe"

    def _disk(self, found: Plan, want: Wanted) -> None:
        self.device = "disk"


STEPS = frozenset(
    value
    for name, value in vars(steps).items()
    if name.isupper() and isinstance(value, str) and not name.startswith("REMEDY") and value not in SERVICE
)
