"""A trial on each of the paper's datasets whose file is at hand, by name."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from dst.data import DATASETS, load_dataset
from dst.trial.run import run_trial
from dst.trial.spec import TrialSpec

KNOWN = [name for name, entry in DATASETS.items() if entry.sha256 is not None]


@pytest.mark.data
@pytest.mark.parametrize("name", KNOWN)
def test_a_trial_runs_on_every_dataset_of_the_paper(name: str, paper_data_dir: Path) -> None:
    if not (paper_data_dir / str(DATASETS[name].file)).is_file():
        pytest.skip(f"{DATASETS[name].file} is absent")
    data = load_dataset(name, data_dir=paper_data_dir)
    assert (data.name, data.x.shape, data.n_classes) == (name, DATASETS[name].shape, DATASETS[name].n_classes)
    spec = TrialSpec("set", {"sparsity": 0.9, "epochs": 2, "hidden": (200, 50)}, split="paper", inner_splits=1)
    result = run_trial(data, spec)
    assert set(result.importances) == {"neuron_strength", "neuron_attribution"}
    for one in result.importances.values():
        assert len(set(one.selected)) == data.k
        assert np.isfinite(one.scores).all()
        assert one.val_svm_accuracy > 1 / data.n_classes
