"""A study of seconds with three objectives over one table."""

from __future__ import annotations

from studies.spec.loading import parse_spec
from studies.spec.study import StudySpec

METRICS = ["val_svm_accuracy", "flops", "k"]
SPACE = {
    "sparsity": {"values": [0.3, 0.6, 0.9], "when": {"method": ["set", "static"]}},
    "k": {"values": [2, 4, 8]},
}


def spec_of(table, **changes) -> StudySpec:
    document = {
        "name": "several",
        "seed": 3,
        "datasets": [{"path": str(table), "target": "label", "inner_splits": 2}],
        "methods": ["set", "static"],
        "training": {"epochs": 10, "patience": 5, "hidden": [16, 8]},
        "space": SPACE,
        "objective": {"metric": METRICS},
        "search": {"trials": 12, "batch": 4, "sampler": {"name": "nsga2", "population_size": 4}},
        "confirm": {"top": 3, "seeds": 2},
        "tracking": {"wandb": {"mode": "disabled"}},
        **changes,
    }
    return parse_spec(document)
