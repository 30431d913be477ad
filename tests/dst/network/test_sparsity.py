from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dst.network.sparsity import DISTRIBUTIONS, connections, erdos_renyi

COIL20 = [(1024, 1000), (1000, 100), (100, 20)]
MADELON = [(500, 1000), (1000, 100), (100, 2)]
BASEHOCK = [(4862, 1000), (1000, 100), (100, 2)]


@pytest.mark.parametrize(
    ("shapes", "densities", "total"),
    [
        (COIL20, (0.0344, 0.191, 1), 56_300),
        (MADELON, (0.0344, 0.126, 1), 30_010),
        (BASEHOCK, (0.0429, 0.392, 1), 248_110),
    ],
)
def test_the_papers_densities_at_sparsity_095(shapes, densities, total):
    assert erdos_renyi(shapes, 0.05) == pytest.approx(densities, rel=0.01)
    assert sum(connections(shapes, 0.95)) == total


def test_hand_computed_layers():
    # Two layers of 4x4 and 4x2: neurons 8 and 6, sizes 16 and 8. At density 1/2: 12 connections, eps = 12 / 14.
    assert erdos_renyi([(4, 4), (4, 2)], 0.5) == pytest.approx([8 * 12 / 14 / 16, 6 * 12 / 14 / 8])
    # 48/7 = 6.86 and 36/7 = 5.14 connections: the larger remainder gets the missing one.
    assert connections([(4, 4), (4, 2)], 0.5) == [7, 5]


shapes_strategy = st.lists(st.tuples(st.integers(1, 60), st.integers(1, 60)), min_size=1, max_size=5)


@given(shapes_strategy, st.floats(0, 0.999), st.sampled_from(sorted(DISTRIBUTIONS)))
def test_the_total_is_exact_and_every_layer_lives(shapes, sparsity, distribution):
    counts = connections(shapes, sparsity, distribution)
    sizes = [n_in * n_out for n_in, n_out in shapes]
    assert sum(counts) == max(round((1 - sparsity) * sum(sizes)), len(shapes))
    assert all(1 <= count <= size for count, size in zip(counts, sizes, strict=True))


def test_zero_sparsity_fills_every_layer():
    assert connections(COIL20, 0.0) == [1_024_000, 100_000, 2000]


def test_uniform_gives_every_layer_the_same_density():
    assert connections(COIL20, 0.9, "uniform") == [102_400, 10_000, 200]
    assert connections(COIL20, 0.9, "erk") == connections(COIL20, 0.9, "er")
