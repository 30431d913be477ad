"""A ranking, or a whole trial, that goes on from a checkpoint ends as if nothing had happened."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dst.files.checkpoint import State, read_state, save_state
from dst.rankers import RANKERS, make_config
from dst.rankers.sparse_mlp import NetworkRanking, rank_by_sparse_mlp
from dst.topology.methods import METHODS
from dst.training.config import OPTIMIZERS, TrainingConfig
from dst.trial.run import run_trial
from dst.trial.spec import TrialSpec
from tests.support.examples import FEW
from tests.support.informative_table import FAST, informative
from tests.support.small_training import SMALL, comparable, parts


class KilledError(Exception):
    """What ends a ranking at an epoch."""


def interrupted(path, epoch, run):
    """Run until this epoch, saving it; then go on from the file in a new call."""

    def die(*arguments):
        end = arguments[-1]
        if end.epoch == epoch and not path.exists():
            save_state(path, end.state())
            raise KilledError

    with pytest.raises(KilledError):
        run(die, None)
    return run(die, read_state(path))


@settings(max_examples=max(4, FEW))  # of 100 pairs of method, optimizer, dropout and engine
@given(
    st.sampled_from(sorted(METHODS)),
    st.sampled_from(OPTIMIZERS),
    st.sampled_from([0.0, 0.3]),
    st.sampled_from(["sparse", "dense"]),
    st.integers(1, 11),
)
def test_any_ranking_interrupted_at_any_epoch(tmp_path_factory, method, optimizer, dropout, engine, epoch):
    train, validation = parts()
    config = TrainingConfig(
        method=method,
        optimizer=optimizer,
        dropout=dropout,
        engine=engine,
        sparsity=0.7,
        lr=1e-3 if optimizer == "adam" else 0.05,
        importances=("neuron_strength", "neuron_attribution", "squared_gradient", "loss_gradient"),
        **SMALL,
    )

    def run(on_epoch, state):
        return rank_by_sparse_mlp(train, validation, config, np.random.default_rng(3), on_epoch, state)

    whole = run(lambda end: None, None)
    resumed = interrupted(tmp_path_factory.mktemp("state") / "state.npz", epoch, run)
    assert comparable(resumed) == comparable(whole)
    assert resumed.scores["neuron_attribution"].any()


def test_a_state_after_the_last_epoch_has_only_the_scores_to_give():
    train, validation = parts()
    config = TrainingConfig(sparsity=0.7, **SMALL)
    states: list[State] = []

    def keep(end):
        states.append(end.state())

    whole = rank_by_sparse_mlp(train, validation, config, np.random.default_rng(3), keep)
    calls = len(states)
    last = rank_by_sparse_mlp(train, validation, config, np.random.default_rng(3), keep, states[-1])
    assert len(states) == calls
    assert comparable(last) == comparable(whole)


def test_a_ranking_of_another_table_is_refused():
    train, validation = parts()
    state = NetworkRanking(train, validation, TrainingConfig(**SMALL), np.random.default_rng(0)).state_dict()
    wide, wide_validation = parts(n_features=31)
    ranking = NetworkRanking(wide, wide_validation, TrainingConfig(**SMALL), np.random.default_rng(0))
    with pytest.raises(ValueError, match="another shape"):
        ranking.load_state_dict(state)


@pytest.mark.parametrize("split", [0, 2])
@pytest.mark.parametrize("method", ["set_attr", "dense"])
def test_a_trial_goes_on_in_the_inner_split_that_was_interrupted(method, split, tmp_path):
    data = informative()
    spec = TrialSpec(method, {**FAST, "dropout": 0.1}, seed=4, inner_splits=3)
    epochs: list[tuple[int, int]] = []

    def run(state=None):
        def at_epoch(number, end):
            epochs.append((number, end.epoch))
            if (number, end.epoch) == (split, 3) and state is None and dies:
                save_state(tmp_path / "state.npz", end.state())
                raise KilledError

        return run_trial(data, spec, at_epoch, state)

    dies = False
    whole = run()
    dies = True
    with pytest.raises(KilledError):
        run()
    epochs.clear()
    resumed = run(read_state(tmp_path / "state.npz"))
    assert epochs[0] == (split, 4), "nothing that was done is done again"
    documents = [
        {key: value for key, value in one.to_json().items() if key not in ("seconds", "bytes", "peak_rss_bytes")}
        for one in (resumed, whole)
    ]
    assert documents[0] == documents[1]
    assert [comparable(one) for one in resumed.rankings] == [comparable(one) for one in whole.rankings]
    for name, importance in whole.importances.items():
        np.testing.assert_array_equal(resumed.importances[name].scores, importance.scores)
    assert set(resumed.seconds) == set(whole.seconds)
    assert resumed.seconds["total"] > max(resumed.seconds["train"], resumed.seconds["score"])


def test_a_state_that_is_kept_does_not_change_as_the_trial_goes_on():
    data, spec = informative(), TrialSpec("set", FAST, seed=4, inner_splits=3)
    states: list[State] = []
    whole = run_trial(data, spec, lambda split, end: states.append(end.state()))
    for state in states[:: len(states) // 4]:
        resumed = run_trial(data, spec, state=state)
        assert [one.val_svm_accuracy for one in resumed.importances.values()] == [
            one.val_svm_accuracy for one in whole.importances.values()
        ]


@pytest.mark.parametrize(
    ("changed", "names"),
    [
        ({"seed": 5}, "seed"),
        ({"seed": 5, "split_seed": None}, "data_sha256, seed, split_seed"),
        ({"method": "rigl", "k": 2}, "k, method"),
        ({"settings": {**FAST, "lr": 0.1}}, "settings"),
    ],
)
def test_the_state_of_another_trial_is_refused(changed, names):
    data = informative()
    spec = TrialSpec("set", FAST, seed=4)
    states = []
    run_trial(data, spec, lambda split, end: states.append(end.state()) if not states else None)
    with pytest.raises(ValueError, match=f"of another trial: {names} differ"):
        run_trial(data, dataclasses.replace(spec, **changed), state=states[0])


EPOCHS = {"fusion", "lassonet", "neurofs", "quickselection", "sequential_attention", "stg", "wast"}
"""Rankers that go epoch by epoch, besides sparse networks."""

BRIEF = {
    **SMALL,
    "units": 10,
    "dae_epochs": 12,
    "lambda_start": 30.0,
    "path_multiplier": 1.4,
    "dense_iterations": 50,
    "path_iterations": 10,
    "trees": 20,
    "inputs": 3,
}


@pytest.mark.parametrize("epoch", [1, 2, 7])
@pytest.mark.parametrize("method", sorted(EPOCHS))
def test_rivals_that_train_go_on_where_they_were(method, epoch, tmp_path):
    train, validation = parts()
    config = make_config(method, BRIEF)

    def run(on_epoch, state):
        return RANKERS[method].rank(train, validation, config, np.random.default_rng(3), on_epoch, state)

    whole = run(lambda end: None, None)
    assert comparable(interrupted(tmp_path / "state.npz", epoch, run)) == comparable(whole)


@pytest.mark.parametrize("method", sorted(EPOCHS))
def test_after_the_last_epoch_nothing_is_left_to_train(method):
    train, validation = parts()
    config, states = make_config(method, BRIEF), []

    def run(state=None):
        keep = lambda end: states.append(end.state())  # noqa: E731
        return RANKERS[method].rank(train, validation, config, np.random.default_rng(3), keep, state)

    whole = run()
    epochs = len(states)
    assert comparable(run(states[-1])) == comparable(whole)
    assert len(states) == epochs


@pytest.mark.parametrize(
    ("method", "changed"),
    [
        ("stg", "lam"),
        ("lassonet", "M"),
        ("sequential_attention", "lr"),
        ("quickselection", "l2"),
        ("wast", "lamda"),
        ("neurofs", "zeta_inputs"),
    ],
)
def test_the_state_of_a_rival_with_other_settings_is_refused(method, changed):
    train, validation = parts()
    states = []
    rank, rng = RANKERS[method].rank, np.random.default_rng(0)
    rank(train, validation, make_config(method, BRIEF), rng, lambda end: states.append(end.state()))
    other = make_config(method, {**BRIEF, changed: 0.5})
    with pytest.raises(ValueError, match=f"other settings: {changed} differ"):
        rank(train, validation, other, rng, lambda end: None, states[0])


@pytest.mark.parametrize("method", sorted(set(RANKERS) - set(METHODS) - EPOCHS))
def test_rankers_without_epochs_hand_out_no_state(method):
    train, validation = parts()
    seen = []
    RANKERS[method].rank(train, validation, make_config(method, {}), np.random.default_rng(0), seen.append)
    assert not seen
