"""NumPy's numbers as Python's: JSON and YAML hold no others, and a search or a notebook makes them."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

import numpy as np


def plain(value: Any) -> Any:
    """Return a value with Python's numbers, texts, lists and dicts in the place of NumPy's, however deep they lie.

    Args:
        value: a scalar or an array of NumPy, of any number of dimensions; a mapping, list or tuple that may hold some;
            or anything else, which is returned as it is.
    """
    if isinstance(value, np.generic | np.ndarray):
        is_long = value.dtype.type is np.longdouble  # which has no number of Python's
        return (value.astype(np.float64) if is_long else value).tolist()
    if isinstance(value, Mapping):
        return {plain(name): plain(item) for name, item in value.items()}
    if isinstance(value, list):
        return [plain(item) for item in value]
    return tuple(plain(item) for item in value) if type(value) is tuple else value


def make_plain(settings: Any) -> None:
    """Give the fields of a frozen dataclass plain values; for its ``__post_init__``."""
    for field in dataclasses.fields(settings):
        object.__setattr__(settings, field.name, plain(getattr(settings, field.name)))
