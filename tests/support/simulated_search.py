"""A search without machines: trials whose values follow from their parameters, run in any order, with crashes."""

from __future__ import annotations

import hashlib
import json
import random
from collections.abc import Callable
from typing import Any

from optuna.storages import BaseStorage
from optuna.trial import BaseTrial

from cluster.ledger.ledger import Ledger

STEPS = 6


def suggest(trial: BaseTrial) -> dict[str, Any]:
    """A conditional space with a fixed parameter."""
    params: dict[str, Any] = {"method": trial.suggest_categorical("method", ["set", "rigl", "none"]), "lr": 1e-3}
    if params["method"] != "none":
        params["sparsity"] = trial.suggest_categorical("sparsity", [0.5, 0.8, 0.9])
        params["l2"] = trial.suggest_float("l2", 1e-5, 1e-2, log=True)
    params["width"] = trial.suggest_int("width", 1, 64)
    return params


def quality(params: dict[str, Any]) -> float:
    """A number in [0, 1) that looks random, yet follows from the parameters."""
    digest = hashlib.sha256(json.dumps(params, sort_keys=True).encode()).digest()
    return int.from_bytes(digest[:6], "big") / 2**48


def fails(params: dict[str, Any]) -> bool:
    """One trial in eight breaks down."""
    return quality({"breaks": params}) < 0.125


def curve(params: dict[str, Any], step: int) -> float:
    """The value that a trial reports at a step from 1 to STEPS: curves cross, and some early values are missing."""
    if step < STEPS and quality({"missing": params, "step": step}) < 0.05:
        return float("nan")
    return quality(params) * step / STEPS + 0.1 * quality({"noise": params, "step": step})


def play(
    open_ledger: Callable[[], Ledger], *, workers: int = 1, chaos: random.Random | None = None, crash: float = 0.0
) -> list[tuple[Any, ...]]:
    """Run a search to its end.

    Args:
        open_ledger: opens the ledger, as a fresh process would.
        workers: how many trials run at once.
        chaos: who is served next; None: the trial that has waited longest.
        crash: probability, at each turn, that the process dies and a new one takes over.

    Returns:
        What came out, by trial, without the count of restarts.
    """
    ledger = open_ledger()
    ledger.requeue()
    running: dict[int, tuple[dict[str, Any], int]] = {}
    while not ledger.search_done():
        if chaos and chaos.random() < crash:
            ledger, running = open_ledger(), {}
            ledger.requeue()
        while len(running) < workers and (ticket := ledger.take()):
            running[ticket.number] = (dict(ticket.params), 0)
        number = chaos.choice(list(running)) if chaos else next(iter(running))
        params, step = running.pop(number)
        step += 1
        if step <= STEPS and ledger.report(number, step, curve(params, step)):
            ledger.stop(number)
        elif step == 3 and fails(params):
            ledger.fail(number, "breaks")
        elif step > STEPS:
            ledger.complete(number, *values(params, ledger))
        elif chaos and chaos.random() < crash:
            ledger.retry(number)
        else:
            running[number] = (params, step)
    return summary(ledger)


def values(params: dict[str, Any], ledger: Ledger) -> list[float]:
    """The values of a finished trial, one an objective: the first is where its curve ends."""
    return [curve(params, STEPS), *(quality({"objective": i, **params}) for i in range(1, ledger.objectives))]


def summary(ledger: Ledger) -> list[tuple[Any, ...]]:
    """The search trials as they would be without crashes."""
    return [
        (
            e.number,
            e.state,
            e.params,
            e.values,
            {key: value for key, value in e.attrs.items() if key != "requeued"},
            {step: str(value) for step, value in e.reports.items()},  # as text, since NaN is not equal to itself
        )
        for e in ledger.entries("search")
    ]


def ledger_on(storage: BaseStorage, **settings: Any) -> Ledger:
    """A ledger over the simulated space; settings override the defaults."""
    given = {"name": "wine", "direction": "maximize", "seed": 1, "trials": 30, "batch": 5, **settings}
    given.setdefault("sampler_options", {"n_startup_trials": 5} if given.get("sampler", "tpe") == "tpe" else {})
    return Ledger(storage, given.pop("name"), suggest=suggest, **given)
