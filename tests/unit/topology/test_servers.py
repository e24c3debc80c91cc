# Copyright (c) 2026 weft.fabric contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which server is on which node: fitting ones, the same for everybody, and moved by nobody but a person."""

from __future__ import annotations

import itertools
import json
import typing as t
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.weft.fabric.plugins.plugin_utils.topology.build import Built, build_all
from ansible_collections.weft.fabric.plugins.plugin_utils.topology.checksums import find_checksum
from ansible_collections.weft.fabric.plugins.plugin_utils.topology.lockfile import lock_path, write_lock
from ansible_collections.weft.fabric.plugins.plugin_utils.topology.problems import TopologyError
from ansible_collections.weft.fabric.plugins.plugin_utils.topology.schedule_servers import match
from ansible_collections.weft.fabric.tests.unit.topology import metal

Sizes = t.Mapping[str, int]  # of each node, or of what each server asks for: how many GiB

FLAVORS = (1, 2, 3)


def document(nodes: Sizes, servers: t.Mapping[str, t.Any]) -> dict[str, t.Any]:
    """Return a topology of nodes with so much memory, and servers: a number asks for as much, a name is a node's."""
    bmc = metal.COMPLETE["nodes"]["n2"]["bmc"]
    return {
        **metal.COMPLETE,
        "flavors": {f"f{size}": {"memory": f"{size} GiB"} for size in FLAVORS},
        "nodes": {
            name: {
                "boot_mode": "bios",
                "bmc": {**bmc, "system": name},
                "nics": {
                    "nic0": {
                        "mac_address": f"52:54:00:00:01:{int(name[1:]):02x}",
                        "switch": "leaf1",
                        "port": f"Ethernet{int(name[1:]) + 1}",
                    }
                },
                "properties": {"memory": f"{size} GiB"},
            }
            for name, size in nodes.items()
        },
        "projects": {
            **metal.COMPLETE["projects"],
            "blue": {
                "networks": metal.COMPLETE["projects"]["blue"]["networks"],
                "servers": {
                    name: {
                        "image": "debian",
                        "networks": ["web"],
                        **({"flavor": f"f{wanted}"} if isinstance(wanted, int) else {"node": wanted}),
                    }
                    for name, wanted in servers.items()
                },
            },
        },
    }


class Fabric:
    """A topology in a directory, with its lock."""

    def __init__(self, directory: Path) -> None:
        self.path = directory / "topology.yml"
        self.lock = lock_path(str(self.path))
        self.lock.unlink(missing_ok=True)

    def build(self, nodes: Sizes, servers: t.Mapping[str, t.Any]) -> Built:
        self.path.write_text(json.dumps(document(nodes, servers)), encoding="utf-8")
        return build_all(str(self.path))

    def place(self, nodes: Sizes, servers: t.Mapping[str, t.Any], write: bool = False) -> dict[str, str]:
        """Return the node of each server."""
        built = self.build(nodes, servers)
        if write:
            write_lock(self.lock, built.wanted.dump())
        return {server.name: str(server.placed_on) for server in built.topology.servers()}

    def refuse(self, nodes: Sizes, servers: t.Mapping[str, t.Any]) -> str:
        with pytest.raises(TopologyError) as caught:
            self.build(nodes, servers)
        return str(caught.value).replace(f"{self.path.parent}/", "")


@pytest.fixture
def fabric(tmp_path: Path) -> Fabric:
    return Fabric(tmp_path)


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("servers")


NODES = st.dictionaries(st.sampled_from([f"n{number}" for number in range(6)]), st.sampled_from(FLAVORS), max_size=6)
SERVERS = st.dictionaries(st.sampled_from([f"s{number}" for number in range(5)]), st.sampled_from(FLAVORS), max_size=5)


def possible(nodes: Sizes, servers: Sizes) -> bool:
    """Tell whether every server can have a node of its own, by trying."""
    wanted = list(servers.values())
    return any(
        all(nodes[node] >= size for node, size in zip(chosen, wanted, strict=True))
        for chosen in itertools.permutations(nodes, len(wanted))
    )


