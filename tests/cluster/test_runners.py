"""Runners take the same arguments, and naming them loads nothing heavy."""

from __future__ import annotations

import inspect
import subprocess
import sys
from dataclasses import fields
from typing import Any

import numpy as np
import pytest

import cluster.ledger
from cluster.runners import RUNNERS, Resources, Runner
from cluster.tune import run as tune_run
from tests.support.job_script import Script
from tests.support.job_work import act


@pytest.mark.parametrize("name", RUNNERS)
def test_each_runner_has_the_one_signature(name: str) -> None:
    expected = list(inspect.signature(Runner.__call__).parameters.values())[1:]
    assert list(inspect.signature(RUNNERS[name]).parameters.values()) == expected


def test_jobs_run_here_one_after_another() -> None:
    source = Script([{"value": 1.0}, {"value": 2.0}])
    ticks: list[int] = []
    RUNNERS["local"](source, act, {"ones": np.ones(3)}, Resources(workers=4), on_tick=lambda: ticks.append(1))
    assert source.done()
    assert ticks


def test_ray_is_given_all_that_a_run_asks_for(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: dict[str, Any] = {}
    monkeypatch.setattr(tune_run, "run_jobs", lambda source, work, shared, **options: asked.update(options))
    resources = Resources(
        workers=3,
        cores=7,
        cpus_per_job=2,
        gpus_per_job=0.5,
        memory_per_job=2**30,
        seconds_per_job=9.0,
        shared_bytes=5,
        address="auto",
    )
    RUNNERS["ray"](Script([]), act, {}, resources)
    assert asked == {**{field.name: getattr(resources, field.name) for field in fields(resources)}, "on_tick": None}


@pytest.mark.parametrize(
    ("modules", "heavy"),
    [
        (
            "cluster, cluster.interrupts, cluster.runners, cluster.ledger, cluster.tune",
            "ray optuna torch",
        ),
        ("cluster.local", "ray optuna torch"),
        ("cluster.ledger.ledger", "ray torch"),
        ("cluster.tune.run", "optuna torch"),
    ],
)
def test_importing_loads_neither_library_that_is_not_needed(modules: str, heavy: str) -> None:
    code = f"import sys, {modules}; print(*({{*'{heavy}'.split()}} & set(sys.modules)))"
    seen = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert seen.stdout.split() == []


def test_the_ledger_shows_what_it_has_by_name() -> None:
    for name in cluster.ledger.__all__:
        assert getattr(cluster.ledger, name) is not None
    with pytest.raises(AttributeError, match="has no attribute 'Leger'"):
        _ = cluster.ledger.Leger  # type: ignore[attr-defined]
