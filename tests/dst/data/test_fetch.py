"""Fetching from servers that work, and from servers that do not: whole and right, or nothing and said why."""

from __future__ import annotations

import functools
import gzip
import hashlib
import http.server
import io
import json
import logging
import os
import socket
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pooch
import pytest
import scipy.io

from dst.data import DATASETS, FetchError, fetch_dataset, list_datasets, load_dataset
from dst.data.entry import Entry
from dst.data.known.download import Patience
from dst.data.known.fetch import Fetched
from dst.errors import InputError
from studies.cli.main import main

HASTY = Patience(connect=2, silence=0.5, total=1.5, tries=2)
IMPATIENT = replace(HASTY, silence=0.2, total=0.6)
"""For servers that never send the whole; one that does may take longer on a busy machine."""
Handler = http.server.BaseHTTPRequestHandler
Answer = Callable[[Handler], None]


def table(n_rows: int = 40) -> bytes:
    out = io.BytesIO()
    x = np.random.default_rng(0).normal(size=(n_rows, 6))
    scipy.io.savemat(out, {"X": x, "Y": np.arange(n_rows)[:, None] % 2 + 1})
    return out.getvalue()


WHOLE = table()
SHA256 = hashlib.sha256(WHOLE).hexdigest()
ENTRY = Entry("toy", (40, 6), 2, "tabular", "a test", "nobody", k=2, batch_size=32, file="toy.mat", sha256=SHA256)


def send(content: bytes, status: int = 200, stated: int | str | None = None) -> Answer:
    def answer(handler: Handler) -> None:
        handler.send_response(status)
        handler.send_header("Content-Length", str(len(content) if stated is None else stated))
        handler.end_headers()
        handler.wfile.write(content)

    return answer


def without_length(handler: Handler) -> None:
    handler.send_response(200)
    handler.end_headers()
    handler.wfile.write(WHOLE)


def silent(handler: Handler) -> None:
    time.sleep(1.0)


def stalling(handler: Handler) -> None:
    send(WHOLE[:500], stated=len(WHOLE))(handler)
    handler.wfile.flush()
    time.sleep(1.0)


def trickling(handler: Handler) -> None:
    """Never silent for long, never done: only a bound on the whole ends it."""
    send(b"", stated=len(WHOLE))(handler)
    for byte in range(100):
        try:
            handler.wfile.write(WHOLE[byte : byte + 1])
            handler.wfile.flush()
        except OSError:
            return
        time.sleep(0.1)


def trickling_headers(handler: Handler) -> None:
    """As the last one, before there is any content."""
    handler.wfile.write(b"HTTP/1.0 200 OK\r\nX-Long: ")
    for _ in range(100):
        try:
            handler.wfile.write(b"a")
            handler.wfile.flush()
        except OSError:
            return
        time.sleep(0.1)


def endless(handler: Handler) -> None:
    handler.send_response(200)
    handler.end_headers()
    try:
        while True:
            handler.wfile.write(bytes(2**16))
    except OSError:
        return


def reset(handler: Handler) -> None:
    send(WHOLE[:700], stated=len(WHOLE))(handler)
    handler.wfile.flush()
    handler.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\x00\x00\x00\x00\x00\x00\x00")
    handler.connection.close()


class Server(http.server.ThreadingHTTPServer):
    """Answers the next request with the next of its answers, the last of them for ever; counts the requests."""

    daemon_threads = True

    def __init__(self) -> None:
        self.answers: list[Answer] = []
        self.by_path: dict[str, bytes] = {}
        self.requests = 0
        server = self

        class OneRequest(Handler):
            def do_GET(self) -> None:  # noqa: N802 - http.server's name
                server.requests += 1
                if self.path in server.by_path:
                    send(server.by_path[self.path])(self)
                elif server.answers:
                    server.answers[min(server.requests, len(server.answers)) - 1](self)
                else:
                    self.send_error(404)

            def log_message(self, *arguments: Any) -> None:
                pass

        super().__init__(("127.0.0.1", 0), OneRequest)

    def handle_error(self, request: Any, client_address: Any) -> None:
        pass  # a client that gives up is what is tested

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


@pytest.fixture
def server() -> Iterator[Server]:
    with Server() as one:
        thread = threading.Thread(target=functools.partial(one.serve_forever, poll_interval=0.01))
        thread.start()
        yield one
        one.shutdown()
        thread.join()


