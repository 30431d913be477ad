"""A trainable, a searcher, a scheduler and a callback that write down what Ray Tune calls, and with what."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import ray.cloudpickle as pickle
from ray import tune
from ray.tune import Callback
from ray.tune.experiment import Trial
from ray.tune.result import DONE
from ray.tune.schedulers import FIFOScheduler, TrialScheduler
from ray.tune.search import Searcher

Call = tuple[str, ...]
"""Who was called, which hook, and what it saw."""


class Diarist(tune.Trainable):
    """Does what its configuration says, and notes in a file what was called."""

    def setup(self, config: dict[str, Any]) -> None:
        self._begin(config)
        self._note("setup")

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        self._note("reset_config")
        self._begin(new_config)
        return True

    def step(self) -> dict[str, Any]:
        self._steps += 1
        self._note("step")
        if self._name == "raises" and self._steps == 2:
            raise RuntimeError("as asked")
        return {"n": self._steps, DONE: self._name.startswith("finishes") and self._steps == 3}

    def save_checkpoint(self, checkpoint_dir: str) -> dict[str, Any]:
        self._note("save_checkpoint")
        return {}

    def load_checkpoint(self, checkpoint: dict[str, Any] | None) -> None:
        self._note("load_checkpoint")

    def cleanup(self) -> None:
        self._note("cleanup")

    def _begin(self, config: dict[str, Any]) -> None:
        self._diary, self._name, self._steps = config["diary"], config["name"], 0

    def _note(self, what: str) -> None:
        with Path(self._diary).open("a") as file:
            file.write(f"{self._name} {what}\n")


class Notes:
    """What the driver saw, in order, by trial. Never pickled."""

    def __init__(self) -> None:
        self.calls: dict[str, list[Call]] = {}
        self.names: dict[str, str] = {}
        self.errors: dict[str, BaseException] = {}
        self.pickled = 0

    def __reduce__(self) -> Any:
        self.pickled += 1
        raise TypeError("the notes must not be pickled")

    def note(self, trial_id: str, *call: str) -> None:
        self.calls.setdefault(self.names[trial_id], []).append(call)


def seen(result: dict[str, Any] | None) -> str:
    """The part of a result that a test looks at."""
    return "nothing" if result is None else f"n={result.get('n')} done={result.get(DONE)}"


class NotingSearcher(Searcher):
    """Suggests a trial a name."""

    def __init__(self, notes: Notes, names: list[str], diary: str) -> None:
        super().__init__()
        self._notes = notes
        self._left = list(names)
        self._diary = diary

    def suggest(self, trial_id: str) -> Any:
        if not self._left:
            return Searcher.FINISHED
        name = self._notes.names[trial_id] = self._left.pop(0)
        self._notes.note(trial_id, "searcher", "suggest")
        return {"name": name, "diary": self._diary}

    def on_trial_result(self, trial_id: str, result: dict[str, Any]) -> None:
        self._notes.note(trial_id, "searcher", "on_trial_result", seen(result))

    def on_trial_complete(self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False) -> None:
        self._notes.note(trial_id, "searcher", "on_trial_complete", seen(result), f"error={error}")

    def save(self, checkpoint_path: str) -> None:
        """Save nothing."""


class NotingScheduler(FIFOScheduler):
    """Stops the trial ``stops`` at its second result."""

    def __init__(self, notes: Notes) -> None:
        super().__init__()
        self._notes = notes

    def on_trial_result(self, tune_controller: Any, trial: Trial, result: dict[str, Any]) -> str:
        stop = trial.config["name"] == "stops" and result["n"] == 2
        decision = TrialScheduler.STOP if stop else TrialScheduler.CONTINUE
        self._notes.note(trial.trial_id, "scheduler", "on_trial_result", seen(result), decision)
        return str(decision)

    def on_trial_complete(self, tune_controller: Any, trial: Trial, result: dict[str, Any]) -> None:
        self._notes.note(trial.trial_id, "scheduler", "on_trial_complete", seen(result))

    def on_trial_error(self, tune_controller: Any, trial: Trial) -> None:
        self._notes.errors[trial.config["name"]] = pickle.loads(Path(trial.pickled_error_file).read_bytes())
        self._notes.note(trial.trial_id, "scheduler", "on_trial_error")


class NotingCallback(Callback):
    """Takes a key out of every result, to see whether Tune keeps it."""

    def __init__(self, notes: Notes) -> None:
        self._notes = notes

    def on_trial_start(self, iteration: int, trials: list[Trial], trial: Trial, **info: Any) -> None:
        self._notes.note(trial.trial_id, "callback", "on_trial_start")

    def on_trial_result(
        self, iteration: int, trials: list[Trial], trial: Trial, result: dict[str, Any], **info: Any
    ) -> None:
        kept = "kept before" if trial.last_result.get("n") == result["n"] else "not kept yet"
        self._notes.note(trial.trial_id, "callback", "on_trial_result", seen(result), kept)
        if result[DONE]:
            result.pop("n")

    def on_trial_complete(self, iteration: int, trials: list[Trial], trial: Trial, **info: Any) -> None:
        self._notes.note(trial.trial_id, "callback", "on_trial_complete")

    def on_trial_error(self, iteration: int, trials: list[Trial], trial: Trial, **info: Any) -> None:
        self._notes.note(trial.trial_id, "callback", "on_trial_error")
