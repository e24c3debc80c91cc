# Copyright (c) 2026 weft.fabric contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Lays and removes the way into a node's ramdisk, on the controller."""

from __future__ import annotations

import os
import shlex
import time

from ansible.errors import AnsibleActionFail
from ansible.plugins.action import ActionBase
from ansible.utils.display import Display

from ansible_collections.weft.fabric.plugins.plugin_utils.bare_metal.connection import (
    RELAY,
    BootServerWay,
    ConnectionProblem,
    Ramdisk,
    Way,
    is_way,
    sweep,
)

display = Display()

ARGUMENTS = {
    "state": {"type": "str", "default": "present", "choices": ["present", "absent"]},
    "node": {"type": "str"},
    "address": {"type": "str"},
    "boot_server": {"type": "str"},
    "namespace": {"type": "str"},
    "host_key": {"type": "str"},
    "private_key": {"type": "str", "no_log": True},
    "authorized_keys": {"type": "list", "elements": "str", "default": [], "no_log": False},
    "timeout": {"type": "float", "default": 600.0},
    "required": {"type": "bool", "default": True},
    "directory": {"type": "path"},
    "power_off": {"type": "bool", "default": False},
    "relay": {"type": "str", "default": RELAY},
}

#: what must be said for a way to be laid
NEEDED = ("node", "address", "boot_server", "namespace", "host_key", "private_key")
#: how often it is told that a node is still waited for
TELL_SECONDS = 30.0
# A run that goes on where another one ended finds its keys there already.
AUTHORIZE = (
    "umask 077; mkdir -p /root/.ssh && cd /root/.ssh && touch authorized_keys && "
    'while IFS= read -r key; do grep -qxF -e "$key" authorized_keys || echo "$key" >> authorized_keys || exit; done'
)
# What answers this is gone before it could answer.
POWER_OFF = "sync; (sleep 0.5; poweroff -f || echo o > /proc/sysrq-trigger) >/dev/null 2>&1 </dev/null &"


class ActionModule(ActionBase):
    """Waits until the ramdisk lets the deployer in, and returns how ssh gets there."""

    TRANSFERS_FILES = False
    _requires_connection = False
    _VALID_ARGS = frozenset(ARGUMENTS)

    def run(self, tmp=None, task_vars=None):
        super().run(tmp, task_vars)
        _result, given = self.validate_argument_spec(argument_spec=ARGUMENTS)
        if given["state"] == "absent":
            return self._remove(given)
        missing = [name for name in NEEDED if not given[name]]
        if missing:
            raise AnsibleActionFail(f"missing: {', '.join(missing)}")
        return self._lay(given, task_vars)

    def _remove(self, given):
        directory = given["directory"]
        if not directory or not is_way(directory) or not os.path.isdir(directory):
            return {"changed": False}
        way = Way(directory)
        if given["power_off"]:
            way.run(POWER_OFF, 10)
        way.close()
        return {"changed": False}

    def _lay(self, given, task_vars):
        sweep()
        ramdisk = Ramdisk(
            node=given["node"],
            address=given["address"],
            namespace=given["namespace"],
            host_key=given["host_key"],
            private_key=given["private_key"],
            relay=given["relay"],
        )
        started = time.monotonic()
        told = _Told(given["node"])
        way = None
        try:
            way = Way.lay(ramdisk, self._through(given["boot_server"], task_vars), os.getppid())
            problem = way.wait(given["timeout"], told)
            if problem is None and given["authorized_keys"]:
                _authorize(way, given["authorized_keys"])
        except ConnectionProblem as error:
            if way is not None:
                way.close()
            raise AnsibleActionFail(str(error)) from error
        except BaseException:
            if way is not None:
                way.close()
            raise
        seconds = round(time.monotonic() - started, 1)
        if problem is None:
            return {
                "changed": False,
                "reached": True,
                "seconds": seconds,
                "directory": way.directory,
                "ssh_arguments": way.arguments,
            }
        way.close()
        found = {"changed": False, "reached": False, "seconds": seconds, "directory": "", "problem": problem}
        if given["required"]:
            found.update(
                failed=True, msg=f"nobody could log in to the ramdisk within {given['timeout']:g} s: {problem}"
            )
        return found

    def _through(self, host, task_vars):
        """Return how Ansible reaches the boot server, with all that its settings and the inventory say."""
        if host not in task_vars["hostvars"]:
            raise AnsibleActionFail(f"the boot server {host} is no host of the inventory")
        variables = dict(task_vars["hostvars"][host])
        kind = str(variables.get("ansible_connection") or self._play_context.connection).rpartition(".")[2]
        user = variables.get("ansible_user") or variables.get("ansible_ssh_user")
        if kind == "local":
            return BootServerWay(host, local=True, become=() if os.geteuid() == 0 else ("sudo", "-n"))
        if kind not in ("ssh", "smart"):
            raise AnsibleActionFail(
                f"the boot server {host} is reached by the connection {kind}: the way into the ramdisk leads through "
                "it by ssh, so that it has to be one that ssh reaches"
            )
        plugin = self._shared_loader_obj.connection_loader.get("ansible.builtin.ssh", self._play_context.copy())
        plugin.set_options(var_options=variables)
        port = plugin.get_option("port")
        words = [
            word
            for name in ("ssh_args", "ssh_common_args", "ssh_extra_args")
            for word in shlex.split(plugin.get_option(name) or "")
        ]
        return BootServerWay(
            host,
            address=str(plugin.get_option("host") or host),
            port=int(port) if port else None,
            user=user or plugin.get_option("remote_user"),
            key_file=plugin.get_option("private_key_file"),
            executable=plugin.get_option("ssh_executable"),
            arguments=tuple(words),
            host_key_checking=bool(plugin.get_option("host_key_checking")),
            timeout=int(plugin.get_option("timeout")),
            become=() if (user or plugin.get_option("remote_user")) == "root" else ("sudo", "-n"),
        )


def _authorize(way, keys):
    """Let the owners of public keys in besides the deployer."""
    done = way.run(AUTHORIZE, stdin="".join(f"{key.strip()}\n" for key in keys))
    if done.returncode != 0:
        raise ConnectionProblem(
            f"the ramdisk did not take the public keys of who may log in: {done.stderr.strip() or done.returncode}"
        )


class _Told:
    """Tells now and then that a node is still waited for."""

    def __init__(self, node):
        self._node = node
        self._next = TELL_SECONDS

    def __call__(self, passed, last):
        if passed >= self._next:
            self._next = passed + TELL_SECONDS
            display.display(f"{self._node}: waiting for its ramdisk for {passed:.0f} s ({last})")
