from __future__ import annotations

import re

import numpy as np
import pytest
import yaml

from studies.spec.dataset import MissingSpec
from studies.spec.errors import SpecError
from studies.spec.loading import load_spec, packaged_specs, parse_spec
from studies.spec.space import search_space

SPEC = {"name": "s", "datasets": ["wine"]}


def write(tmp_path, **changes):
    path = tmp_path / "spec.yaml"
    path.write_text(yaml.safe_dump({**SPEC, **changes}))
    return path


def test_defaults_are_the_papers_and_the_designs(tmp_path):
    spec = load_spec(write(tmp_path))
    assert (spec.training.epochs, spec.training.patience, spec.training.hidden) == (200, 50, (1000, 100))
    assert (spec.confirm.top, spec.confirm.seeds) == (5, 5)
    assert spec.search.sampler.name == "tpe"
    assert spec.tracking.wandb.mode == "offline"
    assert spec.datasets[0].split == "stratified"


@pytest.mark.parametrize("name", packaged_specs())
def test_packaged_specs_are_valid(name):
    assert load_spec(name).name == name


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"serch": {}}, "unknown key 'serch': did you mean 'search'?"),
        ({"search": {"trails": 3}}, "search: unknown key 'trails': did you mean 'trials'?"),
        ({"tracking": {"wandb": {"mod": "x"}}}, "tracking.wandb: unknown key 'mod': did you mean 'mode'?"),
        ({"datasets": [{"path": "wine", "traget": "y"}]}, "datasets.0: unknown key 'traget': did you mean 'target'?"),
        ({"datasets": []}, "datasets: "),
        ({"datasets": [{"path": "wine", "split": "papr"}]}, "unknown split 'papr': did you mean 'paper'?"),
        ({"methods": ["rigle"]}, "methods: unknown method 'rigle': did you mean 'rigl'?"),
        ({"methods": ["set", "set"]}, "methods: each method once, got set, set"),
        ({"search": {"trials": 0}}, "search.trials: input should be greater than or equal to 1, but got 0"),
        ({"search": {"trials": "many"}}, "search.trials: .*, but got 'many'"),
        ({"name": "a/b"}, "name: .*, but got 'a/b'"),
        ({"seed": -1}, "seed: .*, but got -1"),
        ({"objective": {"metric": "test_accuracy"}}, "objective.metric: .*, but got 'test_accuracy'"),
        ({"objective": {"metric": "val_loss"}, "methods": ["random"]}, "val_loss compares .*, but random has none"),
        ({"training": {"importances": ["neuron_strenght"]}}, "did you mean 'neuron_strength'?"),
        ({"training": {"importances": []}}, "training.importances"),
        ({"training": {"importances": ["random", "random"]}}, "each importance once"),
        ({"objective": {"importance": "permutation"}}, "must be best or what a method of the study gives"),
        ({"training": {"rounds": 0}}, "training.rounds: input should be greater than or equal to 1, but got 0"),
        ({"training": {"combine": "means"}}, "training.combine: unknown combine 'means': did you mean 'mean'"),
        ({"training": {"engine": "fast"}}, "training.engine: unknown engine 'fast': valid are auto, dense, sparse"),
        ({"resources": {"gpus": 1.5}}, "a share of one GPU, below 1, or a whole number of them, but got 1.5"),
        ({"resources": {"gpus": 0.00001}}, "a share of a GPU is a ten-thousandth at least, but got 1e-05"),
        ({"training": {"device": "cuda"}}, "training.device cuda needs resources.gpus above 0"),
        (
            {"training": {"device": "cuda", "engine": "sparse"}, "resources": {"gpus": 1}},
            "training.engine sparse runs on training.device cpu only",
        ),
        ({"training": {"threads": 2}}, "training.threads <= resources.cpus must hold, but got .*=2, resources.cpus=1"),
    ],
)
def test_what_is_wrong_is_said_in_one_line(tmp_path, changes, message):
    with pytest.raises(SpecError, match=message) as caught:
        load_spec(write(tmp_path, **changes))
    assert "\n" not in str(caught.value)


