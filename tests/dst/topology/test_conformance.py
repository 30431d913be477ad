"""What every topology rule must keep, in training: each joins by being registered."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch

from dst.data.dataset import Part
from dst.network.layers import SparseLinear
from dst.network.model import SparseMLP
from dst.network.sparsity import DISTRIBUTIONS, connections
from dst.topology.drop import DROP_RULES
from dst.topology.grow import GROW_RULES
from dst.topology.methods import METHODS, Method
from dst.topology.schedules import SCHEDULES
from dst.training.config import TrainingConfig
from dst.training.engines.engine import StepConfig
from dst.training.engines.sparse import SparseEngine
from dst.training.engines.torch import TorchEngine
from dst.training.trainer import Trainer
from tests.support.engine_batches import batch

PAIRS = {f"{drop}+{grow}": Method(True, drop, grow) for drop, grow in itertools.product(DROP_RULES, GROW_RULES)}
RULES = {name: method for name, method in METHODS.items() if method.sparse} | PAIRS
WIDTHS = (17, 12, 9, 4)
SHAPES = list(itertools.pairwise(WIDTHS))
FRACTION = 0.3
STEPS = StepConfig(lr=1e-2, l2=1e-3, dropout=0.1, seed=5, batch_size=16)


class Training:
    """A small network with its engine; every third step its connections move."""

    def __init__(self, rule: str, distribution: str, engine: str, seed: int = 0) -> None:
        self.method = RULES[rule]
        self.rng = np.random.default_rng(seed)
        model = SparseMLP(
            WIDTHS[0], WIDTHS[-1], hidden=WIDTHS[1:-1], sparsity=0.6, distribution=distribution, rng=self.rng
        )
        self.model = model if engine == "sparse" else model.masked()
        self.engine = (SparseEngine if engine == "sparse" else TorchEngine)(self.model, STEPS)
        self.losses: list[float] = []

    def run(self, steps: int) -> None:
        for _ in range(steps):
            x, y = batch(self.rng, WIDTHS[0], 16, WIDTHS[-1])
            self.losses.append(self.engine.step(x, y))
            if len(self.losses) % 3 == 0:
                self.move(x)

    def move(self, x: np.ndarray) -> int:
        return self.engine.rewire(self.method, FRACTION, self.rng, x, np.arange(WIDTHS[0], dtype=float))

    def tensors(self) -> dict[str, torch.Tensor]:
        return {name: tensor.clone() for name, tensor in self.model.state_dict().items()}

    def connections(self) -> list[dict[int, tuple[float, ...]]]:
        """For each layer: flat position to value and moments."""
        state, found = self.engine.state(), []
        for index, layer in enumerate(self.model.linears):
            at = layer.positions()
            if isinstance(self.engine, SparseEngine):
                columns = [layer.values.detach().numpy(), *(state[f"{index}.values.{order}"] for order in (1, 2))]
            else:
                names = ("exp_avg", "exp_avg_sq")
                whole = [layer.weight.detach().numpy(), *(state[f"{2 * index}.{name}"] for name in names)]
                columns = [array.reshape(-1)[at] for array in whole]
            rows = zip(*(column.tolist() for column in columns), strict=True)
            found.append(dict(zip(at.tolist(), rows, strict=True)))
        return found


every = [
    pytest.mark.parametrize("engine", ["sparse", "dense"]),
    pytest.mark.parametrize("distribution", sorted(DISTRIBUTIONS)),
    pytest.mark.parametrize("rule", sorted(RULES)),
]


def for_every_rule(test):
    for mark in every:
        test = mark(test)
    return test


@for_every_rule
def test_connections_keep_their_number_order_and_moments(rule, distribution, engine):
    """Exact nnz; positions ascending and unique; what stays keeps value and moments, what grows starts at zero."""
    training = Training(rule, distribution, engine)
    expected = connections(SHAPES, 0.6, distribution)
    assert training.model.nnz == expected
    moved = False
    for _ in range(4):
        training.run(2)
        x, y = batch(training.rng, WIDTHS[0], 16, WIDTHS[-1])
        training.engine.step(x, y)
        before = training.connections()
        counted, all_grown = training.move(x), 0
        assert training.model.nnz == expected
        for layer, old, new in zip(training.model.linears, before, training.connections(), strict=True):
            places = layer.places() if isinstance(layer, SparseLinear) else layer.positions()
            assert (np.diff(places) > 0).all()
            assert 0 <= places[0] <= places[-1] < layer.in_features * layer.out_features
            for position, values in new.items():
                assert values == old.get(position, (0.0, 0.0, 0.0))
            grown = len(new.keys() - old.keys())
            free = layer.in_features * layer.out_features - layer.nnz
            wanted = min(int(np.ceil(FRACTION * layer.nnz)), free) if training.method.grow else 0
            assert grown == wanted
            moved = moved or grown > 0
            all_grown += grown
        assert counted == all_grown
    assert moved == (training.method.grow is not None)


@for_every_rule
def test_a_state_goes_on_and_a_seed_repeats(rule, distribution, engine):
    whole, again, first, second = (Training(rule, distribution, engine) for _ in range(4))
    whole.run(12)
    again.run(12)
    assert again.losses == whole.losses

    first.run(7)
    arrays = {name: array.copy() for name, array in first.engine.state().items()}
    second.run(1)  # a state replaces whatever was there
    second.model.load_state_dict(first.tensors())
    second.engine.load_state(arrays)
    second.rng.bit_generator.state = first.rng.bit_generator.state
    second.losses = list(first.losses)
    second.run(5)
    assert second.losses == whole.losses
    for name, tensor in second.tensors().items():
        torch.testing.assert_close(tensor, whole.tensors()[name], rtol=0, atol=0, msg=name)


END = 0.01
DOCUMENTED = {  # the share of the way from the end's to the first that is left, by progress
    "constant": lambda progress: 1.0,
    "linear": lambda progress: 1 - progress,
    "cosine": lambda progress: np.cos(np.pi * progress / 2) ** 2,
}


@pytest.mark.parametrize("engine", ["sparse", "dense"])
@pytest.mark.parametrize("schedule", sorted(SCHEDULES))
def test_every_schedule_trains_and_moves_the_share_that_it_documents(schedule, engine):
    rng = np.random.default_rng(0)
    drawn = [batch(rng, WIDTHS[0], 64, WIDTHS[-1]) for _ in range(2)]
    parts = [Part(np.ascontiguousarray(x.T), y, n_classes=WIDTHS[-1]) for x, y in drawn]
    config = TrainingConfig(
        schedule=schedule,
        engine=engine,
        sparsity=0.6,
        hidden=WIDTHS[1:-1],
        epochs=6,
        batch_size=16,
        update_interval=4,  # one update an epoch, after its last step
        drop_fraction=FRACTION,
        final_drop_fraction=END,
    )
    trainer = Trainer(*parts, config, rng, lambda: np.ones(WIDTHS[0]))
    losses, grown = [], []
    for _ in range(config.epochs):
        before = [set(layer.positions().tolist()) for layer in trainer.model.linears]
        losses.append(trainer.run_epoch().train_loss)
        after = [set(layer.positions().tolist()) for layer in trainer.model.linears]
        grown.append([len(new - old) for old, new in zip(before, after, strict=True)])
    assert np.isfinite(losses).all()
    assert losses[-1] < losses[0]
    left = [DOCUMENTED[schedule]((epoch + 1) / config.epochs) for epoch in range(config.epochs)]
    shares = [END + (FRACTION - END) * weight for weight in left]
    layers = [(layer.nnz, layer.in_features * layer.out_features) for layer in trainer.model.linears]
    wanted = [[min(int(np.ceil(share * nnz - 1e-9)), size - nnz) for nnz, size in layers] for share in shares]
    assert grown == wanted
