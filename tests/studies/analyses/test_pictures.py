"""The README's pictures are drawn of a finished study."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from studies.analyses.pictures import BROWSERS, main

FINISHED = Path(__file__).parents[1] / "earlier" / "finished"


def test_a_folder_without_a_report_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--study", str(tmp_path), "--out", str(tmp_path / "pictures")]) == 2
    assert "must hold a finished study, but has no report.html" in capsys.readouterr().err
    assert not (tmp_path / "pictures").exists()


@pytest.mark.slow
@pytest.mark.skipif(not any(map(shutil.which, BROWSERS)), reason="needs Chromium")
def test_the_page_and_the_winners_are_drawn(tmp_path: Path) -> None:
    study = tmp_path / "study"
    shutil.copytree(FINISHED, study)
    (study / "report.html").write_text("<h1>The report</h1>")
    assert main(["--study", str(study), "--out", str(tmp_path / "pictures")]) == 0
    assert (tmp_path / "pictures" / "report.png").read_bytes().startswith(b"\x89PNG")
    assert "wine" in (tmp_path / "pictures" / "terminal.svg").read_text(encoding="utf-8")
