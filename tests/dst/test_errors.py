from __future__ import annotations

import copy

import pytest

from dst.errors import InputError, check_rules, listed, shortened


@pytest.mark.parametrize(
    ("message", "line"),
    [
        ("space.lr: no such name", "space.lr: no such name"),
        ("space.a\nb: unknown", r"space.a\nb: unknown"),
        ("tab\t, bell\a, ü and \u2028", r"tab\t, bell\x07, ü and \u2028"),
    ],
)
def test_a_message_is_one_line_whatever_it_quotes(message, line):
    error = InputError(message)
    assert str(error) == line
    assert str(copy.copy(error)) == line


def test_a_message_stays_short():
    message = str(InputError(f"the name {'x' * 100_000} is unknown"))
    assert message.startswith("the name x")
    assert message.endswith("x is unknown")
    assert len(message) < 5000


def test_a_long_text_loses_its_middle():
    gap = "\n... ({left_out} characters left out)\n"
    assert shortened("a" * 100, 100, gap) == "a" * 100
    assert shortened("a" * 60 + "b" * 60, 100, gap) == "a" * 50 + "\n... (20 characters left out)\n" + "b" * 50


def test_the_first_rule_that_does_not_hold_is_named():
    check_rules(("a >= 1", True, "a=1"))
    with pytest.raises(InputError, match="b >= 1 must hold, but got b=0"):
        check_rules(("a >= 1", True, "a=1"), ("b >= 1", False, "b=0"), ("c >= 1", False, "c=0"))


@pytest.mark.parametrize(("items", "words"), [(["a"], "a"), (["a", "b"], "a or b"), ([1, 2, 3], "1, 2 or 3")])
def test_lists_in_words(items, words):
    assert listed(items) == words
