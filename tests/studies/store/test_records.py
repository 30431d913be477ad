"""Records survive a crash at any moment, and damage is named."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dst.errors import InputError
from studies.store.files import TEMP_SUFFIX, write_text
from studies.store.folder import StudyFolder
from studies.store.record import iter_records, read_record, read_scores, read_test, write_record, write_test
from studies.store.record_codec import RecordError

HEAD = {
    "schema": 1,
    "dataset": "wine",
    "number": 3,
    "stage": "search",
    "state": "finished",
    "source": None,
    "seed": 5,
    "seed_index": None,
    "method": "set",
    "params": {"method": "set"},
    "settings": {},
    "k": 4,
    "reports": {},
    "error": None,
    "val_score": 0.9,
    "val_loss": 0.2,
    "importance": "neuron_strength",
    "importances": {},
}

plain = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)

# Dies at the n-th rename, when the temporary file is complete and nothing has its name yet.
CRASH = """
import json, os, sys
from pathlib import Path
from studies.store.folder import StudyFolder
from studies.store.record import write_record

left, rename = int(sys.argv[2]), os.replace
def dying_rename(source, target):
    global left
    left -= 1
    if left == 0:
        os._exit(9)
    rename(source, target)
os.replace = dying_rename
record = json.loads(sys.argv[-1])
write_record(StudyFolder(Path(sys.argv[1])), record, {"neuron_strength": [1.0, 2.0]})
"""


@given(extra=st.dictionaries(st.text().filter(lambda key: key not in HEAD), plain, max_size=4))
def test_what_is_written_is_read(tmp_path_factory: pytest.TempPathFactory, extra: dict[str, object]) -> None:
    folder = StudyFolder(tmp_path_factory.mktemp("records"))
    write_record(folder, HEAD | extra)
    assert read_record(folder.record("wine", 3)) == HEAD | extra
    assert list(iter_records(folder)) == [HEAD | extra]


def test_numbers_of_numpy_and_values_that_are_not_finite(tmp_path: Path) -> None:
    folder = StudyFolder(tmp_path)
    values = {"nan": np.nan, "inf": [np.float32("inf"), 1.0], "count": np.int64(7), "row": np.array([1.0, -np.inf])}
    write_record(folder, HEAD | {"values": values})
    assert read_record(folder.record("wine", 3))["values"] == {
        "nan": None,
        "inf": [None, 1.0],
        "count": 7,
        "row": [1.0, None],
    }


def test_scores_are_float64_and_one_dimensional(tmp_path: Path) -> None:
    folder = StudyFolder(tmp_path)
    write_record(folder, HEAD, {"strength": np.arange(5, dtype=np.float32), "attribution": [0.5, 0.25]})
    scores = read_scores(folder, "wine", 3)
    assert {name: (array.dtype, array.tolist()) for name, array in scores.items()} == {
        "strength": (np.float64, [0.0, 1.0, 2.0, 3.0, 4.0]),
        "attribution": (np.float64, [0.5, 0.25]),
    }


def test_records_come_by_dataset_then_number_and_tests_are_none_of_them(tmp_path: Path) -> None:
    folder = StudyFolder(tmp_path)
    for dataset, number in (("yale", 0), ("wine", 10), ("wine", 9)):
        write_record(folder, HEAD | {"dataset": dataset, "number": number})
    write_test(folder, {"schema": 1, "dataset": "wine", "number": 9, "importances": {}})
    assert [(r["dataset"], r["number"]) for r in iter_records(folder)] == [("wine", 9), ("wine", 10), ("yale", 0)]
    assert [r["number"] for r in iter_records(folder, "yale")] == [0]
    assert list(iter_records(folder, "never-seen")) == []
    assert read_test(folder, "wine", 10) is None
    assert read_test(folder, "wine", 9) == {"schema": 1, "dataset": "wine", "number": 9, "importances": {}}


def test_an_empty_folder_has_no_records(tmp_path: Path) -> None:
    assert list(iter_records(StudyFolder(tmp_path / "not-yet"))) == []


@pytest.mark.parametrize("rename", [1, 2], ids=["before the arrays", "between arrays and document"])
def test_a_crash_leaves_no_half_record_and_the_next_write_heals(tmp_path: Path, rename: int) -> None:
    folder = StudyFolder(tmp_path)
    crash = subprocess.run([sys.executable, "-c", CRASH, str(tmp_path), str(rename), json.dumps(HEAD)], check=False)
    assert crash.returncode == 9
    assert any(path.name.endswith(TEMP_SUFFIX) for path in folder.record("wine", 3).parent.iterdir())
    assert list(iter_records(folder)) == []
    assert not folder.record("wine", 3).exists()

    write_record(folder, HEAD, {"neuron_strength": [3.0]})
    assert list(iter_records(folder)) == [HEAD]
    assert read_scores(folder, "wine", 3)["neuron_strength"].tolist() == [3.0]


def test_a_crash_while_rewriting_keeps_the_old_record(tmp_path: Path) -> None:
    folder = StudyFolder(tmp_path)
    write_record(folder, HEAD | {"val_score": 0.5})
    assert (
        subprocess.run([sys.executable, "-c", CRASH, str(tmp_path), "2", json.dumps(HEAD)], check=False).returncode == 9
    )
    assert read_record(folder.record("wine", 3))["val_score"] == 0.5


def test_a_write_that_fails_leaves_neither_file_nor_temporary(tmp_path: Path) -> None:
    target = tmp_path / "taken"
    target.mkdir()
    with pytest.raises(OSError, match="taken"):
        write_text(target, "a folder has this name")
    assert list(tmp_path.iterdir()) == [target]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "cannot be read as a record"),
        ('{"schema": 1, "dataset": "wi', "cannot be read as a record"),
        ("\x00" * 64, "cannot be read as a record"),
        ("[1, 2]", "JSON object, but this is a list"),
        (json.dumps(HEAD | {"schema": 2}), "schema 1 is what can be read, but got 2"),
        (json.dumps(HEAD | {"number": 4}), "holds the record wine/4, but its name says wine/3"),
        (json.dumps(HEAD | {"dataset": "yale"}), "holds the record yale/3, but its name says wine/3"),
        (json.dumps(HEAD | {"state": "asleep"}), "state is one of finished, stopped, failed, but got 'asleep'"),
        (json.dumps({k: v for k, v in HEAD.items() if k != "source"}), "a finished record has .* but lacks source"),
        (json.dumps({k: v for k, v in HEAD.items() if k != "val_score"}), "but lacks val_score"),
        (json.dumps({k: v for k, v in HEAD.items() if k != "stage"}), "stage is one of search, confirm, but got None"),
    ],
)
def test_a_damaged_record_is_named(tmp_path: Path, text: str, says: str) -> None:
    folder = StudyFolder(tmp_path)
    path = folder.record("wine", 3)
    write_text(path, text)
    with pytest.raises(RecordError, match=says) as caught:
        list(iter_records(folder))
    assert str(path) in str(caught.value)


@given(cut=st.integers(min_value=0, max_value=10**9))
def test_scores_cut_short_are_named_never_half_read(tmp_path_factory: pytest.TempPathFactory, cut: int) -> None:
    folder = StudyFolder(tmp_path_factory.mktemp("scores"))
    write_record(folder, HEAD, {"strength": np.arange(50.0)})
    path = folder.scores("wine", 3)
    whole = path.read_bytes()
    path.write_bytes(whole[: cut % len(whole)])
    with pytest.raises(RecordError) as caught:
        read_scores(folder, "wine", 3)
    assert str(path) in str(caught.value)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_scores_that_rank_nothing_are_refused(tmp_path: Path, value: float) -> None:
    folder = StudyFolder(tmp_path)
    write_record(folder, HEAD, {"strength": np.array([0.0, 1.0, 2.0]), "random": np.array([0.0, value, 1.0])})
    with pytest.raises(RecordError, match=rf"3\.npz: scores are finite, but 'random' has {value}"):
        read_scores(folder, "wine", 3)


def test_scores_of_another_shape_type_or_nowhere_are_refused(tmp_path: Path) -> None:
    folder = StudyFolder(tmp_path)
    with pytest.raises(RecordError, match=r"\(n_features,\), but 'strength' has \(2, 2\)"):
        write_record(folder, HEAD, {"strength": np.zeros((2, 2))})
    with pytest.raises(RecordError, match=r"3\.npz: cannot be read as feature scores"):
        read_scores(folder, "wine", 3)
    folder.scores("wine", 3).parent.mkdir(parents=True)
    np.savez(folder.scores("wine", 3), strength=np.zeros(3, dtype=np.float32))
    with pytest.raises(RecordError, match="'strength' is float32"):
        read_scores(folder, "wine", 3)
    np.savez(folder.scores("wine", 3), strength=np.array([object()], dtype=object), allow_pickle=True)
    with pytest.raises(RecordError, match="cannot be read as feature scores"):
        read_scores(folder, "wine", 3)


@pytest.mark.parametrize(
    "record",
    [
        {},
        HEAD | {"number": None},
        HEAD | {"number": -1},
        HEAD | {"dataset": 5},
        HEAD | {"state": "done"},
        HEAD | {"values": {1, 2}},
    ],
)
def test_what_is_no_record_is_refused_before_anything_is_written(tmp_path: Path, record: dict[str, object]) -> None:
    with pytest.raises(RecordError):
        write_record(StudyFolder(tmp_path), record, {"strength": [1.0]})
    assert list(tmp_path.rglob("*")) == []


@pytest.mark.parametrize("name", ["", ".", "..", "../wine", "a/b", ".hidden", "wine\n", "wein ä", "x" * 241])
def test_a_dataset_name_cannot_leave_the_folder(tmp_path: Path, name: str) -> None:
    folder = StudyFolder(tmp_path)
    for place in (folder.features, folder.best_spec, lambda dataset: folder.record(dataset, 0)):
        with pytest.raises(InputError, match="a dataset's name holds letters"):
            place(name)


def test_the_names_of_the_contract(tmp_path: Path) -> None:
    folder = StudyFolder(tmp_path)
    places = [folder.spec, folder.storage, folder.record("wine", 3), folder.scores("wine", 3), folder.test("wine", 3)]
    places += [folder.trials_parquet, folder.trials_csv, folder.best, folder.best_by_method, folder.report]
    places += [folder.best_spec("wine"), folder.features("wine"), folder.plots, folder.wandb]
    assert [str(place.relative_to(tmp_path)) for place in places] == [
        *("study.yaml", "study.db", "records/wine/3.json", "records/wine/3.npz", "records/wine/3.test.json"),
        *("trials.parquet", "trials.csv", "best.csv", "best_by_method.csv", "report.html"),
        *("best/wine.yaml", "features/wine.csv", "plots", "wandb"),
    ]
    assert not folder.records.exists()
    assert folder.create() is folder
    assert folder.records.is_dir()


# --- records from before settings were recorded


@pytest.mark.parametrize(
    ("method", "params", "noted", "sparsity", "l2"),
    [
        ("set", {}, None, 0.9, 1e-4),
        ("rigl", {"l2": 0.01}, None, 0.9, 0.01),
        ("mest", {"sparsity": 0.5}, 0.5, 0.5, 1e-4),
        ("dense", {}, 0.0, 0.0, 1e-4),
        ("quickselection", {}, None, None, 1e-5),
        ("l1_logistic", {"C": 2.0}, None, None, None),
        ("of_another_version", {}, None, None, None),
        ("set", {"sparsity": None}, None, None, 1e-4),
    ],
)
def test_an_old_record_is_read_with_the_sparsity_that_its_trial_had(tmp_path, method, params, noted, sparsity, l2):
    """What the space varied it says itself; the rest are defaults that have never changed. The file stays as it is."""
    folder = StudyFolder(tmp_path)
    old = {"method": method, "params": {"method": method, **params}, "sparsity": noted, "l2": params.get("l2")}
    write_record(folder, {key: value for key, value in {**HEAD, **old}.items() if key != "settings"})
    before = folder.record("wine", 3).read_bytes()
    (record,) = iter_records(folder)
    assert (record["sparsity"], record["l2"], record["settings"]) == (sparsity, l2, None)
    assert folder.record("wine", 3).read_bytes() == before


def test_a_record_that_says_its_settings_is_taken_at_its_word(tmp_path):
    folder = StudyFolder(tmp_path)
    write_record(folder, {**HEAD, "sparsity": None, "l2": 0.25, "settings": {"l2": 0.25}})
    record = read_record(folder.record("wine", 3))
    assert (record["sparsity"], record["l2"], record["settings"]) == (None, 0.25, {"l2": 0.25})
