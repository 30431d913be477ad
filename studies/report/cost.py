"""The cost of a study, from its records: core-seconds by what became of them, and the peak of memory."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from cluster.ledger.entries import State
from studies.store.archive import StudyArchive
from studies.store.lock import owner_lives
from studies.store.record_schema import Ended
from studies.store.spent import read_spent


@dataclass(frozen=True)
class Cost:
    """Core-seconds: the time of a worker times the cores that it had to itself.

    Attributes:
        useful: of trials that finished, and of opening test rows, for feature lists and on other
            outer splits as well.
        stopped: of trials that were stopped early.
        failed: of trials and openings that failed.
        repeated: that were lost with a process that died, and had to be, or have to be, spent again. What a checkpoint
            saved is not among them.
        peak_rss_bytes: the highest peak of resident memory of a worker in a trial that finished; None without one.
    """

    useful: float = 0.0
    stopped: float = 0.0
    failed: float = 0.0
    repeated: float = 0.0
    peak_rss_bytes: int | None = None

    @property
    def core_seconds(self) -> float:
        """The sum of all kinds."""
        return self.useful + self.stopped + self.failed + self.repeated

    def __add__(self, other: Cost) -> Cost:
        peaks = [cost.peak_rss_bytes for cost in (self, other) if cost.peak_rss_bytes is not None]
        return Cost(
            useful=self.useful + other.useful,
            stopped=self.stopped + other.stopped,
            failed=self.failed + other.failed,
            repeated=self.repeated + other.repeated,
            peak_rss_bytes=max(peaks, default=None),
        )

    def to_json(self) -> dict[str, Any]:
        """Return the core-seconds in all and by kind, and the peak."""
        return {
            "core_seconds": self.core_seconds,
            "useful": self.useful,
            "stopped": self.stopped,
            "failed": self.failed,
            "repeated": self.repeated,
            "peak_rss_bytes": self.peak_rss_bytes,
        }


def total_cost(costs: Iterable[Cost]) -> Cost:
    """Return the sum of the datasets' costs."""
    return sum(costs, Cost())


def study_cost(archive: StudyArchive, datasets: Iterable[str], *, cpus: float) -> dict[str, Cost]:
    """Return the cost of each dataset so far.

    Args:
        archive: of the study; its records say what was spent.
        datasets: names of those to count.
        cpus: cores of a trial, for what does not say how many it had.

    Raises:
        RecordError: a record, or the note of what is spent, is damaged.
    """
    spent = read_spent(archive.folder.spent)
    lost = Counter(spent.lost)
    if not owner_lives(archive.folder):  # a run that died could not say so
        lost.update(spent.running)
    costs = {}
    for dataset in datasets:
        cost = Cost()
        settled = set()
        for record in archive.records(dataset):
            key = f"{dataset}/{record['number']}"
            settled.add(key)
            cost += _cost_of(record, _KINDS[record["state"]], cpus)
            test = archive.test(dataset, record["number"])
            if test is not None:
                settled.add(f"{key}.test")
                cost += _cost_of(test, "failed" if test.get("error") else "useful", cpus)
        for measured in archive.lists(dataset):
            settled.add(f"{dataset}/{measured['number']}.list-{measured['seeds']}")
            cost += _cost_of(measured, "failed" if measured.get("error") else "useful", cpus)
        for tested in archive.outer_splits(dataset):
            settled.add(f"{dataset}/{tested['number']}.split-{tested['index']}")
            cost += _cost_of(tested, "failed" if tested.get("error") else "useful", cpus)
        again = sum(seconds for key, seconds in lost.items() if _dataset(key) == dataset and key not in settled)
        costs[dataset] = cost + Cost(repeated=again * cpus)
    return costs


_KINDS: Mapping[Ended, str] = {State.FINISHED: "useful", State.STOPPED: "stopped", State.FAILED: "failed"}


def _cost_of(record: Mapping[str, Any], kind: str, cpus: float) -> Cost:
    seconds = record.get("seconds") or {}
    cores = record.get("cpus") or cpus
    spent = (seconds.get("total") or 0.0) + (seconds.get("warm_up") or 0.0)
    peak = record.get("peak_rss_bytes")
    return Cost(
        useful=spent * cores if kind == "useful" else 0.0,
        stopped=spent * cores if kind == "stopped" else 0.0,
        failed=spent * cores if kind == "failed" else 0.0,
        repeated=(seconds.get("repeated") or 0.0) * cores,
        peak_rss_bytes=None if peak is None else int(peak),
    )


def _dataset(key: str) -> str:
    """Return the dataset of a job's key, e.g. ``wine`` of ``wine/17.test``."""
    return key.rpartition("/")[0]


def as_mib(size: int | None) -> str:
    """Return bytes as a cell in MiB; ``-`` for None."""
    return "-" if size is None else f"{size / 2**20:,.0f} MiB"
