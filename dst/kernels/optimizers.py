"""Optimizer steps on a run of values, with coupled weight decay. The caller owns all state.

:func:`update` is either of them, so that one compiled training step serves both.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from dst.kernels.jit import kernel
from dst.kernels.simd import WIDTH, vadd, vdiv, vfma, vload, vload_first, vmul, vsplat, vsqrt, vstore, vstore_first

Floats = npt.NDArray[np.float32]

_ONE = np.float32(1)


@kernel
def adam(
    values: Floats,
    first_moments: Floats,
    second_moments: Floats,
    gradient: Floats,
    start: int,
    count: int,
    hyper: Floats,
) -> None:
    """Take an Adam step on ``values[start : start + count]`` with ``gradient[:count]`` (Kingma and Ba 2015).

    ``g += l2 w;  m = b1 m + (1 - b1) g;  v = b2 v + (1 - b2) g^2;  w -= lr (m / c1) / (sqrt(v / c2) + eps)`` with
    ``c = 1 - b^t``; ``torch.optim.Adam`` computes the same.

    Args:
        values: float32 ``(n,)``, changed.
        first_moments: float32 ``(n,)``, changed.
        second_moments: float32 ``(n,)``, changed.
        gradient: float32 ``(>= count,)``.
        start: where the run begins.
        count: how long it is.
        hyper: float32 ``(lr / c1, l2, b1, b2, eps, 1 / sqrt(c2))`` (:func:`adam_hyper`).
    """
    rate, l2 = vsplat(-hyper[0]), vsplat(hyper[1])
    b1, rest1 = vsplat(hyper[2]), vsplat(_ONE - hyper[2])
    b2, rest2 = vsplat(hyper[3]), vsplat(_ONE - hyper[3])
    eps, correction = vsplat(hyper[4]), vsplat(hyper[5])
    at = np.intp(start)
    done = np.intp(0)
    while done + WIDTH <= count:
        w = vload(values, at)
        g = vfma(l2, w, vload(gradient, done))
        m = vfma(b1, vload(first_moments, at), vmul(rest1, g))
        v = vfma(b2, vload(second_moments, at), vmul(rest2, vmul(g, g)))
        vstore(first_moments, at, m)
        vstore(second_moments, at, v)
        vstore(values, at, vadd(w, vdiv(vmul(rate, m), vfma(vsqrt(v), correction, eps))))
        at += WIDTH
        done += WIDTH
    left = count - done
    if left > 0:
        w = vload_first(values, at, left)
        g = vfma(l2, w, vload_first(gradient, done, left))
        m = vfma(b1, vload_first(first_moments, at, left), vmul(rest1, g))
        v = vfma(b2, vload_first(second_moments, at, left), vmul(rest2, vmul(g, g)))
        vstore_first(first_moments, at, left, m)
        vstore_first(second_moments, at, left, v)
        vstore_first(values, at, left, vadd(w, vdiv(vmul(rate, m), vfma(vsqrt(v), correction, eps))))


@kernel
def sgd(
    values: Floats,
    velocity: Floats,
    gradient: Floats,
    start: int,
    count: int,
    hyper: Floats,
) -> None:
    """Take a step of gradient descent with momentum on ``values[start : start + count]`` with ``gradient[:count]``.

    ``g += l2 w;  v = momentum v + g;  w -= lr v``; ``torch.optim.SGD`` computes the same.

    Args:
        values: float32 ``(n,)``, changed.
        velocity: float32 ``(n,)``, changed.
        gradient: float32 ``(>= count,)``.
        start: where the run begins.
        count: how long it is.
        hyper: float32 ``(lr, l2, momentum, ...)`` (:func:`sgd_hyper`).
    """
    rate, l2, momentum = vsplat(-hyper[0]), vsplat(hyper[1]), vsplat(hyper[2])
    at = np.intp(start)
    done = np.intp(0)
    while done + WIDTH <= count:
        w = vload(values, at)
        v = vfma(momentum, vload(velocity, at), vfma(l2, w, vload(gradient, done)))
        vstore(velocity, at, v)
        vstore(values, at, vfma(rate, v, w))
        at += WIDTH
        done += WIDTH
    left = count - done
    if left > 0:
        w = vload_first(values, at, left)
        v = vfma(momentum, vload_first(velocity, at, left), vfma(l2, w, vload_first(gradient, done, left)))
        vstore_first(velocity, at, left, v)
        vstore_first(values, at, left, vfma(rate, v, w))


@kernel
def update(
    is_adam: bool,
    values: Floats,
    first_moments: Floats,
    second_moments: Floats,
    gradient: Floats,
    start: int,
    count: int,
    hyper: Floats,
) -> None:
    """Take a step with :func:`adam`, or with :func:`sgd`, which leaves ``second_moments`` alone."""
    if is_adam:
        adam(values, first_moments, second_moments, gradient, start, count, hyper)
    else:
        sgd(values, first_moments, gradient, start, count, hyper)


def sgd_hyper(lr: float, l2: float, momentum: float) -> Floats:
    """Return the settings of :func:`sgd`."""
    return np.array([lr, l2, momentum, 0, 0, 0], np.float32)


def adam_hyper(step: int, lr: float, l2: float, b1: float = 0.9, b2: float = 0.999, eps: float = 1e-8) -> Floats:
    """Return the settings of :func:`adam` at optimizer step ``step`` (from 1)."""
    return np.array([lr / (1 - b1**step), l2, b1, b2, eps, (1 - b2**step) ** -0.5], np.float32)
