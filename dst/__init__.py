"""Sparse neural networks for feature selection: data, networks, training, ranking, scoring."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from dst.data import (
        Dataset,
        check_file,
        fetch_dataset,
        from_arrays,
        from_frame,
        list_datasets,
        load_dataset,
        make_splits,
        prepare,
        prepare_test,
    )
    from dst.errors import DivergedError, InputError
    from dst.importance.metrics import (
        gradient_x_input,
        integrated_gradients,
        loss_gradient,
        neuron_attribution,
        neuron_strength,
        permutation_importance,
        squared_gradient,
    )
    from dst.network.model import SparseMLP
    from dst.scoring import rank_columns, svm_accuracy
    from dst.selector.selector import SparseFeatureSelector
    from dst.training.config import TrainingConfig
    from dst.training.trainer import fit
    from dst.trial.run import run_trial, score_on_test
    from dst.trial.spec import TrialSpec

__all__ = [
    "Dataset",
    "DivergedError",
    "InputError",
    "SparseFeatureSelector",
    "SparseMLP",
    "TrainingConfig",
    "TrialSpec",
    "check_file",
    "fetch_dataset",
    "fit",
    "from_arrays",
    "from_frame",
    "gradient_x_input",
    "integrated_gradients",
    "list_datasets",
    "load_dataset",
    "loss_gradient",
    "make_splits",
    "neuron_attribution",
    "neuron_strength",
    "permutation_importance",
    "prepare",
    "prepare_test",
    "rank_columns",
    "run_trial",
    "score_on_test",
    "squared_gradient",
    "svm_accuracy",
]

_MODULES = {
    "data": (
        "Dataset",
        "check_file",
        "fetch_dataset",
        "from_arrays",
        "from_frame",
        "list_datasets",
        "load_dataset",
        "make_splits",
        "prepare",
        "prepare_test",
    ),
    "errors": ("DivergedError", "InputError"),
    "importance.metrics": (
        "gradient_x_input",
        "integrated_gradients",
        "loss_gradient",
        "neuron_attribution",
        "neuron_strength",
        "permutation_importance",
        "squared_gradient",
    ),
    "network.model": ("SparseMLP",),
    "scoring": ("rank_columns", "svm_accuracy"),
    "selector.selector": ("SparseFeatureSelector",),
    "training.config": ("TrainingConfig",),
    "training.trainer": ("fit",),
    "trial.run": ("run_trial", "score_on_test"),
    "trial.spec": ("TrialSpec",),
}


def __getattr__(name: str) -> Any:
    """Import what is asked for when it is asked for, so that ``import dst`` does not bring torch along."""
    for module, names in _MODULES.items():
        if name in names:
            return getattr(importlib.import_module(f"dst.{module}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
