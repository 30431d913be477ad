from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import pytest

from dst.data import DATASETS, load_dataset
from dst.data.entry import default_batch_size, default_k
from dst.data.known.registry import find_name, find_sha256

FILES = [name for name, entry in DATASETS.items() if entry.file is not None]


def test_every_entry_is_read_from_a_file_or_made() -> None:
    for name, entry in DATASETS.items():
        assert entry.name == name
        assert (entry.file is None) == (entry.generator is not None)
        assert (entry.file is None) == (not entry.urls and entry.openml is None)
        assert not (entry.urls and entry.openml)
        assert all(url.startswith("https://") and url.endswith(".mat") for url in entry.urls)
        assert entry.sha256 is None or len(entry.sha256) == 64
        assert entry.citation
        assert (entry.official_train_counts is None) == (entry.official_train_rows is None)
        if entry.official_train_counts is not None:
            assert sum(entry.official_train_counts) == entry.official_train_rows
            assert len(entry.official_train_counts) == entry.n_classes
    assert len({DATASETS[name].file for name in FILES}) == len(FILES) == 18
    assert len({DATASETS[name].sha256 for name in FILES} - {None}) == 11


def test_the_eighteen_datasets_of_the_papers_table_2() -> None:
    """Name, rows, columns, classes and kind, as the table has them."""
    listed = {(e.name, *e.shape, e.n_classes, e.kind) for e in (DATASETS[name] for name in FILES)}
    assert listed == {
        ("MNIST", 70_000, 784, 10, "handwritten"),
        ("USPS", 9298, 256, 10, "handwritten"),
        ("Gisette", 7000, 5000, 2, "handwritten"),
        ("COIL20", 1440, 1024, 20, "image"),
        ("ORL", 400, 1024, 40, "image"),
        ("Yale", 165, 1024, 15, "image"),
        ("BASEHOCK", 1993, 4862, 2, "text"),
        ("PCMAC", 1943, 3289, 2, "text"),
        ("RELATHE", 1427, 4322, 2, "text"),
        ("Prostate_GE", 102, 5966, 2, "biological"),
        ("SMK_CAN_187", 187, 19_993, 2, "biological"),
        ("CLL_SUB_111", 111, 11_340, 3, "biological"),
        ("lymphoma", 96, 4026, 9, "biological"),
        ("Carcinom", 174, 9182, 11, "biological"),
        ("HAR", 10_299, 561, 6, "time_series"),
        ("Arcene", 200, 10_000, 2, "mass_spectrometry"),
        ("Isolet", 1560, 617, 26, "speech"),
        ("Madelon", 2600, 500, 2, "artificial"),
    }


def test_official_parts_are_those_of_the_paper() -> None:
    official = {name: entry.official_train_rows for name, entry in DATASETS.items() if entry.official_train_rows}
    assert official == {"MNIST": 60_000, "HAR": 7352, "Gisette": 6000, "Madelon": 2000}


@pytest.mark.parametrize("name", DATASETS)
def test_k_follows_the_rule(name: str) -> None:
    expected = 20 if name in ("Madelon", "madelon_like") else default_k(DATASETS[name].shape[1])
    assert DATASETS[name].k == expected


@pytest.mark.parametrize(("n_features", "k"), [(1, 1), (4, 1), (5, 2), (13, 4), (399, 100), (400, 100), (10_000, 100)])
def test_default_k_is_a_quarter_of_the_columns_rounded_up_and_at_most_100(n_features: int, k: int) -> None:
    assert default_k(n_features) == k


@pytest.mark.parametrize(("n_samples", "batch_size"), [(10, 32), (199, 32), (200, 100), (70_000, 100)])
def test_default_batch_size(n_samples: int, batch_size: int) -> None:
    assert default_batch_size(n_samples) == batch_size


def test_batch_sizes_of_the_paper() -> None:
    of = {size: {name for name in FILES if DATASETS[name].batch_size == size} for size in (32, 64, 100)}
    few_rows = {"Yale", "Prostate_GE", "lymphoma", "SMK_CAN_187", "CLL_SUB_111", "Carcinom", "Arcene"}
    assert of[32] == few_rows | {"BASEHOCK", "PCMAC", "RELATHE"}
    assert of[64] == {"Madelon"}
    assert of[100] == {"ORL", "COIL20", "Isolet", "MNIST", "USPS", "Gisette", "HAR"}


def test_pixels_on_a_known_scale_are_scaled_by_their_range() -> None:
    assert {name for name, entry in DATASETS.items() if entry.scaling == "minmax"} == {"MNIST", "COIL20", "digits"}


@pytest.mark.parametrize(
    ("given", "name"),
    [
        ("Prostate_GE", "Prostate_GE"),
        ("prostate-ge", "Prostate_GE"),
        ("MADELON", "Madelon"),
        ("madelon-LIKE", "madelon_like"),
        ("madelon like", None),
        ("", None),
    ],
)
def test_names_are_found_whatever_their_case_and_dashes(given: str, name: str | None) -> None:
    entry = find_name(given)
    assert (entry.name if entry else None) == name


def test_an_unknown_hash_is_nobodys() -> None:
    assert find_sha256("0" * 64) is None
    assert find_sha256(str(DATASETS["Yale"].sha256)) is DATASETS["Yale"]


@pytest.mark.data
@pytest.mark.parametrize("name", FILES)
def test_the_files_are_what_the_registry_says(name: str, paper_data_dir: Path) -> None:
    entry = DATASETS[name]
    path = paper_data_dir / str(entry.file)
    if not path.is_file():
        pytest.skip(f"{path} is absent")
    assert hashlib.sha256(path.read_bytes()).hexdigest() == entry.sha256
    dataset = load_dataset(name, data_dir=paper_data_dir)
    assert dataset.x.shape == entry.shape
    assert dataset.n_classes == entry.n_classes
    assert np.isfinite(dataset.x).all()
    assert np.bincount(dataset.y).min() >= 2
    by_path = load_dataset(path)
    assert by_path.source == str(path)
    for attribute in ("name", "k", "batch_size", "kind", "scaling", "sha256", "class_names"):
        assert getattr(by_path, attribute) == getattr(dataset, attribute)


@pytest.mark.data
def test_madelons_last_600_rows_are_its_official_test_part(paper_data_dir: Path) -> None:
    if not (paper_data_dir / str(DATASETS["Madelon"].file)).is_file():
        pytest.skip("madelon.mat is absent")
    madelon = load_dataset("madelon", data_dir=paper_data_dir)
    np.testing.assert_array_equal(madelon.official_test, np.arange(2000, 2600))
    assert np.bincount(madelon.y[:2000]).tolist() == [1000, 1000]  # both parts of the challenge are balanced
    assert np.bincount(madelon.y[2000:]).tolist() == [300, 300]
