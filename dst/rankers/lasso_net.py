"""LassoNet as a ranker: a network whose inputs leave one after another along a path of penalties.

Lemhadri, Ruan, Abraham and Tibshirani, "LassoNet: A Neural Network with Feature Sparsity", JMLR 2021; by the authors'
package ``lassonet``, which the extra ``dst-studies[lassonet]`` installs.
"""

from __future__ import annotations

import dataclasses
import itertools
import time
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from scipy.stats import rankdata

from dst.data.dataset import Part
from dst.data.preparation import at_first_encoding, column_numbers, encodings_of
from dst.errors import DivergedError, InputError
from dst.files.checkpoint import State
from dst.rankers.base import FeatureScores, OnEpoch, same_settings
from dst.rankers.settings import LassoNetConfig
from dst.training.engines.choice import check_device, torch_defaults
from dst.training.epochs import Curves, EpochReport
from dst.training.result import training_flops


class LassoNetPath:
    """A path of penalties that is walked point by point and can be saved between any two.

    Args:
        train: rows to fit on.
        validation: rows that decide when to stop.
        config: the ranker's settings.
        rng: draws.
        state: where to go on from; None: from the network without a penalty.

    Raises:
        InputError: the table is sparse, or the device is not there.
        ValueError: the state is of a ranking with other settings or another table's shape.
    """

    def __init__(
        self, train: Part, validation: Part, config: LassoNetConfig, rng: np.random.Generator, state: State | None
    ) -> None:
        if not (isinstance(train.x, np.ndarray) and isinstance(validation.x, np.ndarray)):
            raise InputError("method lassonet takes dense tables only, but this one is sparse")
        check_device(config.device)
        self._train, self._validation, self._config = train, validation, config
        self._column = column_numbers(train)
        self._seed = int(rng.integers(2**63))
        self._started = time.perf_counter()
        n_columns = int(self._column.max()) + 1
        self._selected = np.ones(n_columns, np.bool_)
        self._left_at = np.zeros(n_columns)
        self._strength = np.zeros(n_columns)  # of the skip connections, at the last point
        self._curves = Curves()
        self._device = torch.device(config.device)
        self._validation_rows = torch.from_numpy(validation.x).to(self._device)
        self._passes = 0
        self._state = state
        if state is not None:
            self._load(state)

    def walk(self, on_epoch: OnEpoch) -> None:
        """Go to the end of the path, where no column is left; a point of the path counts as an epoch.

        Raises:
            DivergedError: the loss is not finite.
        """
        from lassonet.interfaces import NonFiniteLossError

        if not self._selected.any():
            return
        keep: dict[str, Any] = {}

        def path_optimizer(parameters: Iterable[torch.nn.Parameter]) -> torch.optim.Optimizer:
            keep["parameters"] = list(parameters)
            optimizer = keep["optimizer"] = torch.optim.SGD(keep["parameters"], lr=1e-3, momentum=0.9)
            if self._state is not None:
                for number, parameter in enumerate(keep["parameters"]):
                    momentum = self._state.arrays.get(f"momentum.{number}")
                    if momentum is not None:
                        optimizer.state[parameter]["momentum_buffer"] = torch.from_numpy(momentum).to(
                            parameter, copy=True
                        )
            return optimizer

        def at_point(classifier: Any, history: list[Any]) -> None:
            if history:
                on_epoch(self._take(classifier, history[-1], lambda: self._save(classifier.model, keep)))

        classifier = self._classifier(path_optimizer)
        config = self._config
        done = max(0, len(self._curves.val_loss) - 1)  # the first point has no penalty
        penalties = (config.lambda_start * config.path_multiplier**number for number in itertools.count(done))
        # the package seeds the global generators, those of all GPUs too, also of a process that computes on the CPU
        on_gpu = self._device.type == "cuda" or torch.cuda.is_initialized()  # type: ignore[no-untyped-call]
        with torch_defaults(), torch.random.fork_rng(devices=range(torch.cuda.device_count()) if on_gpu else []):
            try:
                classifier.path(
                    self._train.x,
                    self._train.y,
                    X_val=self._validation.x,
                    y_val=self._validation.y,
                    lambda_seq=penalties,
                    callback=at_point,
                    disable_lambda_warning=True,
                )
            except NonFiniteLossError as error:
                raise DivergedError(f"lassonet: {error}") from error

    def scores(self) -> FeatureScores:
        """Return the penalty at which each column left, and the network of the lowest validation loss."""
        best = int(np.argmin(self._curves.val_loss))
        widths = (self._train.x.shape[1], self._config.units, self._train.n_classes)
        weights = widths[0] * widths[1] + widths[1] * widths[2] + widths[0] * widths[2]
        return FeatureScores(
            scores={"path_lambda": at_first_encoding(self._left_at, self._column)},
            engine="dense",
            device=self._device.type,
            seconds={"train": time.perf_counter() - self._started},
            val_loss=self._curves.val_loss[best],
            val_accuracy=self._curves.val_accuracy[best],
            epochs=len(self._curves.val_loss),
            best_epoch=best + 1,
            nnz=(weights,),
            dense_size=weights,
            flops=training_flops(weights, len(self._train.y), self._passes),
            flops_ratio=1.0,
            curves=self._curves,
        )

    def _classifier(self, path_optimizer: Callable[..., torch.optim.Optimizer]) -> Any:
        """Return the package's classifier; it starts with the weights of the state, if there is one."""
        from lassonet import LassoNetClassifier

        n_classes, state = self._train.n_classes, self._state

        class Classifier(LassoNetClassifier):
            def _output_shape(self, y: Any) -> int:
                return n_classes  # also where the training rows lack the last class

            def _init_model(self, X: Any, y: Any) -> None:
                super()._init_model(X, y)
                if state is not None:
                    arrays = {key: value for key, value in state.arrays.items() if key.startswith("model.")}
                    tensors = {
                        key.removeprefix("model."): torch.from_numpy(array.copy()) for key, array in arrays.items()
                    }
                    self.model.load_state_dict(tensors)

        config = self._config
        groups = None
        if len(self._selected) < len(self._column):
            groups = [encodings.tolist() for encodings in encodings_of(self._column)]
        dense_iterations = config.dense_iterations if state is None else 0
        return Classifier(
            hidden_dims=(config.units,),
            M=config.M,
            groups=groups,
            optim=(lambda parameters: torch.optim.Adam(parameters, lr=1e-3), path_optimizer),
            n_iters=(dense_iterations, config.path_iterations),
            device=self._device,
            verbose=0,
            torch_seed=self._seed,
        )

    def _take(self, classifier: Any, point: Any, state: Callable[[], State]) -> EpochReport:
        """Note who left at this point of the path."""
        selected = np.zeros(len(self._selected), np.bool_)
        np.logical_or.at(selected, self._column, point.selected.numpy())
        leaving = self._selected & ~selected
        if leaving.any():
            order = rankdata(self._strength[leaving], method="min") - 1
            self._left_at[leaving] = point.lambda_ * self._config.path_multiplier ** (order / len(order))
        self._selected &= selected
        self._passes += point.n_iters
        with torch.no_grad():
            self._strength[:] = 0.0
            np.maximum.at(self._strength, self._column, classifier.model.skip.weight.norm(dim=0).cpu().numpy())
            logits = classifier.model(self._validation_rows)
        accuracy = float((logits.argmax(dim=1).cpu().numpy() == self._validation.y).mean())
        improved = self._curves.add(point.loss, point.val_loss, accuracy)
        return EpochReport(len(self._curves.val_loss), point.loss, point.val_loss, accuracy, improved, state)

    def _save(self, model: torch.nn.Module, keep: dict[str, Any]) -> State:
        arrays: dict[str, npt.NDArray[Any]] = {
            "selected": self._selected.copy(),
            "left_at": self._left_at.copy(),
            "strength": self._strength.copy(),
        }
        arrays |= {f"model.{name}": tensor.cpu().numpy().copy() for name, tensor in model.state_dict().items()}
        for number, parameter in enumerate(keep.get("parameters", ())):
            momentum = keep["optimizer"].state[parameter].get("momentum_buffer")
            if momentum is not None:
                arrays[f"momentum.{number}"] = momentum.cpu().numpy().copy()
        progress = {
            "config": dataclasses.asdict(self._config),
            "passes": self._passes,
            "seconds": time.perf_counter() - self._started,
            "curves": dataclasses.asdict(self._curves),
        }
        return State(arrays, progress)

    def _load(self, state: State) -> None:
        progress = state.progress
        same_settings(self._config, progress["config"])
        for name, array in (
            ("selected", self._selected),
            ("left_at", self._left_at),
            ("strength", self._strength),
        ):
            saved = state.arrays[name]
            if saved.shape != array.shape:
                raise ValueError(f"the state is of {saved.size} columns, but there are {array.size}")
            array[:] = saved
        self._passes = progress["passes"]
        self._started -= progress["seconds"]
        self._curves = Curves(**{name: list(values) for name, values in progress["curves"].items()})


def rank_by_lassonet(
    train: Part,
    validation: Part,
    config: LassoNetConfig,
    rng: np.random.Generator,
    on_epoch: OnEpoch,
    state: State | None = None,
) -> FeatureScores:
    """Rank by the penalty at which a column leaves the network; the metric is named ``path_lambda``.

    Columns that leave together are told apart by the norm of their skip connections at the penalty before: their scores
    lie between the penalty at which they left and the next one. ``val_loss`` is the lowest along the path. Each
    pass takes all training rows at once; a column with several encodings leaves with all of them.

    Raises:
        InputError: the table is sparse, or the device is not there.
        DivergedError: the loss is not finite.
    """
    path = LassoNetPath(train, validation, config, rng, state)
    path.walk(on_epoch)
    return path.scores()
