"""Signals that are held back: each is answered once."""

from __future__ import annotations

import os
import signal

import pytest

from cluster.interrupts import held_interrupts


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_after_the_last_look_is_answered_at_the_end(number: signal.Signals) -> None:
    ours = signal.getsignal(number)
    signal.signal(number, signal.default_int_handler)  # a shell has SIGINT ignored in the background
    ends = []

    def work() -> None:
        with held_interrupts():
            os.kill(os.getpid(), number)
            ends.append("work")

    try:
        with pytest.raises(KeyboardInterrupt):
            work()
        assert signal.getsignal(number) == signal.default_int_handler
    finally:
        signal.signal(number, ours)
    assert ends == ["work"]


def test_a_signal_that_was_answered_is_not_raised_again() -> None:
    with held_interrupts() as interrupts:
        os.kill(os.getpid(), signal.SIGTERM)
        with pytest.raises(KeyboardInterrupt):
            interrupts.check()
