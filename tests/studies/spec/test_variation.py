"""Methods of which a search would run one configuration again and again."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import pytest

from dst.rankers import RANKERS
from studies.run import run_study
from studies.spec.errors import SpecError
from studies.spec.loading import load_spec, packaged_specs, parse_spec
from studies.spec.space import check_variation, search_space

REPEATS = "{} has one configuration, as {}: each of its search trials repeats it"


def notes_on(**changes: Any) -> list[str]:
    spec = parse_spec({"name": "s", "datasets": ["wine"], **changes})
    return check_variation(spec, search_space(spec))


@pytest.mark.parametrize("method", RANKERS)
def test_the_default_space_has_something_of_every_method_that_has_settings(method: str) -> None:
    nothing_to_set = method in ("f_score", "random")
    assert notes_on(methods=[method]) == ([REPEATS.format(method, "it has no settings")] if nothing_to_set else [])


@pytest.mark.parametrize("name", packaged_specs())
def test_packaged_specs_repeat_nothing(name: str) -> None:
    spec = load_spec(name)
    assert check_variation(spec, search_space(spec)) == []


@pytest.mark.parametrize(
    ("methods", "space", "method"),
    [
        (["set"], {}, "set"),
        (["set", "lasso"], {}, "set"),
        (["random", "lasso"], {}, "lasso"),
        (["static"], {"drop_fraction": {"values": [0.2, 0.3]}}, "static"),
        (["static", "dense"], {"update_interval": {"values": [5, 10]}}, "static"),
        (["dense"], {"sparsity": {"values": [0.5, 0.8]}}, "dense"),
        (["dense"], {"distribution": {"values": ["er", "uniform"]}}, "dense"),
    ],
)
def test_a_method_that_the_space_does_not_know_is_refused(methods: list[str], space: dict, method: str) -> None:
    says = rf"space: with search.trials above 1 .* has nothing of {method}, .*=30: write a space .*one of"
    with pytest.raises(SpecError, match=says):
        notes_on(methods=methods, space=space)


@pytest.mark.parametrize(
    "changes",
    [
        {"space": {}, "search": {"trials": 1}},
        {"space": {}, "search": {"sampler": "grid"}},
        {"space": {"k": {"values": [2, 3]}}},
        {"space": {"l2": {"low": 0.1, "high": 0.2}}},
        {"space": {"sparsity": {"values": [0.5, 0.8]}, "l2": {"value": 0.1, "when": {"sparsity": 0.5}}}},
    ],
)
def test_what_repeats_nothing_is_let_be(changes: dict) -> None:
    assert notes_on(**changes) == []


@pytest.mark.parametrize(
    ("changes", "method"),
    [
        ({"space": {"l2": 0.1}}, "set"),
        ({"training": {"lr": 0.1}, "space": {"sparsity": {"values": [0.5, 0.8], "when": {"method": "set"}}, "l2": 0.1},
          "methods": ["set", "dense"]}, "dense"),
    ],
)  # fmt: skip
def test_what_is_fixed_on_purpose_is_said(changes: dict, method: str) -> None:
    assert notes_on(**changes) == [REPEATS.format(method, "its settings are fixed")]


def test_a_packaged_space_must_know_each_method(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(RANKERS, "new", RANKERS["lasso"])
    with pytest.raises(SpecError, match=r"but the space 'default' has nothing of new, .* one of alpha"):
        notes_on(methods=["set", "new"])


def test_rivals_at_their_defaults_beside_what_the_space_varies_are_said() -> None:
    space = {"lr": {"values": [0.1, 0.2], "when": {"method": "network"}}}
    notes = notes_on(methods=["set", "lasso"], space=space)
    assert notes == [REPEATS.format("lasso", "the space has no setting of it")]


def test_a_study_says_it_before_it_begins(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    document = {"name": "s", "datasets": ["wine"], "out": str(tmp_path / "out"), "methods": ["set"], "space": {}}
    with pytest.raises(SpecError, match="has nothing of set"):
        run_study(parse_spec(document), in_process=True)
    assert not (tmp_path / "out").exists()
    few = {"search": {"trials": 2}, "confirm": {"top": 1, "seeds": 1}, "tracking": {"wandb": {"mode": "disabled"}}}
    with caplog.at_level(logging.WARNING):
        run_study(parse_spec({**document, **few, "methods": ["f_score"]}), in_process=True)
    assert REPEATS.format("f_score", "it has no settings") in caplog.messages
    caplog.clear()
    run_study(parse_spec({**document, **few, "methods": ["f_score"]}), in_process=True)
    assert not any("one configuration" in message for message in caplog.messages), "a study that has begun goes on"
