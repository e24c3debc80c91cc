# Copyright (c) 2026 weft.fabric contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The OVSDB client against a scripted server, and against the real one."""

from __future__ import annotations

import json
import socket
import threading
import typing as t
from pathlib import Path

import pytest

from ansible_collections.weft.fabric.plugins.module_utils import ovsdb
from ansible_collections.weft.fabric.plugins.module_utils.reconcile import FabricError
from ansible_collections.weft.fabric.tests.unit.ovs_sandbox import OvsSandbox

Script = t.Callable[[socket.socket], None]


class ScriptedServer:
    """Accepts one connection and does what a script says."""

    def __init__(self, path: Path, script: Script) -> None:
        self.path = str(path)
        self._listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._listener.bind(self.path)
        self._listener.listen(1)
        self._thread = threading.Thread(target=self._serve, args=(script,))

    def _serve(self, script: Script) -> None:
        connection, _address = self._listener.accept()
        with connection:
            connection.settimeout(10)
            script(connection)

    def __enter__(self) -> ScriptedServer:
        self._thread.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self._thread.join(10)
        self._listener.close()


def request(connection: socket.socket) -> dict[str, t.Any]:
    return t.cast("dict[str, t.Any]", json.loads(connection.recv(65536)))


def answer(result: t.Any, error: t.Any = None, serial: int = 1) -> bytes:
    return json.dumps({"id": serial, "result": result, "error": error}).encode()


@pytest.fixture
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("s") / "db"


@pytest.mark.parametrize(
    ("encoded", "plain"),
    [
        ("text", "text"),
        (["uuid", "550e8400-e29b-41d4-a716-446655440000"], "550e8400-e29b-41d4-a716-446655440000"),
        (["set", []], []),
        (["set", [["uuid", "a"], ["uuid", "b"]]], ["a", "b"]),
        (["map", [["a", "1"], ["b", "2"]]], {"a": "1", "b": "2"}),
    ],
)
def test_values_are_decoded(encoded: t.Any, plain: t.Any) -> None:
    assert ovsdb.decode(encoded) == plain


def test_a_set_of_one_comes_bare() -> None:
    assert ovsdb.as_list("one") == ["one"]
    assert ovsdb.as_list([]) == []
    assert ovsdb.optional([]) is None
    assert ovsdb.optional(5) == 5


@pytest.mark.parametrize(("value", "text"), [(True, "true"), (False, "false"), (50000, "50000"), ("x", "x")])
def test_yaml_values_become_what_maps_hold(value: t.Any, text: str) -> None:
    assert ovsdb.text(value) == text


def test_an_answer_may_come_in_any_pieces(path: Path) -> None:
    def script(connection: socket.socket) -> None:
        request(connection)
        for byte in answer([{"rows": [{"name": "ü}{"}]}]):
            connection.sendall(bytes([byte]))

    with ScriptedServer(path, script), ovsdb.OvsdbClient(str(path)) as client:
        assert client.select({"Bridge": ["name"]}) == {"Bridge": [{"name": "ü}{"}]}


def test_an_echo_is_answered_even_when_it_comes_with_the_reply(path: Path) -> None:
    echoes = []

    def script(connection: socket.socket) -> None:
        request(connection)
        connection.sendall(b'{"method":"echo","params":["x"],"id":"echo"}' + answer(["db"]))
        echoes.append(request(connection))

    with ScriptedServer(path, script), ovsdb.OvsdbClient("unix:" + str(path)) as client:
        assert client.call("list_dbs", []) == ["db"]
    assert echoes == [{"result": ["x"], "error": None, "id": "echo"}]


def test_a_message_for_somebody_else_is_not_taken(path: Path) -> None:
    def script(connection: socket.socket) -> None:
        request(connection)
        connection.sendall(answer(["old"], serial=0) + answer(["new"]))

    with ScriptedServer(path, script), ovsdb.OvsdbClient(str(path)) as client:
        assert client.call("list_dbs", []) == ["new"]


