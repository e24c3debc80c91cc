# Copyright (c) 2026 weft.fabric contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Stand-in for get-pip.py, which ansible-test downloads from a place that not every machine reaches.

Runs the pip that comes with the interpreter (ensurepip's wheel) inside the new, empty environment,
with the package index as it is configured. Runs on Python 3.8.
"""

from __future__ import annotations

import ensurepip
import os
import subprocess
import sys
import sysconfig
from pathlib import Path

# Options of get-pip.py that pip does not know.
OWN_OPTIONS = ("--no-setuptools", "--no-wheel")


def bundled_pip() -> Path:
    """Return pip's wheel; distributions may keep it apart from the standard library."""
    directories = [Path(ensurepip.__file__).parent / "_bundled"]
    configured = sysconfig.get_config_var("WHEEL_PKG_DIR")
    if configured:
        directories.append(Path(configured))
    for directory in directories:
        for wheel in sorted(directory.glob("pip-*.whl"), reverse=True):
            return wheel
    sys.exit("no pip comes with {0}: looked in {1}".format(sys.executable, ", ".join(map(str, directories))))


if __name__ == "__main__":
    arguments = [argument for argument in sys.argv[1:] if argument not in OWN_OPTIONS]
    environment = dict(os.environ, PYTHONPATH=str(bundled_pip()))
    sys.exit(subprocess.call([sys.executable, "-m", "pip", "install", *arguments], env=environment))
