# shellcheck shell=bash
# Copyright (c) 2026 weft.fabric contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# The checkout as Ansible's tools want it: physically at …/ansible_collections/weft/fabric. They follow no
# symbolic link there, and where the checkout stands is its owner's choice.

# tree_of ROOT - where the copy of this checkout stands
tree_of() { printf '%s/tree-%s\n' "$WEFT_CACHE" "$(printf %s "$1" | sha256sum | cut -c1-8)"; }

# list_files - what belongs to the checkout: what git tracks or would track, as it stands on the disk
list_files() {
  local file
  if git -c safe.directory="$WEFT_ROOT" -C "$WEFT_ROOT" rev-parse --is-inside-work-tree >/dev/null 2>&1; then
    git -c safe.directory="$WEFT_ROOT" -C "$WEFT_ROOT" ls-files -z --cached --others --exclude-standard
  else
    (cd "$WEFT_ROOT" && find . -name __pycache__ -prune -o -type f -printf '%P\0')
  fi | while IFS= read -r -d '' file; do
    # A tracked file may be deleted on the disk.
    if [[ -e $WEFT_ROOT/$file || -L $WEFT_ROOT/$file ]]; then
      printf '%s\0' "$file"
    fi
  done
}

# copy_tree DIRECTORY - a fresh copy at DIRECTORY/ansible_collections/weft/fabric
copy_tree() {
  local target=$1/ansible_collections/weft/fabric
  rm -rf "$target.new"
  mkdir -p "$target.new"
  list_files | tar -C "$WEFT_ROOT" --create --null --no-recursion --files-from=- | tar -C "$target.new" --extract --no-same-owner
  rm -rf "$target"
  mv "$target.new" "$target"
}
