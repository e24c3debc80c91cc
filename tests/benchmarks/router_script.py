# Copyright (c) 2026 weft.fabric contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Routers by hand: a host's state as a plain shell script with batches of ip, nft, ovs-vsctl and ovs-ofctl. Pure.

It ends with the same links, bridges, flows, rules, files and daemons as the collection's run. It does not compare,
prove or save anything. There are two of it: in one the daemons are plain processes that nobody starts again, in the
other they are systemd's, as after the collection's run.
"""

from __future__ import annotations

import base64
import io
import json
import shlex
import tarfile
import typing as t

from ansible_collections.weft.fabric.plugins.module_utils.vrrp_program import PROGRAM, RUN_DIR
from ansible_collections.weft.fabric.plugins.module_utils.vrrp_routers import DIRECTORY

from .host import vsctl_by_hand

State = dict[str, t.Any]

PLACE = "/run/weft-t-routers"
ADVERTISEMENTS = "/var/lib/weft-fabric/ra"
HEALTH = "/run/weft-fabric-health"

# Of the daemons that systemd keeps running. A restart of the machine takes the directory along.
UNIT_DIR = "/run/systemd/system"
UNITS = "weft-t-routers"

# keepalived calls it at each transition, with the name that its configuration gives.
NOTIFY = f"""#!/bin/sh
name=$2
pid={RUN_DIR}/$name/radvd.pid
if [ "$5" = MASTER ]; then
    echo 1 > /proc/sys/net/ipv6/conf/all/forwarding
    conntrackd -C {DIRECTORY}/$name/conntrackd.conf -R
    conntrackd -C {DIRECTORY}/$name/conntrackd.conf -B
    if [ -e {UNIT_DIR}/{UNITS}-radvd@.service ]; then
        systemctl --no-block start {UNITS}-radvd@$name
    else
        radvd --config={ADVERTISEMENTS}/$name/radvd.conf --pidfile=$pid
    fi
else
    echo 0 > /proc/sys/net/ipv6/conf/all/forwarding
    [ ! -e $pid ] || kill "$(cat $pid)"
    [ ! -e {UNIT_DIR}/{UNITS}-radvd@.service ] || systemctl --no-block stop {UNITS}-radvd@$name
fi
"""

# The pid files have to be named: their defaults are the same for every keepalived of the host.
PIDS = " ".join(
    f"--{option}={RUN_DIR}/%i/{file}.pid"
    for option, file in (("pid", "keepalived"), ("vrrp_pid", "vrrp"), ("checkers_pid", "checkers"), ("bfd_pid", "bfd"))
)
COMMANDS = {
    "conntrackd": f"conntrackd -C {DIRECTORY}/%i/conntrackd.conf",
    "keepalived": f"keepalived --dont-fork --log-console --vrrp --use-file={DIRECTORY}/%i/keepalived.conf {PIDS}",
    "radvd": f"radvd --nodaemon --config={ADVERTISEMENTS}/%i/radvd.conf --pidfile={RUN_DIR}/%i/radvd.unit.pid",
}

# Names of ports become numbers here, as a person would look them up. Those in output:"..." would do as they are.
NUMBERS = (
    "ovs-vsctl --data=bare --format=csv --no-headings --columns=name,ofport list Interface > numbers\n"
    "numbered() { awk -F'\"' -v OFS= 'NR == FNR { split($0, part, \",\"); number[part[1]] = part[2]; next }\n"
    '    { for (i = 2; i <= NF; i += 2) $i = number[$i]; print }\' numbers "$1"; }\n'
)


def lines_of(lines: t.Iterable[str]) -> str:
    """Return lines as a text."""
    return "".join(line + "\n" for line in lines)


def namespaces_of(state: State) -> list[dict[str, t.Any]]:
    """Return the namespaces that the script makes: all but the host's own."""
    return [item for item in state["namespaces"]["namespaces"] if item.get("name")]


def links_of(state: State) -> list[dict[str, t.Any]]:
    """Return the links that the script makes."""
    return [link for item in namespaces_of(state) for link in item["links"]]


def host_links(state: State) -> list[dict[str, t.Any]]:
    """Return the links that are there, or that Open vSwitch makes."""
    return [link for item in state["namespaces"]["namespaces"] if not item.get("name") for link in item["links"]]


def devices_batch(state: State) -> str:
    """Return the lines of ip -batch that make namespaces and devices."""
    lines = [f"netns add {item['name']}" for item in namespaces_of(state)]
    for item in namespaces_of(state):
        for link in item["links"]:
            mtu = f"mtu {link['mtu']}"
            inner = f"name {link['name']} address {link['mac']} {mtu} netns {item['name']}"
            lines += [f"link add {link['peer']} {mtu} type veth peer {inner}", f"link set {link['peer']} up"]
    return lines_of(lines)


