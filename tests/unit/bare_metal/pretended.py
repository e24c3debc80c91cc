# Copyright (c) 2026 weft.fabric contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Nodes, switches and a boot server that are pretended: the verbs run as they are, what they ask for is done in a file.

An action plugin takes the place of each module that would reach something. A node runs what it would boot, and whoever
breaks one of the two rules is told: no port changes while a node is on, and nothing runs where it does not belong.
"""

from __future__ import annotations

import fcntl
import json
import os
import signal
import typing as t
from pathlib import Path

from ansible_collections.weft.fabric.plugins.plugin_utils.topology import build

COLLECTION = Path(build.__file__).parents[3]

_ACTION = """
from pathlib import Path
from ansible.plugins.action import ActionBase
from ansible_collections.weft.fabric.tests.unit.bare_metal.pretended import World

class ActionModule(ActionBase):
    _requires_connection = False
    def run(self, tmp=None, task_vars=None):
        super().run(tmp, task_vars)
        return World(Path({path!r})).{verb}(task_vars["inventory_hostname"], self._task.args)
"""

MODULES = (
    "bmc_info",
    "bmc_power",
    "bmc_boot_device",
    "switch_ports",
    "switch_ports_info",
    "boot_files",
    "boot_files_info",
    "ramdisk_connection",
    "disk_image",
    "disk_export",
    "iscsi_image",
    "disk_clean",
    "disk_info",
    "hardware_info",
)
SERVICE, IDLE = 150, None
SERVICES = ("deployment", "cleaning", "inspection", "rescue")
TENANTS = {"red": 110, "blue": 120}
CHECKSUM = "sha256:" + 64 * "a"
OTHER = "sha256:" + 64 * "b"
SIZE = 96 << 20
VOLUME = "iscsi:10.0.1.9::3260:1:iqn.2016-01.example:a"
MAC = "52:54:00:00:00:11"
# What is done to node n1 when a server of project red is deployed to it, in order.
DEPLOYMENT = [
    "VLAN 150",
    "files ramdisk for deployment",
    "boot pxe",
    "power on",
    "connect",
    "write",
    "poweroff inside",
    "files local for tenant",
    "VLAN 110",
    "boot disk",
    "power on",
]
# And when it is deleted.
DELETION = [
    "power off softly",
    "VLAN 150",
    "files ramdisk for cleaning",
    "boot pxe",
    "power on",
    "connect",
    "clean metadata",
    "poweroff inside",
    "files absent",
    "VLAN None",
]
RED = ("-e", "server=red/db")

Answer = dict[str, t.Any]


def server(project: str, image: str = CHECKSUM) -> Answer:
    return {
        "id": f"id-of-{project}",
        "name": "db",
        "project": project,
        "hostname": "db",
        "addresses": ["10.0.0.5"],
        "image": {
            "name": "tiny",
            "url": "file:///tiny",
            "checksum": image,
            "format": "raw",
            "size": None,
            "served": f"{image[7:]}.raw",
        },
        "config_drive": {"meta_data": {"uuid": f"id-of-{project}"}, "network_data": {}, "user_data": "secret"},
        "volume": None,
    }


def volume_server(project: str, uri: str = VOLUME) -> Answer:
    """Return a server that boots from a volume."""
    iscsi = {"portal": "10.0.1.9", "port": 3260, "target": "iqn.2016-01.example:a", "lun": 1, "initiator": "iqn.x:n1"}
    volume = {"uri": uri, "iscsi": iscsi, "server": "metal-id", "address": "10.0.0.5", "mac_addresses": [MAC]}
    return {**server(project), "image": None, "config_drive": None, "volume": volume}


def data(name: str, number: int, holder: Answer | None) -> Answer:
    """Return what the compiler says of a node."""

    def phase(vlan: int | None) -> list[Answer]:
        port: Answer = {"name": f"Ethernet{number}"}
        port.update({"state": "absent"} if vlan is None else {"mode": "access", "vlan": vlan, "enabled": True})
        policy = {"allowed_vlans": ["100-199"]}
        arguments = {"switch": {"name": "leaf1", "driver": "openconfig", "address": "198.51.100.2"}, "policy": policy}
        return [{"switch": "leaf1", "arguments": {**arguments, "ports": [port], "vlans": [], "create_vlans": True}}]

    phases = {"idle": phase(IDLE)}
    phases.update({one: phase(SERVICE) for one in SERVICES})
    if holder:
        phases["tenant"] = phase(TENANTS[holder["project"]])
    boot_server = {
        "host": "net1",
        "network": "deploy-id",
        "name": "deploy-id",
        "namespace": "qboot-deploy-id",
        "address": "10.66.100.2",
        "http_port": 80,
        "url": "http://10.66.100.2",
    }
    place = {"address": f"10.66.100.{number}", "prefix_length": 24, "boot_server": boot_server}
    return {
        "name": name,
        "boot_mode": "bios",
        **place,
        "timeouts": {"power": 60, "soft_off": 30, "boot": 600, "write": 3600, "stall": 60},
        "root_device": {},
        "boot_device_readable": True,
        "deploy_interface": "direct",
        "nics": [
            {
                "name": "nic0",
                "mac_address": f"52:54:00:00:00:{number}",
                "switch": "leaf1",
                "interface": f"Ethernet{number}",
                "pxe": True,
            }
        ],
        "pxe_mac_addresses": [f"52:54:00:00:00:{number}"],
        "phases": phases,
        "networks": dict.fromkeys(SERVICES, place),
        "server": holder,
        "max_concurrent_writes": 4,
    }


class World:
    """What there is, in a file; and what was asked for, in order."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def install(self, place: Path) -> None:
        """Make a collection that is the real one but for what would reach something."""
        replaced = {"action": (MODULES, _ACTION)}
        for entry in COLLECTION.iterdir():
            if entry.name != "plugins":
                (place / entry.name).symlink_to(entry)
        (place / "plugins").mkdir()
        for entry in (COLLECTION / "plugins").iterdir():
            if entry.name not in replaced:
                (place / "plugins" / entry.name).symlink_to(entry)
        for kind, (names, text) in replaced.items():
            (place / "plugins" / kind).mkdir()
            for entry in (COLLECTION / "plugins" / kind).glob("*.py"):
                if entry.stem not in names:
                    (place / "plugins" / kind / entry.name).symlink_to(entry)
            for name in names:
                (place / f"plugins/{kind}/{name}.py").write_text(text.format(path=str(self.path), verb=name))

    def begin(self, **holders: Answer | None) -> None:
        """Have nodes, each with what the topology says is its server."""
        nodes = {
            name: {
                "data": data(name, number, holder),
                "power": "off",
                "vlan": IDLE,
                "boot": "absent",
                "record": None,
                "device": "none",
                "persistent": False,
                "runs": None,
                "fetches": [],
                "deployment": 0,
                "disk": None,
                "mark": None,
            }
            for number, (name, holder) in enumerate(holders.items(), 11)
        }
        self.save({"nodes": nodes, "log": [], "faults": {}, "kill": None, "broken": []})

    def load(self) -> Answer:
        found: Answer = json.loads(self.path.read_text(encoding="utf-8"))
        return found

    def save(self, state: Answer) -> None:
        # Whole or not at all: the compiler, so to speak, reads it without a lock.
        new = self.path.with_suffix(".new")
        new.write_text(json.dumps(state), encoding="utf-8")
        new.replace(self.path)

    def change(self, what: t.Callable[[Answer], t.Any]) -> t.Any:
        """Change the file, alone: nodes act at the same time."""
        descriptor = os.open(f"{self.path}.lock", os.O_RDWR | os.O_CREAT)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            state = self.load()
            found = what(state)
            self.save(state)
            return found
        finally:
            os.close(descriptor)

    def node(self, name: str) -> Answer:
        found: Answer = self.load()["nodes"][name]
        return found

    def log(self, name: str) -> list[str]:
        return [text for who, text in self.load()["log"] if who == name]

    # what happens between the modules

    def _module(self, name: str, host: str, what: t.Callable[[Answer, Answer], Answer]) -> Answer:
        """Do a module's work; fail, or end the whole run, where a test wants that."""

        def act(state: Answer) -> Answer:
            if self._killed(state, name, "before"):
                return {"kill": True}
            fault = state["faults"].get(f"{host}:{name}")
            if fault is not None:
                return {"failed": True, "msg": fault, "nodes": [{"name": host, "state": state["nodes"][host]["power"]}]}
            found = what(state, state["nodes"][host])
            if self._killed(state, name, "after"):
                found["kill"] = True
            return found

        found: Answer = self.change(act)
        if found.pop("kill", False):
            os.kill(os.getppid(), signal.SIGKILL)
            os.kill(os.getpid(), signal.SIGKILL)
        return {"changed": False, **found}

    @staticmethod
    def _killed(state: Answer, name: str, when: str) -> bool:
        """Tell whether the run ends here: before or after a module that runs, for the n-th time."""
        if not state["kill"] or state["kill"][:2] != [name, when]:
            return False
        state["kill"][2] -= 1
        if state["kill"][2]:
            return False
        state["kill"] = None
        return True

    @staticmethod
    def _noted(state: Answer, host: str, text: str) -> None:
        state["log"].append([host, text])

    @staticmethod
    def _boot(state: Answer, node: Answer, host: str) -> None:
        """Have a node boot what it would: from the network once, or from its disk."""
        # What a boot server says to boot it says in one VLAN only.
        says = {("ramdisk", True): "ramdisk", ("iscsi", False): "volume"}.get((node["boot"], node["vlan"] == SERVICE))
        node["runs"] = says if says and node["device"] == "pxe" else "disk"
        if node["runs"] == "ramdisk":
            node["fetches"] += [
                "boot.ipxe",
                "nodes/52-54-00.ipxe",
                "ramdisk/vmlinuz",
                "ramdisk/initrd",
                "identity.cpio",
            ]
        else:
            for vlan in {vlan for place, vlan in node.items() if place.startswith("vlan")} - set(TENANTS.values()):
                state["broken"].append(f"{host}: what is on the {node['runs']} runs in VLAN {vlan}")
        if not node["persistent"]:
            node["device"] = "none"

    # the modules

    def bmc_info(self, host: str, arguments: Answer) -> Answer:
        def what(state: Answer, node: Answer) -> Answer:
            told = {key: node[key] for key in ("device", "persistent")}
            return {"nodes": [{"name": host, "state": node["power"], "error": None, **told}]}

        return self._module("bmc_info", host, what)

    def bmc_power(self, host: str, arguments: Answer) -> Answer:
        item = arguments["nodes"][0]

        def what(state: Answer, node: Answer) -> Answer:
            changed = item["state"] == "restarted" or node["power"] != item["state"]
            if changed:
                softly = " softly" if item["state"] == "off" and item["soft_timeout"] else ""
                self._noted(state, host, f"power {item['state']}{softly}")
                node.update(power="off" if item["state"] == "off" else "on", runs=None)
                if item["state"] != "off":
                    self._boot(state, node, host)
            return {"changed": changed, "nodes": [{"name": host, "state": node["power"], "error": None}]}

        return self._module("bmc_power", host, what)

    def bmc_boot_device(self, host: str, arguments: Answer) -> Answer:
        item = arguments["nodes"][0]

        def what(state: Answer, node: Answer) -> Answer:
            after = {"device": item["device"], "persistent": bool(item.get("persistent"))}
            changed = {key: node[key] for key in after} != after
            if changed:
                self._noted(state, host, f"boot {item['device']}")
                node.update(after)
            return {"changed": changed}

        return self._module("bmc_boot_device", host, what)

    def switch_ports(self, host: str, arguments: Answer) -> Answer:
        assert arguments["switch"]["username"] == "weft"

        def what(state: Answer, node: Answer) -> Answer:
            vlan, place, where = arguments["ports"][0].get("vlan"), *self._place(arguments)
            fault = state["faults"].get(f"{host}:switch_ports{where}")
            if fault is not None:
                return {"failed": True, "msg": fault}
            before = node.get(place)
            if vlan != before:
                if node["power"] != "off":
                    state["broken"].append(f"{host}: VLAN {before} -> {vlan}{where} while it is {node['power']}")
                self._noted(state, host, f"VLAN {vlan}{where}")
                node[place] = vlan
            return {"changed": vlan != before}

        return self._module("switch_ports", host, what)

    @staticmethod
    def _place(arguments: Answer) -> tuple[str, str]:
        """Return where the VLAN of a node's port at a switch is kept, and how that is said: most have one at leaf1."""
        switch = arguments["switch"]["name"]
        return ("vlan", "") if switch == "leaf1" else (f"vlan at {switch}", f" at {switch}")

    def switch_ports_info(self, host: str, arguments: Answer) -> Answer:
        def what(state: Answer, node: Answer) -> Answer:
            vlan = node.get(self._place(arguments)[0])
            port: Answer = {"name": arguments["ports"][0], "state": "present", "enabled": vlan is not None}
            if vlan is not None:
                port.update(mode="access", vlan=vlan)
            return {"ports": [port]}

        return self._module("switch_ports_info", host, what)

    def boot_files(self, host: str, arguments: Answer) -> Answer:
        item = arguments["nodes"][0]

        def what(state: Answer, node: Answer) -> Answer:
            after = {"boot": item["boot"], "record": item.get("record", node["record"])}
            if item["boot"] == "iscsi":
                assert (item["server"], item["address"], item["mac_addresses"]) == ("metal-id", "10.0.0.5", [MAC])
                assert item["iscsi"]["password"] == "very secret"
            if item["boot"] == "absent":
                after["record"] = None
            changed = bool(item.get("renew")) or {key: node[key] for key in after} != after
            if changed:
                phase = (after["record"] or {}).get("phase")
                self._noted(state, host, f"files {item['boot']}{' for ' + phase if phase else ''}")
                node.update(after, fetches=[], deployment=node["deployment"] + bool(item.get("renew")))
            return {"changed": changed, "nodes": [self._boot_node(host, node, secrets=True)]}

        return self._module("boot_files", host, what)

    def boot_files_info(self, host: str, arguments: Answer) -> Answer:
        return self._module(
            "boot_files_info", host, lambda state, node: {"nodes": [self._boot_node(host, node, secrets=False)]}
        )

    @staticmethod
    def _boot_node(host: str, node: Answer, secrets: bool) -> Answer:
        fetches = [{"time": "", "address": node["data"]["address"], "file": file} for file in node["fetches"]]
        found = {"name": host, "boot": node["boot"], "record": node["record"], "fetches": fetches}
        if secrets:
            found.update(host_key="ssh-ed25519 AAAA", private_key="very secret")
        return found

    def ramdisk_connection(self, host: str, arguments: Answer) -> Answer:
        def what(state: Answer, node: Answer) -> Answer:
            if arguments.get("state") == "absent":
                if arguments.get("power_off") and arguments.get("directory") and node["runs"] == "ramdisk":
                    self._noted(state, host, "poweroff inside")
                    node.update(power="off", runs=None)
                return {}
            reached = node["runs"] == "ramdisk" and arguments["private_key"] == "very secret"
            self._noted(state, host, "connect" if reached else "connect in vain")
            if not reached and arguments.get("required", True):
                said = "nobody could log in to the ramdisk within 600 s: no answer"
                return {"failed": True, "reached": False, "msg": said}
            return {"reached": reached, "directory": f"/tmp/weft-ssh-0-{host}", "ssh_arguments": "-F x"}

        return self._module("ramdisk_connection", host, what)

    def _in_ramdisk(self, name: str, host: str, what: t.Callable[[Answer, Answer], Answer]) -> Answer:
        def inside(state: Answer, node: Answer) -> Answer:
            return what(state, node) if node["runs"] == "ramdisk" else {"failed": True, "msg": "the ramdisk is gone"}

        return self._module(name, host, inside)

    def disk_image(self, host: str, arguments: Answer) -> Answer:
        def what(state: Answer, node: Answer) -> Answer:
            after = [arguments["server_id"], arguments["image"]["checksum"]]
            assert arguments["image"]["url"] == f"http://10.66.100.2/images/{after[1][7:]}.raw"
            name = arguments.get("deployment")
            changed = node["disk"] != after or (name is not None and node["mark"] != name)
            if changed and node["data"]["deploy_interface"] == "iscsi":
                assert arguments["exported_size"] == SIZE
                assert node.pop("exported") == "written"
            if changed:
                self._noted(state, host, "write")
                node.update(disk=after, mark=name)
            return {"changed": changed}

        return self._in_ramdisk("disk_image", host, what)

    def disk_export(self, host: str, arguments: Answer) -> Answer:
        def what(state: Answer, node: Answer) -> Answer:
            assert arguments["address"] == node["data"]["address"]
            assert arguments["initiator_address"] == "10.66.100.2"
            needed = node["disk"] != [arguments["server_id"], arguments["image"]["checksum"]]
            needed = needed or "deployment" in arguments
            if needed:
                self._noted(state, host, "export")
                node["exported"] = arguments["password"]
            return {"changed": needed, "needed": needed, "port": 3260}

        return self._in_ramdisk("disk_export", host, what)

    def iscsi_image(self, host: str, arguments: Answer) -> Answer:
        def what(state: Answer, node: Answer) -> Answer:
            assert arguments["namespace"] == "qboot-deploy-id"
            assert arguments["password"] == node["exported"] != ""
            assert arguments["image"]["path"].endswith(f"/images/{arguments['image']['checksum'][7:]}.raw")
            self._noted(state, host, "write over iSCSI")
            node["exported"] = "written"
            return {"changed": True, "size": SIZE}

        return self._in_ramdisk("iscsi_image", host, what)

    def disk_clean(self, host: str, arguments: Answer) -> Answer:
        def what(state: Answer, node: Answer) -> Answer:
            self._noted(state, host, f"clean {','.join(arguments['method'])}")
            node["disk"] = None
            return {"changed": True, "disks": [{"name": "/dev/vda"}]}

        return self._in_ramdisk("disk_clean", host, what)

    def disk_info(self, host: str, arguments: Answer) -> Answer:
        return self._in_ramdisk(
            "disk_info", host, lambda state, node: {"disks": [{"name": "/dev/vda", "clean": node["disk"] is None}]}
        )

    def hardware_info(self, host: str, arguments: Answer) -> Answer:
        return self._in_ramdisk("hardware_info", host, lambda state, node: {"cpus": 1})
