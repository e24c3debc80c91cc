#!/usr/bin/python
# Copyright (c) 2026 weft.fabric contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: boot_servers
short_description: Manage boot servers, from which bare-metal nodes boot over the network
version_added: 0.1.0
description:
  - Runs for each network that nodes boot from a dnsmasq (DHCP, and TFTP for the first loader) and an nginx (all else,
    by HTTP) in the network's namespace, as units C(weft-fabric-boot-dhcp@NAME.service) and
    C(weft-fabric-boot-http@NAME.service) of systemd.
  - Only the nodes that are listed get an answer. What each of them boots, M(weft.fabric.boot_files) says.
  - Firmware of BIOS and UEFI machines gets iPXE, which goes on by HTTP. UEFI firmware that boots by HTTP gets it so.
  - Nodes that come and those that go are told to the daemons while they run. dnsmasq is restarted when its
    configuration changes, when an address goes to another machine, or when it is not in the namespace or on the device
    it should be.
  - A configuration that replaces another is first shown to the daemon. If it is refused, nothing is changed.
  - Everything is under C(/var/lib/weft-fabric/boot). The units are not enabled; M(weft.fabric.boot_replay) starts
    them at boot, after the namespaces are there.
  - Installs C(/usr/libexec/weft-fabric-relay), through which ssh reaches a node from this host.
author:
  - weft.fabric contributors (@weft-fabric)
extends_documentation_fragment:
  - weft.fabric.attributes
  - weft.fabric.attributes.actiongroup
  - weft.fabric.common
requirements:
  - dnsmasq 2.80 or newer
  - nginx 1.14 or newer
  - loaders of iPXE (package ipxe, or ipxe-bootimgs-x86)
  - systemd 243 or newer
options:
  servers:
    description:
      - The servers, each listed once.
      - With O(purge=true), boot files of nodes that none of them lists go too, and without any server all that network
        boot has on this host, images and keys included.
    type: list
    elements: dict
    required: true
    suboptions:
      name:
        description: Name of the server; the id of its network.
        type: str
        required: true
      state:
        description: Whether the server exists.
        type: str
        choices: [present, absent]
        default: present
      namespace:
        description: Namespace it runs in. It can only be C(qboot-) and O(servers[].name), which is also the default.
        type: str
      interface:
        description: Device in the namespace that it serves. Required unless it is to be absent.
        type: str
      address:
        description: IPv4 address of that device, from which nodes boot. Required unless it is to be absent.
        type: str
      cidr:
        description: The subnet, in which the nodes' addresses are. Required unless it is to be absent.
        type: str
      http_port:
        description: TCP port of nginx.
        type: int
        default: 80
      ra_prefix:
        description:
          - IPv6 prefix to advertise, of which the device has an address. It leads nowhere.
          - iPXE waits 13 seconds for a router when there are no advertisements.
        type: str
      lease_time:
        description: How long a lease is, in seconds.
        type: int
        default: 3600
      nodes:
        description: Nodes that may boot here.
        type: list
        elements: dict
        default: []
        suboptions:
          name:
            description: Name of the node.
            type: str
            required: true
          address:
            description: The address it gets.
            type: str
            required: true
          mac_addresses:
            description: MAC addresses of the NICs it may boot from, one at a time.
            type: list
            elements: str
            required: true
      dhcp_config:
        description: Text of C(dnsmasq.conf). Required unless the server is to be absent.
        type: str
      http_config:
        description:
          - Text of C(nginx.conf). Required unless the server is to be absent.
          - It lists the addresses of the nodes. User and process id are told nginx on its command line.
        type: str
      scripts:
        description:
          - Scripts of iPXE. Required unless the server is to be absent.
          - All but C(boot) hold words between two C(@), which M(weft.fabric.boot_files) replaces for each node. The
            files of the collection tell which.
        type: dict
        suboptions:
          boot:
            description: What iPXE runs first.
            type: str
            required: true
          local:
            description: For a node that shall boot from its disk.
            type: str
            required: true
          ramdisk:
            description: For a node that shall boot the deploy ramdisk.
            type: str
            required: true
          iscsi:
            description: For a node that shall boot from a volume.
            type: str
            required: true
