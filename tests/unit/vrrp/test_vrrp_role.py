# Copyright (c) 2026 weft.fabric contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who has the role, and what a change of it costs: two nodes, real daemons, pings through the router."""

from __future__ import annotations

import fcntl
import os
import signal
import subprocess
import typing as t

import pytest

from ansible_collections.weft.fabric.plugins.module_utils import vrrp_program
from ansible_collections.weft.fabric.tests.unit.namespaces.private_network import ip
from ansible_collections.weft.fabric.tests.unit.vrrp.fake_systemd import children, wait_for
from ansible_collections.weft.fabric.tests.unit.vrrp.machine import FABRIC, INSIDE, OUTSIDE, Node, Pings, Site, freeze

# In seconds. These leave room for a busy machine; what a failover really costs, the scenarios in the lab measure.
PLANNED, UNPLANNED = 0.3, 1.5


def takes_over(node: Node) -> None:
    wait_for(f"node {node.number} to take over", node.is_primary)


def test_the_preferred_node_wins_the_first_election_and_one_has_the_role(site: Site) -> None:
    one, two = site.nodes
    two.run(two.item(config=two.config(delay=1.5)))
    one.run(one.item())
    one.wait_for_role("primary")
    two.wait_for_role("backup")
    assert (one.forwards(), two.forwards()) == ("1", "0")
    assert two.addresses() == ["169.254.192.2/18"]


def test_a_handicap_moves_the_role_and_its_end_does_not_move_it_back(site: Site) -> None:
    one, two = site.start()
    with Pings() as pings:
        one.handicap(-40)
        takes_over(two)
        wait_for("the former primary to give way", lambda: site.primaries() == [2])
        wait_for("the notify scripts", lambda: (one.status()["state"], two.status()["state"]) == ("backup", "primary"))
        since = two.status()["since"]
        assert one.status()["priority"] == 60
        one.handicap(0)
        wait_for("the log", lambda: "from 60 to 100" in one.log())
    assert pings.lost < PLANNED
    assert site.primaries() == [2]
    assert two.status()["since"] == since


def test_nobody_gives_up_when_no_peer_is_better(site: Site) -> None:
    one, two = site.start()
    two.handicap(-50)
    wait_for("the backup to know", lambda: "from 100 to 50" in two.log())
    one.handicap(-50)
    wait_for("the primary to know", lambda: "from 100 to 50" in one.log())
    assert site.primaries() == [1]
    two.handicap(0)
    takes_over(two)


def test_giving_up_is_for_good_until_it_is_taken_back(site: Site) -> None:
    one, two = site.start()
    one.handicap(-254)
    takes_over(two)
    one.wait_for_role("fault")
    assert one.status()["priority"] == 0
    two.handicap(-254)
    wait_for("nobody", lambda: site.primaries() == [])
    one.handicap(0)
    takes_over(one)


def test_ten_changes_in_ten_runs_move_nothing(site: Site) -> None:
    one, two = site.start()
    since = one.status()["since"]
    with Pings() as pings:
        for number in range(10):
            floating = [(f"203.0.113.{120 + index}/32", "qg-1") for index in range(number + 1)]
            for node in (one, two):
                node.systemd.forget()
                node.run(node.item(config=node.config(floating)))
                assert node.systemd.forget() == [("reload", node.unit)]
    assert pings.lost == 0
    wait_for("the last floating IP", lambda: "203.0.113.129/32" in one.addresses())
    assert (one.status()["since"], site.primaries()) == (since, [1])


@pytest.mark.parametrize("which", ["parent", "child", "both"])
def test_a_killed_keepalived_hands_over_and_stays_backup(site: Site, which: str) -> None:
    one, two = site.start()
    with Pings() as pings:
        if which == "both":
            one.systemd.end(one.unit, signal.SIGKILL)
        else:
            os.kill(one.keepalived()[which == "child"], signal.SIGKILL)
        takes_over(two)
    assert pings.lost < UNPLANNED
    wait_for("an end of the addresses", lambda: one.addresses() == ["169.254.192.1/18"])
    if which != "child":  # which its parent starts again
        one.run(one.item())
    one.wait_for_role("backup")
    assert site.primaries() == [2]


def test_a_frozen_primary_and_its_return(site: Site) -> None:
    one, two = site.start()
    freeze(one.keepalived(), True)
    takes_over(two)
    assert site.primaries() == [1, 2], "what is frozen can't give way"
    freeze(one.keepalived(), False)
    wait_for("one to give way", lambda: len(site.primaries()) == 1)


