# Copyright (c) 2026 weft.fabric contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the probes of the scenarios make of what they have seen."""

from __future__ import annotations

from ansible_collections.weft.fabric.tests.wire.lab import parse_ping, ping_answers

TWICE = """\
PING 203.0.113.1 (203.0.113.1) 56(84) bytes of data.
[100.000000] 64 bytes from 203.0.113.1: icmp_seq=1 ttl=63 time=0.100 ms
[100.010000] 64 bytes from 203.0.113.1: icmp_seq=2 ttl=63 time=0.100 ms
[100.020000] 64 bytes from 203.0.113.1: icmp_seq=3 ttl=63 time=0.100 ms
[104.000000] 64 bytes from 203.0.113.1: icmp_seq=2 ttl=63 time=3990 ms (DUP!)
[104.010000] 64 bytes from 203.0.113.1: icmp_seq=5 ttl=63 time=0.100 ms

--- 203.0.113.1 ping statistics ---
5 packets transmitted, 4 received, +1 duplicates, 20% packet loss, time 4010ms
"""


def test_an_answer_that_comes_again_later_does_not_make_the_first_one_late():
    assert ping_answers(TWICE) == {1: 100.0, 2: 100.01, 3: 100.02, 5: 104.01}


def test_what_was_never_answered_is_lost_and_its_gap_is_counted():
    found = parse_ping(TWICE)
    assert found.lost == [4]
    assert round(found.longest_gap, 2) == 3.99
