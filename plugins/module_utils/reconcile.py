# Copyright (c) 2026 weft.fabric contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The one shape of all modules: read, diff, apply, read again.

An engine knows one technology. It is built from plain module arguments, so that the same engine
serves an Ansible module and the replay at boot, which has no Ansible.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
import tempfile
import time
import typing as t

from ansible_collections.weft.fabric.plugins.module_utils import command, errors

STATE_DIR = "/var/lib/weft-fabric/state"

# One writer at a time on a host: a killed playbook leaves its module running there, and two
# operators may run at once.
LOCK_FILE = "/run/lock/weft-fabric"
LOCK_SECONDS = 120

ATTEMPTS = 2

# A cold host can have tens of thousands of operations; a controller wants to hold hundreds of hosts.
MAX_REPORTED_CHANGES = 1000


# Engines take it from here.
FabricError = errors.FabricError


class Operation(object):
    """One step from the current to the desired state.

    text is what a person reads, and is the same in check mode and for real. payload is the
    engine's own. before and after are the lines a diff shows.
    """

    __slots__ = ("text", "payload", "before", "after")

    def __init__(self, text, payload=None, before="", after=""):
        self.text = text
        self.payload = payload
        self.before = before
        self.after = after


class Engine(object):
    """What each technology implements. Constructors take the module's arguments (a dict) and do no I/O."""

    #: module name; also the name of the saved state
    name = ""

    #: in a prediction: namespaces that an engine before this one takes away, with all that is in them
    leaving: t.FrozenSet[str] = frozenset()

    def __init__(self, params):
        self.params = params

    def read(self):
        """Return the current state, in the shape that diff() wants. Changes nothing."""
        raise NotImplementedError

    def diff(self, current):
        """Return the operations (list of Operation) that lead from current to the desired state. Pure."""
        raise NotImplementedError

    def apply(self, operations):
        """Carry out the operations in one transaction. Raise FabricError when it can't be done."""
        raise NotImplementedError

    def extra(self, current):
        """Return further return values that the state read last gives, a dict."""
        return {}

    def removed_namespaces(self, operations):
        """Return the names of the namespaces that the operations take away."""
        return set()


def converge(engine, check_mode=False):
    """Make it so, and return the operations that took and the state that was read last.

    After applying, the state is read again, and what still differs is an error: an exit code of 0
    proves nothing (Open vSwitch reports a bridge it could not make with success).
    """
    current = engine.read()
    operations = left = engine.diff(current)
    # Daemons act on the same things at the same time (Open vSwitch may set a device down that it has
    # just opened anew): what did not last is done once more before it is a failure.
    for _attempt in range(0 if check_mode else ATTEMPTS):
        if not left:
            break
        engine.apply(left)
        current = engine.read()
        left = engine.diff(current)
    if left and not check_mode:
        raise FabricError(
            "%s: %d of %d changes did not take effect, the first: %s. Look at the daemon's log on this host."
            % (engine.name, len(left), len(operations), left[0].text)
        )
    return operations, current


def reconcile(engine, check_mode=False):
    """Make it so, and return what an Ansible module returns."""
    operations, current = converge(engine, check_mode)
    result = summarise(operations)
    result.update(engine.extra(current))
    return result


def summarise(operations):
    """Turn operations into return values."""
    # Sorted, so that it does not depend on what was made in how many turns.
    texts = sorted(operation.text for operation in operations)
    return {
        "changed": bool(operations),
        "changes": [operation.text for operation in operations[:MAX_REPORTED_CHANGES]],
        "changes_total": len(operations),
        "changes_digest": hashlib.sha256("".join(text + "\n" for text in texts).encode("utf-8")).hexdigest(),
        "diff": {
            "before": "".join(o.before + "\n" for o in operations if o.before),
            "after": "".join(o.after + "\n" for o in operations if o.after),
        },
    }


def save_state(name, params, directory=STATE_DIR):
    """Keep the arguments of a successful run for the replay at boot. Return True when the file changed."""
    content = json.dumps(params, sort_keys=True, separators=(",", ":"))
    return write_file(os.path.join(directory, name + ".json"), content + "\n", mode=0o600)


def forget_state(name, directory=STATE_DIR):
    """Remove what save_state() kept. Return True when there was something."""
    try:
        os.unlink(os.path.join(directory, name + ".json"))
    except FileNotFoundError:
        return False
    return True


def read_file(path):
    """Return a file's text, or None when it isn't there."""
    try:
        with open(path, "r", encoding="utf-8") as stream:
            return stream.read()
    except FileNotFoundError:
        return None


def write_file(path, content, mode=0o600, directory_mode=0o700, durable=True):
    """Write a file in one step, so that a killed run leaves the old or the new one. Return True when it changed.

    durable: so does a power failure. That costs a wait for the disk for each file.
    """
    if read_file(path) == content and os.stat(path).st_mode & 0o777 == mode:
        return False
    directory = os.path.dirname(path)
    os.makedirs(directory, mode=directory_mode, exist_ok=True)
    descriptor, temporary = tempfile.mkstemp(dir=directory, prefix=".weft-")
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as stream:
            stream.write(content)
            if durable:
                stream.flush()
                os.fsync(stream.fileno())
        os.chmod(temporary, mode)
        os.rename(temporary, path)
    except BaseException:
        os.unlink(temporary)
        raise
    return True


@contextlib.contextmanager
def host_lock(path=LOCK_FILE, seconds=LOCK_SECONDS):
    """Hold the host's lock; the kernel drops it when the holder dies, so none is ever left behind."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        end = time.monotonic() + seconds
        while True:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() > end:
                    raise FabricError(
                        "another run has been changing this host for %d s (lock %s; see: fuser -v %s). "
                        "Wait for it, or end it, and run again." % (seconds, path, path)
                    ) from None
                time.sleep(0.1)
        yield
    finally:
        os.close(descriptor)


def run_module(module, engine_class):
    """Run an engine as an Ansible module."""
    params = {key: value for key, value in module.params.items() if key != "save"}

    def work():
        result = reconcile(engine_class(params), module.check_mode)
        if module.params.get("save") and not module.check_mode:
            save_state(engine_class.name, params)
        return result

    run_writing(module, engine_class.name, work)


def run_writing(module, name, work):
    """Run a module that changes the host: the one place where errors become fail_json. work() returns the result."""
    command.use(command.module_runner(module))
    try:
        with contextlib.nullcontext() if module.check_mode else host_lock():
            result = work()
    except FabricError as error:
        module.fail_json(msg=str(error), invocation=_invocation(module))
    except OSError as error:
        module.fail_json(msg="%s: %s" % (name, error), invocation=_invocation(module))
    else:
        if not module._diff:
            result.pop("diff", None)
        module.exit_json(invocation=_invocation(module), **result)


def run_info(module, read):
    """Run a module that only reads: read() returns its return values."""
    command.use(command.module_runner(module))
    try:
        found = read()
    except (FabricError, OSError) as error:
        module.fail_json(msg=str(error))
    else:
        module.exit_json(changed=False, **found)


def _invocation(module):
    """Return the arguments without the lists: a thousand ports sent back are a thousand ports in a log."""
    return {
        "module_args": {
            key: "%d items" % len(value) if isinstance(value, list) else value for key, value in module.params.items()
        }
    }