def test_training_takes_networks_and_rounds_and_a_space_may_vary_them(tmp_path):
    training = {"networks": 3, "combine": "rank", "rounds": 2, "keep": 0.3}
    spec = load_spec(write(tmp_path, training=training))
    assert training.items() <= spec.training.settings().items()
    assert not training.keys() & load_spec(write(tmp_path)).training.settings().keys()
    space = {
        "networks": {"values": [1, 5]},
        "combine": {"values": ["mean", "median"], "when": {"networks": 5}},
        "rounds": {"low": 1, "high": 4, "step": 1},
        "keep": {"low": 0.3, "high": 0.7},
    }
    assert search_space(parse_spec({**SPEC, "space": space})).distributions.keys() >= space.keys()
    with pytest.raises(SpecError, match=r"space\.keep: 0 < keep < 1 must hold, but got keep=1\.0"):
        search_space(parse_spec({**SPEC, "space": {"keep": {"values": [0.5, 1.0]}}}))


def test_training_names_the_members_of_fusion():
    training = {"members": ["set", "lasso"]}
    spec = parse_spec({**SPEC, "methods": ["fusion"], "training": training})
    assert spec.training.settings()["members"] == ("set", "lasso")
    with pytest.raises(SpecError, match=r"training\.members: unknown member 'laso'"):
        parse_spec({**SPEC, "training": {"members": ["set", "laso"]}})
    with pytest.raises(SpecError, match=r"space\.members: members is the same in all trials"):
        search_space(parse_spec({**SPEC, "methods": ["fusion"], "space": {"members": "set"}}))


def test_training_takes_smoothing_and_a_penalty_and_a_space_may_vary_them(tmp_path):
    training = {"label_smoothing": 0.1, "group_penalty": 0.01, "importances": ["squared_gradient", "loss_gradient"]}
    settings = load_spec(write(tmp_path, training=training)).training.settings()
    assert {name: settings[name] for name in training} == {**training, "importances": tuple(training["importances"])}
    space = {"label_smoothing": {"low": 0.0, "high": 0.3}, "group_penalty": {"values": [0, 0.01]}}
    assert search_space(parse_spec({**SPEC, "space": space})).distributions.keys() >= space.keys()
    with pytest.raises(SpecError, match=r"space\.label_smoothing: 0 <= label_smoothing < 1 must hold"):
        search_space(parse_spec({**SPEC, "space": {"label_smoothing": {"low": 0.0, "high": 1.0}}}))


def test_training_says_what_it_runs_on(tmp_path):
    training = {"engine": "dense", "device": "cuda", "threads": 2}
    spec = load_spec(write(tmp_path, training=training, resources={"gpus": 0.5, "cpus": 2}))
    assert training.items() <= spec.training.settings().items()
    assert "engine" not in load_spec(write(tmp_path)).training.settings(), "the ranker's default"


def test_required_keys(tmp_path):
    with pytest.raises(SpecError, match="spec: name: is required"):
        parse_spec({"datasets": ["wine"]})


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("- a list", "a spec is a mapping of keys, but this is a list"),
        ("a: [", "is not YAML"),
        ("!!python/object/apply:os.system ['true']", "is not YAML"),
    ],
)
def test_files_that_are_no_specs(tmp_path, text, message):
    path = tmp_path / "spec.yaml"
    path.write_text(text)
    with pytest.raises(SpecError, match=message):
        load_spec(path)


@pytest.mark.parametrize(
    ("line", "where", "got"),
    [
        ("target: yes", "target", "True"),
        ("target: no", "target", "False"),
        ("target: 1", "target", "1"),
        ("target: 0x1F", "target", "31"),
        ("drop: 8", "drop.0", "8"),
        ("dates: [when, 2024]", "dates.1", "2024"),
        ("index_column: 0", "index_column", "0"),
        ("missing_values: [-999, yes]", "missing_values.1", "True"),
        ("target: 2024-01-15", "target", "2024-01-15"),
        ("target: y, group: on", "group", "True"),
        ("target: y, time: 2.5", "time", "2.5"),
        ("target: y, categorical: [a, off]", "categorical.1", "False"),
        ("target: y, categorical: [~]", "categorical.0", "None"),
        ("target: y, missing: {policy: no}", "missing.policy", "False"),
        ("target: y, scaling: off", "scaling", "False"),
    ],
)
def test_text_that_yaml_reads_as_something_else_needs_quotes(tmp_path, line, where, got):
    path = tmp_path / "spec.yaml"
    path.write_text(f"name: s\ndatasets: [{{path: own.csv, {line}}}]\n")
    with pytest.raises(SpecError, match=rf"datasets\.0\.{where}: .*, but got {got}: YAML reads .* in quotes"):
        load_spec(path)