def test_an_error_names_the_resource(path: Path) -> None:
    def script(connection: socket.socket) -> None:
        request(connection)
        connection.sendall(answer([{}, {"error": "constraint violation", "details": "two of them"}, None]))

    with (
        ScriptedServer(path, script),
        ovsdb.OvsdbClient(str(path)) as client,
        pytest.raises(FabricError, match=r"port tap2: .*constraint violation: two of them.*Nothing was changed"),
    ):
        client.transact([{}, {}, {}], ["port tap1", "port tap2", "port tap3"])


def test_an_error_at_commit_has_no_operation_of_its_own(path: Path) -> None:
    def script(connection: socket.socket) -> None:
        request(connection)
        connection.sendall(answer([{}, {"error": "referential integrity violation"}]))

    with (
        ScriptedServer(path, script),
        ovsdb.OvsdbClient(str(path)) as client,
        pytest.raises(FabricError, match=r"the transaction: .*referential integrity violation"),
    ):
        client.transact([{}], ["port tap1"])


def test_a_refused_request_is_an_error(path: Path) -> None:
    def script(connection: socket.socket) -> None:
        request(connection)
        connection.sendall(answer(None, error="unknown method"))

    with (
        ScriptedServer(path, script),
        ovsdb.OvsdbClient(str(path)) as client,
        pytest.raises(FabricError, match="refused nonsense: unknown method"),
    ):
        client.call("nonsense", [])


def test_a_closed_connection_is_an_error(path: Path) -> None:
    def script(connection: socket.socket) -> None:
        request(connection)
        connection.sendall(b'{"id":1,"result"')

    with (
        ScriptedServer(path, script),
        ovsdb.OvsdbClient(str(path)) as client,
        pytest.raises(FabricError, match="stopped answering"),
    ):
        client.call("list_dbs", [])


def test_a_silent_server_is_an_error_in_time(path: Path) -> None:
    done = threading.Event()

    def script(connection: socket.socket) -> None:
        done.wait(10)

    with ScriptedServer(path, script), ovsdb.OvsdbClient(str(path), timeout=0.2) as client:
        with pytest.raises(FabricError, match="stopped answering"):
            client.call("list_dbs", [])
        done.set()


def test_no_server_comes_with_a_remedy(path: Path) -> None:
    with pytest.raises(FabricError, match=r"does not answer.*systemctl start"), ovsdb.OvsdbClient(str(path)):
        pass


def test_the_real_server_answers(box: OvsSandbox) -> None:
    box.vsctl("add-br", "br-a")
    with ovsdb.OvsdbClient(box.socket_path) as client:
        assert client.select({"Bridge": ["name"], "Interface": ["name", "ofport"]}) == {
            "Bridge": [{"name": "br-a"}],
            "Interface": [{"name": "br-a", "ofport": 65534}],
        }


def test_the_real_server_says_why(box: OvsSandbox) -> None:
    with (
        ovsdb.OvsdbClient(box.socket_path) as client,
        pytest.raises(FabricError, match=r"bridge x: .*No column nonsense"),
    ):
        client.transact([{"op": "insert", "table": "Bridge", "row": {"nonsense": 1}}], ["bridge x"])


def test_waiting_ends_when_the_switch_has_done_it(box: OvsSandbox) -> None:
    with ovsdb.OvsdbClient(box.socket_path) as client:
        number = client.commit([], [])
        client.wait_applied(number, timeout=10)
        assert int(box.vsctl("get", "Open_vSwitch", ".", "cur_cfg")) >= number


def test_waiting_for_a_dead_switch_is_bounded_and_says_so(box: OvsSandbox) -> None:
    box.kill_vswitchd()
    with (
        ovsdb.OvsdbClient(box.socket_path) as client,
        pytest.raises(FabricError, match=r"did not carry out .* within 0.3 s.*Is ovs-vswitchd running"),
    ):
        client.wait_applied(client.commit([], []), timeout=0.3)
