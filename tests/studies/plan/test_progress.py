"""Progress is live on a terminal, lines elsewhere, and never on standard output."""

from __future__ import annotations

import io
import itertools
import os
import pty
import subprocess
import sys
import time
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from studies.plan.progress import DatasetProgress, LineProgress, LiveProgress, TimeLeft, make_progress

WINE = DatasetProgress("wine", finished=2, running=1, stopped=1, failed=0, waiting=1, total=8, best=0.5, stage="search")
YALE = DatasetProgress(
    "yale", finished=0, running=0, stopped=0, failed=0, waiting=0, total=4, best=None, stage="search"
)

# Runs a study's worth of updates on this process's standard error, and says nothing on standard output.
SCRIPT = """
import sys
from studies.plan.progress import DatasetProgress, make_progress
with make_progress(sys.stderr, workers=2) as progress:
    for ended in range(5):
        wine = DatasetProgress("wine", ended, 1, 0, 0, 0, 4, 0.9 + ended / 100, "search")
        progress.update([wine], ended * 10.0)
        if ended == 2:
            sys.stderr.write("a warning from elsewhere\\n")
"""


def lines_of(updates: list[tuple[list[DatasetProgress], float]], workers: int = 2, interval: float = 2.0) -> list[str]:
    stream = io.StringIO()
    with LineProgress(stream, workers=workers, interval=interval) as progress:
        for datasets, elapsed in updates:
            progress.update(datasets, elapsed)
    return stream.getvalue().splitlines()


def test_a_line_says_the_whole_and_what_has_changed() -> None:
    later = replace(YALE, finished=1, best=0.25, stage="confirm")
    assert lines_of([([WINE, YALE], 0.0), ([WINE, later], 3661.0)]) == [
        "3/12 trials (1 running, 1 stopped) in 0:00; wine 3/8 search best 0.5000; yale 0/4 search",
        "4/12 trials (1 running, 1 stopped) in 1:01:01; yale 1/4 confirm best 0.2500",
    ]


def test_lines_are_rare_and_the_end_is_always_said() -> None:
    steps = [replace(WINE, finished=done) for done in range(2, 7)]
    lines = lines_of([([one], 0.5 * place) for place, one in enumerate(steps)], interval=2.0)
    assert [line.split(" ")[0] for line in lines] == ["3/8", "7/8"]
    lines = lines_of([([one], 0.4 * place) for place, one in enumerate(steps)], interval=1.0)
    assert [line.split(" ")[0] for line in lines] == ["3/8", "6/8", "7/8"]


def test_time_is_measured_where_it_is_not_given() -> None:
    stream = io.StringIO()
    with LineProgress(stream, interval=0.0) as progress:
        progress.update([WINE])
        time.sleep(1.1)
        progress.update([replace(WINE, finished=3)])
    assert [line.split(" in ")[1][:4] for line in stream.getvalue().splitlines()] == ["0:00", "0:01"]


def test_no_change_no_line() -> None:
    assert len(lines_of([([WINE], 10.0 * place) for place in range(5)])) == 1
    assert lines_of([]) == []


@given(
    updates=st.lists(st.tuples(st.integers(0, 3), st.floats(0, 3)), max_size=30),
    interval=st.floats(0.1, 5),
)
def test_lines_keep_their_distance(updates: list[tuple[int, float]], interval: float) -> None:
    stream, elapsed, printed = io.StringIO(), 0.0, []
    progress = LineProgress(stream, interval=interval)
    with progress:
        for finished, pause in updates:
            before, elapsed = stream.getvalue().count("\n"), elapsed + pause
            progress.update([replace(WINE, finished=finished)], elapsed)
            if stream.getvalue().count("\n") > before:
                printed.append(elapsed)
    assert all(later - earlier >= interval for earlier, later in itertools.pairwise(printed))
    if updates:
        assert f"{updates[-1][0] + 1}/8" in stream.getvalue().splitlines()[-1]


def estimates(workers: int, ends: list[float], total: int) -> list[float | None]:
    """What is estimated at the end of each trial of a run that found two and was first looked at after 3 seconds."""
    time_left = TimeLeft(workers)
    first = replace(YALE, finished=2, total=2 + total)
    assert time_left.estimate([first], 3.0) is None
    return [time_left.estimate([replace(first, finished=3 + number)], end) for number, end in enumerate(ends)]


def test_time_left_is_estimated_from_trials_that_waited_for_nothing() -> None:
    """The first took 100 seconds, those after it ten."""
    assert estimates(1, [100.0, 110.0, 120.0, 130.0], 6) == [None, 40.0, 30.0, 20.0]


