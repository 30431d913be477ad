"""Ledger, storage and workers together: the same search on one process and on several that die."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from cluster.ledger.durable import read_entries
from cluster.ledger.entries import State
from cluster.ledger.ledger import Ledger
from cluster.ledger.storage.connect import open_storage
from cluster.local import run_here
from cluster.tune.run import run_jobs
from tests.support.ledger_source import LedgerSource, simulate
from tests.support.simulated_search import ledger_on, summary


def ledger(path: Path) -> Ledger:
    storage = open_storage(f"sqlite:///{path}")
    options: dict[str, Any] = {"min_resource": 1, "reduction_factor": 2}
    return ledger_on(storage, pruner="asha", pruner_options=options, trials=20, batch=5)


@pytest.mark.slow
def test_workers_that_die_do_not_change_a_search(tmp_path: Path) -> None:
    alone = ledger(tmp_path / "alone.db")
    run_here(LedgerSource(alone), simulate, {"nothing": None})

    shared = ledger(tmp_path / "shared.db")
    grave = tmp_path / "grave"
    grave.mkdir()
    source = LedgerSource(shared, grave)
    run_jobs(source, simulate, {"nothing": None}, workers=2)

    died = {int(file.name) for file in grave.iterdir()}
    assert source.lost == len(died) > 0
    assert {entry.state for entry in shared.entries()} == {State.FINISHED, State.STOPPED, State.FAILED}
    assert summary(shared) == summary(alone)
    storage = open_storage(f"sqlite:///{tmp_path}/shared.db", create=False)
    stored = read_entries(storage, "wine")
    assert {entry.number for entry in stored if entry.attrs.get("requeued") == 1} == died
    assert [str(entry) for entry in stored] == [str(entry) for entry in shared.entries()]
