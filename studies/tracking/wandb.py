"""Sending a study to Weights & Biases: the only module that imports wandb.

The study's records are the truth and W&B is a copy of them: what was sent is noted after each run, so that sending can
stop anywhere and go on later, and a failure costs the study nothing. Offline is the default: runs lie in the study's
folder until ``wandb sync``; no account, network or prompt is needed and the home directory is left alone.
"""

from __future__ import annotations

import fcntl
import json
import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, get_args

from dst.errors import InputError, unknown_name
from studies.choice.best import BestRow
from studies.spec.documents import read_json
from studies.spec.tracking import Mode, Runs
from studies.spec.wandb_names import check_name
from studies.store.archive import StudyArchive
from studies.store.files import open_for_lock, write_text
from studies.store.folder import StudyFolder
from studies.surroundings import standard_streams, stated_home
from studies.tracking.runs import TrackedRun, study_run, trial_run

if TYPE_CHECKING:
    import wandb


_NOTES = "sent.json"
_INIT_SECONDS = 60.0
_FINISH_SECONDS = 300.0


class TrackingError(Exception):
    """W&B failed. What was sent before is noted, and the same call goes on from there."""


@standard_streams()
@stated_home()
def track(
    archive: StudyArchive,
    *,
    study_name: str,
    project: str,
    best: Sequence[BestRow],
    best_by_method: Sequence[BestRow],
    entity: str | None = None,
    mode: Mode = "offline",
    runs: Runs = "trials",
) -> int:
    """Send what W&B does not have yet: a run per trial, and one for the study with its tables of best configurations.

    Runs have ids that follow from the study's name, the dataset and the trial's number, so that sending again replaces
    and never doubles. A run is sent again when its content has changed, e.g. when a confirming trial has got its test
    accuracy; runs that were only written offline are sent when the mode becomes online.

    The user's own ``WANDB_*`` variables hold (``WANDB_BASE_URL``, ``WANDB_API_KEY``, ...); ``WANDB_MODE`` can make the
    mode more private, never less.

    Args:
        archive: of the study to send.
        study_name: the study's name; two studies of one project need two names.
        project: name of the W&B project that gets the runs.
        best: the best configuration of each dataset, keys as in :data:`studies.report.tables.BEST_COLUMNS`.
        best_by_method: the same for each dataset and method.
        entity: the W&B user or team; the account's default when None.
        mode: ``offline`` (write runs under ``wandb/``), ``online``, or ``disabled`` (do nothing).
        runs: ``trials`` (a run per trial, and the study's) or ``study`` (only the study's).

    Returns:
        How many runs were sent.

    Raises:
        InputError: mode or runs is not one of the above, or W&B would refuse the project's or entity's name.
        TrackingError: W&B failed, or another process is sending this study; the message is one line.
        RecordError: a record is damaged.
    """
    folder = archive.folder
    for kind, given, valid in (("W&B mode", mode, get_args(Mode)), ("choice of W&B runs", runs, get_args(Runs))):
        if given not in valid:
            raise InputError(unknown_name(kind, given, valid))
    try:
        check_name("project", project)
        if entity is not None:
            check_name("entity", entity)
    except ValueError as error:
        raise InputError(f"{error}: give another one, e.g. dst track {folder.path} --project NAME") from error
    mode = _more_private(mode)
    if mode == "disabled":
        return 0
    with _locked(folder), _environment(folder):
        sender = _Sender(folder, project=project, entity=entity, mode=mode)
        for record in archive.all_records() if runs == "trials" else ():
            test = archive.test(record["dataset"], record["number"])
            sender.send(trial_run(study_name, record, test))
        sender.send(study_run(study_name, archive.all_records(), best, best_by_method))
        return sender.count


