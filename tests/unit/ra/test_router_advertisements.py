# Copyright (c) 2026 weft.fabric contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Router advertisements: a real radvd, and what hosts hear of it."""

from __future__ import annotations

import os
import shutil
import socket
import struct
import tempfile
import typing as t
from pathlib import Path

import pytest

from ansible_collections.weft.fabric.plugins.module_utils import netns, ra_info, ra_unit, router_advertisements
from ansible_collections.weft.fabric.plugins.module_utils.reconcile import FabricError, reconcile
from ansible_collections.weft.fabric.plugins.module_utils.router_advertisements import RouterAdvertisementsEngine
from ansible_collections.weft.fabric.tests.unit.namespaces.private_network import ip, private_network
from ansible_collections.weft.fabric.tests.unit.vrrp.fake_systemd import FakeSystemd, wait_for

NAME = "weft-t-1"
NAMESPACE = f"qrouter-{NAME}"
LISTENER = "weft-t-host"
UNIT = ra_unit.unit_name(NAME)

ADVERTISEMENT = 134


class Router:
    """A router with one leg, and a host on it."""

    def __init__(self) -> None:
        self.path = Path(tempfile.mkdtemp(prefix="weft-ra-"))
        self.directory = self.path / "ra"
        self.vrrp_run = self.path / "weft-fabric-vrrp"
        self.systemd = FakeSystemd(self.path / "units", self.path)

    def __enter__(self) -> Router:
        ip(f"netns add {NAMESPACE}", f"netns add {LISTENER}")
        for namespace in (NAMESPACE, LISTENER):
            with netns.entered(namespace):
                for scope in ("all", "default"):
                    netns.write_sysctl(f"/proc/sys/net/ipv6/conf/{scope}/accept_dad", "0")
                netns.write_sysctl("/proc/sys/net/ipv6/conf/all/forwarding", "1" if namespace == NAMESPACE else "0")
        ip(f"link add qr-1 netns {NAMESPACE} type veth peer name eth0 netns {LISTENER}")
        ip("link set qr-1 up", namespace=NAMESPACE)
        ip("link set eth0 up", namespace=LISTENER)
        for namespace in (NAMESPACE, LISTENER):
            wait_for("a link-local address", lambda namespace=namespace: has_address(namespace))
        return self

    def __exit__(self, *exc: object) -> None:
        self.systemd.end_all()
        shutil.rmtree(self.path)

    def engine(self, *items: dict[str, t.Any], purge: bool = False) -> RouterAdvertisementsEngine:
        params = {"routers": list(items), "purge": purge}
        unit = str(self.path / "units/weft-fabric-ra@.service")
        return RouterAdvertisementsEngine(params, self.systemd, str(self.directory), unit, str(self.vrrp_run))

    def run(self, *items: dict[str, t.Any], purge: bool = False, check_mode: bool = False) -> dict[str, t.Any]:
        return reconcile(self.engine(*items, purge=purge), check_mode)

    def describe(self) -> dict[str, t.Any]:
        return ra_info.describe(None, str(self.directory), self.systemd, str(self.vrrp_run))

    def role(self, role: str) -> None:
        """Say what keepalived's notify script would."""
        (self.vrrp_run / NAME).mkdir(parents=True, exist_ok=True)
        (self.vrrp_run / NAME / "state").write_text(f"{role} 1.0\n")


@pytest.fixture
def router(monkeypatch: pytest.MonkeyPatch) -> t.Iterator[Router]:
    with private_network(), Router() as found:
        monkeypatch.setattr(ra_unit, "RUN_DIR", str(found.path / "weft-fabric-ra"))
        yield found


def has_address(namespace: str) -> bool:
    """Whether a namespace's devices have an address that can be used."""
    with netns.entered(namespace):
        lines = Path("/proc/thread-self/net/if_inet6").read_text().splitlines()
    return any(line.startswith("fe80") and not int(line.split()[4], 16) & 0x40 for line in lines)


def item(prefix: str = "2001:db8:1::/64", **changes: t.Any) -> dict[str, t.Any]:
    config = "interface qr-1\n{\n    AdvSendAdvert on;\n    MinRtrAdvInterval 3;\n    MaxRtrAdvInterval 4;\n"
    config += f"    prefix {prefix} {{ }};\n}};\n"
    return {"name": NAME, "namespace": NAMESPACE, "config": config, "start": True, **changes}


