# Copyright (c) 2026 weft.fabric contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Bring a host back to its last applied state: at boot, and after ovs-vswitchd has been restarted.

Runs on the host without Ansible, with the very engines of the modules. It adds and mends, and removes nothing,
with one exception: flows of the collection that the saved state does not know, when it was saved with purge. A
port that has come back under another number leaves flows behind that would take another port's frames.
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import sys
import time
from collections import namedtuple

from ansible_collections.weft.fabric.plugins.module_utils.dhcp_servers import DhcpServersEngine
from ansible_collections.weft.fabric.plugins.module_utils.namespaces import NamespacesEngine
from ansible_collections.weft.fabric.plugins.module_utils.netboot_servers import BootServersEngine
from ansible_collections.weft.fabric.plugins.module_utils.nftables import NftablesEngine
from ansible_collections.weft.fabric.plugins.module_utils.openflow_flows import OpenflowFlowsEngine
from ansible_collections.weft.fabric.plugins.module_utils.ovs_bridges import OvsBridgesEngine
from ansible_collections.weft.fabric.plugins.module_utils.ovs_tunnel_routes import OvsTunnelRoutesEngine
from ansible_collections.weft.fabric.plugins.module_utils.ovsdb import OvsdbClient
from ansible_collections.weft.fabric.plugins.module_utils.reconcile import (
    LOCK_FILE,
    STATE_DIR,
    FabricError,
    host_lock,
    read_file,
    reconcile,
)
from ansible_collections.weft.fabric.plugins.module_utils.router_advertisements import RouterAdvertisementsEngine
from ansible_collections.weft.fabric.plugins.module_utils.vrrp_routers import VrrpRoutersEngine

LOG = logging.getLogger("weft-fabric-replay")
NETWORK_DEVICES = "/sys/class/net"
MAX_TOLD = 10

#: engine: class. state: whose saved arguments it takes. prepare: params -> params, or None for nothing to do.
#: items: the argument whose items have nothing to do with each other, if there is one.
Step = namedtuple("Step", "title state engine prepare items", defaults=[None])


class Absent(FabricError):
    """Something was done, but ports that the state names are missing."""


def without_absent(value):
    """Return the arguments without the items whose state is absent: a replay removes nothing."""
    if isinstance(value, dict):
        return {key: without_absent(item) for key, item in value.items()}
    if isinstance(value, list):
        items = (item for item in value if not (isinstance(item, dict) and item.get("state") == "absent"))
        return [without_absent(item) for item in items]
    return value


def additions(params):
    """Return what the arguments add."""
    return dict(without_absent(params), purge=False)


def missing_devices(params):
    """Return the part of the namespaces that makes devices for Open vSwitch, or None when all are there.

    Open vSwitch needs taps and veths before it can open them. Devices that Open vSwitch makes itself, and what
    depends on them (addresses, routes), can only come after it: that is why namespaces have two turns.
    """
    params = additions(params)
    present = set(os.listdir(NETWORK_DEVICES))
    first = []
    for namespace in params.get("namespaces") or []:
        links = [link for link in namespace.get("links") or [] if link.get("kind") != "existing"]
        first.append({"name": namespace.get("name"), "links": links, "sysctls": namespace.get("sysctls")})
    wanted = {link.get("peer") or link["name"] for namespace in first for link in namespace["links"]}
    return None if wanted <= present else dict(params, namespaces=first)


def flows(params):
    """Return the flows, with purge as it was saved."""
    return dict(without_absent(params), purge=bool(params.get("purge")))


# In the order of boot. After a crash of ovs-vswitchd, when all devices are still there, the first does nothing, so
# that flows come first: without them nothing is forwarded. Later technologies add themselves at the end.
STEPS = (
    Step("namespaces (devices)", "namespaces", NamespacesEngine, missing_devices),
    Step("ovs_bridges", "ovs_bridges", OvsBridgesEngine, additions),
    Step("openflow_flows", "openflow_flows", OpenflowFlowsEngine, flows),
    # Before the routers have addresses: a connection that one has seen untranslated stays so for as long as it lives.
    Step("nftables", "nftables", NftablesEngine, additions, "tables"),
    Step("namespaces", "namespaces", NamespacesEngine, additions),
    # Open vSwitch looks for the tunnels' source address when it is told the route, so this comes after the addresses.
    Step("ovs_tunnel_routes", "ovs_tunnel_routes", OvsTunnelRoutesEngine, additions),
    Step("dhcp_servers", "dhcp_servers", DhcpServersEngine, additions, "servers"),
    Step("router_advertisements", "router_advertisements", RouterAdvertisementsEngine, additions, "routers"),
    # Late: a router takes no role before everything it needs is wired.
    Step("vrrp_routers", "vrrp_routers", VrrpRoutersEngine, additions, "routers"),
    Step("boot_servers", "boot_servers", BootServersEngine, additions, "servers"),
)

#: what a port that somebody else has plugged in needs
PORT_STEPS = STEPS[1:3]