@pytest.fixture
def toy(server: Server, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[..., Entry]:
    """Puts an entry whose file the server has into the registry, and its folder into the environment."""
    monkeypatch.setenv("DST_DATA_DIR", str(tmp_path / "data"))

    def known(**changes: Any) -> Entry:
        entry = replace(ENTRY, **{"urls": (f"{server.url}/toy.mat",), **changes})
        monkeypatch.setitem(DATASETS, entry.name, entry)
        return entry

    return known


def left(tmp_path: Path) -> list[str]:
    """What lies in the data folder, hidden files as well."""
    folder = tmp_path / "data"
    return sorted(os.listdir(folder)) if folder.exists() else []


LENGTHS = ["abc", "", "-5", f"{len(WHOLE)}, {len(WHOLE)}"]


@pytest.mark.parametrize("answer", [send(WHOLE), without_length, *(send(WHOLE, stated=length) for length in LENGTHS)])
def test_a_file_that_comes_whole_is_there_and_loads_by_name(
    answer: Answer, server: Server, toy: Callable[..., Entry], tmp_path: Path
) -> None:
    toy()
    server.answers = [answer]
    seen: list[tuple[int, int]] = []
    fetched = fetch_dataset("TOY", patience=HASTY, on_progress=lambda done, total: seen.append((done, total)))
    path = tmp_path / "data" / "toy.mat"
    assert fetched == Fetched("toy", "fetched", path, f"{server.url}/toy.mat", SHA256, checked=True)
    assert left(tmp_path) == ["toy.mat"]
    assert seen[-1][0] == len(WHOLE)
    assert [done for done, _ in seen] == sorted(done for done, _ in seen)
    assert load_dataset("toy").sha256 == SHA256
    assert next(row for row in list_datasets() if row["name"] == "toy")["available"]
    assert fetch_dataset("toy", patience=HASTY).status == "present"
    assert server.requests == 1


FAULTS: dict[str, tuple[Answer, str, int]] = {
    # answer, what is said, how many requests at two tries an address
    "not found": (send(b"nothing here", 404), "the server answered 404 Not Found", 1),
    "forbidden": (send(b"", 403), "the server answered 403 Forbidden", 1),
    "server error": (send(b"", 500), "the server answered 500 Internal Server Error", 2),
    "cut in the middle": (send(WHOLE[:1000], stated=len(WHOLE)), "the connection was cut", 2),
    "cut before a byte": (send(b"", stated=len(WHOLE)), "the connection was cut", 2),
    "reset": (reset, "the connection was cut|Connection reset|Connection broken", 2),
    "wrong bytes": (send(WHOLE[:-1] + b"?"), f"the file is not the registry's, whose SHA-256 is {SHA256}", 1),
    "an error page": (send(b"<html>sorry</html>"), "the file is not the registry's", 1),
    "nothing": (send(b""), "the file is not the registry's", 1),
    "silent": (silent, "did not answer in time", 2),
    "stalling": (stalling, "did not answer in time", 2),
    "trickling": (trickling, "not complete after 0.6 seconds", 2),
    "trickling headers": (trickling_headers, "not complete after 0.6 seconds", 2),
    "endless": (endless, "the server sends more than 10,000,000 bytes", 1),
    "too long": (send(b"", stated=10**12), "the server sends more than 10,000,000 bytes|connection was cut", 2),
    "no HTTP": (lambda handler: handler.wfile.write(b"\x00\x01\x02 nonsense\r\n\r\n"), "nonsense|BadStatus|aborted", 2),
}

SLOW_FAULTS = {"silent", "stalling", "trickling", "trickling headers"}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_leaves_nothing_names_the_url_and_says_how_to_place_the_file(
    fault: str, server: Server, toy: Callable[..., Entry], tmp_path: Path
) -> None:
    answer, says, requests = FAULTS[fault]
    patience = IMPATIENT if fault in SLOW_FAULTS else HASTY
    toy()
    server.answers = [answer]
    started = time.monotonic()
    with pytest.raises(FetchError, match=says) as caught:
        fetch_dataset("toy", patience=replace(patience, max_bytes=10_000_000))
    assert time.monotonic() - started < 10
    said = str(caught.value)
    url, path = f"{server.url}/toy.mat", tmp_path / "data" / "toy.mat"
    assert said.startswith(f"toy was not fetched: {url}: ")
    assert said.endswith(f"to place it by hand, download {url} elsewhere and save it as {path}")
    assert left(tmp_path) == []
    assert server.requests == requests
    with pytest.raises(InputError, match="`dst datasets fetch toy` fetches it"):
        load_dataset("toy")


def test_a_refused_connection(toy: Callable[..., Entry], tmp_path: Path) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
    toy(urls=(f"http://127.0.0.1:{port}/toy.mat",))
    with pytest.raises(FetchError, match=f"127.0.0.1:{port}/toy.mat: the connection was refused"):
        fetch_dataset("toy", patience=HASTY)
    assert left(tmp_path) == []


def test_an_unknown_host(toy: Callable[..., Entry], tmp_path: Path) -> None:
    toy(urls=("http://nowhere.invalid/toy.mat",))
    with pytest.raises(FetchError, match=r"nowhere\.invalid/toy\.mat: the server's name is not known here"):
        fetch_dataset("toy", patience=HASTY)
    assert left(tmp_path) == []


@pytest.mark.parametrize("first", ["server error", "cut in the middle", "silent"])
def test_a_passing_fault_is_tried_again(first: str, server: Server, toy: Callable[..., Entry]) -> None:
    toy()
    server.answers = [FAULTS[first][0], send(WHOLE)]
    assert fetch_dataset("toy", patience=HASTY).status == "fetched"
    assert server.requests == 2


def test_the_next_address_is_asked(server: Server, toy: Callable[..., Entry]) -> None:
    toy(urls=(f"{server.url}/wrong.mat", f"{server.url}/gone.mat", f"{server.url}/right.mat"))
    server.answers = [send(b"wrong"), send(b"", 404), send(WHOLE)]
    assert fetch_dataset("toy", patience=HASTY).url == f"{server.url}/right.mat"


def test_a_file_of_unknown_hash_is_checked_by_its_table(
    server: Server, toy: Callable[..., Entry], tmp_path: Path
) -> None:
    toy(sha256=None)
    server.answers = [send(table(41))]
    with pytest.raises(FetchError, match=r"not the registry's: toy has 40 rows, .* but the table has 41, 6 and 2"):
        fetch_dataset("toy", patience=HASTY)
    assert left(tmp_path) == []
    server.answers = [send(WHOLE)]
    fetched = fetch_dataset("toy", patience=HASTY)
    assert (fetched.sha256, fetched.checked) == (SHA256, False)


def test_official_rows_in_another_order_are_refused(server: Server, toy: Callable[..., Entry], tmp_path: Path) -> None:
    toy(sha256=None, official_train_rows=30, official_train_counts=(14, 16))
    server.answers = [send(WHOLE)]
    with pytest.raises(FetchError, match=r"first 30 rows of toy .* \(14, 16\) .* but the table has \(15, 15\)"):
        fetch_dataset("toy", patience=HASTY)
    assert left(tmp_path) == []


def test_another_file_in_its_place_is_left_alone(server: Server, toy: Callable[..., Entry], tmp_path: Path) -> None:
    toy()
    server.answers = [send(WHOLE)]
    path = tmp_path / "data" / "toy.mat"
    path.parent.mkdir()
    path.write_bytes(b"mine")
    with pytest.raises(FetchError, match=f"not the registry's toy: .*; move {path} away"):
        fetch_dataset("toy", patience=HASTY)
    assert path.read_bytes() == b"mine"
    assert server.requests == 0


def test_what_cannot_be_read_in_its_place_is_named_with_addresses_and_the_others_follow(
    server: Server, toy: Callable[..., Entry], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    for name in [name for name, entry in DATASETS.items() if entry.file]:
        monkeypatch.delitem(DATASETS, name)
    entry = toy()
    toy(name="second", file="second.mat")
    server.answers = [send(WHOLE)]
    path = tmp_path / "data" / "toy.mat"
    path.mkdir(parents=True)
    says = f"{path} cannot be read: Is a directory; move it away to fetch toy again, from {entry.urls[0]}; to place it "
    with pytest.raises(FetchError, match=says):
        fetch_dataset("toy", patience=HASTY)
    status, out, err = call(capsys, "datasets", "fetch", "all", "--json")
    assert status == 1
    assert [row["status"] for row in json.loads(out)["datasets"]] == ["failed", "fetched"]
    assert err.startswith(f"error: {path} cannot be read")


def test_the_downloader_says_nothing_of_its_own(server: Server, toy: Callable[..., Entry]) -> None:
    toy()
    server.answers = [send(b"", 500), send(WHOLE)]
    said: list[str] = []
    handler = logging.Handler()
    handler.emit = lambda record: said.append(record.getMessage())  # type: ignore[method-assign]
    logger = pooch.get_logger()
    level = logger.level
    logger.addHandler(handler)
    try:
        fetch_dataset("toy", patience=HASTY)
    finally:
        logger.removeHandler(handler)
    assert said == []
    assert logger.level == level


def test_a_folder_that_cannot_be_made(toy: Callable[..., Entry], tmp_path: Path) -> None:
    toy()
    (tmp_path / "data").write_text("a file")
    with pytest.raises(FetchError, match="data cannot be written to: "):
        fetch_dataset("toy", patience=HASTY)


def test_an_interrupted_download_leaves_nothing(server: Server, toy: Callable[..., Entry], tmp_path: Path) -> None:
    toy()
    server.answers = [send(WHOLE)]

    def interrupt(done: int, total: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fetch_dataset("toy", patience=HASTY, on_progress=interrupt)
    assert left(tmp_path) == []


def test_embedded_data_needs_no_file_and_an_unknown_name_has_none() -> None:
    assert fetch_dataset("wine") == Fetched("wine", "embedded")
    with pytest.raises(InputError, match="unknown dataset 'win': did you mean 'wine'"):
        fetch_dataset("win")


def test_without_a_variable_the_users_cache_folder_is_it(
    server: Server, toy: Callable[..., Entry], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    toy()
    server.answers = [send(WHOLE)]
    monkeypatch.delenv("DST_DATA_DIR")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    fetched = fetch_dataset("toy", patience=HASTY)
    assert fetched.path is not None
    assert fetched.path.is_relative_to(tmp_path / "cache")
    assert load_dataset("toy").n_samples == 40


def openml(server: Server, monkeypatch: pytest.MonkeyPatch, n_rows: int = 40, cut: int | None = None) -> None:
    """Lets scikit-learn ask the server, which answers as OpenML does, instead of OpenML."""
    import sklearn.datasets._openml as client

    rows = "\n".join(f"{number / 7},{number % 5},{number % 2 + 1}" for number in range(n_rows))
    arff = f"@RELATION toy\n@ATTRIBUTE a REAL\n@ATTRIBUTE b REAL\n@ATTRIBUTE class {{1,2}}\n@DATA\n{rows}\n".encode()
    about = {"id": "7", "name": "toy", "version": "1", "format": "ARFF", "status": "active", "file_id": "77"}
    about |= {"default_target_attribute": "class", "md5_checksum": hashlib.md5(arff).hexdigest()}  # noqa: S324
    about |= {"url": f"{server.url}/data/v1/download/77", "description": "", "processing_date": "2020-01-01"}
    columns = [("a", "numeric"), ("b", "numeric"), ("class", "nominal")]
    features = [
        {"index": str(number), "name": name, "data_type": kind, "is_target": str(name == "class").lower()}
        | {"is_ignore": "false", "is_row_identifier": "false", "number_of_missing_values": "0"}
        for number, (name, kind) in enumerate(columns)
    ]
    qualities = [{"name": "NumberOfInstances", "value": str(n_rows)}]
    documents = {
        "/api/v1/json/data/7": {"data_set_description": about},
        "/api/v1/json/data/features/7": {"data_features": {"feature": features}},
        "/api/v1/json/data/qualities/7": {"data_qualities": {"quality": qualities}},
    }
    server.by_path = {path: json.dumps(document).encode() for path, document in documents.items()}
    server.by_path["/data/v1/download/77"] = arff[:cut]
    for name, path in (
        ("_DATA_INFO", "data"),
        ("_DATA_FEATURES", "data/features"),
        ("_DATA_QUALITIES", "data/qualities"),
    ):
        monkeypatch.setattr(client, name, f"{server.url}/api/v1/json/{path}/{{}}")


def test_openml_through_scikit_learn(
    server: Server, toy: Callable[..., Entry], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    toy(sha256=None, openml=7, urls=(), shape=(40, 2), file="toy-openml-7.npz")
    openml(server, monkeypatch)
    fetched = fetch_dataset("toy", patience=HASTY)
    assert (fetched.status, fetched.url) == ("fetched", "https://www.openml.org/d/7")
    assert left(tmp_path) == ["toy-openml-7.npz"]
    data = load_dataset("toy")
    assert data.class_names == ("1", "2")
    np.testing.assert_allclose(data.x[:, 0], np.arange(40) / 7, rtol=1e-6)
    assert socket.getdefaulttimeout() is None


OPENML_FAULTS = {
    "cut": "md5 checksum",
    "rows": "the data is not the registry's: toy has 40 rows, .* but the table has 30, 2 and 2",
    "gone": "404|not found",
    "silent": "did not answer in time",
}


@pytest.mark.filterwarnings("ignore:A network error", "ignore:Invalid cache")
@pytest.mark.parametrize(
    "fault",
    [pytest.param(one, marks=pytest.mark.slow if one in ("gone", "silent") else ()) for one in OPENML_FAULTS],
)
def test_openml_with_faults(
    fault: str, server: Server, toy: Callable[..., Entry], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    toy(sha256=None, openml=7, urls=(), shape=(40, 2), file="toy-openml-7.npz")
    openml(server, monkeypatch, n_rows=30 if fault == "rows" else 40, cut=200 if fault == "cut" else None)
    if fault in ("gone", "silent"):
        server.by_path = {}
        server.answers = [silent] if fault == "silent" else []
    says = rf"openml.org/d/7: .*({OPENML_FAULTS[fault]}).*; to place it by hand, save X and y of .* as .*-openml-7\.npz"
    with pytest.raises(FetchError, match=says):
        fetch_dataset("toy", patience=replace(IMPATIENT, tries=1))
    assert left(tmp_path) == []
    assert socket.getdefaulttimeout() is None


def call(capsys: Any, *arguments: str) -> tuple[int, str, str]:
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    printed = capsys.readouterr()
    return ended.value.code, printed.out, printed.err  # type: ignore[return-value]


def test_the_command_fetches_all_goes_on_after_failures_and_ends_with_status_1(
    server: Server, toy: Callable[..., Entry], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    for name in [name for name, entry in DATASETS.items() if entry.file]:
        monkeypatch.delitem(DATASETS, name)
    toy(name="first", urls=(f"{server.url}/1",))
    toy(name="second", file="second.mat", urls=(f"{server.url}/2",))
    toy(name="third", file="third.mat", sha256=None, urls=(f"{server.url}/3",))
    server.by_path = {"/1": b"wrong", "/3": WHOLE}
    status, out, err = call(capsys, "datasets", "fetch", "all", "--json")
    assert status == 1
    rows = json.loads(out)["datasets"]
    assert [(row["name"], row["status"]) for row in rows] == [
        ("first", "failed"),
        ("second", "failed"),
        ("third", "fetched"),
    ]
    assert rows[2]["path"] == str(tmp_path / "data" / "third.mat")
    assert (rows[2]["sha256"], rows[2]["checked"]) == (SHA256, False)
    lines = err.splitlines()
    assert len(lines) == 3
    assert lines[0].startswith(f"error: first was not fetched: {server.url}/1: the file is not the registry's")
    assert lines[1].startswith(f"error: second was not fetched: {server.url}/2: the server answered 404")
    assert lines[2].startswith(f"third fetched from {server.url}/3")
    assert SHA256 in lines[2]
    assert left(tmp_path) == ["third.mat"]


def test_the_command_with_one_name(server: Server, toy: Callable[..., Entry], capsys: Any) -> None:
    toy()
    server.answers = [send(WHOLE)]
    assert call(capsys, "datasets", "fetch", "toy", "--json")[0] == 0
    status, out, err = call(capsys, "datasets", "fetch", "toy")
    assert (status, out) == (0, "")
    assert err.startswith("toy is there already: ")
    status, out, err = call(capsys, "datasets", "fetch", "wine")
    assert (status, out, err) == (0, "", "wine needs no file\n")
    status, out, err = call(capsys, "datasets", "fetch", "win")
    assert (status, out) == (2, "")
    assert "did you mean 'wine'" in err


def test_the_list_says_where_the_hash_is_unknown(capsys: Any) -> None:
    _, out, _ = call(capsys, "datasets", "list")
    row = {line.split()[0]: line.split()[-1] for line in out.splitlines()}
    assert row["USPS"] == "unknown"
    assert row["wine"] == "-"
    assert row["Yale"] == "cccd29abd2c5"


def test_gzip_on_the_way_is_not_asked_for(server: Server, toy: Callable[..., Entry]) -> None:
    """A server that packs what it sends would make lengths and bytes differ."""
    toy()

    def packing(handler: Handler) -> None:
        wants = handler.headers.get("Accept-Encoding", "")
        send(gzip.compress(WHOLE) if "gzip" in wants else WHOLE)(handler)

    server.answers = [packing]
    assert fetch_dataset("toy", patience=HASTY).status == "fetched"