def host_sysctls(state: State) -> str:
    """Return what keeps the host's own stack from listening on the routers' links."""
    ends = [link.get("peer") or link["name"] for link in links_of(state) + host_links(state) if "host_stack" in link]
    values = ("ipv6.conf.%s.disable_ipv6=1", "ipv4.conf.%s.arp_ignore=8", "ipv4.conf.%s.rp_filter=1")
    return lines_of(f"net.{value % end}" for end in ends for value in values)


def underlay_batch(state: State) -> str:
    """Return the lines of ip -batch that move the underlay's addresses to its bridge."""
    lines = []
    for link in host_links(state):
        if "takes_addresses_from" in link:
            lines += [f"address delete {text} dev {link['takes_addresses_from']}" for text in link["addresses"]]
            lines += [f"address add {text} dev {link['name']}" for text in link["addresses"]]
            lines.append(f"link set {link['name']} up")
    return lines_of(lines)


def namespace_files(state: State) -> dict[str, str]:
    """Return what is to be done inside each namespace: sysctls, a batch for ip, rules, and a script that does it."""
    rules = {table["namespace"]: table for table in state["nftables"]["tables"]}
    files = {}
    for item in namespaces_of(state):
        name = item["name"]
        batch = ["link set lo up"]
        for link in item["links"]:
            batch += [f"address add {text} dev {link['name']}" for text in link.get("addresses", [])]
            batch.append(f"link set {link['name']} up")
        batch += [f"neighbor add {n['ip']} lladdr {n['mac']} dev {n['dev']}" for n in item.get("neighbours", [])]
        batch += [f"route add {r['to']} via {r['via']} dev {r['dev']}" for r in item.get("routes", [])]
        steps = [f"sysctl -e -q -p {name}/sysctl", f"ip -batch {name}/batch"]
        steps += [
            f"ethtool -K {link['name']} tx off >/dev/null" for link in item["links"] if link.get("tx_checksum") is False
        ]
        files[f"{name}/sysctl"] = lines_of(f"{key}={value}" for key, value in item.get("sysctls", {}).items())
        files[f"{name}/batch"] = lines_of(batch)
        if name in rules:
            files[f"{name}/rules"] = nft_input(rules[name])
            steps.append(f"nft -j -f {name}/rules")
        files[f"{name}/make"] = lines_of(["set -e", *steps])
    return files


def nft_input(table: dict[str, t.Any]) -> str:
    """Return a table as nft -j -f reads it."""
    where = {"family": table["family"]}
    commands: list[t.Any] = [{"add": {"table": {**where, "name": table["name"]}}}]
    for entry in table["content"]:
        commands += [{"add": {kind: {**where, "table": table["name"], **value}}} for kind, value in entry.items()]
    return json.dumps({"nftables": commands})


def daemon_files(state: State) -> dict[str, str]:
    """Return the files of the daemons and what they read while they run."""
    files = {"notify": NOTIFY, **{f"units/{UNITS}-{name}@.service": unit(name) for name in COMMANDS}}
    for router in state["vrrp_routers"]["routers"]:
        files[f"vrrp/{router['name']}/keepalived.conf"] = router["config"]
        files[f"vrrp/{router['name']}/conntrackd.conf"] = router["conntrackd"]
        files[f"run/{router['name']}/handicap"] = "0\n"
    for router in state["router_advertisements"]["routers"]:
        files[f"ra/{router['name']}/radvd.conf"] = router["config"]
    for check in state["vrrp_routers"]["health"]:
        files[f"health/{check['name']}"] = "0\n"
    return files


def daemons(state: State) -> list[str]:
    """Return the commands that start the daemons; each goes into the background by itself."""
    lines = []
    for router in state["vrrp_routers"]["routers"]:
        directory = f"{DIRECTORY}/{router['name']}"
        both = f"conntrackd -d -C {directory}/conntrackd.conf"
        both += f" && keepalived --vrrp --use-file={directory}/keepalived.conf {PIDS.replace('%i', router['name'])}"
        lines.append(f"ip netns exec {router['namespace']} sh -c {shlex.quote(both)} </dev/null >>daemons.log 2>&1")
    return lines


def unit(name: str) -> str:
    """Return a unit file as a person would write it who wants a daemon for each router, and keeps it running."""
    kind = "simple" if name == "radvd" else "notify"
    # Without mounts of its own, which would cost more than all the rest.
    lines = ["[Service]", f"Type={kind}", "NetworkNamespacePath=/run/netns/qrouter-%i", "PrivateMounts=no"]
    return lines_of([*lines, f"ExecStart={COMMANDS[name]}", "Restart=always", "RestartSec=1"])


def supervised(state: State) -> list[str]:
    """Return the commands that let systemd start the daemons."""
    started = [
        "systemctl start " + " ".join(f"{UNITS}-{name}@{router['name']}" for router in state["vrrp_routers"]["routers"])
        for name in ("conntrackd", "keepalived")
    ]
    return [f"mkdir -p {UNIT_DIR}", f"cp units/* {UNIT_DIR}", "systemctl daemon-reload", *started]