class Replay(object):
    """One run over the saved state."""

    def __init__(self, state_dir=STATE_DIR):
        self.state_dir = state_dir
        self.failed = []

    def run(self, steps):
        """Do all steps, whatever becomes of the others. Return whether all of them succeeded.

        What a state's last step makes counts: while ovs-vswitchd opens a device that has just been made, it can
        take back a setting of it, and the later turn of the namespaces mends that.
        """
        steps = list(steps)
        for index, step in enumerate(steps):
            params = self._load(step)
            if params is not None:
                later = any(other.state == step.state for other in steps[index + 1 :])
                self._attempt(step.title, lambda step=step, params=params: _reconcile(step, params), not later)
        return not self.failed

    def settle(self):
        """Wait until ovs-vswitchd has carried out its whole configuration: only then do port numbers hold."""
        saved = self._load(STEPS[1]) or self._load(STEPS[2])
        if saved is not None:
            self._attempt("ovs-vswitchd", lambda: _barrier(saved.get("socket")))

    def _load(self, step):
        content = read_file(os.path.join(self.state_dir, step.state + ".json"))
        if content is None:
            return None
        try:
            return json.loads(content)
        except ValueError as error:
            LOG.error("%s: the saved state is damaged (%s). Apply it again with Ansible.", step.title, error)
            self.failed.append(step.title)
            return None

    def _attempt(self, title, action, counts=True):
        start = time.monotonic()
        try:
            outcome = action()
        except (FabricError, OSError) as error:
            after = "failed" if counts else "to be mended later: failed"
            LOG.log(logging.ERROR if counts else logging.WARNING, "%s: %s after %d ms: %s",
                    title, after, _milliseconds(start), error)  # fmt: skip
            self.failed += [title] if counts else []
        except Exception:
            LOG.exception("%s: failed after %d ms", title, _milliseconds(start))
            self.failed.append(title)
        else:
            LOG.info("%s: %s in %d ms", title, outcome, _milliseconds(start))


def _reconcile(step, params):
    prepared = step.prepare(params)
    if prepared is None:
        return "nothing to do"
    try:
        result = _run(step, prepared)
    except (FabricError, OSError):
        items = prepared.get(step.items) or []
        if len(items) < 2:
            raise
        return _one_by_one(step, prepared, items)
    outcome = "%d changes" % result["changes_total"]
    if result.get("pending"):
        outcome += ", %d ports pending" % len(result["pending"])
    if result.get("absent"):
        raise Absent(
            "%s, but there is no working port %s; its flows are left out"
            % (outcome, ", ".join(result["absent"][:MAX_TOLD]))
        )
    return outcome


def _run(step, params):
    engine = step.engine(params)
    engine.tolerant = True
    return reconcile(engine)


def _one_by_one(step, params, items):
    """Do for each item what could not be done for all: one network whose server cannot start costs no other its own."""
    outcomes = [_try(step, dict(params, **{step.items: [item]})) for item in items]
    changes = sum(outcome for outcome in outcomes if isinstance(outcome, int))
    failures = [outcome for outcome in outcomes if isinstance(outcome, str)]
    if failures:
        told = "; ".join(failures[:MAX_TOLD])
        raise FabricError("%d changes, and %d of %d failed: %s" % (changes, len(failures), len(items), told))
    return "%d changes" % changes


def _try(step, params):
    """Return how many changes there were, or what went wrong."""
    try:
        return _run(step, params)["changes_total"]
    except (FabricError, OSError) as error:
        return str(error)


def _barrier(path):
    with OvsdbClient(path) as client:
        client.wait_applied(client.commit([], []))
    return "ready"


def _milliseconds(start):
    return int((time.monotonic() - start) * 1000)


def _log_to_stdout():
    # systemd takes the priority from the start of the line.
    journal = "JOURNAL_STREAM" in os.environ
    logging.addLevelName(logging.INFO, "<6>" if journal else "")
    logging.addLevelName(logging.WARNING, "<4>" if journal else "")
    logging.addLevelName(logging.ERROR, "<3>" if journal else "ERROR: ")
    logging.basicConfig(level=logging.INFO, format="%(levelname)s%(message)s", stream=sys.stdout)


def main(arguments=None):
    """Run from the command line. Return the exit code."""
    parser = argparse.ArgumentParser(prog="replay.pyz", description=__doc__.partition("\n")[0])
    parser.add_argument(
        "part", nargs="?", choices=["all", "ports"], default="all", help="everything, or what newly plugged ports need"
    )
    parser.add_argument("--state-dir", default=STATE_DIR, help="where the saved state lies (default: %(default)s)")
    parser.add_argument("--lock", default=LOCK_FILE, help="the host's lock (default: %(default)s)")
    options = parser.parse_args(arguments)
    _log_to_stdout()
    replay = Replay(options.state_dir)
    try:
        with host_lock(options.lock):
            if options.part == "all":
                replay.settle()
            succeeded = replay.run(STEPS if options.part == "all" else PORT_STEPS)
    except FabricError as error:
        LOG.error("%s", error)
        return 1
    return 0 if succeeded else 1
