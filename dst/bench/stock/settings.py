"""Settings of a stock trial: those of ours that it has, as plain values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from dst.data import Design
from dst.errors import InputError

_ONLY = {
    "optimizer": "adam",
    "loss": "cross_entropy",
    "dropout": 0.0,
    "input_noise": 0.0,
    "label_smoothing": 0.0,
    "group_penalty": 0.0,
}
"""Settings of a training that the masked network has at one value."""


@dataclass(frozen=True)
class MaskedSettings:
    """The network and its training, in the words of :class:`dst.training.config.TrainingConfig`.

    Attributes:
        sparse: whether weights have masks.
        grow: ``random`` (SET), ``gradient`` (RigL), or None: connections never move.
        sparsity: share of weights that the masks set to zero, in [0, 1).
        distribution: how connections are shared out among layers, a name in :data:`dst.network.sparsity.DISTRIBUTIONS`.
        hidden: sizes of the hidden layers.
        lr: of Adam.
        l2: coefficient of the L2 penalty.
        epochs: the most epochs that are trained.
        patience: epochs without a new lowest validation loss after which training stops.
        batch_size: rows in a minibatch.
        update_interval: optimizer steps between topology updates.
        drop_fraction: share of a layer's connections that moves in the first topology update.
        final_drop_fraction: share that moves at the end of a schedule that falls.
        schedule: how the share that moves falls, a name in :data:`dst.topology.schedules.SCHEDULES`.
        stop_fraction: share of all optimizer steps after which connections stay where they are.
        attribution_rows: training rows on which gradients are taken once an epoch.

    Raises:
        InputError: another way to grow.
    """

    sparse: bool
    grow: str | None
    sparsity: float
    distribution: str
    hidden: tuple[int, ...]
    lr: float
    l2: float
    epochs: int
    patience: int
    batch_size: int
    update_interval: int
    drop_fraction: float
    final_drop_fraction: float
    schedule: str
    stop_fraction: float
    attribution_rows: int

    def __post_init__(self) -> None:
        if self.grow not in (None, "random", "gradient"):
            raise InputError(f"grow must be None, random or gradient, but got {self.grow!r}")


@dataclass(frozen=True)
class StockSettings:
    """A trial.

    Attributes:
        ranking: a masked network, or ``C`` of an L1 logistic regression.
        design: how rows are split and prepared.
        k: how many columns are scored.
        scorer: a name in :data:`dst.scoring.SCORERS`.
        seed: draws everything.
    """

    ranking: MaskedSettings | float
    design: Design
    k: int
    scorer: str
    seed: int


def masked_settings(config: Mapping[str, Any], *, sparse: bool, grow: str | None, rows: int) -> MaskedSettings:
    """Take over the settings of a training.

    Args:
        config: the fields of a :class:`dst.training.config.TrainingConfig`.
        sparse: whether the method's weights have masks.
        grow: the method's way to grow connections; None: they never move.
        rows: training rows on which attribution is sampled.

    Raises:
        InputError: the masked network has no such optimizer, loss or dropout, or none of a setting that is given.
    """
    for name, only in _ONLY.items():
        if config[name] != only:
            raise InputError(f"the stock way has {name}={only!r} only, but got {config[name]!r}")
    own = {"sparse", "grow", "attribution_rows"}
    taken = {name: config[name] for name in MaskedSettings.__dataclass_fields__ if name not in own}
    return MaskedSettings(sparse=sparse, grow=grow, attribution_rows=rows, **taken)
