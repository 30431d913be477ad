"""The contract of a ranker, the seam of the science: its arguments and its result."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from dst.data.dataset import Part
from dst.files.checkpoint import State, changed_settings
from dst.training.epochs import Curves, EpochReport

OnEpoch = Callable[[EpochReport], None]


@dataclass(frozen=True)
class FeatureScores:
    """One score per column and metric, and what it took to get them.

    Attributes:
        scores: metric name to float64 ``(n_features,)``, larger is better.
        engine: what computed the model: ``sparse`` or ``dense`` for networks, ``scikit-learn``, or ``none``.
        seconds: wall time by phase.
        val_loss: mean loss of the ranker's own model on the validation rows, where it has one: cross-entropy, unless
            :attr:`dst.rankers.RankerEntry.classifies` says otherwise.
        val_accuracy: accuracy of that model, where it has one.
        epochs: trained epochs, 0 for rankers without.
        best_epoch: the epoch that the scores belong to, 0 for rankers without.
        best_epochs: of rankers by networks, the epoch of the lowest validation loss of each training, from 1, in the
            order of the trainings of all networks and rounds.
        nnz: non-zero weights by layer.
        dense_size: weights of the dense model of the same shape.
        flops: theoretical training FLOPs, where there is a count.
        flops_ratio: ``flops`` over that of the dense model for the same epochs.
        curves: one value an epoch.
        device: where the model was trained.
        memory: bytes that training held, by kind (:meth:`dst.training.engines.engine.Engine.memory`), where they are
            known.
    """

    scores: dict[str, npt.NDArray[np.float64]]
    engine: str
    seconds: dict[str, float]
    val_loss: float | None = None
    val_accuracy: float | None = None
    epochs: int = 0
    best_epoch: int = 0
    best_epochs: tuple[int, ...] = ()
    nnz: tuple[int, ...] = ()
    dense_size: int = 0
    flops: float | None = None
    flops_ratio: float | None = None
    curves: Curves = field(default_factory=Curves)
    device: str = "cpu"
    memory: dict[str, int] = field(default_factory=dict)

    def to_state(self) -> State:
        """Return what a checkpoint can hold."""
        progress = {
            attribute.name: getattr(self, attribute.name)
            for attribute in dataclasses.fields(self)
            if attribute.name != "scores"
        }
        return State(dict(self.scores), progress | {"curves": dataclasses.asdict(self.curves)})

    @classmethod
    def from_state(cls, state: State) -> FeatureScores:
        """Return the scores that :meth:`to_state` took apart."""
        progress = state.progress
        return cls(
            scores=dict(state.arrays),
            **progress
            | {
                "nnz": tuple(progress["nnz"]),
                "best_epochs": tuple(progress.get("best_epochs", ())),  # in checkpoints of earlier versions: none
                "curves": Curves(**progress["curves"]),
            },
        )


class Ranker(Protocol):
    """Ranks the columns of a table.

    It may fit on ``train`` and use ``validation`` to decide when to stop; it never sees test rows.
    """

    def __call__(
        self,
        train: Part,
        validation: Part,
        config: Any,
        rng: np.random.Generator,
        on_epoch: OnEpoch,
        state: State | None = None,
    ) -> FeatureScores:
        """Return a score for each column of ``train.x``.

        Args:
            train: rows to fit on.
            validation: rows that decide when to stop.
            config: the ranker's settings.
            rng: draws.
            on_epoch: called at the end of every epoch; what its ``state`` returns is what a ranker that is given the
                same other arguments goes on from, to end bitwise equal. A ranker without epochs never calls it.
            state: where to go on from; None: from the beginning.
        """


class Epochs(Protocol):
    """A ranking that goes epoch by epoch and can be saved between any two."""

    @property
    def done(self) -> bool:
        """Whether no epoch is left."""

    def run_epoch(self) -> EpochReport:
        """Go on by an epoch."""

    def load_state_dict(self, state: State) -> None:
        """Go on from a state."""


def run_to_the_end(epochs: Epochs, state: State | None, on_epoch: OnEpoch) -> None:
    """Run all epochs that are left.

    Args:
        epochs: as it was constructed.
        state: where to go on from; None: from the beginning.
        on_epoch: called at the end of every epoch.
    """
    if state is not None:
        epochs.load_state_dict(state)
    while not epochs.done:
        on_epoch(epochs.run_epoch())


def same_settings(settings: Any, saved: Mapping[str, Any]) -> None:
    """Refuse a state whose settings are others (:func:`dst.files.checkpoint.changed_settings`).

    Args:
        settings: the ranker's settings, a dataclass.
        saved: those that the state names.

    Raises:
        ValueError: they differ.
    """
    changed = changed_settings(settings, saved)
    if changed:
        raise ValueError(f"the state is of a ranking with other settings: {', '.join(changed)} differ")


def check_k(config: Any, n_features: int, k: int) -> None:
    """Refuse to select more columns than settings rank: the others are equal, or were left out before.

    Args:
        config: a ranker's settings; those that rank some of the columns have a method ``check_k``.
        n_features: columns of the table.
        k: how many are selected.

    Raises:
        InputError: it is so.
    """
    check = getattr(config, "check_k", None)
    if check is not None:
        check(n_features, k)
