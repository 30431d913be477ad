"""Studies: specs, runs, records, tables, reports, tracking, the command line."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from studies.run import StudyResult, run_study
    from studies.spec.loading import load_spec
    from studies.spec.study import StudySpec

__all__ = ["StudyResult", "StudySpec", "load_spec", "run_study"]


def __getattr__(name: str) -> Any:
    """Import what is asked for when it is asked for: commands that run nothing need neither torch nor pandas."""
    import importlib

    module = {"StudyResult": "run", "run_study": "run", "StudySpec": "spec.study", "load_spec": "spec.loading"}.get(
        name
    )
    if module is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"studies.{module}"), name)
