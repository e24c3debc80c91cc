# Copyright (c) 2026 weft.fabric contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What daemons and iPXE are given to read, and what is refused before they are."""

from __future__ import annotations

import typing as t

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.weft.fabric.plugins.module_utils import (
    boot_files,
    netboot_desired,
    netboot_scripts,
    netboot_units,
)
from ansible_collections.weft.fabric.plugins.module_utils.netboot_identity import Keys, archive
from ansible_collections.weft.fabric.plugins.module_utils.netboot_paths import Paths
from ansible_collections.weft.fabric.plugins.module_utils.reconcile import FabricError
from ansible_collections.weft.fabric.plugins.plugin_utils.topology.compile.boot_texts import with_texts

Item = dict[str, t.Any]

MAC = "52:54:00:00:00:01"
EVIL = ["a,b", "a\nb", 'a"b', "a b", "", "a\0", "é", "$(id)", "${net0/mac}", "a\\b", "&&", "||", "a|b", "#x", "../x"]


def server(**changes: t.Any) -> Item:
    item = {"name": "n", "interface": "s0", "address": "10.0.0.2", "cidr": "10.0.0.0/24", "nodes": []}
    texts = {"dhcp_config": "a", "http_config": "b"}
    return {**item, **texts, "scripts": dict.fromkeys(netboot_desired.SCRIPTS, "#!ipxe"), **changes}


def node(**changes: t.Any) -> Item:
    return {"name": "n1", "address": "10.0.0.11", "mac_addresses": [MAC], **changes}


def boot(**changes: t.Any) -> Item:
    return {**node(), "server": "n", "boot": "ramdisk", **changes}


def volume(**changes: t.Any) -> Item:
    iscsi = {"portal": "10.0.0.5", "target": "iqn.2016-01.example:a", "initiator": "iqn.2016-01.example:b"}
    return boot(boot="iscsi", iscsi={**iscsi, **changes})


SERVER_PLACES: dict[str, t.Callable[[str], Item]] = {
    "name": lambda text: server(name=text),
    "namespace": lambda text: server(namespace=text or "x"),
    "interface": lambda text: server(interface=text),
    "address": lambda text: server(address=text),
    "cidr": lambda text: server(cidr=text),
    "ra_prefix": lambda text: server(ra_prefix=text or "x"),
    "node": lambda text: server(nodes=[node(name=text)]),
    "node's address": lambda text: server(nodes=[node(address=text)]),
    "node's MAC": lambda text: server(nodes=[node(mac_addresses=[text])]),
}
NODE_PLACES: dict[str, t.Callable[[str], Item]] = {
    "name": lambda text: boot(name=text),
    "boot": lambda text: boot(boot=text),
    "server": lambda text: boot(server=text),
    "address": lambda text: boot(address=text),
    "MAC": lambda text: boot(mac_addresses=[text]),
    "kernel argument": lambda text: boot(kernel_arguments=[text]),
    "portal": lambda text: volume(portal=text),
    "target": lambda text: volume(target=text),
    "initiator": lambda text: volume(initiator=text),
}


@pytest.mark.parametrize("place", SERVER_PLACES)
@pytest.mark.parametrize("text", EVIL)
def test_injection_into_a_server_is_refused(place: str, text: str) -> None:
    with pytest.raises(FabricError, match="boot server"):
        netboot_desired.parse({"servers": [SERVER_PLACES[place](text)]})


@pytest.mark.parametrize("place", NODE_PLACES)
@pytest.mark.parametrize("text", EVIL)
def test_injection_into_a_script_is_refused(place: str, text: str) -> None:
    if place == "kernel argument" and text in ("a,b", "../x"):
        return  # that is one word, and no matter to iPXE
    with pytest.raises(FabricError, match=r"node|boot"):
        netboot_scripts.parse({"nodes": [NODE_PLACES[place](text)]})


@given(st.lists(st.text(max_size=12), max_size=3), st.text(min_size=1, max_size=20), st.text(min_size=1, max_size=20))
def test_whatever_is_accepted_is_one_word(words: list[str], user: str, password: str) -> None:
    template = "#!ipxe\nkernel x @kernel_arguments@ && goto a\n@credentials@\n"
    for item in (boot(kernel_arguments=words), volume(username=user, password=password)):
        try:
            found = netboot_scripts.parse({"nodes": [item]})["n1"]
        except FabricError:
            continue
        lines = netboot_scripts.fill(template, found, MAC, "d").splitlines()
        assert lines[2].split() == ["kernel", "x", *found.kernel_arguments, "&&", "goto", "a"]
        assert all(character not in "\n".join(lines) for character in "$`\"'\\")
        if found.boot == "iscsi":
            values = [bytes.fromhex(line.split()[2].replace(":", "")).decode() for line in lines[3:]]
            assert values == [user, password]


