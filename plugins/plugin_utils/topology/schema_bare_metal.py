# Copyright (c) 2026 weft.fabric contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a topology file may say of bare metal. Part of schema.py."""

from __future__ import annotations

from . import kinds
from . import kinds_bare_metal as metal
from . import kinds_switches as switch_kinds
from .kinds import Choice, Free, Whole
from .model_bare_metal import ARCHITECTURES, BOOT_MODES, DEPLOY_INTERFACES, FORMATS, PROTOCOLS, TIMEOUTS
from .schema_ports import FIXED_IP
from .shapes import Attribute, ListOf, Named, Resource

A = Attribute

PHASE_NETWORKS = Resource(
    "networks of bare metal",
    (
        A(
            "deployment",
            switch_kinds.NETWORK,
            "Where nodes are while they are written, as PROJECT/NAME.",
            required=True,
        ),
        A("cleaning", switch_kinds.NETWORK, "While they are cleaned. That of the deployment when not given."),
        A("inspection", switch_kinds.NETWORK, "While they are inspected. That of the deployment when not given."),
        A("rescue", switch_kinds.NETWORK, "While they are rescued. That of the deployment when not given."),
    ),
)

BARE_METAL = Resource(
    "bare metal",
    (
        A("boot_server", kinds.NAME, "The host that nodes boot from.", required=True),
        A("networks", PHASE_NETWORKS, "The networks that nodes are in while they are no tenant's.", required=True),
        A("idle_vlan", switch_kinds.VLAN, "The VLAN of nodes that are nobody's. Their ports are shut when not given."),
        A("max_concurrent_writes", Whole(1, 1000), "How many images are written at the same time.", default=4),
    ),
)

IMAGE = Resource(
    "image",
    (
        A("url", metal.IMAGE_URL, "Where the file is: https, http, or file on the controller.", required=True),
        A("checksum", metal.CHECKSUM, "sha256:HEX or sha512:HEX of the file as it is served."),
        A(
            "checksum_file",
            switch_kinds.PATH,
            "Instead of checksum: a file on the controller as sha256sum writes it, relative to this one.",
        ),
        A("format", Choice(*FORMATS), "What the file is: a whole disk, raw or packed.", required=True),
        A("size", metal.SIZE, "Its size unpacked. Asked of the file when not given."),
    ),
)

_TRAITS = ListOf(metal.TRAIT)
_ARCHITECTURE = Choice(*ARCHITECTURES)

FLAVOR = Resource(
    "flavor",
    (
        A("cpus", Whole(1, 65_535), "How many processors a node must have at least."),
        A("memory", metal.SIZE, "How much memory at least."),
        A("disk", metal.SIZE, "How large a disk at least."),
        A("architecture", _ARCHITECTURE, "Which processors. Any when not given."),
        A("traits", _TRAITS, "What else it must have."),
    ),
)

_SECONDS = Whole(1, 3600)

BMC = Resource(
    "BMC",
    (
        A("protocol", Choice(*PROTOCOLS), "What it speaks.", required=True),
        A("address", switch_kinds.ADDRESS, "Where it is.", required=True),
        A("port", Whole(1, 65_535), "Its port. 623 for IPMI and 443 for Redfish when not given."),
        A("username", metal.USERNAME, "Who logs in. A Jinja reference or !vault is allowed.", required=True),
        A(
            "password",
            metal.PASSWORD,
            "A Jinja reference to a variable, or !vault. A literal one is refused.",
            required=True,
        ),
        A("kg", metal.KEY, "ipmi: the BMC's own key, as a Jinja reference or !vault."),
        A("privilege", Choice("operator", "administrator"), "ipmi: what a session may do. operator when not given."),
        A("system", metal.SYSTEM, "redfish: which system the node is, where a BMC has several."),
        A("validate_certs", kinds.BOOLEAN, "redfish: whether its certificate must be one that is trusted."),
        A("certificate_fingerprint", metal.FINGERPRINT, "redfish: SHA-256 of its certificate, whoever has signed it."),
        A("connect_timeout", _SECONDS, "Seconds until a session must stand. The module's default when not given."),
        A("timeout", _SECONDS, "Seconds an answer may take. The module's default when not given."),
        A("retry_timeout", _SECONDS, "For how many seconds a busy BMC is tried again. The module's default."),
        A("lock_timeout", _SECONDS, "Seconds to wait for other runs at it. The module's default when not given."),
    ),
)

NIC = Resource(
    "network interface",
    (
        A("mac_address", kinds.MAC, "Its MAC address.", required=True),
        A("switch", kinds.NAME, "The switch it is plugged into.", required=True),
        A("port", switch_kinds.INTERFACE, "The port there, by the switch's own name.", required=True),
        A("pxe", kinds.BOOLEAN, "Whether the node boots from it. True for the only interface when not given."),
        A("edge", kinds.BOOLEAN, "Whether its port is an edge port of the spanning tree.", default=True),
        A("bond", kinds.DEVICE, "The bond that it is in with others, active-backup. In none when not given."),
    ),
)

