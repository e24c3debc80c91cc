# Copyright (c) 2026 weft.fabric contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Looking at what stands in a lab definition: each mistake is told with its place."""

from __future__ import annotations

import ipaddress
import re
from typing import Any

from weft_lab.system import LabError


def whole(value: Any, lowest: int, highest: int, where: str) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not lowest <= value <= highest:
        raise LabError(f"{where}: {value!r} is not a number from {lowest} to {highest}")
    return value


def one_of(value: Any, known: tuple[str, ...], where: str) -> str:
    if value not in known:
        raise LabError(f"{where}: {value!r} is none of {', '.join(known)}")
    return str(value)


def mapping(value: Any, where: str, allowed: set[str] | None = None) -> dict[str, Any]:
    if value is None:
        return {}
    if not isinstance(value, dict) or not all(isinstance(key, str) for key in value):
        raise LabError(f"{where} must be a mapping with names as keys")
    unknown = sorted(set(value) - allowed) if allowed is not None else []
    if unknown:
        raise LabError(f"{where}: unknown key {', '.join(unknown)}; known are {', '.join(sorted(allowed or ()))}")
    return value


def listing(value: Any, where: str) -> list[str]:
    if value is None:
        return []
    if not isinstance(value, list) or not all(isinstance(entry, str) for entry in value):
        raise LabError(f"{where} must be a list of strings")
    return value


def matching(value: Any, pattern: re.Pattern[str], where: str) -> str:
    if not isinstance(value, str) or not pattern.fullmatch(value):
        raise LabError(f"{where}: {value!r} must look like {pattern.pattern}")
    return value


def interface(value: str, where: str) -> str:
    try:
        return str(ipaddress.ip_interface(value))
    except ValueError as error:
        raise LabError(f"{where}: {error}") from error


def duplicates(what: str, values: list[Any]) -> None:
    twice = sorted({value for value in values if values.count(value) > 1}, key=str)
    if twice:
        raise LabError(f"{what} used twice: {', '.join(map(str, twice))}")
