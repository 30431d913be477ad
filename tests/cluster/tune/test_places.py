"""How many jobs a run may have out: on machines that come and go, and beside other runs; no Ray runs here."""

from __future__ import annotations

import logging

import pytest

from cluster.jobs import ClusterError
from cluster.tune.places import (
    LOOK_SECONDS,
    Group,
    Places,
    View,
    check_fit,
    displaced_groups,
    fitting,
    groups_of_others,
    job_limit,
)
from cluster.tune.seats import Seats, seat_request

ONE_CPU = {"CPU": 1, "GPU": 0, "memory": 0}
TWO_MACHINES = {"a": {"CPU": 2.0, "memory": 1e9}, "b": {"CPU": 2.0, "memory": 1e9}}


def group(job: str, *, on: str | None = None, cpus: float = 1.0, **more: float) -> Group:
    """A placement group of another run: on a machine, or waiting."""
    return Group(job, on is None, ({"CPU": cpus, **more},), () if on is None else (on,))


@pytest.mark.parametrize(
    ("needs", "machines", "jobs"),
    [
        (ONE_CPU, [{"CPU": 3.0}, {"CPU": 1.0}], 4),
        ({"CPU": 2}, [{"CPU": 3.0}, {"CPU": 1.0}], 1),
        ({"CPU": 1}, [{"CPU": 0.0}], 0),
        ({"CPU": 1}, [], 0),
        ({"CPU": 1, "memory": 3}, [{"CPU": 4.0, "memory": 8.0}], 2),
        ({"CPU": 1, "GPU": 0.2}, [{"CPU": 8.0, "GPU": 1.0}], 5),
        ({"CPU": 1, "GPU": 0.1}, [{"CPU": 16.0, "GPU": 1.0}], 10),
        ({"CPU": 1, "GPU": 0.05}, [{"CPU": 64.0, "GPU": 2.0}], 40),
        ({"CPU": 1, "GPU": 0.4}, [{"CPU": 8.0, "GPU": 2.0}], 4),
        ({"CPU": 1, "GPU": 2}, [{"CPU": 8.0, "GPU": 3.0}], 1),
        ({"CPU": 1, "GPU": 1}, [{"CPU": 8.0}], 0),
    ],
)
def test_jobs_fit_as_ray_places_them(needs: dict[str, float], machines: list[dict[str, float]], jobs: int) -> None:
    assert fitting(needs, machines) == jobs


A_ON_A, A_WAITS = group("A", on="a"), group("A")
FOUR_OF_A = (group("A", on="a"), group("A", on="a"), group("A", on="b"), group("A", on="b"))


@pytest.mark.parametrize(
    ("groups", "workers", "limit"),
    [
        ((), None, 4),  # alone: what fits
        ((), 3, 3),
        ((), 9, 9),  # more than fit are asked of a cluster that grows
        ((A_ON_A,), None, 3),  # what another one leaves
        ((A_ON_A,), 9, 9),
        (FOUR_OF_A, None, 2),  # it has all, and is asked for half of them
        ((*FOUR_OF_A, A_WAITS), None, 2),
        ((*FOUR_OF_A, A_WAITS), 9, 2),
        ((*FOUR_OF_A, A_WAITS), 1, 1),
        ((A_ON_A, A_WAITS), None, 2),
        ((A_WAITS, group("B")), None, 2),  # a third of four, in whole places
        ((A_WAITS, group("B"), group("C"), group("D"), group("E")), None, 1),
        ((group("A", cpus=3.0),), None, 4),  # no machine will ever have room for that one
        ((group("A", GPU=1.0),), None, 4),
    ],
)
def test_a_run_has_its_share(groups: tuple[Group, ...], workers: int | None, limit: int) -> None:
    assert job_limit(ONE_CPU, View(TWO_MACHINES, groups), workers) == limit


