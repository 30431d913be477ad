"""Declared spaces: what is accepted, what is refused and how, and what reaches a trial."""

from __future__ import annotations

import json

import numpy as np
import optuna
import pytest
from hypothesis import given
from hypothesis import strategies as st
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

from dst.rankers import RANKERS, method_groups
from search_spaces import Fixed, Space, SpaceError, load_space, packaged_spaces

METHODS = tuple(RANKERS)
OF_RIVALS = (
    *("C", "alpha", "M", "path_multiplier", "lam", "epsilon", "dae_epochs"),
    *("zeta", "zeta_inputs", "lamda", "max_features", "min_samples_leaf", "n_neighbors"),
    *("ridge", "relevance", "scheme", "gamma"),
)
ALLOWED = ("sparsity", "l2", "lr", "drop_fraction", *OF_RIVALS)


def load(space: object, methods: tuple[str, ...] = ("set", "rigl")) -> Space:
    return load_space(space, methods=methods, allowed=ALLOWED, known_methods=METHODS, groups=method_groups())


def suggest(space: Space, seed: int) -> tuple[dict, dict]:
    """Parameters of one random trial: all of them, and those that Optuna knows."""
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=seed))
    trial = study.ask()
    return space.suggest(trial), trial.params


@pytest.mark.parametrize(
    ("declared", "domain"),
    [
        ({"low": 1e-5, "high": 1e-3, "log": True}, FloatDistribution(1e-5, 1e-3, log=True)),
        ({"low": "1e-5", "high": "1E-3", "log": True}, FloatDistribution(1e-5, 1e-3, log=True)),
        ({"low": 0.1, "high": 0.5, "step": 0.1}, FloatDistribution(0.1, 0.5, step=0.1)),
        ({"low": 1, "high": 5}, IntDistribution(1, 5)),
        ({"low": 1, "high": 5, "step": 2}, IntDistribution(1, 5, step=2)),
        ({"low": 1, "high": 64, "log": True}, IntDistribution(1, 64, log=True)),
        ({"low": 1, "high": 5.0}, FloatDistribution(1, 5)),
        ({"values": [0.5, "1e-3", "x", True]}, CategoricalDistribution([0.5, 1e-3, "x", True])),
        ({"values": [0.5]}, Fixed(0.5)),
        ({"value": "1e-3"}, Fixed(1e-3)),
        (1e-3, Fixed(1e-3)),
        ("1e-3", Fixed(1e-3)),
        ("relu", Fixed("relu")),
        (False, Fixed(False)),
    ],
)
def test_every_way_to_write_a_parameter(declared: object, domain: object) -> None:
    assert load({"l2": declared}).parameters[1].domain == domain


@pytest.mark.parametrize(
    ("space", "message"),
    [
        ("defalt", r"space: unknown space 'defalt': did you mean 'default'\? valid are default, paper"),
        (5, "space: must be a name or a mapping of parameters, got 5"),
        (
            {"L2": 1},
            r"space.L2: unknown parameter 'L2': did you mean 'l2'\? valid are C, M, alpha, dae_epochs, drop_fraction",
        ),
        ({"method": "set"}, "space.method: methods are named beside the space"),
        ({"l2": {}}, "space.l2: a parameter needs 'values', 'value', or 'low' and 'high', got no keys"),
        ({"l2": {"low": 1, "high": 2, "stp": 1}}, r"space.l2: unknown key 'stp': did you mean 'step'\?"),
        ({"l2": {"low": 1}}, "space.l2.high: Field required"),
        ({"l2": {"low": 2, "high": 1}}, "space.l2: low < high must hold, got low=2, high=1"),
        ({"l2": {"low": 0, "high": 1, "log": True}}, "low > 0 must hold on a log scale, got low=0"),
        ({"l2": {"low": 1, "high": 9, "log": True, "step": 1}}, "step must be left out on a log scale, got step=1"),
        ({"l2": {"low": 1, "high": 9, "step": 0.5}}, "step must be an integer where low and high are"),
        ({"l2": {"low": 1, "high": 9, "step": 0}}, "step > 0 must hold, got step=0"),
        ({"l2": {"low": 0.1, "high": 0.5, "step": 0.15}}, "high - low must be a multiple of step"),
        ({"l2": {"low": True, "high": 2}}, "space.l2.low: must be a number, got True"),
        ({"l2": {"low": "a", "high": 2}}, "space.l2.low: must be a number, got 'a'"),
        ({"l2": {"low": 1, "high": float("inf")}}, "space.l2.high: must be a finite number"),
        ({"l2": {"low": 1, "high": "1e999"}}, "space.l2.high: must be a finite number"),
        ({"l2": {"low": 0.1, "high": 10**400}}, r"space.l2.high: must be within 2\*\*53 .*, got one of 1329 bits"),
        ({"l2": {"low": 1.0, "high": 1e308, "step": 5e-324}}, r"high - low must be at most 2\*\*53 steps"),
        ({"l2": {"values": []}}, "space.l2.values: List should have at least 1 item"),
        ({"l2": {"values": [1, 2, 1.0]}}, "space.l2: values must differ from one another, got 1.0 twice"),
        ({"l2": {"values": [[1]]}}, r"space.l2.values.0: must be a finite number, a text, true or false, got \[1\]"),
        ({"l2": None}, "space.l2.value: must be a finite number, a text, true or false, got None"),
        ({"l2": {"value": 1, "when": {"method": "sett"}}}, r"space.l2.when.method: unknown value 'sett': did you mean"),
        ({"l2": {"value": 1, "when": {"lr": 1}}}, "space.l2.when: unknown earlier parameter with values 'lr'"),
        ({"lr": 1, "l2": {"value": 1, "when": {"lr": 1}}}, "unknown earlier parameter with values 'lr'"),
        ({"lr": {"values": [1, 2]}, "l2": {"value": 1, "when": {"lr": 3}}}, "space.l2.when.lr: unknown value 3"),
    ],
)
def test_a_broken_rule_is_one_line_that_says_where_and_what(space: object, message: str) -> None:
    with pytest.raises(SpaceError, match=message) as caught:
        load(space)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("when", "methods"),
    [
        ("sparse", ("static", "set", "rigl")),
        (["moving", "dense"], ("set", "rigl", "dense")),
        (["set", "moving"], ("set", "rigl")),
        ("none", ()),
    ],
)
def test_a_group_stands_for_its_methods(when: object, methods: tuple[str, ...]) -> None:
    groups = {"sparse": ("static", "set", "rigl"), "moving": ("set", "rigl"), "none": ()}
    declared = {"l2": {"value": 0.1, "when": {"method": when}}, "lr": 0.1}
    space = load_space(declared, methods=METHODS, allowed=ALLOWED, known_methods=METHODS, groups=groups)
    conditions = [parameter.when["method"] for parameter in space.parameters if parameter.name == "l2"]
    assert conditions == ([methods] if methods else []), "a parameter of no method is left out"
    with pytest.raises(SpaceError, match=r"space.l2.when.method: unknown value 'spase': did you mean 'sparse'\?"):
        load_space(
            {"l2": {"value": 0.1, "when": {"method": "spase"}}},
            methods=METHODS, allowed=ALLOWED, known_methods=METHODS, groups=groups,
        )  # fmt: skip