@pytest.mark.parametrize("cut", [0, 1], ids=["cut at the primary", "cut at the backup"])
def test_a_split_ends_with_one_primary(site: Site, cut: int) -> None:
    site.start()
    node = site.nodes[cut]
    node.split(True)
    wait_for("two primaries", lambda: site.primaries() == [1, 2])
    with Pings() as pings:
        node.split(False)
        wait_for("one to give way", lambda: len(site.primaries()) == 1)
    assert pings.lost < PLANNED
    (left,) = site.primaries()
    roles = {1: "backup", 2: "backup", left: "primary"}
    wait_for("the notify scripts", lambda: {n.number: n.status()["state"] for n in site.nodes} == roles)
    assert [node.forwards() for node in site.nodes] == ["1" if node.number == left else "0" for node in site.nodes]


def test_a_link_without_carrier_is_a_fault_and_comes_back_as_backup(site: Site) -> None:
    one, two = site.start()
    ip(f"link set ha-{one.number} down", namespace=FABRIC)
    takes_over(two)
    one.wait_for_role("fault")
    ip(f"link set ha-{one.number} up", namespace=FABRIC)
    one.wait_for_role("backup")
    assert site.primaries() == [2]


def test_sessions_are_at_the_peer_before_they_are_needed(site: Site) -> None:
    one, two = site.start()
    with Conversation() as conversation:
        conversation.say("before")
        wait_for("the session at the peer", lambda: conversation.port in sessions(two))
        assert "mark=0" in sessions(two)
        one.handicap(-40)
        takes_over(two)
        conversation.say("after")
        one.wait_for_role("backup")
        # What the former primary still knows must not end what lives here when it times out there.
        subprocess.run(["ip", "netns", "exec", one.namespace, "conntrack", "-F"], check=True, capture_output=True)
        conversation.say("and on")
        assert conversation.port in sessions(two)


def test_sessions_come_back_to_a_peer_that_was_away(site: Site) -> None:
    one, two = site.start()
    with Conversation() as conversation:
        two.systemd.end(two.sessions_unit, signal.SIGKILL)
        subprocess.run(["ip", "netns", "exec", two.namespace, "conntrack", "-F"], check=True, capture_output=True)
        conversation.say("while it is away")
        assert conversation.port not in sessions(two)
        assert two.run(two.item())["changes_total"] == 1
        wait_for("the session at the peer", lambda: conversation.port in sessions(two))
        subprocess.run(["ip", "netns", "exec", two.namespace, "conntrack", "-F"], check=True, capture_output=True)
        subprocess.run(["sh", one.paths.program, "refresh"], check=True)
        wait_for("the session after a refresh", lambda: conversation.port in sessions(two))


def test_the_start_waits_for_a_peer_but_not_for_ever(site: Site) -> None:
    one, two = site.nodes
    two.split(True)
    one.run(one.item())
    one.wait_for_role("primary")
    two.split(False)
    two.run(two.item())
    two.wait_for_role("backup")
    assert site.primaries() == [1]


def test_a_router_needs_little_memory(site: Site) -> None:
    for node in site.start():
        pids = [*node.keepalived(), node.systemd.processes[node.sessions_unit].pid]
        assert sum(proportional(pid) for pid in pids) < 10_000, "kB, for all processes of a router"


class Conversation:
    """A TCP connection from inside through the router, whose middle must be known to it."""

    RULES = """
table inet weft_fabric {
    chain nat { type nat hook postrouting priority 100; oifname "qg-1" ip saddr 10.0.0.0/24 snat to 203.0.113.150; }
    chain strict {
        type filter hook forward priority 0; policy drop
        ct state established,related accept
        ct state new tcp flags & (syn | ack) == syn accept
    }
    chain local { type filter hook input priority 0; iifname "qg-1" meta l4proto tcp counter; }
}
"""

    def __enter__(self) -> Conversation:
        for number in (1, 2):
            words = ["ip", "netns", "exec", f"qrouter-weft-t-{number}", "nft", "-f", "-"]
            subprocess.run(words, input=self.RULES, text=True, check=True)
        echo = "import socket\nl = socket.create_server(('', 5000))\nprint(flush=True)\nc, _ = l.accept()\n"
        echo += "while d := c.recv(100):\n    c.sendall(d)\n"
        self.server = _python(OUTSIDE, echo)
        assert self.server.stdout is not None
        self.server.stdout.readline()
        talk = "import socket, sys\nc = socket.create_connection(('203.0.113.1', 5000))\nc.settimeout(5)\n"
        talk += "print(c.getsockname()[1], flush=True)\n"
        talk += "for line in sys.stdin:\n    c.sendall(line.encode())\n"
        talk += "    print(c.recv(100).decode(), end='', flush=True)\n"
        self.client = _python(INSIDE, talk)
        assert self.client.stdout is not None
        self.port = f"sport={self.client.stdout.readline().strip()} dport=5000"
        return self

    def __exit__(self, *exc: object) -> None:
        for process in (self.client, self.server):
            process.kill()
            process.communicate()

    def say(self, text: str) -> None:
        assert self.client.stdin is not None
        assert self.client.stdout is not None
        self.client.stdin.write(text + "\n")
        self.client.stdin.flush()
        assert self.client.stdout.readline() == text + "\n"


