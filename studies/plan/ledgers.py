"""The ledger of each dataset, and checks of what a spec asks of it: sampler, pruner, grid, numbers of columns."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from cluster.ledger.ledger import Ledger
from cluster.ledger.options import OptionError
from cluster.ledger.pruners.registry import make_pruner
from cluster.ledger.samplers.registry import make_sampler
from dst.errors import InputError
from dst.rankers import RANKERS
from dst.rankers.networks_config import NetworksConfig
from search_spaces import Space, SpaceError, Value
from studies.plan.data import StudyDataset
from studies.spec.errors import SpecError
from studies.spec.study import StudySpec
from studies.store.study_file import storage_name


def check_numbers(spec: StudySpec, space: Space, datasets: Iterable[StudyDataset]) -> None:
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


def check_rounds(spec: StudySpec, space: Space, datasets: Iterable[StudyDataset]) -> None:
    """Refuse rounds of elimination after which a dataset has fewer columns than are selected.

    The rounds, shares and numbers of columns of the spec are taken with those of the space that leave the fewest.
    """
    ends: dict[str, Any] = {parameter.name: parameter.extremes() for parameter in space.parameters}
    fixed = spec.training.settings()
    settings: dict[str, Any] = {name: fixed[name] for name in ("rounds", "keep", "importances") if name in fixed}
    settings |= {name: pick(ends[name]) for name, pick in (("rounds", max), ("keep", min)) if name in ends}
    config = NetworksConfig(**settings)
    if not any(RANKERS[method].is_network for method in spec.methods):
        return
    for dataset in datasets:
        try:
            config.check_k(len(dataset.feature_names), max(ends.get("k", (dataset.k,))))
        except InputError as error:
            raise SpecError(f"training.rounds: {error} ({dataset.name})") from error


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
        spec: of the study: its search and objective say what the ledger proposes.
        space: the parameters that trials vary.
        points: all points of a grid, in order; None: the sampler proposes.
        storage: from :func:`cluster.ledger.storage.connect.open_storage`.
        identity: the study's, from ``study.yaml``.
        dataset: the dataset's name, by which its trials are kept.
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
