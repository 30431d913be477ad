"""The durable storage of trial states: Optuna's tables in SQLite, or in a database server that a URL names."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import optuna
import sqlalchemy
from optuna.exceptions import OptunaError, StorageInternalError
from sqlalchemy.engine import URL, ExceptionContext
from sqlalchemy.exc import ArgumentError, IntegrityError, SQLAlchemyError

from cluster.ledger.internals import engine_of
from cluster.ledger.storage.files import BUSY_SECONDS, file_uri, read_only
from cluster.ledger.storage.patient import Patience, PatientStorage, StorageFailedError

_POSTGRES = {
    "connect_timeout": 10,
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 30_000,
}
"""Settings by which libpq notices that a server has gone silently, in seconds (the last in milliseconds)."""


_REFUSALS = (SQLAlchemyError, OptunaError, AssertionError, LookupError, RuntimeError, TypeError, ValueError)
"""Errors of Optuna for a database of other software, a damaged one or braces in a URL, which it takes for templates."""


class StorageError(ValueError):
    """The storage cannot be opened: the message says which URL, and why."""


def open_storage(where: str | Path, *, create: bool = True, patience: Patience | None = None) -> PatientStorage:
    """Open the storage, making its tables where they are missing.

    One process writes; any number may read beside it. For SQLite that means the write-ahead log, and a local disk: its
    locks do not work over NFS. ``synchronous`` is NORMAL: a commit survives the death of the process at any moment,
    SIGKILL included, and the file survives a loss of power; the last commits before a loss of power may be missing. A
    missing tell costs nothing but one look at a record, because a trial's record is on disk before its trial is told.

    A database server that goes away later is waited for; whatever else the database refuses (a full disk, a lost right)
    is raised at once as :class:`~cluster.ledger.storage.patient.StorageFailedError`, also by the storage's own methods.

    Args:
        where: the path of an SQLite file, with any characters; or a URL: ``sqlite:///study.db`` (relative),
            ``sqlite:////data/study.db`` (absolute), ``postgresql+psycopg://user@host/name``, or any database that
            SQLAlchemy and an installed driver reach. A password that is missing there is taken from where the driver
            looks, e.g. ``PGPASSWORD`` or ``~/.pgpass``.
        create: make what is missing, the SQLite file included; its folder must exist. False: change nothing.
        patience: time for which a server that went away is waited for; None: five minutes.

    Raises:
        StorageError: the URL is not one, its driver is not installed, the folder or the file is missing, or the
            database cannot be opened.
    """
    url = _file_url(where, mode="rwc") if isinstance(where, Path) else where
    address = _parsed(url)
    shown = str(where) if isinstance(where, Path) else without_password(url)
    local = address.get_backend_name() == "sqlite"
    if local:
        path = _check_file(shown, str(where) if isinstance(where, Path) else address.database, create)
        options: dict[str, Any] = {"connect_args": {"timeout": BUSY_SECONDS}}
        if not create:
            url = _file_url(path, **read_only(path))
    else:
        options = {"pool_pre_ping": True}
        if address.get_backend_name() == "postgresql":
            options["connect_args"] = {key: value for key, value in _POSTGRES.items() if key not in address.query}
    try:
        storage = PatientStorage(url, options, patience or Patience(), make_tables=create)
    except (*_REFUSALS, ImportError) as error:
        raise StorageError(f"storage {shown} cannot be opened: {_reason(error)}") from error
    engine = engine_of(storage)
    if local:
        sqlalchemy.event.listen(engine, "connect", _write_ahead if create else _distrust)
        engine.dispose()  # the connection that made the tables knows nothing of the line above
    sqlalchemy.event.listen(engine, "handle_error", _translator(shown, server=not local))
    return storage


def without_password(url: str) -> str:
    """Return a storage's URL without the password, if it has one.

    Raises:
        StorageError: the URL is not one.
    """
    address = _parsed(url)
    bare = URL.create(
        address.drivername,
        address.username,
        host=address.host,
        port=address.port,
        database=address.database,
        query={key: value for key, value in address.query.items() if "pass" not in key.lower()},
    )
    return bare.render_as_string()


def _parsed(url: str) -> URL:
    try:
        address = sqlalchemy.engine.make_url(url)
    except (ArgumentError, ValueError):
        shown = "one that cannot be read" if "@" in url else repr(url)  # what comes before an @ may be a password
        raise StorageError(f"storage must be a URL like sqlite:///study.db, got {shown}") from None
    if "sqlite" not in address.drivername and "@" in f"{address.host}{address.database}":
        raise StorageError(
            "storage: @, / and : in the user or password of a URL must be percent-encoded (%40, %2F, %3A); or leave "
            "the password out and use PGPASSWORD or ~/.pgpass"
        )
    return address


def _translator(shown: str, *, server: bool) -> Callable[[ExceptionContext], None]:
    """Make what the engine calls with each error of the database.

    Optuna repeats what failed, up to five times and without a look at what has happened (``create_new_trial``), but
    only for SQLAlchemy's own errors.
    """

    def translate(context: ExceptionContext) -> None:
        if isinstance(context.sqlalchemy_exception, IntegrityError):
            return  # Optuna's to handle
        lost = server and (context.is_disconnect or context.connection is None)
        message = f"storage {shown} failed: {_reason(context.original_exception)}"
        raise StorageFailedError(message, lost=lost) from context.original_exception

    return translate


def _reason(error: BaseException) -> str:
    if isinstance(error, StorageInternalError) and error.__cause__ is not None:
        error = error.__cause__  # Optuna's own words are a guess
    return next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)


def _check_file(shown: str, database: str | None, create: bool) -> Path:
    if not database or database == ":memory:":
        raise StorageError(f"storage must outlive the process: name a file, got {shown}")
    path = Path(database)
    if not path.parent.is_dir():
        raise StorageError(f"storage {shown} cannot be opened: its folder {path.parent} does not exist")
    if not create and not path.is_file():
        raise StorageError(f"storage {shown} does not exist")
    return path


def _file_url(path: Path, **options: str) -> str:
    """Return the URL of an SQLite file; within it stands SQLite's own URI."""
    return URL.create("sqlite", database=file_uri(path), query={**options, "uri": "true"}).render_as_string()


def _write_ahead(connection: Any, _record: Any) -> None:
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("PRAGMA synchronous=NORMAL")
    _distrust(connection, _record)


def _distrust(connection: Any, _record: Any) -> None:
    """Let nothing that a file's own schema names be run, were it made elsewhere."""
    connection.execute("PRAGMA trusted_schema=OFF")


@contextlib.contextmanager
def quiet_optuna() -> Iterator[None]:
    """Hold back Optuna's remarks on every study that it creates; warnings still pass."""
    before = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(max(before, optuna.logging.WARNING))
    try:
        yield
    finally:
        optuna.logging.set_verbosity(before)
