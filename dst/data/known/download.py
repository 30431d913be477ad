"""Downloading one file within the bounds of a patience."""

from __future__ import annotations

import functools
import queue
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

OnProgress = Callable[[int, int], None]
"""``on_progress(done, total)`` in bytes; a total of 0 is unknown."""


@dataclass(frozen=True)
class Patience:
    """Bounds of the time to wait for a server.

    Attributes:
        connect: seconds until it answers the first time.
        silence: seconds without a byte.
        total: seconds for one file.
        tries: how often each address is tried, where trying again can help.
        max_bytes: a file that is larger is none of ours.
    """

    connect: float = 10.0
    silence: float = 30.0
    total: float = 1800.0
    tries: int = 2
    max_bytes: int = 2**30


class TryAgainError(Exception):
    """The server may answer another time."""


class RefusedError(Exception):
    """The server's answer will not change."""


@dataclass(frozen=True)
class Download:
    """The downloader that pooch calls for a file, within the bounds of a patience."""

    patience: Patience
    on_progress: OnProgress

    def __call__(self, url: str, output_file: str, pooch: Any) -> None:
        """Write what ``url`` serves to ``output_file``."""
        import requests
        import urllib3

        limits = (self.patience.connect, self.patience.silence)
        deadline = time.monotonic() + self.patience.total
        ask = functools.partial(
            requests.get, url, stream=True, timeout=limits, headers={"Accept-Encoding": "identity"}
        )  # identity: the length that the server states is then the file's own
        try:
            with _within(self.patience.total, ask) as answer:
                if answer.status_code >= 500:
                    raise TryAgainError(f"the server answered {answer.status_code} {answer.reason}")
                if answer.status_code != 200:
                    raise RefusedError(f"the server answered {answer.status_code} {answer.reason}")
                self._save(answer, Path(output_file), deadline)
        except requests.RequestException as error:
            raise TryAgainError(reason_of(error)) from error
        except (urllib3.exceptions.HTTPError, TimeoutError, ConnectionError) as error:
            raise TryAgainError(reason_of(error)) from error

    def _save(self, answer: Any, output: Path, deadline: float) -> None:
        stated = _length(answer.headers.get("Content-Length", ""))
        done = 0
        with output.open("wb") as file:
            while chunk := answer.raw.read1(
                2**16
            ):  # what has come, however little: the deadline is looked at each time
                file.write(chunk)
                done += len(chunk)
                if max(done, stated) > self.patience.max_bytes:
                    raise RefusedError(f"the server sends more than {self.patience.max_bytes:,} bytes")
                if time.monotonic() > deadline:
                    raise _late(self.patience.total)
                self.on_progress(done, stated)
        if done < stated:
            raise TryAgainError(f"the connection was cut after {done:,} of {stated:,} bytes")


def _length(header: str) -> int:
    """The bytes that a server says it sends; 0 where it does not say, or says no number (RFC 9110, 8.6)."""
    numbers = {number.strip() for number in header.split(",")}  # proxies join the same number twice
    number = numbers.pop()
    return int(number) if not numbers and number.isascii() and number.isdigit() else 0


def _late(seconds: float) -> TryAgainError:
    return TryAgainError(f"not complete after {seconds:g} seconds")


def _within(seconds: float, ask: Callable[[], Any]) -> Any:
    """Return or raise what ``ask`` does, if it does so in time.

    requests bounds each wait for a byte, not how many bytes of headers and redirections there are. A thread that is
    late is left behind: it holds a connection until the server ends it, and nothing else.
    """
    outcome: queue.SimpleQueue[tuple[Any, Exception | None]] = queue.SimpleQueue()

    def run() -> None:
        try:
            outcome.put((ask(), None))
        except Exception as error:  # raised again below
            outcome.put((None, error))

    threading.Thread(target=run, daemon=True).start()
    try:
        answer, error = outcome.get(timeout=seconds)
    except queue.Empty:
        raise _late(seconds) from None
    if error is not None:
        raise error
    return answer


def reason_of(error: Exception) -> str:
    """A few words for an error whose own text is a page of objects."""
    said = str(error)
    known = {
        "refused": "the connection was refused",
        "timed out": "the server did not answer in time",
        "resol": "the server's name is not known here (no network?)",
        "IncompleteRead": "the connection was cut",
    }
    return next(
        (words for sign, words in known.items() if sign in said), said.splitlines()[0][:200] if said else repr(error)
    )
