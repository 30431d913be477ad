"""A made-up study is sent whole, and the row says what that cost."""

from __future__ import annotations

import pytest

from dst.errors import InputError
from studies.bench import tracking
from studies.bench.tracking import TrackingCase, tracking_rows


@pytest.mark.slow
def test_the_cost_of_sending_is_that_of_each_run(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("WANDB_MODE", "WANDB_DIR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(tracking, "HUNDRED", 2)
    each, none = tracking_rows([TrackingCase(trials=5), TrackingCase(trials=5, runs="study")])
    assert (each.sent, none.sent) == (5 + 1 + 1, 1 + 1)
    assert each.cpu_ms_first > 0
    assert each.cpu_ms_last > 0
    assert (none.cpu_ms_first, none.cpu_ms_last) == (None, None)
    assert none.inodes < each.inodes
    assert none.megabytes < each.megabytes
    assert each.cpu_s > 4 * min(each.cpu_ms_first, each.cpu_ms_last) / 1000


def test_too_few_trials_are_refused() -> None:
    with pytest.raises(InputError, match="trials >= 200 must hold, but got trials=199"):
        next(tracking_rows([TrackingCase(trials=199)]))
