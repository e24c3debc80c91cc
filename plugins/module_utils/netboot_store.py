# Copyright (c) 2026 weft.fabric contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What stands of boot files, and how it is written: scripts and identities that are served, keys that are not."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import tempfile
import typing as t

from ansible_collections.weft.fabric.plugins.module_utils import dhcp_files, netboot_identity, netboot_scripts
from ansible_collections.weft.fabric.plugins.module_utils.netboot_current import FACTS, parse_json, read_bytes
from ansible_collections.weft.fabric.plugins.module_utils.netboot_desired import SCRIPTS
from ansible_collections.weft.fabric.plugins.module_utils.netboot_paths import Paths
from ansible_collections.weft.fabric.plugins.module_utils.netboot_units import worker_group
from ansible_collections.weft.fabric.plugins.module_utils.reconcile import read_file, write_file

RECORD = "record.json"
_IDENTITY = "identity.cpio"
_BEGUN = ".weft-"  # how the names of files begin that are being written

# What a worker may read when it knows the name, and nobody else may. nginx opens a directory to see that it is there.
_FILE_MODE, _DIRECTORY_MODE = 0o640, 0o750

#: MAC address and address: whose script it is, and who may have it
Place = t.Tuple[str, str]


class NodeState(object):
    """What there is of a node."""

    def __init__(self, name: str):
        self.name = name
        self.record: t.Dict[str, t.Any] = {}
        self.scripts: t.Dict[Place, str] = {}
        self.deployments: t.Dict[str, t.Optional[netboot_identity.Keys]] = {}
        # Of the deployment that is on: what is served, by the address that gets it.
        self.identities: t.Dict[str, t.Optional[bytes]] = {}

    @property
    def deployment(self) -> t.Optional[str]:
        """The deployment that is on."""
        found = self.record.get("deployment")
        return found if isinstance(found, str) and self.deployments.get(found) is not None else None

    @property
    def keys(self) -> t.Optional[netboot_identity.Keys]:
        """The keys of the deployment that is on."""
        return self.deployments[self.deployment] if self.deployment else None

    @property
    def boots(self) -> t.Optional[str]:
        """What all its scripts say it boots; None without any, and mixed when a run was killed."""
        found = {(netboot_scripts.mark(text) or ("", ""))[1] for text in self.scripts.values()}
        return found.pop() if len(found) == 1 else ("mixed" if found else None)


class Store(object):
    """All that was found."""

    def __init__(self, paths: Paths):
        self.paths = paths
        self.nodes: t.Dict[str, NodeState] = {}
        self.servers: t.Dict[str, t.Dict[str, t.Any]] = {}
        self.templates: t.Dict[str, t.Dict[str, str]] = {}

    def node(self, name: str) -> NodeState:
        return self.nodes.setdefault(name, NodeState(name))


def read(paths: Paths) -> Store:
    """Look at everything."""
    store = Store(paths)
    for name in _listed(paths.join("servers")):
        facts = parse_json(read_file(paths.server(name, FACTS)))
        if facts:
            store.servers[name] = facts
            texts = {script: read_file(paths.server(name, file)) for script, file in SCRIPTS.items()}
            store.templates[name] = {script: text for script, text in texts.items() if text}
    for name in _listed(paths.join("keys")):
        if dhcp_files.NAME.match(name):
            _read_keys(store.node(name), paths)
    for hyphens in _listed(paths.join("http", "nodes")):
        for file in _listed(paths.join("http", "nodes", hyphens)):
            text = read_file(paths.join("http", "nodes", hyphens, file)) or ""
            found = netboot_scripts.mark(text)
            if found and file.endswith(".ipxe"):
                place = (hyphens.replace("-", ":"), file[: -len(".ipxe")])
                store.node(found[0]).scripts[place] = text
    return store


