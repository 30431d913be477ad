"""``dst watch`` shows a study that another process runs, and ends with it."""

from __future__ import annotations

import shutil
import threading
from pathlib import Path

import pytest

from studies.store import lock
from studies.store.folder import StudyFolder
from tests.support.command import call

FINISHED = Path(__file__).parents[1] / "earlier" / "finished"


def test_it_looks_while_a_run_is_at_work_and_ends_with_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = StudyFolder(tmp_path / "study")
    shutil.copytree(FINISHED, folder.path)
    seen, ended = threading.Event(), threading.Event()

    def run() -> None:
        with lock.owned(folder):
            seen.wait(60)
        ended.set()

    whether = lock.owner_lives

    def look(of: StudyFolder) -> bool:
        lives = whether(of)
        if lives:
            seen.set()
            ended.wait(60)
        return lives

    monkeypatch.setattr(lock, "owner_lives", look)
    at_work = threading.Thread(target=run)
    at_work.start()
    while not whether(folder):
        pass
    status, printed, said = call(capsys, "watch", folder.path, "--seconds", 0.1)
    at_work.join()
    assert (status, printed) == (0, "")
    assert seen.is_set()
    assert "wine" in said
    assert "No run is at work" in said.splitlines()[-1]


def test_what_is_no_study_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    status, _, said = call(capsys, "watch", tmp_path)
    assert (status, "study.yaml" in said) == (2, True)
