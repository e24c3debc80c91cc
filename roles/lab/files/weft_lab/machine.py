# Copyright (c) 2026 weft.fabric contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""One host: its disk, its boot, its end."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import subprocess
import sys
import uuid
from pathlib import Path

from weft_lab import cgroups, network, rootfs, switches
from weft_lab.definition import Host, Lab
from weft_lab.system import LabError, kill_all, process_start, run, systemd_is_pid1, wait_for, write_file

NSPAWN_ENVIRONMENT = {"SYSTEMD_NSPAWN_API_VFS_WRITABLE": "network"}
# nspawn's exit code after a reboot from inside: the machine is to be started again.
REBOOTED = 133
# Runs outside of the host's control groups, so that a freeze or a power cut of the host does not hit
# what has to start it again. $1: the groups, $2: how many words the renewing command has.
SUPERVISOR = """\
groups=$1; words=$2; shift 2
renew=; while [ "$words" -gt 0 ]; do renew="$renew '$1'"; shift; words=$((words - 1)); done
while :; do
  (for group in $groups; do echo 0 >"$group/cgroup.procs"; done; exec "$@")
  [ $? -eq 133 ] || exit 0
  eval "$renew" || exit 1
done
"""


def folder(lab: Lab, host: Host) -> Path:
    return lab.disks / "hosts" / host.name


def root(lab: Lab, host: Host) -> Path:
    return folder(lab, host) / "root"


def runtime(lab: Lab, host: Host) -> Path:
    return lab.state / "hosts" / host.name


def console(lab: Lab, host: Host) -> Path:
    return runtime(lab, host) / "console.log"


def pulled_links(lab: Lab, host: Host) -> set[str]:
    """NICs whose cable is pulled: that outlasts a reboot and a power cut, as in a rack."""
    file = runtime(lab, host) / "pulled.json"
    return set(json.loads(file.read_text(encoding="utf-8"))) if file.exists() else set()


def remember_pulled(lab: Lab, host: Host, pulled: set[str]) -> None:
    write_file(runtime(lab, host) / "pulled.json", json.dumps(sorted(pulled)))


def nspawn_command(lab: Lab, host: Host) -> list[str]:
    machine = lab.machine(host)
    return [
        "systemd-nspawn",
        "--quiet",
        f"--directory={root(lab, host)}",
        f"--machine={machine}",
        f"--hostname={host.name}",
        # Its identity is the disk's, so that facts and journals name one machine through all its boots.
        f"--uuid={machine_id(lab, host)}",
        "--register=no",
        "--keep-unit",
        f"--network-namespace-path={network.NAMESPACES / machine}",
        # A given namespace does not count as a private network: the defaults lack CAP_NET_ADMIN.
        # Loading kernel modules stays the machine's own business.
        "--capability=all",
        "--drop-capability=CAP_SYS_MODULE",
        "--bind=/dev/net/tun",
        "--resolv-conf=off",
        "--timezone=off",
        "--console=read-only",
        "--boot",
    ]


def renew_command(lab: Lab, host: Host) -> list[str]:
    return [sys.executable, "-B", str(Path(__file__).resolve().parent), "--name", lab.name, "renew-network", host.name]


def unit_command(lab: Lab, host: Host) -> list[str]:
    """The host as a unit of the machine's own systemd."""
    properties = [
        "Type=notify",
        "NotifyAccess=all",
        "Delegate=yes",
        "KillMode=mixed",
        "TimeoutStopSec=20",
        "TasksMax=16384",
        f"RestartForceExitStatus={REBOOTED}",
        f"SuccessExitStatus={REBOOTED}",
        "DevicePolicy=auto",
        f"StandardOutput=append:{console(lab, host)}",
        f"StandardError=append:{console(lab, host)}",
        f"ExecStartPre={' '.join(renew_command(lab, host))}",
    ]
    return [
        "systemd-run",
        "--quiet",
        "--collect",
        f"--unit={cgroups.unit_name(lab.machine(host))}",
        *(f"--property={one}" for one in properties),
        *(f"--setenv={key}={value}" for key, value in NSPAWN_ENVIRONMENT.items()),
        shutil.which("systemd-nspawn") or "/usr/bin/systemd-nspawn",
        *nspawn_command(lab, host)[1:],
    ]


