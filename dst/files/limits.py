"""Limits of a table's size in memory, checked before any of it is allocated.

A few bytes can claim terabytes: a header that states a shape, an archive that unpacks to a thousand times its size. So
readers compare what a file claims with these limits before they believe it, and count what they unpack.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from dst.errors import InputError
from dst.resources import free_memory

ALWAYS_ALLOWED = 256 * 2**20
"""Bytes that any file may unpack to."""

LARGEST_RATIO = 200
"""Beyond ``ALWAYS_ALLOWED``, how many times its own size a file may unpack to (DEFLATE reaches 1032 on zeros)."""

MAX_COLUMNS = 5_000_000
"""Feature columns of a table; each costs memory for its name, also where it holds nothing."""


def allowed_bytes(file_bytes: int) -> int:
    """The bytes that a file of that size may take in memory: by its size, and at most half of what is free here."""
    return min(max(ALWAYS_ALLOWED, LARGEST_RATIO * file_bytes), free_memory() // 2)


def check_bytes(claimed: int, file_bytes: int) -> None:
    """Raise an InputError if a file of ``file_bytes`` claims more memory than it may."""
    limit = allowed_bytes(file_bytes)
    if claimed > limit:
        raise InputError(
            f"it claims {_megabytes(claimed)} of data, but a file of {_megabytes(file_bytes)} may unpack to "
            f"{_megabytes(limit)} here ({LARGEST_RATIO} times its size, and half of the free memory); "
            f"mostly zeros are better saved as a sparse matrix"
        )


def check_columns(n_features: int) -> None:
    """Raise an InputError if there are more feature columns than a table may have."""
    if n_features > MAX_COLUMNS:
        raise InputError(f"a table has at most {MAX_COLUMNS:,} feature columns, but there are {n_features:,}")


@contextmanager
def unreadable() -> Iterator[None]:
    """Turn whatever a library raises on a broken file into an InputError; a parser may raise anything."""
    try:
        yield
    except InputError:
        raise
    except MemoryError as error:
        raise InputError("cannot be read: it needs more memory than there is") from error
    except Exception as error:
        said = str(error).strip() or type(error).__name__
        raise InputError(f"cannot be read: {' '.join(said.splitlines()[0].split())[:200]}") from error


def _megabytes(count: int) -> str:
    return f"{count / 2**20:,.1f} MB"
