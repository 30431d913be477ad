"""Reading YAML and JSON that somebody else may have written: data only, and no more of it than a study can mean."""

from __future__ import annotations

import json
import os
import stat
from pathlib import Path
from typing import Any

import yaml
from yaml.nodes import CollectionNode, MappingNode, Node

MAX_BYTES = 4 * 2**20
"""Of a YAML document: a study of some thousands of datasets."""

MAX_JSON_BYTES = 512 * 2**20
"""Of a JSON document: the names of millions of columns."""

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
    return _read(path, MAX_BYTES)


def read_json(path: Path) -> Any:
    """Return what a JSON file says.

    Raises:
        OSError: it cannot be read.
        DocumentError: it is too large, is not JSON, or is nested too deeply.
    """
    return parse_json(_read(path, MAX_JSON_BYTES))


def _read(path: Path, most: int) -> str:
    """Return a file's text; one that is no regular file could go on for ever, or never begin."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    with open(descriptor, "rb") as file:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise DocumentError("is no regular file")
        data = file.read(most + 1)
    if len(data) > most:
        raise DocumentError(f"at most {most} bytes can be read, but there are more")
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
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark  # without the lines around it, which may hold a password
        where = "" if mark is None else f" (line {mark.line + 1}, column {mark.column + 1})"
        raise DocumentError(f"is not YAML: {' '.join(str(error.problem or error.context).split())}{where}") from error
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
