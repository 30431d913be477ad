"""Batches as an engine takes them."""

from __future__ import annotations

import numpy as np

from dst.kernels.simd import WIDTH


def batch(rng, n_features, n, n_classes, width=WIDTH):
    """Samples padded with zeros to a multiple of ``width``, and labels."""
    x = np.zeros((n_features, -(-n // width) * width), np.float32)
    x[:, :n] = rng.normal(size=(n_features, n))
    return x, rng.integers(0, n_classes, n)
