from __future__ import annotations

import dataclasses
from functools import cache

import numpy as np
import pytest

from dst.files.checkpoint import CheckpointError, State, read_state, save_state
from dst.topology.methods import METHODS
from dst.training.config import TrainingConfig
from dst.training.trainer import Trainer
from tests.support.small_training import SMALL, parts


def arrays_of(trainer):
    return trainer.state_dict().arrays


def resumable(method, engine):
    """A training, ready to begin: with another optimizer, or with draws in each step, as the method has it."""
    train, validation = parts()
    other = (
        {"optimizer": "sgd", "lr": 0.05}
        if method in ("static", "mest")
        else {"dropout": 0.2, "input_noise": 0.1, "label_smoothing": 0.1, "group_penalty": 0.1}
    )
    config = TrainingConfig(method=method, engine=engine, sparsity=0.7, **{**SMALL, **other})

    def importance():
        return np.arange(30.0) if method == "set_attr" else None

    return Trainer(train, validation, config, np.random.default_rng(0), importance)


@cache
def at_its_end(method, engine):
    """The same training, undisturbed."""
    trainer = resumable(method, engine)
    while not trainer.done:
        trainer.run_epoch()
    return trainer


@pytest.mark.parametrize("method", sorted(METHODS))
@pytest.mark.parametrize("engine", ["sparse", "dense"])
@pytest.mark.parametrize("epoch", [0, 1, 5])
def test_a_resumed_training_ends_bitwise_equal(method, engine, epoch, tmp_path):
    undisturbed = at_its_end(method, engine)
    first = resumable(method, engine)
    for _ in range(epoch):
        first.run_epoch()
    save_state(tmp_path / "state.npz", first.state_dict())
    resumed = resumable(method, engine)
    if epoch:
        resumed.run_epoch()  # a state replaces whatever was there
    resumed.load_state_dict(read_state(tmp_path / "state.npz"))
    assert resumed.epoch == epoch
    while not resumed.done:
        resumed.run_epoch()

    ours, theirs = arrays_of(resumed), arrays_of(undisturbed)
    assert ours.keys() == theirs.keys()
    for name, array in ours.items():
        np.testing.assert_array_equal(array, theirs[name], err_msg=name)
    results = [dataclasses.replace(one.result(), model=None, seconds={}, memory={}) for one in (resumed, undisturbed)]
    assert results[0] == results[1]


def test_a_state_of_other_settings_is_refused():
    train, validation = parts()
    state = Trainer(train, validation, TrainingConfig(**SMALL), np.random.default_rng(0)).state_dict()
    other = Trainer(train, validation, TrainingConfig(**{**SMALL, "lr": 0.1}), np.random.default_rng(0))
    with pytest.raises(ValueError, match="other settings: lr differ"):
        other.load_state_dict(state)
    wider, wider_validation = parts(n_features=31)
    with pytest.raises(ValueError, match="network of another shape"):
        Trainer(wider, wider_validation, TrainingConfig(**SMALL), np.random.default_rng(0)).load_state_dict(state)


def test_a_setting_that_came_after_a_state_had_its_default_there():
    train, validation = parts()

    def trainer(**settings):
        return Trainer(train, validation, TrainingConfig(**{**SMALL, **settings}), np.random.default_rng(0))

    before = trainer()
    before.run_epoch()
    state = before.state_dict()
    for name in ("label_smoothing", "group_penalty"):
        del state.progress["config"][name]
    del state.progress["curves"]["moved"]
    resumed = trainer()
    resumed.load_state_dict(state)
    assert resumed.run_epoch().train_loss == before.run_epoch().train_loss
    assert resumed.result().curves.moved == [None, *before.result().curves.moved[1:]]
    with pytest.raises(ValueError, match="other settings: group_penalty differ"):
        trainer(group_penalty=0.1).load_state_dict(state)
    state.progress["config"]["gone"] = 1
    with pytest.raises(ValueError, match="other settings: gone differ"):
        trainer().load_state_dict(state)


def test_files_that_are_no_checkpoints(tmp_path):
    (tmp_path / "text.npz").write_text("no archive")
    np.savez(tmp_path / "arrays.npz", a=np.zeros(3))
    np.savez(tmp_path / "pickled.npz", a=np.array([{"an": "object"}], dtype=object))
    save_state(tmp_path / "whole.npz", State({"a": np.arange(1000)}, {"epoch": 1}))
    cut = (tmp_path / "whole.npz").read_bytes()[:-100]
    (tmp_path / "cut.npz").write_bytes(cut)
    for name in ("missing", "text", "arrays", "pickled", "cut"):
        with pytest.raises(CheckpointError, match=f"{name}.npz: cannot be read as a checkpoint"):
            read_state(tmp_path / f"{name}.npz")


def test_states_nest(tmp_path):
    inner = State.of({"a": State({"x": np.arange(3)}, {"n": 1}), "b": State({}, {"n": 2})})
    save_state(tmp_path / "state.npz", State.of({"inner": inner, "other": State({"x": np.zeros(2)}, {})}))
    read = read_state(tmp_path / "state.npz")
    assert read.part("inner").part("a").arrays["x"].tolist() == [0, 1, 2]
    assert read.part("inner").part("b") == State({}, {"n": 2})
    assert read.part("other").arrays["x"].tolist() == [0, 0]
    with pytest.raises(KeyError):
        read.part("x")


def test_floats_come_back_bit_by_bit(tmp_path):
    values = {"loss": 0.1 + 0.2, "inf": float("inf"), "large": 2**127}
    save_state(tmp_path / "state.npz", State({}, values))
    assert read_state(tmp_path / "state.npz").progress == values
