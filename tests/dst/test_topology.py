from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from dst import topology
from dst.layers import SparseLinear
from dst.topology import METHODS, CosineSchedule, Growth, grow_by_gradient, grow_randomly, rewire

GROWING = sorted(name for name, method in METHODS.items() if method.grow is not None)


def a_layer(n_in: int, n_out: int, nnz: int, seed: int = 0):
    """A layer, its optimizer moments and the two factors of its gradient."""
    rng = np.random.default_rng(seed)
    layer = SparseLinear(n_in, n_out, nnz, rng)
    moments = [rng.normal(size=nnz).astype(np.float32) for _ in range(2)]
    gradient = tuple(torch.from_numpy(rng.normal(size=(n, 16)).astype(np.float32)) for n in (n_in, n_out))
    return layer, moments, gradient


@settings(deadline=None)
@given(st.integers(1, 12), st.integers(1, 12), st.sampled_from(GROWING), st.floats(0.01, 0.99), st.data())
def test_an_update_keeps_what_it_must(n_in, n_out, method, fraction, data):
    """nnz exact, indices sorted and unique, survivors with their moments, grown ones at zero, none regrown."""
    size = n_in * n_out
    nnz = data.draw(st.integers(1, size))
    layer, moments, gradient = a_layer(n_in, n_out, nnz, seed=size)
    before = dict(zip(layer.positions().tolist(), layer.values.tolist(), strict=True))
    first, second = (dict(zip(before, moment.tolist(), strict=True)) for moment in moments)

    moved = rewire(layer, moments, METHODS[method].grow, fraction, np.random.default_rng(0), gradient)

    assert moved == min(math.ceil(fraction * nnz), size - nnz)
    positions = layer.positions()
    assert layer.nnz == len(positions) == nnz
    assert layer.indices.dtype == torch.int32
    assert (np.diff(positions) > 0).all()
    assert positions[0] >= 0
    assert positions[-1] < size
    kept = [position for position in positions.tolist() if position in before]
    assert len(kept) == nnz - moved
    dropped = [abs(value) for position, value in before.items() if position not in set(kept)]
    assert not dropped or not kept or max(dropped) <= min(abs(before[position]) for position in kept)
    now = zip(positions.tolist(), layer.values.tolist(), *moments, strict=True)
    for position, value, m, v in now:
        if position in before:
            assert (value, m.item(), v.item()) == (before[position], first[position], second[position])
        else:
            assert (value, m.item(), v.item()) == (0.0, 0.0, 0.0)


@pytest.mark.parametrize("method", GROWING)
def test_a_full_layer_does_not_move(method):
    layer, moments, gradient = a_layer(5, 4, 20)
    values = layer.values.clone()
    assert rewire(layer, moments, METHODS[method].grow, 0.3, np.random.default_rng(0), gradient) == 0
    torch.testing.assert_close(layer.values, values, rtol=0, atol=0)


@pytest.mark.parametrize("block_bytes", [1, 100, 64 * 2**20])
def test_gradient_growth_takes_the_largest_free_gradients(block_bytes, monkeypatch):
    monkeypatch.setattr(topology, "GRADIENT_BLOCK_BYTES", block_bytes)
    layer, _, (x, dy) = a_layer(9, 11, 30)
    gradient = (dy @ x.T).abs().view(-1).numpy().copy()
    occupied = layer.positions()
    gradient[occupied] = -1
    grown = grow_by_gradient(Growth(layer, occupied, 12, np.random.default_rng(0), (x, dy)))
    assert grown.tolist() == sorted(np.argsort(-gradient)[:12].tolist())


def test_random_growth_is_uniform_over_free_positions():
    layer, _, gradient = a_layer(4, 4, 6)
    occupied = layer.positions()
    growth = Growth(layer, occupied, 3, np.random.default_rng(1), gradient)
    hits = np.bincount(np.concatenate([grow_randomly(growth) for _ in range(10_000)]), minlength=16)
    assert not hits[occupied].any()
    free = np.setdiff1d(np.arange(16), occupied)
    assert np.abs(hits[free] - 3000).max() < 5 * np.sqrt(3000)


def test_the_cosine_schedule_at_its_ends_and_middle():
    schedule = CosineSchedule(0.3, 0.005, 100)
    assert schedule(0) == pytest.approx(0.3)
    assert schedule(50) == pytest.approx((0.3 + 0.005) / 2)
    assert schedule(100) == schedule(200) == pytest.approx(0.005)
