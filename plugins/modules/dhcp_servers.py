#!/usr/bin/python
# Copyright (c) 2026 weft.fabric contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: dhcp_servers
short_description: Manage DHCP servers, one dnsmasq for each network
version_added: 0.1.0
description:
  - Runs one dnsmasq for each network in the network's namespace, as unit C(weft-fabric-dhcp@NAME.service) of systemd.
  - When hosts, options or names change, dnsmasq reads them again. It is restarted when its configuration changes,
    when a host with tags changes (see O(servers[].hosts)), or when it is not in the namespace or on the device it
    should be.
  - When an address goes to another host, the lease that the former one holds is given back, because dnsmasq would
    refuse the address to the new one.
  - A configuration that replaces another is first shown to dnsmasq. If it refuses it, nothing is changed.
  - Files are under C(/var/lib/weft-fabric/dhcp). The units are not enabled; M(weft.fabric.boot_replay) starts them
    at boot, after the namespaces are there.
author:
  - weft.fabric contributors (@weft-fabric)
extends_documentation_fragment:
  - weft.fabric.attributes
  - weft.fabric.attributes.actiongroup
  - weft.fabric.common
requirements:
  - dnsmasq 2.80 or newer
  - systemd 243 or newer
options:
  servers:
    description: The servers, each listed once.
    type: list
    elements: dict
    required: true
    suboptions:
      name:
        description: Name of the server; the id of its network.
        type: str
        required: true
      state:
        description: Whether the server exists. When it is removed, its leases go too.
        type: str
        choices: [present, absent]
        default: present
      namespace:
        description: Namespace it runs in. It can only be C(qdhcp-) and O(servers[].name), which is also the default.
        type: str
      interface:
        description: Device in the namespace that it serves. Required unless it is to be absent.
        type: str
      config:
        description:
          - Text of C(dnsmasq.conf). Required unless the server is to be absent.
          - It names the files C(hosts), C(options), C(names) and C(leases) in the directory of the server.
          - With several servers for one network, C(dhcp-authoritative) alone makes each refuse what clients ask of the
            others. It needs lines with C(dhcp-match) and C(dhcp-ignore) for option 54, by which a server ignores
            requests that name another.
        type: str
      hosts:
        description:
          - Clients. Those without tags are in the C(dhcp-hostsfile), and dnsmasq reads them again when they change.
          - Those with tags are in the configuration, and their change is a restart. dnsmasq dies when it reads hosts
            with tags again after having served one (seen with 2.90).
        type: list
        elements: dict
        suboptions:
          mac:
            description: MAC address.
            type: str
          client_id:
            description:
              - Client identifier, in hex with colons or as a word.
              - The asterisk makes dnsmasq ignore what the client sends.
            type: str
          hostname:
            description: Name the client is given.
            type: str
          addresses:
            description: Addresses, IPv4 and IPv6.
            type: list
            elements: str
          tags:
            description: Tags that choose options for this client.
            type: list
            elements: str
      options:
        description: DHCP options, in the C(dhcp-optsfile).
        type: list
        elements: dict
        suboptions:
          tags:
            description: The option is for clients that have all these tags.
            type: list
            elements: str
          option:
            description: Number or name, as in V(3), V(option:ntp-server) or V(option6:dns-server).
            type: str
            required: true
          value:
            description: Value. Without one, an option dnsmasq sends by itself is not sent.
            type: str
      names:
        description: Names the server resolves, in the file C(addn-hosts) names.
        type: list
        elements: dict
        suboptions:
          address:
            description: Address.
            type: str
            required: true
          names:
            description: Names, the first of which the address resolves to.
            type: list
            elements: str
            required: true
      leases:
        description:
          - Whether a server that starts knows a lease for each host with an IPv4 address, so that it does not refuse
            to renew what it has not given.
        type: bool
        default: true
seealso:
  - module: weft.fabric.dhcp_servers_info
  - module: weft.fabric.namespaces
"""

EXAMPLES = r"""
- name: Serve a network
  weft.fabric.dhcp_servers:
    servers:
      - name: 1a2b3c4d-5e6f-5a7b-8c9d-0e1f2a3b4c5d
        interface: ns-1a2b3c4d-5e
        config: "{{ lookup('ansible.builtin.template', 'dnsmasq.conf.j2') }}"
        hosts:
          - mac: fa:16:3e:11:22:33
            hostname: web-1
            addresses: [10.0.0.9]
        options:
          - tags: [web-v4]
            option: option:router
            value: 10.0.0.1
        names:
          - address: 10.0.0.9
            names: [web-1.blue.example, web-1]

- name: Remove all DHCP servers of the collection
  weft.fabric.dhcp_servers:
    servers: []
    purge: true
"""

RETURN = r"""
changes:
  description: What was changed, or would be in check mode, one text for each operation; at most 1000.
  type: list
  elements: str
  returned: always
  sample: ["add host in DHCP server 1a2b3c4d: fa:16:3e:11:22:33,web-1,10.0.0.9", "reload DHCP server 1a2b3c4d"]
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

from ansible_collections.weft.fabric.plugins.module_utils.dhcp_servers import DhcpServersEngine
from ansible_collections.weft.fabric.plugins.module_utils.reconcile import run_module

HOST = dict(
    mac=dict(type="str"),
    client_id=dict(type="str"),
    hostname=dict(type="str"),
    addresses=dict(type="list", elements="str"),
    tags=dict(type="list", elements="str"),
)

OPTION = dict(
    tags=dict(type="list", elements="str"),
    option=dict(type="str", required=True),
    value=dict(type="str"),
)

NAME = dict(
    address=dict(type="str", required=True),
    names=dict(type="list", elements="str", required=True),
)

SERVER = dict(
    name=dict(type="str", required=True),
    state=dict(type="str", choices=["present", "absent"], default="present"),
    namespace=dict(type="str"),
    interface=dict(type="str"),
    config=dict(type="str"),
    hosts=dict(type="list", elements="dict", options=HOST, required_one_of=[("mac", "client_id")]),
    options=dict(type="list", elements="dict", options=OPTION),
    names=dict(type="list", elements="dict", options=NAME),
    leases=dict(type="bool", default=True),
)


def main():
    module = AnsibleModule(
        argument_spec=dict(
            servers=dict(
                type="list",
                elements="dict",
                required=True,
                options=SERVER,
                required_if=[("state", "present", ("interface", "config"))],
            ),
            purge=dict(type="bool", default=False),
            save=dict(type="bool", default=False),
        ),
        supports_check_mode=True,
    )
    run_module(module, DhcpServersEngine)


if __name__ == "__main__":
    main()
