"""Payloads of jobs: what a worker reads is what the plan wrote, also after JSON."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from dst.data import Design, Removal
from dst.errors import InputError
from dst.trial.spec import TrialSpec
from studies.spec.objective import ObjectiveSpec
from studies.worker import payload as payloads
from studies.worker.job import WORK, run_job

DESIGN = Design("paper", seed=3, test_seed=2, count=4, policy="mean", indicators=True)
TRIAL = TrialSpec("set", {"sparsity": 0.5}, seed=7, k=2, k_values=(1, 3), max_rows=50, design=DESIGN)
SEVERAL = ObjectiveSpec(metric=("val_loss", "k"), importance="neuron_strength")

PAYLOADS = [
    payloads.TrialPayload(TRIAL, None, ObjectiveSpec(), "val_loss", None),
    payloads.TrialPayload(
        TRIAL, Removal(0.1, seed=4), SEVERAL, None, payloads.CheckpointFile(Path("a") / "1.npz", 30.0)
    ),
    payloads.TestPayload(TRIAL, None, {"neuron_strength": [2, 0]}, 2),
    payloads.ListPayload(TRIAL, Removal(0.2, "mnar"), [3, 1], 2),
    payloads.SplitPayload(TRIAL, Removal(0.2, "mar"), "neuron_strength+greedy"),
]


@pytest.mark.parametrize("payload", PAYLOADS, ids=lambda payload: payload.kind)
def test_a_payload_is_read_as_it_was_written(payload) -> None:
    document = json.loads(json.dumps(payload.to_json()))
    assert document["kind"] == payload.kind
    assert type(payload).from_json(document) == payload


def test_each_kind_has_a_runner() -> None:
    assert set(WORK) == {payload.kind for payload in PAYLOADS}


def test_an_unknown_kind_is_refused() -> None:
    with pytest.raises(InputError, match="unknown kind of job 'tset': did you mean 'test'"):
        run_job({"kind": "tset"}, None, lambda step, value: None)