@pytest.mark.parametrize("name", packaged_spaces())
def test_a_new_network_needs_no_line_in_a_packaged_space(name: str) -> None:
    groups = {group: (*methods, "new") for group, methods in method_groups().items()}
    space = load_space(name, methods=["new"], allowed=ALLOWED, known_methods=(*METHODS, "new"), groups=groups)
    assert space.names == ("method", "sparsity", "l2", "lr", "drop_fraction")


def test_no_group_is_called_like_a_method() -> None:
    assert not method_groups().keys() & RANKERS.keys()


@pytest.mark.parametrize("methods", [(), ("set", "set")])
def test_methods_are_at_least_one_and_each_once(methods: tuple[str, ...]) -> None:
    with pytest.raises(SpaceError, match="methods: at least one, each once"):
        load("default", methods)


@pytest.mark.parametrize(
    ("methods", "names"),
    [
        (("set",), ("method", "sparsity", "l2", "lr", "drop_fraction")),
        (("static",), ("method", "sparsity", "l2", "lr")),
        (("dense",), ("method", "l2", "lr")),
        (("l1_logistic",), ("method", "C")),
        (("random", "f_score"), ("method",)),
        (("stg",), ("method", "lr", "lam")),
        (("sequential_attention",), ("method", "lr")),
        (("lasso",), ("method", "alpha")),
        (("greedy",), ("method", "ridge")),
        (("mrmr",), ("method", "relevance", "scheme")),
        (("rfs",), ("method", "gamma")),
        (("fusion",), ("method", "sparsity", "l2", "lr", "C", "max_features")),
        (("quickselection",), ("method", "epsilon", "dae_epochs", "zeta")),
        (("neurofs",), ("method", "zeta_inputs")),
        (("wast",), ("method", "lamda")),
        (("random", "dense", "l1_logistic"), ("method", "l2", "lr", "C")),
        (("rigl", "l1_logistic"), ("method", "sparsity", "l2", "lr", "drop_fraction", "C")),
    ],
)
@pytest.mark.parametrize("name", packaged_spaces())
def test_packaged_spaces_keep_what_the_methods_can_use(name: str, methods: tuple[str, ...], names: tuple) -> None:
    assert load(name, methods).names == names


