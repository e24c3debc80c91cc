# Copyright (c) 2026 weft.fabric contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The commands and files the lab is made with."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from weft_lab import access, cgroups, cli, machine, network, rootfs, system
from weft_lab.definition import Lab, load
from weft_lab.system import LabError

EXAMPLE = Path(__file__).resolve().parents[3] / "examples" / "lab.yml"
HYBRID = """\
30 24 0:27 / /sys/fs/cgroup/memory rw,relatime - cgroup cgroup rw,memory
31 24 0:28 / /sys/fs/cgroup/cpu,cpuacct rw,relatime - cgroup cgroup rw,cpu,cpuacct
32 24 0:29 / /sys/fs/cgroup/freezer rw,relatime - cgroup cgroup rw,freezer
33 24 0:30 / /sys/fs/cgroup/systemd rw,relatime - cgroup cgroup rw,name=systemd
34 24 0:31 / /sys/fs/cgroup/unified rw,relatime - cgroup2 cgroup2 rw
"""
UNIFIED = "30 23 0:26 / /sys/fs/cgroup rw,nosuid shared:4 - cgroup2 cgroup2 rw,nsdelegate\n"


@pytest.fixture(name="lab")
def example_lab() -> Lab:
    return load(EXAMPLE)


def test_cables_have_fixed_macs_and_end_in_the_hosts_namespace(lab: Lab) -> None:
    lines = network.cable_lines(lab, lab.host("net1"), set())
    assert lines[3] == (
        "link add net1-eth1 address 02:57:46:f1:00:0b mtu 1550 type veth"
        " peer name eth1 address 02:57:46:01:00:0b mtu 1550 netns weft-net1"
    )
    assert "link set net1-eth1 master underlay up" in lines


def test_a_pulled_cable_stays_pulled(lab: Lab) -> None:
    lines = network.cable_lines(lab, lab.host("net1"), {"eth1"})
    assert "link set net1-eth1 master underlay down" in lines
    assert "link set net1-eth0 master management up" in lines


def test_the_fabric_has_an_address_in_the_management_network_only(lab: Lab) -> None:
    addresses = [line for line in network.fabric_lines(lab) if line.startswith("address")]
    assert addresses == ["address add 192.0.2.1/24 dev management"]


def test_a_host_gives_itself_its_addresses_at_boot(lab: Lab) -> None:
    assert network.boot_lines(lab.host("world")) == [
        "address replace 192.0.2.15/24 dev eth0",
        "link set eth0 up",
        "address replace 198.51.100.15/24 dev eth1",
        "link set eth1 up",
        "address replace 203.0.113.1/24 dev eth2",
        "address replace 2001:db8:cafe::1/64 dev eth2 nodad",
        "link set eth2 up",
    ]


def test_nspawn_boots_the_hosts_disk_in_its_namespace(lab: Lab) -> None:
    command = machine.nspawn_command(lab, lab.host("cmp1"))
    for word in (
        "--directory=/var/lib/weft-lab/hosts/cmp1/root",
        "--machine=weft-cmp1",
        "--network-namespace-path=/run/netns/weft-cmp1",
        "--keep-unit",
        "--register=no",
        "--boot",
    ):
        assert word in command


def test_under_systemd_a_host_is_a_unit_that_returns_after_a_reboot(lab: Lab) -> None:
    command = machine.unit_command(lab, lab.host("cmp1"))
    assert command[0] == "systemd-run"
    assert "--unit=weft-cmp1.service" in command
    assert "--property=Delegate=yes" in command
    assert "--property=RestartForceExitStatus=133" in command
    assert any(word.startswith("--property=ExecStartPre=") and word.endswith("renew-network cmp1") for word in command)


def test_identities_differ_and_last(lab: Lab) -> None:
    identities = [machine.machine_id(lab, host) for host in lab.hosts]
    assert len(set(identities)) == 5
    assert all(len(one) == 32 for one in identities)
    assert identities == [machine.machine_id(lab, host) for host in lab.hosts]


def test_the_inventory_has_plain_strings_and_checks_host_keys(lab: Lab) -> None:
    document = yaml.safe_load(yaml.safe_dump(access.inventory(lab)))
    group = document["weft_lab"]
    assert group["hosts"]["net2"] == {"ansible_host": "192.0.2.12"}
    assert all(isinstance(value, str) for value in group["vars"].values())
    arguments = group["vars"]["ansible_ssh_common_args"]
    assert "-o StrictHostKeyChecking=yes" in arguments
    assert "-o 'ProxyCommand=nsenter --net=/run/netns/weft-fabric socat - TCP:%h:%p'" in arguments


