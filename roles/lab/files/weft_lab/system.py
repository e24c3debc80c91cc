# Copyright (c) 2026 weft.fabric contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Running programs, waiting with a bound, locking: what every other part of the lab stands on."""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")

# What must be on the machine, and the Debian or Ubuntu package that brings it.
TOOLS = {
    "apt-get": "apt",
    "ethtool": "ethtool",
    "ip": "iproute2",
    "mmdebstrap": "mmdebstrap",
    "mount": "mount",
    "nsenter": "util-linux",
    "socat": "socat",
    "ss": "iproute2",
    "ssh": "openssh-client",
    "ssh-keygen": "openssh-client",
    "systemd-nspawn": "systemd-container",
}
KEYRING = Path("/usr/share/keyrings/debian-archive-keyring.gpg")


class LabError(Exception):
    """Something a person has to read: the message says what is wrong and what to do."""


def progress(message: str) -> None:
    print(message, file=sys.stderr, flush=True)


def run(
    argv: Sequence[str], *, stdin: str | None = None, check: bool = True, timeout: float = 60
) -> subprocess.CompletedProcess[str]:
    """Run a program to its end; a failure carries the program's own words."""
    try:
        done = subprocess.run(list(argv), input=stdin, capture_output=True, text=True, check=False, timeout=timeout)
    except FileNotFoundError as error:
        raise LabError(f"{argv[0]} is not installed") from error
    except subprocess.TimeoutExpired as error:
        raise LabError(f"{' '.join(argv)}: no end within {timeout:g} s") from error
    if check and done.returncode != 0:
        words = (done.stderr.strip() or done.stdout.strip()).splitlines()[-12:]
        raise LabError(f"{' '.join(argv[:6])} failed with exit code {done.returncode}: " + " | ".join(words))
    return done


def wait_for(condition: Callable[[], bool], *, timeout: float, what: str, interval: float = 0.02) -> float:
    """Poll until the condition holds; the bound and what was waited for are in the error."""
    started = time.monotonic()
    while not condition():
        if time.monotonic() - started > timeout:
            raise LabError(f"waited {timeout:g} s for {what}, in vain")
        time.sleep(interval)
    return time.monotonic() - started


def each(items: Iterable[Item], action: Callable[[Item], Result]) -> list[Result]:
    """Do the same for all items at once; every failure is told, not only the first."""
    items = list(items)
    if not items:
        return []
    with ThreadPoolExecutor(max_workers=len(items)) as pool:
        jobs = [pool.submit(action, item) for item in items]
    errors = [str(job.exception()) for job in jobs if isinstance(job.exception(), LabError)]
    if errors:
        raise LabError("; ".join(errors))
    return [job.result() for job in jobs]


def require_root_and_tools() -> None:
    if os.geteuid() != 0:
        raise LabError("the lab makes namespaces, mounts and machines, so it must run as root")
    missing = missing_packages()
    if missing:
        raise LabError(
            f"missing on this machine: {', '.join(missing)}. Install with: apt-get install {' '.join(missing)}"
        )


def missing_packages(tools: dict[str, str] | None = None) -> list[str]:
    wanted = TOOLS if tools is None else tools
    packages = {package for tool, package in wanted.items() if not shutil.which(tool, path=search_path())}
    if not KEYRING.exists():
        packages.add("debian-archive-keyring")
    return sorted(packages)


def search_path() -> str:
    # Ansible and sudo may start this without the sbin directories, where ip and ethtool can live.
    return os.environ.get("PATH", "") + ":/usr/local/sbin:/usr/sbin:/sbin:/usr/bin:/bin"


@contextlib.contextmanager
def exclusive(path: Path, what: str, timeout: float = 600) -> Iterator[None]:
    """Hold a lock file, so that two runs of the lab do not work on the same thing at once; then remove it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with contextlib.ExitStack() as held:

        def taken() -> bool:
            with contextlib.ExitStack() as attempt:
                handle = attempt.enter_context(path.open("a", encoding="utf-8"))
                try:
                    fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    # Who held it may have removed it meanwhile: then this is the lock of a file nobody sees.
                    current = os.fstat(handle.fileno()).st_ino == path.stat().st_ino
                except (BlockingIOError, FileNotFoundError):
                    return False
                if current:
                    held.push(attempt.pop_all())
                return current

        if not taken():
            progress(f"waiting for another run that holds {what}")
            wait_for(taken, timeout=timeout, what=f"another run to let go of {what} ({path})", interval=0.1)
        held.callback(path.unlink, missing_ok=True)
        yield


def systemd_is_pid1() -> bool:
    return Path("/run/systemd/system").is_dir()


def process_start(pid: int) -> str | None:
    """The kernel's start time of a process: with the pid it names one process for good."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8")
    except (FileNotFoundError, ProcessLookupError):
        return None
    fields = stat.rpartition(")")[2].split()
    return None if fields[0] == "Z" else fields[19]


def kill_all(pids: Callable[[], Iterable[int]], *, what: str, timeout: float = 15) -> int:
    """KILL what pids() lists, again and again until it lists nothing: a fork may outrun one round."""
    killed: set[int] = set()

    def gone() -> bool:
        remaining = [pid for pid in pids() if process_start(pid) is not None]
        for pid in remaining:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, 9)
        killed.update(remaining)
        return not remaining

    wait_for(gone, timeout=timeout, what=f"the processes of {what} to die")
    return len(killed)


def write_file(path: Path, text: str, mode: int = 0o644) -> bool:
    """Write a file whole or not at all; tell whether anything changed."""
    if path.exists() and path.read_text(encoding="utf-8") == text and (path.stat().st_mode & 0o777) == mode:
        return False
    path.parent.mkdir(parents=True, exist_ok=True)
    scratch = path.with_name(f".{path.name}.new")
    descriptor = os.open(scratch, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode)
    with os.fdopen(descriptor, "w", encoding="utf-8") as handle:
        handle.write(text)
    scratch.chmod(mode)
    scratch.replace(path)
    return True
