# Copyright (c) 2026 weft.fabric contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""DHCP servers: one dnsmasq for each network, kept running by systemd. The engine.

Files first, then the daemons, then a stamp that says what the daemons were told. A run that is killed in between
leaves a stamp that does not match, and the next one tells them.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
import time
import typing as t

from ansible_collections.weft.fabric.plugins.module_utils import (
    command,
    dhcp_current,
    dhcp_files,
    dhcp_plan,
    dhcp_release,
    dhcp_unit,
    netns,
    rtnetlink,
)
from ansible_collections.weft.fabric.plugins.module_utils.dhcp_unit import unit_name
from ansible_collections.weft.fabric.plugins.module_utils.reconcile import (
    Engine,
    FabricError,
    Operation,
    read_file,
    write_file,
)
from ansible_collections.weft.fabric.plugins.module_utils.systemd import Systemd

DIRECTORY = "/var/lib/weft-fabric/dhcp"

# dnsmasq gives up its rights before it reads the hosts again, so these are for all to read.
_DIRECTORY_MODE = 0o755
_FILE_MODE = 0o644

# How long dnsmasq may take to note that a lease was released, in seconds, and how often it is told.
_RELEASE_LIMIT = 1.0
_RELEASE_ATTEMPTS = 3

# A lease file that was not written to for so long, in seconds, is whole.
_SETTLED = 0.01
_SETTLE_LIMIT = 10.0