def _read_keys(state: NodeState, paths: Paths) -> None:
    directory = paths.join("keys", state.name)
    state.record = parse_json(read_file(os.path.join(directory, RECORD)))
    for deployment in _listed(directory):
        if deployment != RECORD:
            path = os.path.join(directory, deployment)
            state.deployments[deployment] = netboot_identity.read_keys(path) if os.path.isdir(path) else None
    if state.deployment:
        addresses = _listed(paths.join("http", "deployments", state.deployment))
        state.identities = {
            address: read_bytes(identity_path(paths, state.deployment, address)) for address in addresses
        }


def _listed(directory: str) -> t.List[str]:
    try:
        return sorted(os.listdir(directory))
    except (FileNotFoundError, NotADirectoryError):
        return []


# paths


def script_path(paths: Paths, place: Place) -> str:
    """Return the file of a script."""
    return paths.join("http", "nodes", place[0].replace(":", "-"), place[1] + ".ipxe")


def keys_path(paths: Paths, node: str, deployment: str) -> str:
    """Return the directory of the keys of a deployment."""
    return paths.join("keys", node, deployment)


def identity_path(paths: Paths, deployment: str, address: str) -> str:
    """Return the archive of a deployment: only who has the address gets it."""
    return paths.join("http", "deployments", deployment, address, _IDENTITY)


# writing


def write_bytes(path: str, content: bytes, mode: int, group: int = 0) -> None:
    """Write a file in one step."""
    descriptor, temporary = tempfile.mkstemp(dir=os.path.dirname(path), prefix=_BEGUN)
    try:
        with os.fdopen(descriptor, "wb") as stream:
            os.fchown(stream.fileno(), 0, group)
            os.fchmod(stream.fileno(), mode)
            stream.write(content)
            stream.flush()
            os.fsync(stream.fileno())
        os.rename(temporary, path)
    except BaseException:
        os.unlink(temporary)
        raise


def write_served(path: str, content: bytes, paths: Paths) -> None:
    """Write a file below http that only nginx's workers may read, and make the directories it lies in."""
    group = worker_group()
    missing: t.List[str] = []
    directory = os.path.dirname(path)
    while directory != paths.join("http"):
        missing.insert(0, directory)
        directory = os.path.dirname(directory)
    for directory in missing[1:]:
        os.makedirs(directory, mode=0o700, exist_ok=True)
        os.chown(directory, 0, group)
        os.chmod(directory, _DIRECTORY_MODE)
    _sweep(os.path.dirname(path))
    write_bytes(path, content, _FILE_MODE, group)


def write_record(paths: Paths, node: str, record: t.Mapping[str, t.Any]) -> None:
    """Note what a node boots."""
    write_file(paths.join("keys", node, RECORD), json.dumps(record, sort_keys=True) + "\n")


# removing


def remove_script(paths: Paths, place: Place) -> None:
    """Remove the script of a NIC."""
    path = script_path(paths, place)
    with contextlib.suppress(FileNotFoundError):
        os.unlink(path)
    _sweep(os.path.dirname(path))
    with contextlib.suppress(OSError):  # another address may have one
        os.rmdir(os.path.dirname(path))


def _sweep(directory: str) -> None:
    """Remove what a run that was killed had begun to write."""
    for name in _listed(directory):
        if name.startswith(_BEGUN):
            os.unlink(os.path.join(directory, name))


def remove_identity(paths: Paths, deployment: str, address: str) -> None:
    """Serve an identity to an address no more."""
    shutil.rmtree(os.path.dirname(identity_path(paths, deployment, address)), ignore_errors=True)


def remove_deployment(paths: Paths, node: str, deployment: str) -> None:
    """Serve an identity no more, then forget its keys."""
    shutil.rmtree(paths.join("http", "deployments", deployment), ignore_errors=True)
    path = keys_path(paths, node, deployment)
    if os.path.isdir(path):
        shutil.rmtree(path)
    else:  # a record that a killed run had begun to write
        os.unlink(path)


def forget(paths: Paths, node: str) -> None:
    """Remove all there is of a node."""
    state = read(paths).node(node)
    for place in state.scripts:
        remove_script(paths, place)
    for deployment in state.deployments:
        remove_deployment(paths, node, deployment)
    shutil.rmtree(paths.join("keys", node), ignore_errors=True)
