"""Sending runs to Weights & Biases: this module and :mod:`studies.tracking.server` are the only ones to import wandb.

Runs are copies of a study's records. What was sent is noted once it is where it should be, so that sending can stop
anywhere and go on later. Offline runs lie in the study's folder until ``wandb sync``; no account, network or prompt is
needed for them, and the home directory is left alone.
"""

from __future__ import annotations

import shutil
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from studies.tracking.destination import Destination
from studies.tracking.local_runs import LocalRuns
from studies.tracking.runs import EXIT_CODES, TrackedRun, TrackedTable
from studies.tracking.sent import SentNotes
from studies.tracking.server import DIGEST, FINISH_SECONDS, PAGE, in_words, log_in, run_settings, runs_there

UPLOADS = 16
"""Runs that are sent to a server at a time."""

FAILURES = 3
"""Runs that fail in a row before the others are left for later: the server, not a run, is at fault."""

_CONFIRM_WAITS = (0.0, 0.5, 2.0)
_DELETED = "previously created and deleted"


@dataclass
class _Open:
    """A run that is being sent: how many of its rows were logged, and what was said last."""

    handle: Any
    path: Path
    rows: int
    said: dict[str, Any] = field(default_factory=dict)


class Sender:
    """Sends runs, and notes those that have arrived.

    Args:
        to: where they go.
        notes: of what was sent before.

    Attributes:
        arrived: ids of the runs that arrived, each once however often it was sent.
        exhausted: whether so many runs failed in a row that others were left for later.
        deleted: ids of runs that somebody has deleted on the server, which does not take them any more.
        problems: one line for each run that could not be sent.
        url: of the last run that :meth:`update` opened; None offline.

    Raises:
        TrackingError: the server cannot be reached, or there are no credentials for it.
    """

    def __init__(self, to: Destination, notes: SentNotes) -> None:
        self._to = to
        self._notes = notes
        self._local = LocalRuns(to.runs_folder)
        self._server = log_in() if to.mode == "online" else ""
        self._open: dict[str, _Open] = {}
        self._sent: dict[str, TrackedRun] = {}
        self._lock = threading.Lock()
        self._entity = to.entity
        self.arrived: set[str] = set()
        self.exhausted = False
        self.deleted: list[str] = []
        self.problems: list[str] = []
        self.url: str | None = None

    def has(self, run: TrackedRun) -> bool:
        """Say whether a run is where it should be, with this very content; or was deleted there."""
        if run.id in self._open:
            return False
        note = self._notes.of(run.id)
        # What has reached a server stays there when the mode goes back to offline.
        here = note if self._server else note | {"server": ""}
        return self._was_deleted(run) or here == {"content": run.digest, **self._place()}

    def update(self, run: TrackedRun) -> None:
        """Bring a run up to date that goes on: it stays open."""
        if self.exhausted or (run.id not in self._open and self._was_deleted(run)):
            return
        try:
            if run.id not in self._open:
                self._begin(run)
            self._say(self._open[run.id], run)
        except Exception as error:
            self._fail(run, error)
            self.exhausted = len(self.problems) >= FAILURES

    def send(self, runs: Iterable[TrackedRun], told: Callable[[int], None] = lambda count: None) -> set[str]:
        """Send runs that have ended, unless they were sent with this very content.

        Args:
            runs: made one by one, when there is room to send them.
            told: takes how many have been sent.

        Returns:
            The ids of those that are where they should be.
        """
        workers = UPLOADS if self._server else 1
        failures, done = 0, 0
        arrived: set[str] = set()
        with ThreadPoolExecutor(workers) as pool:
            pending: set[Future[bool]] = set()
            for run in runs:
                if self.has(run):
                    arrived.add(run.id)
                    continue
                pending.add(pool.submit(self._send_one, run))
                if len(pending) < workers:
                    continue
                ended, pending = wait(pending, return_when=FIRST_COMPLETED)
                for future in ended:
                    failures = 0 if future.result() else failures + 1
                    done += 1
                told(done)
                if len(self._sent) >= (PAGE if self._server else 1):
                    arrived |= self._confirm()
                if failures >= FAILURES:
                    self.exhausted = True
                    break
            wait(pending)
        return arrived | self._confirm()

    def abandon(self) -> None:
        """Let go of W&B's own process: it takes no run again whose beginning failed there, and may hang."""
        import wandb

        self._open.clear()
        with suppress(Exception):
            wandb.teardown(exit_code=EXIT_CODES["interrupted"])

    def close(self) -> None:
        """End the runs that are still open as interrupted: whoever sends the study next goes on with them."""
        with ThreadPoolExecutor(UPLOADS) as pool:
            for opened in self._open.values():
                pool.submit(_interrupt, opened)
        self._open.clear()

    def _place(self) -> dict[str, str]:
        return {"project": f"{self._to.entity or ''}/{self._to.project}", "server": self._server}

    def _was_deleted(self, run: TrackedRun) -> bool:
        return self._notes.of(run.id) == {"deleted": True, **self._place()}

    def _send_one(self, run: TrackedRun) -> bool:
        """Send a run to its end; return whether that worked, as far as the client can say."""
        try:
            if run.id not in self._open:
                self._begin(run)
            opened = self._open[run.id]
            self._say(opened, run)
            self._attach(opened, run)
            if run.alert is not None:
                opened.handle.alert(*run.alert)
            opened.handle.summary.update({**run.summary, **run.times, DIGEST: run.digest})
            del self._open[run.id]
            opened.handle.finish(exit_code=run.exit_code)
        except Exception as error:
            self._fail(run, error)
            return False
        with self._lock:
            self._sent[run.id] = run
        if not self._server:
            self._local.trim(opened.path)
        return True

    def _begin(self, run: TrackedRun) -> None:
        import wandb

        with self._lock:
            self._local.remove(run.id)
        handle = wandb.init(
            project=self._to.project,
            entity=self._to.entity,
            dir=self._to.folder,
            id=run.id,
            name=run.name,
            group=run.group,
            job_type=run.job_type,
            notes=run.notes,
            tags=run.tags,
            config=dict(run.config),
            allow_val_change=True,
            mode="online" if self._server else "offline",
            # A server that has a part of the run keeps it and ignores the steps that it knows; offline there is no
            # server to ask, and the folder of an interrupted run has been removed.
            resume="allow" if self._server else None,
            reinit="create_new",
            settings=run_settings(),
        )
        path = Path(handle.dir).parent
        with self._lock:
            self._local.add(run.id, path)
            self._open[run.id] = _Open(handle, path, handle.starting_step)
            self._entity = handle.entity or self._entity
            if run.job_type == "study":
                self.url = handle.url
                if not self._server:
                    self._local.link(path)
        for metric in run.metrics:
            handle.define_metric(metric.name, step_metric=metric.step, summary=metric.best)

    def _say(self, opened: _Open, run: TrackedRun) -> None:
        """Log the rows that are new, and the settings, tags and results that are others than before."""
        for step in range(opened.rows, len(run.rows)):
            row = run.rows[step]
            timed = {} if row.time is None else {"_timestamp": row.time}
            opened.handle.log({**row.values, **timed}, step=step, commit=True)
        opened.rows = max(opened.rows, len(run.rows))
        said = {"summary": dict(run.summary), "config": dict(run.config), "tags": run.tags}
        if opened.said.get("summary") != said["summary"]:
            opened.handle.summary.update({**run.summary, **run.times})
        if opened.said and opened.said["config"] != said["config"]:
            opened.handle.config.update(dict(run.config), allow_val_change=True)
        if opened.said and opened.said["tags"] != said["tags"]:
            opened.handle.tags = run.tags
        opened.said = said

    def _attach(self, opened: _Open, run: TrackedRun) -> None:
        """Upload a run's tables and files; online, wait until its artifacts are committed."""
        import wandb

        media: dict[str, Any] = {name: _table(table) for name, table in run.tables.items()}
        media |= {name: wandb.Image(str(path)) for name, path in run.images.items()}
        media |= {name: wandb.Html(path, inject=False) for name, path in run.pages.items()}
        if media:
            opened.handle.summary.update(media)
        for artifact in run.artifacts:
            if not self._server:  # an offline artifact is lost when its folder is moved; files of the run are not
                for name, path in artifact.files.items():
                    self._copy(opened, path, Path(artifact.name) / name)
                continue
            made = wandb.Artifact(artifact.name, artifact.type)
            for name, path in artifact.files.items():
                made.add_file(str(path), name=name)
            opened.handle.log_artifact(made, aliases=list(artifact.aliases)).wait(timeout=int(FINISH_SECONDS))

    def _copy(self, opened: _Open, path: Path, name: Path) -> None:
        target = Path(opened.handle.dir) / name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, target)
        opened.handle.save(str(target), base_path=opened.handle.dir, policy="now")

    def _fail(self, run: TrackedRun, error: Exception) -> None:
        with self._lock:
            opened = self._open.pop(run.id, None)
        if opened is not None:
            with suppress(Exception):  # the first error says more
                opened.handle.finish(exit_code=1)
        with self._lock:
            if _DELETED in str(error):
                self.deleted.append(run.id)
                self._notes.add(run.id, {"deleted": True, **self._place()})
            else:
                self.problems.append(f"{run.name}: {in_words(error, self._server)}")

    def _confirm(self) -> set[str]:
        """Note the runs that were sent, of those sent to a server the ones that it has, and return their ids."""
        with self._lock:
            sent, self._sent = self._sent, {}
        missing = dict(sent)
        for pause in _CONFIRM_WAITS if self._server and sent else ():
            time.sleep(pause)
            try:
                for run in list(runs_there(self._entity, self._to.project, missing.values())):
                    del missing[run]
            except Exception as error:
                self.problems.append(f"whether all has arrived is unknown: {in_words(error, self._server)}")
                return self._note(sent, missing)
            if not missing:
                break
        if self._server:
            self.problems += [f"{run.name}: the server does not have all of it" for run in missing.values()]
            return self._note(sent, missing)
        return self._note(sent, {})

    def _note(self, sent: Mapping[str, TrackedRun], missing: Mapping[str, TrackedRun]) -> set[str]:
        """Note what has arrived of what was sent, and return the ids."""
        for run_id in sent.keys() - missing.keys():
            if self._server:
                self._local.remove(run_id)
            self._notes.add(run_id, {"content": sent[run_id].digest, **self._place()})
            self.arrived.add(run_id)
        return sent.keys() - missing.keys()


def _interrupt(opened: _Open) -> None:
    with suppress(Exception):
        opened.handle.summary.update({"state": "interrupted"})
        opened.handle.finish(exit_code=EXIT_CODES["interrupted"])


def _table(table: TrackedTable) -> Any:
    import wandb

    return wandb.Table(columns=list(table.columns), data=[list(row) for row in table.rows], allow_mixed_types=True)
