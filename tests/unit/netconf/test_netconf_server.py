# Copyright (c) 2026 weft.fabric contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The scripted NETCONF server, asked by ncclient: what tests of the switch modules lean on."""

from __future__ import annotations

import contextlib
import socket
import time
import typing as t

import pytest
from ncclient import manager
from ncclient.operations import RPCError as Refused
from ncclient.operations import TimeoutExpiredError
from ncclient.transport.errors import AuthenticationError, SessionCloseError, SSHError, TransportError
from ncclient.xml_ import to_ele

from ansible_collections.weft.fabric.tests.wire import netconf_openconfig as openconfig
from ansible_collections.weft.fabric.tests.wire.netconf_datastore import child_of, content, edit, leaf, select, tree
from ansible_collections.weft.fabric.tests.wire.netconf_server import Faults, NetconfServer, RpcError

ACCESS = {"name": "Ethernet1", "mode": "access", "vlan": 120}
TRUNK = {"name": "Ethernet2", "mode": "trunk", "native_vlan": 100, "allowed_vlans": [110, 120], "description": "a < b"}
RUNNING = openconfig.ports(ACCESS, TRUNK, vlans=[{"vlan_id": 120, "name": "weft-a"}])
NC = 'xmlns:nc="urn:ietf:params:xml:ns:netconf:base:1.0"'


@contextlib.contextmanager
def connected(server: NetconfServer, **more: t.Any) -> t.Iterator[manager.Manager]:
    arguments = {"password": server.password, "hostkey_verify": False, "allow_agent": False, "look_for_keys": False}
    session = manager.connect_ssh(
        host="127.0.0.1", port=server.port, username=server.username, **{"timeout": 10, **arguments, **more}
    )
    try:
        yield session
    finally:
        # Of a server that breaks off the client hears a moment later, and until then waits for an answer.
        session.timeout = 2
        with contextlib.suppress(TransportError, TimeoutExpiredError):
            if session.connected:
                session.close_session()


@contextlib.contextmanager
def session_on(server: NetconfServer) -> t.Iterator[manager.Manager]:
    with server, connected(server) as session:
        yield session


def change(name: str, vlan: int, operation: str = "replace") -> str:
    leaves = f"<interface-mode>ACCESS</interface-mode><access-vlan>{vlan}</access-vlan>"
    config = f'<config {NC} nc:operation="{operation}">{leaves}</config>'
    return (
        f'<config><interfaces xmlns="{openconfig.INTERFACES}"><interface><name>{name}</name>'
        f'<ethernet xmlns="{openconfig.ETHERNET}"><switched-vlan xmlns="{openconfig.VLAN}">{config}</switched-vlan>'
        "</ethernet></interface></interfaces></config>"
    )


def send(session: manager.Manager, *edits: str, **options: t.Any) -> None:
    for text in edits:
        session.edit_config(target="candidate", config=text, default_operation="none", **options)


