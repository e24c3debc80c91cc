# Copyright (c) 2026 weft.fabric contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The main job, shown: two tenants with the same addresses on four hosts, each working, and apart."""

from __future__ import annotations

import sys
import time
from pathlib import Path

from ansible_collections.weft.fabric.plugins.plugin_utils.topology.build import build
from ansible_collections.weft.fabric.plugins.plugin_utils.topology.model import Topology
from ansible_collections.weft.fabric.plugins.plugin_utils.topology.picture import draw
from ansible_collections.weft.fabric.tests.wire.lab import LAB_INVENTORY, Host, LabError
from ansible_collections.weft.fabric.tests.wire.plays import play
from ansible_collections.weft.fabric.tests.wire.tenant import Tenant, boot_all

TOPOLOGY = Path(__file__).parents[1] / "examples/two-tenants/topology.yml"


def say(text: str) -> None:
    print(text, flush=True)


def boot_tenants(model: Topology) -> dict[tuple[str, str], Tenant]:
    """Give every tenant's machine its address, and hold it against what the topology foretold."""
    tenants = boot_all(Host, model)
    for (project, name), tenant in tenants.items():
        port = model.projects[project].ports[name]
        address = tenant.lease["new_ip_address"]
        foretold = [str(a) for a in port.addresses if a.version == 4]
        if [address] != foretold:
            raise LabError(f"{tenant} got {address}, the topology foretold {foretold}")
        say(f"  {project}/{name} on {port.host}: {address} by DHCP, as foretold")
    return tenants


def show_reach(tenants: dict[tuple[str, str], Tenant]) -> None:
    """Ping every machine of the own project by name."""
    for (project, name), tenant in tenants.items():
        for other_project, other_name in tenants:
            if other_project == project and other_name != name:
                if not tenant.reaches(other_name):
                    raise LabError(f"{project}/{name} does not reach {other_name}")
                say(f"  {project}/{name} reaches {other_name} by name")


def show_apart(tenants: dict[tuple[str, str], Tenant]) -> None:
    """Let one project call everything it can while the others listen."""
    callers = {key: tenant for key, tenant in tenants.items() if key[0] == min(project for project, _name in tenants)}
    expression = " or ".join(f"ether src {tenant.mac()}" for tenant in callers.values())
    captures = {key: tenant.capture(expression) for key, tenant in tenants.items()}
    for tenant in callers.values():
        tenant.run("arping -c 2 -w 2 -I eth0 10.0.0.77 || true")
        tenant.run("ping -n -c 3 -i 0.2 -W 1 -b 10.0.0.255 || true")
    for key, capture in captures.items():
        frames = len(capture.stop())
        say(f"  {key[0]}/{key[1]} heard {frames} frames of project {min(callers)[0]}")
        if frames and key not in callers:
            raise LabError(f"{key} heard a frame of another project")


def main() -> int:
    model = build(str(TOPOLOGY))
    started = time.monotonic()
    say("Bringing the lab up (the first time its hosts' root file systems are made, which takes a minute):")
    up = play("weft.fabric.lab_up", Path("localhost,"), seconds=900)
    say(f"  done in {up.seconds:.0f} s\n")
    say("The plan (site --check):")
    plan = play("weft.fabric.site", TOPOLOGY, "--check")
    for host, lines in plan.changes().items():
        say(f"  {host}: {len(lines)} changes, the first: {lines[0]}")
    say("\nMaking it so (site):")
    done = play("weft.fabric.site", TOPOLOGY)
    say(
        f"  {sum(map(len, done.changes().values()))} changes in {done.seconds:.1f} s, as foretold: "
        f"{plan.changes() == done.changes()}"
    )
    again = play("weft.fabric.site", TOPOLOGY)
    say(f"  once more: {len(again.changed)} changes in {again.seconds:.1f} s")
    say("\nThe tenants' machines ask for their addresses:")
    tenants = boot_tenants(model)
    say("\nEach tenant works, across hosts:")
    show_reach(tenants)
    say("\nThe tenants are apart, though their addresses are the same:")
    show_apart(tenants)
    say("\nWhat stands now:\n")
    say(draw(model))
    say(f"Done in {time.monotonic() - started:.0f} s. Look around with:")
    say(f"  ansible-playbook -i {TOPOLOGY} -i {LAB_INVENTORY} weft.fabric.status")
    say(f"  ssh into a host: ansible-console -i {LAB_INVENTORY} cmp1")
    say("and take it all down with: ansible-playbook -i localhost, weft.fabric.lab_down")
    return 0


if __name__ == "__main__":
    sys.exit(main())
