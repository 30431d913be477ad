"""Batches as an engine takes them, and what it does after a step."""

from __future__ import annotations

import numpy as np
import torch

from dst.kernels.simd import WIDTH
from dst.network.layers import MaskedLinear


def batch(rng, n_features, n, n_classes, width=WIDTH):
    """Samples padded with zeros to a multiple of ``width``, and labels."""
    x = np.zeros((n_features, -(-n // width) * width), np.float32)
    x[:, :n] = rng.normal(size=(n_features, n))
    return x, rng.integers(0, n_classes, n)


@torch.no_grad()
def shrink_by_hand(layer: MaskedLinear, threshold: float) -> None:
    """The proximal step of a group lasso on the columns of a weight, one after the other."""
    for i in range(layer.in_features):
        exists = slice(None) if layer.mask is None else layer.mask[:, i]
        weights = layer.weight[exists, i].double()
        norm = float(weights.norm())
        factor = max(0.0, 1 - threshold * len(weights) ** 0.5 / norm) if norm > 0 else 0.0
        layer.weight[exists, i] = (factor * weights).float()