def hear() -> tuple[int, str]:
    """Ask for an advertisement. Return the lifetime of the router and the first prefix."""
    with netns.entered(LISTENER), socket.socket(socket.AF_INET6, socket.SOCK_RAW, socket.IPPROTO_ICMPV6) as listener:
        index = socket.if_nametoindex("eth0")
        group = socket.inet_pton(socket.AF_INET6, "ff02::1") + struct.pack("@I", index)
        listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_JOIN_GROUP, group)
        listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_HOPS, 255)
        listener.settimeout(0.5)
        for _attempt in range(20):
            listener.sendto(struct.pack("!BBHI", 133, 0, 0, 0), ("ff02::2", 0, 0, index))
            try:
                while (message := listener.recv(2000))[0] != ADVERTISEMENT:
                    pass
            except TimeoutError:
                continue
            return struct.unpack_from("!H", message, 6)[0], _prefix(message[16:])
    raise AssertionError("no router advertisement came")


def _prefix(options: bytes) -> str:
    while options:
        if options[0] == 3:
            return f"{socket.inet_ntop(socket.AF_INET6, options[16:32])}/{options[2]}"
        options = options[8 * options[1] :]
    return ""


def test_life_cycle(router: Router) -> None:
    steps: list[tuple[dict[str, t.Any], list[str]]] = [
        (item(), ["start"]),
        (item("2001:db8:2::/64"), ["reload"]),
        (item("2001:db8:2::/64", start=False), ["kill", "stop"]),
        (item("2001:db8:3::/64", start=False), []),
        (item("2001:db8:3::/64"), ["start"]),
        ({"name": NAME, "state": "absent"}, ["stop"]),
    ]
    for wanted, expected in steps:
        predicted = router.run(wanted, check_mode=True)
        assert router.systemd.forget() == []
        assert router.run(wanted) == predicted
        assert predicted["changed"]
        assert [call[0] for call in router.systemd.forget()] == expected
        for check_mode in (True, False):
            assert router.run(wanted, check_mode=check_mode)["changes"] == []
            assert router.systemd.forget() == []
    assert not (router.directory / NAME).exists()


def test_hosts_hear_it_and_hear_of_changes(router: Router) -> None:
    router.run(item())
    lifetime, prefix = hear()
    assert (lifetime > 0, prefix) == (True, "2001:db8:1::/64")
    before = router.systemd.processes[UNIT].pid
    router.run(item("2001:db8:2::/64"))
    wait_for("the new prefix", lambda: hear()[1] == "2001:db8:2::/64")
    assert router.systemd.processes[UNIT].pid == before


def test_what_was_read_can_be_fed_back(router: Router) -> None:
    for start in (True, False):
        router.run(item(start=start))
        found = router.describe()
        assert found == {"routers": [item(start=start)], "active": {NAME: start}}
        assert not router.run(*found["routers"])["changed"]


def test_with_vrrp_only_the_primary_advertises(router: Router) -> None:
    router.role("backup")
    router.run(item(start=False))
    assert router.describe()["active"] == {NAME: False}
    router.role("primary")
    assert router.run(item(start=False))["changes"] == [f"start router advertisements of {NAME}"]
    router.run(item("2001:db8:2::/64", start=False))
    wait_for("the new prefix", lambda: hear()[1] == "2001:db8:2::/64")
    router.role("backup")
    router.systemd.forget()
    assert router.run(item("2001:db8:2::/64", start=False))["changes"] == [f"silence router advertisements of {NAME}"]
    assert [call[0] for call in router.systemd.forget()] == ["kill", "stop"], "its last word would be a lie"


def test_what_keepalived_starts_is_no_change(router: Router) -> None:
    router.role("backup")
    router.run(item(start=False))
    router.role("primary")
    router.systemd.start([UNIT])
    assert not router.run(item(start=False))["changed"]


def test_a_bad_configuration_changes_nothing(router: Router) -> None:
    router.run(item())
    with pytest.raises(FabricError, match=f"nothing was changed: radvd refuses the configuration of {NAME}: .*"):
        router.run(item(config="interface qr-1 { AdvSendAdvert perhaps; };"))
    assert not router.run(item())["changed"]


