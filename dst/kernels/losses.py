"""Losses on feature-major outputs and their gradients, and dropout."""

from __future__ import annotations

from typing import cast

import numpy as np
import numpy.typing as npt

from dst.kernels.jit import kernel

Floats = npt.NDArray[np.float32]
Ints64 = npt.NDArray[np.int64]
Targets = Ints64 | Floats
"""Class codes ``(n,)`` for mean cross-entropy, or float32 ``(n_outputs, n)`` for mean squared error."""


def loss_and_gradient(
    outputs: Floats, targets: Targets, gradient: Floats, label_smoothing: float = 0.0
) -> tuple[float, float]:
    """Write the gradient of the loss that compares outputs with such targets; return it and how many codes were hit.

    Args:
        outputs: float32 ``(n_outputs, >= n)``; columns beyond the targets are padding.
        targets: class codes or floats.
        gradient: written, same shape as the outputs; zero in the padding.
        label_smoothing: of :func:`cross_entropy`; float targets have none.

    Returns:
        The mean loss of the n samples, and how many have their largest output at their code (0 for float targets).
    """
    if targets.dtype == np.float32:
        floats = cast("Floats", targets)
        return float(squared_error(outputs, floats, floats.shape[1], gradient)), 0.0
    loss, hits = cross_entropy(outputs, cast("Ints64", targets), gradient, float(label_smoothing))
    return float(loss), float(hits)


@kernel
def cross_entropy(logits: Floats, labels: Ints64, gradient: Floats, label_smoothing: float) -> tuple[float, int]:
    """Write the gradient of the mean cross-entropy of ``softmax(logits)`` over classes; return loss and hits.

    With label smoothing e (Szegedy et al., CVPR 2016, section 7) a sample's target is ``(1 - e) onehot + e /
    n_classes``: its loss is ``-log softmax(z)[label] + e (z[label] - mean(z))``. ``torch.nn.CrossEntropyLoss`` computes
    the same.

    Args:
        logits: float32 ``(n_classes, >= n)``; columns beyond the labels are padding.
        labels: int64 ``(n,)``.
        gradient: written, same shape; ``(softmax - target) / n``, zero in the padding.
        label_smoothing: in [0, 1).

    Returns:
        The mean loss of the n samples, and how many have their largest logit at their label.
    """
    n = labels.shape[0]
    scale = np.float32(1) / np.float32(n)
    elsewhere = scale * np.float32(label_smoothing / logits.shape[0])
    at_label = scale * np.float32(1 - label_smoothing)
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
            gradient[c, j] = gradient[c, j] * (scale / total) - elsewhere
        gradient[labels[j], j] -= at_label
        loss += np.log(total) + logits[top, j] - logits[labels[j], j]
        if label_smoothing > 0:
            mean = 0.0
            for c in range(logits.shape[0]):
                mean += logits[c, j]
            loss += label_smoothing * (logits[labels[j], j] - mean / logits.shape[0])
        hits += top == labels[j]
    return loss / n, hits


@kernel
def squared_error(outputs: Floats, targets: Floats, n: int, gradient: Floats) -> float:
    """Write the gradient of the mean squared error over outputs and samples; return that error.

    Args:
        outputs: float32 ``(n_outputs, >= n)``; columns beyond ``n`` are padding.
        targets: float32, same shape; the padding is not read.
        n: samples.
        gradient: written, same shape; ``2 (outputs - targets) / (n_outputs n)``, zero in the padding.
    """
    total = 0.0
    scale = np.float32(2.0 / (outputs.shape[0] * n))
    for c in range(outputs.shape[0]):
        for j in range(n):
            difference = outputs[c, j] - targets[c, j]
            gradient[c, j] = scale * difference
            total += difference * difference
        for j in range(n, outputs.shape[1]):
            gradient[c, j] = np.float32(0)
    return float(total / (outputs.shape[0] * n))


@kernel
def dropout(activations: Floats, rate: float, seed: np.uint64, draw: np.uint64) -> None:
    """Set each activation to zero with probability ``rate`` and divide the others by ``1 - rate``, in place.

    Whether one is kept is a hash (SplitMix64; Steele et al. 2014) of the seed, the draw and its place, so that there is
    no state to save and the same draw always drops the same.

    Args:
        activations: float32 ``(n, batch)``.
        rate: in [0, 1).
        seed: of the training.
        draw: different for each layer and step.
    """
    scale = np.float32(1.0 / (1.0 - rate))
    limit = np.uint64(rate * 2.0**32)
    golden = np.uint64(0x9E3779B97F4A7C15)
    base = (seed ^ (draw * np.uint64(0xD1B54A32D192ED03))) * golden
    batch = activations.shape[1]
    for i in range(activations.shape[0]):
        for j in range(batch):
            z = base + np.uint64(i * batch + j + 1) * golden
            z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
            z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
            z = z ^ (z >> np.uint64(31))
            if (z >> np.uint64(32)) < limit:
                activations[i, j] = np.float32(0)
            else:
                activations[i, j] *= scale