def _python(namespace: str, program: str) -> subprocess.Popen[str]:
    words = ["ip", "netns", "exec", namespace, "python3", "-c", program]
    return subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


def sessions(node: Node) -> str:
    """Return what the kernel of a node knows."""
    words = ["ip", "netns", "exec", node.namespace, "conntrack", "-L", "-p", "tcp"]
    return subprocess.run(words, capture_output=True, text=True, check=True).stdout


def proportional(pid: int) -> int:
    """Return a process's share of memory, in kB."""
    with open(f"/proc/{pid}/smaps_rollup", encoding="ascii") as lines:
        return next(int(line.split()[1]) for line in lines if line.startswith("Pss:"))


def test_the_program_takes_its_state_from_what_is(site: Site) -> None:
    """Two notify scripts may run at a time and in the wrong order: the last word is who has the address."""
    one, two = site.start()
    told: list[tuple[Node, str, str]] = [(one, "BACKUP", "primary"), (two, "MASTER", "backup")]
    for node, word, expected in told:
        notify(node, word)
        assert node.status()["state"] == expected
        assert node.forwards() == ("1" if expected == "primary" else "0")


def test_advertisements_follow_the_role(site: Site) -> None:
    one, _two = site.nodes
    have_advertised(one)
    site.start()
    unit = f"weft-fabric-ra@{one.name}.service"
    wait_for("the start", lambda: f"--no-block start {unit}" in one.asked())
    one.handicap(-254)
    wait_for("the stop", lambda: f"--no-block stop {unit}" in one.asked())
    assert f"kill --signal=KILL {unit}" in one.asked(), "radvd must not tell that the router is gone"


def test_one_that_has_just_started_gives_nothing_up(site: Site) -> None:
    """Hundreds of backups start at a time. What a predecessor has left, its own end has taken away."""
    have_advertised(*site.nodes)
    _one, two = site.start()
    assert two.asked() == []
    # A script that was killed when it had begun to take the role over has not noted it yet.
    (two.run_path / two.name / "state").unlink()
    notify(two, "BACKUP")
    assert two.asked() == []
    (two.run_path / two.name / "state").unlink()
    (two.run_path / two.name / "told").write_text("primary\n")
    notify(two, "BACKUP")
    assert two.asked() == [
        f"{verb} weft-fabric-ra@{two.name}.service" for verb in ("kill --signal=KILL", "--no-block stop")
    ]
    assert (two.run_path / two.name / "told").read_text() == "backup\n"


def test_a_role_that_came_and_went_while_others_were_told_costs_nothing(site: Site) -> None:
    """But whether packets are forwarded follows at once, whoever is told what at that moment."""
    have_advertised(*site.nodes)
    one, two = site.start()
    lock = vrrp_program.lock_of(two.paths)
    with open(lock, "a", encoding="ascii") as others:
        fcntl.flock(others, fcntl.LOCK_EX)
        one.handicap(-40)
        takes_over(two)
        wait_for("who forwards", lambda: (one.forwards(), two.forwards()) == ("0", "1"))
        two.handicap(-80)
        takes_over(one)
        wait_for("who forwards", lambda: (one.forwards(), two.forwards()) == ("1", "0"))
        assert two.asked() == []
    wait_for("the notify scripts", lambda: not any(children(node.keepalived()[1]) for node in site.nodes))
    assert two.asked() == []
    assert (two.run_path / two.name / "told").read_text() == "backup\n"


def have_advertised(*nodes: Node) -> None:
    """Give the nodes' routers something to advertise."""
    for node in nodes:
        config = node.path / "ra" / node.name / "radvd.conf"
        config.parent.mkdir(parents=True)
        config.touch()


def notify(node: Node, word: str) -> None:
    words: t.Sequence[str] = ["sh", node.paths.program, "notify", node.name, "INSTANCE", "router", word, "100"]
    command = ["ip", "netns", "exec", node.namespace, *words]
    subprocess.run(command, env=node.systemd.environment, check=True)


def test_the_program_is_clean(site: Site) -> None:
    node = site.nodes[0]
    text = vrrp_program.files(node.paths)[node.paths.program]
    done = subprocess.run(["dash", "-n"], input=text, text=True, check=False)
    assert done.returncode == 0
