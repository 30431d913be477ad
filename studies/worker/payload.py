"""Payloads: what a job of a study tells its worker, as plain data that travels and as the types that both sides use."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, ClassVar, Self

from dst.data import Removal
from dst.trial.spec import TrialSpec
from studies.spec.objective import ObjectiveSpec
from studies.spec.search import Reported


@dataclass(frozen=True)
class CheckpointFile:
    """The file that a worker keeps of a trial, to go on from when its process dies.

    Attributes:
        path: the file, in the study's folder.
        seconds: from one writing to the next.
    """

    path: Path
    seconds: float

    def to_json(self) -> dict[str, Any]:
        """Return plain data."""
        return {"path": str(self.path), "seconds": self.seconds}

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> Self:
        """Read what :meth:`to_json` returns."""
        return cls(Path(document["path"]), float(document["seconds"]))


@dataclass(frozen=True)
class TrialPayload:
    """A trial to be run: of the search, or of a confirmation.

    Attributes:
        trial: the method, its settings, the design and the scorer.
        removal: of values from the table before all else; None: none.
        objective: the metrics that judge the trial.
        on: the value that it reports on its way, see :class:`studies.spec.search.PrunerSpec`; None: nothing.
        checkpoint: the file that is kept of it; None: none.
    """

    kind: ClassVar[str] = "trial"

    trial: TrialSpec
    removal: Removal | None
    objective: ObjectiveSpec
    on: Reported | None
    checkpoint: CheckpointFile | None

    def to_json(self) -> dict[str, Any]:
        """Return plain data, with the ``kind``."""
        return {
            **_common(self.kind, self.trial, self.removal),
            "objective": self.objective.model_dump(),
            "on": self.on,
            "checkpoint": None if self.checkpoint is None else self.checkpoint.to_json(),
        }

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> Self:
        """Read what :meth:`to_json` returns."""
        checkpoint = document["checkpoint"]
        return cls(
            *_read_common(document),
            objective=ObjectiveSpec(**document["objective"]),
            on=document["on"],
            checkpoint=None if checkpoint is None else CheckpointFile.from_json(checkpoint),
        )


@dataclass(frozen=True)
class TestPayload:
    """Test rows to be opened for the columns that one seed of a configuration selected.

    Attributes:
        trial: the seed's trial.
        removal: of values from the table before all else; None: none.
        ranked: columns by metric, best first.
        k: the number of them that counts.
    """

    kind: ClassVar[str] = "test"

    trial: TrialSpec
    removal: Removal | None
    ranked: Mapping[str, Sequence[int]]
    k: int

    def to_json(self) -> dict[str, Any]:
        """Return plain data, with the ``kind``."""
        ranked = {name: list(columns) for name, columns in self.ranked.items()}
        return {**_common(self.kind, self.trial, self.removal), "ranked": ranked, "k": self.k}

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> Self:
        """Read what :meth:`to_json` returns."""
        return cls(*_read_common(document), ranked=document["ranked"], k=document["k"])


@dataclass(frozen=True)
class ListPayload:
    """A feature list to be scored on the validation and test rows of one seed of its configuration.

    Attributes:
        trial: the seed's trial.
        removal: of values from the table before all else; None: none.
        columns: the list, best first.
        k: the number of them that counts.
    """

    kind: ClassVar[str] = "list"

    trial: TrialSpec
    removal: Removal | None
    columns: Sequence[int]
    k: int

    def to_json(self) -> dict[str, Any]:
        """Return plain data, with the ``kind``."""
        return {**_common(self.kind, self.trial, self.removal), "columns": list(self.columns), "k": self.k}

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> Self:
        """Read what :meth:`to_json` returns."""
        return cls(*_read_common(document), columns=document["columns"], k=document["k"])


@dataclass(frozen=True)
class SplitPayload:
    """A configuration to be trained on another outer split, whose test rows are opened for its columns.

    Attributes:
        trial: the configuration on that split.
        removal: of values from the table before all else; None: none.
        importance: the ranking whose columns are tested.
    """

    kind: ClassVar[str] = "split"

    trial: TrialSpec
    removal: Removal | None
    importance: str

    def to_json(self) -> dict[str, Any]:
        """Return plain data, with the ``kind``."""
        return {**_common(self.kind, self.trial, self.removal), "importance": self.importance}

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> Self:
        """Read what :meth:`to_json` returns."""
        return cls(*_read_common(document), importance=document["importance"])


def _common(kind: str, trial: TrialSpec, removal: Removal | None) -> dict[str, Any]:
    return {"kind": kind, "trial": trial.to_json(), "removal": None if removal is None else asdict(removal)}


def _read_common(document: Mapping[str, Any]) -> tuple[TrialSpec, Removal | None]:
    removal = document["removal"]
    return TrialSpec(**document["trial"]), None if removal is None else Removal(**removal)
