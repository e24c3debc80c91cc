# Copyright (c) 2026 weft.fabric contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A narrow client for OpenFlow: what is needed of ovs-ofctl(8), nothing else."""

from __future__ import annotations

import math
import os
import re
import shutil
import tempfile

from ansible_collections.weft.fabric.plugins.module_utils import command
from ansible_collections.weft.fabric.plugins.module_utils.reconcile import FabricError

VERSION = "OpenFlow14"  # the oldest with bundles
DEFAULT_RUNDIR = "/var/run/openvswitch"
TIMEOUT = 60  # seconds for one command
_PATH = "/usr/sbin:/usr/bin:/sbin:/bin:/usr/local/sbin:/usr/local/bin"
_LINE_NUMBER = re.compile(r"^ovs-ofctl: [^\n]*?:(\d+): (.*)$", re.MULTILINE)
_SWITCH_ERROR = re.compile(r"^Error (\w+) for: [^\n]*?: (?:ADD|MOD|DEL)\w* ?([^\n]*)$", re.MULTILINE)
_FLOW_COUNT = re.compile(r"\bflow_count=(\d+)")
_UNUSABLE = "none of the usable flow formats"

# ovs-ofctl ends itself by an alarm (signal 14) when its time is up.
_TIMED_OUT = (-14, 128 + 14)


class FlowRefused(FabricError):
    """A flow is wrong; index says which line of the input, where that is known."""

    def __init__(self, message, index=None):
        super().__init__(message)
        self.index = index


class OfctlClient(object):
    """Runs ovs-ofctl against the bridges of one Open vSwitch."""

    def __init__(self, rundir=None, timeout=TIMEOUT):
        self.rundir = rundir or DEFAULT_RUNDIR
        self.timeout = timeout

    def diff(self, bridge, lines):
        """Compare a bridge's flows with the lines; return the output of diff-flows."""
        with _FlowFile(lines) as path:
            return self._run(["diff-flows", self._target(bridge), path], "bridge %s" % bridge, differs=True)

    def canonical(self, lines, subject):
        """Return the lines as Open vSwitch writes them (of flows with one match the last), asking no switch."""
        with _FlowFile([]) as empty, _FlowFile(lines) as path:
            return self._run(["diff-flows", empty, path], subject, differs=True)

    def bundle(self, bridge, lines):
        """Send flow modifications ("add …", "delete_strict …") that take effect together or not at all."""
        try:
            self._run(["--bundle", "add-flows", self._target(bridge), "-"], "bridge %s" % bridge, lines)
        except FlowRefused as error:
            if error.index is None and _UNUSABLE in str(error):
                raise self._find_unusable(bridge, lines, error) from error
            raise

    def dump(self, bridge, cookie=None):
        """Return the output of dump-flows, for the flows of a cookie "value/mask"."""
        arguments = ["--no-stats", "dump-flows", self._target(bridge)]
        return self._run(arguments + (["cookie=" + cookie] if cookie else []), "bridge %s" % bridge)

    def count(self, bridge, cookie):
        """Return how many flows of a cookie "value/mask" a bridge has."""
        output = self._run(["dump-aggregate", self._target(bridge), "cookie=" + cookie], "bridge %s" % bridge)
        return int(_FLOW_COUNT.findall(output)[-1])

    def _target(self, bridge):
        return "unix:" + os.path.join(self.rundir, bridge + ".mgmt")

    def _run(self, arguments, subject, lines=None, differs=False):
        program = shutil.which("ovs-ofctl", path=os.environ.get("PATH", "") + ":" + _PATH)
        if program is None:
            raise FabricError("%s: ovs-ofctl is not installed. Install Open vSwitch on this host." % subject)
        words = [program, "-O", VERSION, "--no-names", "--timeout=%d" % math.ceil(self.timeout), *arguments]
        done = command.run(words, "" if lines is None else _text(lines))
        if done.returncode in _TIMED_OUT:
            raise FabricError(
                "%s: ovs-ofctl got no answer within %g s. Is ovs-vswitchd running?" % (subject, self.timeout)
            )
        if done.returncode == 0 or (differs and done.returncode == 2):
            return done.stdout
        raise _explain(subject, done.stderr)

    def _find_unusable(self, bridge, lines, error):
        """Find the flow that no OpenFlow version allows: ovs-ofctl tells of the whole input only."""
        flows = [line.partition(" ")[2] for line in lines if line.startswith("add ")]
        low, high = 0, len(flows)
        while high - low > 1:
            middle = (low + high) // 2
            if self._is_usable(flows[low:middle]):
                low = middle
            else:
                high = middle
        return FlowRefused(
            "bridge %s: OpenFlow does not allow this flow, usually because an action needs a match that is not there "
            "(pop_vlan needs vlan_tci or dl_vlan, ct needs ip): %s" % (bridge, flows[low] if flows else error), low
        )  # fmt: skip

    def _is_usable(self, flows):
        try:
            self._run(["parse-flows", "-"], "", flows)
        except FlowRefused:
            return False
        return True


class _FlowFile(object):
    """A private file of flows that lives as long as a command."""

    def __init__(self, lines):
        self._lines = lines

    def __enter__(self):
        descriptor, self._path = tempfile.mkstemp(prefix="weft-flows-")
        with os.fdopen(descriptor, "w", encoding="utf-8") as stream:
            stream.write(_text(self._lines))
        return self._path

    def __exit__(self, *exception):
        os.unlink(self._path)


def _text(lines):
    return "".join(line + "\n" for line in lines)


def _explain(subject, stderr):
    """Turn what ovs-ofctl printed into an error; find the flow it is about."""
    found = _LINE_NUMBER.search(stderr)
    if found:
        return FlowRefused("%s: %s" % (subject, found.group(2)), int(found.group(1)) - 1)
    found = _SWITCH_ERROR.search(stderr)
    if found:
        return FlowRefused("%s: Open vSwitch refused this flow (%s): %s" % (subject, found.group(1), found.group(2)))
    if "version negotiation failed" in stderr:
        return FabricError(
            "%s does not speak %s, which bundles need. Add it to the bridge's protocols." % (subject, VERSION)
        )
    if any(sign in stderr for sign in ("is not a bridge or a socket", "failed to connect", "connecting to")):
        return FabricError(
            "%s does not answer (%s). Is ovs-vswitchd running, and was the bridge really made "
            "(ovs-vsctl --columns=name,datapath_id list Bridge)?" % (subject, stderr.strip().splitlines()[-1])
        )
    return FlowRefused("%s: %s" % (subject, stderr.strip() or "ovs-ofctl failed and said nothing"))
