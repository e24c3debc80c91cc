# shellcheck shell=bash
# Copyright (c) 2026 weft.fabric contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# The system's packages: only what is missing, and no daemon comes to life on the machine because of it.

POLICY=/usr/sbin/policy-rc.d
POLICY_MARK="# made by weft.fabric while it installs packages; safe to remove"

# packages_of SET… - the packages that tools/packages/SET.txt list, one a line
packages_of() {
  local set
  for set in "$@"; do
    sed -e 's/#.*//' -e '/^[[:space:]]*$/d' -e 's/[[:space:]]//g' "$WEFT_ROOT/tools/packages/$set.txt"
  done | sort -u
}

# missing_packages NAME… - those that are not installed
missing_packages() {
  local name
  for name in "$@"; do
    # dpkg-query fails for a name it has never heard of, which is an answer too.
    [[ $(dpkg-query -W -f='${Status}' "$name" 2>/dev/null || true) == "install ok installed" ]] || printf '%s\n' "$name"
  done
}

# install_packages NAME… - install what is missing of these
install_packages() {
  local missing
  mapfile -t missing < <(missing_packages "$@")
  ((${#missing[@]})) || return 0
  command -v apt-get >/dev/null ||
    die "these packages are missing, and there is no apt-get to install them: ${missing[*]}"
  ((EUID == 0)) || die "these packages are missing; run as root, or install them yourself: ${missing[*]}"
  say "Installing ${#missing[@]} packages: ${missing[*]}"
  _apt_install "${missing[@]}"
}

# In a subshell, so that its trap takes the guard away whatever happens.
_apt_install() (
  work=$(mktemp -d)
  trap 'rm -rf "$work"; _daemons_may_start' EXIT
  _daemons_must_not_start
  export DEBIAN_FRONTEND=noninteractive NEEDRESTART_SUSPEND=1
  options=(-q -o DPkg::Lock::Timeout=300 -o Acquire::Retries=3)
  _unit_files >"$work/before"
  {
    apt-get "${options[@]}" update &&
      apt-get "${options[@]}" install --yes --no-install-recommends "$@"
  } </dev/null >"$work/log" 2>&1 || {
    tail -n 40 "$work/log" >&2
    die "apt-get could not install: $*"
  }
  _unit_files >"$work/after"
  comm -13 "$work/before" "$work/after" | _disable_units
)

_daemons_must_not_start() {
  # One that somebody else put there stays as it is: it is theirs to decide.
  [[ -e $POLICY ]] && return
  printf '#!/bin/sh\n%s\nexit 101\n' "$POLICY_MARK" >"$POLICY"
  chmod 0755 "$POLICY"
}

_daemons_may_start() {
  if [[ -f $POLICY ]] && grep -qxF "$POLICY_MARK" "$POLICY"; then
    rm -f "$POLICY"
  fi
}

_unit_files() { find /lib/systemd/system /usr/lib/systemd/system -name '*.service' -printf '%f\n' 2>/dev/null | sort -u; }

# Packages enable their units when they are installed: without this, the next boot would start them.
_disable_units() {
  # What maintainer scripts enable units with; it is there without systemd too, which may come later.
  local unit disable=(deb-systemd-helper)
  command -v systemctl >/dev/null && disable=(systemctl --quiet)
  while read -r unit; do
    case $unit in
      *@.service) ;;
      # A static unit can't be disabled, and says so; nothing starts it by itself.
      *) "${disable[@]}" disable "$unit" >/dev/null 2>&1 || true ;;
    esac
  done
}
