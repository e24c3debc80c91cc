# Copyright (c) 2026 weft.fabric contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The host's own network stack is kept off devices that are plugged into a userspace switch, and let on again."""

from __future__ import annotations

from pathlib import Path

import pytest

from ansible_collections.weft.fabric.tests.unit.namespaces.private_network import ask, ip, links
from ansible_collections.weft.fabric.tests.unit.namespaces.runs import changes, existing, inside, outside, tap, veth

pytestmark = pytest.mark.usefixtures("host")

SETTINGS = ("ipv6/conf/{}/disable_ipv6", "ipv4/conf/{}/arp_ignore", "ipv4/conf/{}/rp_filter")


def stack(device: str) -> tuple[str, ...]:
    return tuple(Path("/proc/sys/net", path.format(device)).read_text(encoding="ascii").strip() for path in SETTINGS)


OFF = ("1", "8", "1")


@pytest.mark.parametrize(
    ("item", "device"),
    [(outside(tap("tap9", host_stack=False)), "tap9"), (inside(veth("eth0", "tap1", host_stack=False)), "tap1")],
)
def test_a_device_is_made_with_the_stack_off_and_without_an_address(item: dict, device: str) -> None:
    assert len([line for line in changes(item) if device in line]) == 1, "it is part of making the device"
    assert stack(device) == OFF
    assert ask(f"address show dev {device}")[0]["addr_info"] == []


def test_drift_is_one_change_and_is_mended() -> None:
    item = outside(tap("tap9", host_stack=False))
    changes(item)
    Path("/proc/sys/net/ipv4/conf/tap9/arp_ignore").write_text("0", encoding="ascii")
    assert changes(item) == ["set the host's stack on tap9: as wanted"]
    assert stack("tap9") == OFF


def test_without_a_word_about_it_nothing_is_set() -> None:
    changes(outside(tap("tap9")))
    assert stack("tap9") == stack("default")


def test_ipv6_addresses_move_to_the_bridge_and_back() -> None:
    """Switched off first, IPv6 would take the addresses along; switched on last, they could not come back."""
    both = ["198.51.100.1/24", "2001:db8:100::1/64"]
    ip("link add nic type bridge", "link set nic up", "link add br-u type bridge")
    for address in both:
        ip(f"address add {address} dev nic")
    taken = outside(existing("br-u", addresses=both, takes_addresses_from="nic"), existing("nic", host_stack=False))
    changes(taken)
    assert stack("nic") == OFF
    given = outside(existing("nic", addresses=both, host_stack=True))
    ip("link delete br-u")
    changes(given)
    assert stack("nic") == stack("default")
    found = {f"{entry['local']}/{entry['prefixlen']}" for entry in ask("address show dev nic")[0]["addr_info"]}
    assert set(both) <= found
    assert "br-u" not in links()