PROPERTIES = Resource(
    "properties of the node",
    (
        A("cpus", Whole(1, 65_535), "How many processors it has."),
        A("memory", metal.SIZE, "How much memory."),
        A("disk", metal.SIZE, "How large its root disk is."),
        A("architecture", _ARCHITECTURE, "Which processors.", default="x86_64"),
    ),
)

ROOT_DEVICE = Resource(
    "hints for the root device",
    (
        A("name", metal.TEXT_HINT, "Its device, like /dev/sda; not the same at every boot."),
        A("serial", metal.TEXT_HINT, "Its serial number."),
        A("wwn", metal.TEXT_HINT, "Its World Wide Name."),
        A("vendor", metal.TEXT_HINT, "Its vendor."),
        A("model", metal.TEXT_HINT, "Its model."),
        A("size", metal.SIZE_HINT, "Its size, in GiB without a unit."),
        A("by_path", metal.TEXT_HINT, "Where it is plugged in, like /dev/disk/by-path/pci-0000:00:1f.2-ata-1."),
        A("rotational", kinds.BOOLEAN, "Whether it turns."),
    ),
)

NODE_TIMEOUTS = Resource(
    "timeouts of the node",
    (
        A("power", Whole(1, 3600), "Seconds until the BMC must tell a new power state.", default=TIMEOUTS["power"]),
        A("soft_off", Whole(0, 3600), "Seconds its system has to power off.", default=TIMEOUTS["soft_off"]),
        A("boot", Whole(10, 7200), "Seconds from power on until it can be logged in to.", default=TIMEOUTS["boot"]),
        A("write", Whole(10, 604_800), "Seconds that the writing of its image may take.", default=TIMEOUTS["write"]),
        A("stall", Whole(1, 3600), "Seconds without a byte after which a write has failed.", default=TIMEOUTS["stall"]),
    ),
)

NODE = Resource(
    "node",
    (
        A("bmc", BMC, "How its power is switched.", required=True),
        A("nics", Named(NIC), "Its network interfaces, by name.", required=True),
        A("properties", PROPERTIES, "What it has, for flavors to choose by."),
        A("root_device", ROOT_DEVICE, "Which disk is written. The only one when not given."),
        A("traits", _TRAITS, "What else it has, in words that flavors ask for."),
        A("boot_mode", Choice(*BOOT_MODES), "How its firmware boots.", required=True),
        A("boot_device_readable", kinds.BOOLEAN, "Whether its BMC tells what it boots from.", default=True),
        A(
            "deploy_interface",
            Choice(*DEPLOY_INTERFACES),
            "Who writes its disk: the node itself, or the boot server, over iSCSI.",
            default="direct",
        ),
        A("timeouts", NODE_TIMEOUTS, "How long its phases may take."),
        A("vars", Free(dict), "Any Ansible variables of the node; Jinja and !vault are allowed."),
    ),
    free_prefix="ansible_",
)

SERVER_NETWORK = Resource(
    "network of the server",
    (
        A("network", kinds.NAME, "A vlan or flat network of the same project.", required=True),
        A("nic", kinds.NAME, "The interface of the node that is in it, or a bond. Chosen when not given."),
        A("fixed_ips", ListOf(FIXED_IP), "Its addresses. One of each IP version when not given; [] for none."),
    ),
    shorthand="network",
)

VOLUME = Resource(
    "volume of the server",
    (
        A("target_portal", metal.PORTAL, "Where its iSCSI target listens: ADDRESS or ADDRESS:PORT.", required=True),
        A("target_iqn", metal.IQN, "The target's name.", required=True),
        A("target_lun", Whole(0, 16_383), "Which of the target's units it is.", default=0),
        A("initiator_iqn", metal.IQN, "What the node calls itself. A name with the server's id when not given."),
        A("auth_username", metal.CHAP_USER, "User name for CHAP."),
        A(
            "auth_password",
            metal.CHAP_PASSWORD,
            "A Jinja reference, or !vault. A literal one is refused.",
        ),
    ),
)

SERVER = Resource(
    "server",
    (
        A("node", kinds.NAME, "The node it is on. Chosen by flavor when not given."),
        A("flavor", kinds.NAME, "What its node must have."),
        A("image", kinds.NAME, "What is written to its disk. Either this or volume."),
        A("volume", VOLUME, "What it boots from instead of its disk, over iSCSI."),
        A("networks", ListOf(SERVER_NETWORK), "The networks it is in, each as a name or a mapping.", required=True),
        A("keys", ListOf(metal.PUBLIC_KEY), "Public SSH keys of who may log in."),
        A("user_data", metal.USER_DATA, "What cloud-init is given."),
        A("user_data_file", switch_kinds.PATH, "Instead of user_data: a file with it, relative to this one."),
        A("hostname", kinds.DNS_LABEL, "Its name. The server's name when not given."),
    ),
)
