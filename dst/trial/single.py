"""A single trial in this process: its settings and its result, as ``dst trial`` shows them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from dst.data import Dataset
from dst.trial.result import TrialResult
from dst.trial.run import run_trial, score_on_test
from dst.trial.spec import TrialSpec

_ONLY_IN_RECORDS = ("data_sha256", "split_sha256", "absent_classes")


@dataclass(frozen=True)
class SingleTrial:
    """A trial that is over.

    Attributes:
        dataset: the whole table that the trial ran on.
        spec: all else that decided the result.
        result: of the validation rows.
        test_accuracy: the scorer's, on the test rows, by importance metric; empty where they were not opened.
    """

    dataset: Dataset
    spec: TrialSpec
    result: TrialResult
    test_accuracy: Mapping[str, float] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """Return plain data, as ``dst trial --json`` prints it."""
        result = {key: value for key, value in self.result.to_json().items() if key not in _ONLY_IN_RECORDS}
        for name, accuracy in self.test_accuracy.items():
            result["importances"][name]["test_svm_accuracy"] = accuracy
        return {
            "dataset": self.dataset.name,
            **self.spec.described(self.dataset.batch_size),
            "seed": self.spec.seed,
            "split": self.spec.design.split,
            **result,
        }


def run_single_trial(dataset: Dataset, spec: TrialSpec, *, test: bool = False) -> SingleTrial:
    """Run a trial in this process.

    Args:
        dataset: the whole table; the trial splits and prepares it.
        spec: all else that decides the result.
        test: open the test rows afterwards, and score what each importance metric selected on them.

    Raises:
        InputError: the table or the trial breaks a rule, see :func:`dst.trial.run.run_trial`.
        DivergedError: training diverged.
    """
    result = run_trial(dataset, spec)
    selected = {name: importance.selected for name, importance in result.importances.items()}
    return SingleTrial(dataset, spec, result, score_on_test(dataset, spec, selected) if test else {})
