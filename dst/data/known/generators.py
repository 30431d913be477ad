"""Tables that need no file: four that ship with scikit-learn and two that are drawn."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from dst.data.readers import Table

_MADELON_LIKE_SEED = 0
_SYNTHETIC_SEED = 0


def breast_cancer() -> Table:
    """Wisconsin diagnostic breast cancer: 569 rows, 30 features, 2 classes."""
    from sklearn.datasets import load_breast_cancer

    data = load_breast_cancer()
    return Table(data.data.astype(np.float32), data.target_names[data.target], tuple(map(str, data.feature_names)))


def digits() -> Table:
    """Handwritten digits of 8 x 8 pixels: 1797 rows, 64 features, 10 classes."""
    from sklearn.datasets import load_digits

    data = load_digits()
    return Table(data.data.astype(np.float32), data.target.astype(np.int64), tuple(data.feature_names))


def iris() -> Table:
    """Measures of iris flowers: 150 rows, 4 features, 3 classes."""
    from sklearn.datasets import load_iris

    data = load_iris()
    return Table(data.data.astype(np.float32), data.target_names[data.target], tuple(map(str, data.feature_names)))


def wine() -> Table:
    """Chemical analysis of wines: 178 rows, 13 features, 3 classes."""
    from sklearn.datasets import load_wine

    data = load_wine()
    return Table(data.data.astype(np.float32), data.target_names[data.target], tuple(data.feature_names))


def madelon_like() -> Table:
    """A small table of Madelon's kind, whose 20 relevant columns are known: 1000 rows, 200 features, 2 classes.

    Five informative columns place eight clusters a class on the corners of a hypercube, fifteen are linear combinations
    of these, 180 are noise, and one label in a hundred is drawn anew (I. Guyon, "Design of experiments of the NIPS
    2003 variable selection benchmark", 2003). An SVM reaches about 93% on the twenty and 64% on
    all columns; a linear model 66% on the twenty. The columns are named
    ``informative_*``, ``redundant_*`` and ``noise_*`` and stand in a random order.
    """
    from sklearn.datasets import make_classification

    x, y = make_classification(
        n_samples=1000,
        n_features=200,
        n_informative=5,
        n_redundant=15,
        n_classes=2,
        n_clusters_per_class=8,
        flip_y=0.01,
        class_sep=2.0,
        hypercube=True,
        shuffle=False,  # columns by role and rows by cluster, so that the names can be given before shuffling
        random_state=_MADELON_LIKE_SEED,
    )
    roles = (("informative", 5), ("redundant", 15), ("noise", 180))
    names = [f"{role}_{number}" for role, count in roles for number in range(count)]
    return _shuffled(x, y, names, _MADELON_LIKE_SEED)


def synthetic(n_rows: int) -> Table:
    """Draw the table of the paper's appendix C: 200 features, 100 of them informative, 2 classes.

    Source: Atashgahi et al., ECAI 2024 (arXiv 2408.04583), appendix C and figure 8, which count how many of the 100 a
    ranking has among its first 100. The paper names scikit-learn's ``make_classification`` and these three numbers; the
    rest are that function's defaults (two clusters a class, one label in a hundred drawn anew), but for redundant
    columns, which there are none of, so that the 100 are all that helps. The columns are named ``informative_*`` and
    ``noise_*`` and stand in a random order.

    Args:
        n_rows: number of rows; the paper has 100, 500, 1000 and 10000.
    """
    from sklearn.datasets import make_classification

    x, y = make_classification(
        n_samples=n_rows,
        n_features=200,
        n_informative=100,
        n_redundant=0,
        n_classes=2,
        shuffle=False,
        random_state=_SYNTHETIC_SEED,
    )
    names = [f"informative_{number}" for number in range(100)] + [f"noise_{number}" for number in range(100)]
    return _shuffled(x, y, names, _SYNTHETIC_SEED)


def _shuffled(x: npt.NDArray[np.float64], y: npt.NDArray[np.int64], names: Sequence[str], seed: int) -> Table:
    """The table with its rows, and its columns under their names, in a random order."""
    rng = np.random.default_rng(seed)
    rows, columns = rng.permutation(len(y)), rng.permutation(len(names))
    shuffled = np.ascontiguousarray(x[np.ix_(rows, columns)], dtype=np.float32)
    return Table(shuffled, y[rows].astype(np.int64), tuple(names[column] for column in columns))