def machine_id(lab: Lab, host: Host) -> str:
    return uuid.uuid5(uuid.NAMESPACE_DNS, f"{host.name}.{lab.name}.lab.weft.fabric").hex


def is_mounted(path: Path) -> bool:
    text = Path("/proc/self/mountinfo").read_text(encoding="utf-8")
    return any(line.split()[4] == str(path) for line in text.splitlines())


def base_of(lab: Lab, host: Host) -> Path:
    """The tree below the host's disk. A disk keeps the one it was begun on, though the recipe has changed since."""
    marker = folder(lab, host) / "base"
    if (lab.state / "state.json").exists() and marker.exists():
        recorded = Path(marker.read_text(encoding="utf-8"))
        if recorded.is_dir():
            return recorded
    return rootfs.path_of(host.release, lab.packages)


def insert_disk(lab: Lab, host: Host, base: Path) -> None:
    """Mount the host's disk: the shared tree below, the host's own changes above, on disk."""
    home = folder(lab, host)
    marker = home / "base"
    if marker.exists() and marker.read_text(encoding="utf-8") != str(base):
        # What was written over one tree means nothing over another.
        remove_disk(lab, host)
    for name in ("upper", "work", "root"):
        (home / name).mkdir(parents=True, exist_ok=True)
    write_file(marker, str(base))
    if not is_mounted(root(lab, host)):
        options = f"lowerdir={base},upperdir={home / 'upper'},workdir={home / 'work'}"
        run(["mount", "-t", "overlay", lab.machine(host), "-o", options, str(root(lab, host))])


def furnish(lab: Lab, host: Host, public_key: str) -> None:
    """What is the host's own on its disk: addresses, names, keys."""
    top = root(lab, host)
    write_file(top / "etc/lab/network.batch", "\n".join(network.boot_lines(host)) + "\n")
    write_file(top / "etc/machine-id", machine_id(lab, host) + "\n", 0o444)
    names = ["127.0.0.1 localhost", "::1 localhost ip6-localhost ip6-loopback"]
    names += [f"{lab.management_address(one)} {one.name}" for one in lab.hosts]
    write_file(top / "etc/hosts", "\n".join(names) + "\n")
    (top / "root/.ssh").mkdir(mode=0o700, exist_ok=True)
    write_file(top / "root/.ssh/authorized_keys", public_key, 0o600)
    key = top / "etc/ssh/ssh_host_ed25519_key"
    if not key.exists():
        run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", f"root@{host.name}", "-f", str(key)])
    switches.furnish(host, top)


def host_key(lab: Lab, host: Host) -> str:
    kind, key = (folder(lab, host) / "upper/etc/ssh/ssh_host_ed25519_key.pub").read_text(encoding="utf-8").split()[:2]
    return f"{kind} {key}"


def is_running(lab: Lab, host: Host) -> bool:
    return cgroups.leader(lab.machine(host)) is not None


def start(lab: Lab, host: Host) -> None:
    machine = lab.machine(host)
    runtime(lab, host).mkdir(parents=True, exist_ok=True)
    if systemd_is_pid1():
        # A unit that failed before keeps its name until it is reset.
        run(["systemctl", "reset-failed", cgroups.unit_name(machine)], check=False)
        if run(unit_command(lab, host), check=False).returncode != 0:
            lines = console(lab, host).read_text(encoding="utf-8", errors="replace").split("\n")
            words = [line.strip() for line in lines if line.strip()]
            raise LabError(f"{host.name} did not start: {words[-1:]} (its console: {console(lab, host)})")
        return
    network.create_host(lab, host, pulled_links(lab, host))
    groups = cgroups.create(machine)
    renew = renew_command(lab, host)
    argv = [
        "sh",
        "-c",
        SUPERVISOR,
        f"{machine}-supervisor",
        " ".join(map(str, groups)),
        str(len(renew)),
        *renew,
        *nspawn_command(lab, host),
    ]
    with console(lab, host).open("ab") as log:
        child = subprocess.Popen(
            argv,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
            cwd="/",
            env={**os.environ, **NSPAWN_ENVIRONMENT},
        )
    write_file(runtime(lab, host) / "supervisor", f"{child.pid} {process_start(child.pid)}")