class TestTrees:
    def test_replace_leaves_nothing_of_what_was_there(self) -> None:
        running = tree(RUNNING)
        edit(running, tree(change("Ethernet2", 130)[len("<config>") : -len("</config>")]), "none")
        assert openconfig.port(running, "Ethernet2") == {
            "name": "Ethernet2", "description": "a < b", "enabled": True, "mode": "access", "vlan": 130,
        }  # fmt: skip
        assert openconfig.port(running, "Ethernet1")["vlan"] == 120

    def test_merge_adds_to_a_leaf_list_and_remove_takes_one_out(self) -> None:
        running = tree(RUNNING)

        def trunks(operation: str, vlan: int) -> t.Any:
            item = f'<trunk-vlans {NC} nc:operation="{operation}">{vlan}</trunk-vlans>'
            inner = f'<switched-vlan xmlns="{openconfig.VLAN}"><config>{item}</config></switched-vlan>'
            ethernet = f'<ethernet xmlns="{openconfig.ETHERNET}">{inner}</ethernet>'
            entry = f"<interface><name>Ethernet2</name>{ethernet}</interface>"
            return tree(f'<interfaces xmlns="{openconfig.INTERFACES}">{entry}</interfaces>')

        edit(running, trunks("merge", 130))
        edit(running, trunks("remove", 110))
        edit(running, trunks("remove", 111))
        assert openconfig.port(running, "Ethernet2")["allowed_vlans"] == [120, 130]
        with pytest.raises(RpcError, match="not there to be deleted"):
            edit(running, trunks("delete", 111))
        with pytest.raises(RpcError, match="is there already"):
            edit(running, trunks("create", 120))

    def test_none_does_not_make_an_entry(self) -> None:
        with pytest.raises(RpcError, match=r"/interfaces/interface\[name='Ethernet9'\] does not exist") as error:
            edit(tree(RUNNING), tree(change("Ethernet9", 120)[len("<config>") : -len("</config>")]), "none")
        assert error.value.tag == "data-missing"

    def test_a_container_that_has_lost_everything_is_gone(self) -> None:
        running = tree(RUNNING)
        edit(running, tree(change("Ethernet1", 1, "remove")[len("<config>") : -len("</config>")]), "none")
        assert child_of(openconfig.interfaces(running)["Ethernet1"], "ethernet") is None

    def test_a_filter_selects_by_key_and_keeps_keys(self) -> None:
        entry = "<interface><name>Ethernet2</name><config><description/></config></interface>"
        found = select(tree(RUNNING), tree(f'<interfaces xmlns="{openconfig.INTERFACES}">{entry}</interfaces>'))
        assert [leaf(item, "name") for item in openconfig.interfaces(found).values()] == ["Ethernet2"]
        assert "a &lt; b" in content(found)
        assert "enabled" not in content(found)
        assert "network-instances" not in content(found)

    def test_several_ports_by_one_filter(self) -> None:
        entries = "<interface><name>Ethernet1</name></interface><interface><name>Ethernet2</name></interface>"
        found = select(tree(RUNNING), tree(f'<interfaces xmlns="{openconfig.INTERFACES}">{entries}</interfaces>'))
        assert content(found).strip() == content(tree(RUNNING)).partition("<network-instances")[0].strip()

    def test_what_a_when_rules_out_is_dropped_in_silence(self) -> None:
        running = tree(RUNNING.replace("ianaift:ethernetCsmacd", "ianaift:other"))
        openconfig.check(running)
        assert "mode" not in openconfig.port(running, "Ethernet1")

    def test_aggregates_and_their_members(self) -> None:
        bond = {"name": "Port-Channel1", "mode": "access", "vlan": 5, "aggregate": {"members": ["Ethernet5"]}}
        running = tree(openconfig.ports({"name": "Ethernet5"}, bond))
        openconfig.check(running)
        assert openconfig.port(running, "Ethernet5")["aggregate_id"] == "Port-Channel1"
        assert openconfig.port(running, "Port-Channel1")["vlan"] == 5
        assert 'xmlns="http://openconfig.net/yang/lacp"' in content(running)


class TestSession:
    def test_reads_changes_and_commits(self) -> None:
        with session_on(NetconfServer(RUNNING)) as session, NetconfServer() as other:
            assert session.session_id == "1"
            assert "Ethernet1" in session.get_config("running").data_xml
            with connected(other) as second:
                assert second.connected
        server = NetconfServer(RUNNING)
        with session_on(server) as session:
            session.lock("candidate")
            send(session, change("Ethernet1", 130), error_option="rollback-on-error", test_option="test-then-set")
            assert openconfig.port(server.running, "Ethernet1")["vlan"] == 120
            session.commit()
            session.copy_config(source="running", target="startup")
            session.unlock("candidate")
            assert server.locks == {}
        assert openconfig.port(server.running, "Ethernet1")["vlan"] == 130
        assert openconfig.port(server.startup, "Ethernet1")["vlan"] == 130
        assert server.names() == ["lock", "edit-config", "commit", "copy-config", "unlock", "close-session"]
        assert server.edits()[0].target == "candidate"
        assert server.edits()[0].answer == "ok"

    def test_chunks_and_marks(self) -> None:
        for features in (None, {"candidate"}):
            server = NetconfServer(RUNNING, features=features)
            with session_on(server) as session:
                assert "Ethernet2" in session.get_config("running").data_xml

    def test_state_stands_beside_the_configuration(self) -> None:
        state = openconfig.neighbours(Ethernet1={"system_name": "spine1", "capabilities": ["MAC_BRIDGE"]})
        with session_on(NetconfServer(RUNNING, state=state)) as session:
            found = session.get(filter=("subtree", f'<lldp xmlns="{openconfig.LLDP}"/>')).data_xml
            assert "spine1" in found
            assert "access-vlan" not in found

    def test_locks_exclude_and_end_with_their_session(self) -> None:
        with NetconfServer(RUNNING) as server, connected(server) as second:
            with connected(server) as first:
                first.lock("candidate")
                send(first, change("Ethernet1", 130))
                with pytest.raises(Refused) as refused:
                    second.lock("candidate")
                assert refused.value.tag == "lock-denied"
                assert f"<session-id>{first.session_id}</session-id>" in refused.value.info
                with pytest.raises(Refused, match="locked by session"):
                    send(second, change("Ethernet1", 140))
            second.lock("candidate")
            assert openconfig.port(server.device.stores["candidate"], "Ethernet1")["vlan"] == 120

    def test_an_edit_is_rolled_back_or_stops(self) -> None:
        both = (
            change("Ethernet1", 130).replace("</interfaces></config>", "")
            + change("Ethernet2", 130).partition(f'<interfaces xmlns="{openconfig.INTERFACES}">')[2]
        )
        for option, kept in (("rollback-on-error", 120), ("stop-on-error", 130)):
            server = NetconfServer(RUNNING, faults=Faults(refuse_ports={"Ethernet2": "reserved for fabric"}))
            with session_on(server) as session:
                with pytest.raises(Refused, match="reserved for fabric") as refused:
                    send(session, both, error_option=option)
                assert "name='Ethernet2'" in refused.value.path
                assert openconfig.port(server.device.stores["candidate"], "Ethernet1")["vlan"] == kept

    def test_a_vlan_that_is_none(self) -> None:
        with session_on(NetconfServer(RUNNING)) as session, pytest.raises(Refused, match="'5000' is no VLAN"):
            send(session, change("Ethernet1", 5000))

    def test_what_the_device_does_not_have_is_refused(self) -> None:
        with session_on(NetconfServer(RUNNING, features={"writable-running"})) as session:
            # What ncclient itself would keep back.
            for rpc in ("<commit/>", "<validate><source><running/></source></validate>", "<kill-session/>"):
                with pytest.raises(Refused) as refused:
                    session.rpc(to_ele(rpc))
                assert refused.value.tag == "operation-not-supported"
            session.edit_config(target="running", config=change("Ethernet1", 130))