@pytest.mark.parametrize(
    ("text", "where"),
    [
        ("name: 2024\ndatasets: [wine]", "name"),
        ("name: s\ndatasets: [yes]", "datasets.0"),
        ("name: s\ndatasets: [2024-01-15]", "datasets.0"),
        ("name: s\ndatasets: [wine]\nmethods: [on]", "methods.0"),
        ("name: s\ndatasets: [wine]\nspace: no", "space"),
        ("name: s\ndatasets: [wine]\nsearch: {pruner: off}", "search.pruner"),
        ("name: s\ndatasets: [wine]\ntracking: {wandb: {project: 17}}", "tracking.wandb.project"),
        ("name: s\ndatasets: [wine]\ntracking: {wandb: {mode: off}}", "tracking.wandb.mode"),
    ],
)
def test_names_that_yaml_reads_as_something_else_need_quotes(tmp_path, text, where):
    path = tmp_path / "spec.yaml"
    path.write_text(text)
    with pytest.raises(SpecError, match=rf"spec.yaml: {where}: .*: YAML reads .* in quotes"):
        load_spec(path)


@pytest.mark.parametrize("name", ["010", "08", "1:30", "190:20:30", "1:30.5", "00"])
def test_names_that_only_look_like_numbers_are_columns(tmp_path, name):
    path = tmp_path / "spec.yaml"
    entry = f"{{path: own.csv, target: {name}, drop: {name}1, dates: [{name}2], categorical: [{name}3]}}"
    path.write_text(f"name: s\ndatasets: [{entry}]\n")
    use = load_spec(path).datasets[0]
    assert (use.target, use.drop, use.dates, use.categorical) == (name, (f"{name}1",), (f"{name}2",), (f"{name}3",))


@pytest.mark.parametrize(
    "word", ["-999", "-999.0", "-9.990", "010", "1:30", "0x1F", "1_000", "1e3", "1.0e+3", ".5", "."]
)
def test_words_for_missing_are_as_they_are_written(tmp_path, word):
    path = tmp_path / "spec.yaml"
    for given in (word, f"[{word}, none]", f"&w {word}"):
        path.write_text(f"name: s\ndatasets: [{{path: own.csv, missing_values: {given}}}]\n")
        assert load_spec(path).datasets[0].missing_values[0] == word
        spec = load_spec(path)
        assert parse_spec(yaml.safe_load(yaml.safe_dump(spec.model_dump(mode="json")))) == spec


def test_a_number_that_is_also_a_word_for_missing_stays_a_number(tmp_path):
    path = tmp_path / "spec.yaml"
    path.write_text("name: s\nseed: &n 5\ndatasets: [{path: own.csv, missing_values: *n}]\n")
    spec = load_spec(path)
    assert (spec.seed, spec.datasets[0].missing_values) == (5, ("5",))


@pytest.mark.parametrize(
    ("key", "entry"),
    [
        ("seed", "seed: {}"),
        ("datasets.0.k", "datasets: [{{path: wine, k: {}}}]"),
        ("datasets.0.inner_splits", "datasets: [{{path: wine, inner_splits: {}}}]"),
        ("datasets.0.missing.rate", "datasets: [{{path: wine, missing: {{rate: {}, policy: mean}}}}]"),
        ("datasets.0.missing.seed", "datasets: [{{path: wine, missing: {{rate: 0.1, policy: mean, seed: [{}]}}}}]"),
        ("training.lr", "training: {{lr: {}}}"),
        ("training.epochs", "training: {{epochs: {}}}"),
        ("training.hidden", "training: {{hidden: [10, {}]}}"),
        ("scoring.k_values", "scoring: {{k_values: [{}]}}"),
        ("search.trials", "search: {{trials: {}}}"),
        ("search.seconds", "search: {{seconds: {}}}"),
        ("confirm.seeds", "confirm: {{seeds: {}}}"),
        ("resources.gpus", "resources: {{gpus: {}}}"),
        ("resources.retries", "resources: {{retries: {}}}"),
    ],
)
@pytest.mark.parametrize("word", ["yes", "off"])
def test_true_and_false_are_no_numbers(tmp_path, key, entry, word):
    path = tmp_path / "spec.yaml"
    text = entry.format(word)
    path.write_text(f"name: s\n{text}\n" if text.startswith("datasets") else f"name: s\ndatasets: [wine]\n{text}\n")
    with pytest.raises(SpecError, match=rf"spec.yaml: {re.escape(key)}: must be a number, but got (True|False): YAML"):
        load_spec(path)


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("tracking: {wandb: off}", r"tracking.wandb: must be a mapping, e.g. wandb: {mode: disabled}, but got False"),
        ("tracking: {wandb: on}", r"tracking.wandb: must be a mapping, e.g. wandb: {mode: offline}, but got True"),
        ("tracking: off", "tracking: must be a mapping with the keys wandb, but got False"),
        ("search: 30", "search: must be a mapping with the keys sampler, pruner, trials, batch, seconds, but got 30"),
        (
            "objective: yes",
            "objective: must be a mapping with the keys metric, importance, selection, shrink, but got True",
        ),
        ("objective: {metric: yes}", "objective.metric: must be a metric's name, but got True: YAML .* in quotes"),
        (
            "objective: {metric: [val_loss, 3]}",
            "objective.metric: must be a metric's name, but got 3: YAML .* in quotes",
        ),
        ("storage: yes", "storage: must be text, but got True: YAML .* in quotes"),
        ("out: 2024", "out: must be text, but got 2024: YAML .* in quotes"),
        ("methods: set", "methods: must be a list, but got 'set'"),
        ("training: {hidden: 100}", "training.hidden: must be a list, but got 100"),
        ("scoring: {k_values: 5}", "scoring.k_values: must be a list, but got 5"),
    ],
)
def test_what_has_another_form_is_refused_with_the_right_one(tmp_path, line, says):
    path = tmp_path / "spec.yaml"
    path.write_text(f"name: s\ndatasets: [wine]\n{line}\n")
    with pytest.raises(SpecError, match=f"spec.yaml: {says}"):
        load_spec(path)


