"""What a spec's search comes to: its space, the points of a grid, and the ledger of each dataset."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from cluster.ledger.ledger import Ledger
from cluster.ledger.options import OptionError
from cluster.ledger.pruners.registry import make_pruner
from cluster.ledger.samplers.registry import make_sampler
from dst.errors import InputError
from dst.rankers import RANKERS, make_config, parameters
from search_spaces import Space, SpaceError, Value, load_space
from studies.plan.data import StudyDataset
from studies.spec.errors import SpecError
from studies.spec.sections import TrainingSpec
from studies.spec.study import StudySpec
from studies.store.study_file import storage_name

_FOR_ALL_TRIALS = "is the same in all trials: it is set in training"
_NOT_SEARCHED = {
    "engine": _FOR_ALL_TRIALS,
    "device": _FOR_ALL_TRIALS,
    "threads": _FOR_ALL_TRIALS,
    "hidden": _FOR_ALL_TRIALS,
    "importances": _FOR_ALL_TRIALS,
    "importance_rows": _FOR_ALL_TRIALS,
    "sampling": _FOR_ALL_TRIALS,
    "loss": "is cross_entropy: a study classifies",
    "input_noise": "is 0: it is for networks that reconstruct their input, and a study classifies",
}
"""Settings of rankers that no space may name, and the rule that each has instead."""


def search_space(spec: StudySpec) -> Space:
    """Return the search space, after trying the values at its bounds on the methods that take them."""
    for name in spec.space if isinstance(spec.space, dict) else ():
        if name in _NOT_SEARCHED:
            raise SpecError(f"space.{name}: {name} {_NOT_SEARCHED[name]}")
    allowed = {"k"}.union(*(parameters(method) for method in RANKERS)) - _NOT_SEARCHED.keys()
    try:
        space = load_space(spec.space, methods=spec.methods, allowed=allowed, known_methods=RANKERS)
    except SpaceError as error:
        raise SpecError(str(error)) from error
    fixed = spec.training.settings()
    for method in spec.methods:
        make_config(method, fixed)  # what a method needs may not be installed
    defaults = TrainingSpec().settings()
    named = {name for name, value in fixed.items() if value != defaults.get(name)}
    if isinstance(spec.space, str):  # a packaged space gives way to what the spec itself says
        space = Space(tuple(parameter for parameter in space.parameters if parameter.name not in named))
    for parameter in space.parameters[1:]:
        if parameter.name in named:
            raise SpecError(f"{parameter.name} must be set once, but training and space both have it")
        for method in spec.methods:
            if parameter.name not in parameters(method) or method not in parameter.when.get("method", (method,)):
                continue
            for value in parameter.extremes():
                try:
                    make_config(method, {**fixed, parameter.name: value})
                except (InputError, TypeError) as error:
                    raise SpecError(f"space.{parameter.name}: {error}") from error
    if "k" in spec.objective.metrics and "k" not in space.distributions:
        raise SpecError("objective.metric k needs a space with several values of k, e.g. k: {values: [10, 25, 50]}")
    return space


def check_k(spec: StudySpec, space: Space, datasets: Iterable[StudyDataset]) -> None:
    """Refuse numbers of columns in the space that a dataset cannot give, or that a dataset names too."""
    for parameter in space.parameters:
        if parameter.name != "k":
            continue
        for dataset in datasets:
            if dataset.use.k is not None:
                raise SpecError(f"k must be set once, but the space and the dataset {dataset.name} both have it")
            for k in parameter.extremes():
                n = len(dataset.feature_names)
                if isinstance(k, bool) or not isinstance(k, int) or not 1 <= k <= n:
                    raise SpecError(
                        f"space.k: whole numbers with 1 <= k <= number of columns must hold, but got k={k!r}, and "
                        f"{dataset.name} has {n} columns"
                    )


def check_search(spec: StudySpec) -> None:
    """Refuse a sampler or pruner that is not there, or an option that it does not take."""
    try:
        make_sampler(spec.search.sampler.name, spec.search.sampler.options, seed=0)
        make_pruner(spec.search.pruner.name, spec.search.pruner.options)
    except OptionError as error:
        raise SpecError(f"search: {error}") from error


def grid_points(spec: StudySpec, space: Space) -> list[dict[str, Value]] | None:
    """Return all points of the space where the sampler is ``grid``, else None."""
    if spec.search.sampler.name != "grid":
        return None
    try:
        points = space.grid()
    except SpaceError as error:
        raise SpecError(str(error)) from error
    if len(points) > spec.search.trials:
        raise SpecError(
            f"search.trials: the grid has {len(points)} points and all are run, but got {spec.search.trials}: "
            "raise it, or narrow the space"
        )
    return points


def open_ledger(
    spec: StudySpec, space: Space, points: list[dict[str, Value]] | None, storage: Any, identity: str, dataset: str
) -> Ledger:
    """Open the ledger of a dataset's trials.

    Args:
        spec: the study.
        space: what trials may vary.
        points: of a grid, else None.
        storage: from :func:`cluster.ledger.storage.connect.open_storage`.
        identity: the study's, from ``study.yaml``.
        dataset: its name.
    """
    return Ledger(
        storage,
        storage_name(spec, identity, dataset),
        stream=dataset,
        suggest=space.suggest,
        points=points,
        direction=spec.objective.directions,
        sampler=spec.search.sampler.name,
        sampler_options=spec.search.sampler.options,
        pruner=spec.search.pruner.name,
        pruner_options=spec.search.pruner.options,
        seed=spec.seed,
        trials=spec.search.trials,
        batch=spec.search.batch,
    )
