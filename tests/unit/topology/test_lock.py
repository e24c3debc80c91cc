# Copyright (c) 2026 weft.fabric contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The lock file: what it wins over, what conflicts, and how two branches merge."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from ansible_collections.weft.fabric.plugins.plugin_utils.topology.build import Built, build_all
from ansible_collections.weft.fabric.plugins.plugin_utils.topology.lockfile import diff_lock, lock_path, write_lock
from ansible_collections.weft.fabric.plugins.plugin_utils.topology.problems import TopologyError

HEAD = """plugin: weft.fabric.topology
hosts:
  net1: {roles: [network_node], underlay: {address: 198.51.100.11}}
  cmp1: {roles: [compute_node], underlay: {address: 198.51.100.13}}
projects:
"""
BLUE = """  blue:
    networks:
      web: {subnets: {v4: {cidr: 10.0.0.0/24}}}
    ports:
      web-1: {network: web, host: cmp1}
"""
TWO = HEAD + BLUE.replace("web-1: {", "web-2: {network: web, host: cmp1}\n      web-1: {")
LOCK = """version: 1
allocated:
  projects/blue/networks/web: {local_vlan: 77, segmentation_id: 70000}
  projects/blue/ports/web-1: {addresses: {v4: "10.0.0.77"}, mac_address: "fa:16:3e:77:77:77"}
"""


def build(directory: Path, topology: str, lock: str | None = None) -> Built:
    path = directory / "topology.yml"
    path.write_text(topology, encoding="utf-8")
    if lock is not None:
        lock_path(str(path)).write_text(lock, encoding="utf-8")
    return build_all(str(path))


def errors(directory: Path, topology: str, lock: str) -> list[str]:
    with pytest.raises(TopologyError) as caught:
        build(directory, topology, lock)
    return [str(problem).replace(f"{directory}/", "") for problem in caught.value.problems]


def test_without_a_lock_all_is_missing(tmp_path: Path) -> None:
    built = build(tmp_path, HEAD + BLUE)
    assert built.missing == [
        "projects/blue/networks/web",
        "projects/blue/networks/web/dhcp/net1",
        "projects/blue/ports/web-1",
    ]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["topology.yml"]


def test_the_lock_wins_over_the_hash(tmp_path: Path) -> None:
    built = build(tmp_path, HEAD + BLUE, LOCK)
    blue = built.topology.projects["blue"]
    assert (blue.networks["web"].segmentation_id, blue.networks["web"].local_vlan) == (70000, 77)
    assert blue.ports["web-1"].mac_address == "fa:16:3e:77:77:77"
    assert [str(address) for address in blue.ports["web-1"].addresses] == ["10.0.0.77"]
    assert built.missing == ["projects/blue/networks/web/dhcp/net1"]


def test_a_pin_wins_over_the_lock_and_leaves_it(tmp_path: Path) -> None:
    pinned = (
        (HEAD + BLUE)
        .replace("web: {sub", "web: {segmentation_id: 9000, sub")
        .replace("host: cmp1", "host: cmp1, mac_address: fa:16:3e:00:00:09, fixed_ips: [{address: 10.0.0.9}]")
    )
    built = build(tmp_path, pinned, LOCK)
    blue = built.topology.projects["blue"]
    assert blue.networks["web"].segmentation_id == 9000
    assert blue.ports["web-1"].mac_address == "fa:16:3e:00:00:09"
    assert [str(address) for address in blue.ports["web-1"].addresses] == ["10.0.0.9"]
    assert "segmentation_id" not in built.wanted.entries["projects/blue/networks/web"]
    assert "projects/blue/ports/web-1" not in built.wanted.entries


def test_what_is_gone_leaves_the_lock(tmp_path: Path) -> None:
    built = build(tmp_path, HEAD + BLUE, LOCK + "  projects/red/networks/web: {local_vlan: 5, segmentation_id: 5000}\n")
    assert not [path for path in built.wanted.entries if path.startswith("projects/red")]


def test_an_address_outside_a_changed_subnet_is_chosen_anew(tmp_path: Path) -> None:
    built = build(tmp_path, (HEAD + BLUE).replace("10.0.0.0/24", "10.5.0.0/24"), LOCK)
    port = built.topology.projects["blue"].ports["web-1"]
    assert [str(address)[:7] for address in port.addresses] == ["10.5.0."]
    assert port.mac_address == "fa:16:3e:77:77:77"


