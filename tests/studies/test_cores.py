"""A study takes the cores that its process may use, also where the machine has more."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from cluster.tune import run as ray_run
from cluster.tune.places import View, fitting
from cluster.tune.run import run_jobs
from studies import run
from studies.run import run_study
from studies.spec.loading import parse_spec
from tests.support.job_script import Script
from tests.support.job_work import act


class AskedError(Exception):
    """Stands for the run that would begin now."""


@pytest.mark.parametrize(
    ("cores", "cpus", "workers", "shown"),
    [(1, 1, None, 1), (3, 1, None, 3), (5, 2, None, 2), (1, 4, None, 1), (1, 1, 7, 7)],
)
def test_workers_are_as_many_as_the_usable_cores_unless_they_are_named(
    cores: int, cpus: int, workers: int | None, shown: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: dict[str, Any] = {}
    make_progress = run.make_progress

    def progress(stream: Any, workers: int) -> Any:
        asked["shown"] = workers
        return make_progress(stream, workers)

    def jobs(*_: Any, **options: Any) -> None:
        asked.update(options)
        raise AskedError

    monkeypatch.setattr(run, "usable_cores", lambda: cores)
    monkeypatch.setattr(run, "make_progress", progress)
    monkeypatch.setattr(ray_run, "run_jobs", jobs)
    document = {"name": "s", "datasets": ["wine"], "methods": ["random"], "resources": {"cpus": cpus}}
    with pytest.raises(AskedError):
        run_study(parse_spec(document), out=tmp_path / "out", workers=workers)
    assert (asked["shown"], asked["cores"], asked["workers"]) == (shown, max(cores, cpus), workers)


@pytest.mark.parametrize(("usable", "cpus", "jobs"), [(2, 4, 1), (1, 2, 1), (2, 2, 1), (4, 2, 2), (7, 3, 2)])
def test_a_trial_with_more_cores_than_may_be_used_runs_alone_and_that_is_said(
    usable: int, cpus: int, jobs: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: Any
) -> None:
    """Such a study may have begun where there were more."""
    asked: dict[str, Any] = {}

    @contextmanager
    def session(address: str | None, *, cpus: int, **_: Any) -> Iterator[str]:
        monkeypatch.setattr(ray_run, "current_view", lambda: View({"here": {"CPU": float(cpus)}}))
        yield str(tmp_path)

    def tune(*_: Any, needs: dict[str, float], workers: int | None, **__: Any) -> None:
        asked.update(workers=workers, jobs=fitting(needs, ray_run.current_view().machines.values()))
        raise AskedError

    monkeypatch.setattr(run, "usable_cores", lambda: usable)
    monkeypatch.setattr(ray_run, "ray_session", session)
    monkeypatch.setattr(ray_run, "_tune", tune)
    document = {"name": "s", "datasets": ["wine"], "methods": ["random"], "resources": {"cpus": cpus}}
    with pytest.raises(AskedError):
        run_study(parse_spec(document), out=tmp_path / "out")
    assert asked == {"workers": None, "jobs": jobs}
    said = [one.getMessage() for one in caplog.records if "resources.cpus" in one.getMessage()]
    assert len(said) == (cpus > usable)


@pytest.mark.parametrize(("workers", "cores", "counted"), [(None, 3, 3), (None, None, None), (2, 1, 4), (2, None, 4)])
def test_a_ray_that_is_started_counts_them(
    workers: int | None, cores: int | None, counted: int | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    def session(address: str | None, *, cpus: int | None, **_: Any) -> None:
        assert (address, cpus) == (None, counted)
        raise AskedError

    monkeypatch.setattr(ray_run, "ray_session", session)
    with pytest.raises(AskedError):
        run_jobs(Script([{}]), act, {}, workers=workers, cores=cores, cpus_per_job=2)


def test_less_than_a_core_is_refused() -> None:
    with pytest.raises(ValueError, match="cores > 0 must hold, got 0"):
        run_jobs(Script([{}]), act, {}, cores=0)
