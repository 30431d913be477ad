"""Inputs that leave while a network trains: how many, which, and what becomes of their connections."""

from __future__ import annotations

import dataclasses
import itertools

import numpy as np
import pytest
import torch

from dst.data.dataset import Part
from dst.errors import InputError
from dst.network.layers import SparseLinear
from dst.rankers import make_config, with_k
from dst.rankers.neurofs import NeuroFsRanking
from dst.rankers.settings import NeuroFsConfig
from dst.topology.drop import DROP_RULES
from dst.topology.grow import GROW_RULES
from dst.topology.inputs import InputElimination, InputSchedule
from dst.topology.rewire import rewire
from dst.topology.update import Update
from dst.trial.run import run_trial
from dst.trial.spec import TrialSpec
from tests.support.informative_table import FAST, informative


def published(n_inputs: int, k: int, zeta: float, epochs: int) -> list[int]:
    """How many inputs are left after each epoch, as the authors' code counts."""
    to_remove, last = int((1 - zeta) * n_inputs - k), int(epochs * 0.65)
    removed, left = 0, []
    for epoch in range(epochs):
        if epoch >= 2 and removed < to_remove:
            removed += int(np.ceil((to_remove - removed) / (last - epoch)))
        left.append(n_inputs - removed)
    return left


@pytest.mark.parametrize(
    ("n_inputs", "k", "zeta", "epochs"), [(1024, 50, 0.2, 100), (617, 25, 0.4, 20), (60, 5, 0.0, 12)]
)
def test_as_many_leave_as_published(n_inputs, k, zeta, epochs):
    schedule, gone, left = InputSchedule(n_inputs, k, zeta, epochs), 0, []
    for epoch in range(epochs):
        gone += schedule.leaving(epoch, gone)
        left.append(n_inputs - gone)
    assert left == published(n_inputs, k, zeta, epochs)
    assert left[:2] == [n_inputs, n_inputs]
    assert left[int(epochs * 0.65) - 1] == left[-1] == n_inputs - int((1 - zeta) * n_inputs - k)
    assert InputSchedule(n_inputs, k, zeta, epochs).swapped(10, 40) == int(40 * zeta * (1 - 10 / epochs))


def test_nobody_leaves_where_more_are_wanted_than_leave_room_for_it():
    assert InputSchedule(20, 18, 0.2, 10).to_leave == 0
    assert InputSchedule(20, 18, 0.2, 10).leaving(5, 0) == 0


def layer(weight: list[list[float]]) -> SparseLinear:
    """Return a layer that has the weights ``(n_in, n_out)`` that are not zero."""
    dense = torch.tensor(weight, dtype=torch.float32).T
    made = SparseLinear(dense.shape[1], dense.shape[0], int((dense != 0).sum()), np.random.default_rng(0))
    indptr = [0, *np.cumsum((dense != 0).sum(dim=1).numpy()).tolist()]
    made.indptr = torch.tensor(indptr, dtype=torch.int64)
    made.indices = torch.tensor([i for row in dense for i in torch.nonzero(row)[:, 0].tolist()], dtype=torch.int32)
    made.values.data = dense[dense != 0]
    return made


def update_of(weight: list[list[float]], gradient: list[list[float]], seed: int = 0) -> Update:
    """Return an update whose loss gradient ``(n_in, n_out)`` is given."""
    dense = torch.tensor(gradient, dtype=torch.float32)
    x = torch.zeros(len(gradient), 16)
    x[:, : dense.shape[1]] = dense
    dy = torch.eye(dense.shape[1], 16)
    return Update(layer(weight), np.random.default_rng(seed), (x, dy))


WEIGHT = [[5, -4, 0], [1, 0, 0], [0, 0, 2], [3, 0, -3], [0, 0.5, 0.6], [0, 9, 0]]
"""Strengths 9, 1, 2, 6, 1.1 and 9."""


