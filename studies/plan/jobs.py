"""Jobs of a dataset: the trial behind a ticket of the ledger, its job and its record; the job of an opening."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Literal

import numpy as np

from cluster.jobs import Job
from cluster.ledger.entries import State, Ticket
from dst.rankers import RANKERS
from dst.selection import selection_of
from dst.trial.spec import TrialSpec
from studies.plan.data import StudyDataset
from studies.spec.search import Reported
from studies.spec.study import StudySpec
from studies.store.folder import StudyFolder
from studies.store.openings import Opening, PendingSplit, PendingTest
from studies.store.record import trial_record
from studies.store.record_schema import Ended, Record
from studies.worker.payload import CheckpointFile, ListPayload, SplitPayload, TestPayload, TrialPayload


def trial_seed(seed: int, dataset: str, place: int) -> int:
    """Return the seed of a search trial: a function of the study's seed, the dataset and the trial's place.

    The place counts the search trials alone. It is the trial's number, unless the study was extended: then confirming
    trials have taken numbers before it.
    """
    name = int.from_bytes(dataset.encode(), "big")
    return int(np.random.SeedSequence([seed, name, place]).generate_state(1)[0])


_OUTER = 1
"""Keeps the draws of other outer splits apart from all else that the study's seed draws."""


class DatasetJobs:
    """Makes the jobs of one dataset.

    Search trials share their validation rows, so that they are compared on the same; each confirming seed draws its
    own. Test rows depend on the study's seed alone.

    Args:
        spec: of the study: its seed, scoring and resources go into each job.
        dataset: the dataset, and how the study uses it.
        folder: the study's, for checkpoints.

    Attributes:
        k_values: the numbers of columns that trials are scored on besides K, as far as the dataset has so many.
    """

    def __init__(self, spec: StudySpec, dataset: StudyDataset, folder: StudyFolder) -> None:
        self._spec = spec
        self._dataset = dataset
        self._folder = folder
        self.k_values = tuple(k for k in spec.scoring.k_values if k <= len(dataset.feature_names))

    def key(self, ticket: Ticket) -> str:
        """Return the key of a trial's job."""
        return f"{self._dataset.name}/{ticket.number}"

    def trial(self, ticket: Ticket) -> TrialSpec:
        """Return the trial that a ticket stands for: of the search, or a confirmation of one over a seed."""
        seed_index = ticket.attrs.get("seed_index")
        if seed_index is not None:
            return self._confirming(ticket.params, seed_index)
        place = ticket.attrs["batch"] * self._spec.search.batch + ticket.attrs["position"]
        seed = trial_seed(self._spec.seed, self._dataset.name, place)
        return self._trial(ticket.params, seed, self._spec.seed, self._spec.scoring.max_rows)

    def of_trial(self, ticket: Ticket) -> Job:
        """Return the job of a trial that the ledger handed out."""
        trial = self.trial(ticket)
        searches = "seed_index" not in ticket.attrs
        on = self._reported(trial.method) if searches else "val_loss"  # nobody compares confirming trials
        every = self._spec.resources.checkpoint_seconds
        path = self._folder.checkpoint(self._dataset.name, ticket.number)
        payload = TrialPayload(
            trial=trial,
            removal=self._dataset.use.removal,
            objective=self._spec.objective,
            on=on,
            checkpoint=None if every is None else CheckpointFile(path, every),
        )
        shared = self._dataset.name if searches else self._dataset.table
        stoppable = searches and on is not None and self._spec.search.pruner.name != "none"
        return Job(self.key(ticket), shared, payload.to_json(), stoppable)

    def of_opening(self, opening: Opening) -> Job:
        """Return the job that opens test rows, or measures a feature list, for one seed of a configuration."""
        record, removal = opening.record, self._dataset.use.removal
        trial = self.confirming(record)
        payload: TestPayload | ListPayload | SplitPayload
        if isinstance(opening, PendingTest):
            payload = TestPayload(trial, removal, opening.ranked(), record["k"])
        elif isinstance(opening, PendingSplit):
            payload = SplitPayload(self._on_other_split(trial, opening), removal, opening.importance)
        else:
            payload = ListPayload(trial, removal, opening.columns, record["k"])
        return Job(opening.key, self._dataset.table, payload.to_json())

    def confirming(self, record: Record) -> TrialSpec:
        """Return the trial behind the record of a confirming trial.

        Raises:
            ValueError: the record is of a search trial.
        """
        if record["seed_index"] is None:
            name = f"{record['dataset']}/{record['number']}"
            raise ValueError(f"test rows are opened for confirming trials, but {name} is of the search")
        return self._confirming(record["params"], record["seed_index"])

    def record(
        self, ticket: Ticket, state: Ended | Literal[State.RUNNING], reports: Mapping[int, float], **outcome: Any
    ) -> Record:
        """Return the record of a trial, ended or running, see :func:`studies.store.record.trial_record`."""
        return trial_record(
            self._dataset.name,
            ticket,
            self.trial(ticket),
            state,
            reports,
            batch_size=self._dataset.batch_size,
            cpus=self._spec.resources.cpus,
            outcome=outcome,
        )

    def _on_other_split(self, trial: TrialSpec, opening: PendingSplit) -> TrialSpec:
        """Return a trial on an outer split that is the same for all methods; fixed test rows are drawn as well."""
        seed = int(np.random.SeedSequence([self._spec.seed, opening.index, _OUTER]).generate_state(1)[0])
        split = "group" if trial.design.split == "group" else "stratified"
        return replace(
            trial,
            design=replace(trial.design, split=split, seed=seed, test_seed=seed),
            seed=seed,
            selections=(selection_of(opening.importance).name,),
        )

    def _confirming(self, params: Mapping[str, Any], seed_index: int) -> TrialSpec:
        seed = self._spec.seed + 1 + seed_index
        return self._trial(params, seed, seed, None)

    def _trial(self, params: Mapping[str, Any], seed: int, split_seed: int, max_rows: int | None) -> TrialSpec:
        settings = {"batch_size": self._dataset.batch_size, **self._spec.training.settings(), **params}
        method = settings.pop("method")
        k = settings.pop("k", self._dataset.k)
        return TrialSpec(
            method=method,
            settings=settings,
            design=replace(self._dataset.use.search_design(self._spec.seed), seed=split_seed),
            seed=seed,
            k=k,
            k_values=self.k_values,
            scorer=self._spec.scoring.scorer,
            max_rows=max_rows,
            selections=self._spec.scoring.selections,
        )

    def _reported(self, method: str) -> Reported | None:
        """Return what a search trial reports, None where it could be compared with no other: a loss of another kind."""
        on = self._spec.search.pruner.on
        return on if on == "val_score" or RANKERS[method].by_epoch else None
