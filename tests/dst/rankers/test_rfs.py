"""RFS against its objective, minimised by another way, and against itself on the same table stored otherwise."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from scipy.optimize import minimize
from scipy.sparse import csr_array

from dst.data.dataset import Part
from dst.errors import InputError
from dst.rankers.rfs import CentredRows, RfsConfig, rank_by_rfs, solve
from dst.selection.columns import centred_labels


def table(n: int, n_features: int, seed: int = 0) -> Part:
    """Three classes that the first columns decide; a third of the numbers is 0, and no column has mean 0."""
    rng = np.random.default_rng(seed)
    x = (rng.normal(size=(n, n_features)) + 0.5) * (rng.random((n, n_features)) < 2 / 3)
    y = np.argmax(x[:, :3] + 0.3 * rng.normal(size=(n, 3)), axis=1)
    return Part(x.astype(np.float32), y.astype(np.int64), 3)


def norms(matrix: np.ndarray) -> float:
    return float(np.linalg.norm(matrix, axis=1).sum())


@pytest.mark.parametrize("shape", [(30, 5), (9, 14)])
def test_the_objective_is_the_least_there_is(shape: tuple[int, int]) -> None:
    train = table(*shape)
    x = train.x.astype(np.float64)
    x -= x.mean(axis=0)
    labels = centred_labels(train)
    gamma = 0.3

    def objective(flat: np.ndarray) -> tuple[float, np.ndarray]:
        """Smoothed a little, with its gradient."""
        w = flat.reshape(shape[1], 3)
        residuals = x @ w - labels
        lengths, sizes = (np.sqrt(np.square(one).sum(axis=1, keepdims=True) + 1e-10) for one in (residuals, w))
        return float(lengths.sum() + gamma * sizes.sum()), (x.T @ (residuals / lengths) + gamma * w / sizes).ravel()

    config = RfsConfig(gamma=gamma, iterations=3000, tolerance=0.0)
    coefficients, objectives = solve(CentredRows(train.x), labels, config)
    ours = norms(x @ coefficients - labels) + gamma * norms(coefficients)
    assert ours == pytest.approx(objectives[-1], rel=1e-4)
    least = min(
        minimize(objective, start, jac=True, method="L-BFGS-B", options={"maxiter": 2000}).fun
        for start in (np.zeros(3 * shape[1]), coefficients.ravel())
    )
    assert ours <= least * (1 + 1e-4)


@pytest.mark.parametrize("shape", [(60, 20), (20, 60)])
def test_the_objective_never_rises_and_ends_by_its_tolerance(shape: tuple[int, int]) -> None:
    train = table(*shape)
    rows, labels = CentredRows(train.x), centred_labels(train)
    _, objectives = solve(rows, labels, RfsConfig(gamma=2.0, iterations=40, tolerance=0.0))
    assert len(objectives) <= 40
    assert (np.diff(objectives) <= 1e-9 * objectives[0]).all()
    _, few = solve(rows, labels, RfsConfig(gamma=2.0, iterations=40, tolerance=1e-2))
    assert few == objectives[: len(few)]
    assert 2 <= len(few) < len(objectives)
    assert few[-2] - few[-1] <= 1e-2 * few[-2]


def test_rows_and_columns_give_the_same_coefficients() -> None:
    """Columns of zeros make the table wide: it is then solved by its rows."""
    train = table(30, 12)
    labels, config = centred_labels(train), RfsConfig(gamma=1.0, iterations=10, tolerance=0.0)
    by_columns, objectives = solve(CentredRows(train.x), labels, config)
    by_rows, _ = solve(CentredRows(np.pad(train.x, ((0, 0), (0, 20)))), labels, config)
    np.testing.assert_allclose(by_rows[:12], by_columns, rtol=1e-6, atol=1e-9)
    assert not by_rows[12:].any()
    assert len(objectives) == 10


@pytest.mark.parametrize("shape", [(40, 10), (10, 40)])
def test_a_sparse_table_is_centred_in_its_products(shape: tuple[int, int]) -> None:
    train = table(*shape)
    sparse = dataclasses.replace(train, x=csr_array(train.x))
    found = [
        rank_by_rfs(part, part, RfsConfig(gamma=0.5), np.random.default_rng(0), lambda end: None)
        for part in (train, sparse)
    ]
    np.testing.assert_allclose(found[1].scores["row_norm"], found[0].scores["row_norm"], rtol=1e-5, atol=1e-9)
    assert found[0].val_accuracy == found[1].val_accuracy > 0.7


@pytest.mark.parametrize(
    ("settings", "rule"),
    [
        ({"gamma": 0.0}, "0 < gamma < inf must hold, but got gamma=0.0"),
        ({"iterations": 0}, "iterations >= 1 must hold"),
        ({"tolerance": 1.0}, "0 <= tolerance < 1 must hold"),
    ],
)
def test_settings_are_checked(settings: dict, rule: str) -> None:
    with pytest.raises(InputError, match=rule):
        RfsConfig(**settings)
