"""A study of seconds, and what must hold of it whatever happened on its way."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from cluster.ledger.durable import read_entries
from cluster.ledger.storage.connect import open_storage
from studies.report.results import collect
from studies.store.archive import StudyArchive
from studies.store.folder import StudyFolder
from studies.store.record import iter_records, read_scores, read_test
from studies.store.study_file import read_resolved, read_study, storage_name
from tests.support.two_classes import write_two_classes

MEASURED = ("seconds", "peak_rss_bytes", "host")
"""What no two runs of a trial have in common."""


def small_table(path: Path, seed: int = 0, rows: int = 300) -> Path:
    """Two classes that the columns f1 and f4 decide."""
    return write_two_classes(path, seed, rows=rows, columns=12, decided_by=(1, 4))


def small_spec(folder: Path, **changes: Any) -> Path:
    """Write the spec of a study over two tables, some 26 trials, and return its path."""
    tables = [small_table(folder / f"{name}.csv", seed) for seed, name in enumerate("ab")]
    document = {
        "name": "small",
        "seed": 5,
        "datasets": [{"path": str(path), "target": "label", "inner_splits": 1} for path in tables],
        "methods": ["set", "l1_logistic", "random"],
        "training": {"epochs": 10, "patience": 4, "hidden": [10, 5]},
        "search": {"trials": 6, "batch": 3},
        "confirm": {"top": 1, "seeds": 2},
        "tracking": {"wandb": {"mode": "disabled"}},
        **changes,
    }
    path = folder / "spec.yaml"
    path.write_text(yaml.safe_dump(document))
    return path


def assert_study_sound(path: Path, reference: Path | None = None) -> None:
    """Every trial is there once, has ended, and has its record intact; and all is as in the undisturbed study.

    Args:
        path: the folder of a study that has come to its end.
        reference: the folder of the undisturbed run of the same spec; None: there is none to compare with.
    """
    folder = StudyFolder(path)
    told = told_of(folder)
    for dataset, entries in told.items():
        records = {record["number"]: record for record in iter_records(folder, dataset)}
        assert [entry.number for entry in entries] == list(range(len(entries))), "each number once"
        assert records.keys() == {entry.number for entry in entries}, "a record for each trial, and none besides"
        for entry in entries:
            record = records[entry.number]
            assert entry.state.ended, f"{dataset}/{entry.number} is {entry.state}"
            assert (record["state"], record["stage"], record["params"]) == (entry.state, entry.stage, entry.params)
            assert record.get("val_score") == entry.value
            if entry.state == "finished":
                scores = read_scores(folder, dataset, entry.number)
                assert set(scores) == set(record["importances"])
    if reference is None:
        return
    assert without_measurements(path) == without_measurements(reference)
    for dataset, entries in told_of(StudyFolder(reference)).items():
        assert [_plain(entry) for entry in told[dataset]] == [_plain(entry) for entry in entries]
        for entry in entries:
            here, there = (_opened(StudyFolder(one), dataset, entry.number) for one in (path, reference))
            assert here == there
            if entry.state == "finished":
                ours, theirs = (read_scores(StudyFolder(one), dataset, entry.number) for one in (path, reference))
                assert all(np.array_equal(ours[name], theirs[name]) for name in theirs)
    assert winners(path) == winners(reference)


def _opened(folder: StudyFolder, dataset: str, number: int) -> dict[str, Any] | None:
    test = read_test(folder, dataset, number)
    return None if test is None else {key: value for key, value in test.items() if key not in MEASURED}


def winners(path: Path) -> list[dict[str, Any]]:
    folder = StudyFolder(path)
    return collect(StudyArchive(folder)).best


def without_measurements(path: Path, *also: str) -> list[dict[str, Any]]:
    """All records but for what is measured, and the keys named."""
    return [
        {key: value for key, value in record.items() if key not in (*MEASURED, *also)}
        for record in iter_records(StudyFolder(path))
    ]


def told_of(folder: StudyFolder) -> dict[str, list[Any]]:
    spec, names = read_study(folder)
    identity = str(read_resolved(folder)["id"])
    storage = open_storage(spec.storage or f"sqlite:///{folder.storage}", create=False)
    try:
        return {name: read_entries(storage, storage_name(spec, identity, name)) for name in names}
    finally:
        storage.engine.dispose()


def _plain(entry: Any) -> tuple[Any, ...]:
    attrs = {key: value for key, value in entry.attrs.items() if key != "requeued"}
    return entry.number, entry.stage, entry.state, entry.params, entry.value, attrs, str(entry.reports)


# --- the command line in a process of its own


def default_signals() -> None:
    """Undo what a shell does to jobs in the background, for whom it ignores SIGINT."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_DFL)


PROGRAM = "from studies.cli.main import main; main()"
SIMULATED = (
    "import studies.run; from tests.support import simulated_jobs as jobs; studies.run.run_job = jobs.simulated; "
)
"""Before the program: what its workers compute is simulated (:mod:`tests.support.simulated_jobs`)."""


def start_dst(
    *arguments: object, environment: Mapping[str, str] | None = None, simulated: bool = False
) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", SIMULATED * simulated + PROGRAM, *map(str, arguments)],
        preexec_fn=default_signals,
        env={**os.environ, **(environment or {})},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def dst(*arguments: object, timeout: float = 400, **options: Any) -> tuple[int, str, str]:
    """Run ``dst`` to its end; return its status and what it wrote."""
    process = start_dst(*arguments, **options)
    try:
        out, errors = process.communicate(timeout=timeout)
    except subprocess.TimeoutExpired:
        process.kill()
        out, errors = process.communicate()
        raise AssertionError(f"dst {' '.join(map(str, arguments))} has not ended in {timeout} s: {errors}") from None
    return process.returncode, out, errors


def n_records(out: Path) -> int:
    return len(list(out.glob("records/*/[0-9]*.json")))


def wait_until(
    condition: Callable[[], bool], process: subprocess.Popen[Any] | None = None, seconds: float = 300
) -> None:
    """Wait for a condition, or for the end of the process."""
    deadline = time.monotonic() + seconds
    while not condition() and (process is None or process.poll() is None):
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.02)


def ended_trials(out: Path) -> list[dict[str, Any]]:
    return [json.loads(path.read_text()) for path in sorted(out.glob("records/*/[0-9]*.json"))]
