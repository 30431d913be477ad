"""The durable storage of trial states: Optuna's tables in SQLite, or in a database server that a URL names."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import optuna
import sqlalchemy
from optuna.storages import RDBStorage
from sqlalchemy.exc import ArgumentError, SQLAlchemyError

BUSY_SECONDS = 60
"""How long a reader or the writer waits for the other: a dashboard that looks on must not end a study."""


class StorageError(ValueError):
    """The storage cannot be opened: the message says which URL, and why."""


def open_storage(url: str, *, create: bool = True) -> RDBStorage:
    """Open the storage, making its tables where they are missing.

    One process writes; any number may read beside it. For SQLite that means the write-ahead log, and a local disk: its
    locks do not work over NFS. ``synchronous`` is NORMAL: a commit survives the death of the process at any moment,
    SIGKILL included, and the file survives a loss of power; the last commits before a loss of power may be missing. A
    missing tell costs nothing but one look at a record, because a trial's record is on disk before its trial is told.

    Args:
        url: ``sqlite:///study.db`` (relative), ``sqlite:////data/study.db`` (absolute), or any database that SQLAlchemy
            and an installed driver reach.
        create: make the SQLite file when it is missing; its folder must exist.

    Raises:
        StorageError: the URL is not one, its driver is not installed, the folder or the file is missing, or the
            database cannot be opened.
    """
    try:
        address = sqlalchemy.engine.make_url(url)
    except ArgumentError:
        raise StorageError(f"storage must be a URL like sqlite:///study.db, got {url!r}") from None
    shown = address.render_as_string(hide_password=True)
    if address.get_backend_name() == "sqlite":
        _check_file(shown, address.database, create)
        options: dict[str, Any] = {"connect_args": {"timeout": BUSY_SECONDS}}
    else:
        options = {"pool_pre_ping": True}
    try:
        storage = RDBStorage(url, engine_kwargs=options)
    except (SQLAlchemyError, ImportError, RuntimeError) as error:
        reason = str(error).splitlines()[0]
        raise StorageError(f"storage {shown} cannot be opened: {reason}") from error
    if address.get_backend_name() == "sqlite":
        sqlalchemy.event.listen(storage.engine, "connect", _set_up_sqlite)
        storage.engine.dispose()  # the connection that made the tables knows nothing of the line above
    return storage


def _check_file(shown: str, database: str | None, create: bool) -> None:
    if not database or database == ":memory:":
        raise StorageError(f"storage must outlive the process: name a file, got {shown}")
    path = Path(database)
    if not path.parent.is_dir():
        raise StorageError(f"storage {shown} cannot be opened: its folder {path.parent} does not exist")
    if not create and not path.is_file():
        raise StorageError(f"storage {shown} does not exist")


def _set_up_sqlite(connection: Any, _record: Any) -> None:
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("PRAGMA synchronous=NORMAL")


@contextlib.contextmanager
def quiet_optuna() -> Iterator[None]:
    """Hold back Optuna's remarks on every study that it creates; warnings still pass."""
    before = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(max(before, optuna.logging.WARNING))
    try:
        yield
    finally:
        optuna.logging.set_verbosity(before)
