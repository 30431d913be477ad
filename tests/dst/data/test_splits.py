from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.model_selection import train_test_split

from dst.data import DATASETS, SPLITS, Dataset, Split, default_count, load_dataset, make_splits
from dst.errors import InputError


def dataset_of(y: np.ndarray, official_test: np.ndarray | None = None) -> Dataset:
    y = np.asarray(y, dtype=np.int64)
    return Dataset(
        name="made",
        x=np.zeros((len(y), 1), dtype=np.float32),
        y=y,
        feature_names=("f0",),
        class_names=tuple(map(str, range(int(y.max()) + 1))),
        k=1,
        batch_size=32,
        kind="tabular",
        sha256="",
        source="made",
        official_test=official_test,
    )


@st.composite
def datasets(draw: st.DrawFn, official: bool | None = None) -> Dataset:
    """Tables with classes of 2 to 40 rows in any order, with or without an official test part."""
    counts = draw(st.lists(st.one_of(st.integers(2, 4), st.integers(2, 40)), min_size=2, max_size=8))
    y = np.random.default_rng(draw(st.integers(0, 999))).permutation(np.repeat(np.arange(len(counts)), counts))
    if not (draw(st.booleans()) if official is None else official):
        return dataset_of(y)
    n_test = draw(st.integers(1, max(1, len(y) // 3)))
    test = np.arange(len(y) - n_test, len(y))
    if np.bincount(y[: len(y) - n_test]).max() < 2:
        return dataset_of(y)
    return dataset_of(y, test)


def same(a: Split, b: Split) -> bool:
    return all(np.array_equal(getattr(a, part), getattr(b, part)) for part in ("train", "validation", "test"))


seeds = st.integers(0, 2**32 - 1)


@settings(max_examples=150, deadline=None)
@given(dataset=datasets(), kind=st.sampled_from(sorted(SPLITS)), seed=seeds, test_seed=seeds)
def test_parts_are_disjoint_sorted_and_complete(dataset: Dataset, kind: str, seed: int, test_seed: int) -> None:
    splits = make_splits(dataset, kind, seed=seed, test_seed=test_seed, count=3)
    assert len(splits) == 3
    for split in splits:
        parts = (split.train, split.validation, split.test)
        for part in parts:
            assert part.dtype == np.int64
            assert len(part) >= 1
            assert (np.diff(part) > 0).all()
        assert np.array_equal(np.sort(np.concatenate(parts)), np.arange(dataset.n_samples))


@settings(max_examples=60, deadline=None)
@given(dataset=datasets(), kind=st.sampled_from(sorted(SPLITS)), seed=seeds, other=seeds, test_seed=seeds)
def test_seeds_decide_everything_and_test_rows_know_only_their_own(
    dataset: Dataset, kind: str, seed: int, other: int, test_seed: int
) -> None:
    splits = make_splits(dataset, kind, seed=seed, test_seed=test_seed, count=3)
    again = make_splits(dataset, kind, seed=seed, test_seed=test_seed, count=2)
    assert all(same(a, b) for a, b in zip(splits[:2], again, strict=True))  # a longer series begins as a shorter one
    for split in (*splits, *make_splits(dataset, kind, seed=other, test_seed=test_seed, count=1)):
        np.testing.assert_array_equal(split.test, splits[0].test)


@settings(max_examples=200, deadline=None)
@given(dataset=datasets(), seed=seeds, test_seed=seeds)
def test_stratified_keeps_a_training_row_of_each_class(dataset: Dataset, seed: int, test_seed: int) -> None:
    for split in make_splits(dataset, "stratified", seed=seed, test_seed=test_seed, count=2):
        others = np.setdiff1d(np.arange(dataset.n_samples), split.test)
        assert set(dataset.y[split.train]) == set(dataset.y[others])
        if dataset.official_test is None:
            assert set(dataset.y[split.train]) == set(range(dataset.n_classes))


@settings(max_examples=200, deadline=None)
@given(dataset=datasets(official=False), seed=seeds, test_seed=seeds)
def test_stratified_shares_hold_within_one_row_a_class(dataset: Dataset, seed: int, test_seed: int) -> None:
    (split,) = make_splits(dataset, "stratified", seed=seed, test_seed=test_seed, count=1)
    others = np.sort(np.concatenate([split.train, split.validation]))
    for drawn, among, share in ((split.test, np.arange(dataset.n_samples), 0.2), (split.validation, others, 15 / 80)):
        given_rows = np.bincount(dataset.y[drawn], minlength=dataset.n_classes)
        quota = share * np.bincount(dataset.y[among], minlength=dataset.n_classes)
        assert (np.abs(given_rows - quota) < 1).all()


@settings(max_examples=100, deadline=None)
@given(counts=st.lists(st.integers(6, 60), min_size=2, max_size=8), seed=seeds)
def test_stratified_totals_are_65_15_20_when_classes_are_large_enough(counts: list[int], seed: int) -> None:
    dataset = dataset_of(np.repeat(np.arange(len(counts)), counts))
    (split,) = make_splits(dataset, "stratified", seed=seed, test_seed=seed, count=1)
    sizes = np.array([len(split.train), len(split.validation), len(split.test)])
    assert (np.abs(sizes - dataset.n_samples * np.array([0.65, 0.15, 0.20])) <= 1).all()


def test_stratified_by_hand() -> None:
    # 20 + 10 + 3 + 2 rows. Test: quotas 4, 2, 0.6, 0.4 of 7 rows -> 4, 2, 1, 0. Left: 16, 8, 2, 2.
    # Validation: quotas 3, 1.5, 0.375, 0.375 of 5.25 -> 5 rows: 3, 1, 0, 0 and the one row of 0.5 -> 3, 2, 0, 0.
    dataset = dataset_of(np.repeat(np.arange(4), [20, 10, 3, 2]))
    for split in make_splits(dataset, "stratified", seed=5, test_seed=6, count=3):
        assert np.bincount(dataset.y[split.test], minlength=4).tolist() == [4, 2, 1, 0]
        assert np.bincount(dataset.y[split.validation], minlength=4).tolist() == [3, 2, 0, 0]
        assert np.bincount(dataset.y[split.train], minlength=4).tolist() == [13, 6, 2, 2]


def test_the_smallest_table_splits() -> None:
    (split,) = make_splits(dataset_of(np.array([0, 1, 0, 1])), "stratified", seed=0, test_seed=0, count=1)
    assert (len(split.train), len(split.validation), len(split.test)) == (2, 1, 1)


def test_two_rows_beside_an_official_part_fill_both_parts() -> None:
    dataset = dataset_of(np.array([0, 0, 1, 1]), np.array([2, 3]))
    (split,) = make_splits(dataset, "stratified", seed=0, test_seed=0, count=1)
    assert (len(split.train), len(split.validation)) == (1, 1)


def test_ties_between_equal_classes_are_not_always_won_by_the_same() -> None:
    dataset = dataset_of(np.repeat(np.arange(15), 11))  # Yale's shape: 30 of 33 test rows are due, 3 are tied
    extra = [
        np.bincount(dataset.y[make_splits(dataset, "stratified", seed=0, test_seed=s, count=1)[0].test]) == 3
        for s in range(20)
    ]
    assert {int(e.sum()) for e in extra} == {3}
    assert (np.sum(extra, axis=0) < 20).all()


@pytest.mark.parametrize("kind", SPLITS)
def test_splits_differ_by_seed_and_by_number(kind: str) -> None:
    dataset = dataset_of(np.arange(100) % 3)
    by_number = make_splits(dataset, kind, seed=0, test_seed=0, count=4)
    by_seed = [make_splits(dataset, kind, seed=s, test_seed=0, count=1)[0] for s in range(1, 5)]
    assert len({split.validation.tobytes() for split in (*by_number, *by_seed)}) == 8


def test_stratified_test_rows_depend_on_their_seed_and_paper_ones_on_nothing() -> None:
    dataset = dataset_of(np.arange(100) % 3)
    drawn = {
        kind: {make_splits(dataset, kind, seed=0, test_seed=s, count=1)[0].test.tobytes() for s in range(5)}
        for kind in SPLITS
    }
    assert (len(drawn["paper"]), len(drawn["stratified"])) == (1, 5)


@settings(max_examples=60, deadline=None)
@given(dataset=datasets(official=False), seed=seeds)
def test_paper_is_scikit_learns_own_call(dataset: Dataset, seed: int) -> None:
    rows = np.arange(dataset.n_samples)
    others, test = train_test_split(rows, test_size=0.2, random_state=42)
    train, validation = train_test_split(others, test_size=0.2, random_state=seed)
    (split,) = make_splits(dataset, "paper", seed=seed, test_seed=0, count=1)
    assert same(split, Split(train=np.sort(train), validation=np.sort(validation), test=np.sort(test)))
    as_in_the_papers_code = train_test_split(rows, train_size=0.8, random_state=42)[1]
    np.testing.assert_array_equal(split.test, np.sort(as_in_the_papers_code))


@settings(max_examples=40, deadline=None)
@given(dataset=datasets(), seed=seeds)
def test_labels_play_no_part_in_paper(dataset: Dataset, seed: int) -> None:
    relabelled = replace(dataset, y=(dataset.n_classes - 1 - dataset.y)[::-1].copy())
    pairs = [make_splits(d, "paper", seed=seed, test_seed=0, count=2) for d in (dataset, relabelled)]
    assert all(same(a, b) for a, b in zip(*pairs, strict=True))


@settings(max_examples=100, deadline=None)
@given(dataset=datasets(), seed=seeds, test_seed=seeds)
def test_labels_of_test_rows_play_no_part_once_these_are_chosen(dataset: Dataset, seed: int, test_seed: int) -> None:
    before = make_splits(dataset, "stratified", seed=seed, test_seed=test_seed, count=3)
    y = dataset.y.copy()
    y[before[0].test] = np.random.default_rng(seed).permutation(y[before[0].test])
    relabelled = replace(dataset, y=y, official_test=before[0].test)
    after = make_splits(relabelled, "stratified", seed=seed, test_seed=test_seed, count=3)
    assert all(same(a, b) for a, b in zip(before, after, strict=True))


@pytest.mark.parametrize("kind", SPLITS)
def test_an_official_test_part_is_kept_and_the_rest_split(kind: str) -> None:
    official = np.array([3, 5, 90, 91, 92])
    dataset = dataset_of(np.arange(100) % 2, official)
    for split in make_splits(dataset, kind, seed=1, test_seed=2, count=3):
        np.testing.assert_array_equal(split.test, official)
        assert len(split.validation) == {"paper": 19, "stratified": 18}[kind]  # 95 / 5; 95 * 15 / 80 = 17.8


@pytest.mark.data
@pytest.mark.parametrize("kind", SPLITS)
def test_madelons_official_rows(kind: str, paper_data_dir: Path) -> None:
    if not (paper_data_dir / str(DATASETS["Madelon"].file)).is_file():
        pytest.skip("madelon.mat is absent")
    madelon = load_dataset("Madelon", data_dir=paper_data_dir)
    (split,) = make_splits(madelon, kind, seed=3, test_seed=4, count=1)
    np.testing.assert_array_equal(split.test, np.arange(2000, 2600))
    if kind == "paper":
        expected = train_test_split(np.arange(2000), test_size=0.2, random_state=3)[1]
        np.testing.assert_array_equal(split.validation, np.sort(expected))
    else:
        assert np.bincount(madelon.y[split.validation]).tolist() in ([187, 188], [188, 187])  # 187.5 a class


@pytest.mark.parametrize(
    ("kind", "n_rows", "count"), [("stratified", 499, 5), ("stratified", 500, 1), ("paper", 499, 1), ("paper", 500, 1)]
)
def test_small_tables_are_judged_on_many_stratified_splits(kind: str, n_rows: int, count: int) -> None:
    assert default_count(dataset_of(np.arange(n_rows) % 2), kind) == count


@pytest.mark.parametrize(
    ("y", "official", "kind", "how", "message"),
    [
        ([0, 1] * 9, None, "stratifid", {}, "unknown split 'stratifid': did you mean 'stratified'.*valid are paper"),
        ([0, 1] * 9, None, "paper", {"count": 0}, "number of splits must be at least 1, but got 0"),
        ([0, 1] * 9, None, "paper", {"seed": -1}, "seed must be between 0 and 4294967295, but got -1"),
        ([0, 1] * 9, None, "stratified", {"test_seed": 2**32}, "test_seed must be between .* but got 4294967296"),
        ([0, 1], None, "paper", {}, "made: three parts need at least 3 rows, but there are 2"),
        ([0, 1], None, "stratified", {}, "made: three parts need at least 3 rows, but there are 2"),
        ([0, 0, 1, 1], [1, 2, 3], "paper", {}, "made: training and validation need at least 2 rows, but 1 are left"),
        ([0, 0, 1, 1], [1, 3], "stratified", {}, "made: a stratified split needs a class with two rows outside"),
    ],
)
def test_what_cannot_be_split(
    y: list[int], official: list[int] | None, kind: str, how: dict[str, int], message: str
) -> None:
    dataset = dataset_of(np.array(y), None if official is None else np.array(official))
    with pytest.raises(InputError, match=message):
        make_splits(dataset, kind, **{"seed": 0, "test_seed": 0, "count": 1, **how})


def test_an_unknown_kind_has_no_default_count() -> None:
    with pytest.raises(InputError, match="unknown split 'none'"):
        default_count(dataset_of(np.array([0, 1])), "none")
