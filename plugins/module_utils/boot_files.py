# Copyright (c) 2026 weft.fabric contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The files of the boot replay: a zipapp of the engines, a watcher and systemd units. All it reads is sources."""

from __future__ import annotations

import importlib
import io
import os
import re
import sys
import typing as t
import zipfile

from ansible_collections.weft.fabric.plugins.module_utils import replay
from ansible_collections.weft.fabric.plugins.module_utils.reconcile import LOCK_FILE

PREFIX = "ansible_collections.weft.fabric.plugins.module_utils"

# What an administrator installs by hand belongs under /usr/local; /usr/lib is the packages'.
PROGRAM_DIR = "/usr/local/lib/weft-fabric"
PROGRAM = PROGRAM_DIR + "/replay.pyz"
WATCHER = PROGRAM_DIR + "/watch"
UNIT_DIR = "/etc/systemd/system"
RUN_DIR = "/run/weft-fabric"
TRIGGER = RUN_DIR + "/ports"
BRIDGES_STATE = "/var/lib/weft-fabric/state/ovs_bridges.json"

# Text, as it is no part of any module: modules run programs through AnsibleModule, and here is none.
_MAIN = """import os
import subprocess
import sys

from %(prefix)s import command
from %(prefix)s.replay import main


def run(words, data):
    try:
        done = subprocess.run(
            words,
            input=data,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            universal_newlines=True,
            env=dict(os.environ, **command.ENVIRONMENT),
            timeout=command.LIMIT,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise command.hangs(words) from None
    return command.Result(done.returncode, done.stdout, done.stderr)


command.use(run)
sys.exit(main())
""" % {"prefix": PREFIX}
_IMPORT = re.compile(r"^ *from %s(?:\.(\w+))? import (?:\(([^)]*)\)|([^\n#]*))" % re.escape(PREFIX), re.MULTILINE)
_EPOCH = (1980, 1, 1, 0, 0, 0)  # the earliest that a zip file can say

_NOTE = "# Made by the module weft.fabric.boot_replay; changes made here are overwritten.\n"

REPLAY_UNIT = (
    _NOTE
    + """[Unit]
Description=Bring the fabric's network back to its last applied state
After=network-pre.target ovsdb-server.service ovs-vswitchd.service openvswitch-switch.service openvswitch.service
Before=network-online.target
# A restarted ovs-vswitchd has no flows. A restart by hand reaches this unit through PartOf, the restart of a killed
# ovs-vswitchd by systemd through the Wants that [Install] makes.
PartOf=ovs-vswitchd.service
ReloadPropagatedFrom=ovs-vswitchd.service openvswitch-switch.service openvswitch.service
StartLimitIntervalSec=0

[Service]
Type=oneshot
RemainAfterExit=yes
# A run that has just enabled this goes on for a while: let it, without a second program of its size beside it.
ExecStartPre=-/usr/bin/flock --timeout 30 %(lock)s /bin/true
ExecStart=%(python)s -I %(program)s
ExecReload=%(python)s -I %(program)s
TimeoutStartSec=300

[Install]
WantedBy=multi-user.target ovs-vswitchd.service
"""
)

PORTS_UNIT = (
    _NOTE
    + """[Unit]
Description=Wire what others have plugged into the fabric
After=weft-fabric-replay.service ovs-vswitchd.service
StartLimitIntervalSec=0

[Service]
Type=oneshot
# First, so that a port that is plugged in while this runs brings about another run.
ExecStartPre=/bin/rm -f %(trigger)s
ExecStart=%(python)s -I %(program)s ports
TimeoutStartSec=300
"""
)

PORTS_PATH = (
    _NOTE
    + """[Unit]
Description=Notice that something was plugged into the fabric

[Path]
PathExists=%(trigger)s

[Install]
WantedBy=multi-user.target
"""
)

WATCH_UNIT = (
    _NOTE
    + """[Unit]
Description=Watch Open vSwitch for ports that others plug in
After=ovsdb-server.service
StartLimitIntervalSec=0

[Service]
ExecStart=/bin/sh %(watcher)s
RuntimeDirectory=weft-fabric
RuntimeDirectoryPreserve=yes
Restart=on-failure
RestartSec=1

[Install]
WantedBy=multi-user.target
"""
)

