"""A source that follows a script and writes down all that it is told."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from cluster.jobs import Job, Output

Answer = tuple[Any, ...]


class Script:
    """Hands out one job a payload, in order; never pickles.

    Args:
        payloads: what the jobs do, see :func:`tests.support.job_work.act`; ``shared`` names their shared object.
        batch: hand out so many, then await all answers.
        batch_from: the number of the first job of a batch; those before it are handed out as they are asked for.
        before: called with each job that is about to be handed out.
    """

    def __init__(
        self,
        payloads: Iterable[Mapping[str, Any]],
        *,
        batch: int | None = None,
        batch_from: int = 0,
        before: Callable[[Job], None] = lambda job: None,
    ) -> None:
        self._left = deque(
            Job(f"job/{i}", payload.get("shared", "ones"), payload) for i, payload in enumerate(payloads)
        )
        self._batch = batch
        self._batch_from = batch_from
        self._before = before
        self._handed_out = 0
        self._open: set[str] = set()
        self.hosts: dict[str, list[str]] = {}
        self.answers: dict[str, list[Answer]] = {}
        self.outputs: dict[str, Output] = {}
        self.times: list[float] = []
        self.ended_at: dict[str, float] = {}
        self.pickled = 0

    def __reduce__(self) -> Any:
        self.pickled += 1
        raise TypeError("a source must not be pickled")

    def next_job(self) -> Job | None:
        in_batches = self._handed_out - self._batch_from
        barrier = self._batch is not None and in_batches >= 0 and in_batches % self._batch == 0
        if not self._left or (barrier and self._open):
            return None
        job = self._left.popleft()
        self._before(job)
        self._handed_out += 1
        self._open.add(job.key)
        return job

    def done(self) -> bool:
        return not self._left and not self._open

    def started(self, job: Job) -> None:
        assert job.key in self._open

    def placed(self, job: Job, host: str) -> None:
        assert job.key in self._open
        self.hosts.setdefault(job.key, []).append(host)

    def report(self, job: Job, step: int, value: float) -> bool:
        assert job.key in self._open
        self.answers.setdefault(job.key, []).append(("report", step, value))
        return step == job.payload.get("stop_at")

    def finished(self, job: Job, output: Output) -> None:
        self.outputs[job.key] = output
        self._end(job, "finished")

    def stopped(self, job: Job) -> None:
        self._end(job, "stopped")

    def failed(self, job: Job, error: str, *, lost: bool) -> None:
        self._end(job, "failed", lost, error)

    def _end(self, job: Job, *answer: Any) -> None:
        self._open.remove(job.key)
        self.answers.setdefault(job.key, []).append(answer)
        self.times.append(time.monotonic())
        self.ended_at[job.key] = self.times[-1]

    def of(self, number: int) -> list[Answer]:
        """What was told of the n-th job, in order."""
        return self.answers[f"job/{number}"]

    def pids(self) -> list[int]:
        """The processes of the jobs that finished, in the order of the jobs."""
        return [self.outputs[key].document["pid"] for key in sorted(self.outputs, key=lambda key: int(key[4:]))]
