"""A study runs where there is no standard error, and where what is written to it fails; nothing takes its number."""

from __future__ import annotations

import io
import logging
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from studies.cli.main import main
from studies.plan.progress import DatasetProgress, LineProgress, LiveProgress
from studies.run import run_study
from studies.spec.loading import parse_spec
from studies.surroundings import say, standard_streams

TINY = {
    "name": "tiny",
    "datasets": [{"path": "wine", "k": 2}],
    "methods": ["l1_logistic"],
    "search": {"trials": 1},
    "confirm": {"top": 1, "seeds": 1},
    "tracking": {"wandb": {"runs": "study"}},
}
WINE = DatasetProgress("wine", finished=2, running=1, stopped=1, failed=0, waiting=1, total=8, best=0.5, stage="search")


def closed() -> io.StringIO:
    stream = io.StringIO()
    stream.close()
    return stream


class Full(io.StringIO):
    """A terminal that is gone, or a disk that is full."""

    def write(self, text: str) -> int:
        raise OSError(28, "No space left on device")

    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize("gone", [lambda: None, closed])
@pytest.mark.parametrize("name", ["stdout", "stderr"])
def test_a_stream_that_is_gone_is_there_meanwhile(
    name: str, gone: Callable[[], Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    stream = gone()
    monkeypatch.setattr(sys, name, stream)
    for _ in range(2):
        with standard_streams():
            there = getattr(sys, name)
            assert there.write("lost\n") == 5
            assert not there.isatty()
            assert there.fileno() > 2
            logging.getLogger("tests").warning("lost too")
            say("and this")
        assert getattr(sys, name) is stream


def test_streams_that_are_there_stay_as_they_are() -> None:
    before = sys.stdout, sys.stderr
    with standard_streams():
        assert (sys.stdout, sys.stderr) == before


@pytest.mark.slow
@pytest.mark.parametrize("gone", [lambda: None, closed])
def test_a_study_runs_without_streams(gone: Callable[[], Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stderr", gone())
    monkeypatch.setattr(sys, "stdout", gone())
    result = run_study(parse_spec(TINY), out=tmp_path / "out", in_process=True)
    assert (len(result.rows), result.warnings) == (1, ())


def test_commands_keep_their_status_without_standard_error(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "stderr", None)
    for arguments, status in ((["datasets", "list"], 0), (["status", "/nowhere"], 2), (["best"], 2)):
        with pytest.raises(SystemExit) as ended:
            main(arguments)
        assert ended.value.code == status
    assert "wine" in capsys.readouterr().out.lower()


@pytest.mark.parametrize("kind", [LiveProgress, LineProgress])
def test_progress_that_cannot_be_shown_ends_nothing(kind: type[LiveProgress | LineProgress]) -> None:
    with kind(Full()) as progress:
        progress.update([WINE], 1.0)
        progress.update([WINE], 100.0)


def test_a_message_that_cannot_be_written_ends_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stderr", Full())
    say("lost")


@pytest.mark.parametrize("closed_ones", ["2>&-", "1>&- 2>&-", "0<&- 1>&- 2>&-"])
def test_the_next_file_does_not_take_the_number_of_a_stream(closed_ones: str, tmp_path: Path) -> None:
    program = (
        "import os, sys\n"
        "from studies.surroundings import standard_streams\n"
        "with standard_streams():\n"
        "    file = open('next', 'w')\n"
        "    file.write(str(file.fileno()))\n"
        "    file.flush()\n"
        "    os.write(2, b'from a library in C')\n"
        "    os.system('echo from a child >&2')\n"
    )
    call = f'exec "$@" {closed_ones}'
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    subprocess.run(["sh", "-c", call, "sh", sys.executable, "-c", program], cwd=tmp_path, env=environment, check=True)
    assert int((tmp_path / "next").read_text()) > 2
