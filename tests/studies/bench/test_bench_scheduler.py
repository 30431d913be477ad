"""``dst bench scheduler``: the arithmetic by hand, and the smallest real run."""

from __future__ import annotations

import json

import pytest
from typer.testing import CliRunner

from cluster.jobs import Stopped
from dst.data import load_dataset
from dst.errors import InputError
from studies.bench import scheduler as bench_scheduler
from studies.bench.scheduler import Ended, SchedulerCase, pass_time, row_of, scheduler_rows
from studies.cli.main import app

CONTRACT = [
    "trial_seconds",
    "reports_per_trial",
    "trials",
    "overhead_s_per_trial",
    "utilisation",
    "driver_bytes_per_trial",
]


def test_idle_time_and_growth_are_counted_from_when_every_worker_has_ended_a_trial():
    # Worker 1 trains from 10 to 12, 12.5 to 14.5, 15 to 17; worker 2 is ready at 13 and trains from 14 to 16.
    trials = [
        Ended(1, 10.0, 12.0, told=12.1, rss=1000),
        Ended(2, 11.0, 13.0, told=13.0, rss=1100),
        Ended(1, 12.5, 14.5, told=14.6, rss=1200),
        Ended(2, 14.0, 16.0, told=16.2, rss=1500),
        Ended(1, 15.0, 17.0, told=17.0, rss=1600),
    ]
    row = row_of(SchedulerCase(2.0, 6, 5), trials, began=4.0, workers=2)
    assert row.start_up_s == 9.0
    busy = (14.5 - 13.0) + 2.0 + 2.0
    assert row.utilisation == pytest.approx(busy / (2 * 4.0))
    assert row.overhead_s_per_trial == pytest.approx((2 * 4.0 - busy) / 3)
    assert row.driver_bytes_per_trial == pytest.approx((1600 - 1200) / 2)
    assert row.slowdown == pytest.approx((17.0 - 16.2) / (16.2 - 14.6))


def test_waiting_inside_a_trial_is_overhead():
    """A trial of one second that took two, e.g. for the answers to its reports, was busy for half of them."""
    trials = [
        Ended(1, 0.0, 1.0, told=1.0, rss=0),
        *(Ended(1, t, t + 2.0, told=t + 2.0, rss=0) for t in (1.0, 3.0, 5.0)),
    ]
    row = row_of(SchedulerCase(1.0, 200, 4), trials, began=0.0, workers=1)
    assert (row.utilisation, row.overhead_s_per_trial, row.slowdown) == (0.5, 1.0, 1.0)


def test_the_hundred_trials_at_either_end_are_compared():
    moments = [0.0]
    for number in range(400):
        moments.append(moments[-1] + (1.5 if number >= 300 else 1.0))
    trials = [Ended(1, moment, moment, told=moment, rss=int(moment)) for moment in moments]
    row = row_of(SchedulerCase(0.0, 1, 401), trials, began=0.0, workers=1)
    assert row.slowdown == pytest.approx(1.5)
    assert row.utilisation == 0


@pytest.mark.parametrize("reports", [0, 4])
def test_time_is_passed_with_even_reports(reports):
    told = []
    data = load_dataset("wine")
    output = pass_time({"kind": "trial"}, data, lambda *report: told.append(report), seconds=0.08, reports=reports)
    document = output.document
    assert [step for step, _ in told] == list(range(1, reports + 1))
    assert 0.08 <= document["ended"] - document["began"] < 1.0
    assert {name: len(scores) for name, scores in output.arrays.items()} == {
        "neuron_strength": data.n_features,
        "neuron_attribution": data.n_features,
    }


def test_a_stop_ends_the_passing_of_time():
    def report(step, value):
        raise Stopped

    with pytest.raises(Stopped):
        pass_time({"kind": "trial"}, load_dataset("wine"), report, seconds=60.0, reports=1000)


def test_too_few_trials_are_refused_before_anything_runs():
    with pytest.raises(InputError, match="trials >= 4 x 2 workers must hold, but got trials=7"):
        next(scheduler_rows([SchedulerCase(0.0, 6, 300), SchedulerCase(0.0, 6, 7)]))


@pytest.mark.slow
def test_the_smallest_run_has_the_rows_of_the_contract(monkeypatch):
    cases = (SchedulerCase(0.0, 200, 12, pruner="none"), SchedulerCase(0.3, 6, 12))
    monkeypatch.setattr(bench_scheduler, "CASES", cases)
    result = CliRunner().invoke(app, ["bench", "scheduler", "--json"], catch_exceptions=False)
    assert result.exit_code == 0
    document = json.loads(result.stdout)
    assert list(document) == ["machine", "rows"]
    assert [list(row)[:6] for row in document["rows"]] == [CONTRACT, CONTRACT]
    empty, busy = document["rows"]
    assert [empty[key] for key in CONTRACT[:3]] == [0.0, 200, 12]
    assert [busy[key] for key in CONTRACT[:3]] == [0.3, 6, 12]
    assert empty["utilisation"] == 0 < busy["utilisation"] <= 1
    for row in (empty, busy):
        assert row["overhead_s_per_trial"] > 0
        assert row["slowdown"] > 0
        assert row["start_up_s"] > 0
    # Of a worker's time, what trials do not use is overhead; the window cuts one trial a worker at either end.
    share = 0.3 / (0.3 + busy["overhead_s_per_trial"])
    assert busy["utilisation"] == pytest.approx(share, abs=0.2)
