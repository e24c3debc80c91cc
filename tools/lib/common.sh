# shellcheck shell=bash
# Copyright (c) 2026 weft.fabric contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# What ./check, ./quickstart and the gates share. Sourced, after `set -euo pipefail`.

WEFT_ROOT=$(cd "${BASH_SOURCE[0]%/*}/../.." && pwd -P)

if [[ -z ${WEFT_CACHE:-} ]]; then
  if ((EUID == 0)); then
    WEFT_CACHE=/var/cache/weft-fabric
  else
    WEFT_CACHE=${XDG_CACHE_HOME:-$HOME/.cache}/weft-fabric
  fi
fi
mkdir -p "$WEFT_CACHE"
WEFT_CACHE=$(cd "$WEFT_CACHE" && pwd -P)
export WEFT_ROOT WEFT_CACHE

# A gate's answer when what it tests cannot be had on this machine (as in automake).
# shellcheck disable=SC2034
NOT_HERE=77

say() { printf '%s\n' "$*" >&2; }

die() {
  say "error: $*"
  exit 1
}

# The caller's own Ansible and Python settings must not decide what the tools see.
clean_environment() {
  local name
  for name in "${!ANSIBLE_@}" "${!MOLECULE_@}" "${!PYTEST_@}" PYTHONPATH PYTHONHOME PYTHONSTARTUP VIRTUAL_ENV; do
    unset "$name"
  done
  # What is printed goes through a log: no colours.
  export LC_ALL=C.UTF-8 NO_COLOR=1
  export ANSIBLE_HOME=$WEFT_CACHE/ansible
  export PYTHONDONTWRITEBYTECODE=1
}
