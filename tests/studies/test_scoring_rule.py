"""Studies on tables with categories: their rule of scoring is noted, and what was noticed of the tables is said."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml

from dst.errors import InputError
from studies import load_spec, run_study
from studies.cli.main import main


def study(folder: Path, *, words: bool) -> Path:
    """A study of two filters on 120 rows: two numbers, a row number and, with ``words``, a column of categories."""
    rng = np.random.default_rng(0)
    numbers = rng.normal(size=(120, 2))
    columns = {"a": numbers[:, 0], "b": numbers[:, 1], "row": np.arange(120)}
    if words:
        columns["w"] = rng.choice(["x", "y", "z"], size=120)
    pd.DataFrame({**columns, "y": (numbers[:, 0] > 0).astype(int)}).to_csv(folder / "t.csv", index=False)
    document = {
        "name": "s",
        "datasets": [{"path": str(folder / "t.csv"), "target": "y", "k": 1, "inner_splits": 1}],
        "methods": ["f_score"],
        "search": {"trials": 1, "batch": 1},
        "confirm": {"top": 1, "seeds": 1},
        "tracking": {"wandb": {"mode": "disabled"}},
    }
    path = folder / "s.yaml"
    path.write_text(yaml.safe_dump(document))
    return path


def test_results_of_two_rules_of_scoring_are_not_mixed(tmp_path: Path) -> None:
    """A folder of a version that summed categories up is read, but goes on only where there are none."""
    spec, out = study(tmp_path, words=True), tmp_path / "out"
    run_study(load_spec(spec), out=out, in_process=True)
    document = yaml.safe_load((out / "study.yaml").read_text())
    del document["resolved"]["datasets"]["t"]["scoring"]
    (out / "study.yaml").write_text(yaml.safe_dump(document))
    more = load_spec(spec, overrides=["confirm.seeds=2"])
    with pytest.raises(InputError, match="summed the scores of a column's categories"):
        run_study(more, out=out, in_process=True)
    for command in ("report", "best"):
        with pytest.raises(SystemExit) as ended:
            main([command, str(out)])
        assert ended.value.code == 0


def test_a_table_of_numbers_has_no_rule_to_note(tmp_path: Path) -> None:
    spec, out = study(tmp_path, words=False), tmp_path / "out"
    run_study(load_spec(spec), out=out, in_process=True)
    assert "scoring" not in yaml.safe_load((out / "study.yaml").read_text())["resolved"]["datasets"]["t"]
    run_study(load_spec(spec, overrides=["confirm.seeds=2"]), out=out, in_process=True)


def test_what_was_noticed_of_a_table_is_said(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    spec, out = study(tmp_path, words=False), tmp_path / "out"
    run_study(load_spec(spec), out=out, in_process=True)
    assert "t: row numbers, 'row'" in caplog.text
    page = (out / "report.html").read_text()
    assert "As the tables were read" in page
    assert "row numbers" in page