def test_who_leaves_by_hand():
    """Of six inputs ``int(4.8 - 1)`` leave, the first of them after the third epoch of ten."""
    inputs = InputElimination(InputSchedule(6, 1, 0.2, 10), by_gradient=True)
    flat = [[0.0] * 3 for _ in range(6)]
    assert inputs.restrict(update_of(WEIGHT, flat), 0).allowed is None
    assert inputs.restrict(update_of(WEIGHT, flat), 1).allowed is None
    allowed = inputs.restrict(update_of(WEIGHT, flat), 2).allowed
    assert allowed.tolist() == [True, False, True, True, True, True], "of three over four epochs one, the weakest"
    np.testing.assert_array_equal(inputs.restrict(update_of(WEIGHT, flat), 2).allowed, allowed)
    assert inputs.left_at.tolist() == [0, 3, 0, 0, 0, 0]
    assert inputs.left_with[1] == 1


def test_inputs_come_back_by_their_largest_single_gradient():
    inputs = InputElimination(InputSchedule(6, 0, 0.5, 10), by_gradient=True)  # three leave in all
    inputs.allowed[[1, 4]] = False
    inputs.left_at[[1, 4]] = 3
    inputs._gone = 2
    gradient = [[0.0] * 3 for _ in range(6)]
    gradient[1], gradient[4] = [1.0, 1.0, 1.0], [0.0, -2.0, 0.0]
    weight = [row if i not in (1, 4) else [0, 0, 0] for i, row in enumerate(WEIGHT)]
    allowed = inputs.restrict(update_of(weight, gradient), 3).allowed
    # one has to leave after this epoch and int(2 * 0.5 * 0.7) = 0 are swapped: input 2, the weakest
    assert np.flatnonzero(~allowed).tolist() == [1, 2, 4]
    assert inputs.restrict(update_of(weight, gradient), 4).allowed.sum() == 3, "int(3 * 0.5 * 0.6) = 0"
    inputs._schedule = dataclasses.replace(inputs._schedule, spare=0.9)
    allowed = inputs.restrict(update_of(weight, gradient), 5).allowed
    assert allowed[4], "its largest gradient is 2, that of input 1 only 1"
    assert not allowed[3], "the weakest of those that were left"
    assert allowed.sum() == 3


def test_scores_are_strengths_and_behind_them_the_order_of_leaving():
    inputs = InputElimination(InputSchedule(6, 1, 0.2, 10), by_gradient=True)
    inputs.allowed[[0, 2, 4]] = False
    inputs.left_at[[0, 2, 4]] = [5, 3, 5]
    inputs.left_with[[0, 2, 4]] = [7.0, 9.0, 2.0]
    scores = inputs.scores(np.array([0, 3.0, 0, 8.0, 0, 0]))  # input 5 is left, without a connection
    assert np.argsort(-scores).tolist() == [3, 1, 5, 0, 4, 2]
    np.testing.assert_array_equal(scores[[1, 3]], [3, 8])
    assert (scores > 0).all()
    assert scores[5] <= 8e-6


@pytest.mark.parametrize(("drop", "grow"), list(itertools.product(DROP_RULES, GROW_RULES)))
def test_every_rule_moves_all_connections_of_inputs_that_leave(drop, grow):
    rng = np.random.default_rng(4)
    linear = SparseLinear(40, 30, 300, rng)
    linear.arrange(16)
    allowed = rng.random(40) < 0.5
    gradient = tuple(torch.from_numpy(rng.standard_normal((n, 32), dtype=np.float32)) for n in (40, 30))
    moments = [np.arange(300, dtype=np.float32)]
    stayed = {p: v for p, v in zip(linear.positions().tolist(), linear.values.tolist(), strict=True) if allowed[p % 40]}
    update = Update(linear, rng, gradient, rng.random(40), allowed)
    assert update.free == 30 * allowed.sum() - len(stayed)
    count = rewire(update, moments, drop=DROP_RULES[drop], grow=GROW_RULES[grow], fraction=0.3)
    assert count == 300 - len(stayed) + int(np.ceil(0.3 * len(stayed)))
    after = dict(zip(linear.positions().tolist(), linear.values.tolist(), strict=True))
    assert len(after) == 300
    assert allowed[np.array(list(after)) % 40].all()
    assert (np.diff(linear.places()) > 0).all()
    kept = {position for position, value in after.items() if value != 0}
    assert len(kept) == 300 - count
    assert all(after[position] == stayed[position] for position in kept)
    if drop == "magnitude":
        assert min(abs(after[p]) for p in kept) >= max(abs(v) for p, v in stayed.items() if p not in kept)


