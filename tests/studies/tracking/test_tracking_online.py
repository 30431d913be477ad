"""Online tracking with W&B's real client, against a server that answers the few questions the client asks."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from studies.store.record import iter_records, read_record, write_record
from studies.tracking.runs import run_id, trial_run
from tests.support.soundness import default_signals

KEY = "a" * 40

SCRIPT = """
import json, sys
from pathlib import Path
from studies.store.archive import StudyArchive
from studies.store.folder import StudyFolder
from studies.tracking.wandb import TrackingError, track
archive = StudyArchive(StudyFolder(Path(sys.argv[1])))
try:
    print(track(archive, study_name="three", project="p", **json.loads(sys.argv[2])))
except TrackingError as error:
    sys.exit(f"TrackingError: {error}")
"""


class Server(ThreadingHTTPServer):
    """Keeps what it is sent, by run: the lines of the history by their place, the summary, the state at the end."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server_port}"
        self.history: dict[str, list[str]] = {}
        self.summary: dict[str, dict[str, Any]] = {}
        self.upserts: dict[str, dict[str, Any]] = {}
        self.ended: dict[str, int] = {}
        self.takes_uploads = threading.Event()
        self.takes_uploads.set()

    def query(self, text: str, given: dict[str, Any]) -> dict[str, Any]:
        """Answer a GraphQL query by its name."""
        name = re.search(r"(?:query|mutation)\s+(\w+)", text)
        project = {"id": "p", "name": "p", "entity": {"id": "e", "name": "me"}}
        match name[1] if name else "":
            case "Viewer":
                account = {"id": "u", "entity": "me", "username": "me", "email": "", "flags": "{}"}
                return {"viewer": account | {"teams": {"edges": []}}}
            case "RunResumeStatus":
                return {"model": project | {"bucket": self._bucket(given["name"])}}
            case "UpsertBucket":
                known = {key: value for key, value in given.items() if value is not None}
                self.upserts.setdefault(given["name"], {}).update(known)
                bucket = {"id": "b", "name": given["name"], "displayName": given["displayName"], "description": ""}
                bucket |= {"config": "{}", "sweepName": None, "project": project}
                lines = len(self.history.get(given["name"], []))
                return {"upsertBucket": {"bucket": bucket | {"historyLineCount": lines}, "inserted": lines == 0}}
            case "CreateRunFiles":
                files = [{"name": file, "uploadUrl": f"{self.url}/upload/{file}"} for file in given["files"]]
                return {"createRunFiles": {"runID": "b", "uploadHeaders": [], "files": files}}
            case "ArtifactType":
                return {"project": {"artifact": None}}
            case "CreateArtifact":
                made = {"id": "a", "state": "COMMITTED", "artifactSequence": {"latestArtifact": {"id": "a"}}}
                return {"createArtifact": {"artifact": made}}
        return {}

    def stream(self, run: str, message: dict[str, Any]) -> None:
        """Take a part of a run: lines belong at an offset and replace what is there."""
        files = message.get("files") or {}
        if part := files.get("wandb-history.jsonl"):
            lines = self.history.setdefault(run, [])
            lines[part["offset"] : part["offset"] + len(part["content"])] = part["content"]
        if part := files.get("wandb-summary.json"):
            self.summary[run] = json.loads(part["content"][-1])
        if message.get("complete"):
            self.ended[run] = message["exitcode"]

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing of clients that went away: W&B's resets its connections when it ends."""
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)

    def _bucket(self, run: str) -> dict[str, Any] | None:
        if run not in self.upserts:
            return None
        lines = self.history.get(run, [])
        tails = {"historyTail": json.dumps(lines[-1:]), "eventsTail": "[]", "wandbConfig": '{"t": 1}'}
        counts = {"historyLineCount": len(lines), "eventsLineCount": 0, "logLineCount": 0}
        metrics = json.dumps(self.summary.get(run, {}))
        named = {"id": "b", "name": run, "displayName": run, "config": "{}", "tags": [], "notes": ""}
        return named | counts | tails | {"summaryMetrics": metrics}


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Server

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        answer: dict[str, Any] = {}
        if self.path == "/graphql":
            asked = json.loads(body)
            answer = {"data": self.server.query(asked["query"], asked.get("variables") or {})}
        elif self.path.endswith("/file_stream"):
            self.server.takes_uploads.wait()
            self.server.stream(self.path.split("/")[-2], json.loads(body))
        text = json.dumps(answer).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    do_PUT = do_POST  # noqa: N815 - the name that http.server looks for

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


@pytest.fixture
def server() -> Iterator[Server]:
    with Server() as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture
def small(make_study: Callable, tmp_path: Path):
    """A study with two trials left, so that a test is quick."""
    study = make_study(tmp_path / "one", tables=["madelon"])
    for record in list(iter_records(study.folder)):
        if record["number"] not in (0, 5):
            study.folder.record(record["dataset"], record["number"]).unlink()
    return study


