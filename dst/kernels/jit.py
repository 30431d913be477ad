"""How every kernel of this package is compiled."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar, cast

import numba

_Function = TypeVar("_Function", bound=Callable[..., Any])


def kernel(function: _Function) -> _Function:
    """Compile a function with Numba: cached on disk, without the GIL, with NumPy's division."""
    return cast("_Function", numba.njit(cache=True, nogil=True, error_model="numpy")(function))
