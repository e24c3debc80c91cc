# Copyright (c) 2026 weft.fabric contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What nodes fetch: copied when it is missing, once for each boot server, and not looked into again."""

from __future__ import annotations

import hashlib
import json
import subprocess
from pathlib import Path

import pytest

from ansible_collections.weft.fabric.plugins.plugin_utils.bare_metal import payload
from ansible_collections.weft.fabric.plugins.plugin_utils.bare_metal.scope import firsts
from ansible_collections.weft.fabric.tests.unit.bare_metal.operator import Operator
from ansible_collections.weft.fabric.tests.unit.bare_metal.pretended import CHECKSUM, server

DIGEST = hashlib.sha256(b"content").hexdigest()
IMAGE = f"{DIGEST}.raw"
COPY = "Have the ramdisk served, and images that this machine has"


@pytest.fixture
def prepared(one: Operator) -> Operator:
    """Return an operator who has a ramdisk and an image, and a boot server that has neither."""
    for name in (payload.KERNEL, payload.INITRD):
        (one.directory / "ramdisk" / name).write_text(f"the {name}")
    (one.directory / "boot/ramdisk/manifest.json").unlink()
    image = one.directory / "an image.raw"
    image.write_text("content")

    def change(state: dict) -> None:
        new = {"url": f"file://{image}", "checksum": f"sha256:{DIGEST}", "served": IMAGE}
        state["nodes"]["n1"]["data"]["server"]["image"].update(new)

    one.world.change(change)
    return one


def served(operator: Operator) -> dict[str, str]:
    boot = operator.directory / "boot"
    return {str(path.relative_to(boot)): path.read_text() for path in boot.rglob("*") if path.is_file()}


def test_what_is_missing_is_copied_and_then_left_alone(prepared: Operator) -> None:
    prepared.good("server_deploy")
    everything = {
        "ramdisk/vmlinuz": "the vmlinuz",
        "ramdisk/initrd": "the initrd",
        "ramdisk/manifest.json": "{}",
        f"images/{IMAGE}": "content",
    }
    others = (f"images/{64 * 'a'}.raw", f"images/{64 * 'b'}.raw")
    assert {name: text for name, text in served(prepared).items() if name not in others} == everything
    for name in everything:
        assert (prepared.directory / "boot" / name).stat().st_mode & 0o777 == 0o644
    # Whoever looked into them again would notice.
    (prepared.directory / "boot/ramdisk/initrd").write_text("else")
    (prepared.directory / "boot/images" / IMAGE).write_text("else")
    assert "changed=0" in prepared.good("server_deploy")
    assert served(prepared)["ramdisk/initrd"] == "else"
    # Another ramdisk is another manifest.
    (prepared.directory / "ramdisk/manifest.json").write_text("{ }")
    prepared.good("server_deploy")
    assert {**everything, "ramdisk/manifest.json": "{ }", f"images/{IMAGE}": "else"}.items() <= served(prepared).items()


@pytest.mark.parametrize(
    ("gone", "error"),
    [
        ("ramdisk/manifest.json", "there is no ramdisk in"),
        ("ramdisk/initrd", "ramdisk/initrd, which nodes are to fetch, cannot be read: No such file"),
        ("an image.raw", "an image.raw, which nodes are to fetch, cannot be read: No such file"),
        ("boot", "is not there: weft.fabric.site makes the boot server first"),
    ],
)
def test_what_cannot_be_had_ends_the_run_before_any_node_is_touched(prepared: Operator, gone: str, error: str) -> None:
    before = served(prepared)
    path = prepared.directory / gone
    path.rename(path.with_name("moved"))
    assert error in prepared.bad("server_deploy")
    assert prepared.world.load()["log"] == []
    if gone != "boot":
        assert served(prepared) == before, "nothing is copied before all of it was found"


def test_each_boot_server_is_prepared_once(tmp_path: Path) -> None:
    operator = Operator(tmp_path, n1=server("red"), n2=server("red"), n3=server("blue"), n4=server("blue"))
    inventory = json.loads((tmp_path / "inventory.yml").read_text())
    inventory["all"]["hosts"]["net2"] = {}
    (tmp_path / "inventory.yml").write_text(json.dumps(inventory))

    def change(state: dict) -> None:
        for name in ("n3", "n4"):
            state["nodes"][name]["data"]["boot_server"]["host"] = "net2"

    operator.world.change(change)
    printed = operator.good("server_deploy", "-l", "bare_metal_nodes")
    part = printed[printed.index(COPY) :]
    done = [line for line in part[: part.index("TASK [")].splitlines() if line.startswith("ok: ")]
    assert sorted(done) == ["ok: [n1 -> net1]", "ok: [n3 -> net2]"]


def test_what_there_is_no_room_for_is_not_begun(tmp_path: Path) -> None:
    (tmp_path / "large").write_bytes(b"x" * (3 << 20))
    transfers = [payload.Transfer(str(tmp_path / "large"), "images/large")]
    payload.check(transfers, payload.Served(3 << 20, "none", frozenset()), "/srv")
    with pytest.raises(payload.PayloadProblem, match=r"/srv has room for 2 MiB, and 3 MiB are to be copied"):
        payload.check(transfers, payload.Served((3 << 20) - 1, "none", frozenset()), "/srv")


def test_what_cannot_be_put_in_place_leaves_nothing(tmp_path: Path) -> None:
    """The second of two files is gone before it is taken: neither is there, in whole or in part."""
    (tmp_path / "images").mkdir()
    (tmp_path / "copy of a").write_text("a")
    pairs = [(str(tmp_path / f"copy of {name}"), payload.Transfer("", f"images/{name}")) for name in "ab"]
    assert subprocess.run(["sh", "-c", payload.place(str(tmp_path), pairs)], check=False).returncode != 0
    assert list((tmp_path / "images").iterdir()) == []
    for name in "ab":
        (tmp_path / f"copy of {name}").write_text(name)
    subprocess.run(["sh", "-c", payload.place(str(tmp_path), pairs)], check=True)
    assert {path.name: path.read_text() for path in (tmp_path / "images").iterdir()} == {"a": "a", "b": "b"}


def test_an_image_from_elsewhere_is_told_as_long_as_it_is_missing() -> None:
    images = [
        {"url": "https://images.example/a", "served": "a.raw"},
        {"url": "https://images.example/b", "served": "b.raw"},
        {"url": "file:///c", "served": "c.raw", "checksum": CHECKSUM},
    ]
    has = payload.parse("there\n10 4096\nabc  -\na.raw\n", "/srv")
    assert has == payload.Served(40960, "abc", frozenset({"a.raw"}))
    assert payload.elsewhere(has, images) == [images[1]]
    assert [one.target for one in payload.image_transfers(has, images)] == ["images/c.raw"]


def test_one_node_stands_for_all_of_a_boot_server() -> None:
    nodes = [{"name": name, "boot_server": {"host": host}} for name, host in (("n2", "b"), ("n1", "a"), ("n3", "b"))]
    assert firsts(nodes) == ["n2", "n1"]
