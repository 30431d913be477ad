"""The work function of a study the stock way; a module of its own, so that it imports little."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from cluster.bench.trainable import StockReport
from dst.bench.stock.trial import stock_trial
from dst.data import Dataset, TrialData


def run_stock_job(payload: Mapping[str, Any], shared: Dataset | TrialData) -> Iterator[StockReport]:
    """Run a trial.

    Args:
        payload: ``settings``: a :class:`dst.bench.stock.settings.StockSettings`.
        shared: the table that the job names, or what was split and prepared already.
    """
    for end in stock_trial(shared, payload["settings"]):
        yield StockReport(end.epoch, end.val_loss, end.score)