class TestConfirmedCommit:
    def test_rolls_back_when_its_time_is_up(self) -> None:
        server = NetconfServer(RUNNING)
        with session_on(server) as session:
            send(session, change("Ethernet1", 130))
            session.commit(confirmed=True, timeout="1")
            assert openconfig.port(server.running, "Ethernet1")["vlan"] == 130
            end = time.monotonic() + 10
            while server.device.pending and time.monotonic() < end:
                time.sleep(0.05)
        assert openconfig.port(server.running, "Ethernet1")["vlan"] == 120

    def test_rolls_back_when_its_session_ends(self) -> None:
        server = NetconfServer(RUNNING)
        with session_on(server) as session:
            send(session, change("Ethernet1", 130))
            session.commit(confirmed=True, timeout="60")
        assert openconfig.port(server.running, "Ethernet1")["vlan"] == 120

    def test_outlives_its_session_and_is_confirmed_from_another(self) -> None:
        with NetconfServer(RUNNING) as server:
            with connected(server) as session:
                send(session, change("Ethernet1", 130))
                session.commit(confirmed=True, timeout="60", persist="token")
            with connected(server) as session:
                assert server.device.pending
                with pytest.raises(Refused, match="going on"):
                    session.commit()
                with pytest.raises(Refused, match="no commit waits under"):
                    session.commit(persist_id="other")
                with pytest.raises(Refused) as denied:
                    session.lock("running")
                assert denied.value.tag == "lock-denied"
                session.commit(persist_id="token")
                assert not server.device.pending
        assert openconfig.port(server.running, "Ethernet1")["vlan"] == 130

    def test_is_cancelled(self) -> None:
        server = NetconfServer(RUNNING)
        with session_on(server) as session:
            send(session, change("Ethernet1", 130))
            session.commit(confirmed=True, timeout="60", persist="token")
            session.cancel_commit(persist_id="token")
            assert openconfig.port(server.running, "Ethernet1")["vlan"] == 120
            session.lock("candidate")