@given(nodes=NODES, servers=SERVERS, order=st.randoms(use_true_random=False))
def test_all_get_a_node_that_fits_where_they_can(nodes: Sizes, servers: Sizes, order: t.Any, shared: Path) -> None:
    fabric = Fabric(shared)
    if not nodes:
        nodes = {"n0": 1}
    if not possible(nodes, servers):
        assert "no node is left for it" in fabric.refuse(nodes, servers)
        return
    placed = fabric.place(nodes, servers)
    assert len(set(placed.values())) == len(servers)
    assert all(nodes[node] >= servers[server] for server, node in placed.items())
    # The order in which the file names them means nothing.
    shuffled_nodes, shuffled_servers = list(nodes.items()), list(servers.items())
    order.shuffle(shuffled_nodes)
    order.shuffle(shuffled_servers)
    assert fabric.place(dict(shuffled_nodes), dict(shuffled_servers)) == placed


@given(nodes=NODES, servers=SERVERS, more=NODES, others=SERVERS)
def test_nobody_moves_once_it_is_in_the_lock(
    nodes: Sizes, servers: Sizes, more: Sizes, others: Sizes, shared: Path
) -> None:
    fabric = Fabric(shared)
    nodes = nodes or {"n0": 1}
    if not possible(nodes, servers):
        return
    before = fabric.place(nodes, servers, write=True)
    # More nodes, more servers, fewer servers: whoever was there is where he was.
    all_nodes = {**more, **nodes}
    gone = next(iter(servers), None)
    left = {name: size for name, size in servers.items() if name != gone}
    for wanted in (servers, left, {**{f"t{name[1:]}": size for name, size in others.items()}, **servers}):
        try:
            after = fabric.place(all_nodes, wanted)
        except TopologyError:
            continue  # too many of them
        assert {name: after[name] for name in before if name in wanted} == {
            name: node for name, node in before.items() if name in wanted
        }


def test_who_asks_for_little_leaves_the_large_node_to_others(fabric: Fabric) -> None:
    assert fabric.place({"n0": 3, "n1": 1, "n2": 2}, {"a": 1}) == {"a": "n1"}
    assert fabric.place({"n0": 3, "n1": 1, "n2": 2}, {"a": 1, "b": 3, "c": 1}) == {"a": "n1", "b": "n0", "c": "n2"}


def test_a_pin_wins_and_is_not_in_the_lock(fabric: Fabric) -> None:
    built = fabric.build({"n0": 3, "n1": 1}, {"a": "n0", "b": 1})
    assert {server.name: server.placed_on for server in built.topology.servers()} == {"a": "n0", "b": "n1"}
    assert "projects/blue/servers/a" not in built.wanted.entries
    assert built.wanted.entries["projects/blue/servers/b"] == {"node": "n1"}


def test_a_pin_does_not_throw_anybody_out(fabric: Fabric) -> None:
    fabric.place({"n0": 1}, {"a": 1}, write=True)
    text = fabric.refuse({"n0": 1, "n1": 1}, {"a": 1, "b": "n0"})
    assert "projects/blue/servers/a: node n0 is also held by projects/blue/servers/b (topology.yml:1)" in text
    assert "delete the line and write the lock anew: the server is then deployed on another node" in text


def test_branches_that_choose_the_same_node_are_told_both_lines(fabric: Fabric) -> None:
    nodes = {"n0": 1, "n1": 1, "n2": 1}
    fabric.place(nodes, {}, write=True)
    base = fabric.lock.read_text(encoding="utf-8").splitlines()
    lines, chosen = [], {}
    # Each of two branches adds a server, and neither knows of the other.
    for name in ("a", "b", "c", "d"):
        fabric.lock.write_text("\n".join(base) + "\n", encoding="utf-8")
        chosen[name] = fabric.place(nodes, {name: 1}, write=True)[name]
        lines.append(set(fabric.lock.read_text(encoding="utf-8").splitlines()) - set(base))
    names = list(chosen)
    pairs = list(itertools.combinations(range(len(names)), 2))
    same = next((i, j) for i, j in pairs if chosen[names[i]] == chosen[names[j]])
    apart = next((i, j) for i, j in pairs if chosen[names[i]] != chosen[names[j]])
    for (one, other), clash in ((apart, False), (same, True)):
        # What git's union merge leaves.
        fabric.lock.write_text("\n".join([*base, *sorted(lines[one] | lines[other])]) + "\n", encoding="utf-8")
        servers = {names[one]: 1, names[other]: 1}
        if clash:
            found = fabric.refuse(nodes, servers)
            assert found.count("topology.lock.yml:") == 2, found
        else:
            assert fabric.place(nodes, servers) == {name: chosen[name] for name in servers}