def test_control_groups_of_a_hybrid_machine() -> None:
    found = cgroups.parse_mountinfo(HYBRID)
    assert found.freezer == "freezer"
    assert [str(path) for path in found.wanted()] == [
        "/sys/fs/cgroup/memory",
        "/sys/fs/cgroup/freezer",
        "/sys/fs/cgroup/systemd",
        "/sys/fs/cgroup/unified",
    ]


def test_control_groups_of_a_unified_machine() -> None:
    found = cgroups.parse_mountinfo(UNIFIED)
    assert found.freezer == ""
    assert found.wanted() == [Path("/sys/fs/cgroup")]


def test_a_changed_package_list_is_another_tree() -> None:
    assert rootfs.path_of("bookworm") == rootfs.path_of("bookworm")
    assert rootfs.path_of("bookworm") != rootfs.path_of("trixie")
    assert rootfs.path_of("bookworm") != rootfs.path_of("bookworm", ("frr",))


def test_the_build_checks_signatures_and_takes_the_given_sources(tmp_path: Path) -> None:
    sources = ["deb http://mirror.example/debian trixie main"]
    command = rootfs.build_command("trixie", tmp_path, ("systemd",), sources, ['Acquire::http::Proxy "http://p:1"'])
    assert "--keyring=/usr/share/keyrings/debian-archive-keyring.gpg" in command
    assert '--aptopt=Acquire::http::Proxy "http://p:1"' in command
    assert command[-3:] == ["trixie", str(tmp_path), *sources]


def test_a_prepared_tree_has_no_identity(tmp_path: Path) -> None:
    for name in ("etc/hostname", "etc/ssh/ssh_host_rsa_key", "etc/openvswitch/conf.db"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("one host's own", encoding="utf-8")
    wants = tmp_path / "etc/systemd/system/multi-user.target.wants"
    wants.mkdir(parents=True)
    (wants / "keepalived.service").symlink_to("/lib/systemd/system/keepalived.service")
    (wants / "ssh.service").symlink_to("/lib/systemd/system/ssh.service")
    rootfs.prepare(tmp_path)
    assert not (tmp_path / "etc/hostname").exists()
    assert not (tmp_path / "etc/ssh/ssh_host_rsa_key").exists()
    assert not (tmp_path / "etc/openvswitch/conf.db").exists()
    assert (tmp_path / "etc/machine-id").read_text(encoding="utf-8") == ""
    assert [link.name for link in wants.iterdir()] == ["ssh.service"]
    assert (tmp_path / "etc/systemd/system/systemd-logind.service").readlink() == Path("/dev/null")


def test_missing_programs_are_named_by_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(system, "KEYRING", Path("/"))
    assert system.missing_packages({"sh": "dash", "no-such-program": "some-package"}) == ["some-package"]


def test_waiting_has_a_bound_and_says_for_what() -> None:
    with pytest.raises(LabError, match=r"waited 0.05 s for the moon, in vain"):
        system.wait_for(lambda: False, timeout=0.05, what="the moon")


def test_doing_for_all_tells_every_failure() -> None:
    def fail(number: int) -> int:
        if number % 2:
            raise LabError(f"{number} is odd")
        return number

    assert system.each([2, 4], fail) == [2, 4]
    with pytest.raises(LabError, match="1 is odd; 3 is odd"):
        system.each([1, 2, 3], fail)


def test_files_are_written_only_when_they_differ(tmp_path: Path) -> None:
    file = tmp_path / "key"
    assert system.write_file(file, "a", 0o600)
    assert not system.write_file(file, "a", 0o600)
    assert file.stat().st_mode & 0o777 == 0o600
    assert system.write_file(file, "b", 0o600)


def test_every_verb_is_understood() -> None:
    parser = cli.parser()
    assert parser.parse_args(["--check", "up"]).check
    assert parser.parse_args(["link-down", "net1", "eth1"]).nic == "eth1"
    options = parser.parse_args(["exec", "net1", "--", "ip", "-br", "address"])
    assert options.command[-3:] == ["ip", "-br", "address"]


def test_the_default_definition_is_the_example() -> None:
    assert cli.default_definition() == EXAMPLE


def test_an_error_is_one_line_and_an_exit_code(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.setattr(cli, "require_root_and_tools", lambda: None)
    monkeypatch.setenv("PATH", "/usr/bin")
    assert cli.main(["--definition", str(tmp_path / "none.yml"), "status"]) == 1
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith("weft_lab: cannot read the lab definition")


def test_a_lock_keeps_others_out_and_is_gone_afterwards(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    with (
        system.exclusive(path, "the thing"),
        pytest.raises(LabError, match="another run to let go of the thing"),
        system.exclusive(path, "the thing", timeout=0.05),
    ):
        pass
    assert not path.exists()
    with system.exclusive(path, "the thing"):
        assert path.exists()
