"""Winners on other outer splits: all methods on the same ones, and nothing is chosen anew."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from dst.errors import InputError
from studies.report.outer_splits import outer_splits_table
from studies.report.results import collect
from studies.run import run_study
from studies.spec.loading import parse_spec
from studies.store.archive import StudyArchive
from studies.store.folder import StudyFolder
from tests.support.two_tables import document


def spec_of(tmp_path: Path, splits: int) -> Any:
    given = document(tmp_path, search={"trials": 4, "batch": 4})
    return parse_spec(
        {**given, "datasets": given["datasets"][:1], "confirm": {"top": 1, "seeds": 2, "outer_splits": splits}}
    )


@pytest.mark.usefixtures("simulated_work")
def test_a_finished_study_is_tested_on_more_splits_and_keeps_its_winner(tmp_path: Path) -> None:
    out = tmp_path / "out"
    before = run_study(spec_of(tmp_path, 0), out=out, in_process=True)
    folder = StudyFolder(out)
    assert not folder.outer_splits.exists()
    result = run_study(spec_of(tmp_path, 3), out=out, in_process=True)
    assert result.rows == before.rows
    found = pd.read_csv(folder.outer_splits)
    methods = set(result.best_by_method["method"])
    assert len(methods) > 1
    tested = {method: sorted(rows["index"]) for method, rows in found.groupby("method")}
    assert tested == {method: [0, 1, 2] for method in methods}
    rows = collect(StudyArchive(folder)).outer_splits["a"]
    winner, other = rows[0], rows[1]
    assert winner.method == result.rows[0]["method"]
    assert winner.difference is None
    differences = [winner.accuracies[index] - other.accuracies[index] for index in range(3)]
    assert other.difference == pytest.approx(np.mean(differences))
    half = 4.302653 * np.std(differences, ddof=1) * np.sqrt(1 / 3 + 120 / 480)  # Student's t, two degrees of freedom
    assert other.difference_low == pytest.approx(np.mean(differences) - half, rel=1e-5)
    assert "On other outer splits" in folder.report.read_text(encoding="utf-8")
    shown = outer_splits_table({"a": rows})
    assert shown is not None
    assert [row[1].text for row in shown.rows if row[1].chosen] == [winner.method]
    assert outer_splits_table({}) is None
    with pytest.raises(InputError, match=r"confirm\.outer_splits"):
        run_study(spec_of(tmp_path, 2), out=out, in_process=True)
    assert not run_study(spec_of(tmp_path, 3), out=out, in_process=True).ran


def test_the_latest_rows_are_not_drawn(tmp_path: Path) -> None:
    given = document(tmp_path)
    ordered = {**given["datasets"][0], "split": "time", "time": "f1"}
    with pytest.raises(
        InputError, match=r"confirm\.outer_splits draws test rows anew, but split 'time' tests on the latest"
    ):
        parse_spec({**given, "datasets": [ordered], "confirm": {"outer_splits": 5}})