@pytest.mark.parametrize(
    ("pin", "lock_line"),
    [
        ("web-2: {mac_address: fa:16:3e:77:77:77, ", 4),
        ("web-2: {fixed_ips: [{address: 10.0.0.77}], ", 4),
    ],
)
def test_a_pin_against_anothers_lock_names_both(pin: str, lock_line: int, tmp_path: Path) -> None:
    found = errors(tmp_path, TWO.replace("web-2: {", pin), LOCK)
    assert len(found) == 1
    assert "topology.yml:10" in found[0]
    assert f"topology.lock.yml:{lock_line}" in found[0]
    assert "projects/blue/ports/web-1" in found[0]
    assert "web-2" in found[0]


def test_a_pinned_vni_against_anothers_lock_names_both(tmp_path: Path) -> None:
    red = "  red: {networks: {db: {segmentation_id: 70000}}}\n"
    (found,) = errors(tmp_path, HEAD + BLUE + red, LOCK)
    assert "topology.yml:11: projects.red.networks.db: vxlan segmentation_id 70000" in found
    assert "projects/blue/networks/web (topology.lock.yml:3)" in found


@pytest.mark.parametrize(
    ("entry", "what"),
    [
        ('mac_address: "fa:16:3e:77:77:77"', "MAC address fa:16:3e:77:77:77"),
        ('addresses: {v4: "10.0.0.77"}', "address in blue/web/v4 10.0.0.77"),
    ],
)
def test_two_equal_numbers_in_a_merged_lock_name_both_lines(entry: str, what: str, tmp_path: Path) -> None:
    (found,) = errors(tmp_path, TWO, LOCK + f"  projects/blue/ports/web-2: {{{entry}}}\n")
    assert what in found
    assert "topology.lock.yml:4" in found
    assert "topology.lock.yml:5" in found
    assert "delete one of the two lines from the lock file" in found


@pytest.mark.parametrize(
    ("lock", "expected"),
    [
        ("", "topology.lock.yml:1: (file): holds no mapping"),
        ("version: 2\nallocated: {}\n", "topology.lock.yml:1: (file): this is not a lock file of version 1"),
        ("version: 1\nallocated: []\n", "topology.lock.yml:1: (file): this is not a lock file of version 1"),
        (
            LOCK + "  projects/blue/ports/web-3: 5\n",
            "topology.lock.yml:5: allocated.projects/blue/ports/web-3: an entry",
        ),
        (
            LOCK + LOCK.splitlines()[2] + "\n",
            "topology.lock.yml:5: allocated.projects/blue/networks/web: the key is there",
        ),
        (
            LOCK.replace("  projects/blue/p", "<<<<<<< HEAD\n  projects/blue/p"),
            "topology.lock.yml:4: (file): a merge conf",
        ),
        (LOCK.replace("77,", "x,"), "topology.lock.yml:3: projects/blue/networks/web: local_vlan must be a number"),
        (LOCK.replace("77,", "4095,"), "topology.lock.yml:3: projects/blue/networks/web: local_vlan must be a number"),
        (
            LOCK.replace('"fa:16:3e:77:77:77"', "5"),
            "topology.lock.yml:4: projects/blue/ports/web-1: mac_address is not",
        ),
        ("a: &a [*a]\n", "topology.lock.yml:1: a[0]: the alias *a stands inside its own anchor"),
    ],
)
def test_a_broken_lock_is_refused(lock: str, expected: str, tmp_path: Path) -> None:
    found = errors(tmp_path, HEAD + BLUE, lock)
    assert found[0].startswith(expected), found[0]
    assert ". Remedy: " in found[0]


def test_the_lock_is_beside_the_file() -> None:
    assert lock_path("fabrics/north.yml") == Path("fabrics/north.lock.yml")


def test_the_lock_of_a_directory_is_inside(tmp_path: Path) -> None:
    assert lock_path(str(tmp_path)) == tmp_path / "topology.lock.yml"


