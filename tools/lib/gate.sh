# shellcheck shell=bash
# Copyright (c) 2026 weft.fabric contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# What each gate in tools/check.d sources. ./check has made WEFT_TREE (a copy of the checkout) and started
# the gate inside the collection there.

source "${BASH_SOURCE[0]%/*}/common.sh"
source "${BASH_SOURCE[0]%/*}/python.sh"

[[ -n ${WEFT_TREE:-} ]] || die "gates are started by ./check"
COLLECTION=$WEFT_TREE/ansible_collections/weft/fabric
export COLLECTION
# For Ansible's programs, and for Python itself.
export ANSIBLE_COLLECTIONS_PATH=$WEFT_TREE PYTHONPATH=$WEFT_TREE

# not_here REASON - leave: this machine lacks what the gate would test with
not_here() {
  say "not run: $*"
  exit "$NOT_HERE"
}

# scratch - a directory that is gone when the gate ends
scratch() {
  SCRATCH=$(mktemp -d)
  trap 'rm -rf "$SCRATCH"' EXIT
}

# test_workers - how many unit tests run at a time: many wait for a daemon or for a bound, so more than there are cores
test_workers() {
  local cores
  cores=$(nproc)
  printf '%d\n' $((cores < 4 ? 4 : cores))
}
