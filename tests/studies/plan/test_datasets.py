from __future__ import annotations

import pytest

from dst.data import Dataset, TrialData
from dst.errors import InputError
from studies.plan.data import StudyData
from studies.spec.study import parse_spec

SWEEP = {"rate": [0, 0.2, 0.4], "mechanism": ["mcar", "mnar"], "policy": "mean"}


def data_of(*datasets: object) -> StudyData:
    return StudyData(parse_spec({"name": "s", "seed": 3, "datasets": list(datasets)}))


def test_a_sweep_keeps_one_table_and_prepares_each_dataset_when_it_is_asked_for():
    data = data_of({"path": "wine", "missing": SWEEP}, "digits")
    names = ["wine", "wine-mcar-0.2", "wine-mnar-0.2", "wine-mcar-0.4", "wine-mnar-0.4", "digits"]
    assert [dataset.name for dataset in data.datasets] == names
    assert len(data.tables) == 2
    assert list(data) == [*data.tables, *names]
    assert len(data) == 8
    assert all(isinstance(data[dataset.table], Dataset) for dataset in data.datasets)
    prepared = data["wine-mnar-0.4"]
    assert isinstance(prepared, TrialData)
    assert len(prepared.parts) == 5
    assert data["wine-mnar-0.4"] is not prepared, "the driver keeps no copy"
    assert prepared.design == data.datasets[4].use.search_design(3)


def test_notes_differ_where_what_is_read_differs():
    data = data_of(
        {"path": "wine", "missing": SWEEP},
        {"path": "breast_cancer", "split": "kfold"},
        {"path": "iris", "split": "paper"},
    )
    notes = [dataset.resolved for dataset in data.datasets]
    assert len({note["content_sha256"] for note in notes}) == len(notes)
    assert len({note["split_sha256"] for note in notes}) == 3, "removal does not move rows"
    assert len({note["sha256"] for note in notes}) == 3


@pytest.mark.parametrize(
    ("second", "remedy"),
    [
        ({"path": "wine", "missing": {"policy": "mean"}}, "leave out the one without missing, or the 0 of the other's"),
        ({"path": "wine", "missing": {"rate": [0, 0.2], "policy": "mean"}}, "leave out .*, or the 0 of the other's"),
        ({"path": "wine", "split": "kfold"}, "leave out all but one"),
        ({"path": "{}/wine.csv", "target": "y"}, "rename a file"),
    ],
)
def test_two_datasets_of_one_name(second, remedy, tmp_path):
    (tmp_path / "wine.csv").write_text("a,y\n" + "1,u\n2,v\n" * 5)
    second = {**second, "path": second["path"].format(tmp_path)}
    with pytest.raises(InputError, match=f"each name once, but 'wine' is there 2 times: {remedy}"):
        data_of("wine", second)


def test_the_driver_knows_what_all_takes_without_preparing_it():
    data = data_of({"path": "wine", "missing": {"rate": [0, 0.2], "policy": "mean"}}, "digits")
    parts = [part for one in data.datasets for pair in data[one.name].parts for part in pair]
    held = sum(holder.x.nbytes + holder.y.nbytes for holder in [*parts, *data.tables.values()])
    assert held <= data.n_bytes < 1.1 * held
