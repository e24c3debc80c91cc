# shellcheck shell=bash
# Copyright (c) 2026 weft.fabric contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# The lab, for gates that use it. Sourced after gate.sh.

# lab_begin - start without a lab, and leave the machine without one however the gate ends.
# With WEFT_KEEP_LAB=1, take the one that is up, and leave it up.
lab_begin() {
  trap _lab_end EXIT
  trap 'exit 130' INT
  trap 'exit 143' TERM
  [[ ${WEFT_KEEP_LAB:-} == 1 ]] || _lab_down
}

lab_up() { ansible-playbook --inventory localhost, weft.fabric.lab_up; }

_lab_down() { ansible-playbook --inventory localhost, weft.fabric.lab_down; }

_lab_end() {
  local code=$?
  trap - EXIT
  # A second interrupt must not keep the lab from being taken down.
  trap '' INT TERM
  if [[ ${WEFT_KEEP_LAB:-} == 1 ]]; then
    say "The lab stays up; ./check lab without WEFT_KEEP_LAB, or the playbook weft.fabric.lab_down, takes it down."
  else
    _lab_down || code=1
  fi
  exit "$code"
}
