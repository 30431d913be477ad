"""Intervals, ranks and the paper's tables, by hand."""

from __future__ import annotations

import json
import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from scipy import stats

from dst.errors import InputError
from studies.analyses import paper_results
from studies.compare.figures import accuracy_beside_paper
from studies.compare.paper import compare_with_paper
from studies.compare.reference import paper_accuracy, paper_coverage, paper_flops, paper_k, paper_rows
from studies.compare.statistics import holm, mean_ranks, paired_differences, signed_rank_p
from studies.compare.studies import compare_studies
from tests.support.command import call
from tests.support.finished_scores import chosen, scores, write, write_finished


def test_the_paper_tables_are_whole():
    accuracy = paper_accuracy()
    assert len(accuracy) == 18 * (6 + 3)
    assert accuracy["dataset"].nunique() == 18
    assert not accuracy.duplicated(["dataset", "method", "importance"]).any()
    assert accuracy["mean"].between(0.4, 1).all()
    row = accuracy[(accuracy["dataset"] == "Yale") & (accuracy["method"] == "lasso")].iloc[0]
    assert (row["std"], row["importance"]) == (0.0, "-")
    assert row["mean"] == pytest.approx(0.7273)
    assert len(paper_flops()) == 18 * 4
    assert paper_flops()["flops"].max() == 370.1e12
    assert len(paper_coverage()) == 9 * 4
    assert (paper_k("Madelon"), paper_k("Yale")) == (20, 100)


def test_the_papers_flops_say_how_many_rows_it_trained_on():
    """BASEHOCK by hand: 9.49e12 / (6 * (4862 * 1000 + 1000 * 100 + 100 * 2) * 200) = 1594.3, and 1993 - 399 = 1594.

    Isolet alone has not the rows of the paper's table 2, but 80% of the 7797 of the UCI's ISOLET.
    """
    rows = paper_rows().set_index("dataset")
    assert rows.loc["BASEHOCK"].tolist() == [1594, 1594]
    ratio = rows["implied_rows"] / rows["rows"]
    assert ratio.drop("Isolet").between(0.99, 1.02).all()
    assert rows.loc["Isolet", "implied_rows"] == pytest.approx(0.8 * 7797, rel=1e-3)


def test_every_figure_stands_beside_the_papers():
    ours = scores(
        [
            ("Yale", "set", "neuron_strength", 100, 0, 0.70, {"flops": 2e11, "sparsity": 0.5}),
            ("Yale", "set", "neuron_strength", 100, 1, 0.76, {"flops": 4e11, "sparsity": 0.5}),
            ("Yale", "set", "neuron_attribution", 100, 0, 0.50, {"flops": 2e11}),
            ("Yale", "set", "neuron_attribution", 100, 1, 0.51, {"flops": 4e11}),
            ("Yale", "set", "neuron_strength", 25, 0, 0.10),
            ("Yale", "f_score", "f_score", 100, 0, 0.6),
            ("wine", "set", "neuron_strength", 100, 0, 1.0),
        ]
    )
    rivals = scores([("Yale", "lasso", "lasso_coefficient", 100, seed, 0.8) for seed in (0, 1)])
    found = compare_with_paper({"a": ours, "b": rivals})
    table = found.accuracy.set_index(["dataset", "method", "importance"])
    assert len(table) == 4
    strength = table.loc[("Yale", "set", "neuron_strength")]
    assert strength["mean"] == pytest.approx(0.73)
    assert strength["paper_mean"] == pytest.approx(0.7455)
    assert strength["difference"] == pytest.approx(-0.0155)
    assert strength["within"] is True or strength["within"]
    assert strength["reached"], "0.7455 - 0.0364 is below 0.73"
    attribution = table.loc[("Yale", "set", "neuron_attribution")]
    assert not attribution["within"], "0.6576 lies above 0.505 + 12.7 * 0.005"
    assert not attribution["reached"]
    lasso = table.loc[("Yale", "lasso", "lasso_coefficient")]
    assert (lasso["paper_mean"], lasso["low"], lasso["high"]) == pytest.approx((0.7273, 0.8, 0.8))
    assert pd.isna(table.loc[("Yale", "f_score", "f_score"), "within"])
    flops = found.flops.set_index(["method", "importance"]).loc[("set", "neuron_attribution")]
    assert (flops["flops"], flops["paper_flops"]) == pytest.approx((3e11, 0.1e12))
    assert "Yale" not in found.missing
    assert len(found.missing) == 17


def test_two_studies_may_not_have_the_same_entry():
    one = scores([("Yale", "set", "neuron_strength", 100, 0, 0.7)])
    with pytest.raises(InputError, match="each entry once, but a, b all have Yale, set, neuron_strength"):
        compare_with_paper({"a": one, "b": one})


