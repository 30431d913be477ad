"""Opening the durable storage: settings of SQLite that a study relies on, and errors that say what to do."""

from __future__ import annotations

import os
import sqlite3
import sys
import threading
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from optuna.study import StudyDirection

from cluster.ledger.storage.connect import StorageError, open_storage, without_password
from cluster.ledger.storage.patient import StorageFailedError


def test_sqlite_is_opened_with_a_log_that_survives_the_process(tmp_path: Path) -> None:
    storage = open_storage(f"sqlite:///{tmp_path}/study.db")
    with storage.engine.connect() as connection:
        found = {
            name: connection.exec_driver_sql(f"PRAGMA {name}").scalar()
            for name in ("journal_mode", "synchronous", "busy_timeout")
        }
    assert found == {"journal_mode": "wal", "synchronous": 1, "busy_timeout": 60_000}


def test_a_reader_that_holds_the_file_does_not_end_the_writer(tmp_path: Path) -> None:
    path = tmp_path / "study.db"
    storage = open_storage(f"sqlite:///{path}")
    reader = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    reader.execute("BEGIN EXCLUSIVE")  # as a tool does that copies or vacuums the file
    release = threading.Timer(1.0, reader.execute, ["COMMIT"])
    release.start()
    study = storage.create_new_study([StudyDirection.MINIMIZE], "wine")
    release.join()
    reader.close()
    assert storage.get_study_name_from_id(study) == "wine"


FOLDERS = ("what?", "seed=1&x=2", "50%", "a%2Fb", "#1", "a b", "{b}", "ä中", "a:b@c", "file:x", "'q'", "\\", "x;y")


def made_and_read(folder: Path) -> None:
    """Make a storage in a folder, read it, move the folder, and read it again; nothing may lie beside it."""
    folder.mkdir()
    storage = open_storage(folder / "study.db")
    storage.create_new_study([StudyDirection.MINIMIZE], "wine")
    storage.remove_session()
    storage.engine.dispose()
    moved = folder.rename(folder.with_name(f"moved {folder.name}"))
    assert [path.name for path in moved.parent.iterdir()] == [moved.name]
    assert (moved / "study.db").is_file()
    for create in (False, True):
        storage = open_storage(moved / "study.db", create=create)
        assert storage.get_study_id_from_name("wine") == 1
        storage.remove_session()
        storage.engine.dispose()
    with pytest.raises(StorageError, match="does not exist"):
        open_storage(folder / "study.db", create=False)


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere file systems take characters only")
@pytest.mark.parametrize("name", [b"caf\xe9", b"\xff\xfe", b"\xc3\x28?", b"a\x80b%"])
def test_a_folder_whose_name_is_no_text_holds_its_database(name: bytes, tmp_path: Path) -> None:
    made_and_read(tmp_path / os.fsdecode(name))


@pytest.mark.parametrize("name", FOLDERS)
def test_a_file_lies_where_its_path_says_whatever_characters_that_has(name: str, tmp_path: Path) -> None:
    made_and_read(tmp_path / name)


@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.text(st.characters(codec="utf-8", exclude_characters="/\0"), min_size=1, max_size=20))
def test_any_name_names_its_own_folder(tmp_path_factory: pytest.TempPathFactory, name: str) -> None:
    made_and_read(tmp_path_factory.mktemp("any") / f"-{name}")


def test_a_relative_path_starts_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    open_storage(Path("a?b.db")).engine.dispose()
    assert (tmp_path / "a?b.db").is_file()


def test_braces_in_a_url_are_refused_in_one_line(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match="cannot be opened"):
        open_storage(f"sqlite:///{tmp_path}/a{{b}}.db")


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("study.db", "storage must be a URL like sqlite:///study.db, got 'study.db'"),
        ("sqlite://", "storage must outlive the process: name a file"),
        ("sqlite:///:memory:", "storage must outlive the process: name a file"),
        ("sqlite:///{tmp}/missing/study.db", "its folder .*/missing does not exist"),
        ("sqlite:///{tmp}", "unable to open database file"),
        ("nosuchdb://user:secret@host/name", r"storage nosuchdb://user@host/name cannot be opened: .*nosuchdb"),
    ],
)
def test_an_address_that_cannot_work_is_refused(url: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(StorageError, match=message) as caught:
        open_storage(url.replace("{tmp}", str(tmp_path)))
    assert "\n" not in str(caught.value)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    ("url", "bare"),
    [
        ("sqlite:////data/study.db", "sqlite:////data/study.db"),
        ("postgresql+psycopg://ann@db/studies", "postgresql+psycopg://ann@db/studies"),
        ("postgresql+psycopg://ann:s3cret@db:5432/studies", "postgresql+psycopg://ann@db:5432/studies"),
        ("postgresql://ann:s3%40cret@db/x?sslmode=require&password=s3cret", "postgresql://ann@db/x?sslmode=require"),
        ("mysql://ann:s3cret@db/x?passwd=s3cret", "mysql://ann@db/x"),
    ],
)
def test_a_password_is_left_out_wherever_it_stands(url: str, bare: str) -> None:
    assert without_password(url) == bare
    assert without_password(bare) == bare


@pytest.mark.parametrize("url", ["postgresql://ann:p@s3cret@db/x", "postgresql://an/n:s3cret@db/x"])
def test_a_password_that_is_not_encoded_is_refused_not_repeated(url: str) -> None:
    for use in (open_storage, without_password):
        with pytest.raises(StorageError, match=r"must be percent-encoded \(%40, %2F, %3A\)") as caught:
            use(url)
        assert "s3cret" not in str(caught.value)


def test_an_address_that_cannot_be_read_is_not_repeated_when_it_may_hold_a_password() -> None:
    with pytest.raises(StorageError) as caught:
        open_storage("postgresql//ann:s3cret@db/x")
    assert "s3cret" not in str(caught.value)


def test_a_reader_changes_nothing(tmp_path: Path) -> None:
    path = tmp_path / "a study%.db"
    writer = open_storage(f"sqlite:///{path}")
    study = writer.create_new_study([StudyDirection.MINIMIZE], "wine")
    reader = open_storage(f"sqlite:///{path}", create=False)
    assert reader.get_study_id_from_name("wine") == study
    with pytest.raises(StorageFailedError, match="readonly"):
        reader.create_new_study([StudyDirection.MINIMIZE], "yale")
    assert [one.study_name for one in writer.get_all_studies()] == ["wine"]
    other = tmp_path / "other.db"
    sqlite3.connect(other).execute("CREATE TABLE theirs (a)").connection.commit()
    before = other.read_bytes()
    with pytest.raises(StorageError, match="no such table"):
        open_storage(f"sqlite:///{other}", create=False)
    assert other.read_bytes() == before


def test_a_file_that_is_not_a_database_is_refused(tmp_path: Path) -> None:
    (tmp_path / "study.db").write_text("no database " * 100)
    with pytest.raises(StorageError, match=r"cannot be opened: .*not a database"):
        open_storage(f"sqlite:///{tmp_path}/study.db")


def test_a_reader_makes_no_file(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/study.db"
    with pytest.raises(StorageError, match="does not exist"):
        open_storage(url, create=False)
    assert list(tmp_path.iterdir()) == []
    open_storage(url)
    open_storage(url, create=False)
