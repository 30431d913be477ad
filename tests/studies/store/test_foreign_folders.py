"""A study's folder or spec that somebody else made: read as data, and written to nowhere but inside."""

from __future__ import annotations

import contextlib
import io
import json
import os
import re
import shutil
import sqlite3
import time
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dst.errors import InputError
from dst.files.checkpoint import CheckpointError
from dst.files.limits import ALWAYS_ALLOWED
from search_spaces.documents import DocumentError, parse_yaml
from studies.cli.main import main
from studies.plan.ledgers import check_search, grid_points
from studies.run import run_study
from studies.spec.loading import load_spec
from studies.spec.space import search_space
from studies.store.checkpoints import kept_seconds, read_kept
from studies.store.folder import StudyFolder
from studies.store.lock import owned
from tests.support.soundness import small_spec

READERS = ("status", "best", "report", "track", "export")
MOMENT = 30.0
"""Seconds that no reader of a small folder may take, on a busy machine."""


@pytest.fixture(scope="module")
def finished(simulated_work: None, tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("elsewhere")
    path = small_spec(place, tracking={"wandb": {"mode": "offline", "runs": "study"}}, search={"trials": 3, "batch": 3})
    return run_study(load_spec(path), out=place / "study", in_process=True).folder


@pytest.fixture
def mine(finished: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A copy, with other things beside it that must stay as they are."""
    folder = tmp_path / "study"
    shutil.copytree(finished, folder)
    home = tmp_path / "home"
    home.mkdir()
    (home / "letter").write_text("dear")
    monkeypatch.setenv("HOME", str(home))
    yield folder
    assert [path.name for path in home.iterdir()] == ["letter"]
    assert (home / "letter").read_text() == "dear"


def call(*arguments: object) -> int:
    """The status of a call of ``dst`` in this process; whatever it raises is a traceback, and fails the test."""
    begin = time.monotonic()
    with pytest.raises(SystemExit) as ended:
        main([str(argument) for argument in arguments])
    assert time.monotonic() - begin < MOMENT
    return int(ended.value.code or 0)


def read(command: str, folder: Path) -> int:
    more = ["--dataset", "a", "--to", folder.parent / f"export-{time.monotonic_ns()}"] if command == "export" else []
    return call(command, folder, *more)


@pytest.mark.slow
def test_a_folder_whose_project_wandb_refuses_is_read_and_sent_elsewhere(
    mine: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text = (mine / "study.yaml").read_text()
    (mine / "study.yaml").write_text(text.replace("    project: null", "    project: team/churn"))
    assert [read(command, mine) for command in ("status", "best", "report")] == [0, 0, 0]
    capsys.readouterr()
    assert call("track", mine) == 2
    assert "a W&B project has 1 to 128 characters" in capsys.readouterr().err
    assert call("track", mine, "--project", "churn", "--entity", "team") == 0
    assert capsys.readouterr().out == "3 runs sent\n"
    assert call("run", mine / "study.yaml", "--out", mine) == 2
    again = ("--set", "tracking.wandb.project=churn")
    assert call("run", mine / "study.yaml", "--out", mine, *again) == 0


# --- code in disguise


class Bomb:
    """Leaves a mark when it is unpickled."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> Any:
        return (Path.touch, (self.mark,))


@pytest.mark.slow
def test_nothing_is_unpickled_or_constructed(mine: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    mark = tmp_path / "mark"
    buffer = io.BytesIO()
    np.save(buffer, np.array([Bomb(mark)], dtype=object), allow_pickle=True)
    for path in mine.glob("records/a/*.npz"):
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("neuron_strength.npy", buffer.getvalue())
            archive.writestr("../../../escaped.npy", buffer.getvalue())
    assert read("report", mine) == 1
    assert "cannot be read as feature scores" in capsys.readouterr().err
    text = (mine / "study.yaml").read_text()
    assert "\nout: null\n" in text
    bomb = f"\nout: !!python/object/apply:pathlib.Path.touch [{mark}]\n"
    (mine / "study.yaml").write_text(text.replace("\nout: null\n", bomb))
    assert read("status", mine) == 2
    assert "is not YAML" in capsys.readouterr().err
    spec = tmp_path / "spec.yaml"
    spec.write_text(f"name: !!python/object/apply:os.system ['touch {mark}']\n")
    assert call("run", spec) == 2
    assert not mark.exists()
    assert not list(tmp_path.rglob("escaped*"))


@pytest.mark.parametrize(
    "text",
    [
        '{"search_seconds": 1' + "0" * 400 + ', "lost": {}, "running": {}}',
        '{"search_seconds": NaN, "lost": {}, "running": {}}',
        '{"search_seconds": -1, "lost": {}, "running": {}}',
        "[" * 100_000,
        "9" * 5000,
    ],
)
def test_a_damaged_note_of_what_is_spent_is_named(mine: Path, text: str, capsys: pytest.CaptureFixture[str]) -> None:
    (mine / "spent.json").write_text(text)
    assert read("status", mine) == 1
    assert "spent.json: cannot be read as what a study has spent" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["spent.json", "records/a/0.json", "records/a/columns.json", "study.yaml"])
def test_what_never_ends_and_what_never_begins_is_not_read(mine: Path, name: str) -> None:
    path = mine / name
    path.unlink()
    os.mkfifo(path)
    assert read("report", mine) in (1, 2)
    path.unlink()
    path.symlink_to("/dev/zero")
    assert read("report", mine) in (1, 2)


ARCHIVES = (
    "an array without an archive",
    "petabytes",
    "more than a number holds",
    "no header",
    "encrypted",
    "an unknown method",
    "a thousand times its size",
)


@pytest.fixture(scope="module")
def archives() -> dict[str, bytes]:
    """Files that claim to be arrays, by what is wrong with them."""
    return dict(zip(ARCHIVES, _contents(), strict=True))


def _contents() -> Iterator[bytes]:
    """Make the files, in the order of :data:`ARCHIVES`."""

    def member(header: str) -> bytes:
        text = header.encode().ljust(117) + b"\n"
        return b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text + b"\x00" * 8

    def packed(content: bytes, name: str = "neuron_strength.npy") -> bytearray:
        buffer = io.BytesIO()
        with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr(name, content)
        return bytearray(buffer.getvalue())

    alone = io.BytesIO()
    np.save(alone, np.zeros(3))
    yield alone.getvalue()
    shape = "{'descr': '<f8', 'fortran_order': False, 'shape': (%s,), }"
    yield bytes(packed(member(shape % 10**15)))
    yield bytes(packed(member(shape % 10**23)))
    yield bytes(packed(member("{'descr': (((((")))
    good = packed(member(shape % 1))
    encrypted = good.copy()
    central = encrypted.index(b"PK\x01\x02")
    encrypted[6] |= 1
    encrypted[central + 8] |= 1
    yield bytes(encrypted)
    method = good.copy()
    method[8] = method[central + 10] = 99
    yield bytes(method)
    too_many = ALWAYS_ALLOWED // 8 + 1
    yield bytes(packed(member(shape % too_many) + bytes(8 * too_many)))


@pytest.mark.parametrize("what", ARCHIVES)
def test_damaged_arrays_are_named(
    mine: Path, what: str, archives: dict[str, bytes], capsys: pytest.CaptureFixture[str]
) -> None:
    content = archives[what]
    for path in mine.glob("records/a/*.npz"):
        path.write_bytes(content)
    assert read("report", mine) == 1
    assert "cannot be read as feature scores" in capsys.readouterr().err
    path = mine / "checkpoint.npz"
    path.write_bytes(content)
    assert kept_seconds(path) == 0.0
    with pytest.raises(CheckpointError):
        read_kept(path)


@pytest.mark.parametrize(
    "resolved",
    [
        {"datasets": {"a": 5}},
        {"versions": 3},
        {"space": [1]},
        {"space": {"l2": 5}},
        {"space": {"l2": {"when": {"method": 5}}}},
        pytest.param({"noticed": [1]}, marks=pytest.mark.slow),  # the study goes on, and is sent
        pytest.param({"noticed": {"a": 5}}, marks=pytest.mark.slow),
        {"datasets": {"a": {}, "b": {}}},
    ],
)
def test_a_foreign_note_of_what_a_spec_was_resolved_to(mine: Path, resolved: dict[str, Any]) -> None:
    document = yaml.safe_load((mine / "study.yaml").read_text())
    document["resolved"] |= resolved
    (mine / "study.yaml").write_text(yaml.safe_dump(document))
    assert read("export", mine) in (0, 2)
    assert call("run", mine / "study.yaml", "--out", mine) in (0, 2)


@pytest.mark.slow
@pytest.mark.parametrize("link", ["checkpoints", "records", "checkpoints/a", "records/a"])
def test_a_run_writes_through_no_link(mine: Path, tmp_path: Path, link: str) -> None:
    spec = tmp_path / "mine.yaml"
    document = yaml.safe_load((mine / "study.yaml").read_text())
    del document["resolved"]
    spec.write_text(yaml.safe_dump(document))
    for begun in (True, False):
        path = mine / link
        if path.is_symlink():
            path.unlink()
        shutil.rmtree(path, ignore_errors=True)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.symlink_to(tmp_path / "home")
        if not begun:
            for other in [*mine.glob("*.*"), *mine.glob("*")]:
                if other.is_file() and other.name not in ("study.db", ".lock"):
                    other.unlink()
                elif other.is_dir() and other.name not in ("records", "checkpoints"):
                    shutil.rmtree(other)
        before = sorted((tmp_path / "home").rglob("*"))
        assert call("run", spec, "--out", mine) == 2
        assert sorted((tmp_path / "home").rglob("*")) == before


@pytest.mark.parametrize("link", ["records", "records/a", "plots", "best", "features", "wandb", ".lock", "study.db"])
@pytest.mark.parametrize("command", ["report", "track"])
def test_links_lead_nothing_out_of_the_folder(mine: Path, tmp_path: Path, link: str, command: str) -> None:
    target = tmp_path / "home"
    path = mine / link
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
        target = target / "letter"
    path.symlink_to(target)
    assert read(command, mine) == 2


def test_the_locks_are_no_links(mine: Path, tmp_path: Path) -> None:
    (mine / ".lock").unlink(missing_ok=True)
    (mine / ".lock").symlink_to(tmp_path / "home" / "letter")
    with pytest.raises(InputError, match="cannot be opened"), owned(StudyFolder(mine)):
        pass
    (mine / ".lock").unlink()
    (mine / "wandb" / "lock").unlink(missing_ok=True)
    (mine / "wandb").mkdir(exist_ok=True)
    (mine / "wandb" / "lock").symlink_to(tmp_path / "home" / "letter")
    (mine / "wandb" / "sent.jsonl").unlink(missing_ok=True)
    assert read("track", mine) == 1


@pytest.mark.parametrize("name", ["../home", "..", "/etc", "a/../../home", ".hidden", "", "a\nb", "a\0b"])
def test_a_datasets_name_leads_nowhere(mine: Path, name: str) -> None:
    document = yaml.safe_load((mine / "study.yaml").read_text())
    document["resolved"]["datasets"] = {name: document["resolved"]["datasets"]["a"]}
    (mine / "study.yaml").write_text(yaml.safe_dump(document))
    for command in READERS:
        assert read(command, mine) == 2


def test_a_winners_spec_never_names_another_folder(finished: Path) -> None:
    for path in finished.glob("best/*.yaml"):
        spec = load_spec(path)
        assert spec.out is None
        assert spec.storage is None


def test_a_storage_with_damaged_contents_is_named(mine: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with contextlib.closing(sqlite3.connect(mine / "study.db")) as database, database:
        database.execute("UPDATE trial_user_attributes SET value_json = substr(value_json, 2) WHERE key = 'params'")
    assert read("status", mine) == 1
    assert re.match(r"error: the storage holds study .*, but damaged \(JSONDecodeError", capsys.readouterr().err)


# --- documents that grow


def test_documents_stay_small() -> None:
    bomb = "a: &a [x,x,x,x,x,x,x,x,x]\n"
    for before, after in zip("abcdefgh", "bcdefghi", strict=True):
        bomb += f"{after}: &{after} [{','.join([f'*{before}'] * 9)}]\n"
    merged = "a: &a {k: v}\n" + "".join(
        f"{after}: &{after} {{<<: [{','.join([f'*{before}'] * 30)}]}}\n"
        for before, after in zip("abcdefgh", "bcdefghi", strict=True)
    )
    for text, says in (
        (bomb, "means more than"),
        (merged, "means more than"),
        ("[" * 3000, "nested too deeply"),
        ("- " * 3000, "nested too deeply"),
        ("a: &a [*a]", "alias to what it stands in"),
        ("a: &a {b: *a}", "alias to what it stands in"),
        ("a: 2026-13-45", "is not YAML"),
        ("a: " + "9" * 5000, "is not YAML"),
        ("a: !!timestamp 12", "is not YAML"),
        ("a: !!python/name:os.system", "is not YAML"),
    ):
        begin = time.monotonic()
        with pytest.raises(DocumentError, match=says) as caught:
            parse_yaml(text)
        assert "\n" not in str(caught.value)
        assert time.monotonic() - begin < MOMENT
    assert parse_yaml("base: &b {x: 1}\nmore: {<<: *b, y: 2}") == {"base": {"x": 1}, "more": {"x": 1, "y": 2}}
    assert parse_yaml("") is None


# --- fuzzing

ODD = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-3, 3),
    st.sampled_from([2**31, 2**63, -(2**70), 10**400, 0.5, -1.5, 1e308, float("nan"), float("inf")]),
    st.sampled_from(["", "a", "../x", "/etc/passwd", "nan", "[", "\0", "a\nb", "é\ud800"[:1], "x" * 3000]),
    st.sampled_from([[], {}, [[]], [None], {"a": 1}, {"": {}}, [1, "a"], {"name": "tpe", "x": 1}, list(range(50))]),
)


def places(document: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Where a value can be replaced."""
    yield path
    items: list[tuple[Any, Any]] = []
    if isinstance(document, dict):
        items = list(document.items())
    elif isinstance(document, list):
        items = list(enumerate(document))
    for key, value in items:
        yield from places(value, (*path, key))


def replaced(document: Any, path: tuple[Any, ...], value: Any, how: str) -> Any:
    """The document with another value, or another key, or without the key, at a place."""
    if not path:
        return value if how == "value" else document
    key, *rest = path
    if isinstance(document, dict):
        if not rest and how == "no key":
            return {one: inner for one, inner in document.items() if one != key}
        if not rest and how == "other key":
            new = key if isinstance(value, list | dict) else value
            return {new if one == key else one: inner for one, inner in document.items()}
        return {one: replaced(i, tuple(rest), value, how) if one == key else i for one, i in document.items()}
    if not rest and how == "no key":
        return document[:key] + document[key + 1 :]
    return [replaced(i, tuple(rest), value, how) if one == key else i for one, i in enumerate(document)]


HOW = st.sampled_from(["value", "value", "value", "no key", "other key"])
SAME = "DST_FUZZ" not in os.environ
"""Draw the same in every run, so that a failure is of the change before it; with DST_FUZZ=1 draw others."""
BUSY = [HealthCheck.too_slow, HealthCheck.function_scoped_fixture, HealthCheck.data_too_large]


@settings(derandomize=SAME, suppress_health_check=BUSY)
@given(data=st.data())
def test_any_spec_is_taken_or_refused_in_one_line(finished: Path, data: st.DataObject) -> None:
    document = yaml.safe_load((finished.parent / "spec.yaml").read_text())
    document |= {"space": {"lr": {"low": 1e-4, "high": 1e-2, "log": True}, "sparsity": {"values": [0.5, 0.9]}}}
    document |= {"scoring": {"k_values": [2]}, "storage": "sqlite:///x.db", "resources": {"cpus": 1, "memory": 10**9}}
    for _ in range(data.draw(st.integers(1, 2))):
        where = data.draw(st.sampled_from(list(places(document))))
        document = replaced(document, where, data.draw(ODD), data.draw(HOW))
    path = finished.parent / "fuzzed.yaml"
    path.write_text(yaml.safe_dump(document, allow_unicode=False))
    refusal = ""
    try:
        spec = load_spec(path)
        check_search(spec)
        grid_points(spec, search_space(spec))
    except InputError as error:
        refusal = str(error)
    assert "\n" not in refusal
    assert len(refusal) < 5000


@settings(derandomize=SAME, suppress_health_check=BUSY)
@given(text=st.one_of(st.text(max_size=200), st.text("&*![]{}:-?<|>#%@ab \n\t'\"", max_size=60)))
def test_any_text_is_yaml_or_is_not(text: str) -> None:
    refusal = ""
    try:
        parse_yaml(text)
    except DocumentError as error:
        refusal = str(error)
    assert "\n" not in refusal


def mutate(folder: Path, data: st.DataObject) -> str:
    """Change one thing in a study's folder; say which."""
    files = sorted(
        path for path in folder.rglob("*") if path.is_file() and path.suffix in (".yaml", ".json", ".npz", ".db")
    )
    path = data.draw(st.sampled_from(files), label="file")
    kind = data.draw(
        st.sampled_from(["values", "values", "values", "bytes", "cut", "folder", "gone", "binary"]), label="kind"
    )
    content = path.read_bytes()
    if kind == "values" and path.suffix in (".json", ".yaml"):
        document = json.loads(content) if path.suffix == ".json" else yaml.safe_load(content)
        where = data.draw(st.sampled_from(list(places(document))), label="where")
        document = replaced(document, where, data.draw(ODD), data.draw(HOW))
        dump: Callable[..., str] = json.dumps if path.suffix == ".json" else yaml.safe_dump
        path.write_text(dump(document))
    elif kind == "cut":
        path.write_bytes(content[: data.draw(st.integers(0, max(0, len(content) - 1)))])
    elif kind == "folder":
        path.unlink()
        path.mkdir()
    elif kind == "gone":
        path.unlink()
    elif kind == "binary":
        path.write_bytes(data.draw(st.binary(max_size=64)))
    else:
        changed = bytearray(content)
        for _ in range(data.draw(st.integers(1, 8))):
            changed[data.draw(st.integers(0, len(changed) - 1))] = data.draw(st.integers(0, 255))
        path.write_bytes(bytes(changed))
    return f"{path.relative_to(folder)}: {kind}"


def outside(folder: Path) -> dict[str, bytes]:
    return {
        str(path): path.read_bytes()
        for path in folder.parent.rglob("*")
        if path.is_file() and folder not in path.parents and "export-" not in str(path)
    }


def look_at_mutated(finished: Path, data: st.DataObject, commands: tuple[str, ...], capsys: Any) -> None:
    place = finished.parent / "fuzz"
    shutil.rmtree(place, ignore_errors=True)
    folder = place / "study"
    shutil.copytree(finished, folder)
    (place / "letter").write_text("dear")
    what = mutate(folder, data)
    before = outside(folder)
    command = data.draw(st.sampled_from(commands), label="command")
    capsys.readouterr()
    status = read(command, folder)
    errors = [line for line in capsys.readouterr().err.splitlines() if line.startswith("error:")]
    assert status in (0, 1, 2), what
    assert len(errors) == (status != 0), (what, errors)
    assert outside(folder) == before, what


@pytest.mark.slow
@settings(derandomize=SAME, suppress_health_check=BUSY)
@given(data=st.data())
def test_any_folder_is_read_or_refused_in_one_line(finished: Path, data: st.DataObject, capsys: Any) -> None:
    look_at_mutated(finished, data, ("status", "best"), capsys)


@pytest.mark.slow
@settings(derandomize=SAME, suppress_health_check=BUSY)
@given(data=st.data())
def test_any_folder_is_read_or_refused_in_one_line_by_every_command(
    finished: Path, data: st.DataObject, capsys: Any
) -> None:
    look_at_mutated(finished, data, READERS, capsys)
