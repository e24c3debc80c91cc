# Copyright (c) 2026 weft.fabric contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Templates of configuration files: the collection's own, or a user's in their place."""

from __future__ import annotations

import typing as t
from functools import lru_cache
from pathlib import Path

from jinja2 import StrictUndefined, Template, TemplateError, TemplateSyntaxError
from jinja2.sandbox import ImmutableSandboxedEnvironment

# plugins/plugin_utils/topology/compile/template.py: the collection is four directories up from ours.
TEMPLATES = Path(__file__).resolve().parents[4] / "templates"


def render(file: str, text: str | None, **variables: t.Any) -> str:
    """Fill in a template: the text given, or the collection's own file of that name."""
    try:
        return _parse(_own(file) if text is None else text).render(**variables)
    except TemplateSyntaxError as error:
        raise ValueError(f"template {file}: {error.message} (line {error.lineno})") from error
    except TemplateError as error:
        raise ValueError(f"template {file}: {error.message}") from error


@lru_cache(maxsize=32)
def _own(name: str) -> str:
    # The files belong to the code, as a module's source does: the same everywhere, and never changed by a run.
    return (TEMPLATES / name).read_text(encoding="utf-8")


@lru_cache(maxsize=32)
def _parse(text: str) -> Template:
    environment = ImmutableSandboxedEnvironment(
        undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True, keep_trailing_newline=True
    )
    return environment.from_string(text)