@pytest.mark.parametrize("key", ["categorical", "drop", "dates", "missing_values"])
def test_one_name_is_a_list_of_it(key):
    spec = parse_spec({"name": "s", "datasets": [{"path": "own.csv", key: "a"}]})
    assert getattr(spec.datasets[0], key) == ("a",)


@pytest.mark.parametrize("name", ["yes", "no", "on", "1", "01", "null", "~", "2024-01-15", "1:30", "=", "<<"])
def test_in_quotes_any_name_is_itself(tmp_path, name):
    path = tmp_path / "spec.yaml"
    path.write_text(f"name: s\ndatasets: [{{path: own.csv, target: '{name}', categorical: ['{name} 2']}}]\n")
    dataset = load_spec(path).datasets[0]
    assert (dataset.target, dataset.categorical) == (name, (f"{name} 2",))
    assert parse_spec(yaml.safe_load(yaml.safe_dump(load_spec(path).model_dump(mode="json")))).datasets[0] == dataset


def test_keys_need_no_quotes(tmp_path):
    path = tmp_path / "spec.yaml"
    path.write_text("name: s\ndatasets: [wine]\nsearch: {pruner: {name: median, on: val_accuracy}}\n")
    assert load_spec(path).search.pruner.on == "val_accuracy"


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        ("name: s\nseed: 1\ndatasets: [wine]\nseed: 2\n", "'seed' twice, in line 2 and in line 4"),
        ("name: s\ndatasets:\n- path: a.csv\n  target: a\n  target: b\n", "'target' twice, in line 4 and in line 5"),
        ("name: s\ndatasets: [wine]\nspace:\n  l2: 0.1\n  lr: 0.1\n  l2: 0.2\n", "'l2' twice, in line 4 and in line 6"),
    ],
)
def test_a_key_that_is_there_twice_is_refused(tmp_path, text, lines):
    path = tmp_path / "spec.yaml"
    path.write_text(text)
    with pytest.raises(SpecError, match=f"spec.yaml: has the key {lines}"):
        load_spec(path)


def test_overrides_replace_single_values(tmp_path):
    spec = load_spec(write(tmp_path), ["search.trials=7", "methods=[set, rigl]", "search.pruner={name: asha}"])
    assert (spec.search.trials, spec.methods, spec.search.pruner.name) == (7, ("set", "rigl"), "asha")
    for wrong in ("search.trials", "=3", "name.first=a", "seed=[", "search.trails=3", "search={trials: 1, trials: 2}"):
        with pytest.raises(SpecError):
            load_spec(write(tmp_path), [wrong])


def test_samplers_and_pruners_take_a_name_or_options(tmp_path):
    spec = load_spec(write(tmp_path, search={"sampler": "random", "pruner": {"name": "median", "n_warmup_steps": 3}}))
    assert spec.search.sampler.options == {}
    assert spec.search.pruner.options == {"n_warmup_steps": 3}
    assert load_spec(write(tmp_path, search={"pruner": None})).search.pruner.name == "none"


def test_relative_paths_start_at_the_spec_and_names_stay(tmp_path):
    spec = load_spec(write(tmp_path, datasets=["wine", {"path": "own.csv", "target": "y"}]))
    assert [dataset.path for dataset in spec.datasets] == ["wine", str(tmp_path / "own.csv")]


