# Copyright (c) 2026 weft.fabric contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations


class ModuleDocFragment:
    # How a switch is reached: for all modules that speak to one.
    DOCUMENTATION = r"""
options:
  switch:
    description:
      - The switch, and how it is reached. One module call has one session with it.
      - Only one attempt is made to log in, so that a wrong password locks no account.
    type: dict
    required: true
    suboptions:
      name:
        description: Name of the switch in messages and audit records. Its address when not given.
        type: str
      driver:
        description: Which family of switches it is of, and so which models it is spoken to in.
        type: str
        choices: [eos, iosxe, junos, nxos, openconfig]
        required: true
      address:
        description: IP address or name of its NETCONF server.
        type: str
        required: true
      port:
        description: Port of its NETCONF server.
        type: int
        default: 830
      username:
        description: User to log in as.
        type: str
        required: true
      password:
        description: Password of the user; with O(switch.ssh_key_file), the passphrase of the key.
        type: str
      ssh_key_file:
        description: File with the private key to log in with, on the controller.
        type: path
      host_key:
        description:
          - The switch's public host key, as C(ssh-keyscan -p 830) prints it.
          - Without it, the key is looked up in O(switch.known_hosts).
        type: str
      known_hosts:
        description: File with known host keys. Those of the user and of the system when not given.
        type: path
      host_key_checking:
        description: Whether the switch must show the key that it is known by. Nothing is sent to one that does not.
        type: bool
        default: true
      timeout:
        description: Seconds to wait for the answer to a request.
        type: int
        default: 30
      connect_timeout:
        description: Seconds until the session must stand, from the first packet to the end of the greetings.
        type: int
        default: 8
requirements:
  - ncclient 0.6.15 or newer, on the controller
notes:
  - Runs on the controller. In a play of its own, set C(connection=local). Ansible's own Python is used, and with it
    ncclient, unless C(ansible_python_interpreter) names another one.
"""

    # How carefully it is written to.
    WRITING = r"""
options:
  policy:
    description: What the collection may do to the switch. Whatever is outside of it is refused.
    type: dict
    required: true
    suboptions:
      allowed_vlans:
        description: The VLANs, as numbers and ranges, that may be set, made and removed. There is no default.
        type: list
        elements: str
        required: true
      allowed_ports:
        description: The ports that may be written to, members of aggregates among them. Those listed when not given.
        type: list
        elements: str
      uplinks:
        description: Ports that are never written to.
        type: list
        elements: str
        default: []
      owned_vlans:
        description:
          - The VLANs that a port may be in now when it is taken. O(policy.allowed_vlans) when not given.
          - A port that is in any other VLAN is somebody else's, and is refused.
        type: list
        elements: str
  confirmed_commit:
    description:
      - Seconds after which the switch goes back to what it was, unless what it did was read back and found right.
      - V(0) commits without this net; what was written is read back all the same, and undone when it is wrong.
      - When not given, 30, and 0 for switches that are busy for the whole time (O(switch.driver=nxos)).
    type: int
  lock_timeout:
    description:
      - Seconds to wait for other runs of this user on this machine, and as many for other NETCONF sessions.
    type: int
    default: 60
  discard_foreign:
    description:
      - Whether to throw away what somebody left in the candidate configuration without committing it.
      - Otherwise such a candidate is an error.
    type: bool
    default: false
  persist:
    description:
      - Whether to save the running configuration for the switch's next start, once after all changes.
      - With V(driver), it is saved in the way the family has. With V(startup), a switch that cannot is an error.
      - What an earlier run could not save is saved when that can be seen.
    type: str
    choices: [driver, none, startup]
    default: driver
  audit_file:
    description:
      - File on the controller to which each write adds a line of JSON for each port and VLAN.
      - It says when, who, which switch, session and port, before, after, duration in seconds, and result.
      - C(weft-fabric/switches.jsonl) under C($XDG_STATE_HOME), or under C(~/.local/state), when not given.
    type: path
  who:
    description: Who is behind this run, for the audit file. The name of the user who runs Ansible when not given.
    type: str
notes:
  - The order is lock, read again, one C(edit-config), commit that waits for a confirmation, read back, confirmation.
  - Of several processes at once, on one machine and by one user, one is at a switch and the others wait. Between
    machines it is NETCONF's own lock that they wait for.
"""
