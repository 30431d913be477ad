"""Training a sparse network: minibatches, topology updates, early stopping on the validation loss."""

from __future__ import annotations

import dataclasses
import math
import time
from collections.abc import Callable
from functools import partial

import numpy as np
import numpy.typing as npt
import torch

from dst.data.dataset import Part
from dst.files.checkpoint import State, changed_settings
from dst.network.model import SparseMLP
from dst.topology.inputs import InputElimination
from dst.topology.methods import METHODS
from dst.topology.schedules import SCHEDULES, share
from dst.training.batches import Batches, HeldOut, output_width
from dst.training.config import TrainingConfig
from dst.training.engines.choice import check_device, choose_engine, make_engine, torch_threads, with_gradients
from dst.training.engines.engine import StepConfig, anywhere
from dst.training.epochs import Curves, check_losses
from dst.training.result import EpochEnd, FitResult, StepStart, training_flops


class Trainer:
    """A training that goes epoch by epoch and can be saved between any two.

    The loss is the mean over a minibatch (cross-entropy: on logits, and on labels that may be smoothed; on validation
    rows they never are), L2 is coupled weight decay. Every ``update_interval`` optimizer steps, the connections of each
    layer move (:func:`dst.topology.rewire.rewire`) where the method says so.

    Args:
        train: rows to train on.
        validation: rows that decide when to stop.
        config: the network and its training.
        rng: draws the network, the order of rows, grown connections and noise, each from a stream of its own.
        input_importance: how much each feature has mattered so far, float64 ``(n_features,)``, for methods that grow by
            importance; None while it is not known.
        before_step: called before each step; its time does not count as training's.
        inputs: which inputs leave while connections move, and when; None: all stay.

    Attributes:
        model: the network as it is now.
        epoch: how many epochs were trained.
        engine: what trains it: ``sparse`` or ``dense``.

    Raises:
        InputError: the targets are not what the loss compares with, or the device is not there.
    """

    @with_gradients
    def __init__(
        self,
        train: Part,
        validation: Part,
        config: TrainingConfig,
        rng: np.random.Generator,
        input_importance: Callable[[], npt.NDArray[np.float64] | None] = lambda: None,
        before_step: Callable[[StepStart], None] = lambda start: None,
        inputs: InputElimination | None = None,
    ) -> None:
        check_device(config.device)
        self._config = config
        self._method = METHODS[config.method]
        to_init, self._to_shuffle, self._to_grow, self._to_noise = rng.spawn(4)
        model = SparseMLP(
            train.x.shape[1],
            output_width(train, config.loss),
            hidden=config.hidden,
            sparsity=config.sparsity if self._method.sparse else None,
            distribution=config.distribution,
            rng=to_init,
        )
        steps = StepConfig(
            config.lr,
            config.l2,
            config.optimizer,
            config.momentum,
            config.dropout,
            seed=int(to_init.integers(2**63)),
            batch_size=min(config.batch_size, len(train.y)),
            threads=config.threads,
            label_smoothing=config.label_smoothing,
            group_penalty=config.group_penalty,
        )
        self.engine = "dense"
        if self._method.sparse:
            size = {"connections": sum(model.nnz), "weights": model.dense_size, "batch_size": config.batch_size}
            self.engine = choose_engine(config.engine, config.device, **size)
        self.model, self._engine = make_engine(model, steps, self.engine, config.device)
        self._batches = Batches(train, config.loss, self._engine.width)
        self._held_out = HeldOut(validation, config.loss, self._engine)
        self._n_rows = len(train.y)
        self._total_steps = config.epochs * -(-self._n_rows // config.batch_size)
        self._input_importance = input_importance
        self._before_step = before_step
        self._inputs = inputs
        self.epoch = 0
        self._step = 0
        self._moved = 0
        self._curves = Curves()
        self._seconds = {"train": 0.0, "topology": 0.0, "evaluate": 0.0}
        self._best_epoch, self._best_loss = 0, math.inf
        self._best_state = self._copy_of_model()

    @property
    def done(self) -> bool:
        """Whether the epochs are used up or patience has ended."""
        config = self._config
        return self.epoch >= config.epochs or self.epoch - self._best_epoch >= config.patience

    @with_gradients
    def run_epoch(self) -> EpochEnd:
        """Train one epoch and evaluate on the validation rows.

        Raises:
            DivergedError: a loss or a weight is not finite.
        """
        with torch_threads(self._config.threads):
            train_loss = self._train_on_all_rows()
            started = time.perf_counter()
            self.epoch += 1
            val_loss, val_accuracy = self._held_out.evaluate()
        check_losses(self.epoch, train_loss, val_loss, lr=self._config.lr, l2=self._config.l2)
        moved = None if self._method.grow is None else self._moved / sum(self.model.nnz)
        improved = self._curves.add(train_loss, val_loss, val_accuracy, moved)
        if improved:
            self._best_epoch, self._best_loss = self.epoch, val_loss
            for name, tensor in self.model.state_dict().items():
                self._best_state[name].copy_(tensor)
        self._seconds["evaluate"] += time.perf_counter() - started
        strength = self.model.linears[0].input_strength
        return EpochEnd(self.epoch, train_loss, val_loss, val_accuracy, improved, self.state_dict, self.model, strength)

    @with_gradients
    def result(self) -> FitResult:
        """Return what was trained, with the network as it was at its best epoch; training is over then."""
        memory = self._engine.memory()
        self.model.load_state_dict(self._best_state)
        self.model.zero_grad()  # frees the gradients
        return FitResult(
            model=self.model.sparse() if self._method.sparse and self.engine == "dense" else self.model.cpu(),
            best_epoch=self._best_epoch,
            val_loss=self._best_loss,
            val_accuracy=self._curves.val_accuracy[self._best_epoch - 1],
            epochs=self.epoch,
            curves=self._curves,
            flops=training_flops(sum(self.model.nnz), self._n_rows, self.epoch),
            seconds=self._seconds,
            engine=self.engine,
            memory=memory,
        )

    def state_dict(self) -> State:
        """Return all that the rest of the training depends on, besides what the constructor was given.

        A training that is constructed alike and given this state ends bitwise equal to one that was never interrupted
        (on the same machine, with the same number of threads).
        """
        arrays = {f"optimizer.{name}": array.copy() for name, array in self._engine.state().items()}
        for prefix, tensors in (("model", self.model.state_dict()), ("best", self._best_state)):
            arrays |= {f"{prefix}.{name}": tensor.cpu().numpy().copy() for name, tensor in tensors.items()}
        progress = {
            "config": dataclasses.asdict(self._config),
            "epoch": self.epoch,
            "step": self._step,
            "best_epoch": self._best_epoch,
            "best_loss": self._best_loss,
            "curves": dataclasses.asdict(self._curves),
            "seconds": dict(self._seconds),
            "rng": {name: stream.bit_generator.state for name, stream in self._streams().items()},
        }
        if self._inputs is not None:
            inputs = self._inputs.state_dict()
            arrays |= {f"inputs.{name}": array for name, array in inputs.arrays.items()}
            progress["inputs"] = inputs.progress
        return State(arrays, progress)

    @with_gradients
    def load_state_dict(self, state: State) -> None:
        """Go on from a state.

        Raises:
            ValueError: the state is of a training with other settings or another table's shape.
        """
        progress = state.progress
        changed = changed_settings(self._config, progress["config"])
        if changed:
            raise ValueError(f"the state is of a training with other settings: {', '.join(changed)} differ")

        def tensors(prefix: str) -> dict[str, torch.Tensor]:
            return {
                name.removeprefix(prefix): torch.from_numpy(array.copy())
                for name, array in state.arrays.items()
                if name.startswith(prefix)
            }

        try:
            self.model.load_state_dict(tensors("model."))
        except RuntimeError as error:
            raise ValueError(f"the state is of a network of another shape: {error}") from error
        self._best_state = tensors("best.")
        optimizer = {name: array for name, array in state.arrays.items() if name.startswith("optimizer.")}
        self._engine.load_state({name.removeprefix("optimizer."): array for name, array in optimizer.items()})
        self.epoch, self._step = progress["epoch"], progress["step"]
        self._best_epoch, self._best_loss = progress["best_epoch"], progress["best_loss"]
        self._curves = Curves(**{name: list(values) for name, values in progress["curves"].items()})
        self._seconds = dict(progress["seconds"])
        for name, stream in self._streams().items():
            stream.bit_generator.state = progress["rng"][name]
        if self._inputs is not None:
            inputs = {name: array for name, array in state.arrays.items() if name.startswith("inputs.")}
            inputs = {name.removeprefix("inputs."): array for name, array in inputs.items()}
            self._inputs.load_state_dict(State(inputs, progress["inputs"]))

    def _train_on_all_rows(self) -> float:
        """Train one epoch and return its mean loss."""
        config = self._config
        order = self._to_shuffle.permutation(self._n_rows)
        loss_sum = 0.0
        self._moved = 0
        x = None
        firsts = range(0, self._n_rows, config.batch_size)
        for index, first in enumerate(firsts):
            started = time.perf_counter()
            self._step += 1
            x, y = self._batches.rows(order[first : first + config.batch_size], into=x)
            n = y.shape[-1]
            if config.input_noise > 0:
                noise = self._to_noise.standard_normal((len(x), n), dtype=np.float32)
                x[:, :n] += np.float32(config.input_noise) * noise
            paused = time.perf_counter()
            rows = partial(_as_rows, x, n)
            self._before_step(StepStart(self.model, index, len(firsts), rows, y.T))
            started += time.perf_counter() - paused
            loss_sum += self._engine.step(x, y) * n
            stepped = time.perf_counter()
            self._seconds["train"] += stepped - started
            if self._step % config.update_interval == 0 and self._step <= config.stop_fraction * self._total_steps:
                self._move_connections(x)
                self._seconds["topology"] += time.perf_counter() - stepped
        return loss_sum / self._n_rows

    def _move_connections(self, x: npt.NDArray[np.float32]) -> None:
        config = self._config
        fraction = share(
            SCHEDULES[config.schedule],
            self._step,
            self._total_steps,
            initial=config.drop_fraction,
            final=min(config.final_drop_fraction, config.drop_fraction),
        )
        restrict = anywhere if self._inputs is None else partial(self._inputs.restrict, epoch=self.epoch)
        self._moved += self._engine.rewire(self._method, fraction, self._to_grow, x, self._input_importance(), restrict)

    def _streams(self) -> dict[str, np.random.Generator]:
        return {"shuffle": self._to_shuffle, "grow": self._to_grow, "noise": self._to_noise}

    def _copy_of_model(self) -> dict[str, torch.Tensor]:
        return {name: tensor.detach().clone() for name, tensor in self.model.state_dict().items()}


def _as_rows(x: npt.NDArray[np.float32], n: int) -> npt.NDArray[np.float32]:
    """Return the first ``n`` samples of a minibatch ``(n_features, >= n)`` as rows."""
    return np.ascontiguousarray(x[:, :n].T)


def fit(
    train: Part,
    validation: Part,
    config: TrainingConfig,
    rng: np.random.Generator,
    on_epoch: Callable[[EpochEnd], None] = lambda _: None,
    input_importance: Callable[[], npt.NDArray[np.float64] | None] = lambda: None,
) -> FitResult:
    """Train a network and return it as it was at its lowest validation loss.

    Args:
        train: rows to train on.
        validation: rows that decide when to stop.
        config: the network and its training.
        rng: draws the network, the order of rows, grown connections and noise.
        on_epoch: called at the end of every epoch; what it raises ends the training.
        input_importance: how much each feature has mattered so far, float64 ``(n_features,)``, for methods that grow by
            importance; None while it is not known.

    Raises:
        DivergedError: a loss or a weight is not finite.
    """
    trainer = Trainer(train, validation, config, rng, input_importance)
    while not trainer.done:
        on_epoch(trainer.run_epoch())
    return trainer.result()