def test_a_written_study_yaml_is_a_spec_again(tmp_path):
    path = write(tmp_path, resolved={"versions": {}})
    assert load_spec(path).name == "s"


def test_lists_in_missing_become_a_dataset_for_each_combination(tmp_path):
    sweep = {"rate": [0, 0.2], "mechanism": ["mcar", "mnar"], "policy": ["mean", "knn"], "indicators": True}
    spec = load_spec(write(tmp_path, datasets=["digits", {"path": "wine", "k": 4, "missing": sweep}]))
    plain, *swept = spec.datasets
    assert plain.missing is None
    assert {(use.path, use.k, use.split) for use in swept} == {("wine", 4, "stratified")}
    assert [use.missing.suffix for use in swept] == [
        "-indicators",
        "-knn-indicators",
        "-mcar-0.2-indicators",
        "-mcar-0.2-knn-indicators",
        "-mnar-0.2-indicators",
        "-mnar-0.2-knn-indicators",
    ]
    assert parse_spec(spec.model_dump(mode="json")) == spec, "what a study writes down is the same study"
    assert len({use.table_key for use in swept}) == 1, "the table is read once"


def test_names_of_removals_are_all_different():
    missing = [
        MissingSpec(**{"policy": "mean", **changes})
        for changes in ({}, {"rate": 0.1}, {"rate": 0.25}, {"rate": 0.1, "mechanism": "mar"}, {"policy": "zero"})
    ]
    missing += [one.model_copy(update={"indicators": True}) for one in missing]
    missing += [one.model_copy(update={"seed": 3}) for one in missing]
    assert len({one.suffix for one in missing}) == len(missing) == 20
    assert MissingSpec(rate=0.25, mechanism="mar", policy="knn", seed=3).suffix == "-mar-0.25-knn-seed3"


@pytest.mark.parametrize(
    ("missing", "message"),
    [
        ({"rate": 1}, "datasets.0.missing.rate: input should be less than 1, but got 1"),
        ({"rate": [0.1, -1], "policy": "mean"}, "datasets.1.missing.rate: .*, but got -1"),
        (
            {"mechanism": "mcr"},
            "datasets.0.missing.mechanism: unknown missing-data mechanism 'mcr': did you mean 'mcar'",
        ),
        ({"policy": ["mean", "medain"]}, "datasets.1.missing.policy: .* 'medain': did you mean 'median'"),
        ({"rates": 0.1}, "datasets.0.missing: unknown key 'rates': did you mean 'rate'"),
        ({"seed": -1}, "datasets.0.missing.seed: .*, but got -1"),
        ({"rate": []}, "datasets: wine: missing.rate needs a value or more, but its list is empty"),
        ({"rate": 0.1, "mechanism": []}, "datasets: wine: missing.mechanism needs a value or more, but"),
        ({"rate": 0.1}, "datasets.0.missing: rate=0.1 needs a policy .* one of mean, median, zero, knn"),
        ({"rate": [0, 0.1]}, "datasets.1.missing: rate=0.1 needs a policy"),
        ({"indicators": True}, "datasets.0.missing: indicators=True needs a policy"),
    ],
)
def test_what_is_wrong_with_missing_is_said(missing, message):
    with pytest.raises(SpecError, match=message):
        parse_spec({"name": "s", "datasets": [{"path": "wine", "missing": missing}]})


def test_numbers_of_numpy_are_written_as_pythons():
    document = {
        "name": "numpy",
        "seed": np.int64(3),
        "datasets": [{"path": "wine", "k": np.int16(4), "missing": {"rate": np.array([0.0, 0.25]), "policy": "mean"}}],
        "space": {"sparsity": {"values": np.array([0.5, 0.75])}, "lr": np.float32(0.5)},
        "training": {"hidden": np.array([8, 4]), "dropout": np.float32(0.5)},
        "search": {"sampler": {"name": "tpe", "n_startup_trials": np.int64(5)}, "trials": np.array(2)},
        "scoring": {"k_values": np.array([2, 3])},
        "resources": {"gpus": np.float64(0)},
    }
    spec = parse_spec(document)
    written = yaml.safe_load(yaml.safe_dump(spec.model_dump(mode="json")))
    assert parse_spec(written) == spec
    assert written["space"] == {"sparsity": {"values": [0.5, 0.75]}, "lr": 0.5}
    assert written["search"]["sampler"]["options"] == {"n_startup_trials": 5}
    assert [dataset["missing"]["rate"] for dataset in written["datasets"]] == [0.0, 0.25]
