"""Places: how many jobs may be out at once, by the machines of the cluster and the others who work on them.

Machines come and go while a run lasts, and other runs share them. Each place is one worker's; what is said here is
counted anew every :data:`LOOK_SECONDS`.
"""

from __future__ import annotations

import contextlib
import logging
import math
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import ray
from ray.exceptions import RayError
from ray.util.placement_group import placement_group_table

from cluster.jobs import ClusterError

_LOG = logging.getLogger(__name__)

LOOK_SECONDS = 1.0
"""Time between two looks at the cluster."""

_UNITS = 10_000
"""Ray's resources are whole ten-thousandths."""

_JOB_DIGITS = 8
"""Hexadecimal digits of a Ray job's id, with which the ids of its placement groups end."""

Amounts = Mapping[str, float]
"""Amounts of resources, by Ray's names."""


@dataclass(frozen=True)
class Group:
    """A placement group of another run: the place of one of its workers, or what it waits for.

    Attributes:
        job: the run's id.
        waits: True while the cluster has no room for it.
        bundles: what it takes, each bundle on one machine.
        machines: the machine of each bundle; empty while it waits.
    """

    job: str
    waits: bool
    bundles: tuple[Amounts, ...]
    machines: tuple[str, ...]


@dataclass(frozen=True)
class View:
    """A cluster at one moment.

    Attributes:
        machines: what each living machine has, by its id.
        groups: the placement groups of other runs.
        displaced: the ids of this run's groups whose machine was lost, and which have no other yet.
    """

    machines: Mapping[str, Amounts]
    groups: Sequence[Group] = ()
    displaced: frozenset[str] = frozenset()

    @property
    def others(self) -> int:
        """The number of other runs."""
        return len({group.job for group in self.groups})

    @property
    def others_wait(self) -> bool:
        """True when another run waits for a place that some machine could give it."""
        return any(
            group.waits and all(fitting(bundle, self.machines.values()) for bundle in group.bundles)
            for group in self.groups
        )

    def left(self) -> list[Amounts]:
        """Return what the others leave of each machine."""
        left = {name: dict(amounts) for name, amounts in self.machines.items()}
        for group in self.groups:
            for bundle, name in zip(group.bundles, group.machines, strict=False):
                for resource, amount in bundle.items():
                    if name in left and resource in left[name]:
                        left[name][resource] -= amount
        return list(left.values())


def fitting(needs: Amounts, machines: Iterable[Amounts]) -> int:
    """Count the jobs that machines take at once.

    A share of a GPU lies on one GPU: two GPUs take four jobs of 0.4, not five.

    Args:
        needs: the resources of a job; a zero asks for nothing.
        machines: what each machine has.
    """
    asked = {name: amount for name, amount in needs.items() if amount > 0}

    def times(name: str, has: float) -> int:
        if name == "GPU" and asked[name] < 1:
            return int(has) * _whole(1.0, asked[name])
        return _whole(has, asked[name])

    return sum(min((times(name, has.get(name, 0.0)) for name in asked), default=0) for has in machines)


def job_limit(needs: Amounts, view: View, workers: int | None) -> int:
    """Say how many jobs a run may have out.

    Args:
        needs: the resources of a job.
        view: the cluster.
        workers: how many are wanted; also more than fit by now, on a cluster that grows by what is asked of it. None:
            as many as fit.

    Returns:
        One at least. Where another run waits for a place, an equal share of those that there are; where others have
        places and nobody waits, what they leave, and no less than that share.
    """
    share = math.ceil(fitting(needs, view.machines.values()) / (view.others + 1))
    if view.others_wait:
        return max(1, share if workers is None else min(share, workers))
    return workers or max(1, share, fitting(needs, view.left()))


def check_fit(needs: Amounts, machines: Iterable[Amounts], *, may_grow: bool) -> None:
    """Refuse jobs that no machine takes: Ray would wait for such a machine for ever.

    Args:
        needs: the resources of a job.
        machines: what each machine has.
        may_grow: warn instead: the cluster is asked for places, and may get machines that have them.

    Raises:
        ClusterError: not one machine takes a single job.
    """
    there = list(machines)
    if fitting(needs, there) > 0:
        return
    asked = {name: amount for name, amount in needs.items() if amount > 0}
    wanted = ", ".join(f"{amount:g} {name}" for name, amount in asked.items())
    available = "; ".join(", ".join(f"{has.get(name, 0):g} {name}" for name in asked) for has in there)
    problem = f"no machine fits a job: it takes {wanted}, the machines have {available or 'nothing'}"
    if not may_grow:
        raise ClusterError(f"{problem}; a cluster that grows by what is asked of it needs --workers N, so many places")
    _LOG.warning("%s; the run waits for machines that the cluster adds", problem)


class Places:
    """The places of a run.

    Args:
        needs: the resources of a job.
        workers: see :func:`job_limit`.
        look: returns the cluster as it is.
        clock: returns seconds.
    """

    def __init__(
        self,
        needs: Amounts,
        workers: int | None,
        *,
        look: Callable[[], View] | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._needs = needs
        self._workers = workers
        self._look = look or current_view
        self._clock = clock
        self._view = self._look()
        self._looked = clock()

    def limit(self) -> int:
        """Return how many jobs may be out now."""
        return job_limit(self._needs, self._fresh(), self._workers)

    def surplus(self, live: int) -> int:
        """Return how many workers are to be let go, for another run that waits.

        Args:
            live: workers of this run that have a place.
        """
        return max(0, live - self.limit()) if self._fresh().others_wait else 0

    def displaced(self) -> frozenset[str]:
        """Return the ids of this run's placement groups whose machine was lost."""
        return self._fresh().displaced

    def forget(self) -> None:
        """Look at the cluster again at the next question: a worker was lost, perhaps with its machine."""
        self._looked = -math.inf

    def _fresh(self) -> View:
        if self._clock() - self._looked >= LOOK_SECONDS:
            with contextlib.suppress(RayError):  # while the head is away, what was seen last holds
                self._view = self._look()
            self._looked = self._clock()
        return self._view


def current_view() -> View:
    """Return the cluster that this process is connected with."""
    own = ray.get_runtime_context().get_job_id()
    machines = {node["NodeID"]: node["Resources"] for node in ray.nodes() if node["Alive"]}
    table = placement_group_table()
    return View(machines, groups_of_others(table, own), displaced_groups(table, own))


def displaced_groups(table: Mapping[str, Mapping[str, Any]], own: str) -> frozenset[str]:
    """Return the ids of a run's placement groups whose machine was lost; arguments as of :func:`groups_of_others`."""
    ours = (identity for identity in table if identity.endswith(own))
    return frozenset(identity for identity in ours if table[identity]["state"] == "RESCHEDULING")


def groups_of_others(table: Mapping[str, Mapping[str, Any]], own: str) -> list[Group]:
    """Return the living placement groups of other runs.

    Args:
        table: as :func:`ray.util.placement_group.placement_group_table` returns it.
        own: the id of this run's Ray job.
    """
    groups = []
    for identity, entry in table.items():
        job = identity[-_JOB_DIGITS:]
        if job == own or entry["state"] == "REMOVED":
            continue
        waits = entry["state"] != "CREATED"
        order = sorted(entry["bundles"])
        bundles = tuple(entry["bundles"][index] for index in order)
        machines = () if waits else tuple(entry["bundles_to_node_id"][index] for index in order)
        groups.append(Group(job, waits, bundles, machines))
    return groups


def _whole(has: float, amount: float) -> int:
    return round(has * _UNITS) // max(1, round(amount * _UNITS))
