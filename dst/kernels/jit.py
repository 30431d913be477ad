"""The compiler of every kernel of this package, and its settings."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar, cast

import numba

from dst.kernels.code_cache import keep_code

_Function = TypeVar("_Function", bound=Callable[..., Any])


def kernel(function: _Function) -> _Function:
    """Compile a function with Numba: kept on disk where possible, without the GIL, with NumPy's division."""
    dispatcher = numba.njit(nogil=True, error_model="numpy")(function)
    keep_code(dispatcher)
    return cast("_Function", dispatcher)
