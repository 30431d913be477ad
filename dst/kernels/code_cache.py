"""The folder of compiled kernels for the next process, also where an installation may not be written to."""

from __future__ import annotations

import functools
import logging
import os
import pickle
import stat
import tempfile
from pathlib import Path
from typing import Any

from numba import config

_LOG = logging.getLogger(__name__)
_NO_FOLDER = "no folder for them can be written to"


def keep_code(dispatcher: Any) -> None:
    """Let a function that Numba compiles keep its code on disk, as ``cache=True`` does, but never at a trial's expense.

    Numba takes the first of these that can be written to: the folder that ``NUMBA_CACHE_DIR`` names, ``__pycache__``
    beside the source, the user's cache folder. Where there is none, ``cache=True`` raises; a folder of this user's own
    among the temporary ones serves then, and if there is no such folder either, each process compiles anew, and says
    so once.

    Args:
        dispatcher: what ``numba.njit`` returned.
    """
    try:
        dispatcher.enable_caching()
    except RuntimeError:  # Numba: "no locator available"
        folder = own_temporary_folder()
        if folder is None:
            _say_once(_NO_FOLDER)
            return
        before = config.CACHE_DIR
        config.CACHE_DIR = str(folder)
        try:
            dispatcher.enable_caching()  # which takes its folder now, and keeps it
        except RuntimeError:
            _say_once(_NO_FOLDER)
            return
        finally:
            config.CACHE_DIR = before
    dispatcher._cache = CodeCache(dispatcher._cache)


class CodeCache:
    """A cache of Numba's that may fail: a full disk or a damaged file costs compiling again, and no more.

    Args:
        cache: Numba's cache of one function, whose interface this one has.
    """

    def __init__(self, cache: Any) -> None:
        self._cache = cache

    @property
    def cache_path(self) -> str:
        """The folder of the function's code."""
        return str(self._cache.cache_path)

    def enable(self) -> None:
        """Load and keep code, as at first."""
        self._cache.enable()

    def disable(self) -> None:
        """Load and keep none."""
        self._cache.disable()

    def flush(self) -> None:
        """Forget what is kept."""
        self._cache.flush()

    def load_overload(self, signature: Any, target: Any) -> Any:
        """Return the code for a signature; None where there is none that can be used."""
        try:
            return self._cache.load_overload(signature, target)
        except OSError:
            return None
        except Exception:  # a file that a crash has cut short is unpickled: that may raise anything
            try:
                self._cache.flush()
            except OSError as error:
                _say_once(_reason(error))
            return None

    def save_overload(self, signature: Any, code: Any) -> None:
        """Keep the code for a signature, if that is possible."""
        try:
            self._cache.save_overload(signature, code)
        except (OSError, EOFError, pickle.UnpicklingError) as error:
            _say_once(_reason(error))


@functools.cache
def own_temporary_folder() -> Path | None:
    """Return a folder that nobody but this user can write to, the same for all of the user's processes; None: none.

    What lies in it is unpickled, so that a folder which somebody else has made, or may change, is not taken.
    """
    try:
        base = Path(tempfile.gettempdir())
        if base == Path.cwd():  # Python's last resort, where the user's own files are
            return None
        folder = base / f"dst-numba-{os.getuid()}"
        folder.mkdir(mode=0o700, exist_ok=True)
        found = folder.lstat()
    except OSError:
        return None
    ours = stat.S_ISDIR(found.st_mode) and found.st_uid == os.getuid() and not found.st_mode & 0o077
    return folder if ours and os.access(folder, os.W_OK | os.X_OK) else None


def _reason(error: Exception) -> str:
    return getattr(error, "strerror", None) or str(error) or type(error).__name__


@functools.cache
def _say_once(why: str) -> None:
    _LOG.warning(
        "compiled kernels are not kept, and each process compiles them anew (%s): "
        "set NUMBA_CACHE_DIR to a folder that can be written to",
        why,
    )
