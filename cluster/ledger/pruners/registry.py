"""Pruners by name: factories of Optuna's pruners and of our own, which stop trials early."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Annotated, Any, Literal

from optuna.pruners import BasePruner, HyperbandPruner, NopPruner, SuccessiveHalvingPruner
from pydantic import Field, NonNegativeInt, PositiveInt

from cluster.ledger.options import build
from cluster.ledger.pruners.median import Median
from cluster.ledger.pruners.patience import Patience


def median(
    *,
    n_startup_trials: NonNegativeInt = 5,
    n_warmup_steps: NonNegativeInt = 0,
    interval_steps: PositiveInt = 1,
    n_min_trials: PositiveInt = 1,
) -> Median:
    """Stop a trial whose report is worse than the median of finished trials at the same step.

    Args:
        n_startup_trials: nothing is stopped before this many trials have finished.
        n_warmup_steps: nothing is stopped before this step.
        interval_steps: steps from one decision to the next.
        n_min_trials: finished trials that must have reported at the step.
    """
    return Median(n_startup_trials, n_warmup_steps, interval_steps, n_min_trials)


def asha(
    *,
    min_resource: PositiveInt | Literal["auto"] = "auto",
    reduction_factor: Annotated[int, Field(ge=2)] = 4,
    min_early_stopping_rate: NonNegativeInt = 0,
    bootstrap_count: NonNegativeInt = 0,
) -> SuccessiveHalvingPruner:
    """Successive halving: at steps that grow by a factor, the best fraction goes on.

    Args:
        min_resource: the first step that decides; ``auto``: a hundredth of the longest finished trial's steps.
        reduction_factor: one in this many goes on, to this many times the step.
        min_early_stopping_rate: leave out this many of the first rungs.
        bootstrap_count: trials that a rung must have seen before it lets any pass.
    """
    return SuccessiveHalvingPruner(min_resource, reduction_factor, min_early_stopping_rate, bootstrap_count)


def hyperband(
    *,
    min_resource: PositiveInt = 5,
    max_resource: PositiveInt | Literal["auto"] = "auto",
    reduction_factor: Annotated[int, Field(ge=2)] = 3,
    bootstrap_count: NonNegativeInt = 0,
) -> HyperbandPruner:
    """Several successive halvings side by side, each with its own first step; a trial belongs to one of them.

    Which one follows from the study's seed and stream and the trial's place among the proposals, by a hash.

    Args:
        min_resource: the first step that decides in the first of them.
        max_resource: the steps of a whole trial; ``auto``: those of the longest trial of the first batch that has one.
        reduction_factor: one in this many goes on, to this many times the step.
        bootstrap_count: trials that a rung must have seen before it lets any pass.
    """
    if max_resource != "auto" and max_resource < min_resource:
        raise ValueError(f"max_resource >= min_resource must hold, got {max_resource} and {min_resource}")
    return HyperbandPruner(min_resource, max_resource, reduction_factor, bootstrap_count)


def patience(
    *,
    patience: PositiveInt = 2,
    min_delta: Annotated[float, Field(ge=0, allow_inf_nan=False)] = 0.0,
    wrapped: str | dict[str, Any] = "median",
) -> Patience:
    """Stop nothing that still improves; what stands still, as another pruner says (:class:`Patience`).

    Args:
        patience: how many reports may bring nothing.
        min_delta: what counts as nothing, in the objective's unit.
        wrapped: the other pruner: its name, or a mapping of ``name`` and its options; ``none``: all that stands still
            is stopped.
    """
    named = {"name": wrapped} if isinstance(wrapped, str) else dict(wrapped)
    if "name" not in named:
        raise ValueError(f"wrapped needs a name, got {', '.join(map(repr, named)) or 'nothing'}")
    name = named.pop("name")
    if name == "patience":
        raise ValueError("wrapped must be another pruner, got 'patience'")
    return Patience(None if name == "none" else make_pruner(name, named), patience, min_delta)


def none() -> NopPruner:
    """Stop nothing."""
    return NopPruner()


PRUNERS: dict[str, Callable[..., BasePruner]] = {
    "asha": asha,
    "hyperband": hyperband,
    "median": median,
    "none": none,
    "patience": patience,
    "successive_halving": asha,
}
"""Factories by name; only ``none`` takes several objectives."""


def make_pruner(name: str, options: Mapping[str, Any]) -> BasePruner:
    """Build a pruner.

    Args:
        name: a key of :data:`PRUNERS`.
        options: keyword arguments of its factory.

    Raises:
        cluster.ledger.options.OptionError: an unknown name or option, or a value that it does not take.
    """
    return build("pruner", PRUNERS, name, options)
