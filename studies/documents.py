"""Reading YAML and JSON that somebody else may have written: data only, and no more of it than a study can mean."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import yaml
from yaml.nodes import CollectionNode, MappingNode, Node

MAX_BYTES = 4 * 2**20
"""Of a YAML document: a study of some thousands of datasets."""

MAX_NODES = 1_000_000
"""Of a YAML document whose aliases are written out."""

MAX_DEPTH = 50
"""Of mappings and lists in one another, in YAML."""


class DocumentError(ValueError):
    """A document cannot be read; the message is one line."""


def read_text(path: Path) -> str:
    """Read a YAML file's text.

    Raises:
        OSError: it cannot be read.
        DocumentError: it is too large, or not UTF-8.
    """
    with path.open("rb") as file:
        data = file.read(MAX_BYTES + 1)
    if len(data) > MAX_BYTES:
        raise DocumentError(f"at most {MAX_BYTES} bytes can be read, but there are more")
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise DocumentError(f"is not UTF-8: {error}") from error


def parse_yaml(text: str) -> Any:
    """Return what a YAML document says, as plain data; tags that would make other objects are refused.

    Aliases are allowed as long as the document stays small when they are written out, as it will be: ten lines can
    otherwise mean billions of values.

    Raises:
        DocumentError: it is not YAML, or too large or too deep.
    """
    try:
        loader = yaml.SafeLoader(text)
        root = loader.get_single_node()
        if root is None:
            return None
        _measure(root, {}, 0)
        return loader.construct_document(root)
    except RecursionError:
        raise DocumentError(f"is nested too deeply: {MAX_DEPTH} levels are what can be read") from None
    except DocumentError:
        raise
    except (yaml.YAMLError, ValueError, TypeError, AttributeError, OverflowError, LookupError) as error:
        # The constructors of PyYAML let through what Python says to a date like 2026-13-45 or a number too long.
        raise DocumentError(f"is not YAML: {' '.join(str(error).split())}") from error


def parse_json(text: str) -> Any:
    """Return what a JSON document says.

    Raises:
        DocumentError: it is not JSON, or nested too deeply.
    """
    try:
        return json.loads(text)
    except RecursionError:
        raise DocumentError("is nested too deeply") from None
    except ValueError as error:
        raise DocumentError(f"is not JSON: {error}") from error


def _measure(node: Node, known: dict[int, int | None], depth: int) -> int:
    """Return how many values a node means, aliases written out.

    Args:
        node: a node.
        known: sizes of the nodes seen, by identity; None for one that is being measured.
        depth: of the node.
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
    inner = [one for pair in node.value for one in pair] if isinstance(node, MappingNode) else node.value
    total = 1 + sum(_measure(one, known, depth + 1) for one in inner)
    if total > MAX_NODES:
        raise DocumentError(f"means more than {MAX_NODES} values when its aliases are written out")
    known[id(node)] = total
    return total
