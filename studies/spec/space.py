"""The search space of a spec: what may vary from trial to trial, and the check that something does."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from dst.errors import InputError
from dst.rankers import RANKERS, make_config, method_groups, parameters, used_settings
from search_spaces import Space, SpaceError, load_space
from search_spaces.space import Parameter
from studies.spec.errors import SpecError
from studies.spec.sections import TrainingSpec
from studies.spec.study import StudySpec

_FOR_ALL_TRIALS = "is the same in all trials: it is set in training"
_NOT_SEARCHED = {
    "engine": _FOR_ALL_TRIALS,
    "device": _FOR_ALL_TRIALS,
    "threads": _FOR_ALL_TRIALS,
    "hidden": _FOR_ALL_TRIALS,
    "members": _FOR_ALL_TRIALS,
    "importances": _FOR_ALL_TRIALS,
    "importance_rows": _FOR_ALL_TRIALS,
    "sampling": _FOR_ALL_TRIALS,
    "loss": "is cross_entropy: a study classifies",
    "input_noise": "is 0: it is for networks that reconstruct their input, and a study classifies",
}
"""Settings of rankers that no space may name, and the rule that each has instead."""


def search_space(spec: StudySpec) -> Space:
    """Return the search space, after trying the values at its bounds on the methods that take them."""
    space = _declared(spec)
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


def check_variation(spec: StudySpec, space: Space) -> list[str]:
    """Refuse a method whose search trials would all run one configuration because the space does not know it.

    A packaged space must know each method that has settings; one that the spec writes itself may leave methods at their
    defaults beside those that it varies. A grid runs each configuration once, and a single trial repeats none.

    Args:
        spec: of the study; its methods and objective must suit the space.
        space: its search space (:func:`search_space`).

    Returns:
        A note on each method that has one configuration all the same.

    Raises:
        SpecError: a packaged space has no setting of a method, or the spec's own has none of any method.
    """
    if spec.search.trials == 1 or spec.search.sampler.name == "grid":
        return []
    declared = _declared(spec).parameters[1:]
    known = {method for method in spec.methods if any(_is_of(parameter, method) for parameter in declared)}
    notes = []
    for method in spec.methods:
        if any(_varies(parameter, method, spec.training.settings()) for parameter in space.parameters[1:]):
            continue
        settings = sorted(parameters(method) - _NOT_SEARCHED.keys() - RANKERS[method].without_effect)
        if settings and method not in known and (isinstance(spec.space, str) or not known):
            name = f"the space {spec.space!r}" if isinstance(spec.space, str) else "the space"
            raise SpecError(
                f"space: with search.trials above 1 each method needs something to vary, but {name} has nothing of "
                f"{method}, and got search.trials={spec.search.trials}: write a space that names a setting of it, one "
                f"of {', '.join(settings)}"
            )
        cause = _cause(settings, method in known)
        notes.append(f"{method} has one configuration, as {cause}: each of its search trials repeats it")
    return notes


def _cause(settings: Sequence[str], known: bool) -> str:
    if not settings:
        return "it has no settings"
    return "its settings are fixed" if known else "the space has no setting of it"


def _declared(spec: StudySpec) -> Space:
    """Return the space as it is written, for the methods of the study."""
    for name in spec.space if isinstance(spec.space, dict) else ():
        if name in _NOT_SEARCHED:
            raise SpecError(f"space.{name}: {name} {_NOT_SEARCHED[name]}")
    allowed = {"k"}.union(*(parameters(method) for method in RANKERS)) - _NOT_SEARCHED.keys()
    try:
        return load_space(
            spec.space, methods=spec.methods, allowed=allowed, known_methods=RANKERS, groups=method_groups()
        )
    except SpaceError as error:
        raise SpecError(str(error)) from error


def _is_of(parameter: Parameter, method: str) -> bool:
    """Say whether a parameter can be in a trial of a method, and means something there."""
    known = parameter.name == "k" or parameter.name in parameters(method) - RANKERS[method].without_effect
    return known and method in parameter.when.get("method", (method,))


def _varies(parameter: Parameter, method: str, fixed: dict[str, Any]) -> bool:
    """Say whether a parameter makes a method's configurations differ: it may be one that changes nothing there."""
    if not _is_of(parameter, method):
        return False
    values = parameter.extremes()
    if parameter.name == "k":
        return len(values) > 1
    used = [used_settings(method, {**fixed, parameter.name: value}) for value in values]
    return any(other != used[0] for other in used[1:])
