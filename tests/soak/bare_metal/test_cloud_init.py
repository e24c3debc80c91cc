# Copyright (c) 2026 weft.fabric contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A Debian with cloud-init on a node: what the config drive says of name, key, network and user data is done.

Slow: the machines are emulated, and cloud-init is much Python. The subnet has no DHCP, so that the address can come
from nowhere but the config drive.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from ansible_collections.weft.fabric.plugins.plugin_utils.topology.build import build
from ansible_collections.weft.fabric.tests.soak.bare_metal.faults import changed
from ansible_collections.weft.fabric.tests.wire.metal import RED, Customer, node_play

ROOT = Path(__file__).resolve().parents[3]
IMAGE = Path("/var/cache/weft-fabric/images/cloud.raw.zst")
#: a gibibyte is written by a machine that is emulated, and booted
TIMEOUTS = {"power": 20, "soft_off": 8, "boot": 180, "write": 600, "stall": 30}
BOOT_SECONDS = 420
USER_DATA = """#cloud-config
# The other kinds take minutes to make, here.
ssh_genkeytypes: [ed25519]
package_update: false
write_files:
  - path: /etc/weft-told
    content: |
      by user data
runcmd:
  - [sh, -c, "echo ran >/run/weft-ran"]
"""


@pytest.fixture(scope="module")
def image(tmp_path_factory) -> Path:
    """The image, built if it is not in the cache."""
    definition = yaml.safe_load((ROOT / "examples/bare-metal/lab.yml").read_text(encoding="utf-8"))
    definition["images"] = ["cloud"]
    file = tmp_path_factory.mktemp("cloud") / "lab.yml"
    file.write_text(yaml.safe_dump(definition), encoding="utf-8")
    words = [sys.executable, "-B", str(ROOT / "roles/lab/files/weft_lab"), "--definition", str(file), "rootfs"]
    subprocess.run(words, check=True, stdin=subprocess.DEVNULL, timeout=1800)
    return IMAGE


def cloud(data) -> None:
    data["images"]["cloud"] = {
        "url": f"file://{IMAGE}",
        "checksum_file": f"{IMAGE}.sha256",
        "format": "raw.zst",
        "size": "1280 MiB",
    }
    data["nodes"]["n1"]["timeouts"] = TIMEOUTS
    red = data["projects"]["red"]
    red["networks"]["metal"]["subnets"]["metal-v4"]["enable_dhcp"] = False
    red["networks"]["metal"]["subnets"]["metal-v4"]["dns_nameservers"] = ["192.0.2.53"]
    red["servers"]["db-1"].update(image="cloud", user_data=USER_DATA)


def test_cloud_init_does_what_the_config_drive_says(topology, node, image, lab, figure):
    with changed(topology, cloud, site=True):
        mark = node.mark()
        done = node_play("server_deploy", topology, RED, seconds=900)
        node.wait_console(r"Cloud-init .* finished at .*DataSourceConfigDrive", BOOT_SECONDS, mark)
        model = build(str(topology))
        port = model.projects["red"].ports["server-db-1-metal"]
        tenant = Customer(lab, "red")

        def told(command: str) -> str:
            return tenant.ssh(str(port.addresses[0]), command, user="debian", seconds=90)

        assert told("hostname") == "db-1"
        assert told("cat /etc/weft-told /run/weft-ran").split() == ["by", "user", "data", "ran"]
        assert told("sudo cloud-init query ds.meta_data.uuid")
        network = yaml.safe_load(told("sudo cat /etc/netplan/50-cloud-init.yaml"))
        (interface,) = network["network"]["ethernets"].values()
        assert interface["match"]["macaddress"] == port.mac_address
        assert interface["addresses"] == [f"{port.addresses[0]}/24"]
        assert "dhcp4" not in interface
        assert interface["nameservers"]["addresses"] == ["192.0.2.53"]
        assert f"{port.addresses[0]}/24" in told("ip -o -4 address show scope global")
        assert told("ip -4 route show default").startswith("default via 10.0.0.1 ")
        # The partition was grown into the disk, all but what the config drive takes.
        assert int(told("df --output=size -B 1M / | tail -1")) > 1700
        figure(f"bare metal: a Debian of 1280 MiB with cloud-init deployed in {done.seconds:.0f} s")
        assert node_play("server_deploy", topology, RED).changed == []
        node_play("server_delete", topology, RED)
