"""A work function in a thread says one thing at a time, and hears of a stop where it reports."""

from __future__ import annotations

import sys
import threading
import time

import pytest

from cluster.jobs import Output, Report, Stopped
from cluster.tune import work_thread
from cluster.tune.work_thread import Failed, Finished, Reported, WorkThread


def test_it_stands_still_in_report_until_asked_on() -> None:
    steps: list[int] = []

    def work(report: Report) -> Output:
        for step in range(3):
            steps.append(step)
            report(step, step / 2)
        return Output({"steps": 3})

    thread = WorkThread(work)
    for step in range(3):
        assert thread.next_event() == Reported(step, step / 2)
        time.sleep(0.02)
        assert steps == list(range(step + 1))
    assert thread.next_event() == Finished(Output({"steps": 3}))
    thread.stop()


@pytest.mark.parametrize("fails", [False, True])
def test_work_that_nobody_may_stop_goes_on_and_its_reports_come_with_its_end(fails: bool) -> None:
    def work(report: Report) -> Output:
        for step in range(300):
            report(step, step / 2)
        if fails:
            raise ValueError("as asked")
        return Output({})

    event = WorkThread(work, stoppable=False).next_event()
    assert isinstance(event, Failed if fails else Finished)
    assert event.held == tuple((step, step / 2) for step in range(300))


def test_reports_that_are_held_back_come_in_order_about_twice_a_second(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(work_thread, "HOLD_SECONDS", 0.1)

    def work(report: Report) -> Output:
        for step in range(16):
            time.sleep(0.02)
            report(step, 0.0)
        return Output({})

    thread = WorkThread(work, stoppable=False)
    events = [thread.next_event()]
    while isinstance(events[-1], Reported):
        events.append(thread.next_event())
    assert 1 < len(events) <= 5
    told = [
        step for event in events for step, _ in (*event.held, *([(event.step, 0)] if event is not events[-1] else []))
    ]
    assert told == list(range(16))


def test_a_stop_is_raised_in_report_and_waits_for_the_end() -> None:
    ended = threading.Event()

    def work(report: Report) -> Output:
        try:
            report(1, 0.0)
        except Stopped:
            time.sleep(0.05)
            ended.set()
            raise
        raise AssertionError("report must not return")

    others = set(threading.enumerate())
    thread = WorkThread(work)
    assert thread.next_event() == Reported(1, 0.0)
    assert not ended.is_set()
    thread.stop()
    assert ended.is_set()
    assert set(threading.enumerate()) <= others


def test_a_stop_that_is_not_heard_is_said_again() -> None:
    heard: list[int] = []

    def work(report: Report) -> Output:
        for step in range(4):
            try:
                report(step, 0.0)
            except Stopped:
                heard.append(step)
        return Output({})

    thread = WorkThread(work)
    thread.next_event()
    thread.next_event()
    thread.stop()
    assert heard == [1, 2, 3]


def broken(report: Report) -> Output:
    raise KeyError("lost")


def leaves(report: Report) -> Output:
    sys.exit(3)


@pytest.mark.parametrize(
    ("work", "last_line"),
    [
        (broken, "KeyError: 'lost'"),
        (leaves, "SystemExit: 3"),
        (lambda report: None, "TypeError: a work function must return an Output, got NoneType"),
    ],
)
def test_whatever_it_raises_is_told_without_frames_of_ours(work: object, last_line: str) -> None:
    event = WorkThread(work).next_event()  # type: ignore[arg-type]
    assert isinstance(event, Failed)
    assert event.error.splitlines()[-1] == last_line
    assert "cluster/tune/work_thread.py" not in event.error
    if work is broken:
        assert 'raise KeyError("lost")' in event.error
