# Copyright (c) 2026 weft.fabric contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the files say of bare metal → the model. Part of assemble.py."""

from __future__ import annotations

import os
import typing as t
from functools import partial

from ansible_collections.weft.fabric.plugins.module_utils.switch_names import normalise

from .assemble_common import dns_label, fixed_ips
from .checker import Entry, Read
from .checksums import find_checksum
from .kinds_bare_metal import user_data_problem
from .model import Project, Topology, Where
from .model_bare_metal import NETWORK_PHASES, BareMetal, Flavor, Image, Nic, Node, Server, ServerNetwork, Volume
from .problems import Problems
from .sources import Sources

_NODE_WORDS = ("traits", "boot_mode", "boot_device_readable", "deploy_interface")
_PROPERTIES = ("cpus", "memory", "disk", "architecture")


class BareMetalReader:
    """Reads bare metal into a topology. flawed: what has a problem of its own."""

    def __init__(self, topology: Topology, sources: Sources, problems: Problems, flawed: set[tuple[str, ...]]) -> None:
        self._topology = topology
        self._sources = sources
        self._problems = problems
        self._flawed = flawed

    def read(self, file: str, given: Read) -> None:
        """Read what stands at the top of a file."""
        if "bare_metal" in given:
            self._bare_metal(file, given["bare_metal"])
        for entry in given.get("images", ()):
            self._image(file, entry)
        for entry in given.get("flavors", ()):
            self._flavor(file, entry)
        for entry in given.get("nodes", ()):
            self._node(file, entry)

    def _first(self, file: str, entry: Entry, known: t.Mapping[str, t.Any]) -> bool:
        """Tell whether a name is there for the first time; it is noted when it is not."""
        if entry.name not in known:
            return True
        first = known[entry.name].where
        where = Where(file, entry.line, entry.path)
        self._problems.add(where, f"is there twice, first in {first.file}:{first.line}", "remove or rename one of them")
        return False

    def _finish(self, entry: Entry, *key: str) -> None:
        if self._problems.total > entry.problems_before:
            self._flawed.add(key)

    def _bare_metal(self, file: str, given: Read) -> None:
        where, known = self._sources.where(file, "bare_metal"), self._topology.bare_metal
        if known is not None:
            message = f"is there twice, first in {known.where.file}:{known.where.line}"
            self._problems.add(where, message, "remove one of them")
            return
        networks = given["networks"]
        self._topology.bare_metal = BareMetal(
            where,
            given["boot_server"],
            {phase: networks.get(phase, networks["deployment"]) for phase in NETWORK_PHASES},
            frozenset(networks),
            given.get("idle_vlan"),
            given.get("max_concurrent_writes", 4),
        )

    def _image(self, file: str, entry: Entry) -> None:
        known = self._topology.images
        if not self._first(file, entry, known):
            return
        given = entry.values
        if entry.complete:
            where = Where(file, entry.line, entry.path)
            image = Image(entry.name, where, given["url"], given["format"], given.get("checksum"), given.get("size"))
            self._checksum(file, image, given)
            known[entry.name] = image
        self._finish(entry, "images", entry.name)

    def _checksum(self, file: str, image: Image, given: Read) -> None:
        at = partial(self._sources.where, file, "images", image.name)
        name = given.get("checksum_file")
        if name is None:
            written = self._sources.documents[file]["images"][image.name]
            if "checksum" not in written and "checksum_file" not in written:
                remedy = "add checksum: sha256:HEX, which sha256sum prints, or checksum_file"
                self._problems.add(at(), "neither checksum nor checksum_file", remedy)
            return
        if "checksum" in given:
            self._problems.add(at("checksum_file"), "checksum and checksum_file both say it", "remove one of them")
            return
        path = self._beside(file, name)
        self._topology.read_files.append(path)
        try:
            image.checksum = find_checksum(path, image.url)
        except FileNotFoundError:
            # An image may be made later than the topology: whoever wants to write it is told.
            image.checksum_file = path
        except (OSError, ValueError) as error:
            reason = error.strerror if isinstance(error, OSError) else str(error)
            remedy = "write it with sha256sum, or use checksum"
            self._problems.add(at("checksum_file"), f"{path}: {reason}", remedy)

    @staticmethod
    def _beside(file: str, name: str) -> str:
        return os.path.join(os.path.dirname(file), os.path.expanduser(name))

    def _flavor(self, file: str, entry: Entry) -> None:
        known = self._topology.flavors
        if not self._first(file, entry, known):
            return
        given = entry.values
        flavor = Flavor(entry.name, Where(file, entry.line, entry.path))
        for name in _PROPERTIES:
            setattr(flavor, name, given.get(name))
        flavor.traits = _unique(given.get("traits"))
        known[entry.name] = flavor
        self._finish(entry, "flavors", entry.name)

    def _node(self, file: str, entry: Entry) -> None:
        known, given = self._topology.nodes, entry.values
        nics = list(given.get("nics", ()))  # what is wrong with them is told while they are read
        if not self._first(file, entry, known):
            return
        if entry.complete:
            node = Node(entry.name, Where(file, entry.line, entry.path), dict(given["bmc"]))
            for name in _NODE_WORDS:
                if name in given:
                    setattr(node, name, given[name])
            node.traits = _unique(given.get("traits"))
            node.root_device = dict(given.get("root_device") or {})
            node.timeouts.update(given.get("timeouts") or {})
            for name, value in (given.get("properties") or {}).items():
                setattr(node, name, value)
            node.vars = {key: value for key, value in given.items() if key.startswith("ansible_")}
            node.vars.update(given.get("vars") or {})
            node.nics = {item.name: self._nic(file, node, item, len(nics) == 1) for item in nics if item.complete}
            known[entry.name] = node
        self._finish(entry, "nodes", entry.name)

    def _nic(self, file: str, node: Node, entry: Entry, only: bool) -> Nic:
        given = entry.values
        switch = self._topology.switches.get(given["switch"])
        interface = given["port"]
        if switch is not None:
            try:
                interface = normalise(switch.driver, interface)
            except ValueError as error:
                where = self._sources.where(file, "nodes", node.name, "nics", entry.name, "port")
                self._problems.add(where, str(error), "write the name as the switch shows it")
        return Nic(
            entry.name,
            given["mac_address"],
            given["switch"],
            given["port"],
            interface,
            given.get("pxe", only),
            given.get("edge", True),
            given.get("bond"),
        )

    def server(self, file: str, project: Project, entry: Entry) -> None:
        """Read a server of a project."""
        known, given = project.servers, entry.values
        if not self._first(file, entry, known):
            return
        if entry.complete:
            server = Server(entry.name, project.name, Where(file, entry.line, entry.path), given.get("image"))
            server.volume = _volume(given["volume"]) if given.get("volume") else None
            server.node, server.flavor = given.get("node"), given.get("flavor")
            server.networks = [_network(item) for item in given["networks"]]
            server.keys = _unique(given.get("keys"))
            server.hostname = given.get("hostname") or dns_label(entry.name)
            server.user_data = self._user_data(file, project, entry)
            known[entry.name] = server
        self._finish(entry, "servers", project.name, entry.name)

    def _user_data(self, file: str, project: Project, entry: Entry) -> str | None:
        given = entry.values
        name = given.get("user_data_file")
        if name is None:
            return given.get("user_data")
        at = self._sources.where(file, "projects", project.name, "servers", entry.name, "user_data_file")
        if "user_data" in given:
            self._problems.add(at, "user_data and user_data_file both say it", "remove one of them")
            return None
        path = self._beside(file, name)
        self._topology.read_files.append(path)
        try:
            with open(path, encoding="utf-8", newline="") as stream:
                text = stream.read(16 * 2**20)
        except (OSError, UnicodeDecodeError) as error:
            reason = error.strerror if isinstance(error, OSError) else "is no text in UTF-8"
            self._problems.add(at, f"{path}: {reason}", "mend the path, which is relative to this file, or the file")
            return None
        problem = user_data_problem(text)
        if problem is not None:
            self._problems.add(at, *problem)
        return text


def _unique(items: t.Iterable[str] | None) -> tuple[str, ...]:
    return tuple(dict.fromkeys(items or ()))


def _volume(given: Read) -> Volume:
    address, port = given["target_portal"]
    names = {"username": "auth_username", "password": "auth_password"}
    auth = {name: given[word] for name, word in names.items() if given.get(word) is not None}
    return Volume(address, port, given["target_iqn"], given.get("target_lun", 0), given.get("initiator_iqn"), auth)


def _network(given: Read) -> ServerNetwork:
    given_ips = given.get("fixed_ips") is not None
    return ServerNetwork(given["network"], given.get("nic"), fixed_ips(given), given_ips)
