from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch

from dst.data.dataset import Part
from dst.errors import InputError
from dst.training.batches import Batches, output_width
from dst.training.config import LOSSES
from dst.training.trainer import Trainer, TrainingConfig, fit
from tests.support.small_training import SMALL, parts


def with_targets(*targets):
    return [dataclasses.replace(part, y=y) for part, y in zip(parts(), targets, strict=True)]


def linear_targets(n_outputs: int | None):
    """Float targets that are a linear function of the first three columns, plus a little noise."""
    rng = np.random.default_rng(1)
    weights = rng.normal(size=(3, n_outputs or 1))
    made = []
    for part in parts():
        y = part.x[:, :3] @ weights + 0.05 * rng.normal(size=(len(part.x), n_outputs or 1))
        made.append((y if n_outputs else y[:, 0]).astype(np.float32))
    return with_targets(*made)


LEARN = {"hidden": (60, 30), "epochs": 150, "patience": 150, "batch_size": 16, "sparsity": 0.5, "lr": 3e-3}


@pytest.mark.parametrize("engine", ["sparse", "dense"])
@pytest.mark.parametrize("n_outputs", [None, 1, 4])
def test_a_linear_target_is_learnt(n_outputs, engine):
    train, validation = linear_targets(n_outputs)
    config = TrainingConfig(loss="squared_error", engine=engine, l2=1e-3, **LEARN)
    result = fit(train, validation, config, np.random.default_rng(0))
    assert result.model.linears[-1].out_features == (n_outputs or 1)
    assert result.val_accuracy > 0.8, "R squared"
    variance = float(np.mean(np.var(np.atleast_2d(validation.y.T), axis=1)))
    assert result.val_loss == pytest.approx((1 - result.val_accuracy) * variance, rel=1e-4)


@pytest.mark.parametrize("engine", ["sparse", "dense"])
@pytest.mark.parametrize("method", ["set", "rigl"])
def test_an_autoencoder_finds_what_columns_have_in_common(engine, method):
    """Thirty columns that three hidden numbers make: the reconstruction of unseen rows beats their mean by far."""
    rng = np.random.default_rng(2)
    x = (rng.normal(size=(300, 3)) @ rng.normal(size=(3, 30))).astype(np.float32)
    x /= x.std()
    train, validation = (Part(rows, np.zeros(len(rows), np.int64), 1) for rows in (x[:200], x[200:]))
    settings = {**LEARN, "hidden": (40, 20, 40), "epochs": 60}
    noisy, plain = (
        fit(
            train,
            validation,
            TrainingConfig(method=method, loss="reconstruction", engine=engine, input_noise=noise, **settings),
            np.random.default_rng(0),
        )
        for noise in (0.2, 0.0)
    )
    for result in (noisy, plain):
        assert result.model.linears[-1].out_features == 30
        assert result.val_loss < 0.3 * float(x[200:].var())
    assert noisy.curves.train_loss[-1] > plain.curves.train_loss[-1], "noise makes it harder"


@pytest.mark.parametrize("loss", LOSSES)
def test_noise_repeats_changes_the_training_and_leaves_validation_alone(loss):
    train, validation = linear_targets(2) if loss == "squared_error" else parts()
    losses = {}
    for name, noise in (("none", 0.0), ("some", 0.5), ("again", 0.5)):
        config = TrainingConfig(loss=loss, sparsity=0.5, input_noise=noise, **SMALL)
        trainer = Trainer(train, validation, config, np.random.default_rng(0))
        end = trainer.run_epoch()
        outputs = end.model(torch.from_numpy(validation.x)).detach()
        targets = torch.from_numpy(validation.x if loss == "reconstruction" else validation.y)
        compare = torch.nn.functional.cross_entropy if loss == "cross_entropy" else torch.nn.functional.mse_loss
        assert end.val_loss == pytest.approx(compare(outputs, targets).item(), rel=1e-4), (
            "validation rows are as they are"
        )
        losses[name] = end.train_loss
    assert losses["some"] == losses["again"] != losses["none"]


@pytest.mark.parametrize("width", [1, 16, 48])
@pytest.mark.parametrize("loss", LOSSES)
def test_a_minibatch_by_hand(loss, width):
    train, _ = linear_targets(2) if loss == "squared_error" else parts()
    rows = np.array([5, 0, 99])
    x, y = Batches(train, loss, width).rows(rows)
    assert x.shape == (30, 3 if width == 1 else width)
    np.testing.assert_array_equal(x[:, :3], train.x[rows].T)
    assert not x[:, 3:].any()
    expected = {"cross_entropy": train.y[rows], "squared_error": train.y[rows].T, "reconstruction": train.x[rows].T}
    np.testing.assert_array_equal(y, expected[loss])
    assert y.flags.c_contiguous
    y += 1
    np.testing.assert_array_equal(x[:, :3], train.x[rows].T)


@pytest.mark.parametrize(
    ("loss", "y", "message"),
    [
        ("squared_error", np.zeros(100, np.int64), r"needs float32 targets .* but got int64 \(100,\)"),
        ("squared_error", np.zeros((100, 2, 2), np.float32), r"but got float32 \(100, 2, 2\)"),
        ("cross_entropy", np.zeros(100, np.float32), r"needs int64 class codes \(n_rows,\), but got float32 \(100,\)"),
    ],
)
def test_targets_of_another_kind_are_refused(loss, y, message):
    train, validation = with_targets(y, y[:50])
    with pytest.raises(InputError, match=message):
        Trainer(train, validation, TrainingConfig(loss=loss, **SMALL), np.random.default_rng(0))
    assert output_width(train, "reconstruction") == 30


def test_rows_without_targets_are_refused():
    with pytest.raises(ValueError, match="as many rows, but have 3 and 4"):
        Batches(Part(np.zeros((3, 2), np.float32), np.zeros(4, np.int64), 2), "cross_entropy", 16)