class DhcpServersEngine(Engine):
    """Makes DHCP servers what the arguments say."""

    name = "dhcp_servers"

    def __init__(
        self,
        params: t.Dict[str, t.Any],
        systemd: t.Optional[Systemd] = None,
        directory: str = DIRECTORY,
        unit_file: str = dhcp_unit.UNIT_FILE,
        run_directory: str = dhcp_unit.RUN_DIR,
    ):
        Engine.__init__(self, params)
        self.desired = dhcp_current.parse(params)
        self.purge = bool(params.get("purge"))
        self.systemd = systemd or Systemd()
        self.directory = directory
        self.unit_file = unit_file
        self.run_directory = run_directory
        self._current = dhcp_current.Current(None)

    def read(self) -> dhcp_current.Current:
        unit_text = read_file(self.unit_file)
        # A host that never was a DHCP server need not have systemd.
        idle = unit_text is None and not self.desired and not os.path.isdir(self.directory)
        units = {} if idle else self.systemd.units(dhcp_unit.PATTERN)
        self._current = dhcp_current.read(self.desired, self.directory, unit_text, units)
        return self._current

    def diff(self, current: dhcp_current.Current) -> t.List[Operation]:
        wanted = any(server.present for server in self.desired.values())
        unit_text = dhcp_unit.unit_text(self.directory) if wanted else ""
        return dhcp_plan.plan(current, self.desired, self.purge, unit_text)

    def apply(self, operations: t.List[Operation]) -> None:
        asked: t.Dict[int, t.List[str]] = {kind: [] for kind in range(dhcp_plan.REMOVE_UNIT + 1)}
        for operation in operations:
            kind, name = operation.payload
            if name not in asked[kind]:
                asked[kind].append(name)
        self._check(asked)
        if asked[dhcp_plan.UNIT]:
            _write(self.unit_file, dhcp_unit.unit_text(self.directory))
            self.systemd.daemon_reload()
        for name in asked[dhcp_plan.WRITE]:
            self._write_files(self.desired[name])
        self._run(asked[dhcp_plan.START], asked[dhcp_plan.RESTART])
        self._reload(asked[dhcp_plan.RELOAD])
        self._remove(asked[dhcp_plan.REMOVE], bool(asked[dhcp_plan.REMOVE_UNIT]))

    # before anything is changed

    def _check(self, asked: t.Mapping[int, t.Sequence[str]]) -> None:
        for name in list(asked[dhcp_plan.START]) + list(asked[dhcp_plan.RESTART]):
            server = self.desired[name]
            if dhcp_current.interface_index(server) is None:
                raise FabricError(
                    "nothing was changed: DHCP server %s needs link %s in namespace %s, and that is not there:"
                    " make it with weft.fabric.namespaces first" % (name, server.interface, server.namespace)
                )
            if self._changed(server):
                _test(server)

    def _changed(self, server: dhcp_current.Server) -> bool:
        """Whether the configuration is one that has not run yet."""
        stamp = self._current.servers[server.name].stamp
        return bool(stamp.get("config") != dhcp_current.digest(server.files, dhcp_current.CONFIG_FILES))

    # files

    def _path(self, name: str, file: str = "") -> str:
        return os.path.join(self.directory, name, file)

    def _write_files(self, server: dhcp_current.Server) -> None:
        for directory in (os.path.dirname(self.directory), self.directory, self._path(server.name)):
            os.makedirs(directory, exist_ok=True)
            mode = os.stat(directory).st_mode & 0o777
            if mode | _DIRECTORY_MODE != mode:  # made by somebody with a strict umask
                os.chmod(directory, mode | _DIRECTORY_MODE)
        for file, content in server.files.items():
            _write(self._path(server.name, file), content)

    def _stamp(self, server: dhcp_current.Server) -> None:
        index = dhcp_current.interface_index(server)
        _write(self._path(server.name, dhcp_current.STAMP), dhcp_current.stamp_text(server, index))

    def _told(self, name: str) -> t.Dict[str, str]:
        """Return who had each address when the daemon was told last."""
        addresses = self._current.servers[name].stamp.get("addresses")
        return addresses if isinstance(addresses, dict) else {}

    # daemons

    def _run(self, start: t.Sequence[str], restart: t.Sequence[str]) -> None:
        """Start servers. The lease file is dnsmasq's own while it runs, so a restart is a stop and a start."""
        if not start and not restart:
            return
        self.systemd.stop([unit_name(name) for name in restart])
        names = list(start) + list(restart)
        for name in names:
            self._seed(self.desired[name])
        self.systemd.start([unit_name(name) for name in names])
        for name in names:
            self._stamp(self.desired[name])

    def _seed(self, server: dhcp_current.Server) -> None:
        path = self._path(server.name, dhcp_current.LEASES)
        leases, duid = dhcp_release.parse_leases(self._lease_text(server.name))
        before, now = self._told(server.name), dhcp_files.owners(server.hosts)
        if server.leases:
            leases = dhcp_files.seed(leases, before, server.hosts)
        else:
            obsolete = set(dhcp_files.stale(leases, before, now))
            leases = [lease for lease in leases if lease not in obsolete]
        text = dhcp_files.lease_file(leases, duid)
        if text or os.path.exists(path):
            _write(path, text)

    def _reload(self, names: t.Sequence[str]) -> None:
        texts = self._read_leases([name for name in names if self._may_be_stale(self.desired[name])])
        self.systemd.reload([unit_name(name) for name in names])
        held, duids = {}, {}
        for name, text in texts.items():
            leases, duids[name] = dhcp_release.parse_leases(text)
            obsolete = dhcp_files.stale(leases, self._told(name), dhcp_files.owners(self.desired[name].hosts))
            if obsolete:
                held[name] = obsolete
        self._release(held, duids)
        for name in names:
            self._stamp(self.desired[name])

    def _may_be_stale(self, server: dhcp_current.Server) -> bool:
        """Whether a lease can be in the way: an address has another owner than before, or who knows."""
        before, now = self._told(server.name), dhcp_files.owners(server.hosts)
        return not before or any(now.get(address) != owner for address, owner in before.items())

    def _release(self, held: t.Dict[str, t.List[dhcp_release.Lease]], duids: t.Mapping[str, t.Optional[str]]) -> None:
        """Give back the leases that keep an address from its new owner, by server."""
        for _attempt in range(_RELEASE_ATTEMPTS):
            for name, leases in held.items():
                server = self.desired[name]
                with netns.entered(server.namespace):
                    own = _own_addresses(server.interface)
                    for lease in leases:
                        dhcp_release.release(server.interface, own, duids[name], lease)
            # A released IPv6 lease stays in the file until another one changes, but the server has confirmed it.
            held = {name: [lease for lease in leases if lease.version == 4] for name, leases in held.items()}
            held = self._still_held(held)
            if not held:
                return
        name, leases = next(iter(held.items()))
        raise FabricError(
            "DHCP server %s does not let go of the lease of %s for %s: restart %s"
            % (name, leases[0].address, leases[0].key, unit_name(name))
        )

    def _still_held(self, held: t.Dict[str, t.List[dhcp_release.Lease]]) -> t.Dict[str, t.List[dhcp_release.Lease]]:
        """Return which of the leases dnsmasq has not dropped after a while."""
        held = {name: leases for name, leases in held.items() if leases}
        deadline = time.monotonic() + _RELEASE_LIMIT
        while held and time.monotonic() < deadline:
            left = {}
            for name, text in self._read_leases(list(held)).items():
                present = {(lease.key, lease.address) for lease in dhcp_release.parse_leases(text)[0]}
                left[name] = [lease for lease in held[name] if (lease.key, lease.address) in present]
            held = {name: leases for name, leases in left.items() if leases}
        return held

    def _read_leases(self, names: t.Sequence[str]) -> t.Dict[str, str]:
        """Return the lease files of running servers.

        dnsmasq empties the file and writes it again, when a lease changes and when it is told to read its files.
        What is the same twice is whole.
        """
        found: t.Dict[str, str] = {}
        unsettled = {name: self._lease_text(name) for name in names}
        deadline = time.monotonic() + _SETTLE_LIMIT
        while unsettled:
            if time.monotonic() > deadline:
                raise FabricError(
                    "the lease file of DHCP server %s is being written without end: look at its unit's journal"
                    % sorted(unsettled)[0]
                )
            time.sleep(_SETTLED)
            again = {name: self._lease_text(name) for name in unsettled}
            found.update({name: text for name, text in again.items() if text == unsettled[name]})
            unsettled = {name: text for name, text in again.items() if name not in found}
        return found

    def _lease_text(self, name: str) -> str:
        return read_file(self._path(name, dhcp_current.LEASES)) or ""

    def _remove(self, names: t.Sequence[str], unit_file: bool) -> None:
        self.systemd.stop([unit_name(name) for name in names])
        for name in names:
            shutil.rmtree(self._path(name), ignore_errors=True)
        if unit_file:
            os.unlink(self.unit_file)
            self.systemd.daemon_reload()
            for directory in (self.directory, self.run_directory):
                # Something that is not ours may be in there.
                with contextlib.suppress(OSError):
                    os.rmdir(directory)


