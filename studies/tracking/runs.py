"""Runs of a tracker as plain data, with ids that follow from the study and digests that follow from the content."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

from dst.errors import shortened
from studies.spec.tracking import LONGEST_TAG

EXIT_CODES: Mapping[str, int] = {"finished": 0, "stopped": 0, "failed": 1, "interrupted": 255, "running": 0}
"""Exit code of a run by its state: W&B shows 0 as finished, 255 as killed, any other as failed."""


@dataclass(frozen=True)
class Metric:
    """The axis of a value that is logged, and which of its values stands in the summary (None: the last)."""

    name: str
    step: str | None = None
    best: Literal["min", "max"] | None = None


@dataclass(frozen=True)
class Row:
    """Values that are logged together.

    Attributes:
        values: by name.
        time: seconds since the epoch; None: unknown. It is no part of a run's digest.
    """

    values: Mapping[str, float | int]
    time: float | None = None


@dataclass(frozen=True)
class TrackedTable:
    """A table of a run: the names of its columns, and its rows."""

    columns: tuple[str, ...]
    rows: tuple[tuple[Any, ...], ...]


@dataclass(frozen=True)
class TrackedArtifact:
    """Files with a name of their own in the project.

    Attributes:
        name: of the artifact.
        type: ``study``, ``features`` or ``config``.
        files: by their name in the artifact.
        aliases: names of this version.
    """

    name: str
    type: str
    files: Mapping[str, Path]
    aliases: tuple[str, ...] = ("latest",)


@dataclass(frozen=True)
class TrackedRun:
    """The whole content of one run.

    Attributes:
        id: names the run in its project; the same place in the same study always has the same id.
        name: as people read it.
        group: the study that it belongs to.
        job_type: ``study``, ``dataset``, ``search`` or ``confirm``.
        tags: words to filter by.
        state: of the trial or the study; the run ends with its :data:`EXIT_CODES`.
        config: settings of the run.
        metrics: axes of what is logged.
        rows: what is logged, in order; rows are only ever added at the end.
        summary: results of the run.
        times: of the run, as further keys of the summary; no part of the digest.
        notes: a longer text.
        tables: by name.
        images: PNG files by name.
        pages: HTML files by name.
        artifacts: files that have a name of their own in the project.
        alert: title and text of a message to the user; no part of the digest.
    """

    id: str
    name: str
    group: str
    job_type: str
    tags: tuple[str, ...]
    state: str
    config: Mapping[str, Any]
    metrics: tuple[Metric, ...] = ()
    rows: tuple[Row, ...] = ()
    summary: Mapping[str, Any] = field(default_factory=dict)
    times: Mapping[str, str] = field(default_factory=dict)
    notes: str | None = None
    tables: Mapping[str, TrackedTable] = field(default_factory=dict)
    images: Mapping[str, Path] = field(default_factory=dict)
    pages: Mapping[str, Path] = field(default_factory=dict)
    artifacts: tuple[TrackedArtifact, ...] = ()
    alert: tuple[str, str] | None = None

    @property
    def exit_code(self) -> int:
        """The exit code that the run ends with."""
        return EXIT_CODES[self.state]

    @property
    def has_uploads(self) -> bool:
        """True if files belong to the run."""
        return bool(self.tables or self.images or self.pages or self.artifacts)

    @cached_property
    def digest(self) -> str:
        """A fingerprint of the content: equal for equal content, in any process and whenever it happened."""
        document = {key: value for key, value in asdict(self).items() if key not in ("times", "alert")}
        document["rows"] = [row.values for row in self.rows]
        text = json.dumps(document, sort_keys=True, default=_fingerprint)
        return hashlib.sha256(text.encode()).hexdigest()[:16]


def _fingerprint(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def run_id(study: str, *place: str | int, label: str = "") -> str:
    """Return an id for a place in a study, of letters, digits, ``_``, ``.`` and ``-``, at most 61 of them.

    Its end is a hash of the study and the place, so that names that differ only in other characters, or beyond the
    length, stay apart.

    Args:
        study: the study's identity.
        place: a dataset, a dataset and a trial's number, or nothing for the study itself.
        label: begins the id of the study itself.
    """
    readable = re.sub(r"[^A-Za-z0-9_.-]+", "-", "-".join(map(str, place or (label or study,))))[-48:]
    fingerprint = hashlib.sha256(json.dumps([study, *place]).encode()).hexdigest()[:12]
    return f"{readable}-{fingerprint}"


@dataclass(frozen=True)
class RunIds:
    """The ids of a study's runs.

    They are made of the study's identity, which two studies of one name do not share. Runs that an earlier version
    sent, under ids made of the name, keep these.

    Attributes:
        identity: of the study.
        name: of the study.
        sent: ids of runs that were sent before.
    """

    identity: str
    name: str
    sent: Collection[str] = ()

    def of(self, *place: str | int) -> str:
        """Return the id of a place, see :func:`run_id`."""
        by_name = run_id(self.name, *place)
        return by_name if by_name in self.sent else run_id(self.identity, *place, label=self.name)


def tags_of(*words: str | None) -> tuple[str, ...]:
    """Return the words as W&B takes them: none twice, none too long."""
    return tuple(dict.fromkeys(shortened(word, LONGEST_TAG - 3, "...") for word in words if word))
