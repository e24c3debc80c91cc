# Copyright (c) 2026 weft.fabric contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
name: topology
short_description: Hosts and groups from a topology file
version_added: 0.1.0
description:
  - Reads a topology file (or a directory with one), checks it, and gives Ansible its hosts.
  - Makes the groups C(network_node) and C(compute_node) by role, C(router_node) for the hosts on which a router
    is, C(physnet_NAME) for the hosts that reach a physical network, and C(project_NAME) for the hosts on which a
    project is present.
  - Switches are hosts as well, in the group C(switches) and in C(switch_DRIVER). Their tasks run on the controller,
    unless the topology gives a switch another C(ansible_connection). How to log in is handed on as it stands in the
    file, as Jinja references and vault texts, in the variable C(weft_switch_credentials).
  - The nodes of bare metal are hosts as well, in the group C(bare_metal_nodes), and those that are a server in
    C(server_nodes) and in the C(project_NAME) of the server. Their C(ansible_host) is the address that they have
    while they are deployed. How their BMC is reached is in C(weft_node_bmc), with secrets as they stand in the file.
    How one logs in to the volume that its server boots from is in C(weft_node_volume_auth), if there is one.
    C(weft_node) is what P(weft.fabric.host_state#lookup) knows of a node, compiled when it is used.
  - Each host gets a few small variables only. What a host must look like is compiled when its play asks for it,
    with P(weft.fabric.host_state#lookup).
  - Never writes and needs no host. Numbers that the lock file does not hold yet are computed in memory.
  - A topology with mistakes gives no inventory; all mistakes are told at once, with file, line, path and remedy.
author:
  - weft.fabric contributors (@weft-fabric)
extends_documentation_fragment:
  - ansible.builtin.constructed
options:
  plugin:
    description: Name of this plugin, which makes a file a topology.
    type: str
    required: true
    choices: [weft.fabric.topology]
"""

EXAMPLES = r"""
# topology.yml; use it with: ansible-playbook -i topology.yml weft.fabric.site
plugin: weft.fabric.topology
hosts:
  net1: {roles: [network_node], ansible_host: 192.0.2.11, underlay: {address: 198.51.100.11}}
  cmp1: {roles: [compute_node], ansible_host: 192.0.2.13, underlay: {address: 198.51.100.13}}
  cmp2: {roles: [compute_node], ansible_host: 192.0.2.14, underlay: {address: 198.51.100.14}}
projects:
  blue:
    networks:
      web: {subnets: {web-v4: {cidr: 10.0.0.0/24}}}
    ports:
      web-1: {network: web, host: cmp1}
      web-2: {network: web, host: cmp2}
# constructed groups work as in other inventory plugins
keyed_groups:
  - key: weft_datapath_type
    prefix: datapath
"""

import os
import re

from ansible.errors import AnsibleParserError
from ansible.inventory.group import to_safe_group_name
from ansible.parsing.vault import EncryptedString
from ansible.plugins.inventory import BaseInventoryPlugin, Constructable
from ansible.template import trust_as_template

from ansible_collections.weft.fabric.plugins.plugin_utils.topology.build import build_all
from ansible_collections.weft.fabric.plugins.plugin_utils.topology.model import HOST_ROLES, ROUTER_GROUP
from ansible_collections.weft.fabric.plugins.plugin_utils.topology.model_bare_metal import (
    DEPLOYMENT_OWNER,
    NODE_GROUP,
    SERVER_GROUP,
)
from ansible_collections.weft.fabric.plugins.plugin_utils.topology.model_switches import DRIVER_GROUPS, SWITCH_GROUP
from ansible_collections.weft.fabric.plugins.plugin_utils.topology.problems import TopologyError
from ansible_collections.weft.fabric.plugins.plugin_utils.topology.sources import root_of
from ansible_collections.weft.fabric.plugins.plugin_utils.topology.yamlmap import Unsafe, Vault

# The plugin's name stands at the top of the file; reading more of a large foreign file would be rude.
HEAD_BYTES = 4096

# Compiled where and when it is used: a thousand nodes must not mean a thousand nodes' user data in one inventory.
NODE_STATE = "{{ lookup('weft.fabric.host_state', 'bare_metal') }}"


class InventoryModule(BaseInventoryPlugin, Constructable):
    NAME = "weft.fabric.topology"

    def verify_file(self, path):
        """Tell whether a file is a topology: a YAML file that names this plugin near its top."""
        path = root_of(path)
        if not super().verify_file(path) or not path.endswith((".yml", ".yaml")):
            return False
        with open(path, "rb") as stream:
            return self.NAME.encode() in stream.read(HEAD_BYTES)

    def parse(self, inventory, loader, path, cache=True):
        super().parse(inventory, loader, path, cache)
        if is_part(path):
            return  # the file that includes it brings it
        try:
            built = build_all(path)
        except TopologyError as error:
            raise AnsibleParserError(str(error)) from error
        # Not by _read_config_data(): Ansible's loader takes minutes for a large fabric, and it has been read already.
        self.set_options(direct={"plugin": self.NAME, **for_ansible(built.topology.inventory_options)})
        if built.missing:
            self.display.warning(
                f"{len(built.missing)} allocations are not in {built.lock.file} and were computed in memory, "
                f"the first: {built.missing[0]}. Write them with: ansible-playbook -i {path} weft.fabric.lock"
            )
        self._add_hosts(built.topology, os.path.abspath(path))

    def _add_hosts(self, topology, path):
        # Without switches too: their plays are then plays without hosts, which is no warning.
        for group in (
            *HOST_ROLES,
            ROUTER_GROUP,
            SWITCH_GROUP,
            *((NODE_GROUP, SERVER_GROUP) if topology.nodes else ()),
            *(f"physnet_{name}" for name in topology.physical_networks),
        ):
            self.inventory.add_group(group_name(group))
        for project in topology.projects:
            self.inventory.add_group(group_name(f"project_{project}"))
        for host in topology.hosts.values():
            self.inventory.add_host(host.name)
            for name, value in host_variables(topology, host, path).items():
                self.inventory.set_variable(host.name, name, value)
            for group in host_groups(topology, host):
                self.inventory.add_child(group_name(group), host.name)
            self._construct(host.name)
        for switch in topology.switches.values():
            self._add_switch(switch, path)
        for node in topology.nodes.values():
            self._add_node(topology, node, path)

    def _add_node(self, topology, node, path):
        self.inventory.add_host(node.name)
        for name, value in node_variables(topology, node, path).items():
            self.inventory.set_variable(node.name, name, value)
        server = topology.server_of.get(node.name)
        groups = [NODE_GROUP] if server is None else [NODE_GROUP, SERVER_GROUP, group_name(f"project_{server.project}")]
        for group in groups:
            self.inventory.add_child(group, node.name)
        self._construct(node.name)

    def _add_switch(self, switch, path):
        self.inventory.add_host(switch.name)
        for name, value in switch_variables(switch, path).items():
            self.inventory.set_variable(switch.name, name, value)
        for group in (SWITCH_GROUP, DRIVER_GROUPS[switch.driver]):
            self.inventory.add_group(group)
            self.inventory.add_child(group, switch.name)
        self._construct(switch.name)

    def _construct(self, host):
        strict = self.get_option("strict")
        variables = self.inventory.get_host(host).get_vars()
        self._set_composite_vars(self.get_option("compose"), variables, host, strict=strict)
        self._add_host_to_composed_groups(self.get_option("groups"), variables, host, strict=strict)
        self._add_host_to_keyed_groups(self.get_option("keyed_groups"), variables, host, strict=strict)


def is_part(path):
    """Tell whether a file is part of another topology file, or its lock file."""
    if os.path.isdir(path):
        return False
    with open(path, "rb") as stream:
        return re.search(rb"^part_of:", stream.read(HEAD_BYTES), re.MULTILINE) is not None


def for_ansible(value):
    """Return what stands below vars and the constructed options, as Ansible's own inventories would give it."""
    if isinstance(value, dict):
        return {key: for_ansible(item) for key, item in value.items()}
    if isinstance(value, list):
        return [for_ansible(item) for item in value]
    if isinstance(value, Vault):
        return EncryptedString(ciphertext=str(value))
    if isinstance(value, str) and not isinstance(value, Unsafe):
        return trust_as_template(value)
    return str(value) if isinstance(value, Unsafe) else value


def group_name(name):
    """Return a name that Ansible takes for a group."""
    return to_safe_group_name(name, force=True, silent=True)


def host_groups(topology, host):
    """Return the groups of a host, in a stable order."""
    projects = sorted({network.project for network in topology.networks_by_host[host.name]})
    return [
        *host.roles,
        *([ROUTER_GROUP] if host.name in topology.router_hosts else []),
        *(f"physnet_{name}" for name in sorted(host.physical_networks)),
        *(f"project_{name}" for name in projects),
    ]


def host_variables(topology, host, path):
    """Return a host's variables: the file's own, and the few that say how the host takes part."""
    found = {
        **host.vars,
        "weft_topology": path,
        "weft_host_roles": list(host.roles),
        "weft_datapath_type": host.datapath_type,
    }
    if host.underlay is not None:
        found["weft_underlay_address"] = str(host.underlay.address)
    # Text that isn't marked as trusted leaves ansible-inventory as {"__ansible_unsafe": text}, and so enters AWX.
    return for_ansible(found)


def switch_variables(switch, path):
    """Return a switch's variables. Its modules run on the controller, where NETCONF and its libraries are."""
    credentials = switch.credentials
    login = {
        "username": credentials.username,
        "password": credentials.password,
        "ssh_key_file": credentials.ssh_key_file,
    }
    return for_ansible(
        {
            "ansible_connection": "local",
            "ansible_python_interpreter": "{{ ansible_playbook_python }}",
            "ansible_become": False,
            **switch.vars,
            "weft_topology": path,
            "weft_switch_driver": switch.driver,
            "weft_switch_address": switch.address,
            "weft_switch_credentials": {name: value for name, value in login.items() if value is not None},
        }
    )


def node_variables(topology, node, path):
    """Return a node's variables: how its ramdisk is logged in to, and how its BMC."""
    return for_ansible(
        {
            "ansible_host": deployment_address(topology, node),
            "ansible_user": "root",
            "ansible_python_interpreter": "/usr/bin/python3",
            **node.vars,
            "weft_topology": path,
            "weft_node": NODE_STATE,
            "weft_node_bmc": node.bmc,
            **volume_variables(topology, node),
        }
    )


def volume_variables(topology, node):
    """Return how a node logs in to the volume that its server boots from."""
    server = topology.server_of.get(node.name)
    if server is None or server.volume is None or not server.volume.auth:
        return {}
    return {"weft_node_volume_auth": server.volume.auth}


def deployment_address(topology, node):
    """Return the address that a node has while it is deployed."""
    ports = topology.node_ports[topology.bare_metal.networks["deployment"]]
    own = next(port for port in ports if port.device_owner == DEPLOYMENT_OWNER and port.nic[0] == node.name)
    return str(own.addresses[0])
