"""Specs that are based on others, and names in a spec that registries decide."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from dst.data import MECHANISMS, POLICIES, SCALINGS, SPLITS
from dst.rankers import RANKERS
from dst.scoring import SCORERS
from studies.spec.errors import SpecError
from studies.spec.loading import load_spec, parse_spec


def write(path: Path, **document: object) -> Path:
    path.write_text(yaml.safe_dump(document))
    return path


def test_a_spec_says_only_how_it_differs_from_its_base(tmp_path: Path) -> None:
    write(
        tmp_path / "first.yaml", name="first", datasets=["wine", "digits"], methods=["set"],
        search={"sampler": {"name": "tpe", "n_startup_trials": 3}, "trials": 4},
    )  # fmt: skip
    write(tmp_path / "second.yaml", name="second", base="first.yaml", search={"trials": 9}, methods=["dense"])
    third = write(tmp_path / "third.yaml", name="third", base="second.yaml", datasets=["wine"])

    spec = load_spec(third, ["search.sampler.n_startup_trials=5"])

    assert (spec.name, spec.methods, [dataset.path for dataset in spec.datasets]) == ("third", ("dense",), ["wine"])
    assert (spec.search.trials, spec.search.sampler.options) == (9, {"n_startup_trials": 5}), "merged, then overridden"
    assert "base" not in spec.model_dump(), "what is written down is the whole spec"


def test_a_parameter_or_a_sampler_of_another_name_replaces_that_of_the_base(tmp_path: Path) -> None:
    base = {
        "name": "base",
        "datasets": ["wine"],
        "space": {"lr": {"values": [0.01, 0.1]}, "l2": {"values": [0.0, 0.1]}},
        "search": {
            "trials": 7,
            "sampler": {"name": "tpe", "n_startup_trials": 5},
            "pruner": {"name": "median", "on": "val_score"},
        },
    }
    (tmp_path / "base.yaml").write_text(yaml.safe_dump(base))
    child = {
        "base": "base.yaml",
        "space": {"lr": {"low": 0.01, "high": 0.1}},
        "search": {"sampler": {"name": "random"}, "pruner": {"on": "val_loss"}},
    }
    (tmp_path / "child.yaml").write_text(yaml.safe_dump(child))
    spec = load_spec(tmp_path / "child.yaml")
    assert spec.space == {"lr": {"low": 0.01, "high": 0.1}, "l2": {"values": [0.0, 0.1]}}
    assert (spec.search.trials, spec.search.sampler.name, spec.search.sampler.options) == (7, "random", {})
    assert (spec.search.pruner.name, spec.search.pruner.on) == ("median", "val_loss")


def test_a_base_may_be_a_packaged_spec() -> None:
    paper, networks = load_spec("paper"), load_spec("paper_sparsities")
    assert networks.datasets == paper.datasets
    assert len(networks.datasets) == 18
    assert (networks.methods, networks.search.trials) == (("set", "rigl"), 18)


def test_paths_start_where_they_are_written(tmp_path: Path) -> None:
    (tmp_path / "shared").mkdir()
    write(tmp_path / "shared" / "tables.yaml", name="tables", datasets=["own.csv", {"path": "../other.csv"}, "wine"])
    spec = write(tmp_path / "spec.yaml", name="s", base="shared/tables.yaml")
    paths = [str(tmp_path / "shared" / "own.csv"), str(tmp_path / "other.csv"), "wine"]
    assert [dataset.path for dataset in load_spec(spec).datasets] == paths
    assert [use.path for use in load_spec(spec, ["datasets=[new.csv]"]).datasets] == [str(tmp_path / "new.csv")]


@pytest.mark.parametrize(
    ("base", "says"),
    [
        ("papr", "base: unknown spec 'papr': did you mean 'paper'?"),
        ("spec.yaml", "base: a spec must not be based on itself, but got .*spec.yaml -> .*spec.yaml"),
        ("between.yaml", "must not be based on itself, but got .*spec.yaml -> .*between.yaml -> .*spec.yaml"),
        ("list.yaml", "list.yaml: a spec is a mapping of keys, but this is a list"),
        (["paper"], r"base: must be the name of a spec or the path of a YAML file, but got \['paper'\]"),
        (False, "base: must be the name of a spec or the path of a YAML file, but got False: YAML reads"),
        (None, "base: must be the name of a spec or the path of a YAML file, but got None: YAML reads"),
        (".", "a spec is a YAML file, but this is a folder"),
    ],
)
def test_a_base_that_cannot_be_is_refused_in_one_line(tmp_path: Path, base: object, says: str) -> None:
    write(tmp_path / "between.yaml", base="spec.yaml")
    (tmp_path / "list.yaml").write_text("- paper\n")
    with pytest.raises(SpecError, match=says) as caught:
        load_spec(write(tmp_path / "spec.yaml", name="s", base=base))
    assert "\n" not in str(caught.value)


def test_a_base_is_not_set_on_the_command_line(tmp_path: Path) -> None:
    with pytest.raises(SpecError, match="--set base: a spec says itself what it is based on"):
        load_spec(write(tmp_path / "spec.yaml", name="s", datasets=["wine"]), ["base=paper"])


@pytest.mark.parametrize(
    ("path", "kind", "names"),
    [
        ("scoring.scorer", "scorer", SCORERS),
        ("datasets.0.split", "split", SPLITS),
        ("datasets.0.scaling", "scaling", SCALINGS),
        ("datasets.0.missing.policy", "missing-data policy", POLICIES),
        ("datasets.0.missing.mechanism", "missing-data mechanism", MECHANISMS),
        ("training.optimizer", "optimizer", ("adam", "sgd")),
        ("training.schedule", "schedule", ("cosine", "linear", "constant")),
        ("search.pruner.on", "report", ("val_loss", "val_accuracy", "val_score")),
        ("tracking.wandb.mode", "mode", ("offline", "online", "disabled")),
    ],
)
def test_registries_decide_which_names_there_are(path: str, kind: str, names: object) -> None:
    def spec_with(name: str) -> dict[str, object]:
        document: dict = {
            "name": "s",
            "datasets": [{"path": "wine", "missing": {"policy": "mean"}}],
            "methods": ["set"],
        }
        section: dict = document
        *parents, key = path.split(".")
        for parent in parents:
            section = document["datasets"][0] if parent == "0" else section.setdefault(parent, {})
        section[key] = name
        if parents[-1] == "pruner":
            section["name"] = "median"
        return document

    for name in names:
        parse_spec(spec_with(name))
    near = next(iter(names)) + "e"
    with pytest.raises(SpecError, match=f"{path}: unknown {kind} '{near}': did you mean '{next(iter(names))}'"):
        parse_spec(spec_with(near))


def test_what_a_ranker_is_stands_in_its_entry() -> None:
    kinds = {name: (entry.is_network, entry.sparse, entry.moving) for name, entry in RANKERS.items()}
    assert kinds["dense"] == (True, False, False)
    assert kinds["static"] == (True, True, False)
    assert kinds["rigl"] == (True, True, True)
    assert kinds["lasso"] == kinds["stg"] == (False, False, False)
