"""What a study has spent: the time of its search over several runs, and the cost of its work by what became of it."""

from __future__ import annotations

import json
import os
import socket
import subprocess
from pathlib import Path
from typing import Any

import pytest
from optuna.storages import InMemoryStorage

from cluster.jobs import Job
from cluster.ledger.entries import State
from studies.plan.study import StudyPlan
from studies.report.cost import Cost, study_cost, total_cost
from studies.store.archive import StudyArchive
from studies.store.folder import StudyFolder
from studies.store.lock import owned
from studies.store.record import iter_records
from studies.store.record_codec import RecordError
from studies.store.spent import SAVE_SECONDS, Spent, SpentSoFar, read_spent
from tests.support.simulated_study import Clock, output, play, study_plan, study_spec


def test_time_counts_while_a_run_is_at_work_and_searches(tmp_path: Path) -> None:
    clock = Clock()
    path = tmp_path / "spent.json"
    spent = Spent(path, clock)
    clock.now = 100
    spent.tick(searching=True)
    assert spent.search_seconds == 0, "machines are still starting"
    spent.begin("a/0")
    clock.now = 103
    spent.tick(searching=True)
    clock.now = 110
    spent.tick(searching=False)
    spent.end("a/0")
    spent.save()
    assert read_spent(path) == SpentSoFar(10.0, 3.0, {}, {})
    clock.now = 1000
    later = Spent(path, clock)
    later.begin("a/1")
    clock.now = 1002
    later.tick(searching=True)
    assert later.search_seconds == 5.0
    assert later.wall_seconds == 12.0


def test_what_ran_when_a_run_died_is_lost_once(tmp_path: Path) -> None:
    clock = Clock()
    path = tmp_path / "spent.json"
    spent = Spent(path, clock)
    spent.begin("a/0")
    clock.now = 1.0
    spent.begin("b/3.test")
    clock.now = SAVE_SECONDS + 2
    spent.tick(searching=True)
    clock.now += 1  # not on the disk yet
    assert read_spent(path).running == {"a/0": 3.0, "b/3.test": 2.0}
    for _ in range(2):
        assert Spent(path, clock).lost == {"a/0": 3.0, "b/3.test": 2.0}
        assert read_spent(path).running == {}


def test_a_job_lost_before_it_began_has_lost_nothing(tmp_path: Path) -> None:
    path = tmp_path / "spent.json"
    spent = Spent(path)  # of the real clock, which goes on between two looks
    spent.lose("a/0")
    assert read_spent(path).lost == {"a/0": 0.0}
    path.write_text(path.read_text().replace("0.0}", "-4.3e-07}"))  # as version 0.1.0 wrote it
    assert Spent(path).lost == {"a/0": 0.0}


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "{}",
        '{"search_seconds": "x", "lost": {}, "running": {}}',
        '{"search_seconds": 1, "lost": {"a/0": -0.01}, "running": {}}',
        '{"lost": 3}',
    ],
)
def test_a_damaged_file_is_named(tmp_path: Path, text: str) -> None:
    path = tmp_path / "spent.json"
    path.write_text(text)
    with pytest.raises(RecordError, match=r"spent\.json: cannot be read as what a study has spent"):
        Spent(path)


# --- studies


def costs(path: Path, cpus: int = 1) -> Cost:
    return total_cost(study_cost(StudyArchive(StudyFolder(path)), "ab", cpus=cpus).values())


def begun(plan: StudyPlan) -> Job:
    """The next job, with a worker at it."""
    job = plan.next_job()
    assert job is not None
    plan.started(job)
    return job


