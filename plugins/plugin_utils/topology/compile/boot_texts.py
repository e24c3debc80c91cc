# Copyright (c) 2026 weft.fabric contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a boot server's daemons and its nodes read: the texts among the arguments of boot_servers."""

from __future__ import annotations

import ipaddress
import typing as t

from ansible_collections.weft.fabric.plugins.module_utils.netboot_desired import url
from ansible_collections.weft.fabric.plugins.module_utils.netboot_paths import Paths
from ansible_collections.weft.fabric.plugins.plugin_utils.topology.compile.template import render

DHCP_TEMPLATE = "netboot_dnsmasq.conf.j2"
HTTP_TEMPLATE = "netboot_nginx.conf.j2"
SCRIPT_TEMPLATES = {name: f"netboot_{name}.ipxe.j2" for name in ("boot", "local", "ramdisk", "iscsi")}

SYSLOG = "/dev/log"

Item = dict[str, t.Any]


def with_texts(
    item: Item,
    templates: t.Mapping[str, str],
    paths: Paths | None = None,
    syslog: str = SYSLOG,
    volumes: bool = False,
) -> Item:
    """Return a server of boot_servers with its configurations and scripts. templates replaces the collection's own.

    volumes: nodes boot here from volumes only, in a network whose DHCP is somebody else's.
    """
    values = {**_variables(item, paths or Paths(), syslog), "volumes": volumes}

    def text(template: str) -> str:
        return render(template, templates.get(template), **values)

    return {
        **item,
        "dhcp_config": text(DHCP_TEMPLATE),
        "http_config": text(HTTP_TEMPLATE),
        "scripts": {script: text(template) for script, template in SCRIPT_TEMPLATES.items()},
    }


def _variables(item: Item, paths: Paths, syslog: str) -> Item:
    """Return what the templates may use."""
    subnet = ipaddress.ip_network(item["cidr"])
    port = item.get("http_port") or 80
    prefix = item.get("ra_prefix")
    return {
        "name": item["name"],
        "interface": item["interface"],
        "address": item["address"],
        "port": port,
        "url": url(item["address"], port),
        "subnet": {"network_address": str(subnet.network_address), "netmask": str(subnet.netmask)},
        "lease_time": item.get("lease_time") or 3600,
        "lease_max": min(subnet.num_addresses, 1 << 20),
        "ra_prefix": _prefix(prefix) if prefix else None,
        "clients": [node["address"] for node in item.get("nodes") or ()],
        "directory": paths.server(item["name"]).rstrip("/"),
        "root": paths.join("http"),
        "tftp": paths.join("tftp"),
        "log": paths.log(item["name"]),
        "syslog": syslog,
    }


def _prefix(text: str) -> Item:
    network = ipaddress.ip_network(text)
    return {"network_address": str(network.network_address), "prefixlen": network.prefixlen}