def test_a_node_that_is_gone_or_does_not_fit_any_more_is_told(fabric: Fabric) -> None:
    fabric.place({"n0": 2}, {"a": 2}, write=True)
    assert "there is no node 'n0' any more" in fabric.refuse({"n1": 3}, {"a": 2})
    text = fabric.refuse({"n0": 1, "n1": 3}, {"a": 2})
    assert "node n0 can't be this server any more: memory 1 GiB, not 2 GiB" in text
    assert text.startswith("topology.lock.yml:")


def test_the_lock_keeps_the_address_of_a_server_that_moves_to_another_node(fabric: Fabric) -> None:
    first = fabric.build({"n0": 1, "n1": 1}, {"a": "n0"})
    write_lock(fabric.lock, first.wanted.dump())
    second = fabric.build({"n0": 1, "n1": 1}, {"a": "n1"})
    before, after = (built.topology.projects["blue"].ports["server-a-web"] for built in (first, second))
    assert before.addresses == after.addresses
    assert (before.mac_address, after.mac_address) == ("52:54:00:00:01:00", "52:54:00:00:01:01")


def test_match_gives_as_many_as_possible() -> None:
    assert match({"a": ["x", "y"], "b": ["x"]}) == {"x": "b", "y": "a"}
    assert match({"a": ["x"], "b": ["x"]}) == {"x": "a"}
    chain = {f"s{number}": [f"n{number}", f"n{number + 1}"] for number in range(500)}
    assert len(match({**chain, "last": ["n0"]})) == 501


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (f"{'0A' * 32}  images/out/debian.raw.zst\n", "sha256:" + "0a" * 32),
        (f"{'0b' * 32} *debian.raw.zst\n{'0c' * 32}  other\n", "sha256:" + "0b" * 32),
        (f"SHA512 (./x/debian.raw.zst) = {'0d' * 64}\n", "sha512:" + "0d" * 64),
        (f"{'0e' * 32}\n", "sha256:" + "0e" * 32),
        (f"{'0e' * 16}  debian.raw.zst\n{'0f' * 32}  debian.raw.zst\n", "sha256:" + "0f" * 32),
    ],
)
def test_checksum_files(text: str, expected: str, tmp_path: Path) -> None:
    path = tmp_path / "SHA256SUMS"
    path.write_text(text, encoding="utf-8")
    assert find_checksum(str(path), "https://images.example/a/debian.raw.zst?x=1") == expected


@pytest.mark.parametrize(
    "text",
    ["", "<html>\n", f"{'0a' * 32}  other.raw.zst\n", f"{'0a' * 16}  debian.raw.zst\n",
     f"{'0a' * 32}  a/debian.raw.zst\n{'0b' * 32}  b/debian.raw.zst\n"],
)  # fmt: skip
def test_a_checksum_file_that_says_nothing_is_refused(text: str, tmp_path: Path) -> None:
    (tmp_path / "sums").write_text(text, encoding="utf-8")
    found = metal.COMPLETE | {"images": {"debian": {**metal.COMPLETE["images"]["tiny"], "checksum_file": "sums"}}}
    path = tmp_path / "topology.yml"
    path.write_text(json.dumps(found).replace("tiny.qcow2", "debian.raw.zst"), encoding="utf-8")
    with pytest.raises(TopologyError, match=r"images\.debian\.checksum_file: .*checksum"):
        build_all(str(path))


def test_user_data_from_a_file_follows_the_file(tmp_path: Path) -> None:
    (tmp_path / "cloud").mkdir()
    data = tmp_path / "cloud/db.yml"
    data.write_text("#cloud-config\n{}\n", encoding="utf-8")
    found = document({"n0": 1}, {"a": "n0"})
    found["projects"]["blue"]["servers"]["a"]["user_data_file"] = "cloud/db.yml"
    path = tmp_path / "topology.yml"
    path.write_text(json.dumps(found), encoding="utf-8")
    for text in ("#cloud-config\n{}\n", "#cloud-config\npackages: []\n"):
        data.write_text(text, encoding="utf-8")
        [server] = build_all(str(path)).topology.servers()
        assert server.user_data == text
    data.write_bytes(b"\x1f\x8b\x08\xff")
    with pytest.raises(TopologyError, match="is no text in UTF-8"):
        build_all(str(path))