def test_a_round_of_workers_ends_before_anything_is_estimated() -> None:
    """Two at a time: four trials in ten seconds each after the first two."""
    assert estimates(2, [99.0, 100.0, 109.0, 110.0, 120.0], 9) == [None, None, None, 5 * 10 / 2, 4 * (20 / 3) / 1]


@pytest.mark.parametrize(
    ("total", "left"),
    [
        (5, 10.0),  # one trial left takes a trial's time, not a half of it
        (4, 0.0),
        (3, 0.0),  # the total was an estimate
    ],
)
def test_the_last_trials_take_a_trials_time(total: int, left: float) -> None:
    assert estimates(2, [99.0, 100.0, 109.0, 110.0], total)[-1] == left


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        (1.0, "10 s"),
        (44.0, "40 s"),
        (89.0, "90 s"),
        (91.0, "2 min"),
        (1500.0, "25 min"),
        (5399.0, "90 min"),
        (5400.0, "1 h 30 min"),
        (7100.0, "2 h"),
        (29288.0, "8 h 10 min"),
    ],
)
def test_an_estimate_is_said_as_exactly_as_it_is(seconds: float, said: str) -> None:
    looks = [(0, 0.0), (1, 5.0), (2, 5.0 + seconds)]
    lines = lines_of([([replace(YALE, finished=done, total=3)], at) for done, at in looks], workers=1)
    assert lines[-1].startswith("2/3 trials in ")
    assert f", about {said} left; yale" in lines[-1]


def test_nothing_left_at_the_first_look() -> None:
    assert TimeLeft(2).estimate([replace(YALE, finished=4)], 3.0) == 0.0


def test_a_file_gets_lines_and_a_dumb_terminal_too(monkeypatch: pytest.MonkeyPatch) -> None:
    assert isinstance(make_progress(io.StringIO()), LineProgress)
    master, slave = pty.openpty()
    with os.fdopen(slave, "w") as terminal:
        monkeypatch.setenv("TERM", "xterm-256color")
        assert isinstance(make_progress(terminal), LiveProgress)
        monkeypatch.setenv("TERM", "dumb")
        assert isinstance(make_progress(terminal), LineProgress)
    os.close(master)


def test_standard_error_that_is_a_pipe() -> None:
    done = subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, text=True, check=True)
    assert done.stdout == ""
    assert "\x1b" not in done.stderr
    assert done.stderr.splitlines()[0] == "0/4 trials (1 running) in 0:00; wine 0/4 search best 0.9000"
    assert done.stderr.splitlines()[-1] == "4/4 trials (1 running) in 0:40; wine 4/4 search best 0.9400"
    assert "a warning from elsewhere" in done.stderr.splitlines()


def test_standard_error_that_is_a_terminal() -> None:
    master, slave = pty.openpty()
    environment = os.environ | {"TERM": "xterm-256color", "COLUMNS": "90", "LINES": "30"}
    child = subprocess.Popen([sys.executable, "-c", SCRIPT], stdout=subprocess.PIPE, stderr=slave, env=environment)
    os.close(slave)
    shown = b""
    try:
        while chunk := os.read(master, 65536):
            shown += chunk
    except OSError:  # EIO: the last holder of the terminal has closed it
        pass
    assert child.communicate()[0] == b""
    assert child.returncode == 0
    os.close(master)
    text = shown.decode()
    last = text[text.rindex("dataset") :]
    assert "4/4" in last
    assert "0.9400" in last
    assert "in 0:40" in last
    assert "a warning from elsewhere" in text
    assert text.count("\x1b[1A") >= 4  # redrawn in place
    assert text.rstrip().endswith("\x1b[?25h")  # the cursor is back


def test_a_live_table_ends_with_the_error_that_ends_the_block() -> None:
    stream = io.StringIO()

    def interrupted() -> None:
        with LiveProgress(stream) as progress:
            progress.update([WINE, YALE], 1.0)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert "wine" in stream.getvalue()
    assert stream.getvalue().rstrip().endswith("\x1b[?25h")


@pytest.mark.parametrize("name", ["[red]", "[/]", "[/x]", "[bold]a[/bold]", "\\[a]", ":smile:", "a [link=x]b", "["])
def test_names_with_markup_are_shown_as_they_are(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    stream = io.StringIO()
    with LiveProgress(stream) as progress:
        progress.update([replace(WINE, name=name, stage=name)], 1.0)
    assert stream.getvalue().count(name) >= 2
