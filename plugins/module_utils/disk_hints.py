# Copyright (c) 2026 weft.fabric contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Root device hints: which of a machine's disks is meant. The words are Ironic's, and so are the operators."""

from __future__ import annotations

import re
import typing as t

from ansible_collections.weft.fabric.plugins.module_utils.errors import FabricError

Facts = t.Mapping[str, t.Any]
Hints = t.Mapping[str, t.Any]

TEXTS = ("name", "serial", "wwn", "vendor", "model", "by_path")
NAMES = TEXTS + ("size", "rotational")

_NUMBERS: t.Dict[str, t.Callable[[float, float], bool]] = {
    "=": lambda a, b: a >= b,  # Ironic's own word for "at least"
    "==": lambda a, b: a == b,
    "!=": lambda a, b: a != b,
    ">=": lambda a, b: a >= b,
    "<=": lambda a, b: a <= b,
    ">": lambda a, b: a > b,
    "<": lambda a, b: a < b,
}
_STRINGS: t.Dict[str, t.Callable[[str, str], bool]] = {
    "s==": lambda a, b: a == b,
    "s!=": lambda a, b: a != b,
    "s>=": lambda a, b: a >= b,
    "s>": lambda a, b: a > b,
    "s<=": lambda a, b: a <= b,
    "s<": lambda a, b: a < b,
}
_OPERATOR = re.compile(r"^(s==|s!=|s>=|s<=|s>|s<|==|!=|>=|<=|=|>|<(?!in>|or>|all-in>))\s*(.*)$", re.DOTALL)

_UNITS = {
    "KIB": 1 << 10, "MIB": 1 << 20, "GIB": 1 << 30, "TIB": 1 << 40,
    "KB": 10**3, "MB": 10**6, "GB": 10**9, "TB": 10**12,
}  # fmt: skip
_SIZE = re.compile(r"^(\d+(?:\.\d+)?)\s*([KMGT]i?B)?$", re.IGNORECASE)


def check(hints: Hints) -> t.List[str]:
    """Return what is wrong with hints, whatever the disks are."""
    problems = []
    for name, value in sorted(hints.items()):
        if name not in NAMES:
            problems.append("%s is no hint; there are %s" % (name, ", ".join(NAMES)))
            continue
        try:
            _matches(name, value, {"size": 0, "rotational": False})
        except ValueError as error:
            problems.append("%s: %s" % (name, error))
    return problems


def mismatches(hints: Hints, disk: Facts) -> t.List[str]:
    """Return why a disk is not what the hints mean; nothing when it is."""
    return [
        "%s is %s, not %s" % (name, _shown(name, disk), value)
        for name, value in sorted(hints.items())
        if not _matches(name, value, disk)
    ]


def named(hints: Hints, disk: Facts) -> bool:
    """Return whether the hints say the very name of this disk."""
    return "name" in hints and _text_matches(str(hints["name"]), [disk["name"].lower()], only_equal=True)


def why_not(hints: Hints, disk: Facts) -> t.List[str]:
    """Return why a disk cannot be the root device; nothing when it can."""
    reasons = []
    if disk["named_only"] and not named(hints, disk):
        return ["is a loop device, which counts only when the hint name says so"]
    if disk["read_only"]:
        reasons.append("is read-only")
    if disk["removable"] and not named(hints, disk):
        reasons.append("is removable, and counts only when the hint name says so")
    return reasons + mismatches(hints, disk)


def candidates(hints: Hints, disks: t.Sequence[Facts]) -> t.List[t.Dict[str, t.Any]]:
    """Return each disk with the reasons for which it cannot be meant."""
    problems = check(hints)
    if problems:
        raise FabricError("root device hints: %s" % "; ".join(problems))
    return [{"name": disk["name"], "why_not": why_not(hints, disk)} for disk in disks]


def choose(hints: Hints, disks: t.Sequence[Facts]) -> Facts:
    """Return the one disk that is meant. None or several is an error, which tells of each disk why it is not."""
    judged = candidates(hints, disks)
    matching = [disk for disk, judgement in zip(disks, judged) if not judgement["why_not"]]
    if len(matching) == 1:
        return matching[0]
    wanted = ", ".join("%s %s" % item for item in sorted(hints.items())) or "none given"
    told = "; ".join(
        "%s %s" % (describe(disk), "matches" if not one["why_not"] else ", ".join(one["why_not"]))
        for disk, one in zip(disks, judged)
        if not disk["named_only"] or not one["why_not"]
    )
    raise FabricError(
        "the root device is not clear: %s of %d disks match the hints (%s). Nothing was written. Disks: %s. Give hints "
        "that one disk has, such as its serial." % (len(matching) or "none", len(disks), wanted, told or "none")
    )


