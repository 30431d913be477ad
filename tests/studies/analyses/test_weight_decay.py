from __future__ import annotations

import pandas as pd
import pytest

from dst.data import load_dataset
from dst.training.config import TrainingConfig
from studies.analyses import weight_decay
from studies.analyses.weight_decay import main, measure, over_seeds


def rows(**settings):
    return list(measure(load_dataset("wine"), TrainingConfig(sparsity=0.5, hidden=(40, 20), **settings), k=4, seed=0))


@pytest.mark.slow
def test_both_sums_are_of_one_training_and_equal_while_it_gets_better():
    better = pd.DataFrame(rows(epochs=3, lr=1e-3))
    assert better["best_epoch"].eq(3).all()
    assert len(better) == 4
    for _, of_metric in better.groupby("importance"):
        assert of_metric["val_accuracy"].tolist()[1:] == of_metric["val_accuracy"].tolist()[:1]
    assert better["val_accuracy"].between(0.6, 1).all(), "four columns of thirteen tell most wines"


def test_the_sum_up_to_the_best_epoch_is_that_of_a_training_that_ends_there():
    """Connections stay where they are, so that the length of the training changes nothing else."""
    longer = {"method": "static", "lr": 0.3, "optimizer": "sgd"}
    whole = pd.DataFrame(rows(epochs=40, **longer))
    best = whole["best_epoch"].iloc[0]
    assert 1 < best < 40
    short = pd.DataFrame(rows(epochs=best, **longer))
    accuracies = [
        table[table["history"] == history]["val_accuracy"].tolist()
        for table, history in ((whole, "best"), (short, "all"), (whole, "all"))
    ]
    assert accuracies[0] == accuracies[1]
    assert accuracies[0] != accuracies[2]


def test_an_l2_that_forbids_all_weights_knows_nothing():
    """Strong enough, it drives every weight to zero, and the loss to that of knowing nothing, ln 3."""
    lost = pd.DataFrame(rows(epochs=60, l2=10.0, lr=1e-2))
    assert lost["val_loss"].iloc[0] == pytest.approx(1.0986, abs=0.05)


def test_means_and_spread_over_seeds():
    key = {"dataset": "a", "sparsity": 0.9, "l2": 1e-3, "history": "best", "importance": "x", "k": 4, "val_loss": 1.0}
    found = over_seeds([{**key, "val_accuracy": value, "best_epoch": epoch} for value, epoch in ((0.5, 2), (0.7, 5))])
    (row,) = found.to_dict("records")
    assert (row["seeds"], row["best_epoch"]) == (2, 3.5)
    assert (row["val_accuracy"], row["std"]) == pytest.approx((0.6, 0.02**0.5))


def test_wrong_calls_are_refused_before_anything_is_trained(monkeypatch, capsys):
    monkeypatch.setattr(weight_decay, "load_dataset", lambda name: load_dataset("wine"))
    monkeypatch.setattr(weight_decay, "measure", None)
    assert main(["--datasets", "wine"]) == 2
    assert "must be of the paper: MNIST" in capsys.readouterr().err
    assert main(["--datasets", "Yale", "--l2", "0.1", "-1"]) == 2
    assert "0 <= l2 < inf must hold, but got l2=-1.0" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        main(["--seeds", "1"])


def test_the_command_prints_and_keeps_a_row_for_each_sum_and_metric(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(weight_decay, "load_dataset", lambda name: load_dataset("wine"))
    out = tmp_path / "table.csv"
    assert main(["--datasets", "Yale", "--l2", "0.01", "0.1", "--seeds", "2", "--epochs", "2", "--out", str(out)]) == 0
    kept = pd.read_csv(out)
    assert len(kept) == 2 * 2 * 2
    assert kept["seeds"].eq(2).all()
    assert set(kept["sparsity"]) == {0.25}, "of the paper's table 6"
    assert "best_epoch" in capsys.readouterr().out
