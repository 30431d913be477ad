from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.model_selection import train_test_split

from dst.data import DATASETS, SPLITS, Dataset, Split, default_count, load_dataset, make_splits, split_sha256
from dst.errors import InputError


def dataset_of(
    y: np.ndarray,
    official_test: np.ndarray | None = None,
    groups: np.ndarray | None = None,
    times: np.ndarray | None = None,
) -> Dataset:
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
        groups=groups,
        times=times,
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


@st.composite
def cases(draw: st.DrawFn) -> tuple[Dataset, str, int]:
    """A table, a kind of split that it can be split by, and how many."""
    dataset = draw(datasets())
    kind = draw(st.sampled_from(sorted(SPLITS)))
    rng = np.random.default_rng(draw(st.integers(0, 999)))
    if kind == "official" and dataset.official_test is None:
        n_test = max(1, dataset.n_samples // 5)
        dataset = replace(dataset, official_test=np.arange(dataset.n_samples - n_test, dataset.n_samples))
        if np.bincount(dataset.y[:-n_test]).max() < 2:
            kind = "paper"
    if kind in ("group", "time"):
        if dataset.n_samples < 5:
            return dataset, "stratified", 2
        codes = rng.integers(0, draw(st.integers(3, dataset.n_samples)), dataset.n_samples)
        codes[:3] = [0, 1, 2]
        codes = rng.permutation(codes)
        dataset = replace(dataset, groups=codes) if kind == "group" else replace(dataset, times=codes / 7)
    return dataset, kind, {"time": 1, "kfold": 2}.get(kind, 3)


def same(a: Split, b: Split) -> bool:
    return all(np.array_equal(getattr(a, part), getattr(b, part)) for part in ("train", "validation", "test"))


seeds = st.integers(0, 2**32 - 1)


@given(case=cases(), seed=seeds, test_seed=seeds)
def test_parts_are_disjoint_sorted_and_complete(case: tuple[Dataset, str, int], seed: int, test_seed: int) -> None:
    dataset, kind, count = case
    splits = make_splits(dataset, kind, seed=seed, test_seed=test_seed, count=count)
    assert len(splits) == count
    for split in splits:
        parts = (split.train, split.validation, split.test)
        for part in parts:
            assert part.dtype == np.int64
            assert len(part) >= 1
            assert (np.diff(part) > 0).all()
        assert np.array_equal(np.sort(np.concatenate(parts)), np.arange(dataset.n_samples))


@given(case=cases(), seed=seeds, other=seeds, test_seed=seeds)
def test_seeds_decide_everything_and_test_rows_know_only_their_own(
    case: tuple[Dataset, str, int], seed: int, other: int, test_seed: int
) -> None:
    dataset, kind, count = case
    splits = make_splits(dataset, kind, seed=seed, test_seed=test_seed, count=count)
    again = make_splits(dataset, kind, seed=seed, test_seed=test_seed, count=count)
    assert split_sha256(splits) == split_sha256(again)
    if kind != "kfold":  # a longer series begins as a shorter one
        shorter = make_splits(dataset, kind, seed=seed, test_seed=test_seed, count=1)
        assert same(splits[0], shorter[0])
    for split in (*splits, *make_splits(dataset, kind, seed=other, test_seed=test_seed, count=count)):
        np.testing.assert_array_equal(split.test, splits[0].test)


@given(dataset=datasets(official=False), seed=seeds, other=seeds)
def test_the_hash_of_splits_is_that_of_their_rows(dataset: Dataset, seed: int, other: int) -> None:
    ours, theirs = (make_splits(dataset, "paper", seed=s, test_seed=0, count=2) for s in (seed, other))
    equal = all(same(a, b) for a, b in zip(ours, theirs, strict=True))
    assert (split_sha256(ours) == split_sha256(theirs)) == equal
    (split, _) = ours
    moved = Split(split.train[:-1], np.sort(np.append(split.validation, split.train[-1])), split.test)
    assert split_sha256([moved]) != split_sha256([split])


@given(dataset=datasets(), seed=seeds, data=st.data())
def test_each_row_outside_the_test_part_validates_in_one_fold(dataset: Dataset, seed: int, data: st.DataObject) -> None:
    n_others = dataset.n_samples - len(make_splits(dataset, "stratified", seed=0, test_seed=1, count=1)[0].test)
    count = data.draw(st.integers(2, min(n_others, 10)))
    splits = make_splits(dataset, "kfold", seed=seed, test_seed=1, count=count)
    others = np.setdiff1d(np.arange(dataset.n_samples), splits[0].test)
    np.testing.assert_array_equal(np.sort(np.concatenate([split.validation for split in splits])), others)
    sizes = [len(split.validation) for split in splits]
    assert max(sizes) - min(sizes) <= 1
    for label in range(dataset.n_classes):
        by_fold = [int((dataset.y[split.validation] == label).sum()) for split in splits]
        assert max(by_fold) - min(by_fold) <= 1


@given(sizes=st.lists(st.integers(1, 30), min_size=3, max_size=20), seed=seeds, test_seed=seeds)
def test_rows_of_a_group_stay_in_one_part(sizes: list[int], seed: int, test_seed: int) -> None:
    groups = np.random.default_rng(0).permutation(np.repeat(np.arange(len(sizes)) * 7 - 3, sizes))
    dataset = dataset_of(np.arange(len(groups)) % 2, groups=groups)
    for split in make_splits(dataset, "group", seed=seed, test_seed=test_seed, count=2):
        of_parts = [set(groups[rows]) for rows in (split.train, split.validation, split.test)]
        assert sum(map(len, of_parts)) == len(set(groups)) == len(set().union(*of_parts))


@pytest.mark.parametrize("kind", sorted(SPLITS))
@pytest.mark.parametrize("column", ["group", "time"])
def test_groups_and_times_are_never_ignored(kind: str, column: str) -> None:
    dataset = dataset_of(np.arange(30) % 2, np.arange(24, 30), **{f"{column}s": np.arange(30) // 3})
    count = 2 if kind == "kfold" else 1
    if kind == column:
        assert make_splits(dataset, kind, seed=0, test_seed=0, count=count)
        return
    says = f"made: a {column} column is named .* only the split '{column}' goes by it, but the split is '{kind}'"
    with pytest.raises(InputError, match=says):
        make_splits(dataset, kind, seed=0, test_seed=0, count=count)


def test_groups_by_hand() -> None:
    # Ten groups of 10 rows: 20 test rows are two groups, 15/80 of the other 80 rows are 15: one group or two.
    dataset = dataset_of(np.arange(100) % 2, groups=np.repeat(np.arange(10), 10))
    for seed in range(5):
        (split,) = make_splits(dataset, "group", seed=seed, test_seed=seed, count=1)
        assert len(split.test) == 20
        assert len(split.validation) in (10, 20)
    # One group holds 90 of 100 rows: it never comes nearer to 20 than nothing does, so it trains.
    dataset = dataset_of(np.arange(100) % 2, groups=np.repeat([0, 1, 2], [90, 5, 5]))
    (split,) = make_splits(dataset, "group", seed=0, test_seed=0, count=1)
    assert (len(split.train), len(split.validation), len(split.test)) == (90, 5, 5)


@given(codes=st.lists(st.integers(0, 12), min_size=3, max_size=80))
def test_time_goes_from_training_over_validation_to_test(codes: list[int]) -> None:
    times = np.array(codes) * 0.1
    if len(set(codes)) < 3:
        return
    (split,) = make_splits(dataset_of(np.arange(len(codes)) % 2, times=times), "time", seed=0, test_seed=0, count=1)
    assert times[split.train].max() < times[split.validation].min()
    assert times[split.validation].max() < times[split.test].min()


def test_times_by_hand() -> None:
    # 20 rows in reverse order of time: the boundaries are due at 13 and at 16 rows.
    times = -np.arange(20.0)
    (split,) = make_splits(dataset_of(np.arange(20) % 2, times=times), "time", seed=0, test_seed=0, count=1)
    assert (split.test.tolist(), split.validation.tolist()) == ([0, 1, 2, 3], [4, 5, 6])
    # With ties of 5 rows the changes are at 5, 10 and 15: 15 is nearest to 16, and 10 is the one below it next to 13.
    times = np.repeat(np.arange(4.0), 5)
    (split,) = make_splits(dataset_of(np.arange(20) % 2, times=times), "time", seed=0, test_seed=0, count=1)
    assert (split.train.tolist(), split.validation.tolist()) == (list(range(10)), list(range(10, 15)))


@given(dataset=datasets(), seed=seeds, test_seed=seeds)
def test_stratified_keeps_a_training_row_of_each_class(dataset: Dataset, seed: int, test_seed: int) -> None:
    for split in make_splits(dataset, "stratified", seed=seed, test_seed=test_seed, count=2):
        others = np.setdiff1d(np.arange(dataset.n_samples), split.test)
        assert set(dataset.y[split.train]) == set(dataset.y[others])
        if dataset.official_test is None:
            assert set(dataset.y[split.train]) == set(range(dataset.n_classes))


@given(dataset=datasets(official=False), seed=seeds, test_seed=seeds)
def test_stratified_shares_hold_within_one_row_a_class(dataset: Dataset, seed: int, test_seed: int) -> None:
    (split,) = make_splits(dataset, "stratified", seed=seed, test_seed=test_seed, count=1)
    others = np.sort(np.concatenate([split.train, split.validation]))
    for drawn, among, share in ((split.test, np.arange(dataset.n_samples), 0.2), (split.validation, others, 15 / 80)):
        given_rows = np.bincount(dataset.y[drawn], minlength=dataset.n_classes)
        quota = share * np.bincount(dataset.y[among], minlength=dataset.n_classes)
        assert (np.abs(given_rows - quota) < 1).all()


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


@pytest.mark.parametrize("kind", ["stratified", "paper", "group"])
def test_splits_differ_by_seed_and_by_number(kind: str) -> None:
    dataset = dataset_of(np.arange(100) % 3, groups=np.arange(100) // 2 if kind == "group" else None)
    by_number = make_splits(dataset, kind, seed=0, test_seed=0, count=4)
    by_seed = [make_splits(dataset, kind, seed=s, test_seed=0, count=1)[0] for s in range(1, 5)]
    assert len({split.validation.tobytes() for split in (*by_number, *by_seed)}) == 8


def test_stratified_test_rows_depend_on_their_seed_and_paper_ones_on_nothing() -> None:
    dataset = dataset_of(np.arange(100) % 3)
    drawn = {
        kind: {make_splits(dataset, kind, seed=0, test_seed=s, count=1)[0].test.tobytes() for s in range(5)}
        for kind in ("paper", "stratified")
    }
    assert (len(drawn["paper"]), len(drawn["stratified"])) == (1, 5)


@given(dataset=datasets(official=False), seed=seeds)
def test_paper_is_scikit_learns_own_call(dataset: Dataset, seed: int) -> None:
    rows = np.arange(dataset.n_samples)
    others, test = train_test_split(rows, test_size=0.2, random_state=42)
    train, validation = train_test_split(others, test_size=0.2, random_state=seed)
    (split,) = make_splits(dataset, "paper", seed=seed, test_seed=0, count=1)
    assert same(split, Split(train=np.sort(train), validation=np.sort(validation), test=np.sort(test)))
    as_in_the_papers_code = train_test_split(rows, train_size=0.8, random_state=42)[1]
    np.testing.assert_array_equal(split.test, np.sort(as_in_the_papers_code))


@given(dataset=datasets(), seed=seeds)
def test_labels_play_no_part_in_paper(dataset: Dataset, seed: int) -> None:
    relabelled = replace(dataset, y=(dataset.n_classes - 1 - dataset.y)[::-1].copy())
    pairs = [make_splits(d, "paper", seed=seed, test_seed=0, count=2) for d in (dataset, relabelled)]
    assert all(same(a, b) for a, b in zip(*pairs, strict=True))


@given(dataset=datasets(), seed=seeds, test_seed=seeds)
def test_labels_of_test_rows_play_no_part_once_these_are_chosen(dataset: Dataset, seed: int, test_seed: int) -> None:
    before = make_splits(dataset, "stratified", seed=seed, test_seed=test_seed, count=3)
    y = dataset.y.copy()
    y[before[0].test] = np.random.default_rng(seed).permutation(y[before[0].test])
    relabelled = replace(dataset, y=y, official_test=before[0].test)
    after = make_splits(relabelled, "stratified", seed=seed, test_seed=test_seed, count=3)
    assert all(same(a, b) for a, b in zip(before, after, strict=True))


@pytest.mark.parametrize("kind", ["stratified", "official", "kfold", "paper"])
def test_an_official_test_part_is_kept_and_the_rest_split(kind: str) -> None:
    official = np.array([3, 5, 90, 91, 92])
    dataset = dataset_of(np.arange(100) % 2, official)
    splits = make_splits(dataset, kind, seed=1, test_seed=2, count=3)
    for split in splits:
        np.testing.assert_array_equal(split.test, official)
    sizes = [len(split.validation) for split in splits]
    # 95 / 5; 95 / 3; 95 * 15 / 80 = 17.8
    assert sizes == {"paper": [19, 19, 19], "kfold": [32, 32, 31]}.get(kind, [18, 18, 18])


@pytest.mark.data
@pytest.mark.parametrize("kind", ["stratified", "official", "paper"])
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
    ("kind", "small", "large"),
    [("stratified", 5, 1), ("official", 5, 1), ("kfold", 5, 5), ("group", 5, 1), ("paper", 1, 1), ("time", 1, 1)],
)
def test_small_tables_are_judged_on_many_splits(kind: str, small: int, large: int) -> None:
    assert [default_count(dataset_of(np.arange(n_rows) % 2), kind) for n_rows in (499, 500)] == [small, large]


@pytest.mark.parametrize(
    ("y", "official", "kind", "how", "message"),
    [
        ([0, 1] * 9, None, "stratifid", {}, "unknown split 'stratifid': did you mean 'stratified'.*valid are group"),
        ([0, 1] * 9, None, "paper", {"count": 0}, "number of splits must be at least 1, but got 0"),
        ([0, 1] * 9, None, "paper", {"seed": -1}, "seed must be between 0 and 4294967295, but got -1"),
        ([0, 1] * 9, None, "stratified", {"test_seed": 2**32}, "test_seed must be between .* but got 4294967296"),
        ([0, 1], None, "paper", {}, "made: three parts need at least 3 rows, but there are 2"),
        ([0, 1], None, "stratified", {}, "made: three parts need at least 3 rows, but there are 2"),
        ([0, 0, 1, 1], [1, 2, 3], "paper", {}, "made: training and validation need at least 2 rows, but 1 are left"),
        ([0, 0, 1, 1], [1, 3], "stratified", {}, "made: a stratified split needs a class with two rows outside"),
        ([0, 1] * 9, None, "official", {}, "made has no official test part: choose another split of stratified, kfold"),
        ([0, 1] * 9, None, "kfold", {"count": 1}, "kfold needs 2 <= inner_splits <= 14, .* but got 1"),
        ([0, 1] * 9, None, "kfold", {"count": 15}, "kfold needs 2 <= inner_splits <= 14, .* but got 15"),
        ([0, 1] * 9, None, "group", {}, r"a group split needs a group column \(group: NAME\), but none is named"),
        ([0, 1] * 9, None, "time", {}, r"a time split needs a time column \(time: NAME\), but none is named"),
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


@pytest.mark.parametrize(
    ("kind", "column", "count", "message"),
    [
        ("group", np.arange(18) % 2, 1, "made: a group split needs at least 3 groups, but there are 2"),
        ("time", np.arange(18.0) % 2, 1, "made: a time split needs at least 3 times, but there are 2"),
        ("time", np.where(np.arange(18) < 4, np.nan, 1.0), 1, "a time for every row, but 4 rows have none"),
        ("time", np.arange(18.0), 2, "nothing is drawn in a time split, so inner_splits must be 1, but got 2"),
    ],
)
def test_groups_and_times_that_do_not_fill_three_parts(kind: str, column: np.ndarray, count: int, message: str) -> None:
    dataset = replace(dataset_of(np.arange(18) % 2), **{f"{kind}s": column})
    with pytest.raises(InputError, match=message):
        make_splits(dataset, kind, seed=0, test_seed=0, count=count)
