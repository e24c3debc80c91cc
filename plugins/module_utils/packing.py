# Copyright (c) 2026 weft.fabric contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A host's state as one text, for the way from the controller to the host."""

from __future__ import annotations

import base64
import json
import zlib

from ansible_collections.weft.fabric.plugins.module_utils.reconcile import FabricError


def pack(state):
    """Return a host's state as one text: neither Ansible nor a log has to walk through ten thousand flows."""
    return base64.b64encode(zlib.compress(json.dumps(state).encode("utf-8"), 1)).decode("ascii")


def unpack(text):
    """Return what pack() was given."""
    try:
        return json.loads(zlib.decompress(base64.b64decode(text)).decode("utf-8"))
    except (ValueError, zlib.error) as error:
        raise FabricError("the state is damaged: %s" % error) from error
