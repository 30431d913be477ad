from __future__ import annotations

import pandas as pd
import pytest

from studies.analyses.missing_data import FOLDER, accuracy_over_sparsity, gather, main, summarise
from studies.run import run_study
from studies.spec.loading import load_spec, parse_spec
from studies.store.folder import StudyFolder
from studies.store.record import iter_records


@pytest.mark.slow
def test_the_committed_tables_and_figure_are_those_of_the_committed_trials(tmp_path):
    listing = tmp_path / "trials.csv"
    listing.write_text((FOLDER / "trials.csv").read_text())
    assert main(["--out", str(tmp_path)]) == 0
    assert (tmp_path / "summary.csv").read_text() == (FOLDER / "summary.csv").read_text()
    assert {path.name for path in tmp_path.iterdir()} == {path.name for path in FOLDER.iterdir()} - {"README.md"}


def test_the_committed_trials_are_those_of_the_spec():
    spec = load_spec("missing_data")
    trials = pd.read_csv(FOLDER / "trials.csv")
    assert len(trials) == len(spec.datasets) * spec.search.trials * spec.confirm.seeds
    studied = {
        (use.path, use.missing.mechanism if use.missing.rate else "none", use.missing.rate) for use in spec.datasets
    }
    assert set(trials[["dataset", "mechanism", "rate"]].itertuples(index=False, name=None)) == studied
    assert set(trials["method"]) == set(spec.methods)


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    path = tmp_path_factory.mktemp("missing") / "out"
    missing = {"rate": [0, 0.3], "mechanism": "mnar", "policy": "mean"}
    spec = parse_spec(
        {
            "name": "tiny",
            "datasets": [{"path": "wine", "inner_splits": 1, "missing": missing}],
            "methods": ["dense", "set"],
            "space": {"sparsity": {"values": [0.5, 0.9], "when": {"method": "set"}}},
            "training": {"epochs": 2, "hidden": [10]},
            "search": {"sampler": "grid", "pruner": "none"},
            "confirm": {"top": 3, "seeds": 2},
            "tracking": {"wandb": {"mode": "disabled"}},
        }
    )
    run_study(spec, out=path, in_process=True)
    return StudyFolder(path)


@pytest.mark.slow
def test_trials_are_gathered_from_the_records(study, tmp_path):
    trials = gather(study)
    assert len(trials) == 2 * 3 * 2
    assert set(trials["dataset"]) == {"wine"}
    assert trials.groupby(["mechanism", "rate"]).size().to_dict() == {("none", 0.0): 6, ("mnar", 0.3): 6}
    records = [record for record in iter_records(study, "wine-mnar-0.3") if record["stage"] == "confirm"]
    ours = sorted(trials.loc[trials["rate"] == 0.3, "accuracy"])
    assert ours == pytest.approx(sorted(record["val_accuracy"] for record in records), abs=1e-5)
    assert main(["--study", str(study.path), "--out", str(tmp_path)]) == 0
    assert (tmp_path / "accuracy.svg").read_text().startswith("<?xml")


def test_a_summary_by_hand():
    row = {"dataset": "d", "mechanism": "mcar", "rate": 0.2, "method": "set", "sparsity": 0.5, "best_epoch": 4.0}
    trials = pd.DataFrame([{**row, "accuracy": a, "svm_accuracy": b} for a, b in ((0.8, 0.5), (0.9, 0.5), (1.0, 0.5))])
    (summary,) = summarise(trials).to_dict("records")
    assert (summary["accuracy_mean"], summary["accuracy_std"]) == (0.9, 0.1)
    assert (summary["svm_accuracy_mean"], summary["svm_accuracy_std"], summary["seeds"]) == (0.5, 0.0, 3)


def test_the_figure_has_a_line_for_each_rate():
    figure = accuracy_over_sparsity(pd.read_csv(FOLDER / "summary.csv"))
    lines = [len(axes.get_legend_handles_labels()[1]) for axes in figure.axes]
    assert lines == [5, 3, 3, 3, 3] * 2


def test_a_folder_without_a_study(tmp_path, capsys):
    assert main(["--study", str(tmp_path), "--out", str(tmp_path)]) == 2
    assert "is not a study's folder" in capsys.readouterr().err
