"""Reading YAML that somebody else may have written: data only, each key once, no more of it than a study can mean."""

from __future__ import annotations

import re
from collections.abc import Collection
from typing import Any

import yaml
from yaml.nodes import CollectionNode, MappingNode, Node, ScalarNode, SequenceNode

MAX_NODES = 1_000_000
"""Of a YAML document whose aliases are written out."""

MAX_DEPTH = 50
"""Of mappings and lists in one another, in YAML."""

_TAG = "tag:yaml.org,2002:"
_TEXT = f"{_TAG}str"
_MERGE = f"{_TAG}merge"
_INT, _FLOAT = f"{_TAG}int", f"{_TAG}float"
_UNQUOTED = {_INT, _FLOAT, *(f"{_TAG}{kind}" for kind in ("bool", "null", "timestamp", "value"))}
"""What YAML 1.1 makes of unquoted words such as ``on``, ``1``, ``~`` and ``2024-01-15``."""

_INTEGER = re.compile(r"[-+]?(0b[01_]+|0x[0-9a-fA-F_]+|0|[1-9][0-9_]*)$")
_DECIMAL = re.compile(
    r"[-+]?([0-9][0-9_]*\.[0-9_]*|\.[0-9][0-9_]*)([eE][-+][0-9]+)?$|[-+]?\.(inf|Inf|INF)$|\.(nan|NaN|NAN)$"
)
"""As in YAML 1.1, but without its octal and sexagesimal numbers, which make 8 of ``010`` and 90 of ``1:30``."""


class DocumentError(ValueError):
    """A document cannot be read; the message is one line."""


class _Loader(yaml.SafeLoader):
    """PyYAML's safe loader, for which ``=`` and ``<<`` where they stand for a value, ``010`` and ``1:30`` are text."""


def _as_text(loader: Any, node: Any) -> Any:
    return loader.construct_scalar(node)


_Loader.add_constructor(f"{_TAG}value", _as_text)
_Loader.add_constructor(_MERGE, _as_text)
_Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag not in (_INT, _FLOAT)]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
_Loader.add_implicit_resolver(_INT, _INTEGER, list("-+0123456789"))
_Loader.add_implicit_resolver(_FLOAT, _DECIMAL, list("-+.0123456789"))


def parse_yaml(text: str, words: Collection[str] = ()) -> Any:
    """Return what a YAML document says, as plain data; tags that would make other objects are refused.

    A key is text, whatever YAML 1.1 makes of the same word elsewhere (``on`` is true, ``1`` a number), and stands in
    its mapping once; PyYAML would take the last of two without a word. ``<<`` merges mappings, and a key beside it
    replaces the merged one. Aliases are allowed as long as the document stays small when they are written out, as it
    will be: ten lines can otherwise mean billions of values.

    A number is what YAML 1.1 takes for one, but with zeros in front (``010``) or colons (``1:30``) it is text.

    Args:
        text: the document.
        words: keys, at any depth, whose numbers are the text that was written, alone or in a list: ``-999.0`` is not
            ``-999``.

    Raises:
        DocumentError: it is not YAML, has a key twice, or is too large or too deep.
    """
    try:
        loader = _Loader(text)
        root = loader.get_single_node()
        if root is None:
            return None
        _measure(root, {}, 0, words)
        return loader.construct_document(root)
    except RecursionError:
        raise DocumentError(f"is nested too deeply: {MAX_DEPTH} levels are what can be read") from None
    except DocumentError:
        raise
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark  # without the lines around it, which may hold a password
        where = "" if mark is None else f" (line {mark.line + 1}, column {mark.column + 1})"
        raise DocumentError(f"is not YAML: {' '.join(str(error.problem or error.context).split())}{where}") from error
    except (yaml.YAMLError, ValueError, TypeError, AttributeError, OverflowError, LookupError) as error:
        # The constructors of PyYAML let through what Python says to a date like 2026-13-45 or a number too long.
        raise DocumentError(f"is not YAML: {' '.join(str(error).split())}") from error


def _measure(node: Node, known: dict[int, int | None], depth: int, words: Collection[str]) -> int:
    """Return how many values a node means, aliases written out; make its keys text and refuse one that is there twice.

    Args:
        node: a node.
        known: sizes of the nodes seen, by identity; None for one that is being measured.
        depth: of the node.
        words: keys whose numbers are made text.
    """
    if not isinstance(node, CollectionNode):
        return 1
    if depth > MAX_DEPTH:
        raise DocumentError(f"is nested too deeply: {MAX_DEPTH} levels are what can be read")
    if id(node) in known:
        size = known[id(node)]
        if size is None:
            raise DocumentError("has an alias to what it stands in")
        return size
    known[id(node)] = None
    if isinstance(node, MappingNode):
        _check_keys(node, words)
        inner = [one for pair in node.value for one in pair]
    else:
        inner = node.value
    total = 1 + sum(_measure(one, known, depth + 1, words) for one in inner)
    if total > MAX_NODES:
        raise DocumentError(f"means more than {MAX_NODES} values when its aliases are written out")
    known[id(node)] = total
    return total


def _check_keys(mapping: MappingNode, words: Collection[str]) -> None:
    lines: dict[str, int] = {}
    for position, (key, value) in enumerate(mapping.value):
        line = key.start_mark.line + 1
        if not isinstance(key, ScalarNode):
            raise DocumentError(f"a key is one word or text, but in line {line} it is a {key.id}")
        if key.tag in _UNQUOTED:
            key = _text_of(key)
        if key.value in words:
            value = _as_written(value)
        mapping.value[position] = key, value
        name = "<< (merge)" if key.tag == _MERGE else key.value
        if name in lines:
            raise DocumentError(f"has the key {name!r} twice, in line {lines[name]} and in line {line}: each key once")
        lines[name] = line


def _text_of(node: ScalarNode) -> ScalarNode:
    """Return a node of the same text; the given one stays the value that an alias elsewhere may mean."""
    return ScalarNode(_TEXT, node.value, node.start_mark, node.end_mark)


def _as_written(node: Node) -> Node:
    """Return a number, or those of a list, as text."""
    if isinstance(node, SequenceNode):
        items = [_as_written(item) if isinstance(item, ScalarNode) else item for item in node.value]
        return SequenceNode(node.tag, items, node.start_mark, node.end_mark)
    return _text_of(node) if isinstance(node, ScalarNode) and node.tag in (_INT, _FLOAT) else node