class TestFaults:
    def test_a_lock_that_somebody_holds_for_a_while(self) -> None:
        server = NetconfServer(RUNNING, faults=Faults(lock_held_by=7, lock_refusals=2))
        with session_on(server) as session:
            for _attempt in range(2):
                with pytest.raises(Refused, match="locked by session 7"):
                    session.lock("candidate")
            session.lock("candidate")

    def test_a_foreign_candidate(self) -> None:
        theirs = openconfig.ports({**ACCESS, "vlan": 199}, TRUNK)
        for tag, info in (("resource-denied", None), ("lock-denied", "<session-id>0</session-id>")):
            server = NetconfServer(RUNNING, faults=Faults(foreign_candidate=theirs, dirty_error=tag))
            with session_on(server) as session:
                with pytest.raises(Refused) as refused:
                    session.lock("candidate")
                assert refused.value.tag == tag
                assert info is None or info in refused.value.info
                session.discard_changes()
                session.lock("candidate")

    def test_ok_and_nothing_done(self) -> None:
        server = NetconfServer(RUNNING, faults=Faults(silent_commit=True))
        with session_on(server) as session:
            send(session, change("Ethernet1", 130))
            session.commit()
        assert openconfig.port(server.running, "Ethernet1")["vlan"] == 120

    def test_nothing_done_after_a_separate_validate(self) -> None:
        for separate, then in ((True, 120), (False, 130)):
            server = NetconfServer(RUNNING, faults=Faults(forgets_after_validate=True))
            with session_on(server) as session:
                send(session, change("Ethernet1", 130), test_option="test-then-set")
                if separate:
                    session.validate("candidate")
                session.commit()
            assert openconfig.port(server.running, "Ethernet1")["vlan"] == then

    @pytest.mark.parametrize(("moment", "vlan", "fails"), [("before", 120, 1), ("after", 130, 1), ("reply", 130, 0)])
    def test_breaks_off_at_a_commit(self, moment: str, vlan: int, fails: int) -> None:
        with NetconfServer(RUNNING, faults=Faults(break_off={"commit": moment})) as server:
            with connected(server) as session:
                send(session, change("Ethernet1", 130))
                with pytest.raises(SessionCloseError) if fails else contextlib.nullcontext():
                    session.commit()
            with connected(server) as session:
                assert openconfig.port(server.running, "Ethernet1")["vlan"] == vlan
                assert server.sessions == [int(session.session_id)]

    def test_warnings_slowness_and_errors(self) -> None:
        faults = Faults(warnings={"commit": "mind the gap"}, delay={"lock": 0.3}, errors={"validate": "disk full"})
        server = NetconfServer(RUNNING, faults=faults)
        with session_on(server) as session:
            began = time.monotonic()
            session.lock("candidate")
            assert time.monotonic() - began >= 0.3
            with pytest.raises(Refused, match="disk full"):
                session.validate("candidate")
            session.commit()
            session.discard_changes()
            server.faults.warnings_without_ok = True
            with pytest.raises(Refused, match="mind the gap") as warned:
                session.commit()
            assert warned.value.severity == "warning"

    def test_refused_ports_and_vlans(self) -> None:
        faults = Faults(known_ports={"Ethernet1"}, refuse_vlans={666: "VLAN 666 is reserved"})
        with session_on(NetconfServer(RUNNING, faults=faults)) as session:
            with pytest.raises(Refused, match="interface Ethernet2 does not exist"):
                send(session, change("Ethernet2", 120))
            with pytest.raises(Refused, match="VLAN 666 is reserved"):
                send(session, change("Ethernet1", 666))

    def test_drops_and_alters(self) -> None:
        def alter(running: t.Any) -> None:
            for item in running.iter(f"{{{openconfig.VLAN}}}access-vlan"):
                item.text = "1"

        for faults, vlan in ((Faults(drop={"switched-vlan"}), 120), (Faults(alter=alter), 1)):
            server = NetconfServer(RUNNING, faults=faults)
            with session_on(server) as session:
                send(session, change("Ethernet1", 130))
                session.commit()
            assert openconfig.port(server.running, "Ethernet1")["vlan"] == vlan

    def test_odd_capabilities(self) -> None:
        odd = [
            "urn:ietf:params:netconf:base:1.0",
            "urn:ietf:params:netconf:capability:candidate:1.0?x=1&y=2",
            "nonsense",
        ]
        with session_on(NetconfServer(RUNNING, capabilities=odd)) as session:
            assert "nonsense" in list(session.server_capabilities)


class TestDoor:
    def test_a_wrong_password_is_counted(self) -> None:
        with NetconfServer(RUNNING) as server:
            with pytest.raises(AuthenticationError), connected(server, password="wrong"):
                pass
            assert server.attempts == [("weft", "password")]
            assert server.names() == []

    def test_a_host_key_can_be_checked(self) -> None:
        with NetconfServer(RUNNING) as server, NetconfServer() as other:
            good, bad = server.host_key.split()[1], other.host_key.split()[1]
            with connected(server, hostkey_verify=True, hostkey_b64=good) as session:
                assert session.connected
            with pytest.raises(SSHError), connected(server, hostkey_verify=True, hostkey_b64=bad):
                pass
            assert server.attempts == [("weft", "password")]

    def test_nobody_speaks(self) -> None:
        with (
            NetconfServer(faults=Faults(mute=True)) as server,
            socket.create_connection(("127.0.0.1", server.port), timeout=0.3) as connection,
            pytest.raises(TimeoutError),
        ):
            connection.recv(1)
        with NetconfServer(faults=Faults(no_subsystem=True)) as server, pytest.raises(SSHError), connected(server):
            pass