class _Sender:
    """Sends runs and notes what was sent; :attr:`count` says how many this time."""

    def __init__(self, folder: StudyFolder, *, project: str, entity: str | None, mode: Mode) -> None:
        self._folder = folder
        self._project = project
        self._entity = entity
        self._notes = _read_notes(folder)
        self._server = "" if mode == "offline" else _log_in()
        self.count = 0

    def send(self, run: TrackedRun) -> None:
        """Send a run unless it was sent with this very content."""
        goal = {"content": run.digest(), "project": f"{self._entity or ''}/{self._project}", "server": self._server}
        note = self._notes.get(run.id, {})
        # What has reached a server stays there when the mode goes back to offline.
        known = note if self._server else note | {"server": ""}
        if known == goal:
            return
        self._remove_local(run.id)
        try:
            self._write(run)
        except Exception as error:
            where = f"W&B at {self._server}" if self._server else "W&B"
            raise TrackingError(f"{where}: {_one_line(error)}") from error
        if self._server:
            self._remove_local(run.id)
        self._notes[run.id] = goal
        write_text(self._folder.wandb / _NOTES, json.dumps(self._notes, indent=1, sort_keys=True))
        self.count += 1

    def _write(self, run: TrackedRun) -> None:
        import wandb

        sent = wandb.init(
            project=self._project,
            entity=self._entity,
            dir=self._folder.path,
            id=run.id,
            name=run.name,
            group=run.group,
            job_type=run.job_type,
            tags=run.tags,
            config=run.config,
            allow_val_change=True,
            mode="online" if self._server else "offline",
            # A server that has a part of the run keeps it and ignores the steps that it knows; offline there is no
            # server to ask, and the folder of an interrupted run has been removed.
            resume="allow" if self._server else None,
            reinit="create_new",
            settings=_settings(),
        )
        try:
            for step, values in run.history.items():
                sent.log(values, step=step, commit=True)
            for name, table in run.tables.items():
                sent.log({name: wandb.Table(columns=list(table.columns), data=[list(row) for row in table.rows])})
            sent.summary.update(run.summary)
        except Exception:
            with suppress(Exception):  # the first error says more
                sent.finish(exit_code=1)
            raise
        sent.finish(exit_code=int(run.failed))

    def _remove_local(self, run_id: str) -> None:
        """Remove the run's folder under ``wandb/``: half-written, superseded, or safe on the server."""
        for path in self._folder.wandb.glob(f"*run-????????_??????-{run_id}"):
            shutil.rmtree(path)


def _settings() -> wandb.Settings:
    """Return settings that keep a run to what it is given: nothing of console, machine, code or packages."""
    import wandb

    return wandb.Settings(
        console="off",
        silent=True,
        disable_git=True,
        disable_code=True,
        save_code=False,
        symlink=False,
        use_dot_wandb=False,
        x_disable_meta=True,
        x_disable_stats=True,
        x_disable_machine_info=True,
        x_save_requirements=False,
        init_timeout=_INIT_SECONDS,
        # Without a limit an upload that hangs holds the process for half an hour and longer.
        finish_timeout=_FINISH_SECONDS,
        finish_timeout_raises=True,
    )


def _log_in() -> str:
    """Check the credentials with the server, without ever asking for a key, and return the server's address."""
    import wandb

    server = wandb.setup().settings.base_url
    try:
        known = wandb.run is not None or wandb.login(prompt=False)
    except Exception as error:
        raise TrackingError(f"W&B at {server}: {_one_line(error)}") from error
    if not known:
        raise TrackingError(
            f"W&B has no credentials for {server}, or was set offline: run `wandb login` (`wandb online`), "
            "set WANDB_API_KEY, or track with mode offline"
        )
    return str(server)


def _more_private(mode: Mode) -> Mode:
    """Return the more private one of the mode and what ``WANDB_MODE`` says."""
    environment: dict[str, Mode] = {"disabled": "disabled", "offline": "offline", "dryrun": "offline"}
    modes = [mode, environment.get(os.environ.get("WANDB_MODE", ""), mode)]
    return min(modes, key=("disabled", "offline", "online").index)


@contextmanager
def _locked(folder: StudyFolder) -> Iterator[None]:
    """Keep a second process from sending the same study: each would remove what the other is writing."""
    folder.wandb.mkdir(parents=True, exist_ok=True)
    path = folder.wandb / "lock"
    with open_for_lock(path) as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise TrackingError(f"another process is sending this study to W&B: {path} is locked") from error
        yield


@contextmanager
def _environment(folder: StudyFolder) -> Iterator[None]:
    """Set what W&B takes from the environment only, where the user has not: no home directory, no error reports."""
    ours = {
        "WANDB_CACHE_DIR": str(folder.wandb.resolve() / "cache"),
        "WANDB_DATA_DIR": str(folder.wandb.resolve() / "data"),
        "WANDB_DISABLE_GIT": "true",
        "WANDB_ERROR_REPORTING": "false",
        "WANDB_SILENT": "true",
    }
    added = {name: value for name, value in ours.items() if name not in os.environ}
    os.environ.update(added)
    try:
        yield
    finally:
        for name in added:
            os.environ.pop(name, None)


def _read_notes(folder: StudyFolder) -> dict[str, dict[str, str]]:
    path = folder.wandb / _NOTES
    if not path.exists():
        return {}
    try:
        notes = read_json(path)
        if not isinstance(notes, dict) or not all(isinstance(note, dict) for note in notes.values()):
            raise ValueError("it must hold an object of objects")
    except (OSError, ValueError) as error:
        raise TrackingError(f"{path} is damaged ({error}): delete it to send all runs again") from error
    return notes


def _one_line(error: Exception) -> str:
    return " ".join(f"{type(error).__name__}: {error}".split()).rstrip(": ")
