# Copyright (c) 2026 weft.fabric contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The proxy before a NETCONF server: everything passes, but for what it is told to put in or change."""

from __future__ import annotations

from pathlib import Path

import paramiko
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from ncclient import manager

from ansible_collections.weft.fabric.tests.wire import netconf_openconfig as openconfig
from ansible_collections.weft.fabric.tests.wire.netconf_proxy import Meddler, NetconfProxy, as_it_is
from ansible_collections.weft.fabric.tests.wire.netconf_server import NetconfServer

RUNNING = openconfig.ports({"name": "Ethernet1", "mode": "access", "vlan": 120})
VALIDATE = (
    b'<rpc xmlns="urn:ietf:params:xml:ns:netconf:base:1.0" message-id="meddler">'
    b"<validate><source><candidate/></source></validate></rpc>"
)


@pytest.fixture
def key(tmp_path: Path) -> Path:
    path = tmp_path / "key"
    secret = Ed25519PrivateKey.generate().private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.OpenSSH, serialization.NoEncryption()
    )
    path.write_bytes(secret)
    return path


def change_vlan(key: Path, meddle: Meddler) -> list[str]:
    """Put the port into VLAN 130 through a proxy, and return what the server was asked and has now."""
    secret = paramiko.Ed25519Key.from_private_key_file(str(key))
    changed = openconfig.ports({"name": "Ethernet1", "mode": "access", "vlan": 130})
    with (
        NetconfServer(RUNNING, authorized=secret) as server,
        NetconfProxy(server.port, server.username, key, meddle) as proxy,
        manager.connect_ssh(
            host="127.0.0.1", port=proxy.port, username=server.username, key_filename=str(key), hostkey_verify=False,
            allow_agent=False, look_for_keys=False,
        ) as session,
    ):  # fmt: skip
        assert session.edit_config(target="candidate", config=f"<config>{changed}</config>").ok
        assert session.commit().ok
        assert proxy.names == ["edit-config", "commit"]
        return [*server.names(), str(openconfig.port(server.running, "Ethernet1")["vlan"])]


def test_passes_on_what_it_is_given(key: Path) -> None:
    assert change_vlan(key, as_it_is) == ["edit-config", "commit", "130"]


def test_puts_in_a_request_whose_answer_stays_with_it(key: Path) -> None:
    asked = change_vlan(key, lambda name, one: [one, VALIDATE] if name == "edit-config" else [one])
    assert asked == ["edit-config", "validate", "commit", "130"]


def test_changes_a_request(key: Path) -> None:
    assert change_vlan(key, lambda _name, one: [one.replace(b">130<", b">140<")])[-1] == "140"
