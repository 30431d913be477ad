from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from studies.analyses.attribution_stability import between_epochs, between_seeds, main


def test_epochs_by_hand():
    """From (1, 2, 3) to (1, 3, 2): 2 of 6 change, ranks correlate by 1/2, the first column of each differs."""
    found = between_epochs([np.array([1.0, 2, 3]), np.array([1.0, 3, 2])], 1)
    assert found == pytest.approx({"epoch_change": 1 / 3, "epoch_spearman": 0.5, "epoch_overlap": 0})
    same = between_epochs([np.array([1.0, 2, 3])] * 3, 2)
    assert same == pytest.approx({"epoch_change": 0, "epoch_spearman": 1, "epoch_overlap": 1})


def test_seeds_by_hand():
    """Shares (2/8, 6/8) and (3/8, 5/8) part by 1/8: deviation over mean is sqrt(2)/16 over 5/16 and over 11/16."""
    found = between_seeds([np.array([1.0, 3]), np.array([3.0, 5])], 1)
    assert found["seed_variation"] == pytest.approx((2**0.5 / 5 + 2**0.5 / 11) / 2)
    assert found["seed_spearman"] == pytest.approx(1)
    alike = between_seeds([np.array([1.0, 2, 3, 4]), np.array([2.0, 4, 6, 8])], 2)
    assert alike == pytest.approx({"seed_spearman": 1, "seed_variation": 0, "seed_stability": 1})


def test_columns_that_tie_are_not_selected_alike_by_seeds():
    """One column has a value, the others have none: which of them are selected besides it is chance."""
    one = np.eye(100)[0]
    found = between_seeds([one] * 20, 20)["seed_stability"]
    assert found == pytest.approx(0.05, abs=0.05)
    assert between_epochs([one, one], 20, seed=3)["epoch_overlap"] == 1, "one training has one order"


@pytest.mark.slow
def test_the_table(tmp_path, capsys):
    out = tmp_path / "stability.csv"
    arguments = ["--datasets", "wine", "--sparsities", "0", "0.9", "--depths", "2", "--seeds", "2", "--epochs", "4"]
    assert main([*arguments, "--out", str(out)]) == 0
    table = pd.read_csv(out)
    assert table["sparsity"].tolist() == [0, 0.9]
    assert table[["epoch_change", "seed_variation"]].gt(0).all().all()
    assert table[["epoch_spearman", "seed_spearman", "seed_stability"]].le(1).all().all()
    assert main(["--datasets", "win"]) == 2
    assert "did you mean 'wine'" in capsys.readouterr().err