def make(state: State, start: list[str]) -> str:
    """Return the script. start: the commands that start the daemons."""
    parts = [
        "set -e",
        "ip -batch devices",
        "sh bridges",
        "sysctl -e -q -p sysctl",
        "ip -batch underlay",
    ]
    # ovs-vswitchd takes a moment to notice the bridge's address.
    parts += [
        f"until ovs-appctl ovs/route/add {route['to']} {route['bridge']} {route.get('via') or ''}; do sleep 0.1; done"
        for route in state["ovs_tunnel_routes"]["routes"]
    ]
    parts += [f"ip netns exec {item['name']} sh {item['name']}/make" for item in namespaces_of(state)]
    parts.append(NUMBERS.rstrip("\n"))
    for bridge in state["openflow_flows"]["bridges"]:
        name = bridge["name"]
        parts.append(f"numbered flows.{name} > flows && ovs-ofctl -O OpenFlow14 --bundle add-flows {name} flows")
    parts += [
        f"mkdir -p {DIRECTORY} {ADVERTISEMENTS} {RUN_DIR} {HEALTH} $(dirname {PROGRAM})",
        f"cp -r vrrp/. {DIRECTORY}",
        f"[ ! -d ra ] || cp -r ra/. {ADVERTISEMENTS}",
        f"cp -r run/. {RUN_DIR}",
        f"cp -r health/. {HEALTH}",
        f"cp notify {PROGRAM}",
        f"chmod 755 {PROGRAM}",
        *start,
    ]
    return lines_of(parts)


def running(state: State) -> str:
    """Return a command that prints the processes in the script's namespaces."""
    names = " ".join(item["name"] for item in namespaces_of(state))
    return f"for name in {names}; do [ ! -e /run/netns/$name ] || ip netns pids $name; done"


def undo(state: State) -> str:
    """Return the script that removes it all, from whatever point it came to."""
    parts = [
        f"systemctl stop '{UNITS}-*'",
        f"rm -f {UNIT_DIR}/{UNITS}-*",
        "systemctl daemon-reload",
        f"systemctl reset-failed '{UNITS}-*'",
        # A daemon that another was about to start is there the second time.
        f"for turn in 1 2 3; do {running(state)} | xargs -r kill -KILL; done",
        *(f"ovs-appctl ovs/route/del {route['to']}" for route in state["ovs_tunnel_routes"]["routes"]),
    ]
    parts += [f"ovs-vsctl --if-exists del-br {bridge['name']}" for bridge in state["ovs_bridges"]["bridges"]]
    # A namespace that is deleted takes its links along, but at a time of its own.
    parts += ["ip -force -batch devices.undo"]
    for link in host_links(state):
        if "takes_addresses_from" in link:
            parts += [f"ip address replace {text} dev {link['takes_addresses_from']}" for text in link["addresses"]]
    parts.append("rm -rf " + " ".join([*paths(state), PROGRAM]))
    parts.append(f"rmdir --ignore-fail-on-non-empty {DIRECTORY} {ADVERTISEMENTS} {RUN_DIR} $(dirname {PROGRAM})")
    return lines_of(parts)


def paths(state: State) -> list[str]:
    """Return the paths of the files outside of PLACE."""
    found = [HEALTH]
    for router in state["vrrp_routers"]["routers"]:
        found += [f"{base}/{router['name']}" for base in (DIRECTORY, ADVERTISEMENTS, RUN_DIR)]
    return found


def undo_batch(state: State) -> str:
    """Return the lines of ip -batch that remove devices and namespaces."""
    lines = [f"link delete {link['peer']}" for link in links_of(state)]
    return lines_of(lines + [f"netns delete {item['name']}" for item in namespaces_of(state)])


def files(state: State) -> dict[str, str]:
    """Return {path below PLACE: text} of the script and all that it reads."""
    if state["dhcp_servers"]["servers"]:
        raise ValueError("the script makes no DHCP servers: set enable_dhcp to false")
    return {
        "make": make(state, daemons(state)),
        "make.systemd": make(state, supervised(state)),
        "undo": undo(state),
        "devices": devices_batch(state),
        "devices.undo": undo_batch(state),
        "sysctl": host_sysctls(state),
        "underlay": underlay_batch(state),
        "bridges": vsctl_by_hand(state) + "\n",
        **{f"flows.{item['name']}": lines_of(item["flows"]) for item in state["openflow_flows"]["bridges"]},
        **namespace_files(state),
        **daemon_files(state),
    }


def archive(content: t.Mapping[str, str]) -> str:
    """Return files as `base64 -d | tar -x` takes them."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as tar:
        for path, text in content.items():
            data = text.encode("utf-8")
            entry = tarfile.TarInfo(path)
            entry.size, entry.mode = len(data), 0o644
            tar.addfile(entry, io.BytesIO(data))
    return base64.encodebytes(buffer.getvalue()).decode("ascii")