def test_core_seconds_add_up_whatever_happens(tmp_path: Path) -> None:
    """Finished, stopped, failed and lost trials, tests and lists; a run that dies; two cores a trial."""
    clock, storage = Clock(), InMemoryStorage()
    spec = study_spec("ab", resources={"cpus": 2, "retries": 1})
    plan = study_plan(spec, tmp_path, clock, storage)
    worked: dict[str, float] = dict.fromkeys(("useful", "stopped", "failed", "repeated"), 0.0)
    deaths = 0
    number = 0
    while not plan.done():
        job = plan.next_job()
        assert job is not None
        clock.now += 7.0  # the job waits for its machine: nobody works
        plan.started(job)
        seconds = 1.0 + number % 5
        clock.now += seconds
        test = job.payload["kind"] != "trial"
        kind = "repeated" if number % 6 == 2 else "stopped" if number % 6 == 3 and not test else "useful"
        if number % 6 == 5:
            kind = "failed"
        if kind == "repeated" and deaths < 3:
            deaths += 1
            plan._spent.save()  # as it does by itself, every second
            plan = study_plan(spec, tmp_path, clock, storage)
        elif kind == "repeated":
            plan.failed(job, "the worker was lost", lost=True)
        elif kind == "failed":
            plan.failed(job, "ValueError: no", lost=False)
        elif kind == "stopped":
            plan.report(job, 5, 0.1)
            plan.stopped(job)
        else:
            plan.finished(job, output(job, seconds))
        worked[kind] += 2 * seconds
        number += 1
        plan._spent.save()
        cost = costs(tmp_path, cpus=2)
        assert {name: getattr(cost, name) for name in worked} == pytest.approx(worked), number
        assert cost.core_seconds == pytest.approx(sum(worked.values()))
    assert all(worked.values())
    assert deaths == 3
    assert costs(tmp_path).peak_rss_bytes == 1000
    assert costs(tmp_path, cpus=16) == costs(tmp_path), "a record says how many cores its trial had"


def test_what_a_dead_run_had_at_work_is_to_be_repeated(tmp_path: Path) -> None:
    clock = Clock()
    plan = study_plan(study_spec("a"), tmp_path, clock)
    begun(plan)
    clock.now += 50.0
    plan._spent.save()
    folder = StudyFolder(tmp_path)
    with owned(folder):
        assert costs(tmp_path).repeated == 0, "it is at work"
    assert costs(tmp_path).repeated == 50
    with subprocess.Popen(["true"]) as dead:
        pass
    folder.lock.write_text(f"process {dead.pid} on {socket.gethostname()}\n")
    assert costs(tmp_path).repeated == 50
    folder.lock.write_text("process 1 on elsewhere\n")
    assert costs(tmp_path).repeated == 0
    os.utime(folder.lock, (0, 0))
    assert costs(tmp_path).repeated == 50


def test_what_a_checkpoint_saves_is_not_repeated(tmp_path: Path, monkeypatch) -> None:
    import studies.plan.running

    clock = Clock()
    plan = study_plan(study_spec("a"), tmp_path, clock)
    monkeypatch.setattr(studies.plan.running, "kept_seconds", lambda path: 7.0)
    for ends in ("finished", "stopped"):
        job = begun(plan)
        clock.now += 10
        plan.failed(job, "the worker was lost", lost=True)
        job = begun(plan)
        clock.now += 5
        if ends == "finished":  # the trial took 12 s, of which it brought 7 from its first attempt
            done = output(job, 12.0)
            done.document["resumption"] = {"split": 0, "epoch": 3, "seconds": 7.0, "problem": None}
            plan.finished(job, done)
        else:
            plan.stopped(job)
        cost = costs(tmp_path)
        assert (cost.useful, cost.stopped, cost.repeated) == ((12, 0, 3) if ends == "finished" else (12, 12, 6))
    assert costs(tmp_path).core_seconds == clock.now


def searched(path: Path) -> list[dict[str, Any]]:
    keys = ("dataset", "params", "seed", "state", "val_score")
    return [{key: one[key] for key in keys} for one in iter_records(StudyFolder(path)) if one["stage"] == "search"]


def states(plan: StudyPlan) -> set[State]:
    return {entry.state for one in plan.plans for entry in one.ledger.entries()}


@pytest.mark.parametrize("limit", [0.5, 11.0, 14.0, 30.0])
def test_a_search_ends_when_its_time_is_up(tmp_path: Path, limit: float) -> None:
    clock = Clock()
    spec = study_spec("abc", search={"trials": 12, "batch": 4, "sampler": "random", "pruner": "none", "seconds": limit})
    plan = study_plan(spec, tmp_path, clock)
    played = play(plan, clock, 2, lambda job: 3.0)
    for name, starts in played.starts.items():
        search = [time for time, stage in starts if stage == "search"]
        late = [time for time in search if time >= limit]
        assert search, name
        assert not late or search == late[:1], "only a dataset without a finished trial gets one after the end"
        assert sum(stage == "confirm" for _, stage in starts) == 3 * min(2, len(search))
    assert states(plan) == {State.FINISHED, State.SKIPPED}
    assert read_spent(tmp_path / "spent.json").search_seconds <= limit + 6.0


