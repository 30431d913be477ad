"""Progress of a trial: the results of its finished inner splits, and the state of the one that runs."""

from __future__ import annotations

import dataclasses
import json
import time
from collections.abc import Mapping
from typing import Any

from dst.data import TrialData
from dst.files.checkpoint import State
from dst.rankers import FeatureScores
from dst.scoring import ScorerResult
from dst.selection import TOP
from dst.trial.spec import TrialSpec


class TrialProgress:
    """Results that a trial gathers, inner split after inner split.

    Args:
        identity: plain data that decides the trial's result; a state of any other is refused.
        started: when the trial began, by ``time.perf_counter``.

    Attributes:
        rankings: of the finished splits.
        results: of the scorer, by ranking: by K, one a finished split.
        seconds: wall time by phase, of the finished splits.
    """

    def __init__(self, identity: Mapping[str, Any], started: float) -> None:
        self._identity = json.loads(json.dumps(identity))  # as it comes back from a file
        self.rankings: list[FeatureScores] = []
        self.results: dict[str, list[dict[int, ScorerResult]]] = {}
        self.seconds: dict[str, float] = {"score": 0.0}
        self._started = started

    @property
    def elapsed(self) -> float:
        """Seconds that the trial has taken, those before a resumption included."""
        return time.perf_counter() - self._started

    def add(self, ranking: FeatureScores, results: Mapping[str, dict[int, ScorerResult]], seconds: float) -> None:
        """Take what a split gave.

        Args:
            ranking: of its columns.
            results: of the scorer, by ranking and K.
            seconds: that scoring took.
        """
        self.rankings.append(ranking)
        for name, by_k in results.items():
            self.results.setdefault(name, []).append(by_k)
        for phase, spent in {**ranking.seconds, "score": seconds}.items():
            self.seconds[phase] = self.seconds.get(phase, 0.0) + spent

    def leave_out(self, phase: str, seconds: float) -> None:
        """Take seconds that just passed out of those that the trial has taken, and count them by themselves."""
        self._started += seconds
        self.seconds[phase] = self.seconds.get(phase, 0.0) + seconds

    def state(self, ranking: State) -> State:
        """Return the state of the trial while a split runs whose ranker is in the state ``ranking``."""
        trial = {
            "identity": self._identity,
            "finished": len(self.rankings),
            "results": {
                name: [{str(k): dataclasses.asdict(result) for k, result in by_k.items()} for by_k in values]
                for name, values in self.results.items()
            },
            "seconds": dict(self.seconds),
            "elapsed": self.elapsed,
        }
        finished = {f"split{number}": scores.to_state() for number, scores in enumerate(self.rankings)}
        return State.of({"trial": State({}, trial), "ranking": ranking, **finished})

    def load(self, state: State) -> State:
        """Go on from a trial's state; return the state of the ranker of the split that ran.

        Raises:
            ValueError: the state is of another trial.
        """
        trial = state.part("trial").progress
        expected = self._identity
        # Earlier versions noted split_seed only where it was given, and knew no selections.
        noted = {"split_seed": trial["identity"].get("seed"), "selections": [TOP], **trial["identity"]}
        if expected != noted:
            changed = sorted(key for key in expected.keys() | noted.keys() if expected.get(key) != noted.get(key))
            raise ValueError(f"the state is of another trial: {', '.join(changed)} differ")
        self.rankings = [FeatureScores.from_state(state.part(f"split{n}")) for n in range(trial["finished"])]
        self.results = {
            name: [{int(k): ScorerResult(**result) for k, result in by_k.items()} for by_k in values]
            for name, values in trial["results"].items()
        }
        self.seconds = dict(trial["seconds"])
        self._started = time.perf_counter() - trial["elapsed"]
        return state.part("ranking")


def identity(data: TrialData, spec: TrialSpec) -> dict[str, Any]:
    """Return all that decides a trial's result: its spec, and the data's name, hash and defaults."""
    named = {"dataset": data.name, "data_sha256": data.data_sha256, "k": data.k, "batch_size": data.batch_size}
    return {**named, **{name: value for name, value in spec.to_json().items() if value is not None}}
