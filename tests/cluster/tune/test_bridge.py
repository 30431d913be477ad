"""The bridge: each job gets one answer, whatever Tune says and how often."""

from __future__ import annotations

import pytest

from cluster.jobs import Job, Output
from cluster.tune.bridge import Bridge
from cluster.tune.work_thread import Failed, Finished, Reported
from tests.support.job_script import Script


def test_an_answered_trial_is_forgotten() -> None:
    script = Script([{}, {"stop_at": 1}, {}, {}])
    bridge = Bridge(script)
    for trial in "abcd":
        assert bridge.next_job(trial) is not None
    bridge.ended("a", Finished(Output({})))
    assert bridge.reported("b", Reported(1, 0.5))
    bridge.ended("b", Reported(1, 0.5))  # callbacks see the report that stopped a trial, too
    bridge.ended("c", Failed("error"))
    bridge.broke("d", "gone", lost=True)
    for trial in "abcd":
        bridge.broke(trial, "said again", lost=True)
    assert not bridge.break_all("said again")
    assert script.answers == {
        "job/0": [("finished",)],
        "job/1": [("report", 1, 0.5), ("stopped",)],
        "job/2": [("failed", False, "error")],
        "job/3": [("failed", True, "gone")],
    }
    assert bridge.done()


def test_reports_that_were_held_back_come_before_what_followed_them() -> None:
    script = Script([{}, {}, {"stop_at": 2}])
    bridge = Bridge(script)
    for trial in "abc":
        bridge.next_job(trial)
    assert not bridge.reported("a", Reported(3, 0.3, held=((1, 0.1), (2, 0.2))))
    bridge.ended("a", Finished(Output({}), held=((4, 0.4),)))
    bridge.ended("b", Failed("error", held=((1, 0.1),)))
    with pytest.raises(RuntimeError, match="job/2 was said not to be stoppable, but its source stops it"):
        bridge.ended("c", Finished(Output({}), held=((1, 0.0), (2, 0.0))))
    assert script.of(0) == [*(("report", step, step / 10) for step in (1, 2, 3, 4)), ("finished",)]
    assert script.of(1) == [("report", 1, 0.1), ("failed", False, "error")]


def test_the_machine_of_a_job_is_told_once_before_all_else_that_is_heard_of_it() -> None:
    script = Script([{}, {}, {}])
    bridge = Bridge(script)
    for trial in "abc":
        bridge.next_job(trial)
    bridge.reported("a", Reported(1, 0.5, host="here"))
    bridge.ended("a", Finished(Output({}), host="here"))
    bridge.ended("b", Failed("error", host="there"))
    bridge.broke("c", "gone", lost=True)
    assert script.hosts == {"job/0": ["here"], "job/1": ["there"]}


def test_all_running_jobs_can_be_lost_at_once() -> None:
    script = Script([{}, {}])
    bridge = Bridge(script)
    bridge.next_job("a")
    bridge.next_job("b")
    assert bridge.break_all("no memory")
    assert script.answers == {f"job/{i}": [("failed", True, "no memory")] for i in range(2)}


@pytest.mark.parametrize(("begun", "named"), [(True, True), (False, False)])
def test_the_limit_is_named_for_jobs_that_began(begun: bool, named: bool) -> None:
    script = Script([{}])
    bridge = Bridge(script, seconds_per_job=0.0)
    bridge.next_job("a")
    if begun:
        bridge.started("a")
    bridge.broke("a", "died", lost=True)
    assert script.of(0) == [
        ("failed", False, "the job ran past its limit of 0 s") if named else ("failed", True, "died")
    ]


def test_a_lost_machine_is_no_job_that_took_too_long() -> None:
    script = Script([{}])
    bridge = Bridge(script, seconds_per_job=0.0)
    bridge.next_job("a")
    bridge.started("a")
    bridge.broke("a", "The actor died because its node has died. Node Id: 12", lost=True)
    assert script.of(0)[0][:2] == ("failed", True)


class Broken(Script):
    def next_job(self) -> Job | None:
        if self.times:
            raise OSError("next_job")
        return super().next_job()

    def report(self, job: Job, step: int, value: float) -> bool:
        raise OSError("report")


def test_the_first_error_of_the_source_is_kept() -> None:
    bridge = Bridge(script := Broken([{}]))
    bridge.next_job("a")
    with pytest.raises(OSError, match="report"):
        bridge.reported("a", Reported(1, 0.0))
    script.times.append(0.0)
    with pytest.raises(OSError, match="next_job"):
        bridge.next_job("b")
    assert str(bridge.error) == "report"
