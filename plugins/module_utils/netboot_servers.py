# Copyright (c) 2026 weft.fabric contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Boot servers: for each network that nodes boot from a dnsmasq and an nginx in its namespace. The engine.

Files first, then the daemons, then a stamp that says what the daemons were told. A run that is killed in between
leaves a stamp that does not match, and the next one tells them.
"""

from __future__ import annotations

import contextlib
import ipaddress
import json
import os
import shutil
import tempfile
import typing as t

from ansible_collections.weft.fabric.plugins.module_utils import (
    command,
    dhcp_files,
    dhcp_release,
    netboot_current,
    netboot_desired,
    netboot_log,
    netboot_plan,
    netboot_program,
    netboot_store,
    netboot_units,
    netns,
)
from ansible_collections.weft.fabric.plugins.module_utils.netboot_paths import Paths
from ansible_collections.weft.fabric.plugins.module_utils.netboot_units import DHCP, HTTP, KINDS, unit_name
from ansible_collections.weft.fabric.plugins.module_utils.reconcile import (
    Engine,
    FabricError,
    Operation,
    read_file,
    write_file,
)
from ansible_collections.weft.fabric.plugins.module_utils.systemd import Systemd

# Some of what dnsmasq reads, it reads after it has given up its rights.
_DIRECTORY_MODE = 0o755
_FILE_MODE = 0o644


class BootServersEngine(Engine):
    """Makes boot servers what the arguments say."""

    name = "boot_servers"

    def __init__(
        self,
        params: t.Dict[str, t.Any],
        systemd: t.Optional[Systemd] = None,
        paths: t.Optional[Paths] = None,
    ):
        Engine.__init__(self, params)
        self.desired = netboot_desired.parse(params)
        self.purge = bool(params.get("purge"))
        self.systemd = systemd or Systemd()
        self.paths = paths or Paths()
        self._current = netboot_current.Current()

    def read(self) -> netboot_current.Current:
        self._current = netboot_current.read(self.desired, self.paths, self.systemd)
        return self._current

    def diff(self, current: netboot_current.Current) -> t.List[Operation]:
        wanted = any(server.present for server in self.desired.values())
        texts = {kind: netboot_units.unit_text(self.paths, kind) if wanted else "" for kind in KINDS}
        relay = netboot_program.relay() if wanted else ""
        return netboot_plan.plan(current, self.desired, self.purge, self.paths, texts, relay)

    def apply(self, operations: t.List[Operation]) -> None:
        asked: t.Dict[int, t.List[t.Any]] = {kind: [] for kind in range(netboot_plan.REMOVE_ALL + 1)}
        for operation in operations:
            kind, what = operation.payload
            if what not in asked[kind]:
                asked[kind].append(what)
        self._check(asked)
        self._share(asked)
        for name in asked[netboot_plan.WRITE]:
            self._write_files(self.desired[name])
        self._run(asked[netboot_plan.START], asked[netboot_plan.RESTART], asked[netboot_plan.RELOAD])
        self._remove(asked[netboot_plan.REMOVE])
        for name in asked[netboot_plan.REMOVE_NODE]:
            netboot_store.forget(self.paths, name)
        if asked[netboot_plan.REMOVE_ALL]:
            self._remove_all()

    # before anything is changed

    def _check(self, asked: t.Mapping[int, t.Sequence[t.Any]]) -> None:
        todo = [asked[verb] for verb in (netboot_plan.START, netboot_plan.RESTART, netboot_plan.RELOAD)]
        for kind, name in [pair for pairs in todo for pair in pairs]:
            server = self.desired[name]
            index, addresses = netboot_current.interface(server)
            if index is None:
                raise FabricError(
                    "nothing was changed: boot server %s needs link %s in namespace %s, and that is not there:"
                    " make it with weft.fabric.namespaces first" % (name, server.interface, server.namespace)
                )
            if kind == DHCP:
                _check_addresses(server, addresses)
            self._test(server, kind)

    def _test(self, server: netboot_desired.Server, kind: str) -> None:
        """Let a daemon read a configuration before it replaces one that works."""
        if netboot_current.told(self._current.servers[server.name], kind).get("config") == _digest(server, kind):
            return
        with tempfile.TemporaryDirectory(prefix="weft-boot-") as directory:
            words = _rehearsal(server, kind, directory, self.paths)
            # nginx opens what it will listen on.
            with netns.entered(server.namespace):
                done = command.run(words)
        if done.returncode != 0:
            reason = " ".join(done.stderr.replace(directory + os.sep, "").split())
            raise FabricError(
                "nothing was changed: %s refuses the configuration of boot server %s: %s"
                % (os.path.basename(words[0]), server.name, reason)
            )

    # files

    def _share(self, asked: t.Mapping[int, t.Sequence[t.Any]]) -> None:
        group = netboot_units.worker_group()
        for directory in asked[netboot_plan.TREE]:
            mode, workers = self.paths.tree()[directory]
            os.makedirs(directory, mode=_DIRECTORY_MODE, exist_ok=True)
            os.chown(directory, 0, group if workers else 0)
            os.chmod(directory, mode)
        for name in asked[netboot_plan.LOADER]:
            content = netboot_current.read_bytes(self._current.sources[name]) or b""
            netboot_store.write_bytes(self.paths.join("tftp", name), content, _FILE_MODE)
        if asked[netboot_plan.RELAY]:
            write_file(self.paths.relay, netboot_program.relay(), 0o755, _DIRECTORY_MODE)
        for kind in asked[netboot_plan.UNIT]:
            text = netboot_units.unit_text(self.paths, kind)
            write_file(netboot_units.unit_file(self.paths, kind), text, _FILE_MODE, _DIRECTORY_MODE)
        if asked[netboot_plan.UNIT]:
            self.systemd.daemon_reload()

    def _write_files(self, server: netboot_desired.Server) -> None:
        os.makedirs(self.paths.server(server.name), exist_ok=True)
        os.chmod(self.paths.server(server.name), _DIRECTORY_MODE)
        for file, content in server.files.items():
            self._write(server.name, file, content)
        self._write(server.name, netboot_current.FACTS, netboot_current.facts_text(server))

    def _write(self, name: str, file: str, content: str) -> None:
        write_file(self.paths.server(name, file), content, _FILE_MODE, _DIRECTORY_MODE, durable=False)

    # daemons

    def _run(self, start: t.Sequence[t.Any], restart: t.Sequence[t.Any], reload: t.Sequence[t.Any]) -> None:
        self.systemd.stop([unit_name(kind, name) for kind, name in restart])
        anew = list(start) + list(restart)
        for kind, name in anew:
            if kind == DHCP:
                self._drop_leases(name)
        self.systemd.start([unit_name(kind, name) for kind, name in anew])
        for _kind, name in [pair for pair in reload if pair[0] == HTTP]:
            # nginx opens its log anew when it reads its configuration.
            netboot_log.rotate(self.paths, name)
        self.systemd.reload([unit_name(kind, name) for kind, name in reload])
        for kind, name in anew + list(reload):
            self._stamp(self.desired[name], kind)

    def _drop_leases(self, name: str) -> None:
        """Let go of leases for addresses that have another owner now. The file is dnsmasq's own while it runs."""
        text = read_file(self.paths.server(name, netboot_current.LEASES))
        if not text:
            return
        leases, duid = dhcp_release.parse_leases(text)
        owners = {node.address: node.mac_addresses for node in self.desired[name].nodes}
        kept = [lease for lease in leases if lease.key.lower() in owners.get(lease.address, ())]
        if kept != leases:
            self._write(name, netboot_current.LEASES, dhcp_files.lease_file(kept, duid))

    def _stamp(self, server: netboot_desired.Server, kind: str) -> None:
        path = self.paths.server(server.name, netboot_current.STAMP)
        known = netboot_current.parse_json(read_file(path))
        known[kind] = netboot_current.stamp(server, netboot_current.interface(server)[0], kind)
        self._write(server.name, netboot_current.STAMP, json.dumps(known, sort_keys=True) + "\n")

    def _remove(self, names: t.Sequence[str]) -> None:
        self.systemd.stop([unit_name(kind, name) for name in names for kind in KINDS])
        for name in names:
            shutil.rmtree(self.paths.server(name), ignore_errors=True)
            netboot_log.remove(self.paths, name)

    def _remove_all(self) -> None:
        shutil.rmtree(self.paths.directory, ignore_errors=True)
        for path in [self.paths.relay] + [netboot_units.unit_file(self.paths, kind) for kind in KINDS]:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(path)
        self.systemd.daemon_reload()


