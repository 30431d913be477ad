"""The ways to take the measured training step: the sparse engine and its peers, from the same network and minibatch.

Each holds the parameters and the minibatch in the layout that suits it best; bringing them there is not timed.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from dst.bench.scipy_peer import ScipySparse
from dst.bench.shapes import L2, LR, Workload
from dst.bench.torch_peers import TorchCSR, TorchDense, TorchMasked
from dst.kernels import linear
from dst.training.engines.engine import StepConfig
from dst.training.engines.sparse import SparseEngine


class Peer(Protocol):
    """Trains a network of its own on one minibatch."""

    def step(self) -> float:
        """Take a whole training step (forward, backward, Adam with L2); return the mean cross-entropy before it."""


class Ours:
    """The sparse engine; it changes the workload's own network.

    Attributes:
        engine: takes the steps.
        x: the minibatch, float32 ``(n_features, padded batch)``.
        y: its labels, int64 ``(batch,)``.
    """

    def __init__(self, work: Workload, threads: int = 1) -> None:
        batch, n_features = work.x.shape
        self.engine = SparseEngine(work.model, StepConfig(lr=LR, l2=L2, batch_size=batch, threads=threads))
        self.x = linear.aligned((n_features, self.engine.width))
        self.x[:, :batch] = work.x.T
        self.x[:, batch:] = 0
        self.y = work.y

    def step(self) -> float:
        """See :meth:`Peer.step`."""
        return self.engine.step(self.x, self.y)


PEERS: dict[str, Callable[[Workload], Peer]] = {
    "torch_dense": TorchDense,
    "torch_masked": TorchMasked,
    "torch_csr": TorchCSR,
    "scipy": ScipySparse,
}
"""Makes each peer. It copies the workload's network, so that it begins where the network is now."""
