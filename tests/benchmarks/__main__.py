# Copyright (c) 2026 weft.fabric contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""All benchmarks, or those named.

Usage: python -m ansible_collections.weft.fabric.tests.benchmarks [compiler] [host] [images] [node_image] [routers]
[switches]
"""

from __future__ import annotations

import sys

from . import compiler, host, images, node_image, routers, switches

BENCHMARKS = {
    "compiler": compiler.run,
    "host": host.run,
    "images": images.run,
    "node_image": node_image.run,
    "routers": routers.run,
    "switches": switches.run,
}

if __name__ == "__main__":
    for name in sys.argv[1:] or BENCHMARKS:
        BENCHMARKS[name]()