def test_the_default_ranges() -> None:
    assert load("default", METHODS).distributions == {
        "method": CategoricalDistribution(METHODS),
        "sparsity": CategoricalDistribution([0.5, 0.8, 0.9, 0.95, 0.98]),
        "l2": FloatDistribution(1e-5, 1e-2, log=True),
        "lr": FloatDistribution(3e-4, 3e-3, log=True),
        "drop_fraction": FloatDistribution(0.1, 0.5),
        "C": FloatDistribution(1e-2, 1e2, log=True),
        "alpha": FloatDistribution(1e-3, 0.5, log=True),
        "M": CategoricalDistribution([1.0, 10.0, 100.0]),
        "lam": FloatDistribution(1e-5, 1e-1, log=True),
        "epsilon": FloatDistribution(2.0, 25.0, log=True),
        "dae_epochs": CategoricalDistribution([10, 30, 100]),
        "zeta": FloatDistribution(0.1, 0.4),
        "zeta_inputs": FloatDistribution(0.1, 0.4),
        "lamda": CategoricalDistribution([0.001, 0.01, 0.4, 0.9]),
        "max_features": FloatDistribution(1e-2, 1.0, log=True),
        "min_samples_leaf": IntDistribution(1, 5),
        "n_neighbors": IntDistribution(1, 10),
        "ridge": FloatDistribution(1e-2, 1.0, log=True),
        "relevance": CategoricalDistribution(["f_score", "mutual_info"]),
        "scheme": CategoricalDistribution(["quotient", "difference"]),
        "gamma": FloatDistribution(1e-2, 1e2, log=True),
    }


def test_the_papers_grid() -> None:
    space = load("paper", ("set",))
    assert space.distributions == {
        "sparsity": CategoricalDistribution([0.25, 0.5, 0.8, 0.9, 0.95, 0.98]),
        "l2": CategoricalDistribution([5e-5, 1e-4, 1e-3]),
    }
    params, _ = suggest(space, seed=0)
    assert (params["method"], params["lr"], params["drop_fraction"]) == ("set", 1e-3, 0.3)


def test_a_condition_on_a_parent_that_no_method_reaches_leaves_the_child_out() -> None:
    space = {
        "sparsity": {"values": [0.5, 0.9], "when": {"method": "static"}},
        "l2": {"low": 0.1, "high": 0.2, "when": {"sparsity": 0.5}},
        "lr": {"low": 0.1, "high": 0.2, "when": {"sparsity": 0.5, "method": "rigl"}},
    }
    assert load(space, ("rigl", "random")).names == ("method",)
    assert load(space, ("rigl", "static")).names == ("method", "sparsity", "l2")


@given(
    methods=st.lists(st.sampled_from(METHODS), min_size=1, unique=True),
    name=st.sampled_from(packaged_spaces()),
    seed=st.integers(0, 2**32 - 1),
)
def test_a_trial_has_exactly_its_active_parameters(methods: list[str], name: str, seed: int) -> None:
    space = load(name, tuple(methods))
    params, known_to_optuna = suggest(space, seed)

    assert params["method"] in methods
    active = {p.name for p in space.parameters if params["method"] in p.when.get("method", METHODS)}
    assert params.keys() == active
    assert known_to_optuna == {name: params[name] for name in params if name in space.distributions}
    for parameter, value in known_to_optuna.items():
        distribution = space.distributions[parameter]
        assert not distribution.single()
        assert distribution._contains(distribution.to_internal_repr(value))


def test_a_grid_has_each_point_once_the_last_parameter_changing_fastest():
    declared = {
        "sparsity": {"values": [0.5, 0.9], "when": {"method": "set"}},
        "lr": {"low": 0.1, "high": 0.3, "step": 0.1, "when": {"method": ["set", "dense"]}},
        "epochs": {"low": 1, "high": 5, "step": 4, "when": {"sparsity": 0.9}},
        "l2": 0.0,
    }
    space = load_space(declared, methods=["set", "dense", "l1"], allowed=set(declared))
    points = space.grid()
    assert points[:4] == [
        *({"method": "set", "sparsity": 0.5, "lr": lr, "l2": 0.0} for lr in (0.1, 0.2, 0.3)),
        {"method": "set", "sparsity": 0.9, "lr": 0.1, "epochs": 1, "l2": 0.0},
    ]
    assert points[-2:] == [{"method": "dense", "lr": 0.3, "l2": 0.0}, {"method": "l1", "l2": 0.0}]
    assert len(points) == 3 + 6 + 3 + 1 == len({tuple(point.items()) for point in points})


def test_a_range_without_steps_has_no_grid():
    space = load_space({"lr": {"low": 0.1, "high": 0.3}}, methods=["set"], allowed={"lr"})
    with pytest.raises(SpaceError, match=r"space.lr: a grid needs 'values' or a 'step', got a range without either"):
        space.grid()


@pytest.mark.parametrize(
    ("declared", "expected"),
    [
        ({"values": np.array([0.25, 0.5])}, {"values": [0.25, 0.5]}),
        ({"values": [np.int64(8), np.int64(4)]}, {"values": [8, 4]}),
        ({"low": np.float32(0.25), "high": np.float64(0.5)}, {"low": 0.25, "high": 0.5}),
        ({"low": np.int64(2), "high": np.uint8(8), "step": np.int16(2)}, {"low": 2, "high": 8, "step": 2}),
        (np.float32(0.5), 0.5),
        (np.array(3), 3),
    ],
)  # fmt: skip
def test_numbers_of_numpy_are_those_of_python(declared: object, expected: object) -> None:
    spaces = [load_space({"lr": one}, methods=["set"], allowed=["lr"]) for one in (declared, expected)]
    assert json.dumps(spaces[0].describe()) == json.dumps(spaces[1].describe())