def test_growth_at_random_reaches_every_free_place_of_the_inputs_that_are_allowed():
    grown = np.zeros((6, 3), int)
    allowed = np.array([True, False, True, False, True, True])
    for seed in range(300):
        update = dataclasses.replace(update_of(WEIGHT, [[0.0] * 3] * 6, seed), allowed=allowed)
        rewire(update, [np.zeros(9, np.float32)], drop=DROP_RULES["magnitude"], grow=GROW_RULES["random"], fraction=0.1)
        zero = update.layer.dense_weight().T.numpy() == 0
        at = np.zeros((6, 3), bool)
        at[update.layer.positions() % 6, update.layer.positions() // 6] = True
        grown += zero & at
    assert (grown[~allowed] == 0).all()
    free = (np.array(WEIGHT) == 0) & allowed[:, None]
    assert (grown[free] > 300 * 4 / free.sum() * 0.6).all()
    assert (grown[free] < 300 * 4 / free.sum() * 1.4).all()


def test_too_many_connections_for_the_inputs_that_are_allowed_are_refused():
    update = dataclasses.replace(update_of(WEIGHT, [[0.0] * 3] * 6), allowed=np.arange(6) == 1)
    with pytest.raises(ValueError, match="8 connections must move to other inputs, but these have room for 2"):
        rewire(update, [np.zeros(9, np.float32)], drop=DROP_RULES["magnitude"], grow=GROW_RULES["random"], fraction=0.1)


CONFIG = NeuroFsConfig(inputs=3, hidden=(30, 10), epochs=20, batch_size=40, lr=1e-2)


def table(n_inputs: int = 50) -> tuple[Part, Part]:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(240, n_inputs)).astype(np.float32)
    y = np.argmax(x[:, [2, 9, 17]], axis=1).astype(np.int64)
    return Part(x[:160], y[:160], 3), Part(x[160:], y[160:], 3)


@pytest.mark.parametrize("engine", ["sparse", "dense"])
@pytest.mark.parametrize("growth", ["gradient", "random"])
def test_inputs_that_left_have_no_connections(growth, engine):
    config = dataclasses.replace(CONFIG, growth=growth, engine=engine)
    ranking = NeuroFsRanking(*table(), config, np.random.default_rng(1))
    left, nnz = [], ranking._trainer.model.nnz
    while not ranking.done:
        end = ranking.run_epoch()
        strength = end.strength()
        assert (strength[~ranking.inputs.allowed] == 0).all()
        assert end.model.nnz == nnz
        left.append(int(ranking.inputs.allowed.sum()))
    assert left == published(50, 3, 0.2, 20)
    assert left[-1] == 13
    (scores,) = ranking.scores().scores.values()
    order = np.argsort(-scores)
    assert set(order[:3]) == {2, 9, 17}
    assert (ranking.inputs.left_at[order[:13]] == 0).all()
    assert (np.diff(ranking.inputs.left_at[order[13:]]) <= 0).all()
    assert scores[order[13]] <= 1e-6 * scores.max()


def test_a_trial_and_a_selector_fill_in_how_many_inputs_are_wanted():
    assert with_k("neurofs", make_config("neurofs", {}), 7).inputs == 7
    assert with_k("neurofs", make_config("neurofs", {"inputs": 4}), 7).inputs == 4
    assert with_k("set", make_config("set", {}), 7) == make_config("set", {})
    (filled, given, other) = (
        run_trial(informative(), TrialSpec("neurofs", FAST | more, seed=1, k=k)).importances["neuron_strength"].scores
        for more, k in (({}, 3), ({"inputs": 3}, 9), ({}, 9))
    )
    np.testing.assert_array_equal(filled, given)
    assert not np.array_equal(filled, other)
    with pytest.raises(InputError, match="inputs >= 1 must hold where no trial"):
        NeuroFsRanking(*table(), NeuroFsConfig(), np.random.default_rng(0))
