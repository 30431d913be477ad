"""Where the runs of a study go: what its spec says, and where it is silent the user's ``WANDB_*`` variables."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import get_args

from dst.errors import InputError, unknown_name
from studies.spec.tracking import Mode, Runs, WandbSpec
from studies.spec.wandb_names import check_name
from studies.store.folder import StudyFolder

PROJECT = "dst-studies"
"""The W&B project of a study that names none."""

_CONNECTION = (
    "API_KEY",
    "APP_URL",
    "BASE_URL",
    "CACHE_DIR",
    "CONFIG_DIR",
    "CORE_DEBUG",
    "CREDENTIALS_FILE",
    "DATA_DIR",
    "DEBUG",
    "ERROR_REPORTING",
    "FILE_PUSHER_TIMEOUT",
    "HTTPS_PROXY",
    "HTTP_PROXY",
    "HTTP_TIMEOUT",
    "IDENTITY_TOKEN_FILE",
    "INSECURE_DISABLE_SSL",
    "LOGIN_TIMEOUT",
    "SILENT",
    "X_EXTRA_HTTP_HEADERS",
    "_EXTRA_HTTP_HEADERS",
    "_PROXIES",
)
"""Endings of the ``WANDB_*`` variables that say how a server is reached; W&B itself reads these.

All others would change what a run is: its id (``WANDB_RUN_ID``), the sweep or the launch that it belongs to, its
settings. A process that a sweep or a launch started has some of them.
"""


@dataclass(frozen=True)
class Destination:
    """Where runs go, and what the user adds to them.

    Attributes:
        mode: ``offline``, ``online`` or ``disabled``.
        project: the W&B project.
        entity: the W&B user or team; None: the account's default.
        runs: which runs are sent, see :class:`studies.spec.tracking.WandbSpec`.
        tags: of every run.
        notes: of the study's run.
        group: of all runs; None: named after the study.
        alerts: whether W&B tells its user how the study ended.
        folder: holds ``wandb/`` with the runs that lie on this machine.
    """

    mode: Mode
    project: str
    entity: str | None
    runs: Runs
    tags: tuple[str, ...]
    notes: str | None
    group: str | None
    alerts: bool
    folder: Path

    @property
    def runs_folder(self) -> Path:
        """The folder of the runs that lie on this machine."""
        return self.folder / "wandb"


def destination(spec: WandbSpec, folder: StudyFolder, environment: Mapping[str, str] | None = None) -> Destination:
    """Return where the runs of a study go.

    Args:
        spec: what the study's spec, or a command, says.
        folder: of the study.
        environment: variables; None: those of this process. ``WANDB_MODE`` can make the mode more private, never less.

    Raises:
        InputError: mode or runs is unknown, or W&B would refuse the project's or entity's name.
    """
    given = os.environ if environment is None else environment
    for kind, word, valid in (
        ("W&B mode", spec.mode, get_args(Mode)),
        ("choice of W&B runs", spec.runs, get_args(Runs)),
    ):
        if word not in valid:
            raise InputError(unknown_name(kind, word, valid))
    project = spec.project or given.get("WANDB_PROJECT") or PROJECT
    entity = spec.entity or given.get("WANDB_ENTITY") or None
    try:
        check_name("project", project)
        if entity is not None:
            check_name("entity", entity)
    except ValueError as error:
        raise InputError(f"{error}: give another one, e.g. dst track {folder.path} --project NAME") from error
    tags = spec.tags or tuple(tag.strip() for tag in given.get("WANDB_TAGS", "").split(",") if tag.strip())
    return Destination(
        mode=_more_private(spec.mode, given),
        project=project,
        entity=entity,
        runs=spec.runs,
        tags=tags,
        notes=spec.notes or given.get("WANDB_NOTES") or None,
        group=spec.group or given.get("WANDB_RUN_GROUP") or None,
        alerts=spec.alerts,
        folder=Path(given.get("WANDB_DIR") or folder.path).expanduser().absolute(),
    )


def _more_private(mode: Mode, environment: Mapping[str, str]) -> Mode:
    """Return the more private one of the mode and what ``WANDB_MODE`` says."""
    known: dict[str, Mode] = {"disabled": "disabled", "offline": "offline", "dryrun": "offline"}
    modes = [mode, known.get(environment.get("WANDB_MODE", ""), mode)]
    return min(modes, key=("disabled", "offline", "online").index)


@contextmanager
def wandb_environment(folder: StudyFolder) -> Iterator[None]:
    """Leave W&B only what says how a server is reached, and keep it away from the home directory, meanwhile."""
    kept = {f"WANDB_{ending}" for ending in _CONNECTION}
    ours = {
        "WANDB_CACHE_DIR": str(folder.wandb.resolve() / "cache"),
        "WANDB_DATA_DIR": str(folder.wandb.resolve() / "data"),
        "WANDB_DISABLE_GIT": "true",
        "WANDB_ERROR_REPORTING": "false",
        "WANDB_SILENT": "true",
    }
    before = {name: value for name, value in os.environ.items() if name.startswith("WANDB_")}
    for name in before.keys() - kept:
        del os.environ[name]
    os.environ.update({name: value for name, value in ours.items() if name not in os.environ})
    try:
        yield
    finally:
        for name in [name for name in os.environ if name.startswith("WANDB_") and name not in before]:
            if name != "WANDB_SERVICE":  # W&B's own: its process serves this one to the end
                del os.environ[name]
        os.environ.update(before)