def other(number: int, **changes: t.Any) -> dict[str, t.Any]:
    """Return a further router that does not advertise yet."""
    config = item()["config"].replace("qr-1", f"qr-{number}")
    return {"name": f"other-{number}", "config": config, "start": False, **changes}


def asked_of_radvd(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Return the configurations that radvd was asked about, as they come."""
    found: list[str] = []
    refusal = router_advertisements._refusal

    def noted(config: str) -> str | None:
        found.append(config)
        return refusal(config)

    monkeypatch.setattr(router_advertisements, "_refusal", noted)
    return found


def test_one_process_tests_all_that_is_new(router: Router, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = asked_of_radvd(monkeypatch)
    many = [other(number) for number in range(2, 7)]
    router.run(*many)
    assert asked == ["".join(entry["config"] for entry in many)]
    router.run(*many[:-1], other(6, config=item("2001:db8:6::/64")["config"]))
    assert asked[1:] == [item("2001:db8:6::/64")["config"]], "the others are known to be good"


def test_the_bad_one_among_many_is_named(router: Router) -> None:
    many = [other(number) for number in range(2, 7)]
    bad = other(7, config="interface qr-7 { AdvSendAdvert perhaps; };")
    with pytest.raises(FabricError, match=r"nothing was changed: radvd refuses the configuration of other-7: .*"):
        router.run(*many, bad)
    assert router.describe()["routers"] == []


def test_routers_may_have_links_of_one_name(router: Router, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each has a namespace of its own. In one file radvd refuses that, so each is tested for itself."""
    asked = asked_of_radvd(monkeypatch)
    same = [other(number, config=item()["config"]) for number in (2, 3)]
    router.run(*same)
    assert len(asked) == 3
    assert not router.run(*same)["changed"]


def test_process_1_reads_the_unit_when_it_has_to(router: Router) -> None:
    router.run(other(2))
    assert router.systemd.reloads == 0, "nothing is started yet, and nobody knows another one"
    unit = router.path / "units/weft-fabric-ra@.service"
    unit.write_text(unit.read_text() + "# an older version\n")
    router.run(other(2))
    assert router.systemd.reloads == 1
    router.run(purge=True)
    assert router.systemd.reloads == 2
    router.run(item())
    assert router.systemd.reloads == 3


def test_a_killed_radvd_is_started(router: Router) -> None:
    router.run(item())
    router.systemd.end(UNIT, 9)
    assert router.run(item())["changes"] == [f"start router advertisements of {NAME}"]


def test_a_killed_run_is_finished_by_the_next(router: Router, monkeypatch: pytest.MonkeyPatch) -> None:
    class Killed(BaseException):
        """Like SIGKILL, nothing catches it."""

    def killed(*_arguments: t.Any) -> t.NoReturn:
        raise Killed

    router.run(item())
    for step in ("_run", "_remove"):
        prefix = f"2001:db8:{len(step)}::/64"
        with monkeypatch.context() as patched:
            patched.setattr(router_advertisements.RouterAdvertisementsEngine, step, killed)
            with pytest.raises(Killed):
                router.run(item(prefix))
        router.run(item(prefix))
        wait_for("the new prefix", lambda prefix=prefix: hear()[1] == prefix)


def test_purge_removes_everything(router: Router) -> None:
    router.run(item())
    assert not router.run()["changed"]
    result = router.run(purge=True)
    assert result["changes"] == [
        f"remove router advertisements of {NAME}",
        "remove the unit file of router advertisements",
    ]
    assert not router.directory.exists()
    assert os.listdir(router.path / "units") == []
    assert not router.run(purge=True)["changed"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"name": "a b"}, "the name may hold"),
        ({"name": "../x"}, "the name may hold"),
        ({"namespace": "qrouter-other"}, f"its namespace must be {NAMESPACE}"),
        ({"config": ""}, "config is missing"),
    ],
)
def test_what_is_refused(change: dict[str, t.Any], message: str) -> None:
    with pytest.raises(FabricError, match=message):
        RouterAdvertisementsEngine({"routers": [item(**change)]})
    with pytest.raises(FabricError, match="is listed twice"):
        RouterAdvertisementsEngine({"routers": [item(), item()]})
