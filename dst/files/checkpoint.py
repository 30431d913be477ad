"""Saving the state of a training as arrays and JSON, and reading it without unpickling anything."""

from __future__ import annotations

import dataclasses
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from dst.files.archive import read_arrays

_PROGRESS = "progress.json"


@dataclass(frozen=True)
class State:
    """The state of something that goes on.

    Attributes:
        arrays: arrays by name.
        progress: what JSON can hold; floats come back bit by bit.
    """

    arrays: dict[str, npt.NDArray[Any]]
    progress: dict[str, Any]

    @classmethod
    def of(cls, parts: Mapping[str, State]) -> State:
        """Return one state that holds several by name; names have no ``/``."""
        arrays = {f"{name}/{key}": array for name, part in parts.items() for key, array in part.arrays.items()}
        return cls(arrays, {name: part.progress for name, part in parts.items()})

    def part(self, name: str) -> State:
        """Return the state that :meth:`of` took under this name.

        Raises:
            KeyError: there is none.
        """
        prefix = f"{name}/"
        arrays = {key.removeprefix(prefix): array for key, array in self.arrays.items() if key.startswith(prefix)}
        return State(arrays, self.progress[name])


def changed_settings(settings: Any, saved: Mapping[str, Any]) -> list[str]:
    """Return the names of settings that are not those of a state.

    A setting that the state does not name came after the state was taken: the default of a new setting stands for what
    was done before.

    Args:
        settings: a dataclass.
        saved: as :func:`dataclasses.asdict` gave them when the state was taken; lists may stand for tuples.
    """
    defaults = {
        field.name: field.default for field in dataclasses.fields(settings) if field.default is not dataclasses.MISSING
    }
    own, before = (json.loads(json.dumps(given)) for given in (dataclasses.asdict(settings), {**defaults, **saved}))
    return sorted(name for name in own.keys() | before.keys() if own.get(name) != before.get(name))


class CheckpointError(ValueError):
    """A file is not a checkpoint, or is damaged; the message names it."""


def save_state(path: Path, state: State) -> None:
    """Write a state to an ``.npz`` file, whole or not at all.

    Raises:
        OSError: the file cannot be written.
    """
    progress = np.frombuffer(json.dumps(state.progress).encode(), np.uint8)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with temporary.open("wb") as file:
            arrays: dict[str, Any] = {_PROGRESS: progress, **state.arrays}
            np.savez(file, **arrays)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def read_state(path: Path) -> State:
    """Read a state that :func:`save_state` wrote.

    Raises:
        CheckpointError: the file is missing, damaged or something else.
    """
    try:
        arrays = read_arrays(path)
        progress = json.loads(arrays.pop(_PROGRESS).tobytes())
    except (OSError, ValueError, KeyError, RecursionError) as error:
        raise CheckpointError(f"{path}: cannot be read as a checkpoint ({error})") from error
    return State(arrays, progress)