def test_mean_ranks_by_hand():
    """On D1: a, b, c with 3, 2, 1; on D2: b first, a and c alike. d is not on D2, and the paper lacks c."""
    rows = [
        ("D1", "a", 0.9, 0.1),
        ("D1", "b", 0.8, 0.2),
        ("D1", "c", 0.7, math.nan),
        ("D1", "d", 1.0, 0.3),
        ("D2", "a", 0.5, 0.6),
        ("D2", "b", 0.6, 0.5),
        ("D2", "c", 0.5, math.nan),
    ]
    table = pd.DataFrame(rows, columns=["dataset", "method", "mean", "paper_mean"]).assign(importance="-")
    ranks = mean_ranks(table).set_index("method")
    assert ranks["rank"].to_dict() == {"b": 1.5, "a": 1.75, "c": 2.75}
    assert ranks["shared_rank"].dropna().to_dict() == {"b": 1.5, "a": 1.5}
    assert ranks["paper_rank"].dropna().to_dict() == {"b": 1.5, "a": 1.5}
    assert set(ranks["datasets"]) == {2}


def test_paired_differences_by_hand():
    """Attribution less strength: +1, +2, +3 points: mean 2, interval 2 +- 4.3027 / sqrt(3); all three are wins."""
    rows = [
        (f"D{n}", "set", metric, 0.5 + plus)
        for n in (1, 2, 3)
        for metric, plus in (("neuron_strength", 0.0), ("neuron_attribution", n / 100))
    ]
    rows += [("D1", "lasso", "lasso_coefficient", 0.6), ("D2", "lasso", "lasso_coefficient", 0.52)]
    rows += [("D1", "stg", "gate_probability", 0.6)]
    pairs = paired_differences(pd.DataFrame(rows, columns=["dataset", "method", "importance", "mean"]))
    assert pairs["than"].tolist() == ["set, neuron_strength", "lasso, lasso_coefficient"], "one dataset is no pair"
    first, second = pairs.iloc[0], pairs.iloc[1]
    assert (first["wins"], first["losses"], first["datasets"]) == (3, 0, 3)
    half = 0.043027 / math.sqrt(3)
    assert (first["difference"], first["low"], first["high"]) == pytest.approx(
        (0.02, 0.02 - half, 0.02 + half), abs=1e-5
    )
    assert first["p"] == 0.25, "of 8 equally likely signs, two are as extreme"
    assert (second["wins"], second["losses"]) == (0, 1)
    assert second["difference"] == pytest.approx(-0.045)


def test_coverage_counts_at_the_number_of_informative_columns():
    rows = [
        ("synthetic_100", "set", "neuron_strength", 100, seed, 0.6, {"coverage": c}) for seed, c in [(0, 0.5), (1, 0.7)]
    ]
    rows += [("synthetic_100", "set", "neuron_strength", 150, 0, 0.6, {"coverage": 0.9})]
    row = compare_with_paper({"a": scores(rows)}).coverage.iloc[0]
    assert (row["coverage"], row["paper_coverage"], row["difference"]) == pytest.approx((0.6, 0.55, 0.05))


def test_studies_stand_beside_the_first_that_has_the_entry():
    one = scores([("wine", "set", "x", 4, seed, value) for seed, value in enumerate([0.8, 0.9, 0.7])])
    two = scores([("wine", "set", "y", 4, seed, value) for seed, value in enumerate([0.5, 0.5, 0.5])])
    other = scores([("wine", "dense", "y", 4, 0, 0.5)])
    both = {"one": one, "two": pd.concat([two, other])}
    table = compare_studies(both, {name: chosen(frame) for name, frame in both.items()})
    assert table["study"].tolist() == ["one", "two", "two"]
    assert pd.isna(table["differs"][0])
    assert table["difference"][1] == pytest.approx(-0.3)
    half = 4.3027 * 0.1 / math.sqrt(3)
    assert (table["difference_low"][1], table["difference_high"][1]) == pytest.approx(
        (-0.3 - half, -0.3 + half), abs=1e-4
    )
    assert table["differs"][1]
    assert pd.isna(table["difference"][2]), "nobody else has it"


