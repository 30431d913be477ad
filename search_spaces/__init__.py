"""Declared search spaces, and the loader that turns them into Optuna distributions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from search_spaces.errors import SpaceError
    from search_spaces.loading import load_space, packaged_spaces
    from search_spaces.space import Fixed, Parameter, Space, Value

__all__ = ["Fixed", "Parameter", "Space", "SpaceError", "Value", "load_space", "packaged_spaces"]

_MODULES = {
    "errors": ("SpaceError",),
    "loading": ("load_space", "packaged_spaces"),
    "space": ("Fixed", "Parameter", "Space", "Value"),
}


def __getattr__(name: str) -> Any:
    """Import what is asked for when it is asked for: to read YAML does not take Optuna."""
    import importlib

    for module, names in _MODULES.items():
        if name in names:
            return getattr(importlib.import_module(f"search_spaces.{module}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
