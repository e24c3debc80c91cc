# Copyright (c) 2026 weft.fabric contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A real server that says ok and does something else, or is not to be reached, or is not who it should be."""

from __future__ import annotations

import time
import typing as t
from pathlib import Path

import pytest

from ansible_collections.weft.fabric.tests.wire import netconf_openconfig as openconfig
from ansible_collections.weft.fabric.tests.wire.leaf import KEY, PORT, USER, Leaf, session
from ansible_collections.weft.fabric.tests.wire.netconf_proxy import NetconfProxy
from ansible_collections.weft.fabric.tests.wire.netconf_transport import new_key
from ansible_collections.weft.fabric.tests.wire.plays import edit, play

VALIDATE = (
    b'<rpc xmlns="urn:ietf:params:xml:ns:netconf:base:1.0" message-id="meddler">'
    b"<validate><source><candidate/></source></validate></rpc>"
)


def with_validate(name: str, request: bytes) -> list[bytes]:
    """Ask for a validation after each edit, as other clients do."""
    return [request, VALIDATE] if name == "edit-config" else [request]


def with_other_type(name: str, request: bytes) -> list[bytes]:
    """Let the edit make a port something for which a `when` of the models allows no VLANs."""
    if name != "edit-config":
        return [request]
    # The replacing is taken out too: on what a `when` has taken away, it is too much for netconfd, which ends.
    return [request.replace(b"ethernetCsmacd", b"other").replace(b' nc:operation="replace"', b"")]


def through(proxy: NetconfProxy, topology: Path) -> Path:
    """Lead a topology's switch through the proxy, and have Ethernet3 change its VLAN."""

    def change(data: dict[str, t.Any]) -> None:
        leaf = data["switches"]["leaf1"]
        leaf["ports"]["Ethernet3"]["network"] = "blue/web"
        leaf.update(port=proxy.port, host_key=proxy.host_key)
        del leaf["known_hosts"]

    return edit(topology, change)


def nothing_is_left(leaf: Leaf) -> None:
    assert leaf.port("Ethernet3")["vlan"] == 110
    with session() as client:
        for datastore in ("candidate", "running"):
            client.lock(datastore)
            client.unlock(datastore)


def test_netconfd_forgets_an_edit_that_is_validated_apart(leaf):
    """What the next test leans on, with nothing but ncclient: three times ok, and nothing has happened."""
    leaves = "<interface-mode>ACCESS</interface-mode><access-vlan>120</access-vlan>"
    replace = 'xmlns:nc="urn:ietf:params:xml:ns:netconf:base:1.0" nc:operation="replace"'
    config = (
        f'<config><interfaces xmlns="{openconfig.INTERFACES}"><interface><name>Ethernet3</name>'
        f'<ethernet xmlns="{openconfig.ETHERNET}"><switched-vlan xmlns="{openconfig.VLAN}">'
        f"<config {replace}>{leaves}</config></switched-vlan></ethernet></interface></interfaces></config>"
    )
    with session() as client:
        assert client.edit_config(target="candidate", config=config).ok
        assert client.validate("candidate").ok
        assert client.commit().ok
        client.discard_changes()
    assert leaf.port("Ethernet3")["vlan"] == 110


@pytest.mark.parametrize("meddle", [with_validate, with_other_type])
def test_what_was_accepted_and_not_done_is_found_out(leaf, topology, meddle):
    with NetconfProxy(PORT, USER, KEY, meddle) as proxy:
        done = play("weft.fabric.switches", through(proxy, topology), check=False)
        assert "edit-config" in proxy.names
    assert done.returncode != 0
    text = done.failures["leaf1"]
    assert "leaf1" in text
    assert "Ethernet3" in text
    # Both values: what was asked for, and what is there.
    assert "120" in text
    assert "110" in text or "no VLAN" in text
    nothing_is_left(leaf)


def test_switches_that_are_away_or_others_keep_nobody_waiting(leaf, topology):
    """One is not there, and at another's place is somebody else: both are told soon, and the third gets its due."""
    with NetconfProxy(PORT, USER, KEY) as impostor:

        def add(data: dict[str, t.Any]) -> None:
            leaf1 = data["switches"]["leaf1"]
            leaf1["ports"]["Ethernet4"]["description"] = "rack1, at last"
            alike = {name: leaf1[name] for name in ("driver", "credentials", "allowed_vlans")}
            ports = {"ports": {"Ethernet1": {"vlan": 199}}}
            for name, port in (("away", 9), ("other", impostor.port)):
                key = new_key()
                address = {"address": "127.0.0.1", "port": port, "host_key": f"{key.get_name()} {key.get_base64()}"}
                data["switches"][name] = {**alike, **ports, **address}

        began = time.monotonic()
        done = play("weft.fabric.switches", edit(topology, add), check=False)
        seconds = time.monotonic() - began
        assert impostor.names == []
    assert set(done.failures) == {"away", "other"}
    assert "127.0.0.1 port 9" in done.failures["away"]
    assert "another host key" in done.failures["other"]
    assert seconds < 15, f"{seconds:.1f} s, Ansible's own start included"
    assert leaf.port("Ethernet4")["description"] == "rack1, at last"
