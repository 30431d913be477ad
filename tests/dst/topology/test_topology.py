from __future__ import annotations

import dataclasses
import math
import tracemalloc

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from dst.errors import DivergedError
from dst.kernels.connections import free_places, from_places
from dst.network.layers import SparseLinear
from dst.topology import grow
from dst.topology.drop import DROP_RULES, MEST_LAMBDA, drop_by_magnitude, drop_by_magnitude_and_gradient
from dst.topology.grow import GROW_RULES, grow_by_gradient, grow_by_importance, grow_randomly
from dst.topology.methods import METHODS
from dst.topology.rewire import rewire
from dst.topology.update import Update


def an_update(n_in: int, n_out: int, nnz: int, seed: int = 0, importance: bool = True, tile: int | None = None):
    """A layer with the two factors of its gradient, and optimizer moments."""
    rng = np.random.default_rng(seed)
    layer = SparseLinear(n_in, n_out, nnz, rng)
    layer.arrange(tile or n_in)
    moments = [rng.normal(size=nnz).astype(np.float32) for _ in range(2)]
    gradient = tuple(torch.from_numpy(rng.normal(size=(n, 16)).astype(np.float32)) for n in (n_in, n_out))
    return Update(layer, np.random.default_rng(seed), gradient, rng.random(n_in) if importance else None), moments


def grown_positions(update: Update, growth):
    """``output * n_in + input`` of what grows, ascending."""
    layer = update.layer
    shape = layer.tile, layer.in_features, layer.out_features
    places = growth.places
    if growth.are_ranks:
        places = free_places(places, layer.indptr.numpy(), layer.indices.numpy(), *shape)
    indptr, inputs = from_places(places, *shape)
    outputs = np.repeat(np.arange(len(indptr) - 1) % layer.out_features, np.diff(indptr))
    return np.sort(outputs * layer.in_features + inputs)


@given(
    st.integers(1, 12),
    st.integers(1, 12),
    st.sampled_from(sorted(DROP_RULES)),
    st.sampled_from(sorted(GROW_RULES)),
    st.booleans(),
    st.floats(0.01, 0.99),
    st.data(),
)
def test_an_update_keeps_what_it_must(n_in, n_out, drop, grow, importance, fraction, data):
    """Every pair of rules: nnz exact, indices sorted and unique, survivors with their moments, grown ones at zero."""
    size = n_in * n_out
    nnz = data.draw(st.integers(1, size))
    tile = data.draw(st.integers(1, n_in))
    update, moments = an_update(n_in, n_out, nnz, seed=size, importance=importance, tile=tile)
    layer = update.layer
    before = dict(zip(layer.positions().tolist(), layer.values.tolist(), strict=True))
    first, second = (dict(zip(before, moment.tolist(), strict=True)) for moment in moments)
    scores = dict(zip(before, DROP_RULES[drop](update).tolist(), strict=True))

    moved = rewire(update, moments, drop=DROP_RULES[drop], grow=GROW_RULES[grow], fraction=fraction)

    assert moved == min(math.ceil(fraction * nnz), size - nnz)
    positions = layer.positions()
    assert layer.nnz == len(positions) == nnz
    assert layer.indices.dtype == torch.int32
    places = layer.places()
    assert (np.diff(places) > 0).all(), "sorted and unique"
    assert places[0] >= 0
    assert places[-1] < size
    kept = [position for position in positions.tolist() if position in before]
    assert len(kept) == nnz - moved
    dropped = [scores[position] for position in before if position not in set(kept)]
    assert not dropped or not kept or max(dropped) <= min(scores[position] for position in kept)
    for position, value, m, v in zip(positions.tolist(), layer.values.tolist(), *moments, strict=True):
        if position in before:
            assert (value, m.item(), v.item()) == (before[position], first[position], second[position])
        else:
            assert (value, m.item(), v.item()) == (0.0, 0.0, 0.0)


@pytest.mark.parametrize("grow", sorted(GROW_RULES))
@pytest.mark.parametrize("drop", sorted(DROP_RULES))
def test_an_update_repeats_and_a_full_layer_does_not_move(drop, grow):
    rules = {"drop": DROP_RULES[drop], "grow": GROW_RULES[grow], "fraction": 0.3}
    results = []
    for _ in range(2):
        update, moments = an_update(9, 11, 40)
        assert rewire(update, moments, **rules) == 12
        results.append((update.layer.positions().tolist(), update.layer.values.tolist(), moments[0].tolist()))
    assert results[0] == results[1]
    full, moments = an_update(5, 4, 20)
    values = full.layer.values.clone()
    assert rewire(full, moments, **rules) == 0
    torch.testing.assert_close(full.layer.values, values, rtol=0, atol=0)