def test_a_failed_write_leaves_the_old_lock(tmp_path: Path) -> None:
    lock = tmp_path / "topology.lock.yml"
    write_lock(lock, "old")
    with pytest.raises(UnicodeEncodeError):
        write_lock(lock, "\ud800")
    assert lock.read_text(encoding="utf-8") == "old"
    assert list(tmp_path.iterdir()) == [lock]


def test_a_later_build_sees_a_changed_lock(tmp_path: Path) -> None:
    first = build(tmp_path, HEAD + BLUE)
    assert build_all(str(tmp_path / "topology.yml")) is first
    second = build(tmp_path, HEAD + BLUE, LOCK)
    assert second.topology.projects["blue"].networks["web"].segmentation_id == 70000


def project(name: str) -> str:
    return BLUE.replace("blue", name)


class Repository:
    """A Git repository that holds a topology and its lock."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.git("init", "--quiet", "--initial-branch=main")

    def git(self, *arguments: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        identity = ["-c", "user.name=Test", "-c", "user.email=test@example.org", "-c", "commit.gpgsign=false"]
        command = ["git", "-C", str(self.directory), *identity, *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=check)

    def commit(self, topology: str) -> None:
        built = build(self.directory, topology)
        write_lock(lock_path(str(self.directory / "topology.yml")), built.wanted.dump())
        self.git("add", "--all")
        self.git("commit", "--quiet", "--message=topology")


def test_two_branches_that_add_networks_merge(tmp_path: Path) -> None:
    """In different places of the sorted file Git merges them without help, and the diff is readable."""
    repository = Repository(tmp_path)
    base = HEAD + project("delta") + project("kilo") + project("tango")
    repository.commit(base)
    repository.git("switch", "--quiet", "--create=one")
    repository.commit(HEAD + project("delta") + project("echo") + project("kilo") + project("tango"))
    repository.git("switch", "--quiet", "main")
    repository.git("switch", "--quiet", "--create=two")
    repository.commit(HEAD + project("delta") + project("kilo") + project("lima") + project("tango"))
    repository.git("merge", "--quiet", "--no-edit", "one")
    built = build_all(str(tmp_path / "topology.yml"))
    assert built.missing == []
    assert {"delta", "echo", "kilo", "lima", "tango"} == set(built.topology.projects)
    changed = repository.git("diff", "--unified=0", "main", "--", "topology.lock.yml").stdout.splitlines()
    removed = [line for line in changed if line.startswith("-") and not line.startswith("---")]
    added = [line.split(":")[0] for line in changed if line.startswith("+") and not line.startswith("+++")]
    assert removed == []
    assert added == [
        f"+  projects/{name}/{kind}"
        for name in ("echo", "lima")
        for kind in ("networks/web", "networks/web/dhcp/net1", "ports/web-1")
    ]


def test_two_branches_that_add_neighbours_merge_with_the_union_driver(tmp_path: Path) -> None:
    """At one place Git can't know the order; for this file any order is right."""
    (tmp_path / ".gitattributes").write_text("*.lock.yml merge=union\ntopology.yml merge=union\n", encoding="utf-8")
    repository = Repository(tmp_path)
    repository.commit(HEAD + project("delta"))
    for branch, name in (("one", "mike"), ("two", "lima")):
        repository.git("switch", "--quiet", "main")
        repository.git("switch", "--quiet", f"--create={branch}")
        repository.commit(HEAD + project("delta") + project(name))
    conflict = repository.git("merge", "--quiet", "--no-edit", "one", check=False)
    assert conflict.returncode == 0, conflict.stdout
    # People merge the topology; here its lines are told apart by hand.
    (tmp_path / "topology.yml").write_text(
        HEAD + project("delta") + project("lima") + project("mike"), encoding="utf-8"
    )
    assert build_all(str(tmp_path / "topology.yml")).missing == []


def test_the_diff_has_only_what_differs() -> None:
    before = "version: 1\nallocated:\n  a: {}\n  c: {}\n"
    after = "version: 1\nallocated:\n  a: {}\n  b: {}\n  c: {}\n"
    assert diff_lock(before, after, "lock").splitlines() == ["--- lock", "+++ lock", "@@ -3,0 +4 @@", "+  b: {}"]
