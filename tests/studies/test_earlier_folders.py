"""Folders that an earlier version wrote: one of a finished study, one of a study that was killed after nine trials.

Both were written once, by the version before the packages were parted into rooms; plots and the report were left out.
"""

from __future__ import annotations

import filecmp
import json
import shutil
from pathlib import Path

import pandas as pd
import pytest
from typer.testing import CliRunner

from studies import StudyResult, load_spec, run_study
from studies.cli.main import app

EARLIER = Path(__file__).parent / "earlier"
Resumed = tuple[Path, Path, StudyResult]

WRITTEN = ("trials.csv", "best.csv", "best_by_method.csv", "test_scores.csv")


@pytest.fixture(scope="module", params=["finished", "interrupted"])
def resumed(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Resumed:
    """The folder as it was written, the folder after this version went on in it, and what the run returned."""
    before = EARLIER / request.param
    after = tmp_path_factory.mktemp("earlier") / request.param
    shutil.copytree(before, after)
    return before, after, run_study(load_spec(after / "study.yaml"), out=after, in_process=True)


def test_no_trial_that_ended_runs_again(resumed: Resumed) -> None:
    before, after, _ = resumed
    records = [path.relative_to(before) for path in sorted((before / "records").rglob("*.*"))]
    assert records
    assert filecmp.cmpfiles(before, after, map(str, records), shallow=False)[0] == list(map(str, records))


def test_the_study_ends_with_the_trials_of_the_finished_one(resumed: Resumed) -> None:
    _, after, result = resumed
    keys = ["dataset", "number", "state", "stage", "method", "params", "seed"]
    expected = pd.read_csv(EARLIER / "finished" / "trials.csv")
    found = pd.read_csv(after / "trials.csv")
    search = found["stage"] == "search"
    of_search = expected["stage"] == "search"
    pd.testing.assert_frame_equal(
        found.loc[search, keys].reset_index(drop=True), expected.loc[of_search, keys].reset_index(drop=True)
    )
    assert set(result.best["dataset"]) == {"wine", "breast_cancer"}
    assert result.best["test_mean"].notna().all()


def test_tables_of_a_finished_study_are_written_as_they_were(tmp_path: Path) -> None:
    """They are pure functions of the records."""
    after = tmp_path / "finished"
    shutil.copytree(EARLIER / "finished", after)
    for name in WRITTEN:
        (after / name).unlink()
    run_study(load_spec(after / "study.yaml"), out=after, in_process=True)
    for name in WRITTEN:
        expected, found = (pd.read_csv(folder / name) for folder in (EARLIER / "finished", after))
        pd.testing.assert_frame_equal(found[expected.columns], expected)
        came = ["feature_names", "smallest_k"] if name.startswith("best") else []
        assert found.columns.difference(expected.columns).tolist() == came
    for path in (EARLIER / "finished" / "features").iterdir():
        expected, found = pd.read_csv(path), pd.read_csv(after / "features" / path.name)
        pd.testing.assert_frame_equal(found[expected.columns], expected)
        assert found.columns.difference(expected.columns).tolist() == ["stands_for"]
    assert (after / "report.html").stat().st_size > 10_000


@pytest.mark.parametrize("command", ["status", "best"])
def test_commands_read_them(tmp_path: Path, command: str) -> None:
    folder = shutil.copytree(EARLIER / "finished", tmp_path / "finished")
    result = CliRunner().invoke(app, [command, str(folder), "--json"])
    assert result.exit_code == 0, result.output
    document = json.loads(result.stdout)
    if command == "best":
        assert [row["dataset"] for row in document["best"]] == ["wine", "breast_cancer"]
        assert {row["seeds"] for row in document["best"]} == {2}
    else:
        counts = {name: (one["finished"], one["waiting"], one["running"]) for name, one in document["datasets"].items()}
        assert counts == {"wine": (10, 0, 0), "breast_cancer": (12, 0, 0)}
