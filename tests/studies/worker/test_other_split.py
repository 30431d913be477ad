"""The job that trains and tests a configuration on another outer split."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from dst.data import load_dataset
from dst.trial.run import run_trial, score_on_test
from dst.trial.spec import TrialSpec
from studies.worker.job import run_job
from studies.worker.payload import SplitPayload
from tests.support.two_tables import table


def test_a_split_is_trained_and_tested_as_a_trial_by_hand(tmp_path: Path) -> None:
    dataset = load_dataset(table(tmp_path / "a.csv"), target="label")
    trial = TrialSpec("l1_logistic", {"C": 0.1}, seed=7, split_seed=7, test_seed=7, k=4, k_values=(2,))
    official = replace(dataset, official_test=np.arange(10))  # is drawn from like all other rows
    payload = SplitPayload(trial, None, "l1_coefficient").to_json()
    answer = run_job(json.loads(json.dumps(payload)), official, lambda step, value: False).document
    result = run_trial(dataset, trial)
    [importance] = result.importances
    ranked = result.importances[importance].ranked
    by_hand = {
        len(columns): score_on_test(dataset, trial, {importance: columns}) for columns in (ranked[:4], ranked[:2])
    }
    assert answer["test"] == {str(k): accuracy[importance] for k, accuracy in by_hand.items()}
    assert answer["held_out"] == pytest.approx(120 / 600)
