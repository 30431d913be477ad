"""Tables that need no file: three that ship with scikit-learn and one that is drawn."""

from __future__ import annotations

import numpy as np

from dst.data.readers import Table

_MADELON_LIKE_SEED = 0


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
    rng = np.random.default_rng(_MADELON_LIKE_SEED)
    rows, columns = rng.permutation(len(y)), rng.permutation(len(names))
    shuffled = np.ascontiguousarray(x[np.ix_(rows, columns)], dtype=np.float32)
    return Table(shuffled, y[rows].astype(np.int64), tuple(names[column] for column in columns))