@pytest.mark.parametrize("grow", sorted(GROW_RULES))
@pytest.mark.slow
def test_an_update_takes_memory_for_connections_not_for_the_dense_matrix(grow):
    """A layer of 200 million positions and 20,000 connections: far below its 800 MB."""
    update, moments = an_update(200_000, 1000, 20_000)
    rewire(update, moments, drop=drop_by_magnitude, grow=GROW_RULES[grow], fraction=0.3)  # compiles
    tracemalloc.start()
    rewire(update, moments, drop=drop_by_magnitude, grow=GROW_RULES[grow], fraction=0.3)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 16 * 2**20


def test_methods_name_rules_that_exist():
    for method in METHODS.values():
        assert method.drop in DROP_RULES
        assert method.grow is None or (method.sparse and method.grow in GROW_RULES)


def test_mest_scores_by_hand():
    update, _ = an_update(6, 5, 12)
    x, dy = update.gradient
    gradient = (dy @ x.T).view(-1).numpy()[update.layer.positions()]
    weights = update.layer.values.detach().numpy()
    expected = np.abs(weights) + MEST_LAMBDA * np.abs(gradient)
    np.testing.assert_allclose(drop_by_magnitude_and_gradient(update), expected, rtol=1e-4)


@pytest.mark.parametrize("tile", [1, 4, 9])
@pytest.mark.parametrize("block_bytes", [1, 100, 64 * 2**20])
def test_gradient_growth_takes_the_largest_free_gradients(block_bytes, tile, monkeypatch):
    monkeypatch.setattr(grow, "GRADIENT_BLOCK_BYTES", block_bytes)
    update, _ = an_update(9, 11, 30, tile=tile)
    x, dy = update.gradient
    gradient = (dy @ x.T).abs().view(-1).numpy().copy()
    occupied = update.layer.positions()
    gradient[occupied] = -1
    grown = grown_positions(update, grow_by_gradient(update, 12))
    assert grown.tolist() == sorted(np.argsort(-gradient)[:12].tolist())


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_growth_by_gradients_that_are_not_finite_is_refused_and_nothing_moves(bad):
    """A layer that was moved by fewer connections than it dropped would be corrupt."""
    update, moments = an_update(9, 11, 30)
    update.gradient[1][:] = bad
    before = update.layer.positions().tolist()
    with pytest.raises(DivergedError, match="must stay finite"):
        rewire(update, moments, drop=drop_by_magnitude, grow=grow_by_gradient, fraction=0.3)
    assert update.layer.positions().tolist() == before


def test_a_sample_that_misleads_costs_time_not_the_largest(monkeypatch):
    monkeypatch.setattr(grow, "_too_small", lambda update, count: 1e30)
    update, _ = an_update(9, 11, 30)
    misled = grow_by_gradient(update, 12).places.tolist()
    monkeypatch.undo()
    assert grow_by_gradient(update, 12).places.tolist() == misled


def test_random_growth_is_uniform_over_free_positions():
    update, _ = an_update(4, 4, 6)
    occupied = update.layer.positions()
    grown = [grown_positions(update, grow_randomly(update, 3)) for _ in range(10_000)]
    hits = np.bincount(np.concatenate(grown), minlength=16)
    assert not hits[occupied].any()
    free = np.setdiff1d(np.arange(16), occupied)
    assert np.abs(hits[free] - 3000).max() < 5 * np.sqrt(3000)


def test_growth_by_importance_follows_importance_and_shuts_nobody_out():
    """One input of 20 has all importance: it is due 52.5% of the growth, each other input 2.5%."""
    update, _ = an_update(20, 1000, 40, tile=6)
    importance = np.zeros(20)
    importance[7] = 1.0
    update = dataclasses.replace(update, input_importance=importance)
    occupied = update.layer.positions()
    grown = grown_positions(update, grow_by_importance(update, 1000))
    assert len(np.intersect1d(grown, occupied)) == 0
    per_input = np.bincount(grown % 20, minlength=20)
    assert abs(per_input[7] - 525) < 5 * np.sqrt(1000 * 0.525 * 0.475)
    assert (np.delete(per_input, 7) > 0).all()


def test_without_importance_growth_is_random():
    update, _ = an_update(6, 5, 9, importance=False)
    other, _ = an_update(6, 5, 9, importance=False)
    assert grow_by_importance(update, 5).places.tolist() == grow_randomly(other, 5).places.tolist()
