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


def load_spec(source: str | Path, overrides: Sequence[str] = ()) -> StudySpec:
    """Read a spec from a YAML file, or a packaged one by its name.

    Args:
        source: a path, or the name of a spec that comes with this package (:func:`packaged_specs`).
        overrides: ``KEY=VALUE`` pairs that replace single values; keys are dotted (``search.trials=50``), values YAML.

    Raises:
        SpecError: the file cannot be read, or the spec breaks a rule.
    """
    path = Path(source)
    if path.is_file():
        try:
            text = read_text(path)
        except (OSError, DocumentError) as error:
            raise SpecError(f"{path}: cannot be read ({error})") from error
    elif str(source) in packaged_specs():
        text = resources.files("studies.spec").joinpath("packaged", f"{source}.yaml").read_text(encoding="utf-8")
    elif path.is_dir():
        raise SpecError(f"{path}: a spec is a YAML file, but this is a folder")
    else:
        raise SpecError(f"{unknown_name('spec', str(source), packaged_specs())}, or the path of a YAML file")
    try:
        document = parse_yaml(text, WORD_KEYS)
    except DocumentError as error:
        raise SpecError(f"{path}: {error}") from error
    if not isinstance(document, dict):
        raise SpecError(f"{path}: a spec is a mapping of keys, but this is a {type(document).__name__}")
    document.pop("resolved", None)  # what a run noted in the study.yaml that it wrote
    for override in overrides:
        _override(document, override)
    return _with_absolute_paths(parse_spec(document, str(source)), path.resolve().parent)


def parse_spec(document: dict[str, Any], source: str = "spec", *, begun: bool = False) -> StudySpec:
    """Check a spec that was read already.

    Args:
        document: the spec.
        source: where it comes from, for messages.
        begun: whether it is that of a study that has begun, and is looked at or reported.

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


def _with_absolute_paths(spec: StudySpec, folder: Path) -> StudySpec:
    """Anchor relative dataset paths at the spec file's folder, so that a study can be resumed from anywhere."""

    def anchored(dataset: DatasetSpec) -> DatasetSpec:
        path = Path(dataset.path).expanduser()
        is_path = any(path.name.lower().endswith(suffix) for suffix in READERS)
        return dataset.model_copy(update={"path": str((folder / path).resolve())}) if is_path else dataset

    return spec.model_copy(update={"datasets": tuple(anchored(dataset) for dataset in spec.datasets)})