def test_a_dataset_whose_trials_all_fail_gets_more_of_them_one_at_a_time(tmp_path: Path) -> None:
    clock = Clock()
    spec = study_spec("a", search={"trials": 5, "batch": 4, "sampler": "random", "pruner": "none", "seconds": 0.5})
    plan = study_plan(spec, tmp_path, clock)
    first, second = plan.next_job(), plan.next_job()
    assert first is not None
    assert second is not None
    plan.started(first)
    plan.started(second)
    clock.now = 1.0
    assert plan.next_job() is None
    plan.failed(first, "ValueError: no", lost=False)
    assert plan.next_job() is None, "the second may still finish"
    plan.failed(second, "ValueError: no", lost=False)
    third = plan.next_job()
    assert third is not None
    assert plan.next_job() is None
    plan.finished(third, output(third, 1.0))
    confirming = plan.next_job()
    assert confirming is not None
    assert plan.plans[0].stage == "confirm"
    assert plan.plans[0].ledger.search_done()


def test_a_search_that_has_ended_is_over_for_whoever_comes_after_a_crash(tmp_path: Path) -> None:
    """The run dies right after it has passed on to confirming: what it had used up is on the disk by then."""
    storage, clock = InMemoryStorage(), Clock()
    search = {"trials": 6, "batch": 2, "sampler": "random", "pruner": "none", "seconds": 10.0}
    plan = study_plan(study_spec("a", search=search), tmp_path / "out", clock, storage)
    first = begun(plan)
    clock.now = 9.5
    plan.finished(first, output(first, 9.5))
    plan.tick()
    assert plan.plans[0].stage == "search"
    clock.now = 10.2
    plan.tick()
    assert plan.plans[0].stage == "confirm"
    again = study_plan(study_spec("a", search=search), tmp_path / "out", clock, storage)
    assert again.plans[0].stage == "confirm"
    assert again.plans[0].ledger.search_done()
    again.tick()
    job = again.next_job()
    assert job is not None
    assert job.payload["trial"]["seed"] == 1 + again.plans[0].spec.seed, "a confirming trial"


def test_an_error_of_megabytes_leaves_a_record_that_can_be_read(tmp_path: Path) -> None:
    clock = Clock()
    plan = study_plan(study_spec("a"), tmp_path, clock)
    job = begun(plan)
    plan.failed(job, "ValueError: " + "x" * 3_000_000 + "\nthe end", lost=False)
    (record,) = iter_records(StudyFolder(tmp_path))
    assert record["state"] == "failed"
    assert record["error"].startswith("ValueError: x")
    assert record["error"].endswith("x\nthe end")


def test_a_limit_holds_over_several_runs_and_more_time_makes_it_whole(tmp_path: Path) -> None:
    """The search of 12 s a trial on one worker: 30 s over three runs; then 45 s; then no limit."""
    storage, clock = InMemoryStorage(), Clock()
    search = {"trials": 6, "batch": 4, "sampler": "tpe", "pruner": "none"}

    def opened(seconds: float | None) -> StudyPlan:
        clock.now += 1000  # between runs
        return study_plan(study_spec("a", search={**search, "seconds": seconds}), tmp_path / "out", clock, storage)

    for _ in range(2):
        plan = opened(30.0)
        job = begun(plan)
        clock.now += 12
        plan.finished(job, output(job, 12.0))
        plan.tick()
        plan._spent.save()
    played = play(opened(30.0), clock, 1, lambda job: 12.0)
    assert [stage for _, stage in played.starts["a"]].count("search") == 1
    assert opened(30.0).done()
    assert opened(33.0).done(), "36 s were used"
    played = play(opened(45.0), clock, 1, lambda job: 12.0)
    assert [stage for _, stage in played.starts["a"]].count("search") == 1
    play(opened(None), clock, 1, lambda job: 12.0)

    whole = study_plan(study_spec("a", search=search), tmp_path / "whole", clock)
    play(whole, clock, 1, lambda job: 12.0)
    assert searched(tmp_path / "out") == searched(tmp_path / "whole")
    assert len(searched(tmp_path / "out")) == 6


def test_the_file_is_small_and_plain(tmp_path: Path) -> None:
    clock = Clock()
    plan = study_plan(study_spec("ab"), tmp_path, clock)
    play(plan, clock, 3, lambda job: 2.0)
    plan._spent.save()
    document = json.loads((tmp_path / "spent.json").read_text())
    assert document.keys() == {"wall_seconds", "search_seconds", "lost", "running"}
    assert document["lost"] == document["running"] == {}