def test_the_command(tmp_path, capsys):
    networks = write(tmp_path / "a", scores([("Yale", "set", "neuron_strength", 100, s, 0.7) for s in (0, 1)]))
    rivals = write(tmp_path / "b", scores([("Yale", "lasso", "lasso_coefficient", 100, 0, 0.8)]))
    out = tmp_path / "out"
    status, printed, said = call(capsys, "compare", networks, rivals, "--paper", "--json", "--out", out)
    assert status == 0
    document = json.loads(printed)
    assert set(document) == {"accuracy", "flops", "ranks", "pairs", "pairs_few", "rivals", "over_k", "coverage"}
    assert document["accuracy"][0]["paper_mean"] == pytest.approx(0.7455)
    assert "Not in these studies: MNIST" in said
    assert pd.read_csv(out / "accuracy.csv")["mean"].tolist() == [0.7, 0.8]
    first = {path.name: path.read_bytes() for path in out.iterdir()}
    assert {"accuracy.csv", "accuracy.svg", "accuracy.png", "ranks.svg", "over_k.png", "flops.csv"} <= set(first)
    status, printed, said = call(capsys, "compare", networks, rivals, "--paper", "--out", out)
    assert status == 0
    assert "Test accuracy in %" in printed
    assert "K = 100" in printed
    assert "set, neuron_strength: 0 of 1 datasets; 0 of 1" in said, "0.7 is less than 0.7455 - 0.0364"
    assert "lasso, lasso_coefficient: 1 of 1 datasets; 0 of 0" in said
    assert "Rivals as good as SET" in printed
    assert {path.name: path.read_bytes() for path in out.iterdir()} == first, "the same tables give the same files"
    status, printed, _ = call(capsys, "compare", networks, rivals)
    assert status == 0
    assert "lasso_coefficient" in printed
    assert "how likely" not in printed, "they share no dataset"


def test_studies_of_two_datasets_are_ranked_and_compared_two_by_two(tmp_path, capsys):
    folders = [
        write(
            tmp_path / name, scores([(dataset, "set", "neuron_strength", 100, 0, mean) for dataset in ("Yale", "ORL")])
        )
        for name, mean in (("low", 0.6), ("high", 0.8))
    ]
    status, printed, _ = call(capsys, "compare", *folders, "--json")
    [pair] = json.loads(printed)["pairwise"]
    assert (status, pair["study"], pair["than_study"], pair["wins"]) == (0, "high", "low", 2)
    assert pair["better"] + pair["alike"] + pair["worse"] == pytest.approx(1)
    status, printed, said = call(capsys, "compare", *folders)
    assert "how likely" in printed
    assert "find large differences only" in said


def test_the_command_says_what_is_wrong(tmp_path, capsys):
    empty = tmp_path / "empty"
    empty.mkdir()
    for arguments, message in (
        ([tmp_path / "nothing"], "is no folder"),
        ([empty], "has no test_scores.csv"),
        ([empty, empty], "each study once"),
        ([], "Missing argument"),
    ):
        status, printed, said = call(capsys, "compare", *arguments)
        assert (status, printed) == (2, "")
        assert message in said
    (empty / "test_scores.csv").write_text("a,b\n1,2\n")
    status, _, said = call(capsys, "compare", empty)
    assert status == 2
    assert "lack dataset, method" in said


@pytest.mark.slow
@given(st.lists(st.sampled_from([-2.0, -1.5, -1.0, -0.5, 0.0, 0.5, 1.0, 1.25, 2.0, 3.0]), min_size=2, max_size=6))
@example([1.0, 0.0])
@example([1.0, 2.0, 3.0])
@example([float(number) for number in range(1, 16)])
@example([1.0, -1.0, 1.0, 2.0, 0.0, 2.0, 3.0, -0.5, 0.5, 1.25, 1.0, 2.0, 3.0])  # SciPy takes seconds for ties
def test_p_of_signed_ranks_is_scipys(differences):
    expected = stats.wilcoxon(differences).pvalue if any(differences) else 1.0
    assert signed_rank_p(np.array(differences)) == pytest.approx(expected, abs=1e-12)


