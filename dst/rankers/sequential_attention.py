"""Sequential Attention as a ranker: columns are chosen one after another, by attention in one training.

Yasuda, Bateni, Chen, Fahrbach, Fu and Mirrokni, "Sequential Attention for Feature Selection", ICLR 2023. In linear
regression it is orthogonal matching pursuit. Their code differs in one point: it chooses at the beginning of a phase,
so that its first column is drawn, before any attention was learnt; here a phase ends with its choice, as in the paper.
"""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from dst.data.dataset import Part
from dst.files.checkpoint import State
from dst.rankers.base import FeatureScores, OnEpoch, run_to_the_end
from dst.rankers.gated_network import GatedRanking, Gates
from dst.rankers.gated_settings import SequentialAttentionConfig

WARM_UP = 0.1
"""Share of the steps before the first phase, with all gates open."""

_SPREAD = 1e-5
"""Standard deviation of the logits at the beginning of a phase."""


class AttentionGates(Gates):
    """Gates of 1 for the columns that are chosen; the others share 1 by the softmax of their logits.

    Args:
        n_gates: one a column.
        generator: draws the logits.

    Attributes:
        logits: what is learnt, float32 ``(n_gates,)``.
        chosen: gates in the order in which they were chosen.
        attends: whether attention has begun; before, all gates are 1.
    """

    def __init__(self, n_gates: int, generator: torch.Generator) -> None:
        super().__init__()
        self.logits = nn.Parameter(torch.empty(n_gates, dtype=torch.float32, device="cpu"))
        self.chosen: list[int] = []
        self.attends = False
        self._draw(generator)

    def sample(self, generator: torch.Generator) -> torch.Tensor:
        """Return the gates: they have no noise."""
        return self.expected()

    def expected(self) -> torch.Tensor:
        """Return the gates, float32 ``(n_gates,)``."""
        if not self.attends or len(self.chosen) == len(self.logits):
            return torch.ones(self.logits.shape, dtype=torch.float32, device="cpu")
        chosen = self._is_chosen()
        return torch.softmax(self.logits.masked_fill(chosen, -math.inf), dim=0) + chosen

    def choose(self, count: int, generator: torch.Generator) -> None:
        """Choose the gates of the largest logits among the others, and draw the logits anew."""
        with torch.no_grad():
            falling = torch.argsort(self.logits.masked_fill(self._is_chosen(), -math.inf), descending=True, stable=True)
        self.chosen += falling[:count].tolist()
        self._draw(generator)

    def _is_chosen(self) -> torch.Tensor:
        chosen = torch.zeros(self.logits.shape, dtype=torch.bool, device="cpu")
        chosen[torch.tensor(self.chosen, dtype=torch.int64, device="cpu")] = True
        return chosen

    def _draw(self, generator: torch.Generator) -> None:
        with torch.no_grad():
            self.logits.normal_(0.0, _SPREAD, generator=generator)


class SequentialAttention(GatedRanking[AttentionGates, SequentialAttentionConfig]):
    """A ranking by the order in which attention chooses columns.

    After :data:`WARM_UP` of the steps come ``phases`` of equal length; at the end of each the column of the largest
    logit is chosen.
    """

    def make_gates(self, sizes: torch.Tensor) -> AttentionGates:
        """Return gates that are open."""
        return AttentionGates(len(sizes), self.noise)

    def after_step(self, step: int) -> None:
        """Choose the column of each phase that has ended."""
        begun = step - math.floor(WARM_UP * self.steps)
        phases = min(self.config.phases, len(self.gates.logits))
        due = max(0, begun * phases // (self.steps - math.floor(WARM_UP * self.steps)))
        self.gates.attends = begun >= 0
        if due > len(self.gates.chosen):
            self.gates.choose(due - len(self.gates.chosen), self.noise)

    def column_scores(self) -> dict[str, npt.NDArray[np.float64]]:
        """Return 1 over the place of each column that was chosen, 0 of the others."""
        scores = np.zeros(len(self.gates.logits))
        scores[self.gates.chosen] = 1 / np.arange(1, len(self.gates.chosen) + 1)
        return {"attention_order": scores}

    def state_dict(self) -> State:
        """Return all that the rest of the ranking depends on, besides what the constructor was given."""
        state = super().state_dict()
        chosen = {"chosen": list(self.gates.chosen), "attends": self.gates.attends}
        return dataclasses.replace(state, progress={**state.progress, **chosen})

    def load_state_dict(self, state: State) -> None:
        """Go on from a state, to end bitwise equal (on the same machine, with the same number of threads).

        Raises:
            ValueError: the state is of a ranking with other settings or another table's shape.
        """
        super().load_state_dict(state)
        self.gates.chosen, self.gates.attends = list(state.progress["chosen"]), state.progress["attends"]


def rank_by_sequential_attention(
    train: Part,
    validation: Part,
    config: SequentialAttentionConfig,
    rng: np.random.Generator,
    on_epoch: OnEpoch,
    state: State | None = None,
) -> FeatureScores:
    """Rank by the order in which columns are chosen; the metric, named ``attention_order``, is 1 over the place.

    All epochs are trained. A column with several encodings has one gate. What the authors train on the chosen columns
    afterwards is the business of a scorer. ``nnz`` counts all weights.
    """
    ranking = SequentialAttention(train, validation, config, rng)
    run_to_the_end(ranking, state, on_epoch)
    return ranking.scores()
