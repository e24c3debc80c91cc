# Copyright (c) 2026 weft.fabric contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A node that is deployed: who gets in, who does not, and what is there. One start of the machine for all."""

from __future__ import annotations

import os
import subprocess
import time
import typing as t
from pathlib import Path

import pytest

from ansible_collections.weft.fabric.tests.soak.ramdisk.conftest import Site
from ansible_collections.weft.fabric.tests.soak.ramdisk.guest import ADDRESS, READY, Guest, identity, ssh, wait_for

TOOLS = (
    "blkdiscard blkid curl dmidecode e2fsck efibootmgr ethtool genisoimage gzip hdparm ipmitool lsblk mcopy mdadm "
    "mkfs.vfat mkfs.xfs nvme parted qemu-img resize2fs sfdisk sgdisk smartctl tgtadm tgtd udevadm wipefs xz zstd"
)
BOOTIF = "BOOTIF=01-52-54-00-66-00-11"
PLAY = """\
- hosts: all
  gather_facts: false
  tasks:
    - ansible.builtin.ping:
    - weft.fabric.requirements_info:
        programs: [ip]
        interfaces: [{name: "{{ nic }}", mtu: 1500}]
"""


@pytest.fixture(scope="module")
def guest(site: Site) -> t.Iterator[Guest]:
    found = site.guest("n1", identity(site.keys), arguments=f"{BOOTIF} weft.timeout=300")
    try:
        found.says(READY, 120)
        print(f"\nstart to sshd {found.age():.1f} s, QEMU's peak {found.peak_memory()} MiB")
        yield found
    finally:
        found.close()


def run(site: Site, *words: str) -> str:
    done = ssh(site.keys, *words)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_deployer_gets_in_and_knows_where_it_is(site: Site, guest: Guest) -> None:
    assert run(site, "id -u; hostname 2> /dev/null || cat /proc/sys/kernel/hostname").split() == ["0", "n1"]
    assert '"deployment": "3f1c2b9a"' in run(site, "cat /etc/weft/node.json")


def test_another_key_does_not(site: Site, guest: Guest) -> None:
    done = ssh(site.keys, "true", key="stranger")
    assert done.returncode == 255
    assert "Permission denied (publickey)" in done.stderr


def test_a_ramdisk_with_another_host_key_is_not_believed(site: Site, guest: Guest) -> None:
    done = ssh(site.keys, "true", host_key="stranger")
    assert done.returncode == 255
    assert "Host key verification failed" in done.stderr


@pytest.mark.parametrize("method", ["password", "keyboard-interactive", "none", "hostbased", "gssapi-with-mic"])
def test_no_other_way_is_offered(site: Site, guest: Guest, method: str) -> None:
    done = ssh(site.keys, "true", options=["-o", f"PreferredAuthentications={method}", "-o", "BatchMode=no"])
    assert done.returncode == 255
    assert "Permission denied (publickey)" in done.stderr


def test_nobody_has_a_password(site: Site, guest: Guest) -> None:
    assert {line.split(":")[1] for line in run(site, "cat /etc/passwd").splitlines()} == {"*"}
    assert run(site, "ls /etc/shadow 2>&1 || true").strip().endswith("No such file or directory")


def test_nothing_else_can_be_reached_through_it(site: Site, guest: Guest) -> None:
    done = ssh(site.keys, options=["-W", "127.0.0.1:22"])
    assert "administratively prohibited" in done.stderr


def test_only_the_network_card_that_it_booted_from_is_used(site: Site, guest: Guest) -> None:
    """The other one is the first of the machine, and its network has a DHCP server, too."""
    lines = [line.split() for line in run(site, "ip -brief address").splitlines()]
    up = {words[0]: words[1:] for words in lines if words[1] != "DOWN"}
    assert len(lines) == 3
    assert len(up) == 2
    nic = next(name for name in up if name != "lo")
    assert [word for word in up[nic] if "." in word] == [f"{ADDRESS}/24"]
    assert run(site, f"cat /sys/class/net/{nic}/address").strip() == "52:54:00:66:00:11"
    assert "DHCPDISCOVER" not in site.other_server.asked()


def test_nothing_listens_but_sshd_on_its_address(site: Site, guest: Guest) -> None:
    listening = [
        line.split()[1] for line in run(site, "cat /proc/net/tcp /proc/net/tcp6").splitlines() if " 0A " in line
    ]
    assert listening == ["0B64420A:0016"]


def test_the_tools_are_there_and_run(site: Site, guest: Guest) -> None:
    missing = run(site, f"for tool in {TOOLS}; do command -v $tool > /dev/null || echo $tool; done")
    assert missing == ""
    assert "qemu-img version" in run(site, "qemu-img --version")
    assert run(site, "echo weft | zstd | zstd -d") == "weft\n"
    assert (
        run(site, "mkdir /sys/x 2> /dev/null; ls /dev/ipmi0 2> /dev/null; udevadm settle && echo settled")
        == "settled\n"
    )


def test_pythons_library_is_compiled(site: Site, guest: Guest) -> None:
    """An import writes nothing, so that there was nothing to write."""
    script = "find /usr/lib -name '*.pyc' | wc -l; PYTHONVERBOSE=1 python3 -c 'import json, ssl' 2>&1 | grep -c wrote"
    compiled, wrote = run(site, f"{script} || true").split()
    assert int(compiled) > 400
    assert wrote == "0"


def test_ansible_runs_modules_in_it(site: Site, guest: Guest, tmp_path: Path) -> None:
    (tmp_path / "play.yml").write_text(PLAY, encoding="utf-8")
    nic = run(site, "sed -n s/nic=//p /run/weft/settings").strip()
    options = f"-F /dev/null -o UserKnownHostsFile={site.keys.known_hosts()} -o StrictHostKeyChecking=yes"
    words = ["ansible-playbook", "-i", f"{ADDRESS},", str(tmp_path / "play.yml"), "-e", f"nic={nic}", "-u", "root"]
    words += ["--private-key", str(site.keys.private("deployer")), "-e", "ansible_python_interpreter=/usr/bin/python3"]
    env = {**os.environ, "ANSIBLE_PIPELINING": "1", "ANSIBLE_NOCOLOR": "1"}
    for turn in ("first", "second"):
        began = time.monotonic()
        done = subprocess.run(
            [*words, "--ssh-common-args", options],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            env=env,
            timeout=120,
        )
        print(f"\nansible-playbook with two modules, {turn} run: {time.monotonic() - began:.1f} s")
        assert done.returncode == 0, done.stdout + done.stderr
        assert "ok=2 " in done.stdout


def test_a_soft_power_off_ends_it(site: Site, guest: Guest) -> None:
    """The last one: a BMC presses the power button."""
    wait_for("the power button", lambda: run(site, "ls /run/weft/acpid.pid 2> /dev/null || true"), 60)
    guest.press_power_button()
    assert guest.off(20) < 20
    assert "power button pressed: powering off" in guest.console()