@pytest.mark.slow
def test_results_are_gathered_once_and_drawn_again_from_what_is_kept(tmp_path, capsys):
    studies = tmp_path / "runs"
    studies.mkdir()
    for name, table in (
        ("paper", scores([("Yale", "set", "neuron_strength", 100, s, 0.7) for s in (0, 1)])),
        ("rivals", scores([("Yale", "lasso", "lasso_coefficient", 100, 0, 0.8)])),
    ):
        folder = write_finished(studies / name, table)
        trials = [
            ("Yale", number, "set", stage, "finished", 1.5, 0.4)
            for number, stage in ((1, "search"), (0, "search"), (2, "confirm"))
        ]
        columns = ["dataset", "number", "method", "stage", "state", "seconds", "val_loss"]
        pd.DataFrame(trials, columns=columns).to_csv(folder / "trials.csv", index=False)
    out = tmp_path / "results"
    assert paper_results.main(["--out", str(out)]) == 2
    assert "has no study" in capsys.readouterr().err
    gathered = ["--out", str(out), *(part for name in ("paper", "rivals") for part in ("--study", str(studies / name)))]
    assert paper_results.main(gathered) == 0
    first = {path.relative_to(out): path.read_bytes() for path in out.rglob("*") if path.is_file()}
    cost = pd.read_csv(out / "paper" / "cost.csv")
    assert cost[["stage", "trials", "core_seconds"]].to_numpy().tolist() == [["search", 2, 3.0], ["confirm", 1, 1.5]]
    searched = pd.read_csv(out / "paper" / "search.csv")
    assert searched["number"].tolist() == [0, 1]
    assert searched["val_loss"].tolist() == [0.4, 0.4]
    assert "seconds" in searched
    for path in out.glob("*.*"):
        path.unlink()
    assert paper_results.main(["--out", str(out)]) == 0
    assert {path.relative_to(out): path.read_bytes() for path in out.rglob("*") if path.is_file()} == first


def test_studies_that_share_entries_are_gathered_apart_or_not_at_all(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("studies.report.drawing.to_svg", lambda figure, name: '<svg viewBox="0 0 1 1"></svg>')
    monkeypatch.setattr("studies.report.drawing.to_png", lambda figure: b"no picture")
    table = scores([("Yale", "set", "neuron_strength", 100, s, 0.7) for s in (0, 1)])
    folders = [write_finished(tmp_path / name, table) for name in ("sparse", "sparser")]
    out = tmp_path / "results"
    assert paper_results.main(["--out", str(out), "--study", str(folders[0]), "--study", str(folders[1])]) == 2
    assert "sparse, sparser all have Yale" in capsys.readouterr().err
    assert not out.exists()
    assert paper_results.main(["--out", str(out), "--study", str(folders[0])]) == 0
    assert paper_results.main(["--out", str(out / "more"), "--study", str(folders[1])]) == 0
    (out / "more" / "accuracy.csv").unlink()
    capsys.readouterr()
    assert paper_results.main(["--out", str(out)]) == 0
    assert capsys.readouterr().out.splitlines() == [str(out), str(out / "more")]
    assert (out / "more" / "accuracy.csv").read_bytes() == (out / "accuracy.csv").read_bytes()


def test_holms_adjustment_by_hand():
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.9, 0.8]) == [1.0, 1.0]
    assert holm([]) == []


def test_equal_accuracies_that_are_added_up_in_another_order_are_a_tie():
    values = [0.9, 0.95, 0.85, 0.95, 0.9]
    tables = [("set", "neuron_attribution", values), ("rigl", "neuron_attribution", values[::-1])]
    tables.append(("dense", "neuron_attribution", [0.85, 0.9, 0.95, 0.9, 0.95]))
    found = compare_with_paper(
        {
            "a": scores(
                [
                    (name, method, importance, 100, seed, value)
                    for name in ("Yale", "ORL")
                    for method, importance, accuracies in tables
                    for seed, value in enumerate(accuracies)
                ]
            )
        }
    )
    assert found.ranks["rank"].tolist() == [2.0, 2.0, 2.0]
    assert (found.pairs[["wins", "losses"]] == 0).all(axis=None)
    assert (found.pairs["p"] == 1).all()


def test_seeds_that_all_agree_are_drawn():
    """Their mean, rounded, may lie above their interval."""
    equal = [("Yale", "set", "neuron_strength", 100, seed, 19 / 21) for seed in range(5)]
    accuracy = compare_with_paper({"a": scores(equal)}).accuracy
    assert accuracy["mean"].iloc[0] > accuracy["high"].iloc[0]
    assert accuracy_beside_paper(accuracy).axes


def test_rivals_are_paired_by_seed():
    """SET less the rival: +1 and +3 points: mean 2, interval 2 +- 12.706."""
    found = compare_with_paper(
        {
            "a": scores([("Yale", "set", "neuron_strength", 100, s, 0.7 + s / 50) for s in (0, 1)]),
            "b": scores([("Yale", "f_score", "f_score", 100, s, 0.69) for s in (0, 1, 2)]),
        }
    ).rivals
    (row,) = found.to_dict("records")
    assert (row["rival"], row["seeds"]) == ("f_score, f_score", 2)
    assert row["difference"] == pytest.approx(0.02)
    assert (row["low"], row["high"]) == pytest.approx((0.02 - 0.12706, 0.02 + 0.12706), abs=1e-5)
    assert (row["set_mean"], row["rival_mean"]) == pytest.approx((0.71, 0.69))
