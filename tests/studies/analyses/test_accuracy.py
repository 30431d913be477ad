from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from studies.analyses import accuracy
from studies.analyses.accuracy import DATASETS, METRICS, accuracies, committed, main, measured, readme_table, reference
from studies.compare.paper import compare_with_paper
from studies.compare.reference import bound, paper_accuracy, paper_k, paper_sparsity
from studies.compare.small_tables import to_csv

README = Path(__file__).parents[3] / "dst" / "README.md"


@pytest.mark.slow
def test_validation_chooses_the_l2_whose_test_rows_are_opened(monkeypatch):
    opened = []
    real = accuracy.score_on_test
    monkeypatch.setattr(
        accuracy, "score_on_test", lambda data, spec, columns: opened.append(spec) or real(data, spec, columns)
    )
    l2, found = accuracies("wine", 0.5, 2, (1e-4, 1e2))
    assert l2 == 1e-4, "a hundred times the weights leave no network to speak of"
    assert [spec.settings["l2"] for spec in opened] == [1e-4, 1e-4]
    assert {name: len(values) for name, values in found.items()} == {"neuron_strength": 2, "neuron_attribution": 2}
    assert all(0.5 < value <= 1 for values in found.values() for value in values)


@pytest.fixture
def trials(monkeypatch):
    """Let trials give a chosen accuracy instead of being run; return what they were asked for."""
    asked = []

    def of(share: float):
        def made_up(dataset, sparsity, seeds, l2_values, k):
            asked.append((dataset, sparsity, k))
            return l2_values[0], {name: [share] * seeds for name in METRICS}

        monkeypatch.setattr(accuracy, "accuracies", made_up)
        return asked

    return of


@pytest.mark.parametrize("dataset", DATASETS)
def test_settings_and_bounds_are_those_of_the_packaged_table(trials, dataset):
    asked = trials(0.5)
    row = measured(dataset, 2, (1e-4,))
    assert asked == [(dataset, paper_sparsity(dataset), paper_k(dataset))]
    published = paper_accuracy().query("method == 'set' and dataset == @dataset")
    assert row["paper_mean"] == published["mean"].max()
    assert set(published["sparsity"]) == {row["sparsity"]}
    assert row["at_least"] == bound(row["paper_mean"], row["paper_std"]) == row["paper_mean"] - row["paper_std"]


@pytest.mark.parametrize(("above", "status", "word"), [(1e-6, 0, "reached"), (-1e-6, 1, "missed")])
def test_the_table_says_whether_bounds_hold(trials, capsys, above, status, word):
    """Yale's bound is taken to a millionth; a miss has a line with the README's figure."""
    trials(bound(*reference("Yale")) + above)
    assert main(["--only", "Yale"]) == status
    head, row, *misses = capsys.readouterr().out.splitlines()
    assert head.split()[:3] == ["dataset", "sparsity", "L2"]
    assert head.split()[-1] == "README"
    assert row.split()[:2] == ["Yale", "0.25"]
    assert row.split()[-1] == word
    shown = committed().set_index("dataset").loc["Yale", list(METRICS)].max()
    assert misses == ([] if status == 0 else [miss for miss in misses if miss.endswith(f"README: {100 * shown:.1f}")])
    assert len(misses) == status


def test_level_is_what_the_results_page_calls_reached():
    mean, std = reference("Yale")
    for share in (bound(mean, std) - 1e-6, bound(mean, std) + 1e-6):
        scores = pd.DataFrame(
            {"dataset": "Yale", "method": "set", "importance": "neuron_strength", "k": 100, "seed_index": [0, 1]}
        ).assign(test_accuracy=share, val_accuracy=0.5, val_loss=1.0, coverage=float("nan"), number=0, sparsity=0.25)
        scores = scores.assign(l2=1e-4, epochs=1, flops=1.0, seconds=1.0)
        (row,) = compare_with_paper({"study": scores}).accuracy.to_dict("records")
        assert row["reached"] == (share > bound(mean, std))


def test_the_readme_shows_the_committed_run_and_the_papers_bounds():
    table = committed()
    assert readme_table(table) in README.read_text(encoding="utf-8")
    assert tuple(table["dataset"]) == DATASETS
    for row in table.to_dict("records"):
        mean, std = reference(row["dataset"])
        assert row["sparsity"] == paper_sparsity(row["dataset"])
        assert row["k"] == paper_k(row["dataset"])
        expected = to_csv(pd.DataFrame([{"mean": mean, "std": std, "at_least": bound(mean, std)}])).splitlines()[1]
        assert expected == to_csv(pd.DataFrame([row])[["paper_mean", "paper_std", "at_least"]]).splitlines()[1]


def test_rows_are_written_as_they_are_committed(trials, tmp_path):
    trials(0.9)
    assert main(["--only", "Madelon", "--out", str(tmp_path / "rows.csv")]) == 0
    table = pd.read_csv(tmp_path / "rows.csv")
    assert list(table) == list(committed())
    assert "| Madelon (K = 20) | 0.95 | 90.0 ± 0.0 | 90.0 ± 0.0 | 78.40 ± 1.71 | 76.69 | reached |" in readme_table(
        table
    )


def test_wrong_calls(monkeypatch, capsys):
    for arguments in (["--only", "Yal"], ["--seeds", "0"]):
        with pytest.raises(SystemExit) as ended:
            main(arguments)
        assert ended.value.code == 2
    monkeypatch.delenv("DST_DATA_DIR", raising=False)
    assert main(["--only", "Yale"]) == 2
    assert "DST_DATA_DIR" in capsys.readouterr().err
