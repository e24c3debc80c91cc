# Copyright (c) 2026 weft.fabric contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A node whose disk is written over iSCSI by who deploys it: its real kernel, disk and tgtd, and Ansible's modules."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import typing as t
from pathlib import Path

import pytest

from ansible_collections.weft.fabric.tests.soak.ramdisk.conftest import Site
from ansible_collections.weft.fabric.tests.soak.ramdisk.guest import ADDRESS, READY, identity, ssh
from ansible_collections.weft.fabric.tests.soak.ramdisk.wire import stranger
from ansible_collections.weft.fabric.tests.unit.disks.machine import MIB, make_image, packed, sha256, tool
from ansible_collections.weft.fabric.tests.wire.plays import CALLBACKS

SIZE, OLD = 192 * MIB, b"something old. "
BOOTIF = "BOOTIF=01-52-54-00-66-00-11"
PORT = ":0CBC 00000000:0000 0A"  # 3260, listened at, as the kernel writes it
PASSWORD = "once-and-never-again"
# The partitions of make_image.
ESP_AT, ROOT_AT = MIB, 18432 * 512

PLAY = """\
- hosts: n1
  gather_facts: false
  vars:
    export: &export
      root_device: {serial: weft-n1-a}
      image: {checksum: "{{ checksum }}"}
      server_id: server-1
      config_drive: {meta_data: {hostname: db-1}, user_data: "secret of a tenant"}
      address: "{{ ansible_host }}"
      initiator_address: 10.66.100.2
      username: weft
      password: "{{ password }}"
    image: {path: "{{ path }}", checksum: "{{ checksum }}", format: raw.zst}
  tasks:
    - name: Export
      weft.fabric.disk_export: *export
      register: exported

    - name: What listens
      ansible.builtin.command: cat /proc/net/tcp /proc/net/tcp6
      register: listening

    - name: Another address
      weft.fabric.iscsi_image: &write
        image: "{{ image }}"
        address: "{{ ansible_host }}"
        username: weft
        password: "{{ password }}"
        namespace: "{{ other }}"
      delegate_to: localhost
      ignore_errors: true

    - name: Another password
      weft.fabric.iscsi_image:
        <<: *write
        password: another-password
        namespace: null
      delegate_to: localhost
      ignore_errors: true

    - name: Write
      weft.fabric.iscsi_image:
        <<: *write
        namespace: null
      delegate_to: localhost
      register: sent

    - name: Finish
      weft.fabric.disk_image: &finish
        root_device: {serial: weft-n1-a}
        image: {url: "http://10.66.100.2/none", checksum: "{{ checksum }}", format: raw.zst}
        server_id: server-1
        config_drive: {meta_data: {hostname: db-1}, user_data: "secret of a tenant"}
        exported_size: "{{ sent.size }}"

    - name: What listens then
      ansible.builtin.command: cat /proc/net/tcp /proc/net/tcp6

    - name: Export again
      weft.fabric.disk_export: *export

    - name: Finish again
      weft.fabric.disk_image: *finish

    - name: Look
      weft.fabric.disk_info:
"""


class Done(t.NamedTuple):
    """What was written to which file, and what the tasks said."""

    disk: Path
    image: Path
    results: dict[str, dict[str, t.Any]]
    output: str