def _own_addresses(interface: str) -> t.List[str]:
    """Return the IPv4 addresses of a device of the namespace we are in."""
    with rtnetlink.Reader() as reader:
        index = next((link.ifindex for link in reader.links() if link.name == interface), None)
        addresses = [entry.address.split("/")[0] for entry in reader.addresses() if entry.ifindex == index]
    return [address for address in addresses if ":" not in address]


def _test(server: dhcp_current.Server) -> None:
    """Let dnsmasq read a configuration before it replaces one that works."""
    with tempfile.TemporaryDirectory(prefix="weft-dhcp-") as directory:
        words = [dhcp_unit.program(), "--test"]
        for file in dhcp_current.CONFIG_FILES:
            path = os.path.join(directory, file)
            _write(path, server.files[file])
            words.append("--conf-file=" + path)
        done = command.run(words)
    if done.returncode != 0:
        reason = " ".join(done.stderr.replace(directory + os.sep, "").split())
        raise FabricError(
            "nothing was changed: dnsmasq refuses the configuration of DHCP server %s: %s" % (server.name, reason)
        )


def _write(path: str, content: str) -> None:
    """Replace a file in one step if it differs.

    Without waiting for the disk, since a hundred servers have six hundred files: what a power failure takes,
    the replay at boot writes again.
    """
    write_file(path, content, _FILE_MODE, _DIRECTORY_MODE, durable=False)
