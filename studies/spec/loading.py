"""Reading a spec: from a file, by the name of a packaged one, or from a document that was read already."""

from __future__ import annotations

import re
from collections.abc import Sequence
from importlib import resources
from pathlib import Path
from typing import Any

import pydantic

from dst.data import READERS
from dst.errors import unknown_name
from search_spaces.documents import DocumentError, parse_yaml
from studies.spec.dataset import WORD_KEYS, DatasetSpec
from studies.spec.documents import read_text
from studies.spec.errors import SpecError, one_line
from studies.spec.study import StudySpec
from studies.spec.tracking import BEGUN
from studies.spec.unquoted import reading


def load_spec(source: str | Path, overrides: Sequence[str] = ()) -> StudySpec:
    """Read a spec from a YAML file, or a packaged one by its name.

    A spec with ``base: SPEC``, a packaged one or the path of a file from its own folder, says only what differs: of
    mappings each key by itself, anything else as a whole.

    Args:
        source: a path, or the name of a spec that comes with this package (:func:`packaged_specs`).
        overrides: ``KEY=VALUE`` pairs that replace single values; keys are dotted (``search.trials=50``), values YAML.

    Raises:
        SpecError: the file cannot be read, or the spec or one that it is based on breaks a rule.
    """
    document = _merged(str(source), Path())
    for override in overrides:
        _override(document, override)
    _anchor(document, Path(source).resolve().parent)
    return parse_spec(document, str(source))


def parse_spec(document: dict[str, Any], source: str = "spec", *, begun: bool = False) -> StudySpec:
    """Check a spec that was read already.

    Args:
        document: the spec as plain data, such as YAML gives.
        source: where it comes from, for messages.
        begun: True: the spec of a study that has begun, to be looked at or reported.

    Raises:
        SpecError: the spec breaks a rule.
    """
    try:
        return StudySpec.model_validate(document, context=BEGUN if begun else None)
    except pydantic.ValidationError as error:
        raise SpecError(f"{source}: {one_line(error, StudySpec, DatasetSpec)}") from None


def packaged_specs() -> tuple[str, ...]:
    """Names of the specs that come with this package."""
    files = resources.files("studies.spec").joinpath("packaged").iterdir()
    return tuple(sorted(file.name.removesuffix(".yaml") for file in files if file.name.endswith(".yaml")))


def _merged(name: str, folder: Path | None, before: tuple[str, ...] = ()) -> dict[str, Any]:
    """Return a spec's document, merged over the spec that it is based on.

    Args:
        name: of a packaged spec, or the path of a file.
        folder: where a relative path starts; None: in a packaged spec, whose base is packaged too.
        before: the specs that lead here, each based on the next.
    """
    path = None if folder is None else folder / name
    key = f"{before[-1]}: base: " if before else ""
    if path is not None and path.is_file():
        source, identity, folder = str(path), str(path.resolve()), path.resolve().parent
    elif name in packaged_specs():
        source, identity, folder = name, name, None
    elif path is not None and path.is_dir():
        raise SpecError(f"{key}{path}: a spec is a YAML file, but this is a folder")
    else:
        raise SpecError(f"{key}{unknown_name('spec', name, packaged_specs())}, or the path of a YAML file")
    if identity in before:
        raise SpecError(f"{key}a spec must not be based on itself, but got {' -> '.join((*before, identity))}")
    document = _document(source, packaged=folder is None)
    if folder is not None:
        _anchor(document, folder)
    if "base" not in document:
        return document
    base = document.pop("base")
    if not isinstance(base, str):
        why = reading(base) or f"got {base!r}"
        raise SpecError(f"{source}: base: must be the name of a spec or the path of a YAML file, but {why}")
    return _over(_merged(base, folder, (*before, identity)), document)


def _document(source: str, *, packaged: bool) -> dict[str, Any]:
    """Return the document of one file, of this package or any other."""
    try:
        if packaged:
            text = resources.files("studies.spec").joinpath("packaged", f"{source}.yaml").read_text(encoding="utf-8")
        else:
            text = read_text(Path(source))
    except (OSError, DocumentError) as error:
        raise SpecError(f"{source}: cannot be read ({error})") from error
    try:
        document = parse_yaml(text, WORD_KEYS)
    except DocumentError as error:
        raise SpecError(f"{source}: {error}") from error
    if not isinstance(document, dict):
        raise SpecError(f"{source}: a spec is a mapping of keys, but this is a {type(document).__name__}")
    document.pop("resolved", None)  # what a run noted in the study.yaml that it wrote
    return document


def _over(base: dict[str, Any], document: dict[str, Any], section: str = "") -> dict[str, Any]:
    """Return a document over another: mappings are merged key by key, anything else replaces what stood there.

    A parameter of the space is one thing, and options belong to the sampler or pruner of their name: these mappings
    replace what stood there as well.
    """
    merged = dict(base)
    for key, value in document.items():
        before = merged.get(key)
        if isinstance(value, dict) and isinstance(before, dict) and section != "space" and _same_name(before, value):
            merged[key] = _over(before, value, key)
        else:
            merged[key] = value
    return merged


def _same_name(before: dict[str, Any], value: dict[str, Any]) -> bool:
    return "name" not in value or value["name"] == before.get("name")


_PASSWORD = re.compile(r"://[^/]*:[^/]*@")


def _override(document: dict[str, Any], override: str) -> None:
    key, equals, text = override.partition("=")
    if not equals or not key:
        shown = override.split(":", 1)[0]  # what follows may be a URL with a password
        raise SpecError(f"--set takes KEY=VALUE, but got {shown!r}{' and more' if shown != override else ''}")
    if key.startswith("storage") and _PASSWORD.search(text):
        raise SpecError(
            "--set storage: a password on a command line is seen by everyone on the machine, and by Ray: leave it out "
            "and use PGPASSWORD or ~/.pgpass"
        )
    if key == "base":
        raise SpecError("--set base: a spec says itself what it is based on: write base in its file")
    *parents, last = key.split(".")
    section = document
    for parent in parents:
        inner = section.setdefault(parent, {})
        if not isinstance(inner, dict):
            raise SpecError(f"--set {key}: {parent} is not a mapping, so {key} cannot be set")
        section = inner
    try:
        section[last] = parse_yaml(text, WORD_KEYS)
    except DocumentError as error:
        raise SpecError(f"--set {key}: the value {error}") from error


def _anchor(document: dict[str, Any], folder: Path) -> None:
    """Let relative dataset paths start at a folder, the spec's, so that a study can be resumed from anywhere."""
    datasets = document.get("datasets")
    if not isinstance(datasets, list):
        return  # refused by the spec's check
    for place, dataset in enumerate(datasets):
        given = dataset.get("path") if isinstance(dataset, dict) else dataset
        if not isinstance(given, str) or not Path(given).name.lower().endswith(tuple(READERS)):
            continue  # a name of the registry, or what the spec's check refuses
        path = str((folder / Path(given).expanduser()).resolve())
        datasets[place] = {**dataset, "path": path} if isinstance(dataset, dict) else path
