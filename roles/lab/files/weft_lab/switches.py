# Copyright (c) 2026 weft.fabric contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What makes a host of the lab a switch: a NETCONF server with OpenConfig's models, and a bridge that follows it."""

from __future__ import annotations

import socket
import subprocess
import sys
from pathlib import Path

from weft_lab import models, network
from weft_lab.definition import Host, Lab, Switch
from weft_lab.system import LabError, kill_all, process_start, write_file

# In the role, beside this package: what the switch itself runs, and the models that are the lab's own.
FILES = Path(__file__).resolve().parent.parent / "switch"
RELAY = Path(__file__).resolve().with_name("relay.py")
HOME = "usr/local/lib/lab-switch"
SOCKET = "/run/lab/netconfd.sock"
BRIDGE = "br0"
SSHD = f"""\
Port 22
Port 830
Subsystem netconf /usr/bin/python3 -EsSB /{HOME}/netconf_subsystem.py
"""
# Everybody who gets in by ssh may do everything: who may get in is not what this switch is there to show.
NETCONFD_UNIT = """\
[Unit]
Description=NETCONF server of this lab switch
After=lab-network.service

[Service]
RuntimeDirectory=lab
StateDirectory=lab-switch
Environment=HOME=/root
ExecStart=/usr/sbin/netconfd {modules} --modpath=/{home}/yang:/usr/share/yuma/modules --access-control=off \\
  --superuser=root --target=candidate --with-startup=true --startup=/var/lib/lab-switch/startup.xml --port=830 \\
  --ncxserver-sockname={socket} --log-level=debug
Restart=on-failure
RestartSec=0.2

[Install]
WantedBy=multi-user.target
"""
BRIDGE_UNIT = """\
[Unit]
Description=Bridge of this lab switch
After=openvswitch-switch.service lab-netconfd.service
Requires=openvswitch-switch.service
Wants=lab-netconfd.service

[Service]
Type=notify
ExecStart=/usr/bin/python3 -B /{home}/switch_bridge.py {bridge} {ports}
Restart=always
RestartSec=0.2

[Install]
WantedBy=multi-user.target
"""
ETHERNET = '<type xmlns:ianaift="urn:ietf:params:xml:ns:yang:iana-if-type">ianaift:ethernetCsmacd</type>'


def startup(switch: Switch) -> str:
    """The configuration as it leaves the factory: ports that carry nothing, uplinks that carry all VLANs there are."""
    entries = "".join(interface(plug.port, bool(plug.network)) for plug in switch.plugs)
    instance = (
        "<network-instance><name>default</name><config><name>default</name></config><vlans><vlan><vlan-id>1</vlan-id>"
        "<config><vlan-id>1</vlan-id><name>default</name></config></vlan></vlans></network-instance>"
    )
    return (
        '<?xml version="1.0" encoding="UTF-8"?>\n<config xmlns="urn:ietf:params:xml:ns:netconf:base:1.0">\n'
        f'<interfaces xmlns="http://openconfig.net/yang/interfaces">{entries}</interfaces>\n'
        f'<network-instances xmlns="http://openconfig.net/yang/network-instance">{instance}</network-instances>\n</config>\n'
    )


def interface(name: str, uplink: bool) -> str:
    trunk = (
        '<ethernet xmlns="http://openconfig.net/yang/interfaces/ethernet">'
        '<switched-vlan xmlns="http://openconfig.net/yang/vlan"><config><interface-mode>TRUNK</interface-mode>'
        "<native-vlan>1</native-vlan></config></switched-vlan></ethernet>"
    )
    described = "<description>uplink</description>" if uplink else ""
    return (
        f"<interface><name>{name}</name><config><name>{name}</name>{ETHERNET}{described}<enabled>true</enabled></config>"
        f"{trunk if uplink else ''}</interface>\n"
    )


def furnish(host: Host, top: Path) -> None:
    if host.switch is None:
        return
    yang, _fresh = models.ensure()
    for file in [*sorted(yang.glob("*.yang")), *sorted((FILES / "yang").glob("*.yang"))]:
        write_file(top / HOME / "yang" / file.name, file.read_text(encoding="utf-8"))
    for file in sorted(FILES.glob("*.py")):
        write_file(top / HOME / file.name, file.read_text(encoding="utf-8"))
    names = " ".join(f"--module={name}" for name in models.LOADED)
    ports = " ".join(f"{plug.port}={plug.port}" for plug in host.switch.plugs)
    units = {
        "lab-netconfd.service": NETCONFD_UNIT.format(modules=names, home=HOME, socket=SOCKET),
        "lab-switch.service": BRIDGE_UNIT.format(home=HOME, bridge=BRIDGE, ports=ports),
    }
    for name, text in units.items():
        write_file(top / "etc/systemd/system" / name, text)
        link = top / "etc/systemd/system/multi-user.target.wants" / name
        if not link.is_symlink():
            link.symlink_to(f"/etc/systemd/system/{name}")
    write_file(top / "etc/ssh/sshd_config.d/lab-switch.conf", SSHD)
    kept = top / "var/lib/lab-switch/startup.xml"
    if not kept.exists():
        write_file(kept, startup(host.switch))


def door(switch: Switch) -> str:
    """Where the controller finds the switch, as known_hosts writes it."""
    return f"[127.0.0.1]:{switch.netconf_port}"


def door_file(lab: Lab, host: Host) -> Path:
    return lab.state / "hosts" / host.name / "door"


def open_door(lab: Lab, host: Host) -> None:
    """Carry a port of the controller's loopback to the switch's NETCONF: nothing else leads from there into the lab."""
    if host.switch is None:
        return
    close_door(lab, host)
    try:
        listener = socket.create_server(("127.0.0.1", host.switch.netconf_port))
    except OSError as error:
        raise LabError(
            f"{host.name}: cannot listen at {door(host.switch)} on this machine: {error.strerror}"
        ) from error
    with listener:
        # The socket stays the machine's own; the connections that are made for it are the fabric's.
        command = ["nsenter", f"--net={network.NAMESPACES / lab.fabric}", sys.executable, "-B", str(RELAY)]
        child = subprocess.Popen(
            [*command, str(listener.fileno()), lab.management_address(host), "830"],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            pass_fds=[listener.fileno()],
            start_new_session=True,
            cwd="/",
        )
    write_file(door_file(lab, host), f"{child.pid} {process_start(child.pid)}")


def close_door(lab: Lab, host: Host) -> None:
    file = door_file(lab, host)
    if not file.exists():
        return
    pid, _space, started = file.read_text(encoding="utf-8").partition(" ")
    kill_all(lambda: [int(pid)] if process_start(int(pid)) == started else [], what=f"the way to {host.name}")
    file.unlink()
