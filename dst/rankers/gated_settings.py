"""Settings of the rankers that are networks with a gate at each input; they load no torch."""

from __future__ import annotations

import math
from dataclasses import dataclass

from dst.errors import check_rules


@dataclass(frozen=True)
class StgConfig:
    """Settings of :func:`dst.rankers.stg.rank_by_stg`; the authors tune ``lam`` and the learning rate.

    Attributes:
        lam: strength of the penalty on the expected number of open gates.
        sigma: standard deviation of the gates' noise; the authors fix 0.5.
        lr: learning rate of Adam.
        hidden: sizes of the hidden layers.
        epochs: how many are trained, all of them.
        batch_size: rows in a minibatch.
    """

    lam: float = 1e-3
    sigma: float = 0.5
    lr: float = 1e-3
    hidden: tuple[int, ...] = (1000, 100)
    epochs: int = 200
    batch_size: int = 100

    def __post_init__(self) -> None:
        check_rules(
            ("0 <= lam < inf", 0 <= self.lam < math.inf, f"lam={self.lam}"),
            ("0 < sigma < inf", 0 < self.sigma < math.inf, f"sigma={self.sigma}"),
            ("0 < lr < inf", 0 < self.lr < math.inf, f"lr={self.lr}"),
            ("every hidden size >= 1", all(width >= 1 for width in self.hidden), f"hidden={self.hidden}"),
            ("epochs >= 1", self.epochs >= 1, f"epochs={self.epochs}"),
            ("batch_size >= 1", self.batch_size >= 1, f"batch_size={self.batch_size}"),
        )


@dataclass(frozen=True)
class SequentialAttentionConfig:
    """Settings of :func:`dst.rankers.sequential_attention.rank_by_sequential_attention`.

    The authors tune learning rate (1e-5 to 1), batch and epochs (50 to 1000) for each table, with a phase for each of
    the K columns that they want.

    Attributes:
        phases: how many columns are chosen, one at the end of each phase. All others are equal, so that K must not be
            larger.
        lr: learning rate of Adam.
        units: units of the hidden layer.
        epochs: how many are trained, all of them.
        batch_size: rows in a minibatch.
    """

    phases: int = 100
    lr: float = 1e-3
    units: int = 67
    epochs: int = 250
    batch_size: int = 100

    def __post_init__(self) -> None:
        check_rules(
            ("phases >= 1", self.phases >= 1, f"phases={self.phases}"),
            ("0 < lr < inf", 0 < self.lr < math.inf, f"lr={self.lr}"),
            ("units >= 1", self.units >= 1, f"units={self.units}"),
            ("epochs >= 1", self.epochs >= 1, f"epochs={self.epochs}"),
            ("batch_size >= 1", self.batch_size >= 1, f"batch_size={self.batch_size}"),
        )

    def check_k(self, n_features: int, k: int) -> None:
        """Refuse to select more columns than attention chooses, see :func:`dst.rankers.base.check_k`."""
        check_rules(("k <= phases", k <= self.phases, f"k={k}, phases={self.phases}"))

    @property
    def hidden(self) -> tuple[int, ...]:
        """Sizes of the hidden layers."""
        return (self.units,)
