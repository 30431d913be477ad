"""Free workers are dealt out by expected work: nobody waits for long, and the whole is done about as soon as can be."""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cluster.jobs import Job
from cluster.ledger.ledger import Ledger
from studies.plan.turns import Demand, in_turn
from tests.support.simulated_study import Clock, Played, play, study_plan, study_spec

TEST_SECONDS = 0.1


@pytest.mark.parametrize(
    ("demands", "order"),
    [
        ([Demand(0, 20, None), Demand(0, 20, None)], [0, 1]),
        ([Demand(1, 20, None), Demand(0, 20, None)], [1, 0]),  # each gets one before any gets two
        ([Demand(0, 20, None), Demand(0, 40, None)], [1, 0]),  # twice the trials, twice the workers
        ([Demand(1, 20, 1.0), Demand(2, 60, 1.0)], [1, 0]),
        ([Demand(5, 20, 1.0), Demand(5, 20, 9.0)], [1, 0]),  # equal shares: the longest first
        ([Demand(5, 20, 9.0), Demand(5, 20, None), Demand(5, 20, 1.0)], [0, 1, 2]),  # unknown: as the others on average
        ([Demand(0, 20, 9.0), Demand(20, 20, 1.0, closing=True)], [1, 0]),  # done within seconds
        ([Demand(20, 20, 9.0), Demand(19, 20, 1.0)], [1, 0]),
        ([Demand(1, 20, 100.0), Demand(9, 20, 9.0)], [1, 0]),  # all of it takes less than a trial of the other
        ([Demand(1, 20, 100.0), Demand(9, 20, 9.1)], [0, 1]),
        ([Demand(1, 20, 100.0), Demand(9, 20, 9.0), Demand(0, 20, None)], [2, 1, 0]),  # everyone begins before that
        ([], []),
    ],
)
def test_whose_turn_it_is(demands: list[Demand], order: list[int]) -> None:
    assert in_turn(demands) == order


@given(st.lists(st.tuples(st.integers(1, 60), st.floats(0.01, 100)), min_size=1, max_size=9))
def test_shares_stay_together(wanted: list[tuple[int, float]]) -> None:
    """Whatever the numbers and durations, at no time is any dataset further ahead than by one of its own trials.

    But for those with less work left than a trial of another takes.
    """
    longest = max(seconds for _, seconds in wanted)
    handed_out = [0] * len(wanted)
    for _ in range(sum(total for total, _ in wanted)):
        demands = [Demand(n, *one) for n, one in zip(handed_out, wanted, strict=True) if n < one[0]]
        places = [place for place, n in enumerate(handed_out) if n < wanted[place][0]]
        handed_out[places[in_turn(demands)[0]]] += 1
        there = [(n, total) for n, (total, seconds) in zip(handed_out, wanted, strict=True)
                 if (total - n + 1) * seconds > longest]  # fmt: skip
        shares = [n / total for n, total in there]
        steps = [1 / total for _, total in there]
        assert all(a - step <= b + other + 1e-9 for a, step in zip(shares, steps, strict=True)
                   for b, other in zip(shares, steps, strict=True))  # fmt: skip


def simulate(path: Path, seconds: dict[str, float], workers: int) -> Played:
    """Play a study of datasets whose trials take these seconds on average, up to 40% more or less."""

    def duration(job: Job) -> float:
        if job.payload["kind"] != "trial":
            return TEST_SECONDS
        trial = job.payload["trial"]
        spread = np.random.default_rng([trial["seed"], trial["split_seed"]]).uniform(0.6, 1.4)
        return seconds[job.key.split("/")[0]] * float(spread)

    clock = Clock()
    return play(study_plan(study_spec(tuple(seconds)), path, clock), clock, workers, duration)


STUDIES = {
    "powers of two": [1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0],
    "one long": [1.0] * 8 + [60.0],
    "three short": [5.0, 5.0, 5.0, 100.0],
}


@pytest.mark.parametrize("workers", [1, 3, 8])
@pytest.mark.parametrize("name", STUDIES)
def test_nobody_starves_and_little_time_is_lost(tmp_path: Path, name: str, workers: int) -> None:
    seconds = {f"d{place}": one for place, one in enumerate(STUDIES[name])}
    played = simulate(tmp_path / "all", seconds, workers)
    longest = max(seconds, key=lambda name: seconds[name])
    alone = simulate(tmp_path / "alone", {longest: seconds[longest]}, workers)
    bound = max(sum(played.work.values()) / workers, alone.ends)
    assert played.ends <= 1.25 * bound

    once = 1.4 * sum(seconds.values()) / workers  # a trial of each
    for starts in played.starts.values():
        times = [time for time, _ in starts]
        assert times[0] <= once, "everyone begins while everyone else has one trial"
        waits = [after - before for before, after in itertools.pairwise(times)]
        assert max(waits) <= 2 * once + 1.4 * max(seconds.values())


def test_confirming_begins_while_others_search(tmp_path: Path) -> None:
    seconds = {f"d{place}": one for place, one in enumerate(STUDIES["one long"])}
    played = simulate(tmp_path, seconds, workers=8)
    search_ends = {
        name: max(time for time, stage in starts if stage == "search") for name, starts in played.starts.items()
    }
    last = max(search_ends.values())
    done = [max(time for time, _ in starts) for name, starts in played.starts.items() if seconds[name] == 1]
    assert max(done) < last, "the short ones are confirmed and tested while the long one searches"
    for name, starts in played.starts.items():
        stages = [stage for _, stage in starts]
        assert stages == sorted(stages, key=["search", "confirm", "test"].index), name


def test_a_job_is_chosen_without_a_look_at_the_trials(tmp_path: Path, monkeypatch) -> None:
    """What a trial costs the plan must not grow with their number."""
    looks = []
    real = Ledger.entries

    def counted(self: Ledger, stage: str | None = None) -> list:
        looks.append(stage)
        return real(self, stage)

    monkeypatch.setattr(Ledger, "entries", counted)
    clock = Clock()
    spec = study_spec("ab", search={"trials": 40, "batch": 8, "sampler": "random", "pruner": "none"})
    plan = study_plan(spec, tmp_path, clock)
    begun = len(looks)
    play(plan, clock, 2, lambda job: 1.0)
    plan.progress()
    assert len(looks) - begun == 8, "at the two changes of stage of each dataset, once at either kind of trial"


@pytest.mark.parametrize("workers", [1, 2])
def test_a_short_dataset_does_not_wait_for_a_slow_one(tmp_path: Path, workers: int) -> None:
    played = simulate(tmp_path, {"short": 1.0, "slow": 100.0}, workers)
    ends = {name: max(time for time, _ in starts) for name, starts in played.starts.items()}
    assert ends["short"] < 3 * 140 / workers + 60, "two or three trials of the other, and its own work"
    assert ends["short"] < 0.25 * played.ends
