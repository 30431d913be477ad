"""Stochastic gates: a continuous relaxation of choosing inputs, learnt by gradient descent.

Yamada, Lindenbaum, Negahban and Kluger, "Feature Selection using Stochastic Gates", ICML 2020.
"""

from __future__ import annotations

import math

import torch
from torch import nn

from dst.rankers.gated_network import Gates


class StochasticGates(Gates):
    """One gate a column: ``z_d = max(0, min(1, mu_d + eps_d))`` with ``eps_d ~ N(0, sigma^2)`` (equation 4).

    Args:
        sizes: by column of the table how many inputs its gate opens, int64 ``(n_gates,)``.
        sigma: standard deviation of the noise, fixed.

    Attributes:
        mu: what is learnt, float32 ``(n_gates,)``; at the start 0.5, where a gate is as often shut as wide open.
    """

    def __init__(self, sizes: torch.Tensor, sigma: float) -> None:
        super().__init__()
        self.mu = nn.Parameter(torch.full(sizes.shape, 0.5, dtype=torch.float32, device="cpu"))
        self.sigma = sigma
        self._costs = sizes.to(torch.float32).sqrt()

    def sample(self, generator: torch.Generator) -> torch.Tensor:
        """Return gates with noise, in [0, 1], as training sees them.

        Args:
            generator: draws the noise.
        """
        noise = torch.randn(self.mu.shape, generator=generator, dtype=torch.float32, device="cpu")
        return torch.clamp(self.mu + self.sigma * noise, 0.0, 1.0)

    def expected(self) -> torch.Tensor:
        """Return gates without noise, ``max(0, min(1, mu_d))``, as prediction sees them."""
        return torch.clamp(self.mu, 0.0, 1.0)

    def open_probability(self) -> torch.Tensor:
        """Return ``P(z_d > 0) = Phi(mu_d / sigma)``, Phi the standard normal distribution function, for each gate."""
        return 0.5 * (1.0 + torch.erf(self.mu / (self.sigma * math.sqrt(2.0))))

    def penalty(self) -> torch.Tensor:
        """Return how many gates are expected to be open, ``sum_d Phi(mu_d / sigma)`` (equation 6 without lambda).

        A gate of several inputs, which fit more noise than one, counts as the root of their number, as a group does in
        the group lasso (Yuan and Lin, JRSSB 2006).
        """
        return (self._costs * self.open_probability()).sum()