def stop_supervisor(lab: Lab, host: Host) -> None:
    """End the process that would start the host again; its start time tells it from a later bearer of the pid."""
    file = runtime(lab, host) / "supervisor"
    if file.exists():
        pid, _space, started = file.read_text(encoding="utf-8").partition(" ")
        with contextlib.suppress(LabError):
            wait_for(lambda: process_start(int(pid)) != started, timeout=1, what="the supervisor")
        kill_all(lambda: [int(pid)] if process_start(int(pid)) == started else [], what=f"{host.name}'s supervisor")
        file.unlink()


def cut_power(lab: Lab, host: Host) -> bool:
    """KILL all of the host, take its cables and its disk out. What was written stays on the disk."""
    machine = lab.machine(host)
    was_running = bool(cgroups.members(machine))
    if systemd_is_pid1():
        end_unit(machine)
    else:
        # The machine first: its supervisor then sees no reboot, takes note of its end, and ends by itself.
        cgroups.kill(machine)
        stop_supervisor(lab, host)
        # The supervisor may have been about to start the host again.
        cgroups.kill(machine)
        cgroups.remove(machine)
    end_guests(lab, [machine])
    removed = network.remove_host(lab, host)
    eject_disk(lab, host)
    for path in leftovers(machine):
        # A machine that ends by itself takes these away; a killed one cannot, and could not start again.
        if is_mounted(path):
            run(["umount", str(path)])
        path.rmdir()
    return was_running or removed


def leftovers(machine: str) -> list[Path]:
    """nspawn's own directories for a machine; the second one is known to systemd 256 and newer only."""
    paths = [Path("/run/systemd/nspawn") / kind / machine for kind in ("propagate", "unix-export")]
    return [path for path in paths if path.is_dir()]


def end_unit(machine: str) -> None:
    unit = cgroups.unit_name(machine)
    run(["systemctl", "kill", "--signal=KILL", unit], check=False)
    cgroups.kill(machine)
    run(["systemctl", "stop", unit], check=False)
    run(["systemctl", "reset-failed", unit], check=False)

    def forgotten() -> bool:
        return run(["systemctl", "show", "--property=LoadState", "--value", unit]).stdout.strip() == "not-found"

    # A transient unit's name is free only when systemd has cleared it away, a little after it ended.
    wait_for(forgotten, timeout=15, what=f"systemd to forget {unit}")


def end_guests(lab: Lab, namespaces: list[str]) -> int:
    """End what was started into the lab's namespaces from outside (captures, connections): it would hold them."""
    inodes = {inode for inode in map(network.inode, namespaces) if inode is not None}
    return kill_all(lambda: network.processes_in(inodes), what=f"{lab.name}'s namespaces") if inodes else 0


def eject_disk(lab: Lab, host: Host) -> None:
    top = root(lab, host)
    if is_mounted(top):
        seen = top.stat()
        run(["umount", str(top)])
        # A killed nspawn leaves the lock file it held for this tree.
        Path(f"/run/systemd/nspawn/locks/inode-{seen.st_dev}:{seen.st_ino}").unlink(missing_ok=True)


def remove_disk(lab: Lab, host: Host) -> None:
    if is_mounted(root(lab, host)):
        raise LabError(f"{root(lab, host)} is still mounted; its disk cannot be removed")
    shutil.rmtree(folder(lab, host), ignore_errors=True)


def listens(pid: int, port: int) -> bool:
    """Whether something in that process's network namespace listens on a TCP port; costs no process."""
    wanted = f":{port:04X}"
    for name in ("tcp", "tcp6"):
        try:
            lines = Path(f"/proc/{pid}/net/{name}").read_text(encoding="utf-8").splitlines()[1:]
        except OSError:
            continue
        if any(fields[1].endswith(wanted) and fields[3] == "0A" for fields in map(str.split, lines)):
            return True
    return False


def wait_for_port(lab: Lab, host: Host, *, before: int | None = None, timeout: float = 60) -> float:
    """Wait until the host's sshd listens; `before` is the process 1 that has to be gone first."""

    def ready() -> bool:
        pid = cgroups.leader(lab.machine(host))
        return pid is not None and pid != before and listens(pid, 22)

    return wait_for(
        ready,
        timeout=timeout,
        what=f"{host.name} to boot up to sshd (its console: {console(lab, host)})",
        interval=0.05,
    )
