from __future__ import annotations

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from scipy.sparse import csr_array

from dst.kernels import linear
from dst.kernels.connections import exist, free_places, from_places, into_panels, move, places
from dst.kernels.rows import MOST, lanes, padded
from dst.kernels.select import collect_largest, keep_candidates, keep_largest, sample_ranks
from dst.kernels.simd import WIDTH


@st.composite
def problems(draw):
    """A sparse layer with ragged rows (empty and full ones too), in panels, a batch and an output gradient."""
    n_in, n_out = draw(st.integers(1, 40)), draw(st.integers(1, 20))
    batch = draw(st.integers(1, 70) | st.integers(129, 150))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    mask = rng.random((n_out, n_in)) < draw(st.sampled_from([0.0, 0.1, 0.5, 1.0]))
    mask[rng.integers(n_out)] = True
    mask[rng.integers(n_out)] = False
    if not mask.any():
        mask[0, 0] = True
    weight = np.where(mask, rng.normal(size=(n_out, n_in)), 0).astype(np.float32)
    csr = *from_places(np.flatnonzero(mask), n_in, n_in, n_out), weight[mask]
    layer = into_panels(*csr, draw(st.integers(1, n_in)), n_in, n_out)
    x = np.zeros((n_in, padded(batch)), np.float32)
    x[:, :batch] = rng.normal(size=(n_in, batch))
    dy = np.zeros((n_out, padded(batch)), np.float32)
    dy[:, :batch] = rng.normal(size=(n_out, batch))
    bias = rng.normal(size=n_out).astype(np.float32)
    return weight, layer, bias, x, dy


