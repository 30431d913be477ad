"""Sequential attention: its gates by hand, and the phases at whose ends columns are chosen."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from dst import TrialSpec, run_trial
from dst.errors import InputError
from dst.rankers import make_config
from dst.rankers.sequential_attention import AttentionGates, SequentialAttention
from tests.support.informative_table import informative
from tests.support.small_training import parts


def gates(logits: list[float]) -> AttentionGates:
    made = AttentionGates(len(logits), torch.Generator().manual_seed(0))
    assert made.expected().tolist() == [1.0] * len(logits), "before attention begins"
    assert made.logits.detach().abs().max() < 1e-4
    with torch.no_grad():
        made.logits.copy_(torch.tensor(logits))
    made.attends = True
    return made


def test_gates_by_hand() -> None:
    made = gates([0.0, np.log(2.0), 0.0])
    np.testing.assert_allclose(made.expected().detach(), [0.25, 0.5, 0.25], rtol=1e-6)
    made.expected()[1].backward()
    np.testing.assert_allclose(made.logits.grad, [-0.125, 0.25, -0.125], rtol=1e-6)
    made.choose(1, torch.Generator().manual_seed(1))
    assert made.chosen == [1]
    assert made.logits.detach().abs().max() < 1e-4, "a phase begins with logits near 0"
    np.testing.assert_allclose(made.expected().detach(), [0.5, 1.0, 0.5], rtol=1e-4)
    with torch.no_grad():
        made.logits.copy_(torch.tensor([0.0, 9.0, 1.0]))
    made.choose(2, torch.Generator().manual_seed(2))
    assert made.chosen == [1, 2, 0]
    assert made.expected().tolist() == [1.0, 1.0, 1.0]


@pytest.mark.parametrize(("phases", "epochs"), [(3, 10), (30, 4), (99, 1)])
def test_a_column_is_chosen_at_the_end_of_each_phase(phases: int, epochs: int) -> None:
    """100 rows in batches of 10: the first tenth of the steps has no attention, the rest is shared out evenly."""
    config = make_config("sequential_attention", {"phases": phases, "epochs": epochs, "batch_size": 10, "units": 5})
    ranking = SequentialAttention(*parts(n_features=30), config, np.random.default_rng(0))
    counts = []
    after_step = ranking.after_step

    def count(step: int) -> None:
        after_step(step)
        counts.append((step, len(ranking.gates.chosen), ranking.gates.attends))

    ranking.after_step = count  # type: ignore[method-assign]
    while not ranking.done:
        ranking.run_epoch()
    steps, phases = 10 * epochs, min(phases, 30)
    assert ranking.steps == steps
    expected = [
        (step, max(0, (step - epochs) * phases // (9 * epochs)), step >= epochs) for step in range(1, steps + 1)
    ]
    assert counts == expected
    assert len(set(ranking.gates.chosen)) == phases
    (scores,) = ranking.scores().scores.values()
    np.testing.assert_allclose(scores[ranking.gates.chosen], 1 / np.arange(1, phases + 1))
    assert np.count_nonzero(scores) == phases


def test_no_more_columns_are_selected_than_are_chosen() -> None:
    with pytest.raises(InputError, match="k <= phases must hold, but got k=3, phases=2"):
        run_trial(informative(), TrialSpec("sequential_attention", {"phases": 2}))
