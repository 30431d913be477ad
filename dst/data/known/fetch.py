"""Fetching the registry's files: into place only when whole and right, and never waiting without bound."""

from __future__ import annotations

import logging
import os
import socket
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from dst.data.assembling import assemble
from dst.data.entry import Entry
from dst.data.known.download import Download, OnProgress, Patience, RefusedError, TryAgainError, reason_of
from dst.data.known.files import data_folder, file_sha256, find_entry, read_entry
from dst.errors import InputError


class FetchError(OSError):
    """A file could not be fetched; the message names its addresses and how to place it by hand."""


@dataclass(frozen=True)
class Fetched:
    """A dataset that is there.

    Attributes:
        name: the registry's name.
        status: ``fetched`` now; ``present`` before; ``embedded``: it needs no file.
        path: the file.
        url: where it was fetched from.
        sha256: of the file's bytes.
        checked: whether the registry knew that SHA-256 and it was compared.
    """

    name: str
    status: Literal["fetched", "present", "embedded"]
    path: Path | None = None
    url: str | None = None
    sha256: str | None = None
    checked: bool = False


def fetch_dataset(
    name: str,
    *,
    data_dir: str | Path | None = None,
    patience: Patience | None = None,
    on_progress: OnProgress = lambda done, total: None,
) -> Fetched:
    """Make sure that a dataset's file is in the data folder, and the right one.

    A file appears under its name once it is complete and checked: by its SHA-256 where the registry knows it, else by
    the shape, the classes and the official parts of the table in it. A file that is there already is checked and left.

    Args:
        name: of the registry.
        data_dir: the folder; None: see ``data_folder``. It is made where it is missing.
        patience: how long to wait; None: ``Patience()``.
        on_progress: is told of the bytes as they come.

    Raises:
        InputError: there is no such name.
        FetchError: no address gave the file, it cannot be written, or there is another file in its place.
    """
    entry = find_entry(name)
    if entry.file is None:
        return Fetched(entry.name, "embedded")
    path = data_folder(data_dir) / entry.file
    if os.path.exists(path):  # False, too, where the folder may not be looked into: it cannot be written to either
        return _fetched(entry, path, "present")
    how = patience or Patience()
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        url = _from_openml(entry, path, how) if entry.openml else _from_urls(entry, path, how, on_progress)
    except OSError as error:
        why = str(error) if isinstance(error, FetchError) else f"{path.parent} cannot be written to: {error.strerror}"
        raise FetchError(f"{entry.name} was not fetched: {why}; {_by_hand(entry, path)}") from error
    return _fetched(entry, path, "fetched", url)


def _addresses(entry: Entry) -> str:
    return _page(entry.openml) if entry.openml else " or ".join(entry.urls)


def _by_hand(entry: Entry, path: Path) -> str:
    if entry.openml:
        return f"to place it by hand, save X and y of {_page(entry.openml)} as {path} (numpy.savez)"
    return f"to place it by hand, download {entry.urls[0]} elsewhere and save it as {path}"


def _fetched(entry: Entry, path: Path, status: Literal["fetched", "present"], url: str | None = None) -> Fetched:
    """The file that is in place, checked; a FetchError if it is not the registry's, or cannot be read."""
    try:
        if entry.sha256 is None:
            _check_table(entry, path)
            sha256 = file_sha256(path)
        else:
            sha256 = read_entry(entry, path)[1]
    except InputError as error:
        raise FetchError(f"{error}; move {path} away to fetch {entry.name} again") from error
    except OSError as error:
        why = f"{path} cannot be read: {error.strerror or error}; move it away to fetch {entry.name} again"
        raise FetchError(f"{why}, from {_addresses(entry)}; {_by_hand(entry, path)}") from error
    return Fetched(entry.name, status, path, url, sha256, entry.sha256 is not None)


def _check_table(entry: Entry, path: Path) -> None:
    """Raise an InputError unless the file holds what the registry says, by shape, classes and official parts."""
    table, sha256 = read_entry(entry, path)
    assemble(table, name=entry.name, sha256=sha256, source=entry.source, entry=entry)


def _from_urls(entry: Entry, path: Path, patience: Patience, on_progress: OnProgress) -> str:
    """Fetch the file from the first address that has it; return that address."""
    reasons = []
    for url in entry.urls:
        for left in reversed(range(patience.tries)):
            try:
                _retrieve(entry, url, path, patience, on_progress)
                return url
            except TryAgainError as error:
                if not left:
                    reasons.append(f"{url}: {error}")
            except (InputError, RefusedError) as error:
                reasons.append(f"{url}: {error}")
                break
    raise FetchError("; ".join(reasons))


def _retrieve(entry: Entry, url: str, path: Path, patience: Patience, on_progress: OnProgress) -> None:
    """Download to a temporary file beside ``path``, check it, and only then give it its name."""
    import pooch

    folders = tempfile.TemporaryDirectory(prefix=".fetching-", dir=path.parent)
    with folders as folder, _quiet(pooch.get_logger()):
        try:
            pooch.retrieve(
                url,
                known_hash=entry.sha256 and f"sha256:{entry.sha256}",
                fname=path.name,
                path=folder,
                downloader=Download(patience, on_progress),
            )
        except ValueError as error:  # pooch's word for a wrong hash
            raise RefusedError(f"the file is not the registry's, whose SHA-256 is {entry.sha256}") from error
        whole = Path(folder) / path.name
        if entry.sha256 is None:
            try:
                _check_table(entry, whole)
            except InputError as error:
                raise RefusedError(f"the file is not the registry's: {error}") from error
        os.replace(whole, path)


def _page(number: int) -> str:
    return f"https://www.openml.org/d/{number}"


def _from_openml(entry: Entry, path: Path, patience: Patience) -> str:
    """Save OpenML's copy, which scikit-learn checks by OpenML's own MD5, as an archive of X and y."""
    from sklearn.datasets import fetch_openml

    with tempfile.TemporaryDirectory(prefix=".fetching-", dir=path.parent) as folder:
        with _socket_timeout(patience.silence):
            try:
                data = fetch_openml(
                    data_id=entry.openml,
                    as_frame=False,
                    parser="liac-arff",  # its faster parser fails on classes that are numbers, with pandas 3
                    data_home=folder,
                    n_retries=patience.tries,
                    delay=0.5,
                )
            except Exception as error:  # a broken answer ends in whatever its parser raises
                raise FetchError(f"{_page(int(entry.openml or 0))}: {reason_of(error)}") from error
        whole = Path(folder) / path.name
        np.savez_compressed(whole, X=np.asarray(data.data, dtype=np.float32), y=np.asarray(data.target).astype(str))
        try:
            _check_table(entry, whole)
        except InputError as error:
            raise FetchError(f"{_page(int(entry.openml or 0))}: the data is not the registry's: {error}") from error
        os.replace(whole, path)
    return _page(int(entry.openml or 0))


@contextmanager
def _quiet(logger: logging.Logger) -> Iterator[None]:
    """Keep a library from writing what it does to stderr; its warnings stay."""
    before = logger.level
    logger.setLevel(logging.WARNING)
    try:
        yield
    finally:
        logger.setLevel(before)


@contextmanager
def _socket_timeout(seconds: float) -> Iterator[None]:
    """Bound the waits of a library that sets no bound of its own."""
    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(seconds)
    try:
        yield
    finally:
        socket.setdefaulttimeout(before)
