"""Losses on feature-major outputs, and their gradients."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from dst.kernels.jit import kernel

Floats = npt.NDArray[np.float32]
Ints64 = npt.NDArray[np.int64]


@kernel
def cross_entropy(logits: Floats, labels: Ints64, gradient: Floats) -> tuple[float, int]:
    """Write the gradient of the mean cross-entropy of ``softmax(logits)`` over classes; return loss and hits.

    Args:
        logits: float32 ``(n_classes, >= n)``; columns beyond the labels are padding.
        labels: int64 ``(n,)``.
        gradient: written, same shape; ``(softmax - onehot) / n``, zero in the padding.

    Returns:
        The mean cross-entropy of the n samples, and how many have their largest logit at their label.
    """
    n = labels.shape[0]
    scale = np.float32(1) / np.float32(n)
    loss = 0.0
    hits = 0
    for j in range(logits.shape[1]):
        if j >= n:
            for c in range(logits.shape[0]):
                gradient[c, j] = np.float32(0)
            continue
        top = 0
        for c in range(1, logits.shape[0]):
            if logits[c, j] > logits[top, j]:
                top = c
        total = np.float32(0)
        for c in range(logits.shape[0]):
            e = np.exp(logits[c, j] - logits[top, j])
            gradient[c, j] = e
            total += e
        for c in range(logits.shape[0]):
            gradient[c, j] *= scale / total
        gradient[labels[j], j] -= scale
        loss += np.log(total) + logits[top, j] - logits[labels[j], j]
        hits += top == labels[j]
    return loss / n, hits
