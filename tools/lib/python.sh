# shellcheck shell=bash
# Copyright (c) 2026 weft.fabric contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Interpreters, and virtual environments in the cache.

# Controllers. The newest known to work comes first; 3.14 is taken where there is nothing else.
CONTROLLER_PYTHONS=(3.13 3.12 3.11 3.14)
# ansible-core 2.19 runs on these.
OLDEST_PYTHONS=(3.11 3.12 3.13)

# find_python VERSION - the real path of an interpreter that works (a shim may be there and not work)
find_python() {
  local version=$1 candidate pyenv=${PYENV_ROOT:-$HOME/.pyenv}
  {
    type -P -a "python$version" || true
    find "$pyenv/versions" -maxdepth 3 -path "*/$version.*/bin/python$version" 2>/dev/null | sort -rV || true
    find /opt/python*/bin /usr/local/bin -maxdepth 1 -name "python$version" 2>/dev/null || true
  } | while read -r candidate; do
    if "$candidate" - "$version" 2>/dev/null <<'PYTHON'; then
import os, sys
if "%d.%d" % sys.version_info[:2] != sys.argv[1]:
    sys.exit(1)
print(os.path.realpath(sys.executable))
PYTHON
      break
    fi
  done
}

# first_python VERSION… - the first of these that is there
first_python() {
  local version path
  for version in "$@"; do
    path=$(find_python "$version")
    if [[ -n $path ]]; then
      printf '%s\n' "$path"
      return
    fi
  done
  return 1
}

python_version() { "$1" -c 'import sys; print("%d.%d" % sys.version_info[:2])'; }

# install_python - make sure that there is a Python to run the controller with, and that it can make environments
install_python() {
  local python version
  if ! python=$(first_python "${CONTROLLER_PYTHONS[@]}"); then
    ((EUID == 0)) || die "needs Python 3.11 or newer"
    apt-get -q update >/dev/null
    for version in "${CONTROLLER_PYTHONS[@]}"; do
      [[ -n $(apt-cache madison "python$version-venv" 2>/dev/null) ]] || continue
      install_packages "python$version-venv"
      python=$(first_python "$version") && break
    done
    [[ -n $python ]] || die "needs Python 3.11 or newer, and this system's packages have none"
  fi
  "$python" -c 'import ensurepip, venv' 2>/dev/null || install_packages "python$(python_version "$python")-venv"
}

# make_venv NAME PYTHON - print the path of an environment with what tools/requirements/NAME.txt pins.
# Made once for each set of pins and each interpreter; of two that ask at once, one waits.
make_venv() (
  name=$1 python=$2 pins=$WEFT_ROOT/tools/requirements/$1.txt
  digest=$({ cat "$pins"; "$python" -c 'import sys; print(sys.version, sys.executable)'; } | sha256sum | cut -c1-12)
  venv=$WEFT_CACHE/venv-$name-$digest
  exec {lock}>"$venv.lock"
  flock "$lock"
  if [[ ! -e $venv/complete ]]; then
    # What is there without the mark was left by a run that was killed.
    rm -rf "$venv"
    say "Making the Python environment '$name' in $venv"
    if ! { "$python" -m venv "$venv" && _pip "$venv" install -r "$pins"; } >"$venv.log" 2>&1 </dev/null; then
      tail -n 30 "$venv.log" >&2
      die "could not make the Python environment '$name'; the whole log is $venv.log"
    fi
    touch "$venv/complete"
  fi
  printf '%s\n' "$venv"
)

_pip() {
  local venv=$1
  shift
  "$venv/bin/python" -m pip --disable-pip-version-check --no-input "$@"
}

# use_venv NAME - run with this environment first on the PATH, and the system's own programs after it:
# tools call each other by name, and a version manager's shims would answer for Pythons that are not there.
use_venv() {
  local python
  case $1 in
    oldest) python=$(first_python "${OLDEST_PYTHONS[@]}") || return "$NOT_HERE" ;;
    *) python=$(first_python "${CONTROLLER_PYTHONS[@]}") || die "no Python 3.11 or newer found" ;;
  esac
  VENV=$(make_venv "$1" "$python")
  PATH=$VENV/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
  export VENV PATH
}

core_version() { python -c 'import ansible.release; print(ansible.release.__version__)'; }
