from __future__ import annotations

import numpy as np
import pytest
import torch

from dst.network.layers import MaskedLinear, SparseLinear
from dst.network.model import SparseMLP


def test_a_layer_stores_connections_only():
    layer = SparseLinear(50, 30, 77, np.random.default_rng(0))
    assert layer.indices.dtype == torch.int32
    assert layer.nnz == layer.indices.numel() == 77
    assert max(tensor.numel() for tensor in layer.state_dict().values()) == 77
    assert (layer.dense_weight() != 0).sum() == 77


@pytest.mark.parametrize("batch", [1, 15, 16, 33])
def test_autograd_matches_the_masked_oracle(batch):
    rng = np.random.default_rng(1)
    layer = SparseLinear(20, 7, 40, rng)
    oracle = MaskedLinear.like(layer)
    x = torch.from_numpy(rng.normal(size=(20, batch)).astype(np.float32))
    inputs = [x.clone().requires_grad_() for _ in range(2)]
    for one, x_in in zip((layer, oracle), inputs, strict=True):
        (one(x_in) ** 2).sum().backward()
    torch.testing.assert_close(layer(x), oracle(x))
    torch.testing.assert_close(inputs[0].grad, inputs[1].grad)
    torch.testing.assert_close(layer.bias.grad, oracle.bias.grad)
    torch.testing.assert_close(layer.values.grad, oracle.weight.grad.view(-1)[torch.from_numpy(layer.positions())])


@pytest.mark.parametrize("sparsity", [0.5, 0.9, 0.98])
def test_fifty_steps_match_the_masked_oracle(sparsity):
    """Static topology, Adam with L2: the same losses and weights to float32 tolerance."""
    rng = np.random.default_rng(2)
    model = SparseMLP(40, 3, hidden=(60, 20), sparsity=sparsity, rng=rng)
    oracle = model.masked()
    x = torch.from_numpy(rng.normal(size=(50, 37, 40)).astype(np.float32))
    y = torch.from_numpy(rng.integers(0, 3, (50, 37)))
    losses = []
    for network in (model, oracle):
        optimizer = torch.optim.Adam(network.parameters(), lr=1e-3, weight_decay=1e-3, fused=True)
        trace = []
        for step in range(50):
            loss = torch.nn.functional.cross_entropy(network(x[step]), y[step])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            trace.append(loss.item())
        losses.append(trace)
    np.testing.assert_allclose(losses[0], losses[1], rtol=1e-5)
    for sparse, masked in zip(model.linears, oracle.linears, strict=True):
        torch.testing.assert_close(sparse.dense_weight(), masked.masked_weight().detach(), rtol=1e-4, atol=1e-5)
        assert sparse.nnz == masked.nnz


def test_weights_start_as_in_torch_linear():
    layer = SparseLinear(100, 200, 10_000, np.random.default_rng(3))
    assert layer.values.abs().max() <= 0.1
    assert layer.values.std().item() == pytest.approx(0.1 / 3**0.5, rel=0.05)
    assert layer.bias.abs().max() <= 0.1


def test_panels_change_the_order_of_storage_only():
    layer, other = (SparseLinear(20, 7, 40, np.random.default_rng(1)) for _ in range(2))
    other.arrange(6)
    assert other.tile == 6
    assert other.positions().tolist() != layer.positions().tolist()
    torch.testing.assert_close(other.dense_weight(), layer.dense_weight(), rtol=0, atol=0)
    x = torch.randn(20, 9, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(other(x), layer(x))
    for mine, theirs in zip(other.csr(), layer.csr(), strict=True):
        np.testing.assert_array_equal(mine, theirs)


def test_a_state_in_other_panels_is_taken_over():
    layer, other = (SparseLinear(20, 7, 40, np.random.default_rng(seed)) for seed in (1, 2))
    layer.arrange(6)
    other.load_state_dict(layer.state_dict())
    assert other.tile == 6
    torch.testing.assert_close(other.dense_weight(), layer.dense_weight(), rtol=0, atol=0)
    with pytest.raises(RuntimeError, match="size mismatch for values"):
        other.load_state_dict(SparseLinear(20, 7, 41, np.random.default_rng(1)).state_dict())


@pytest.mark.parametrize("nnz", [0, 13])
def test_impossible_numbers_of_connections_are_refused(nnz):
    with pytest.raises(ValueError, match=f"1 <= nnz <= n_in \\* n_out must hold, but got nnz={nnz}"):
        SparseLinear(4, 3, nnz, np.random.default_rng(0))


@pytest.mark.parametrize("sparsity", [-0.1, 1.0, 1.5])
def test_impossible_sparsities_are_refused(sparsity):
    with pytest.raises(ValueError, match="0 <= sparsity < 1 must hold"):
        SparseMLP(4, 2, sparsity=sparsity, rng=np.random.default_rng(0))
