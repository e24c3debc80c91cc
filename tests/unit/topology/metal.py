# Copyright (c) 2026 weft.fabric contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A topology of bare metal in which every attribute of it is in use."""

from __future__ import annotations

import typing as t

KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ7Rk3HeJqyEQ9CEzqzC3y4pGZtbi8+1e5xAqvR9vZ2V me@example"


def network(vlan: int, cidr: str, **subnet: t.Any) -> dict[str, t.Any]:
    """Return a vlan network with one subnet."""
    provider = {"type": "vlan", "physical_network": "physnet1", "segmentation_id": vlan}
    return {**provider, "subnets": {"v4": {"cidr": cidr, **subnet}}}


COMPLETE: dict[str, t.Any] = {
    "plugin": "weft.fabric.topology",
    "physical_networks": {"physnet1": {}},
    "hosts": {"net1": {"roles": ["network_node"], "physical_networks": {"physnet1": {"interface": "eth2"}}}},
    "switches": {
        "leaf1": {
            "driver": "eos",
            "address": "198.51.100.4",
            "credentials": {"username": "weft", "ssh_key_file": "/etc/weft/leaf1"},
            "allowed_vlans": ["100-199"],
            "physical_networks": ["physnet1"],
        }
    },
    "bare_metal": {
        "boot_server": "net1",
        "networks": {
            "deployment": "infra/deploy",
            "cleaning": "infra/deploy",
            "inspection": "infra/deploy",
            "rescue": "infra/rescue",
        },
        "idle_vlan": 199,
        "max_concurrent_writes": 2,
    },
    "images": {
        "debian": {
            "url": "https://images.example/debian.raw.zst",
            "checksum": "sha256:" + "0a" * 32,
            "format": "raw.zst",
            "size": "2 GiB",
        },
        "tiny": {"url": "file:///srv/tiny.qcow2", "checksum_file": "/nowhere/SHA256SUMS", "format": "qcow2"},
    },
    "flavors": {
        "small": {"cpus": 2, "memory": "4 GiB", "disk": "10 GB", "architecture": "x86_64", "traits": ["ssd"]},
    },
    "nodes": {
        "n1": {
            "bmc": {
                "protocol": "ipmi",
                "address": "198.51.100.41",
                "port": 6230,
                "username": "weft",
                "password": "{{ vault_bmc_password }}",
                "kg": "{{ vault_bmc_key }}",
                "privilege": "administrator",
                "connect_timeout": 5,
                "timeout": 20,
                "retry_timeout": 30,
                "lock_timeout": 60,
            },
            "nics": {
                "nic0": {"mac_address": "52:54:00:00:00:01", "switch": "leaf1", "port": "Ethernet1", "pxe": True},
                "nic1": {"mac_address": "52:54:00:00:00:02", "switch": "leaf1", "port": "Ethernet2", "edge": False},
                "nic2": {"mac_address": "52:54:00:00:00:05", "switch": "leaf1", "port": "Ethernet5", "bond": "bond0"},
                "nic3": {"mac_address": "52:54:00:00:00:06", "switch": "leaf1", "port": "Ethernet6", "bond": "bond0"},
            },
            "properties": {"cpus": 4, "memory": "8 GiB", "disk": "100 GiB", "architecture": "x86_64"},
            "root_device": {
                "name": "s!= /dev/sda",
                "serial": "s== abc",
                "wwn": "<in> 0x5000",
                "vendor": "<or> ATA <or> NVMe",
                "model": "Disk 7",
                "size": ">= 100",
                "by_path": "/dev/disk/by-path/pci-0000:00:1f.2-ata-1",
                "rotational": False,
            },
            "traits": ["ssd", "rack:7"],
            "boot_mode": "uefi",
            "boot_device_readable": False,
            "deploy_interface": "iscsi",
            "timeouts": {"power": 30, "soft_off": 0, "boot": 300, "write": 600, "stall": 30},
            "vars": {"anything": 1},
            "ansible_port": 2222,
        },
        "n2": {
            "bmc": {
                "protocol": "redfish",
                "address": "bmc2.example",
                "username": "{{ who }}",
                "password": "{{ vault_bmc_password }}",
                "system": "/redfish/v1/Systems/1",
                "validate_certs": True,
                "certificate_fingerprint": ":".join(["AB"] * 32),
            },
            "nics": {"nic0": {"mac_address": "52-54-00-00-00-03", "switch": "leaf1", "port": "Ethernet3"}},
            "boot_mode": "bios",
        },
        "n3": {
            "bmc": {
                "protocol": "ipmi",
                "address": "198.51.100.43",
                "username": "weft",
                "password": "{{ vault_bmc_password }}",
            },
            "nics": {"nic0": {"mac_address": "52:54:00:00:00:04", "switch": "leaf1", "port": "Ethernet4"}},
            "boot_mode": "bios",
        },
    },
    "projects": {
        "infra": {
            "networks": {
                "deploy": network(190, "10.66.0.0/24", enable_dhcp=False),
                "rescue": network(191, "10.66.1.0/24", enable_dhcp=False),
            }
        },
        "blue": {
            "networks": {"web": network(120, "10.2.0.0/24"), "backup": network(121, "10.3.0.0/24")},
            "servers": {
                "db-1": {
                    "node": "n1",
                    "flavor": "small",
                    "image": "debian",
                    "networks": [
                        {"network": "web", "nic": "nic1", "fixed_ips": [{"subnet": "v4", "address": "10.2.0.9"}]},
                        {"network": "backup"},
                    ],
                    "keys": [KEY],
                    "user_data": "#cloud-config\nruncmd: [echo, '{{ ds.meta_data }}']\n",
                    "hostname": "db",
                },
                "db-2": {
                    "node": "n3",
                    "volume": {
                        "target_portal": "10.2.0.200:3260",
                        "target_iqn": "iqn.2016-01.example:db-2",
                        "target_lun": 1,
                        "initiator_iqn": "iqn.2016-01.example:n2",
                        "auth_username": "db-2",
                        "auth_password": "{{ vault_volume_password }}",
                    },
                    "networks": ["web"],
                },
            },
        },
    },
}