seealso:
  - module: weft.fabric.boot_servers_info
  - module: weft.fabric.boot_files
  - module: weft.fabric.namespaces
"""

EXAMPLES = r"""
- name: Let a node boot from the deployment network
  weft.fabric.boot_servers:
    servers:
      - name: 1a2b3c4d-5e6f-5a7b-8c9d-0e1f2a3b4c5d
        interface: tap1a2b3c4d-5e
        address: 10.66.100.2
        cidr: 10.66.100.0/24
        nodes:
          - name: n1
            address: 10.66.100.11
            mac_addresses: ["52:54:00:11:22:33"]
        dhcp_config: "{{ lookup('ansible.builtin.template', 'netboot_dnsmasq.conf.j2') }}"
        http_config: "{{ lookup('ansible.builtin.template', 'netboot_nginx.conf.j2') }}"
        scripts:
          boot: "{{ lookup('ansible.builtin.template', 'netboot_boot.ipxe.j2') }}"
          local: "{{ lookup('ansible.builtin.template', 'netboot_local.ipxe.j2') }}"
          ramdisk: "{{ lookup('ansible.builtin.template', 'netboot_ramdisk.ipxe.j2') }}"
          iscsi: "{{ lookup('ansible.builtin.template', 'netboot_iscsi.ipxe.j2') }}"

- name: Remove all of network boot
  weft.fabric.boot_servers:
    servers: []
    purge: true
"""

RETURN = r"""
changes:
  description: What was changed, or would be in check mode, one text for each operation; at most 1000.
  type: list
  elements: str
  returned: always
  sample: ["let 52:54:00:11:22:33,10.66.100.11 boot from boot server 1a2b3c4d"]
changes_total:
  description: Number of operations.
  type: int
  returned: always
  sample: 2
changes_digest:
  description: SHA-256 of all operations, the same in check mode and for real.
  type: str
  returned: always
  sample: 86f11a07c08528dd5d12d6113b3181ea40e282d5b9fec2a6c9a1a904cac08657
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.weft.fabric.plugins.module_utils.netboot_servers import BootServersEngine
from ansible_collections.weft.fabric.plugins.module_utils.reconcile import run_module

NODE = dict(
    name=dict(type="str", required=True),
    address=dict(type="str", required=True),
    mac_addresses=dict(type="list", elements="str", required=True),
)

SCRIPTS = dict(
    boot=dict(type="str", required=True),
    local=dict(type="str", required=True),
    ramdisk=dict(type="str", required=True),
    iscsi=dict(type="str", required=True),
)

SERVER = dict(
    name=dict(type="str", required=True),
    state=dict(type="str", choices=["present", "absent"], default="present"),
    namespace=dict(type="str"),
    interface=dict(type="str"),
    address=dict(type="str"),
    cidr=dict(type="str"),
    http_port=dict(type="int", default=80),
    ra_prefix=dict(type="str"),
    lease_time=dict(type="int", default=3600),
    nodes=dict(type="list", elements="dict", options=NODE, default=[]),
    dhcp_config=dict(type="str"),
    http_config=dict(type="str"),
    scripts=dict(type="dict", options=SCRIPTS),
)

NEEDED = ("interface", "address", "cidr", "dhcp_config", "http_config", "scripts")


def main():
    module = AnsibleModule(
        argument_spec=dict(
            servers=dict(
                type="list",
                elements="dict",
                required=True,
                options=SERVER,
                required_if=[("state", "present", NEEDED)],
            ),
            purge=dict(type="bool", default=False),
            save=dict(type="bool", default=False),
        ),
        supports_check_mode=True,
    )
    run_module(module, BootServersEngine)


if __name__ == "__main__":
    main()
