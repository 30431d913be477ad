"""YAML means what it seems to mean: each key once, keys as text, no more values than there seem to be."""

from __future__ import annotations

import datetime as dt
import time
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from search_spaces.documents import DocumentError, parse_yaml

WORDS = ("on", "yes", "No", "true", "~", "null", "1", "01", "1:30", "1e3", "0x1f", ".5", "2024-01-15", "=", "a b", "ä")


@pytest.mark.parametrize(
    ("text", "key", "lines"),
    [
        ("a: 1\nb: 2\na: 3\n", "a", (1, 3)),
        ("a:\n  b:\n  - c: 1\n    d: {}\n    c: 2\n", "c", (3, 5)),
        ("a: {b: 1,\n    b: 1}\n", "b", (1, 2)),
        ("a: 1\n'a': 1\n", "a", (1, 2)),
        ("1: x\n'1': y\n", "1", (1, 2)),
        ("yes: x\nyes: y\n", "yes", (1, 2)),
        ("base: &b {x: 1}\nmore:\n  <<: *b\n  x: 2\n  x: 3\n", "x", (4, 5)),
        ("base: &b {x: 1}\nmore:\n  <<: *b\n  <<: *b\n", "<< (merge)", (3, 4)),
        ('"a\\u0062": 1\nab: 2\n', "ab", (1, 2)),
    ],
)
def test_a_key_that_is_there_twice_is_refused_with_both_lines(text: str, key: str, lines: tuple[int, int]) -> None:
    with pytest.raises(DocumentError) as caught:
        parse_yaml(text)
    assert str(caught.value) == f"has the key {key!r} twice, in line {lines[0]} and in line {lines[1]}: each key once"


def test_the_same_key_in_two_mappings_is_no_repetition() -> None:
    assert parse_yaml("a: {x: 1}\nb: {x: 1}\nc: [{x: 1}, {x: 2}]") == {
        "a": {"x": 1},
        "b": {"x": 1},
        "c": [{"x": 1}, {"x": 2}],
    }
    assert parse_yaml("a: 1\nA: 2\n' a': 3") == {"a": 1, "A": 2, " a": 3}


def test_a_key_beside_a_merge_replaces_what_is_merged() -> None:
    text = "base: &b {x: 1, y: 1}\nother: &o {z: 1}\nmore: {<<: [*b, *o], x: 2}"
    assert parse_yaml(text)["more"] == {"x": 2, "y": 1, "z": 1}


@pytest.mark.parametrize("word", WORDS)
def test_keys_are_text_as_they_are_written(word: str) -> None:
    assert parse_yaml(f"{word}: 5") == {word: 5}
    assert parse_yaml(f"a: {{b: {{{word}: 5}}}}") == {"a": {"b": {word: 5}}}


def test_a_word_that_is_a_key_is_read_as_ever_where_it_is_a_value() -> None:
    assert parse_yaml("a: &word on\n*word : b\nc: *word") == {"a": True, "on": "b", "c": True}
    values = parse_yaml("[on, 1, 2024-01-15, ~, =, <<, 'on']")
    assert values == [True, 1, dt.date(2024, 1, 15), None, "=", "<<", "on"]


@given(st.integers(0, 10**6), st.integers(0, 59), st.integers(1, 3))
def test_zeros_in_front_and_colons_make_text(number: int, minutes: int, zeros: int) -> None:
    for written in (f"{'0' * zeros}{number}", f"{number}:{minutes:02d}", f"-{number}:{minutes}.5"):
        assert parse_yaml(f"a: {written}") == {"a": written}
    assert parse_yaml(f"[{number}, -{number}, {number}.0, 0x{number:x}]") == [number, -number, float(number), number]


@given(st.integers() | st.floats(allow_nan=False))
def test_below_some_keys_numbers_are_the_text_that_was_written(number: float) -> None:
    written = yaml.safe_dump(number).split("\n")[0]
    text = f"a: {{w: {written}, x: {written}, y: {{w: [{written}]}}}}"
    assert parse_yaml(text, {"w"}) == {"a": {"w": written, "x": number, "y": {"w": [written]}}}


@pytest.mark.parametrize("text", ["? [a, b]\n: 1", "? {a: b}\n: 1", "{[a]: 1}", "a: {? {} : 1}"])
def test_a_key_that_is_no_text_is_refused(text: str) -> None:
    with pytest.raises(DocumentError, match="a key is one word or text, but in line 1 it is a"):
        parse_yaml(text)


names = st.text(st.characters(codec="utf-8"), min_size=1, max_size=12)
plain: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | names,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(names, inner, max_size=3),
    max_leaves=12,
)


@given(plain)
def test_plain_data_comes_back_as_it_was_written(value: Any) -> None:
    assert parse_yaml(yaml.safe_dump(value)) == value


def quoted(name: str) -> str:
    return yaml.safe_dump(name, default_style='"', width=1000).strip()


@given(st.dictionaries(names, st.integers(), min_size=1, max_size=5), st.data())
def test_whichever_key_is_repeated_wherever_is_named(mapping: dict[str, int], data: st.DataObject) -> None:
    key = data.draw(st.sampled_from(sorted(mapping)))
    lines = [f"{quoted(name)}: {value}" for name, value in mapping.items()]
    place = data.draw(st.integers(0, len(lines)))
    lines.insert(place, f"{quoted(key)}: 0")
    with pytest.raises(DocumentError, match="twice, in line") as caught:
        parse_yaml("\n".join(lines))
    assert repr(key) in str(caught.value)


@pytest.mark.parametrize("join", ["[{}]", "{{<<: [{}]}}"])
def test_aliases_and_merges_that_mean_billions_of_values_are_refused_at_once(join: str) -> None:
    lines = ["a0: &a0 {k: 1, l: 2}"]
    lines += [f"a{n}: &a{n} " + join.format(", ".join([f"*a{n - 1}"] * 9)) for n in range(1, 12)]
    begin = time.monotonic()
    with pytest.raises(DocumentError, match="when its aliases are written out"):
        parse_yaml("\n".join(lines))
    assert time.monotonic() - begin < 5