@given(problems(), st.data())
def test_products_match_numpy(problem, data):
    """Two ranges of neurons at a time, as two threads would take them."""
    weight, (indptr, indices, values), bias, x, dy = problem
    n_out, n_in = weight.shape
    row = lanes(x.shape[1])
    outputs = np.repeat(np.arange(len(indptr) - 1) % n_out, np.diff(indptr))
    middle = data.draw(st.integers(0, n_out))
    y = np.full_like(dy, np.nan)
    for start, end in ((0, middle), (middle, n_out)):
        linear.forward(indptr, indices, values, bias, x, y, False, start, end, row)
    np.testing.assert_allclose(y, weight.astype(float) @ x + bias[:, None], rtol=1e-4, atol=1e-4)
    rectified = np.empty_like(y)
    linear.forward(indptr, indices, values, bias, x, rectified, True, 0, n_out, row)
    np.testing.assert_array_equal(rectified, np.maximum(y, 0))

    gradient = (dy.astype(float) @ x.T)[outputs, indices]
    middle = data.draw(st.integers(0, len(indptr) - 1))
    dvalues = np.full(len(values) + 4, np.nan, np.float32)
    linear.weight_gradient(indptr, indices, x, dy, 0, middle, dvalues, row)
    linear.weight_gradient(indptr, indices, x, dy, middle, len(indptr) - 1, dvalues[indptr[middle] :], row)
    np.testing.assert_allclose(dvalues[:-4], gradient, rtol=1e-4, atol=1e-4)
    assert np.isnan(dvalues[-4:]).all(), "nothing is written beyond the connections"
    dbias = np.full_like(bias, np.nan)
    linear.row_sums(dy, dbias)
    np.testing.assert_allclose(dbias, dy.astype(float).sum(axis=1), rtol=1e-4, atol=1e-4)

    dx = np.full_like(x, np.nan)
    linear.input_gradient(indptr, indices, values, dy, dx, row)
    np.testing.assert_allclose(dx, weight.T.astype(float) @ dy, rtol=1e-4, atol=1e-4)

    hidden, sums = np.maximum(x, 0), np.empty(4, np.float32)
    dvalues, dhidden = np.full_like(values, np.nan), np.full_like(x, np.nan)
    lists = linear.by_input(indptr, indices, n_in, n_out)
    middle = data.draw(st.integers(0, n_in))
    for start, end in ((0, middle), (middle, n_in)):
        linear.both_gradients(*lists, values, hidden, dy, dhidden, dvalues, sums, 2.0, start, end, row)
    np.testing.assert_allclose(dvalues, (dy.astype(float) @ hidden.T)[outputs, indices], rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(dhidden, 2 * (weight.T.astype(float) @ dy) * (x > 0), rtol=1e-4, atol=1e-4)

    strength = linear.input_strength(indices, values, n_in)
    np.testing.assert_allclose(strength, np.abs(weight).sum(axis=0), rtol=1e-5, atol=1e-6)


@given(st.integers(1, 2000))
def test_a_batch_is_padded_little_and_fills_rows(batch):
    columns = padded(batch)
    vectors = len(lanes(columns))
    assert batch <= columns
    assert columns % (vectors * WIDTH) == 0
    assert 1 <= vectors <= MOST
    assert columns - batch < WIDTH * -(-batch // (WIDTH * MOST))
    assert padded(columns) == columns
    assert columns <= MOST * WIDTH or vectors > MOST // 2, "long batches go in long rows"


def test_rows_need_whole_vectors():
    with pytest.raises(ValueError, match="columns must be a multiple of 16, but there are 20"):
        lanes(20)


@given(st.integers(1, 30), st.integers(1, 50), st.integers(0, 2**32 - 1))
def test_gather_takes_samples_and_pads_with_zeros(n, count, seed):
    rng = np.random.default_rng(seed)
    table = rng.normal(size=(60, n)).astype(np.float32)
    rows = rng.integers(0, 60, count)
    out = np.full((n, padded(count)), np.nan, np.float32)
    linear.gather(table, rows, out)
    np.testing.assert_array_equal(out[:, :count], table[rows].T)
    assert not out[:, count:].any()


@st.composite
def panelled(draw):
    """Some places of a layer in panels, and its shape."""
    n_in, n_out = draw(st.integers(1, 15)), draw(st.integers(1, 15))
    tile = draw(st.integers(1, n_in))
    taken = np.array(sorted(draw(st.sets(st.integers(0, n_in * n_out - 1)))), np.int64)
    return taken, (tile, n_in, n_out)


@given(panelled())
def test_places_survive_the_round_trip(layer):
    taken, shape = layer
    indptr, indices = from_places(taken, *shape)
    assert indices.dtype == np.int32
    assert indptr[-1] == len(taken)
    np.testing.assert_array_equal(places(indptr, indices, *shape), taken)


def test_places_by_hand():
    """Three inputs in panels of two, two outputs: places 0 to 3 are the first panel's, 4 and 5 the second's."""
    indptr, indices = from_places(np.array([1, 2, 5]), 2, 3, 2)
    assert indptr.tolist() == [0, 1, 2, 2, 3]  # (panel, output): (0, 0), (0, 1), (1, 0), (1, 1)
    assert indices.tolist() == [1, 0, 2]


@given(panelled(), st.integers(1, 15))
def test_other_panels_hold_the_same_connections(layer, tile):
    taken, (old, n_in, n_out) = layer
    tile = min(tile, n_in)
    indptr, indices = from_places(taken, old, n_in, n_out)
    values = np.arange(len(taken), dtype=np.float32)

    def connections(indptr, indices, values):
        outputs = np.repeat(np.arange(len(indptr) - 1) % n_out, np.diff(indptr))
        return dict(zip(zip(outputs.tolist(), indices.tolist(), strict=True), values.tolist(), strict=True))

    moved = into_panels(indptr, indices, values, tile, n_in, n_out)
    assert connections(*moved) == connections(indptr, indices, values)
    ascending = places(moved[0], moved[1], tile, n_in, n_out)
    assert (np.diff(ascending) > 0).all()
    for array, back in zip((indptr, indices, values), into_panels(*moved, old, n_in, n_out), strict=True):
        np.testing.assert_array_equal(array, back)


@given(panelled(), st.data())
def test_ranks_reach_exactly_the_free_places(layer, data):
    taken, shape = layer
    indptr, indices = from_places(taken, *shape)
    free = np.setdiff1d(np.arange(shape[1] * shape[2]), taken)
    np.testing.assert_array_equal(free_places(np.arange(len(free)), indptr, indices, *shape), free)
    some = np.array(sorted(data.draw(st.sets(st.sampled_from(range(len(free)))))) if len(free) else [], np.int64)
    np.testing.assert_array_equal(free_places(some, indptr, indices, *shape), free[some])


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


@given(st.lists(st.sampled_from([0.0, 0.5, 1.0, 2.0]), min_size=1, max_size=30), st.data())
def test_the_smallest_are_dropped_and_ties_from_the_front(scores, data):
    drop = data.draw(st.integers(0, len(scores)))
    keep = keep_largest(np.array(scores, np.float32), drop)
    expected = np.ones(len(scores), bool)
    expected[np.argsort(scores, kind="stable")[:drop]] = False
    np.testing.assert_array_equal(keep, expected)


@given(st.lists(st.floats(0, 2.0**100, width=32), min_size=1, max_size=100), st.data())
def test_selection_agrees_with_sorting_for_any_magnitudes(scores, data):
    drop = data.draw(st.integers(0, len(scores)))
    expected = np.ones(len(scores), bool)
    expected[np.argsort(np.array(scores, np.float32), kind="stable")[:drop]] = False
    np.testing.assert_array_equal(keep_largest(np.array(scores, np.float32), drop), expected)


@pytest.mark.parametrize(("grown", "are_ranks"), [([1, 4], True), ([3, 6], False)])
def test_a_move_of_hand_written_connections(grown, are_ranks):
    """Outputs of 4 inputs each: 0, 2 | - | 1, 3 become 0, 3 | 2 | 3."""
    indptr, indices = np.array([0, 2, 2, 4]), np.array([0, 2, 1, 3], np.int32)
    keep = np.array([True, False, False, True])  # free places: 1, 3 | 4, 5, 6, 7 | 8, 10
    values, first, second = (np.array([1, 2, 3, 4], np.float32) * scale for scale in (1, 10, 100))
    move(indptr, indices, keep, np.array(grown), are_ranks, 4, 4, 3, values, first, second)
    assert indptr.tolist() == [0, 2, 3, 4]
    assert indices.tolist() == [0, 3, 2, 3]
    assert values.tolist() == [1, 0, 0, 4]
    assert first.tolist() == [10, 0, 0, 40]
    assert second.tolist() == [100, 0, 0, 400]


@given(panelled())
def test_connections_are_found_by_bisection(layer):
    taken, (tile, n_in, n_out) = layer
    indptr, indices = from_places(taken, tile, n_in, n_out)
    outputs, inputs = np.divmod(np.arange(n_in * n_out), n_in)
    expected = np.zeros((n_out, n_in), bool)
    expected[np.repeat(np.arange(len(indptr) - 1) % n_out, np.diff(indptr)), indices] = True
    np.testing.assert_array_equal(exist(inputs, outputs, indptr, indices, tile, n_out), expected.ravel())


@given(panelled(), st.booleans(), st.data())
def test_a_move_keeps_what_is_kept_and_adds_what_grows(layer, are_ranks, data):
    """Whole rows may empty and others fill, so that rows are pushed far to the left and to the right."""
    taken, shape = layer
    keep = np.array([data.draw(st.booleans()) for _ in taken], np.bool_)
    free = np.setdiff1d(np.arange(shape[1] * shape[2]), taken)
    count = min(int((~keep).sum()), len(free))
    keep[np.flatnonzero(~keep)[count:]] = True
    ranks = np.array(sorted(data.draw(st.permutations(range(len(free))))[:count]), np.int64)
    indptr, indices = from_places(taken, *shape)
    values, first, second = (scale * (1 + np.arange(len(taken), dtype=np.float32)) for scale in (1, 10, 100))
    expected = dict.fromkeys(free[ranks].tolist(), 0.0) | dict(
        zip(taken[keep].tolist(), values[keep].tolist(), strict=True)
    )
    grown = ranks if are_ranks else free[ranks]
    move(indptr, indices, keep, grown, are_ranks, *shape, values, first, second)
    assert indptr[-1] == len(taken)
    found = places(indptr, indices, *shape)
    assert dict(zip(found.tolist(), values.tolist(), strict=True)) == expected
    assert found.tolist() == sorted(expected)
    np.testing.assert_array_equal(first, 10 * values)
    np.testing.assert_array_equal(second, 100 * values)


@pytest.mark.parametrize("bad", [np.inf, np.nan])
def test_scores_that_are_not_finite_are_refused(bad):
    with pytest.raises(FloatingPointError):
        keep_largest(np.array([1, bad, 2], np.float32), 1)


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
    indptr, indices = from_places(np.flatnonzero(mask), n_in, n_in, n_out)
    scores = np.empty(count + data.draw(st.sampled_from([16, 1000])), np.float32)
    found = np.empty(scores.size, np.int64)
    size, limit = 0, -1.0
    for first in range(0, n_out, block):
        part = dense[first : first + block].copy()
        at = first, 0, first * n_in
        size, limit = collect_largest(part, *at, indptr, indices, count, scores, found, size, limit)
    assert keep_candidates(scores, found, size, count) == count
    found = found[:count]
    assert (np.diff(found) > 0).all()
    assert len(set(found.tolist())) == count
    assert not mask.ravel()[found].any()
    expected = np.sort(np.abs(dense[~mask]))[::-1][:count]
    np.testing.assert_array_equal(np.sort(np.abs(dense.ravel()[found]))[::-1], expected)


def test_panels_fill_a_cache_only_where_their_rows_stay_long():
    assert linear.tile_inputs(1024, 1000, 144_608, 112) == 2**16 // (4 * 112)
    assert linear.tile_inputs(1024, 1000, 35_180, 112) == 2**18 // (4 * 112)
    assert linear.tile_inputs(1024, 1000, 9_000, 112) == 1024
    assert linear.tile_inputs(19_993, 1000, 954_448, 32) == 2**17 // (4 * 32)
    assert linear.tile_inputs(10, 5, 20, 16) == 10


@given(st.integers(1, 40), st.integers(1, 10))
def test_aligned_matrices_begin_a_cache_line(rows, vectors):
    matrix = linear.aligned((rows, 16 * vectors))
    assert matrix.shape == (rows, 16 * vectors)
    assert matrix.dtype == np.float32
    assert matrix.ctypes.data % 64 == 0
    assert matrix.flags.c_contiguous


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
    out = np.full((2, n_features, padded(len(rows))), 7.0, dtype=np.float32)
    linear.gather(table, rows, out[0])
    linear.gather_sparse(csr.indptr.astype(np.int64), csr.indices.astype(np.int32), csr.data, rows, out[1])
    np.testing.assert_array_equal(out[0], out[1])
