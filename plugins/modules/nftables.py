#!/usr/bin/python
# Copyright (c) 2026 weft.fabric contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: nftables
short_description: Manage tables of nftables in a host and in its network namespaces
version_added: 0.1.0
description:
  - Makes tables what the arguments say, in one transaction for each namespace. No packet sees a table half done.
  - An element of a set or map changes alone. A chain of which a rule changes is written anew as a whole, and its
    counters begin at zero. What does not differ keeps its counters.
  - When a base chain gets another type, hook or priority, it is replaced in the same transaction. A set or map of
    another type is replaced together with the chains that use it.
  - The collection owns the tables whose names begin with C(weft). Tables with other names are never touched.
  - Connections that are tracked keep the translation they began with, after the element it came from is gone. With
    O(tables[].conntrack) they end with the element, and no others do.
  - A map that goes while no O(tables[].conntrack) of its table says what ends, as with a table that O(purge) removes,
    takes along the connections that rules have translated by it. Those to the keys of a map for C(dnat) end, and those
    that left with an address that a map for C(snat) holds.
author:
  - weft.fabric contributors (@weft-fabric)
extends_documentation_fragment:
  - weft.fabric.attributes
  - weft.fabric.attributes.actiongroup
  - weft.fabric.common
notes:
  - O(purge) looks at the host itself and at the namespaces that M(weft.fabric.namespaces) made, and at no others.
  - In check mode a namespace may be missing, and all that is to be in it counts as to be added. In a real run
    M(weft.fabric.namespaces) has made it before.
requirements:
  - nftables 1.0.6 or newer, with its library C(libnftables.so.1)
options:
  tables:
    description: The tables, each listed once.
    type: list
    elements: dict
    required: true
    suboptions:
      namespace:
        description: Network namespace the table is in. Without one, it is in the host itself.
        type: str
      family:
        description: Family of the table.
        type: str
        choices: [inet, ip, ip6]
        default: inet
      name:
        description: Name of the table. It begins with C(weft).
        type: str
        required: true
      state:
        description: Whether the table exists.
        type: str
        choices: [present, absent]
        default: present
      content:
        description:
          - All that is in the table, chains, sets, maps and rules, as objects of C(libnftables-json(5)) without
            C(family), C(table) and C(handle). The rules of a chain are in the order in which they are evaluated.
          - Expressions are compared with what C(nft -j list table) prints, which is not always what it was given, so
            write them as it prints them. The order of elements, the spelling of addresses, ranges that are a prefix,
            sets of one, lists of one flag and the numbers of counters do not matter. What nft leaves out does matter.
            It leaves out C(meta nfproto) and C(meta l4proto) when the next match implies them.
          - A map with data of several types cannot be told to nft 1.0.6 as JSON. Use one map for each type, with the
            same keys.
          - Sets can have the flags V(interval) and V(constant). Sets that rules or time change are refused, as are
            comments on anything but rules, since nft 1.0.6 does not list them.
        type: list
        elements: dict
      conntrack:
        description:
          - Sets and maps with whose elements connections end. An element that goes, or gets another value, ends the
            connections whose address is its key. A key of address, protocol and port ends those of this protocol and
            port only.
          - An element that comes ends none that are translated. In a map of addresses or ports with V(orig-dst) it
            ends what came to its address before it, untranslated, because that would go on so without an end.
          - They end after the transaction. When a run is killed between the two, the next one ends them.
        type: list
        elements: dict
        suboptions:
          map:
            description: Name of the set or map. The type of its keys is an address, with protocol and port if need be.
            type: str
            required: true
          direction:
            description:
              - Which address of a connection, with its port, is compared with the key.
              - V(orig-dst) and V(orig-src) are those of the first packet before any translation. V(reply-dst) and
                V(reply-src) are those of the answer, so that V(reply-dst) is the source after translation.
            type: str
            required: true
            choices: [orig-dst, orig-src, reply-dst, reply-src]
seealso:
  - module: weft.fabric.nftables_info
  - module: weft.fabric.namespaces
"""

EXAMPLES = r"""
- name: Translate a floating IP in the namespace of a router
  weft.fabric.nftables:
    tables:
      - namespace: qrouter-1a2b3c4d-5e6f-5a7b-8c9d-0e1f2a3b4c5d
        name: weft_fabric
        content:
          - map:
              name: fip_dnat
              type: ipv4_addr
              map: ipv4_addr
              elem: [["203.0.113.120", "10.0.0.9"]]
          - chain: {name: prerouting, type: nat, hook: prerouting, prio: -100, policy: accept}
          - rule:
              chain: prerouting
              comment: floating IPs
              expr:
                - dnat:
                    family: ip
                    addr:
                      map:
                        key: {payload: {protocol: ip, field: daddr}}
                        data: "@fip_dnat"
        conntrack:
          - {map: fip_dnat, direction: orig-dst}
          - {map: fip_dnat, direction: reply-dst}

- name: Remove all tables of the collection
  weft.fabric.nftables:
    tables: []
    purge: true
"""

RETURN = r"""
changes:
  description: What was changed, or would be in check mode, one text for each operation; at most 1000.
  type: list
  elements: str
  returned: always
  sample:
    - "add 203.0.113.120 : 10.0.0.9 to map fip_dnat of inet weft_fabric in qrouter-1a2b3c4d-5e6f-5a7b-8c9d-0e1f2a3b4c5d"
changes_total:
  description: Number of operations.
  type: int
  returned: always
  sample: 1
changes_digest:
  description: SHA-256 of all operations, the same in check mode and for real.
  type: str
  returned: always
  sample: 86f11a07c08528dd5d12d6113b3181ea40e282d5b9fec2a6c9a1a904cac08657
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.weft.fabric.plugins.module_utils.nftables import NftablesEngine
from ansible_collections.weft.fabric.plugins.module_utils.reconcile import run_module

CONNTRACK = dict(
    map=dict(type="str", required=True),
    direction=dict(type="str", required=True, choices=["orig-dst", "orig-src", "reply-dst", "reply-src"]),
)

TABLE = dict(
    namespace=dict(type="str"),
    family=dict(type="str", choices=["inet", "ip", "ip6"], default="inet"),
    name=dict(type="str", required=True),
    state=dict(type="str", choices=["present", "absent"], default="present"),
    content=dict(type="list", elements="dict"),
    conntrack=dict(type="list", elements="dict", options=CONNTRACK),
)


def main():
    module = AnsibleModule(
        argument_spec=dict(
            tables=dict(type="list", elements="dict", required=True, options=TABLE),
            purge=dict(type="bool", default=False),
            save=dict(type="bool", default=False),
        ),
        supports_check_mode=True,
    )
    run_module(module, NftablesEngine)


if __name__ == "__main__":
    main()
