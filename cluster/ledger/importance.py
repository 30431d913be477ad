"""The importance of parameters for the values of trials, by PED-ANOVA.

Watanabe, Bansal, Hutter, "PED-ANOVA: Efficiently Quantifying Hyperparameter Importance in Arbitrary Subspaces" (IJCAI
2023), as Optuna has it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import optuna
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.importance import PedAnovaImportanceEvaluator, get_param_importances
from optuna.trial import create_trial

from cluster.ledger.entries import Direction
from cluster.ledger.storage.connect import quiet_optuna

QUANTILE = 0.1
"""Share of the trials that count as the best: what sets these apart is important."""


def parameter_importance(
    trials: Sequence[tuple[Mapping[str, Any], float]], space: Mapping[str, Mapping[str, Any]], direction: Direction
) -> dict[str, float]:
    """Return the share of importance of each parameter that varies, the most important first.

    Args:
        trials: parameters and value of each, two at least; a trial need not have all parameters.
        space: by parameter its ``values``, or ``low``, ``high`` and ``log`` (:meth:`search_spaces.Space.describe`).
            Others are left out, as are parameters with a single value.
        direction: of the values.

    Returns:
        Shares that sum to 1, or are all 0 where nothing sets the best trials apart.
    """
    domains = {name: domain for name, given in space.items() if (domain := _domain(given)) is not None}
    with quiet_optuna():
        study = optuna.create_study(direction=direction, storage=optuna.storages.InMemoryStorage())
    for params, value in trials:
        own = {name: params[name] for name in domains if params.get(name) is not None}
        study.add_trial(
            create_trial(params=own, distributions={name: domains[name] for name in own}, value=float(value))
        )
    evaluator = PedAnovaImportanceEvaluator(target_quantile=QUANTILE)
    return get_param_importances(study, evaluator=evaluator)


def _domain(given: Mapping[str, Any]) -> BaseDistribution | None:
    if "values" in given:
        return CategoricalDistribution(given["values"]) if len(given["values"]) > 1 else None
    if "low" not in given or given["low"] == given["high"]:
        return None
    low, high, log = given["low"], given["high"], bool(given.get("log"))
    if isinstance(low, int) and isinstance(high, int):
        return IntDistribution(low, high, log=log, step=int(given.get("step") or 1))
    return FloatDistribution(low, high, log=log, step=given.get("step"))
