#!/usr/bin/python
# Copyright (c) 2026 weft.fabric contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: namespaces
short_description: Manage network namespaces and the links, addresses and routes in them
version_added: 0.1.0
description:
  - Makes network namespaces, veth pairs and taps, and sets addresses, routes, neighbour entries, routing rules
    and sysctls, in the host's own namespace as well as in named ones.
  - However many links there are, a run that changes something costs one process of C(ip) for the host and one for
    each namespace that changes; a run that changes nothing costs none.
  - Everything it makes bears a mark. A link has the alias C(weft.fabric), a namespace has it on its C(lo), and
    routes, rules and neighbour entries have the protocol number 119. What bears no mark is never changed or removed,
    and a link of a wanted name without the mark is an error before anything is changed.
  - In a namespace that it made, and whose O(namespaces[].routes) are listed, it takes the routes that keepalived has
    left there (protocol number 18) for its own.
author:
  - weft.fabric contributors (@weft-fabric)
extends_documentation_fragment:
  - weft.fabric.attributes
  - weft.fabric.attributes.actiongroup
  - weft.fabric.common
requirements:
  - iproute2 (the program C(ip)) 5.0 or newer
  - root, and in a container C(CAP_NET_ADMIN) and C(CAP_SYS_ADMIN)
options:
  namespaces:
    description: The namespaces, each listed once.
    type: list
    elements: dict
    required: true
    suboptions:
      name:
        description:
          - Name of the namespace, as C(ip netns) shows it. Without a name it is the host's own.
          - A namespace that exists without the mark belongs to somebody else. Links can be put into it,
            but it is never removed.
        type: str
      state:
        description: Whether the namespace exists. Removing it removes all that the collection made in it.
        type: str
        choices: [present, absent]
        default: present
      links:
        description: Devices in the namespace.
        type: list
        elements: dict
        suboptions:
          name:
            description: Name of the device, at most 15 characters.
            type: str
            required: true
          kind:
            description:
              - V(veth) is one end of a pair. The other end, O(namespaces[].links[].peer), is in the host's own
                namespace.
              - V(tap) is a persistent tap for a virtual machine.
              - V(existing) is a device that somebody else makes, mostly Open vSwitch. The module waits up to ten
                seconds for it, sets what is listed and never removes it.
            type: str
            choices: [veth, tap, existing]
            required: true
          state:
            description: Whether the link exists. A link of kind V(existing) cannot be absent.
            type: str
            choices: [present, absent]
            default: present
          peer:
            description:
              - Name of the end in the host's own namespace. It gets the same MTU, mark and state.
              - With O(namespaces[].links[].peer_namespace), name of the end in that namespace.
              - Required for V(veth).
            type: str
          peer_namespace:
            description:
              - Namespace of the other end of a pair that joins two namespaces.
              - The other end has to be listed there as well, with this one as its peer, and has settings of its own.
            type: str
          mac:
            description: MAC address. Left as it is when not given.
            type: str
          mtu:
            description: MTU in bytes. Left as it is when not given.
            type: int
          addresses:
            description:
              - Addresses with prefix length, such as V(10.0.0.2/24).
              - On a link the collection makes, further permanent addresses of global scope are removed. On an existing
                one they stay. When the option is not given no address is touched, so that a DHCP client may set them.
            type: list
            elements: str
          tx_checksum:
            description:
              - Whether the device may leave checksums to the next one. With the userspace datapath of Open vSwitch this
                must be V(false) inside the namespace, or TCP and UDP hang while ping works.
            type: bool
          host_stack:
            description:
              - Whether the host's own network stack may listen on the end of the link that is in the host's own
                namespace.
              - With the userspace datapath of Open vSwitch the kernel goes on listening on every device that is plugged
                in. V(false) keeps a tenant from talking to the host there, and the host from taking router
                advertisements. V(true) gives the device the settings that new devices get.
            type: bool
          announce:
            description:
              - Whether neighbours are told of addresses that are added, by gratuitous ARP and unsolicited neighbour
                advertisements. Who has known such an address elsewhere then finds it here at once.
            type: bool
            default: false
          owner:
            description: User (name or number) that may open a V(tap).
            type: str
          up:
            description: Whether the link is up.
            type: bool
            default: true
          resource:
            description: Path of the resource the link stands for, such as V(ports/blue/web-1). The alias shows it.
            type: str
          takes_addresses_from:
            description:
              - Name of the network card that has the O(namespaces[].links[].addresses) now. They move in one step.
              - Refused when the card has further addresses or the host's default route, because the host could be
                cut off.
              - For V(existing) only.
            type: str
      routes:
        description: Routes. Those of the collection that are not listed are removed with O(purge).
        type: list
        elements: dict
        suboptions:
          to:
            description: Destination as a CIDR, or V(default) together with O(namespaces[].routes[].via).
            type: str
            required: true
          via:
            description: Gateway.
            type: str
          dev:
            description: Device. The kernel finds it by the gateway when not given.
            type: str
          table:
            description: Number of the routing table, or V(main).
            type: str
          metric:
            description: Metric. When not given, 0 for IPv4 and 1024 for IPv6 as the kernel has it.
            type: int
          nexthops:
            description:
              - Several gateways, in place of O(namespaces[].routes[].via) and O(namespaces[].routes[].dev). The kernel
                spreads connections over them.
            type: list
            elements: dict
            suboptions:
              via:
                description: Gateway.
                type: str
                required: true
              dev:
                description: Device. The kernel finds it by the gateway when not given.
                type: str
          announce_on:
            description:
              - Device on which neighbours are told of the destination when the route is added, by gratuitous ARP or an
                unsolicited neighbour advertisement. The namespace then answers for the address there, mostly by
                proxy ARP.
              - For a destination that is a single address.
            type: str
          onlink:
            description: Take the gateway to be reachable on the device though no route says so.
            type: bool
            default: false
          type:
            description: What happens to packets.
            type: str
            choices: [unicast, blackhole, unreachable, prohibit, throw]
            default: unicast
          state:
            description: Whether the route exists.
            type: str
            choices: [present, absent]
            default: present
      neighbours:
        description: Permanent ARP and ND entries.
        type: list
        elements: dict
        suboptions:
          ip:
            description: The neighbour's address.
            type: str
            required: true
          mac:
            description: The neighbour's MAC address. Required unless it is to be absent.
            type: str
          dev:
            description: Device.
            type: str
            required: true
          state:
            description: Whether the entry exists.
            type: str
            choices: [present, absent]
            default: present
      rules:
        description: Policy routing rules.
        type: list
        elements: dict
        suboptions:
          priority:
            description:
              - Priority from 1 to 4294967295, but not 32766 or 32767, where the kernel looks up main and default.
              - A rule above 32766 is for what the table main has no route for.
            type: int
            required: true
          from:
            description: Source as a CIDR.
            type: str
          to:
            description: Destination as a CIDR.
            type: str
          iif:
            description: Device the packet came in through.
            type: str
          table:
            description: Number of the routing table that is looked up.
            type: str
            required: true
          ip_version:
            description: Needed for IPv6 when neither V(from) nor V(to) is given; 4 otherwise.
            type: int
            choices: [4, 6]
          state:
            description: Whether the rule exists.
            type: str
            choices: [present, absent]
            default: present
      sysctls:
        description:
          - Kernel settings that start with C(net.). Only those listed are set, and they are not set back.
          - When a device name contains a dot, write the whole name with slashes, as in
            V(net/ipv4/conf/eth0.5/forwarding).
        type: dict
