"""WAST: one update by hand, a whole training by torch's own gradients and optimizer, and where connections end up."""

from __future__ import annotations

import numpy as np
import torch
from scipy.sparse import csr_array

from dst.data.dataset import Part
from dst.rankers.settings import WastConfig
from dst.rankers.wast import WastRanking
from dst.rankers.wast_layer import grow_attended, keep_attended
from tests.support.small_training import parts

CONFIG = WastConfig(units=12, dae_epochs=3, dae_batch_size=32, lamda=0.4)


def test_what_drops_by_hand():
    """Products 10, 3, 2, 2.5 and -20, -1, -2.5, -3: the two smallest of each sign drop, and the connection of 0."""
    weight = np.array([[1, -2, 0, 0], [3, -1, 2, 0], [5, 0, -5, -6]], np.float32)
    mask = np.array([[1, 1, 0, 0], [1, 1, 1, 0], [1, 1, 1, 1]], np.bool_)
    kept = keep_attended(weight, mask, np.array([10, 1, 0.5]), 0.5)
    assert kept.astype(int).tolist() == [[1, 1, 0, 0], [1, 0, 0, 0], [0, 0, 0, 1]]
    a_third = keep_attended(weight, mask, np.array([10, 1, 0.5]), 0.3)
    assert a_third.astype(int).tolist() == [[1, 1, 0, 0], [1, 0, 0, 0], [0, 0, 0, 1]], "0.3 of 4 are 2, rounded up"


def test_what_grows_by_hand():
    """The second column, the most important one, is filled up; the first has room for what is left."""
    mask = np.array([[0, 1, 0, 0], [1, 0, 1, 0], [0, 0, 0, 0]], np.bool_)
    for count, expected in [
        (0, [[0, 1, 0, 0], [1, 0, 1, 0], [0, 0, 0, 0]]),
        (1, [[0, 1, 0, 0], [1, 1, 1, 0], [0, 0, 0, 0]]),
        (2, [[0, 1, 0, 0], [1, 1, 1, 1], [0, 0, 0, 0]]),
        (4, [[1, 1, 1, 0], [1, 1, 1, 1], [0, 0, 0, 0]]),
        (9, [[1, 1, 1, 1], [1, 1, 1, 1], [1, 1, 1, 1]]),
    ]:
        grown = mask.copy()
        grow_attended(grown, np.array([2.0, 5.0, 1.0]), count)
        assert grown.astype(int).tolist() == expected


def moved(weight: np.ndarray, mask: np.ndarray, importance: np.ndarray) -> np.ndarray:
    """Return the mask after an update, by sorting whole matrices."""
    products = np.where(mask, weight * importance[:, None], 0)
    kept = np.zeros_like(mask)
    for side in (products, -products):
        values = np.sort(side[side > 0])
        kept |= side > values[int(np.ceil(CONFIG.zeta * len(values))) - 1]
    attention = np.where(kept, -np.inf, importance[:, None])
    grown = np.argsort(-attention.reshape(-1), kind="stable")[: mask.sum() - kept.sum()]
    kept.reshape(-1)[grown] = True
    return kept


def test_a_training_is_that_of_torch():
    """Gradients of autograd on dense weights, ``torch.optim.SGD`` with Nesterov, masks after its steps."""
    train, validation = parts(n_features=10)
    ours = WastRanking(train, validation, CONFIG, np.random.default_rng(3))
    start = WastRanking(train, validation, CONFIG, np.random.default_rng(3))
    _, to_shuffle, to_noise = np.random.default_rng(3).spawn(3)
    x = torch.from_numpy((train.x - train.x.mean()) / train.x.std())
    layers = start.encoder, start.decoder
    masks = [layer.mask for layer in layers]
    tensors = [torch.from_numpy(array).requires_grad_() for array in (*(a.weight for a in layers), *start._biases)]
    encoder, decoder, hidden_bias, bias = tensors
    optimizer = torch.optim.SGD(tensors, lr=CONFIG.dae_lr, momentum=CONFIG.momentum, nesterov=True)
    importance = [np.zeros(10), np.zeros(10)]
    for _ in range(CONFIG.dae_epochs):
        for rows in torch.from_numpy(to_shuffle.permutation(100)).split(32):
            noise = torch.from_numpy(to_noise.standard_normal((len(rows), 10), dtype=np.float32))
            hidden = torch.sigmoid((x[rows] + 0.2 * noise) @ encoder + hidden_bias)
            difference = hidden @ decoder.T + bias - x[rows]
            optimizer.zero_grad()
            (difference**2).mean().backward()
            optimizer.step()
            for side, weight in enumerate((encoder, decoder)):
                with torch.no_grad():
                    weight *= torch.from_numpy(masks[side])
                strength = weight.detach().abs().sum(dim=1)
                importance[side] += (0.4 * difference.detach().abs().mean(dim=0) + 0.6 * strength).numpy()
                masks[side] = moved(weight.detach().numpy(), masks[side], importance[side])
    while not ours.done:
        ours.run_epoch()
    for layer, weight, mask, expected in zip((ours.encoder, ours.decoder), tensors, masks, importance, strict=False):
        np.testing.assert_array_equal(layer.mask, mask)
        np.testing.assert_allclose(layer.weight, weight.detach(), rtol=1e-4, atol=1e-6)
        np.testing.assert_allclose(layer.importance, expected, rtol=1e-5)
    (scores,) = ours.scores().scores.values()
    np.testing.assert_array_equal(scores, ours.encoder.importance)


def test_the_number_of_connections_stays_and_important_columns_take_them():
    train, validation = parts(n_features=20)
    wide = np.concatenate([train.x[:, :1] * 20, train.x[:, 1:]], axis=1)
    ranking = WastRanking(Part(wide, train.y, 2), validation, CONFIG, np.random.default_rng(0))
    count = ranking.encoder.mask.sum()
    assert count == round(0.2 * 20 * 12)
    while not ranking.done:
        ranking.run_epoch()
        assert ranking.encoder.mask.sum() == ranking.decoder.mask.sum() == count
    assert ranking.encoder.importance.argmax() == 0
    assert ranking.encoder.mask[0].all()


def test_all_values_are_scaled_together():
    """A table in other units, or sparse, is the same one; one column in other units is not."""
    train, validation = parts()
    train.x[np.abs(train.x) < 0.5] = 0

    def scores(x):
        ranking = WastRanking(Part(x, train.y, 2), validation, CONFIG, np.random.default_rng(1))
        ranking.run_epoch()
        return ranking.encoder.importance

    plain = scores(train.x)
    np.testing.assert_array_equal(scores(csr_array(train.x)), plain)
    np.testing.assert_allclose(scores(4 * train.x + 8), plain, rtol=1e-4)
    assert not np.allclose(scores(train.x * np.where(np.arange(30) == 0, 3, 1).astype(np.float32)), plain, rtol=0.01)
