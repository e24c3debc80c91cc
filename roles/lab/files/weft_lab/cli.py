# Copyright (c) 2026 weft.fabric contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The command line: one verb, one JSON object on standard output, progress on standard error."""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from pathlib import Path
from typing import Any

import yaml

from weft_lab import access, faults, image, machine, models, network, node_faults, nodes, rootfs
from weft_lab import lab as whole
from weft_lab.definition import Lab, load
from weft_lab.system import LabError, exclusive, progress, require_root_and_tools

HOST_FAULTS = {
    "power-cut": faults.power_cut,
    "power-on": faults.power_on,
    "reboot": faults.reboot,
    "freeze": faults.freeze,
    "thaw": faults.thaw,
}
LINK_FAULTS = {"link-down": faults.link_down, "link-up": faults.link_up}
READING = ("status", "inventory", "exec", "renew-network")


def default_definition() -> Path:
    """The collection's own example, four directories above this package."""
    return Path(__file__).resolve().parents[4] / "examples" / "lab.yml"


def parser() -> argparse.ArgumentParser:
    top = argparse.ArgumentParser(prog="weft_lab", description=__doc__)
    top.add_argument(
        "--definition", "-d", type=Path, help="the lab definition (default: the running lab's, else examples/lab.yml)"
    )
    top.add_argument("--name", help="name of a lab that is up, to speak of it without its definition")
    top.add_argument("--check", action="store_true", help="tell what would be done, and change nothing")
    verbs = top.add_subparsers(dest="verb", required=True, metavar="VERB")
    verbs.add_parser("up", help="bring the lab up, and repair what faults did to it")
    verbs.add_parser("down", help="take everything away")
    verbs.add_parser("status", help="what runs, and how it is reached")
    verbs.add_parser("rootfs", help="build the root file systems and images that are not cached yet")
    verbs.add_parser("inventory", help="the path of the Ansible inventory")
    execute = verbs.add_parser("exec", help="run a command inside a host, past its network")
    execute.add_argument("--timeout", type=float, default=60, help="seconds (default: 60)")
    execute.add_argument("host")
    execute.add_argument("command", nargs=argparse.REMAINDER)
    for verb in HOST_FAULTS:
        verbs.add_parser(verb).add_argument("host")
    for verb in LINK_FAULTS:
        link = verbs.add_parser(verb)
        link.add_argument("host")
        link.add_argument("nic")
    verbs.add_parser("renew-network", help="for the machine's supervisor: fresh cables between two boots").add_argument(
        "host"
    )
    return top


def chosen_lab(options: argparse.Namespace) -> tuple[Lab, whole.Origin]:
    """The lab meant: the definition given, else the one that is up under the name, else the example."""
    path = options.definition
    if path is None:
        name = options.name or "weft"
        running, origin = whole.saved_lab(name), whole.origin_of(name)
        # A lab that is up is what it was when it came up; only `up` reads its file anew, which may have changed.
        if running is not None and origin is not None and (options.verb != "up" or not origin.source.is_file()):
            return running, origin
        if origin is None and name != "weft":
            raise LabError(f"no lab named {name} is up; give its definition with --definition")
        path = origin.source if origin is not None else default_definition()
    lab = load(path)
    if options.name and options.name != lab.name:
        raise LabError(f"{path} defines lab {lab.name}, not {options.name}")
    return lab, whole.Origin(path.resolve(), yaml.safe_load(path.read_text(encoding="utf-8")))


def perform(options: argparse.Namespace, lab: Lab, origin: whole.Origin) -> dict[str, Any]:
    verb = options.verb
    if verb == "up":
        nodes.require_tools(lab)
        return whole.up(lab, origin, check=options.check)
    if verb == "down":
        return whole.down(lab, check=options.check)
    if verb == "status":
        return whole.status(lab)
    if verb == "rootfs":
        return build_all(lab, options.check)
    if verb == "inventory":
        if not access.inventory_file(lab).exists():
            raise LabError(f"lab {lab.name} is not up, so it has no inventory yet")
        return {"changed": False, "inventory": str(access.inventory_file(lab))}
    if options.host in [node.name for node in lab.nodes]:
        return node_faults.perform(lab, lab.node(options.host), verb, getattr(options, "nic", ""), check=options.check)
    host = lab.host(options.host)
    if verb == "renew-network":
        network.create_host(lab, host, machine.pulled_links(lab, host))
        return {"changed": True, "host": host.name}
    if not network.exists(lab.fabric):
        raise LabError(f"lab {lab.name} is not up")
    if verb == "exec":
        return execute(options, lab)
    if verb in LINK_FAULTS:
        return LINK_FAULTS[verb](lab, host, options.nic, check=options.check)
    return HOST_FAULTS[verb](lab, host, check=options.check)


def execute(options: argparse.Namespace, lab: Lab) -> dict[str, Any]:
    command = options.command[1:] if options.command[:1] == ["--"] else options.command
    if not command:
        raise LabError("exec needs a command: exec HOST -- COMMAND...")
    if options.check:
        return {"changed": True, "host": options.host, "command": command}
    return access.execute(lab, lab.host(options.host), command, options.timeout)


def build_all(lab: Lab, check: bool) -> dict[str, Any]:
    started = time.monotonic()
    trees = rootfs.ensure_all(sorted({host.release for host in lab.hosts}), lab.packages, check=check)
    if lab.switches and not check:
        models.ensure()
    for name in lab.images:
        trees[name] = image.BUILT[name].ensure(check=check)
    built = [name for name, (_path, fresh) in trees.items() if fresh]
    paths = {name: str(path) for name, (path, _fresh) in trees.items()}
    return {"changed": bool(built), "built": built, "paths": paths, "seconds": round(time.monotonic() - started, 3)}


def main(argv: list[str] | None = None) -> int:
    options = parser().parse_args(argv)
    # The files of the hosts are made here: a private umask of the caller must not reach them.
    os.umask(0o022)
    os.environ["PATH"] = os.environ.get("PATH", "") + ":/usr/local/sbin:/usr/sbin:/sbin:/usr/bin:/bin"
    try:
        require_root_and_tools()
        lab, origin = chosen_lab(options)
        if options.check or options.verb in READING:
            result = perform(options, lab, origin)
        else:
            with exclusive(Path(f"/run/lock/{lab.name}-lab.lock"), f"lab {lab.name}"):
                result = perform(options, lab, origin)
    except LabError as error:
        progress(f"weft_lab: {error}")
        return 1
    print(json.dumps(result), flush=True)
    return int(result.get("rc", 0)) if options.verb == "exec" else 0


if __name__ == "__main__":
    sys.exit(main())