seealso:
  - module: weft.fabric.namespaces_info
"""

EXAMPLES = r"""
- name: Make a namespace with a veth into the host, and a tap for a virtual machine
  weft.fabric.namespaces:
    namespaces:
      - links:
          - name: tap1a2b3c4d-5e
            kind: tap
            mtu: 1450
      - name: blue-web-1
        links:
          - name: eth0
            kind: veth
            peer: tap6f7a8b9c-0d
            mac: fa:16:3e:11:22:33
            mtu: 1450
            addresses: [10.0.0.9/24]
        routes:
          - to: default
            via: 10.0.0.1

- name: Move the underlay address to the bridge Open vSwitch needs it on
  weft.fabric.namespaces:
    namespaces:
      - links:
          - name: br-underlay
            kind: existing
            addresses: [198.51.100.11/24]
            takes_addresses_from: eth1

- name: Remove all the collection made
  weft.fabric.namespaces:
    namespaces: []
    purge: true
"""

RETURN = r"""
changes:
  description: What was changed, or would be in check mode, one text for each operation; at most 1000.
  type: list
  elements: str
  returned: always
  sample: ["create namespace blue-web-1", "create veth eth0 in blue-web-1 with peer tap6f7a8b9c-0d"]
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

from ansible_collections.weft.fabric.plugins.module_utils.namespaces import NamespacesEngine
from ansible_collections.weft.fabric.plugins.module_utils.reconcile import run_module

STATE = dict(type="str", choices=["present", "absent"], default="present")

LINK = dict(
    name=dict(type="str", required=True),
    kind=dict(type="str", choices=["veth", "tap", "existing"], required=True),
    state=STATE,
    peer=dict(type="str"),
    peer_namespace=dict(type="str"),
    mac=dict(type="str"),
    mtu=dict(type="int"),
    addresses=dict(type="list", elements="str"),
    tx_checksum=dict(type="bool"),
    host_stack=dict(type="bool"),
    announce=dict(type="bool", default=False),
    owner=dict(type="str"),
    up=dict(type="bool", default=True),
    resource=dict(type="str"),
    takes_addresses_from=dict(type="str"),
)

ROUTE = dict(
    to=dict(type="str", required=True),
    via=dict(type="str"),
    dev=dict(type="str"),
    table=dict(type="str"),
    metric=dict(type="int"),
    nexthops=dict(
        type="list", elements="dict", options=dict(via=dict(type="str", required=True), dev=dict(type="str"))
    ),
    announce_on=dict(type="str"),
    onlink=dict(type="bool", default=False),
    type=dict(type="str", choices=["unicast", "blackhole", "unreachable", "prohibit", "throw"], default="unicast"),
    state=STATE,
)

NEIGHBOUR = dict(
    ip=dict(type="str", required=True),
    mac=dict(type="str"),
    dev=dict(type="str", required=True),
    state=STATE,
)

RULE = {
    "priority": dict(type="int", required=True),
    "from": dict(type="str"),
    "to": dict(type="str"),
    "iif": dict(type="str"),
    "table": dict(type="str", required=True),
    "ip_version": dict(type="int", choices=[4, 6]),
    "state": STATE,
}

NAMESPACE = dict(
    name=dict(type="str"),
    state=STATE,
    links=dict(type="list", elements="dict", options=LINK, required_if=[("kind", "veth", ("peer",))]),
    routes=dict(type="list", elements="dict", options=ROUTE),
    neighbours=dict(type="list", elements="dict", options=NEIGHBOUR),
    rules=dict(type="list", elements="dict", options=RULE),
    sysctls=dict(type="dict"),
)


def main():
    module = AnsibleModule(
        argument_spec=dict(
            namespaces=dict(type="list", elements="dict", required=True, options=NAMESPACE),
            purge=dict(type="bool", default=False),
            save=dict(type="bool", default=False),
        ),
        supports_check_mode=True,
    )
    run_module(module, NamespacesEngine)


if __name__ == "__main__":
    main()
