from __future__ import annotations

import math

import pytest
import torch

from dst.data import load_dataset
from studies.analyses import published_loss
from studies.analyses.published_loss import compare, main


def test_the_losses_by_hand():
    """Over the batch: columns (0, ln 3) and (0, 0) become (1/4, 3/4) and (1/2, 1/2)."""
    logits, y = torch.tensor([[0.0, 0.0], [math.log(3), 0.0]]), torch.tensor([0, 1])
    of_batch = [math.log(1 + math.exp(0.5 - 0.25)), math.log(1 + math.exp(0.75 - 0.5))]
    of_classes = [math.log(2), math.log(1 + 3)]
    assert published_loss._LOSSES["batch"](logits, y).item() == pytest.approx(sum(of_batch) / 2)
    assert published_loss._LOSSES["classes"](logits, y).item() == pytest.approx(sum(of_classes) / 2)


@pytest.mark.slow
def test_the_table():
    table = compare(load_dataset("wine"), 0.5, 4, seeds=2, epochs=6)
    assert table["loss"].tolist() == ["classes", "classes", "batch", "batch"]
    assert table["epochs"].eq(6).all()
    assert table["val_accuracy"].between(0.6, 1).all(), "four columns of thirteen tell most wines"


def test_only_the_papers_datasets(capsys):
    assert main(["--datasets", "wine"]) == 2
    assert "must be of the paper: MNIST" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        main(["--seeds", "1"])
