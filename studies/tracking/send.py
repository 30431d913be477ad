"""Sending to W&B the runs of a study that it does not have yet: once, or as the study goes on."""

from __future__ import annotations

import fcntl
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from studies.store.archive import StudyArchive
from studies.store.files import open_for_lock
from studies.store.folder import StudyFolder
from studies.store.lock import owner_lives
from studies.surroundings import standard_streams, stated_home
from studies.tracking.content import StudyContent
from studies.tracking.destination import Destination, destination, wandb_environment
from studies.tracking.sent import NotesError, SentNotes
from studies.tracking.server import TrackingError
from studies.tracking.wandb import Sender


@dataclass(frozen=True)
class Sent:
    """What came of sending.

    Attributes:
        runs: number of runs that were sent, each once however often it was.
        deleted: number of runs that were deleted on the server, and stay so.
        url: of the study's run; None where it was not sent to a server this time.
    """

    runs: int
    deleted: int
    url: str | None


@standard_streams()
@stated_home()
def send_results(
    archive: StudyArchive,
    *,
    mode: str | None = None,
    project: str | None = None,
    entity: str | None = None,
    told: Callable[[int], None] = lambda count: None,
) -> Sent:
    """Send to W&B what it does not have yet of a study.

    A run has an id that follows from the study's identity, the dataset and the trial's number, so that sending again
    replaces and never doubles. It is sent again when its content has changed, e.g. when a confirming trial has got its
    test accuracy; runs that were only written offline are sent when the mode becomes online.

    Args:
        archive: of the study to send.
        mode: ``online``, ``offline`` or ``disabled``; None: the spec's.
        project: the W&B project; None: the spec's.
        entity: the W&B user or team; None: the spec's.
        told: takes how many runs have been sent so far.

    Raises:
        InputError: an unknown mode, or a name that W&B would refuse.
        TrackingError: W&B failed, or another process is sending this study; the message is one line.
        RecordError: a record is damaged.
    """
    folder = archive.folder
    to = destination_of(archive, mode=mode, project=project, entity=entity)
    if to.mode == "disabled":
        return Sent(0, 0, None)
    with locked(folder), wandb_environment(folder):
        notes = open_notes(folder)
        sender = Sender(to, notes)
        content = StudyContent(folder, to, notes)
        content.look()
        send_all(sender, content, state_of(folder), told)
        if sender.problems:
            sender.abandon()
            raise TrackingError(in_short(sender))
    return Sent(len(sender.arrived), len(sender.deleted), sender.url)


def destination_of(archive: StudyArchive, **options: str | None) -> Destination:
    """Return where a study's runs go.

    Args:
        archive: of the study.
        options: keys of :class:`studies.spec.tracking.WandbSpec` that hold instead of the spec's; None: the spec's.

    Raises:
        InputError: an unknown mode, or a name that W&B would refuse.
    """
    given = {name: value for name, value in options.items() if value is not None}
    return destination(archive.spec.tracking.wandb.model_copy(update=given), archive.folder)


def send_all(
    sender: Sender, content: StudyContent, state: str, told: Callable[[int], None] = lambda count: None
) -> None:
    """Send all that a study has: its own run and its datasets' first, then trials.

    Args:
        sender: sends them.
        content: has looked at the study.
        state: of the study.
        told: takes how many runs have been sent so far.
    """
    sender.send(content.complete(state))
    if not sender.exhausted:
        sender.send(content.trials(), told)


def in_short(sender: Sender) -> str:
    """Return one line about what could not be sent."""
    more = len(sender.problems) - 1
    return sender.problems[0] + (f" (and {more} more)" if more else "")


def state_of(folder: StudyFolder) -> str:
    """Return the state of a study: ``running``, ``finished`` or ``interrupted``; a finished one has no checkpoints."""
    if owner_lives(folder):
        return "running"
    return "interrupted" if folder.checkpoints.exists() else "finished"


def open_notes(folder: StudyFolder) -> SentNotes:
    """Return the notes of what was sent of a study.

    Raises:
        TrackingError: they are damaged.
    """
    try:
        return SentNotes(folder)
    except NotesError as error:
        raise TrackingError(str(error)) from error


@contextmanager
def locked(folder: StudyFolder) -> Iterator[None]:
    """Keep a second process from sending the same study: each would remove what the other is writing.

    Raises:
        TrackingError: another process is sending it.
    """
    folder.wandb.mkdir(parents=True, exist_ok=True)
    path = folder.wandb / "lock"
    with open_for_lock(path) as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise TrackingError(f"another process is sending this study to W&B: {path} is locked") from error
        yield
