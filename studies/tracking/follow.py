"""Sending a study to W&B as it goes on, in a process of its own: what has ended, and the runs that are open."""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from studies.store.archive import StudyArchive
from studies.store.folder import StudyFolder
from studies.store.lock import owner_lives
from studies.store.record_codec import RecordError
from studies.surroundings import say, standard_streams, stated_home
from studies.tracking.content import Place, StudyContent
from studies.tracking.destination import Destination, wandb_environment
from studies.tracking.send import Sent, destination_of, in_short, locked, open_notes, send_all, state_of
from studies.tracking.server import TrackingError
from studies.tracking.wandb import Sender

SETTLED_SECONDS = 1.0
"""Age of a record that is sent while the study runs: of two that end together, both are there by then."""

NICENESS = 10
"""How far a follower stands back behind the study's trials."""

END_SECONDS = 60.0
"""The most seconds that the last uploads take in a process that a study started; the study waits for less."""

LOCK_SECONDS = 1.0
"""Between two tries to send a study that another process still sends."""

Wait = Callable[[float], str | None]
"""``wait(seconds)``: how the study ended (``finished``, ``failed``, ``interrupted``), or None while it goes on."""


def until_told(stream: int, hear: Callable[[], None] = lambda: None) -> Wait:
    """Return what waits for the driver's last word, which says how the study ended.

    Args:
        stream: descriptor that the driver writes it to; one that dies without a word has been interrupted.
        hear: is called at that moment, whatever this process waits for.
    """
    told, words = threading.Event(), list[str]()

    def listen() -> None:
        words.append(os.read(stream, 100).decode(errors="replace").strip() or "interrupted")
        told.set()
        hear()

    threading.Thread(target=listen, name="driver", daemon=True).start()
    return lambda seconds: words[0] if told.wait(seconds) else None


def until_ownerless(folder: StudyFolder) -> Wait:
    """Return what waits for the end of the run that is at work in a folder."""

    def wait(seconds: float) -> str | None:
        until = time.monotonic() + seconds
        while owner_lives(folder):
            if (left := until - time.monotonic()) <= 0:
                return None
            time.sleep(min(1.0, left))
        return state_of(folder)

    return wait


@standard_streams()
@stated_home()
def follow(path: Path, *, told: bool, **options: str | None) -> Sent:
    """Send a study to W&B while it runs, and what is left when it has ended.

    A failure meanwhile costs nothing but time: the next look tries again.

    Args:
        path: the study's folder.
        told: whether the driver, which started this process, says on standard input how the study ended; without it
            the study has ended when no run is at work in its folder.
        options: ``mode``, ``project`` and ``entity``; None: the spec's.

    Raises:
        InputError: an unknown mode, or a name that W&B would refuse.
        TrackingError: something could not be sent in the end.
        RecordError: a record is damaged.
    """
    folder = StudyFolder(path)
    archive = StudyArchive(folder)
    to, seconds = destination_of(archive, **options), archive.spec.tracking.wandb.seconds
    if to.mode == "disabled":
        return Sent(0, 0, None)
    if told:
        os.nice(NICENESS)
    follower = Follower(folder, to)
    wait = until_told(sys.stdin.fileno(), follower.leave_if_failing) if told else until_ownerless(folder)
    with ExitStack() as stack:
        ending = take_over(stack, folder, wait) or wait(0.0)
        stack.enter_context(wandb_environment(folder))
        while ending is None:
            follower.look()
            ending = wait(seconds)
        with ended_by(END_SECONDS if told else None):
            return follower.finish(ending)


def take_over(stack: ExitStack, folder: StudyFolder, wait: Wait) -> str | None:
    """Keep other processes from sending the study; one that still does so, for a run that died, is waited for.

    Args:
        stack: lets go of the study at its end.
        folder: the study's.
        wait: waits for the end of the study.

    Returns:
        How the study ended, if it did so meanwhile.

    Raises:
        TrackingError: the other one still sends it long after the study's end.
    """
    ending, left = None, END_SECONDS
    while True:
        try:
            stack.enter_context(locked(folder))
            return ending
        except TrackingError:
            if left <= 0:
                raise
        if ending is None:
            ending = wait(LOCK_SECONDS)
        else:
            time.sleep(LOCK_SECONDS)
            left -= LOCK_SECONDS


@contextmanager
def ended_by(seconds: float | None) -> Iterator[None]:
    """End this process, and those of its group, if the block takes longer; what is left can be sent later.

    Args:
        seconds: None: no limit.
    """
    timer = threading.Timer(seconds or 0.0, os.killpg, (os.getpgrp(), signal.SIGKILL))
    timer.daemon = True
    if seconds is not None:
        timer.start()
    try:
        yield
    finally:
        timer.cancel()


class Follower:
    """Sends what is new in a study at each look.

    Args:
        folder: the study's.
        to: where its runs go.
    """

    def __init__(self, folder: StudyFolder, to: Destination) -> None:
        self._folder = folder
        self._to = to
        self._sender: Sender | None = None
        self._content: StudyContent | None = None
        self._due: set[Place] = set()
        self._said = ""
        self._failing = False
        self._arrived: set[str] = set()

    def look(self) -> None:
        """Send the trials that have ended, and bring the runs that go on up to date; what fails is tried again."""
        try:
            sender, content = self._ready()
            self._due |= {trial.place for trial in content.look(time.time() - SETTLED_SECONDS)}
            self._due |= content.confirming(content.choose())
            arrived = sender.send(content.trials(self._due.__contains__))
            self._due = {place for place in self._due if content.facts.ids.of(*place) not in arrived}
            running = content.running()
            for run in (*running, *content.overview("running", len(running))):
                sender.update(run)
            if sender.problems:
                self._say(in_short(sender))
                self._failing = sender.exhausted
                self._renew(sender)
            else:
                self._said, self._failing = "", False
        except (TrackingError, RecordError, OSError) as error:
            self._say(str(error))
            self._failing = isinstance(error, TrackingError)

    def leave_if_failing(self) -> None:
        """End this process, and its group, where the server failed at the last look: no study waits for it again."""
        if self._failing:
            say(self._said)
            os.killpg(os.getpgrp(), signal.SIGKILL)

    def finish(self, ending: str) -> Sent:
        """Send all that is left, tables and files too, and close every run.

        Args:
            ending: of the study: ``finished``, ``failed`` or ``interrupted``.

        Raises:
            TrackingError: something could not be sent.
            RecordError: a record is damaged.
        """
        sender, content = self._ready()
        content.look()
        content.choose()
        send_all(sender, content, ending)
        if sender.problems and not sender.exhausted:  # what an open run could not take is sent anew
            self._renew(sender)
            sender, content = self._ready()
            send_all(sender, content, ending)
        sender.close()
        if sender.problems:
            raise TrackingError(in_short(sender))
        return Sent(len(self._arrived | sender.arrived), len(sender.deleted), sender.url)

    def _renew(self, sender: Sender) -> None:
        """Let go of W&B's own process: it takes no run again whose beginning failed there."""
        sender.abandon()
        self._arrived |= sender.arrived
        self._sender = None

    def _ready(self) -> tuple[Sender, StudyContent]:
        if self._sender is None or self._content is None:
            notes = open_notes(self._folder)
            self._content = self._content or StudyContent(self._folder, self._to, notes)
            self._sender = Sender(self._to, notes)
        return self._sender, self._content

    def _say(self, problem: str) -> None:
        """Say what went wrong, once for as long as it is the same."""
        if problem != self._said:
            self._said = problem
            say(problem)
