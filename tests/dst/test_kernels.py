from __future__ import annotations

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from scipy.sparse import csr_array

from dst.kernels import linear
from dst.kernels.connections import (
    collect_largest,
    flat_positions,
    free_positions,
    from_positions,
    keep_candidates,
    keep_largest,
    move,
    sample_ranks,
)


@st.composite
def problems(draw):
    """A sparse layer with ragged rows (empty and full ones too), a batch and an output gradient."""
    n_in, n_out = draw(st.integers(1, 40)), draw(st.integers(1, 20))
    batch = draw(st.integers(1, 70))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    mask = rng.random((n_out, n_in)) < draw(st.sampled_from([0.0, 0.1, 0.5, 1.0]))
    mask[rng.integers(n_out)] = True
    mask[rng.integers(n_out)] = False
    if not mask.any():
        mask[0, 0] = True
    weight = np.where(mask, rng.normal(size=(n_out, n_in)), 0).astype(np.float32)
    indptr, indices = from_positions(np.flatnonzero(mask), n_in, n_out)
    x = np.zeros((n_in, linear.padded(batch)), np.float32)
    x[:, :batch] = rng.normal(size=(n_in, batch))
    dy = np.zeros((n_out, linear.padded(batch)), np.float32)
    dy[:, :batch] = rng.normal(size=(n_out, batch))
    bias = rng.normal(size=n_out).astype(np.float32)
    return weight, mask, indptr, indices, bias, x, dy


