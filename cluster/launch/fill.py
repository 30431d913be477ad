"""Filling in the launch files of this folder, which are Jinja templates."""

from __future__ import annotations

import functools
import json
import re
import shlex
from importlib import resources
from typing import Any

import jinja2

_SUFFIX = ".j2"


def template_names() -> tuple[str, ...]:
    """Names of the launch files that :func:`fill` fills in, e.g. ``slurm.sbatch``."""
    names = (file.name for file in resources.files("cluster.launch").iterdir())
    return tuple(sorted(name.removesuffix(_SUFFIX) for name in names if name.endswith(_SUFFIX)))


def fill(template: str, **values: Any) -> str:
    """Return a launch file filled in.

    Args:
        template: one of :func:`template_names`.
        **values: by the names that stand in the template; all of them.

    Raises:
        jinja2.UndefinedError: the template names a value that was not given.
    """
    return _environment().get_template(template + _SUFFIX).render(values)


def _environment() -> jinja2.Environment:
    """Return an environment for shell and YAML, in which a value that is missing is an error.

    Filters: ``sh`` quotes a value for the shell, ``yaml`` for YAML, on one line.
    """
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("cluster.launch", ""),
        undefined=jinja2.StrictUndefined,
        autoescape=False,  # noqa: S701  no HTML
        comment_start_string="<#",  # the shell has {# of its own
        comment_end_string="#>",
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters["sh"] = lambda value: shlex.quote(str(value))
    environment.filters["yaml"] = functools.partial(json.dumps, ensure_ascii=False)
    return environment


def word(text: str) -> str:
    """Return a name of at most 40 lower-case letters, digits and dashes that begins with a letter."""
    plain = re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")
    named = plain if plain[:1].isalpha() else f"study-{plain}"
    return named[:40].strip("-")