def describe(disk: Facts) -> str:
    """Return a disk in a few words."""
    words = [disk["name"], "(%s" % size_text(disk["size"])]
    for key in ("model", "serial"):
        if disk[key]:
            words.append("%s %s" % (key, disk[key]))
    return " ".join(words) + ")"


def size_text(size: int) -> str:
    """Return a size as a person reads it."""
    for unit, factor in (("TiB", 1 << 40), ("GiB", 1 << 30), ("MiB", 1 << 20)):
        if size >= factor:
            return "%.4g %s" % (size / factor, unit)
    return "%d bytes" % size


def _shown(name: str, disk: Facts) -> str:
    value = disk.get(name)
    if name == "size":
        return size_text(disk["size"])
    if isinstance(value, list):
        return " or ".join(value) or "unknown"
    return str(value) if value not in ("", None) else "unknown"


def _matches(name: str, wanted: t.Any, disk: Facts) -> bool:
    if name == "rotational":
        return _boolean(wanted) == disk["rotational"]
    if name == "size":
        return _size_matches(str(wanted).strip(), disk["size"])
    have = [str(disk.get(name) or "").lower()]
    if name == "name":
        have += [link.lower() for link in disk.get("links", [])]
    if name == "by_path":
        have = [link.lower() for link in disk.get("by_path", [])]
        have += [link.rpartition("/")[2] for link in have]
    return _text_matches(str(wanted), have)


def _boolean(wanted: t.Any) -> bool:
    told = str(wanted).strip().lower()
    if told in ("true", "yes", "on", "1"):
        return True
    if told in ("false", "no", "off", "0"):
        return False
    raise ValueError("%s is neither true nor false" % wanted)


def _alternatives(wanted: str, word: str) -> t.List[str]:
    found = [part.strip() for part in wanted.split(word)]
    if found[0] or not all(found[1:]):
        raise ValueError("%s begins with %s, and something follows each" % (wanted, word))
    return found[1:]


def _text_matches(wanted: str, have: t.Sequence[str], only_equal: bool = False) -> bool:
    wanted = wanted.strip().lower()
    if wanted.startswith("<or>"):
        parts = _alternatives(wanted, "<or>")
        return any(value in parts for value in have)
    if wanted.startswith("<in>"):
        parts = _alternatives(wanted, "<in>")
        return not only_equal and any(parts[0] in value for value in have)
    if wanted.startswith("<all-in>"):
        parts = _alternatives(wanted, "<all-in>")
        return not only_equal and any(all(part in value for part in parts) for value in have)
    found = _OPERATOR.match(wanted)
    operator, value = found.groups() if found else ("s==", wanted)
    if not value:
        raise ValueError("nothing follows %s" % operator)
    if operator in ("=", "=="):
        operator = "s=="
    if operator not in _STRINGS:
        raise ValueError("%s compares numbers, and this is text; use s==, s!=, <in> or <or>" % operator)
    if only_equal and operator != "s==":
        return False
    compare = _STRINGS[operator]
    # Unequal means: to all of its names.
    return (all if operator == "s!=" else any)(compare(one, value) for one in have)


def _size_matches(wanted: str, size: int) -> bool:
    if wanted.lower().startswith("<or>"):
        return True in [_size_compares("==", part, size) for part in _alternatives(wanted.lower(), "<or>")]
    found = _OPERATOR.match(wanted)
    operator, value = found.groups() if found else ("==", wanted)
    if operator not in _NUMBERS:
        raise ValueError("%s compares text, and this is a number; use ==, !=, >=, <=, > or <" % operator)
    return _size_compares(operator, value, size)


def _size_compares(operator: str, value: str, size: int) -> bool:
    found = _SIZE.match(value.strip())
    if not found:
        raise ValueError("%s is no size, such as 100 GiB" % value)
    unit = _UNITS[(found.group(2) or "GiB").upper()]
    # In whole units, as Ironic does: a disk sold as 480 GB has 447.1 GiB, and is meant by 447.
    have = size // unit if "." not in found.group(1) else size / unit
    return _NUMBERS[operator](have, float(found.group(1)))