def start(study, home: Path, mode: str, **environment: str) -> subprocess.Popen[str]:
    home.mkdir(exist_ok=True)
    tables = {"best": study.best, "best_by_method": study.best_by_method, "mode": mode}
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("WANDB_", "XDG_", "NETRC"))}
    variables = {"HOME": str(home), "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    command = [sys.executable, "-c", SCRIPT, str(study.folder.path), json.dumps(tables)]
    return subprocess.Popen(
        command,
        preexec_fn=default_signals,
        env=kept | variables | environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def call(study, home: Path, mode: str, **environment: str) -> subprocess.CompletedProcess[str]:
    with start(study, home, mode, **environment) as process:
        printed, errors = process.communicate()
    return subprocess.CompletedProcess(process.args, process.returncode, printed, errors)


@pytest.mark.slow
def test_runs_reach_the_server_that_the_user_names(small, tmp_path: Path, server: Server) -> None:
    assert call(small, tmp_path / "home", "offline").stdout == "3\n"
    online = {"WANDB_BASE_URL": server.url, "WANDB_API_KEY": KEY}
    # What was written offline is sent when the mode becomes online, and its local copy goes.
    assert call(small, tmp_path / "home", "online", **online).stdout == "3\n"
    assert list(small.folder.wandb.glob("*run-*")) == []
    for record in iter_records(small.folder):
        run = trial_run("three", record, None)
        assert server.ended[run.id] == int(run.failed)
        asked = server.upserts[run.id]
        assert (asked["displayName"], asked["groupName"], asked["jobType"]) == (run.name, run.group, run.job_type)
        steps = [json.loads(line) for line in server.history.get(run.id, [])]
        assert {step["_step"]: {key: step[key] for key in step if key[0] != "_"} for step in steps} == run.history
        assert {key: server.summary[run.id].get(key) for key in run.summary if "/" not in key} == {
            key: value for key, value in run.summary.items() if "/" not in key
        }
    assert server.ended[run_id("three")] == 0
    assert call(small, tmp_path / "home", "online", **online).stdout == "0\n"
    assert call(small, tmp_path / "home", "offline", **online).stdout == "0\n"


@pytest.mark.slow
def test_sending_again_replaces_and_never_doubles(small, tmp_path: Path, server: Server) -> None:
    online = {"WANDB_BASE_URL": server.url, "WANDB_API_KEY": KEY}
    name = run_id("three", "madelon", 0)
    assert call(small, tmp_path / "home", "online", **online).stdout == "3\n"
    history = [json.loads(line) for line in server.history[name]]
    # As if the connection had broken in the middle of the run: the server has a half, the notes have nothing.
    del server.history[name][10:]
    server.summary[name] = history[9]
    (small.folder.wandb / "sent.json").unlink()
    record = read_record(small.folder.record("madelon", 0))
    write_record(small.folder, record | {"val_score": 0.123})

    assert call(small, tmp_path / "home", "online", **online).stdout == "3\n"
    again = [json.loads(line) for line in server.history[name]]
    times = ("_timestamp", "_runtime")
    assert [{k: v for k, v in step.items() if k not in times} for step in again] == [
        {k: v for k, v in step.items() if k not in times} for step in history
    ]
    assert server.summary[name]["val_score"] == 0.123


@pytest.mark.slow
def test_no_credentials_no_question(small, tmp_path: Path, server: Server) -> None:
    done = call(small, tmp_path / "home", "online", WANDB_BASE_URL=server.url)
    assert done.returncode == 1
    assert f"TrackingError: W&B has no credentials for {server.url}" in done.stderr
    assert not (small.folder.wandb / "sent.json").exists()


@pytest.mark.slow  # W&B's client looks for it for ten seconds
def test_a_server_that_is_not_there_is_named(small, tmp_path: Path) -> None:
    with Server() as gone:
        url = gone.url
    done = call(small, tmp_path / "home", "online", WANDB_BASE_URL=url, WANDB_API_KEY=KEY)
    assert done.returncode == 1
    assert f"TrackingError: W&B at {url}: " in done.stderr


@pytest.mark.slow
def test_a_server_that_hangs_does_not_hold_a_process_that_is_asked_to_end(
    small, tmp_path: Path, server: Server
) -> None:
    server.takes_uploads.clear()
    with start(small, tmp_path / "home", "online", WANDB_BASE_URL=server.url, WANDB_API_KEY=KEY) as process:
        while not server.upserts:
            assert process.poll() is None
            time.sleep(0.1)
        time.sleep(2.0)  # it waits for its uploads now
        process.send_signal(signal.SIGINT)
        try:
            _, errors = process.communicate(timeout=30)
        finally:
            process.kill()
            server.takes_uploads.set()
    assert "KeyboardInterrupt" in errors
    assert call(small, tmp_path / "home", "online", WANDB_BASE_URL=server.url, WANDB_API_KEY=KEY).stdout == "3\n"