WATCH_PATH = (
    _NOTE
    + """[Unit]
Description=Notice that the fabric has ports that others plug in

[Path]
PathChanged=%(state)s
Unit=weft-fabric-watch.service

[Install]
WantedBy=multi-user.target
"""
)

WATCH_SCRIPT = (
    "#!/bin/sh\n"
    + _NOTE
    + """# Leaves a mark when an interface with an iface-id comes, goes or gets another port number; a systemd path unit
# acts on it. Ends at once where no port is plugged in by others.
# Usage: watch [STATE [TRIGGER [DATABASE]]]
state=${1:-%(state)s}
trigger=${2:-%(trigger)s}
database=${3:-unix:/var/run/openvswitch/db.sock}

grep -q '"iface_id":"' "$state" 2>/dev/null || exit 0
ovsdb-client --format=csv --data=string --no-headings monitor "$database" Open_vSwitch \\
    Interface name,ofport,external_ids |
while IFS= read -r line; do
    case $line in
        *iface-id=*) mkdir -p "${trigger%%/*}" && : > "$trigger" ;;
    esac
done
# The monitor never ends by itself: ovsdb-server went away. systemd starts this again.
exit 1
"""
)

#: unit -> text. Those in ENABLED are started at boot.
UNITS = {
    "weft-fabric-replay.service": REPLAY_UNIT,
    "weft-fabric-ports.service": PORTS_UNIT,
    "weft-fabric-ports.path": PORTS_PATH,
    "weft-fabric-watch.service": WATCH_UNIT,
    "weft-fabric-watch.path": WATCH_PATH,
}
ENABLED = (
    "weft-fabric-replay.service",
    "weft-fabric-ports.path",
    "weft-fabric-watch.path",
    "weft-fabric-watch.service",
)

#: the watcher ends where it has nothing to watch
MAY_REST = ("weft-fabric-watch.service",)


def files(python=None):
    """Return {path: content (bytes)} of all files."""
    values = {
        "python": python or interpreter(),
        "program": PROGRAM,
        "watcher": WATCHER,
        "trigger": TRIGGER,
        "state": BRIDGES_STATE,
        "lock": LOCK_FILE,
    }
    result = {PROGRAM: zipapp(), WATCHER: (WATCH_SCRIPT % values).encode("utf-8")}
    for name, text in UNITS.items():
        result[os.path.join(UNIT_DIR, name)] = (text % values).encode("utf-8")
    return result


def interpreter(executable=None):
    """Return the Python to run with: the one of this run, by the name that survives an upgrade if it has one."""
    executable = executable or sys.executable
    general = "/usr/bin/python3"
    return general if os.path.realpath(general) == os.path.realpath(executable) else executable


def zipapp():
    """Return the program: the same bytes for the same sources, wherever it is built."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:
        _write(archive, "__main__.py", _MAIN)
        parts = PREFIX.split(".")
        for depth in range(1, len(parts) + 1):
            _write(archive, "/".join(parts[:depth]) + "/__init__.py", "")
        for name, source in sorted(sources().items()):
            _write(archive, "%s/%s.py" % ("/".join(parts), name), source)
    return buffer.getvalue()


def sources(start=None):
    """Return {module: source} of the replay and all it imports from the collection.

    The sources come from whatever this code itself was loaded from, a directory or the archive that Ansible sends.
    """
    found = {}
    waiting = [start or replay.__name__[len(PREFIX) + 1 :]]
    while waiting:
        name = waiting.pop()
        if name not in found:
            found[name] = _source(name)
            waiting.extend(imports(found[name]))
    return found


def _source(name):
    module = importlib.import_module("%s.%s" % (PREFIX, name))
    loader: t.Any = module.__spec__.loader if module.__spec__ else None
    return loader.get_source(module.__name__)


def imports(source):
    """Return the names of the module_utils that a source imports, with either spelling.

    Every run on every host comes through here, and Python's own parser takes a hundred times as long.
    """
    names: t.Set[str] = set()
    for module, several, one_line in _IMPORT.findall(source):
        words = (word.split()[0] for word in (several or one_line).split(",") if word.strip())
        names.update([module] if module else words)
    return sorted(names)


def _write(archive, path, content):
    entry = zipfile.ZipInfo(path, _EPOCH)
    entry.create_system = 3
    entry.external_attr = 0o644 << 16
    archive.writestr(entry, content.encode("utf-8"))