def test_nothing_stands_in_place_of_a_value_twice() -> None:
    found = netboot_scripts.parse({"nodes": [boot(kernel_arguments=["a=@deployment@"])]})["n1"]
    assert "a=@deployment@" in netboot_scripts.fill("#!ipxe\n@kernel_arguments@\n", found, MAC, "secret")


def test_a_script_tells_whose_it_is_whatever_the_template() -> None:
    found = netboot_scripts.parse({"nodes": [boot()]})["n1"]
    for template in ("#!ipxe\necho\n", "echo\n"):
        text = netboot_scripts.fill(template, found, MAC, "d")
        assert text == "#!ipxe\n# weft-fabric: node n1 boots ramdisk\necho\n"
        assert netboot_scripts.mark(text) == ("n1", "ramdisk")
    assert netboot_scripts.mark("#!ipxe\n# mine\n") is None


@pytest.mark.parametrize(
    ("items", "message"),
    [
        ([server(), server()], "boot server n is listed twice"),
        ([server(namespace="qboot-other")], "its namespace must be qboot-n, not qboot-other"),
        ([server(address="fd00::2")], "fd00::2 is not an IPv4 address"),
        ([server(nodes=[node(address="10.0.1.1")])], r"address 10\.0\.1\.1 of node n1 is not in 10\.0\.0\.0/24"),
        ([server(nodes=[node(address="10.0.0.2")])], r"10\.0\.0\.2 is both the server itself and n1"),
        ([server(nodes=[node(), node(name="n2")])], r"10\.0\.0\.11 is both n1 and n2"),
        ([server(nodes=[node(), node(name="n2", address="10.0.0.12")])], f"{MAC} is both n1 and n2"),
        ([server(nodes=[node(mac_addresses=[])])], "it needs MAC addresses"),
        ([server(dhcp_config="")], "dhcp_config is missing"),
        ([server(scripts={"boot": "x"})], "ramdisk is missing"),
        ([server(http_port=65536)], "http_port"),
    ],
)
def test_what_makes_no_sense_is_refused(items: list[Item], message: str) -> None:
    with pytest.raises(FabricError, match=message):
        netboot_desired.parse({"servers": items})


def test_a_volume_takes_user_and_password() -> None:
    with pytest.raises(FabricError, match="CHAP takes a username and a password"):
        netboot_scripts.parse({"nodes": [volume(username="a")]})


@pytest.mark.parametrize("file", ["netboot_dnsmasq.conf.j2", "netboot_nginx.conf.j2", "netboot_local.ipxe.j2"])
def test_a_users_template_replaces_the_collections(file: str) -> None:
    item = {"name": "n", "interface": "s0", "address": "10.0.0.2", "cidr": "10.0.0.0/24", "nodes": [node()]}
    found = with_texts(item, {file: "mine {{ url }}\n"})
    texts = [found["dhcp_config"], found["http_config"], *found["scripts"].values()]
    assert texts.count("mine http://10.0.0.2\n") == 1
    assert "None" not in "".join(texts)
    assert netboot_desired.parse({"servers": [found]})["n"].facts["lease_time"] == 3600


def test_units_name_the_daemons_and_the_worker() -> None:
    text = netboot_units.unit_text(Paths(), netboot_units.HTTP)
    assert "nginx -c /var/lib/weft-fabric/boot/servers/%i/nginx.conf" in text
    assert '-g "user www-data; pid /run/weft-fabric-boot-http/%i/pid;"' in text
    assert "RuntimeDirectory=weft-fabric-boot-http/%i\n" in text
    assert "[Install]" not in text


def test_the_replay_brings_boot_servers_along() -> None:
    found = boot_files.sources()
    assert {"netboot_servers", "netboot_relay", "netboot_store"} <= set(found)


def test_the_archive_is_the_same_for_the_same_keys() -> None:
    keys = Keys("a", "b", "c", "d")
    assert archive(keys, {"node": "n1"}) == archive(keys, {"node": "n1"})
    assert archive(keys, {"node": "n1"}) != archive(keys, {"node": "n2"})
    assert b"a" not in archive(Keys("SECRET", "b", "c", "d"), {}).split(b"SECRET")[1:]
