"""An epoch of a ranker, and the curves of all of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from dst.files.checkpoint import State


@dataclass(frozen=True)
class EpochReport:
    """The argument of an ``on_epoch`` callback, of any ranker that goes epoch by epoch.

    Attributes:
        epoch: 1 for the first; where several trainings make one ranking, they are counted on from one to the next.
        train_loss: mean loss over the epoch's minibatches, before each step.
        val_loss: mean loss on the validation rows.
        val_accuracy: the model's accuracy on the validation rows; for losses on floats the share of variance that it
            explains (R squared).
        improved: whether this is the lowest validation loss of its training so far.
        state: returns all that the rest of the training depends on, to be saved or not; in a ranker's or a trial's
            callback, all that the rest of the ranking or trial depends on.
        first_training: whether it is of the first training of a ranking; False for further networks and rounds.
    """

    epoch: int
    train_loss: float
    val_loss: float
    val_accuracy: float
    improved: bool
    state: Callable[[], State]
    first_training: bool = field(default=True, kw_only=True)


@dataclass
class Curves:
    """One value an epoch."""

    train_loss: list[float] = field(default_factory=list)
    val_loss: list[float] = field(default_factory=list)
    val_accuracy: list[float] = field(default_factory=list)