@settings(deadline=None)
@given(problems(), st.integers(1, 45))
def test_products_match_numpy(problem, tile):
    weight, mask, indptr, indices, bias, x, dy = problem
    values = weight[mask]
    y = np.empty((weight.shape[0], x.shape[1]), np.float32)
    linear.forward(indptr, 1, indices, values, bias, x, y, False)
    np.testing.assert_allclose(y, weight.astype(float) @ x + bias[:, None], rtol=1e-4, atol=1e-4)

    rectified = np.empty_like(y)
    linear.forward(indptr, 1, indices, values, bias, x, rectified, True)
    np.testing.assert_array_equal(rectified, np.maximum(y, 0))
    n_tiles = -(-len(x) // tile)
    segments = linear.tile_segments(indptr, indices, tile, n_tiles)
    tiled = np.full_like(y, np.nan)
    linear.forward(segments, n_tiles, indices, values, bias, x, tiled, True)
    np.testing.assert_allclose(tiled, rectified, rtol=1e-4, atol=1e-4)

    gradient = (dy.astype(float) @ x.T)[mask]
    middle = len(indptr) // 2
    dvalues = np.full(len(values) + 4, np.nan, np.float32)
    linear.weight_gradient(indptr, 1, indices, x, dy, 0, middle, dvalues)
    linear.weight_gradient(segments, n_tiles, indices, x, dy, middle, len(indptr) - 1, dvalues[indptr[middle] :])
    np.testing.assert_allclose(dvalues[:-4], gradient, rtol=1e-4, atol=1e-4)
    assert np.isnan(dvalues[-4:]).all(), "nothing is written beyond the connections"
    dbias = np.full_like(bias, np.nan)
    linear.row_sums(dy, dbias)
    np.testing.assert_allclose(dbias, dy.astype(float).sum(axis=1), rtol=1e-4, atol=1e-4)

    dx = np.full_like(x, np.nan)
    linear.input_gradient(indptr, indices, values, dy, dx)
    np.testing.assert_allclose(dx, weight.T.astype(float) @ dy, rtol=1e-4, atol=1e-4)

    hidden, sums = np.maximum(x, 0), np.empty(4, np.float32)
    dvalues, dhidden = np.full_like(values, np.nan), np.full_like(x, np.nan)
    linear.both_gradients(*linear.by_input(indptr, indices, len(x)), values, hidden, dy, dhidden, dvalues, sums, 2.0)
    np.testing.assert_allclose(dvalues, (dy.astype(float) @ hidden.T)[mask], rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(dhidden, 2 * (weight.T.astype(float) @ dy) * (x > 0), rtol=1e-4, atol=1e-4)

    strength = linear.input_strength(indices, values, weight.shape[1])
    np.testing.assert_allclose(strength, np.abs(weight).sum(axis=0), rtol=1e-5, atol=1e-6)


@settings(deadline=None)
@given(st.integers(1, 30), st.integers(1, 50), st.integers(0, 2**32 - 1))
def test_gather_takes_samples_and_pads_with_zeros(n, count, seed):
    rng = np.random.default_rng(seed)
    table = rng.normal(size=(n, 60)).astype(np.float32)
    rows = rng.integers(0, 60, count)
    out = np.full((n, linear.padded(count)), np.nan, np.float32)
    linear.gather(table, rows, out)
    np.testing.assert_array_equal(out[:, :count], table[:, rows])
    assert not out[:, count:].any()


@settings(deadline=None)
@given(st.integers(1, 12), st.integers(1, 12), st.data())
def test_positions_survive_the_round_trip(n_in, n_out, data):
    positions = np.array(sorted(data.draw(st.sets(st.integers(0, n_in * n_out - 1)))), np.int64)
    indptr, indices = from_positions(positions, n_in, n_out)
    assert indices.dtype == np.int32
    assert indptr[-1] == len(positions)
    np.testing.assert_array_equal(flat_positions(indptr, indices, n_in), positions)


@settings(deadline=None)
@given(st.integers(1, 15), st.integers(1, 15), st.data())
def test_ranks_reach_exactly_the_free_positions(n_in, n_out, data):
    occupied = np.array(sorted(data.draw(st.sets(st.integers(0, n_in * n_out - 1)))), np.int64)
    indptr, indices = from_positions(occupied, n_in, n_out)
    free = np.setdiff1d(np.arange(n_in * n_out), occupied)
    np.testing.assert_array_equal(free_positions(np.arange(len(free)), indptr, indices, n_in), free)
    some = np.array(sorted(data.draw(st.sets(st.sampled_from(range(len(free)))))) if len(free) else [], np.int64)
    np.testing.assert_array_equal(free_positions(some, indptr, indices, n_in), free[some])


@settings(deadline=None)
@given(st.integers(1, 300), st.data())
def test_sampled_ranks_are_distinct_and_ascending(population, data):
    count = data.draw(st.integers(0, population))
    ranks = sample_ranks(np.random.default_rng(0), population, count)
    assert ranks.dtype == np.int64
    assert len(ranks) == count
    assert (np.diff(ranks) > 0).all()
    assert count == 0 or (ranks[0] >= 0 and ranks[-1] < population)


def test_few_of_very_many_are_sampled_without_a_bit_set():
    ranks = sample_ranks(np.random.default_rng(0), 10**12, 1000)
    assert len(ranks) == 1000
    assert (np.diff(ranks) > 0).all()
    assert abs(ranks.mean() / 10**12 - 0.5) < 5 / np.sqrt(12 * 1000)


@pytest.mark.parametrize("count", [3, 7])
def test_sampling_is_uniform(count):
    """Each of 10 ranks is drawn with probability count / 10, below and above half of the population."""
    rng = np.random.default_rng(1)
    draws = 20_000
    hits = np.bincount(np.concatenate([sample_ranks(rng, 10, count) for _ in range(draws)]), minlength=10)
    expected = draws * count / 10
    assert np.abs(hits - expected).max() < 5 * np.sqrt(expected)


@settings(deadline=None)
@given(st.lists(st.sampled_from([0.0, 0.5, 1.0, 2.0]), min_size=1, max_size=30), st.data())
def test_the_smallest_are_dropped_and_ties_from_the_front(scores, data):
    drop = data.draw(st.integers(0, len(scores)))
    keep = keep_largest(np.array(scores, np.float32), drop)
    expected = np.ones(len(scores), bool)
    expected[np.argsort(scores, kind="stable")[:drop]] = False
    np.testing.assert_array_equal(keep, expected)


@settings(deadline=None)
@given(st.lists(st.floats(0, 2.0**100, width=32), min_size=1, max_size=100), st.data())
def test_selection_agrees_with_sorting_for_any_magnitudes(scores, data):
    drop = data.draw(st.integers(0, len(scores)))
    expected = np.ones(len(scores), bool)
    expected[np.argsort(np.array(scores, np.float32), kind="stable")[:drop]] = False
    np.testing.assert_array_equal(keep_largest(np.array(scores, np.float32), drop), expected)


def test_a_move_of_hand_written_connections():
    """Outputs of 4 inputs each: 0, 2 | - | 1, 3 become 0, 3 | 2 | 3."""
    indptr, indices = np.array([0, 2, 2, 4]), np.array([0, 2, 1, 3], np.int32)
    keep, grown = np.array([True, False, False, True]), np.array([3, 6])
    values, first, second = (np.array([1, 2, 3, 4], np.float32) * scale for scale in (1, 10, 100))
    move(indptr, indices, keep, grown, 4, values, first, second)
    assert indptr.tolist() == [0, 2, 3, 4]
    assert indices.tolist() == [0, 3, 2, 3]
    assert values.tolist() == [1, 0, 0, 4]
    assert first.tolist() == [10, 0, 0, 40]
    assert second.tolist() == [100, 0, 0, 400]


@settings(deadline=None)
@given(st.integers(1, 60), st.integers(1, 12), st.integers(1, 12), st.booleans(), st.data())
def test_the_largest_free_entries_are_collected_over_blocks(n_in, n_out, block, ties, data):
    rng = np.random.default_rng(n_in * n_out)
    dense = rng.normal(size=(n_out, n_in)).astype(np.float32)
    if ties:
        dense = np.round(dense)
    mask = rng.random((n_out, n_in)) < 0.3
    free = int((~mask).sum())
    assume(free > 0)
    count = data.draw(st.integers(1, free))
    indptr, indices = from_positions(np.flatnonzero(mask), n_in, n_out)
    scores = np.empty(2 * count + data.draw(st.sampled_from([1, 1000])), np.float32)
    positions = np.empty(scores.size, np.int64)
    size, limit = 0, -1.0
    for first in range(0, n_out, block):
        part = dense[first : first + block]
        size, limit = collect_largest(part, first, indptr, indices, count, scores, positions, size, limit)
    assert keep_candidates(scores, positions, size, count) == count
    found = positions[:count]
    assert len(set(found.tolist())) == count
    assert not mask.ravel()[found].any()
    expected = np.sort(np.abs(dense[~mask]))[::-1][:count]
    np.testing.assert_array_equal(np.sort(np.abs(dense.ravel()[found]))[::-1], expected)


def test_tiles_fill_a_cache_only_where_their_segments_stay_long():
    assert linear.tile_inputs(1024, 1000, 144_608, 112) == 2**17 // (4 * 112)
    assert linear.tile_inputs(1000, 100, 78_592, 112) == 2**15 // (4 * 112)
    assert linear.tile_inputs(1024, 1000, 14_051, 112) == 1024
    assert linear.tile_inputs(19_993, 1000, 954_448, 32) == 2**19 // (4 * 32)
    assert linear.tile_inputs(10, 5, 20, 16) == 10


@given(st.integers(1, 40), st.integers(1, 10))
def test_aligned_matrices_begin_a_cache_line(rows, vectors):
    matrix = linear.aligned((rows, 16 * vectors))
    assert matrix.shape == (rows, 16 * vectors)
    assert matrix.dtype == np.float32
    assert matrix.ctypes.data % 64 == 0
    assert matrix.flags.c_contiguous


@settings(max_examples=60, deadline=None)
@given(
    n_samples=st.integers(1, 12),
    n_features=st.integers(1, 9),
    density=st.sampled_from([0.0, 0.3, 1.0]),
    seed=st.integers(0, 999),
    data=st.data(),
)
def test_a_minibatch_of_a_sparse_table_is_that_of_its_dense_twin(n_samples, n_features, density, seed, data):
    rng = np.random.default_rng(seed)
    table = np.where(rng.random((n_samples, n_features)) < density, rng.normal(size=(n_samples, n_features)), 0)
    table = table.astype(np.float32)
    rows = np.array(data.draw(st.lists(st.integers(0, n_samples - 1), min_size=1, max_size=12)), dtype=np.int64)
    csr = csr_array(table)
    out = np.full((2, n_features, linear.padded(len(rows))), 7.0, dtype=np.float32)
    linear.gather(np.ascontiguousarray(table.T), rows, out[0])
    linear.gather_sparse(csr.indptr.astype(np.int64), csr.indices.astype(np.int32), csr.data, rows, out[1])
    np.testing.assert_array_equal(out[0], out[1])
