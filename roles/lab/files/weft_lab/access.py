# Copyright (c) 2026 weft.fabric contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""How the controller reaches the hosts: keys, known hosts, the inventory, and commands inside a host."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from pathlib import Path

import yaml

from weft_lab import cgroups, machine, network, switches
from weft_lab.definition import Host, Lab
from weft_lab.system import LabError, run, write_file

PATH_INSIDE = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


def key_file(lab: Lab) -> Path:
    return lab.state / "id_ed25519"


def known_hosts_file(lab: Lab) -> Path:
    return lab.state / "known_hosts"


def inventory_file(lab: Lab) -> Path:
    return lab.state / "inventory.yml"


def ensure_key(lab: Lab) -> str:
    """The lab's own key pair; returns the public half."""
    key = key_file(lab)
    if not key.exists():
        run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", f"{lab.name}-lab", "-f", str(key)])
    return key.with_suffix(".pub").read_text(encoding="utf-8")


def ssh_options(lab: Lab) -> list[str]:
    proxy = f"nsenter --net={network.NAMESPACES / lab.fabric} socat - TCP:%h:%p"
    return [
        f"ProxyCommand={proxy}",
        f"UserKnownHostsFile={known_hosts_file(lab)}",
        "GlobalKnownHostsFile=/dev/null",
        "StrictHostKeyChecking=yes",
        "IdentitiesOnly=yes",
        "PreferredAuthentications=publickey",
        # A host that is cut off must not hold a shared connection for minutes.
        "ConnectTimeout=10",
        "ServerAliveInterval=5",
        "ServerAliveCountMax=3",
        "LogLevel=ERROR",
    ]


def ssh_command(lab: Lab, host: Host, command: str) -> list[str]:
    options = [word for option in [*ssh_options(lab), "BatchMode=yes"] for word in ("-o", option)]
    return [
        "ssh",
        "-F",
        "none",
        "-T",
        *options,
        "-i",
        str(key_file(lab)),
        f"root@{lab.management_address(host)}",
        command,
    ]


def inventory(lab: Lab) -> dict[str, object]:
    common = " ".join(f"-o '{option}'" if " " in option else f"-o {option}" for option in ssh_options(lab))
    variables = {
        "ansible_connection": "ssh",
        "ansible_user": "root",
        "ansible_ssh_private_key_file": str(key_file(lab)),
        "ansible_ssh_common_args": common,
        "ansible_python_interpreter": "/usr/bin/python3",
    }

    def group(members: dict[str, Host]) -> dict[str, object]:
        hosts = {name: {"ansible_host": lab.management_address(host)} for name, host in members.items()}
        return {"hosts": hosts, "vars": dict(variables)}

    found: dict[str, object] = {"weft_lab": group({host.name: host for host in lab.hosts if not host.switch})}
    if lab.switches:
        # Under other names: a play that sets a switch up by NETCONF must not be led into its shell.
        found["weft_lab_switches"] = group({f"{host.name}-shell": host for host in lab.switches})
    return found


def write_all(lab: Lab) -> bool:
    known = "".join(f"{lab.management_address(host)} {machine.host_key(lab, host)}\n" for host in lab.hosts)
    known += "".join(
        f"{switches.door(host.switch)} {machine.host_key(lab, host)}\n" for host in lab.hosts if host.switch
    )
    text = yaml.safe_dump(inventory(lab), sort_keys=False, width=1000)
    changes = [write_file(known_hosts_file(lab), known), write_file(inventory_file(lab), text)]
    return any(changes)


def settled(lab: Lab, host: Host, timeout: float = 90) -> str:
    """Log in over ssh and wait there until systemd has settled; anything but `running` is an error."""
    done = run(
        ssh_command(lab, host, "systemctl is-system-running --wait; systemctl --failed --plain --no-legend"),
        check=False,
        timeout=timeout,
    )
    lines = done.stdout.split("\n")
    if lines[0] == "running":
        return "running"
    if lines[0]:
        failed = [line.split()[0] for line in lines[1:] if line.strip()]
        raise LabError(
            f"{host.name} is {lines[0]}; failed units: {', '.join(failed) or 'none'}"
            f" (its console: {machine.console(lab, host)})"
        )
    raise LabError(f"{host.name}: ssh failed: {done.stderr.strip()}")


def execute(lab: Lab, host: Host, argv: list[str], timeout: float) -> dict[str, object]:
    """Run a command inside the host past its network: for when the network is what is broken."""
    name = lab.machine(host)
    leader = cgroups.leader(name)
    if leader is None:
        raise LabError(f"{host.name} is not running")
    if cgroups.frozen(name):
        raise LabError(f"{host.name} is frozen: a command in it would not come back")
    # In the host's own groups, or a later freeze and power cut would leave the command running.
    groups = " ".join(str(path) for path in cgroups.of_process(leader))
    enter = 'groups=$1; shift; for group in $groups; do echo 0 >"$group/cgroup.procs" || exit 125; done; exec "$@"'
    command = [
        "sh",
        "-c",
        enter,
        "sh",
        groups,
        "nsenter",
        f"--target={leader}",
        "--mount",
        "--uts",
        "--ipc",
        "--net",
        "--pid",
        "--root",
        "--wd",
        "--",
        "/usr/bin/env",
        "-i",
        f"PATH={PATH_INSIDE}",
        "HOME=/root",
        "LANG=C.UTF-8",
        *argv,
    ]
    started = time.monotonic()
    with subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        errors="replace",
        start_new_session=True,
    ) as child:
        try:
            out, err = child.communicate(timeout=timeout)
        except subprocess.TimeoutExpired as error:
            # nsenter forks into the process namespace, and passes no signal on: the whole session must go.
            os.killpg(child.pid, signal.SIGKILL)
            raise LabError(f"{host.name}: {' '.join(argv)}: no end within {timeout:g} s") from error
    return {
        "changed": True,
        "rc": child.returncode,
        "stdout": out,
        "stderr": err,
        "seconds": round(time.monotonic() - started, 3),
    }
