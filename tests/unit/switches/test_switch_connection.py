# Copyright (c) 2026 weft.fabric contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The way in: the host key is checked before anything is sent, there is one attempt, and all of it has an end."""

from __future__ import annotations

import io
import socket
import time
import typing as t
from pathlib import Path

import paramiko
import pytest

from ansible_collections.weft.fabric.plugins.module_utils import netconf_ssh
from ansible_collections.weft.fabric.plugins.module_utils.netconf_session import open_session
from ansible_collections.weft.fabric.plugins.module_utils.reconcile import FabricError
from ansible_collections.weft.fabric.tests.unit.switches.runs import NetconfServer, broken, leaf, refusal, run, until
from ansible_collections.weft.fabric.tests.wire.netconf_transport import new_key

ACCESS = {"name": "Ethernet2", "mode": "access", "vlan": 120}


def line(key: paramiko.PKey) -> str:
    return f"{key.get_name()} {key.get_base64()}"


def opens(server: NetconfServer, **switch: t.Any) -> None:
    session = open_session(netconf_ssh.way(server.switch(**switch)))
    session.close()


def closed(server: NetconfServer, **switch: t.Any) -> str:
    """Return why no session came about; it must not have taken long."""
    began = time.monotonic()
    with pytest.raises(FabricError) as caught:
        opens(server, **switch)
    assert time.monotonic() - began < 10
    until(lambda: not server.sessions, "the sessions end")
    return str(caught.value)


def test_a_wrong_host_key_stops_before_anything_is_sent() -> None:
    with leaf() as server:
        message = closed(server, host_key=line(new_key()))
        assert message.startswith(
            f"switch leaf1 (127.0.0.1 port {server.port}): it shows another host key (ssh-ed25519"
        )
        assert server.attempts == []


def test_a_wrong_password_is_tried_once() -> None:
    with leaf() as server:
        message = refusal(server, ACCESS, switch={"password": "wrong"})
        assert "refuses user weft with the password. It was tried once and is not tried again." in message
        assert "wrong" not in message
        assert server.attempts == [("weft", "password")]


def test_nobody_there() -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        number = free.getsockname()[1]
    with leaf() as server:
        assert "cannot be reached: [Errno 111] Connection refused" in closed(server, port=number)
        assert "its address is not known" in closed(server, address="no-such-switch.invalid")


def test_an_address_that_swallows_everything() -> None:
    """A listener whose queue is full answers as a host that is down does: not at all."""
    with socket.socket() as full, leaf() as server:
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        callers = [socket.socket() for _caller in range(3)]
        for caller in callers:
            caller.setblocking(False)
            caller.connect_ex(full.getsockname())
        message = closed(server, port=full.getsockname()[1], connect_timeout=1)
        assert "cannot be reached: no answer within 1 s" in message
        for caller in callers:
            caller.close()


@pytest.mark.parametrize("faults", [{"mute": True}, {"delay": {"hello": 3}}], ids=["no SSH", "no greeting"])
def test_somebody_who_says_nothing(faults: dict[str, t.Any]) -> None:
    server = broken(**faults)
    with server:
        message = closed(server, connect_timeout=1)
        assert "something answers there, but did not finish its greeting within 1 s" in message


def test_ssh_without_netconf() -> None:
    with broken(no_subsystem=True) as server:
        assert "no NETCONF session came about" in closed(server)


def test_known_hosts(tmp_path: Path) -> None:
    known = tmp_path / "known_hosts"
    with leaf() as server:
        known.write_text(f"[127.0.0.1]:{server.port} {server.host_key}\n", encoding="utf-8")
        opens(server, host_key=None, known_hosts=str(known))
        known.write_text(f"[127.0.0.1]:{server.port} {line(new_key())}\n", encoding="utf-8")
        assert "it shows another host key" in closed(server, host_key=None, known_hosts=str(known))
        known.write_text("", encoding="utf-8")
        assert "its host key is not known" in closed(server, host_key=None, known_hosts=str(known))
        assert "its host key cannot be looked up" in closed(server, host_key=None, known_hosts=str(tmp_path / "none"))
        assert len(server.attempts) == 1
        opens(server, host_key=None, host_key_checking=False)


def test_what_ssh_keyscan_prints_is_a_host_key() -> None:
    with leaf() as server:
        opens(server, host_key=f"[127.0.0.1]:{server.port} {server.host_key} a comment")
        assert "host_key is no public key" in closed(server, host_key="SHA256:abcdef")


def test_rsa_keys_are_known_by_newer_signatures() -> None:
    server = leaf()
    server._key = paramiko.RSAKey.generate(2048)
    with server:
        opens(server)
        assert "it shows another host key" in closed(server, host_key=line(paramiko.RSAKey.generate(2048)))


def test_a_key_to_log_in_with(tmp_path: Path) -> None:
    path = tmp_path / "id"
    key = paramiko.RSAKey.generate(2048)
    locked = tmp_path / "locked"
    for file, passphrase in ((path, None), (locked, "sesame")):
        text = io.StringIO()
        key.write_private_key(text, passphrase)
        file.write_text(text.getvalue(), encoding="utf-8")
    with leaf(authorized=key) as server:
        opens(server, password=None, ssh_key_file=str(path))
        opens(server, password="sesame", ssh_key_file=str(locked))
        assert "cannot be used" in closed(server, ssh_key_file=str(locked))
        assert server.attempts[-1] == ("weft", "publickey")
        assert "cannot be used" in closed(server, ssh_key_file=str(tmp_path / "none"))
        assert "neither a password nor an ssh_key_file" in closed(server, password=None)
    with leaf(authorized=paramiko.RSAKey.generate(2048)) as server:
        # The password given with a key is the key's, and never goes to the switch.
        message = closed(server, ssh_key_file=str(path))
        assert "refuses user weft with the key" in message
        assert {method for _user, method in server.attempts} == {"publickey"}


def test_a_missing_library_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(netconf_ssh, "MISSING", "ImportError: ...")
    with leaf() as server:
        assert "the Python package ncclient is missing" in closed(server)


def test_other_switches_go_on() -> None:
    with leaf() as good, broken(mute=True) as bad:
        refusal(bad, ACCESS, switch={"connect_timeout": 1})
        assert run(good, ACCESS)["changed"]
