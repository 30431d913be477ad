"""Loading of a declared space, packaged or inline, as a :class:`~search_spaces.space.Space` for a study's methods."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from importlib import resources

from optuna.distributions import CategoricalDistribution

from search_spaces.documents import parse_yaml
from search_spaces.errors import SpaceError, unknown
from search_spaces.schema import Choice, Declared, parse_parameter
from search_spaces.space import METHOD, Fixed, Parameter, Space, Value


def packaged_spaces() -> tuple[str, ...]:
    """Names of the spaces that come with this package."""
    files = resources.files("search_spaces").iterdir()
    return tuple(sorted(file.name.removesuffix(".yaml") for file in files if file.name.endswith(".yaml")))


def load_space(
    space: str | Mapping[str, object],
    *,
    methods: Sequence[str],
    allowed: Collection[str],
    known_methods: Collection[str] = (),
    groups: Mapping[str, Sequence[str]] | None = None,
) -> Space:
    """Read a space and narrow it to the methods of a study.

    Args:
        space: the name of a packaged space, or a mapping from parameter names to a scalar (fixed) or to
            ``{values: [...]}``, ``{low: .., high: .., log: .., step: ..}`` or ``{value: ..}``, each with an optional
            ``when: {parent: [values]}``. A parent is ``method`` or an earlier parameter with ``values``.
        methods: the methods to choose from, in order. One method is no choice, yet it is in every trial's parameters.
        allowed: the parameter names that trials understand.
        known_methods: all methods that exist, so that a condition on a misspelt one is refused; empty: not checked.
        groups: names that a condition on ``method`` may have in place of several methods, and the methods of each.

    Returns:
        The space; parameters whose condition no chosen method can meet are left out.

    Raises:
        SpaceError: a name is unknown, or a parameter breaks a rule.
    """
    if not methods or len(set(methods)) < len(methods):
        raise SpaceError(f"methods: at least one, each once, got {list(methods)!r}")
    declared = _packaged(space) if isinstance(space, str) else space
    if not isinstance(declared, Mapping):
        raise SpaceError(f"space: must be a name or a mapping of parameters, got {space!r}")

    parameters = [Parameter(METHOD, CategoricalDistribution(methods) if len(methods) > 1 else Fixed(methods[0]))]
    groups = groups or {}
    parents: dict[str, Collection[Value]] = {METHOD: (*known_methods, *groups) if known_methods else ()}
    reachable = {METHOD: set(methods)}  # by parameter: the chosen methods under which it can exist
    for name, given in declared.items():
        path = f"space.{name}"
        if name == METHOD:
            raise SpaceError(f"{path}: methods are named beside the space, not in it")
        if name not in allowed:
            raise SpaceError(f"{path}: {unknown('parameter', name, allowed)}")
        parameter = parse_parameter(path, given)
        _check_condition(path, parameter, parents)
        conditions = {parent: tuple(values) for parent, values in parameter.when.items()}
        if METHOD in conditions:
            conditions[METHOD] = _ungrouped(conditions[METHOD], groups)
        under = set(conditions.get(METHOD, methods))
        reachable[name] = under.intersection(*(reachable[parent] for parent in (METHOD, *parameter.when)))
        if isinstance(parameter, Choice):
            parents[name] = parameter.values
        if reachable[name]:
            parameters.append(Parameter(name, parameter.domain(), conditions))
    return Space(tuple(parameters))


def _packaged(name: str) -> Mapping[str, object]:
    if name not in packaged_spaces():
        raise SpaceError(f"space: {unknown('space', name, packaged_spaces())}")
    text = resources.files("search_spaces").joinpath(f"{name}.yaml").read_text(encoding="utf-8")
    declared: Mapping[str, object] = parse_yaml(text)
    return declared


def _ungrouped(methods: Sequence[Value], groups: Mapping[str, Sequence[str]]) -> tuple[Value, ...]:
    """Return methods with those of each group in its place, each once."""
    named = (groups.get(str(method), (method,)) for method in methods)
    return tuple(dict.fromkeys(method for several in named for method in several))


def _check_condition(path: str, parameter: Declared, parents: Mapping[str, Collection[Value]]) -> None:
    for parent, values in parameter.when.items():
        if parent not in parents:
            raise SpaceError(f"{path}.when: {unknown('earlier parameter with values', parent, parents)}")
        for value in values:
            if parents[parent] and value not in parents[parent]:
                raise SpaceError(f"{path}.when.{parent}: {unknown('value', value, parents[parent])}")
