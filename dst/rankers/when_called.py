"""Functions whose modules are imported by their first call."""

from __future__ import annotations

import pkgutil
from collections.abc import Callable
from typing import Any


def imported_when_called(path: str) -> Callable[..., Any]:
    """Return a function that stands for another, whose module is imported by the first call.

    Args:
        path: ``package.module:function``.
    """

    def call(*args: Any, **kwargs: Any) -> Any:
        return pkgutil.resolve_name(path)(*args, **kwargs)

    return call