def test_two_runs_come_to_rest_at_half_each() -> None:
    """Each looks at the other in turn, from the moment when the second one starts beside a first that has it all."""
    first, second = 4, 0

    def limit_of(other: int, other_wanted: int) -> int:
        placed = [group("other", on=name) for name in ("a", "a", "b", "b")[:other]]
        return job_limit(ONE_CPU, View(TWO_MACHINES, [*placed, *[group("other")] * (other_wanted - other)]), None)

    for _ in range(4):
        wanted = limit_of(first, first)
        second = min(wanted, 4 - first)
        first = min(first, limit_of(second, wanted))
    assert (first, second) == (2, 2)


def test_a_machine_that_joins_or_is_lost_counts_at_the_next_look() -> None:
    machines = dict(TWO_MACHINES)
    now = 0.0
    places = Places(ONE_CPU, None, look=lambda: View(dict(machines)), clock=lambda: now)
    assert places.limit() == 4
    machines["c"] = {"CPU": 3.0}
    assert places.limit() == 4, "one look a second"
    now += LOOK_SECONDS
    assert places.limit() == 7
    del machines["a"], machines["c"]
    places.forget()
    assert places.limit() == 2, "at once when a worker was lost"
    del machines["b"]
    places.forget()
    assert places.limit() == 1, "the next job waits where the cluster sees it"


def test_workers_are_let_go_only_when_another_run_waits() -> None:
    groups: list[Group] = []
    places = Places(ONE_CPU, None, look=lambda: View(TWO_MACHINES, tuple(groups)))
    assert places.surplus(4) == 0
    groups.append(group("A", on="a"))
    places.forget()
    assert places.surplus(4) == 0
    groups.append(group("A"))
    places.forget()
    assert places.surplus(4) == 2
    assert places.surplus(2) == 0


def test_groups_of_others_are_told_from_the_table() -> None:
    def entry(state: str, node: str) -> dict[str, object]:
        return {"state": state, "bundles": {0: {"CPU": 1.0}}, "bundles_to_node_id": {0: node}}

    table = {
        "00" * 14 + "01000000": entry("CREATED", "a"),
        "11" * 14 + "02000000": entry("CREATED", "b"),
        "22" * 14 + "02000000": entry("PENDING", ""),
        "33" * 14 + "03000000": entry("REMOVED", "a"),
        "44" * 14 + "01000000": entry("RESCHEDULING", ""),
    }
    assert displaced_groups(table, "01000000") == {"44" * 14 + "01000000"}
    assert groups_of_others(table, "01000000") == [group("02000000", on="b"), group("02000000")]


def test_what_no_machine_takes_is_refused_unless_the_cluster_may_grow(caplog: pytest.LogCaptureFixture) -> None:
    head = [{"CPU": 0.0}]
    with pytest.raises(
        ClusterError, match=r"it takes 1 CPU, the machines have 0 CPU; a cluster that grows .* --workers"
    ):
        check_fit(ONE_CPU, head, may_grow=False)
    with caplog.at_level(logging.WARNING):
        check_fit(ONE_CPU, head, may_grow=True)
    assert "the run waits for machines that the cluster adds" in caplog.text
    caplog.clear()
    check_fit(ONE_CPU, [{"CPU": 1.0}], may_grow=False)
    assert caplog.text == ""


def test_a_job_without_a_place_moves_to_the_seat_of_an_idle_worker() -> None:
    seats = Seats(ONE_CPU)
    assert [seats.take(trial) for trial in "abc"] == [0, 1, 2]
    seats.leave("a")
    assert seats.taken == 2
    seats.move("c", seat_request(ONE_CPU, 0))
    seats.leave("c")
    assert seats.take("d") == 0, "its worker idles"
    assert seats.take("e") == 2
    seats.give_up("b")
    assert seats.take("f") == 3, "a lost worker's seat is not taken again"
    requests = {seat_request({**ONE_CPU, "memory": memory}, seat) for seat in range(3) for memory in (0, 2**30)}
    assert len(requests) == 6