def _digest(server: netboot_desired.Server, kind: str) -> str:
    return str(netboot_current.stamp(server, None, kind)["config"])


def _check_addresses(server: netboot_desired.Server, addresses: t.Sequence[str]) -> None:
    """Refuse what dnsmasq would accept and then not serve."""
    found = [ipaddress.ip_interface(address) for address in addresses]
    if server.address not in {str(address.ip) for address in found}:
        raise FabricError(
            "nothing was changed: boot server %s needs address %s on link %s in namespace %s"
            % (server.name, server.address, server.interface, server.namespace)
        )
    if server.ra_prefix and not any(address.ip in ipaddress.ip_network(server.ra_prefix) for address in found):
        raise FabricError(
            "nothing was changed: boot server %s cannot advertise %s: link %s in namespace %s has no address of it"
            % (server.name, server.ra_prefix, server.interface, server.namespace)
        )


def _rehearsal(server: netboot_desired.Server, kind: str, directory: str, paths: Paths) -> t.List[str]:
    """Return the command that only reads a configuration, with all it would write in a directory of its own."""
    file = netboot_desired.DHCP_CONFIG if kind == DHCP else netboot_desired.HTTP_CONFIG
    path = os.path.join(directory, file)
    if kind == DHCP:
        write_file(path, server.files[file], durable=False)
        return [netboot_units.program("dnsmasq"), "--test", "--conf-file=" + path]
    os.mkdir(os.path.join(directory, "log"))
    write_file(path, server.files[file].replace(paths.join("log"), os.path.join(directory, "log")), durable=False)
    return [netboot_units.program("nginx"), "-t", "-q", "-c", path, "-g", netboot_units.directives(directory)]
