from __future__ import annotations

import numpy as np
import pytest
from sklearn.datasets import load_breast_cancer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import cross_val_score
from sklearn.preprocessing import scale
from sklearn.svm import SVC

from dst.data import DATASETS
from dst.data.known.generators import breast_cancer, madelon_like

EMBEDDED = {name: entry for name, entry in DATASETS.items() if entry.generator is not None}


@pytest.mark.parametrize("name", EMBEDDED)
def test_embedded_tables_are_what_the_registry_says(name: str) -> None:
    entry = EMBEDDED[name]
    assert entry.generator is not None
    table, again = entry.generator(), entry.generator()
    assert table.x.shape == entry.shape
    assert table.x.dtype == np.float32
    assert table.x.flags.c_contiguous
    assert np.isfinite(table.x).all()
    assert len(table.labels) == entry.shape[0]
    assert len(np.unique(table.labels)) == entry.n_classes
    assert len(set(table.feature_names)) == entry.shape[1]
    assert {type(name) for name in table.feature_names} == {str}
    np.testing.assert_array_equal(table.x, again.x)
    np.testing.assert_array_equal(table.labels, again.labels)


def test_embedded_classes_keep_their_names() -> None:
    labels, target = breast_cancer().labels, load_breast_cancer().target
    assert set(labels[target == 0]) == {"malignant"}
    assert set(labels[target == 1]) == {"benign"}


def test_madelon_like_names_tell_the_columns_roles() -> None:
    table = madelon_like()
    role = np.array([name.split("_")[0] for name in table.feature_names])
    informative, redundant, noise = (
        scale(table.x[:, role == r].astype(np.float64)) for r in ("informative", "redundant", "noise")
    )
    assert (informative.shape[1], redundant.shape[1], noise.shape[1]) == (5, 15, 180)
    design = np.column_stack([informative, np.ones(len(informative))])
    rest = redundant - design @ np.linalg.lstsq(design, redundant, rcond=None)[0]
    assert np.abs(rest).max() < 1e-3  # redundant columns are linear in the informative ones
    assert np.abs(np.corrcoef(noise.T) - np.eye(180)).max() < 0.2


def test_madelon_like_needs_its_twenty_columns_and_more_than_a_linear_model() -> None:
    table = madelon_like()
    relevant = scale(table.x[:, [not name.startswith("noise") for name in table.feature_names]].astype(np.float64))
    accuracy = {
        "relevant": cross_val_score(SVC(), relevant, table.labels).mean(),
        "all": cross_val_score(SVC(), scale(table.x.astype(np.float64)), table.labels).mean(),
        "linear": cross_val_score(LogisticRegression(), relevant, table.labels).mean(),
    }
    assert accuracy["relevant"] > 0.85
    assert accuracy["all"] < 0.75
    assert accuracy["linear"] < 0.75


@pytest.mark.parametrize("n_rows", [100, 1000])
def test_synthetic_tables_are_those_of_appendix_c(n_rows: int) -> None:
    table = DATASETS[f"synthetic_{n_rows}"].generator()  # type: ignore[misc]
    informative = np.array([name.startswith("informative_") for name in table.feature_names])
    assert table.x.shape == (n_rows, 200)
    assert informative.sum() == 100
    assert not informative[:100].all()  # in a random order
    assert set(np.unique(table.labels, return_counts=True)[1] // (n_rows // 10)) <= {4, 5}  # two classes, nearly even


def test_noise_of_a_synthetic_table_knows_nothing_of_the_classes() -> None:
    table = DATASETS["synthetic_10000"].generator()  # type: ignore[misc]
    informative = np.array([name.startswith("informative_") for name in table.feature_names])
    means = np.abs(table.x[table.labels == 0].mean(axis=0) - table.x[table.labels == 1].mean(axis=0))
    spread = table.x.std(axis=0) / np.sqrt(len(table.labels) / 4)
    assert (means / spread)[~informative].max() < 5
    assert (means / spread)[informative].mean() > 5
