"""An epoch of a ranker, its losses, and the curves of all of them."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field

from dst.errors import DivergedError
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
    """One value an epoch.

    Attributes:
        train_loss: mean loss over the epoch's minibatches.
        val_loss: mean loss on the validation rows.
        val_accuracy: accuracy, or R squared, on the validation rows.
        moved: connections that moved in the epoch, as a share of the network's; above 1 where topology updates are so
            many that they move more than there are. Empty where connections stay or there are none, None for epochs
            of a checkpoint that does not say.
    """

    train_loss: list[float] = field(default_factory=list)
    val_loss: list[float] = field(default_factory=list)
    val_accuracy: list[float] = field(default_factory=list)
    moved: list[float | None] = field(default_factory=list)

    def add(self, train_loss: float, val_loss: float, val_accuracy: float, moved: float | None = None) -> bool:
        """Take the values of an epoch; return whether its validation loss is the lowest so far."""
        if moved is not None:
            unknown = len(self.val_loss) - len(self.moved)
            self.moved += [*[None] * unknown, moved]
        improved = val_loss < min(self.val_loss, default=math.inf)
        self.train_loss.append(train_loss)
        self.val_loss.append(val_loss)
        self.val_accuracy.append(val_accuracy)
        return improved


def check_losses(epoch: int, train_loss: float, val_loss: float, **settings: float) -> None:
    """Refuse losses of an epoch that are not finite.

    Args:
        epoch: that has ended.
        train_loss: mean loss over its minibatches.
        val_loss: mean loss on the validation rows.
        settings: that may be why, by name.

    Raises:
        DivergedError: a loss is not finite.
    """
    if not (math.isfinite(train_loss) and math.isfinite(val_loss)):
        given = ", ".join(f"{name}={value}" for name, value in settings.items())
        raise DivergedError(
            f"the loss must stay finite, but epoch {epoch} ended with train_loss={train_loss}, val_loss={val_loss} "
            f"({given})"
        )