@pytest.fixture(scope="module")
def done(site: Site, tmp_path_factory: pytest.TempPathFactory) -> Done:
    directory = tmp_path_factory.mktemp("exported")
    disk, image = directory / "disk", make_image(directory / "image.raw")
    with disk.open("wb") as stream:
        for _number in range(SIZE // MIB):
            stream.write((OLD * (MIB // len(OLD) + 1))[:MIB])
    words = ["-device", "virtio-rng-pci", "-drive", f"if=none,id=d,file={disk},format=raw,discard=unmap,cache=unsafe"]
    words += ["-device", "virtio-blk-pci,drive=d,serial=weft-n1-a"]
    guest = site.guest("exported", identity(site.keys), arguments=f"{BOOTIF} weft.timeout=600", machine=words)
    try:
        guest.says(READY, 180)
        with stranger(site.deployment, "10.66.100.77") as other:
            results, output = play(site, directory, packed(image, "raw.zst"), other)
        assert ssh(site.keys, "sync").returncode == 0
    finally:
        guest.close()
    return Done(disk, image, results, output)


def play(site: Site, directory: Path, image: Path, other: str) -> tuple[dict[str, dict[str, t.Any]], str]:
    """Run the tasks, and return what each of them has returned."""
    (directory / "play.yml").write_text(PLAY, encoding="utf-8")
    options = f"-F /dev/null -o UserKnownHostsFile={site.keys.known_hosts()} -o StrictHostKeyChecking=yes"
    variables = {"path": str(image), "checksum": sha256(image), "password": PASSWORD, "other": other}
    node = {"ansible_host": ADDRESS, "ansible_user": "root", "ansible_python_interpreter": "/usr/bin/python3"}
    node.update(ansible_ssh_private_key_file=str(site.keys.private("deployer")), ansible_ssh_common_args=options)
    here = {"ansible_connection": "local", "ansible_python_interpreter": sys.executable}
    inventory = {"all": {"hosts": {"n1": node, "localhost": here}, "vars": variables}}
    (directory / "inventory.yml").write_text(json.dumps(inventory), encoding="utf-8")
    words = ["ansible-playbook", "-i", str(directory / "inventory.yml"), str(directory / "play.yml"), "-vvv"]
    log = directory / "record"
    env = {**os.environ, "ANSIBLE_PIPELINING": "1", "ANSIBLE_NOCOLOR": "1"}
    env.update(WEFT_RECORD=str(log), ANSIBLE_CALLBACKS_ENABLED="record", ANSIBLE_CALLBACK_PLUGINS=str(CALLBACKS))
    ran = subprocess.run(
        words, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False, env=env, timeout=300
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr
    rows = [json.loads(line) for line in log.read_text(encoding="utf-8").splitlines()]
    return {row["task"]: row["result"] for row in rows}, ran.stdout + ran.stderr


def test_the_disk_has_the_image_and_nothing_of_what_was_there(done: Done) -> None:
    assert done.results["Export"]["needed"]
    assert done.results["Write"]["size"] == done.image.stat().st_size
    assert done.results["Write"]["written"] < done.results["Write"]["size"], "holes were sent"
    assert "No problems found" in tool("sgdisk", "-v", str(done.disk))
    image, disk = done.image.read_bytes(), done.disk.read_bytes()
    assert disk[ESP_AT:ROOT_AT] == image[ESP_AT:ROOT_AT]
    assert tool("debugfs", "-R", "cat /etc/hostname", f"{done.disk}?offset={ROOT_AT}") == "image\n"
    # The file system has grown; what was free in it has no old data, as far as the image reached.
    assert OLD not in disk[: len(image) - MIB]


def test_an_image_that_is_there_is_not_exported_again(done: Done) -> None:
    assert (done.results["Export again"]["needed"], done.results["Export again"]["changed"]) == (False, False)
    assert not done.results["Finish again"]["changed"]
    assert done.results["Look"]["disks"][0]["mark"]["server"] == "server-1"


def test_it_is_exported_on_one_address_to_one_address_with_one_password_and_only_then(done: Done) -> None:
    assert f"0B64420A{PORT}" in done.results["What listens"]["stdout"]
    assert done.results["What listens"]["stdout"].count(PORT) == 1
    assert PORT not in done.results["What listens then"]["stdout"]
    for name in ("Another address", "Another password"):
        assert "nobody could log in to the iSCSI target" in done.results[name]["msg"], name


def test_neither_password_nor_user_data_are_told(done: Done) -> None:
    """The words stand in the play itself, and with -vvv in the connection's own; what modules say is looked at."""
    said = json.dumps(done.results)
    assert PASSWORD not in said
    assert "secret of a tenant" not in said
