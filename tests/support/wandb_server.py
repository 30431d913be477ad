"""A stand-in for a W&B server: keeps what the real client sends, and breaks in the ways that a real one breaks."""

from __future__ import annotations

import json
import re
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import unquote

KEY = "a" * 40


@dataclass
class Run:
    """A run as the server has it."""

    history: list[str] = field(default_factory=list)
    summary: dict[str, Any] = field(default_factory=dict)
    upserted: dict[str, Any] = field(default_factory=dict)
    files: dict[str, bytes] = field(default_factory=dict)
    exit_code: int | None = None
    ends: int = 0

    @property
    def config(self) -> dict[str, Any]:
        """The settings, without the client's own."""
        entries = json.loads(self.upserted.get("config") or "{}")
        return {key: entry["value"] for key, entry in entries.items() if key != "_wandb"}

    @property
    def client(self) -> dict[str, Any]:
        """The client's own part of the configuration: metrics, start time."""
        return dict(json.loads(self.upserted.get("config") or "{}").get("_wandb", {}).get("value", {}))

    @property
    def rows(self) -> list[dict[str, Any]]:
        """The history without the client's own keys."""
        lines = (json.loads(line) for line in self.history)
        return [{key: value for key, value in line.items() if not key.startswith("_")} for line in lines]


@dataclass
class Artifact:
    """An artifact: committed when its manifest and each file that this names have come."""

    id: str
    name: str
    type: str
    client_id: str
    digest: str
    aliases: list[str]
    run: str
    manifest: dict[str, Any] | None = None
    files: dict[str, bytes] = field(default_factory=dict)
    committed: bool = False

    @property
    def digests(self) -> dict[str, str]:
        """The digest of each file by its name."""
        return {name: entry["digest"] for name, entry in (self.manifest or {}).get("contents", {}).items()}


Fault = Callable[[str, str], int | None]
"""``fault(kind, what)``: the status to answer with, None to answer as usual.

Kinds are ``graphql`` (what: the operation's name), ``stream`` (the run) and ``upload`` (the file's name).
"""


class Server(ThreadingHTTPServer):
    """Keeps runs and artifacts by name.

    Attributes:
        url: the address.
        runs: by id.
        artifacts: all that were created, the latest of a name last.
        deleted: ids of runs that somebody deleted in the page: no run may have them again.
        fault: decides what is refused; see :data:`Fault`.
        delay: seconds before each answer.
        open: while it is not set, nothing is answered.
        asked: number of requests by kind, or by operation.
        kept_waiting: set when a request waits for ``open``.
        alerts: title and text of each.
        views: saved views by name, as they were given.
    """

    daemon_threads = True
    request_queue_size = 128

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server_port}"
        self.runs: dict[str, Run] = {}
        self.artifacts: list[Artifact] = []
        self.deleted: set[str] = set()
        self.fault: Fault | None = None
        self.delay = 0.0
        self.open = threading.Event()
        self.open.set()
        self.kept_waiting = threading.Event()
        self.asked: dict[str, int] = {}
        self.alerts: list[tuple[str, str]] = []
        self.views: dict[str, dict[str, Any]] = {}
        self.changed = threading.Condition()

    def wait_until(self, condition: Callable[[], bool], seconds: float = 60) -> None:
        """Wait until what the server has fulfils a condition."""
        with self.changed:
            assert self.changed.wait_for(condition, seconds), "waited in vain"

    def delete(self, run: str) -> None:
        """Delete a run as somebody does in the page."""
        del self.runs[run]
        self.deleted.add(run)

    def latest(self, name: str) -> Artifact:
        """Return the last committed version of an artifact."""
        return [artifact for artifact in self.artifacts if artifact.name == name and artifact.committed][-1]

    def query(self, name: str, given: dict[str, Any]) -> dict[str, Any]:
        """Answer a GraphQL query by its name."""
        project = {"id": "p", "name": given.get("project") or "p", "entity": {"id": "e", "name": "me"}}
        match name:
            case "Viewer":
                account = {"id": "u", "entity": "me", "username": "me", "email": "", "flags": "{}"}
                return {"viewer": account | {"teams": {"edges": []}}}
            case "GetDefaultEntity":
                return {"viewer": {"id": "u", "entity": "me"}}
            case "RunResumeStatus":
                return {"model": project | {"bucket": self._bucket(given["name"])}}
            case "UpsertBucket":
                run = self.runs.setdefault(given["name"], Run())
                inserted = not run.upserted
                run.upserted |= {key: value for key, value in given.items() if value is not None}
                bucket = {"id": f"b-{given['name']}", "name": given["name"], "displayName": given["displayName"]}
                bucket |= {"description": "", "config": "{}", "sweepName": None, "project": project}
                bucket |= {"historyLineCount": len(run.history)}
                return {"upsertBucket": {"bucket": bucket, "inserted": inserted}}
            case "CreateRunFiles":
                place = f"{self.url}/upload/run/{given['run']}"
                files = [{"name": file, "uploadUrl": f"{place}/{file}"} for file in given["files"]]
                return {"createRunFiles": {"runID": "b", "uploadHeaders": [], "files": files}}
            case "Runs":
                return {"project": {"internalId": "1", **self._found(json.loads(given["filters"])["name"]["$in"])}}
            case "RunFiles":
                return {"project": {"run": self._files(given)}}
            case "RunState":
                return {"project": {"run": {"id": "b", "state": "running"}}}
            case "NotifyScriptableRunAlert":
                self.alerts.append((given["title"], given["text"]))
                return {"notifyScriptableRunAlert": {"success": True}}
            case "UpsertView2":
                self.views[given["name"]] = given
                return {"upsertView": {"view": {"id": f"v-{given['name']}", "name": given["name"]}, "inserted": True}}
            case "View":
                found = [view for name, view in self.views.items() if name == given["viewName"]]
                nodes = [{"id": f"v-{view['name']}", **view} for view in found]
                return {"project": {"allViews": {"edges": [{"node": node} for node in nodes]}}}
        return self._query_artifacts(name, given)

    def _query_artifacts(self, name: str, given: dict[str, Any]) -> dict[str, Any]:
        match name:
            case "CreateArtifact":
                return {"createArtifact": {"artifact": self._create(given["input"])}}
            case "CreateArtifactManifest":
                place = f"{self.url}/upload/manifest/{given['artifactID']}"
                file = {"id": "f", "uploadUrl": place, "uploadHeaders": []}
                return {
                    "createArtifactManifest": {"artifactManifest": {"id": f"m-{given['artifactID']}", "file": file}}
                }
            case "UpdateArtifactManifest":
                artifact = given["artifactManifestID"].removeprefix("m-")
                file = {"id": "f", "uploadUrl": f"{self.url}/upload/manifest/{artifact}", "uploadHeaders": []}
                manifest = {"id": given["artifactManifestID"], "file": file}
                return {"updateArtifactManifest": {"artifactManifest": manifest}}
            case "CreateArtifactFiles":
                nodes = [self._place(file) for file in given["input"]["artifactFiles"]]
                return {"createArtifactFiles": {"files": {"edges": [{"node": node} for node in nodes]}}}
            case "CommitArtifact":
                artifact = self._artifact(given["artifactID"])
                wanted = {name for name, entry in (artifact.manifest or {"contents": {}})["contents"].items()}
                lacking = wanted - artifact.files.keys()
                if artifact.manifest is None or lacking:
                    raise GraphQLError(f"the artifact lacks {sorted(lacking) or 'its manifest'}")
                artifact.committed = True
                return {"commitArtifact": {"artifact": {"id": artifact.id, "digest": artifact.digest}}}
            case "ArtifactType":
                return {"project": {"artifact": None}}
            case "ArtifactByID":
                return {"artifact": self._described(self._artifact(given["id"]))}
            case "ClientIDMapping":
                known = [made.id for made in self.artifacts if made.client_id == given["clientID"]]
                return {"clientIDMapping": {"serverID": known[-1]} if known else None}
        return {}

    def _create(self, asked: dict[str, Any]) -> dict[str, Any]:
        name = asked["artifactCollectionName"]
        same = [made for made in self.artifacts if made.name == name and made.committed]
        aliases = [alias["alias"] for alias in asked.get("aliases") or []]
        if same and same[-1].digest == asked["digest"]:
            same[-1].aliases = sorted({*same[-1].aliases, *aliases})
            artifact = same[-1]
        else:
            key, client = f"a{len(self.artifacts)}", asked.get("clientID") or ""
            kind, run = asked["artifactTypeName"], asked.get("runName") or ""
            artifact = Artifact(key, name, kind, client, asked["digest"], aliases, run)
            self.artifacts.append(artifact)
        state = "COMMITTED" if artifact.committed else "PENDING"
        latest = {"id": same[-1].id, "versionIndex": len(same)} if same else None
        return {"id": artifact.id, "state": state, "artifactSequence": {"id": "s", "latestArtifact": latest}}

    def _described(self, artifact: Artifact) -> dict[str, Any]:
        """Return an artifact in full, as the client asks for it when it is committed."""
        project = {"id": "p", "internalId": "1", "name": "p", "entity": {"name": "me"}}
        sequence = {"__typename": "ArtifactSequence", "name": artifact.name, "project": project}
        described = {"__typename": "Artifact", "id": artifact.id, "artifactSequence": sequence, "versionIndex": 0}
        described |= {"artifactType": {"name": artifact.type}, "description": None, "metadata": None, "tags": []}
        described |= {"ttlDurationSeconds": -2, "ttlIsInherited": True, "historyStep": None, "size": 1}
        described |= {"state": "COMMITTED" if artifact.committed else "PENDING", "digest": artifact.digest}
        described |= {"digestAlgorithm": None, "commitHash": "c", "fileCount": 1, "createdAt": "2026-01-01T00:00:00Z"}
        return described | {"updatedAt": None, "aliases": []}

    def _artifact(self, key: str) -> Artifact:
        return next(artifact for artifact in self.artifacts if artifact.id == key)

    def _place(self, file: dict[str, Any]) -> dict[str, Any]:
        url = f"{self.url}/upload/artifact/{file['artifactID']}/{file['name']}"
        node = {"storagePath": file["name"], "uploadUrl": url, "uploadHeaders": [], "uploadMultipartUrls": None}
        return node | {"artifact": {"id": file["artifactID"]}}

    def upload(self, place: str, body: bytes) -> None:
        """Take a file: of a run, of an artifact, or an artifact's manifest."""
        kind, _, rest = place.partition("/")
        owner, _, name = rest.partition("/")
        if kind == "run":
            self.runs[owner].files[unquote(name)] = body
        elif kind == "manifest":
            self._artifact(owner).manifest = json.loads(body)
        else:
            self._artifact(owner).files[unquote(name)] = body

    def stream(self, run_id: str, message: dict[str, Any]) -> None:
        """Take a part of a run: lines belong at an offset and replace what is there."""
        run = self.runs[run_id]
        files = message.get("files") or {}
        if part := files.get("wandb-history.jsonl"):
            run.history[part["offset"] : part["offset"] + len(part["content"])] = part["content"]
        if part := files.get("wandb-summary.json"):
            run.summary = json.loads(part["content"][-1])
        if message.get("complete"):
            run.exit_code = message["exitcode"]
            run.ends += 1
        elif files:
            run.exit_code = None

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing of clients that went away: W&B's resets its connections when it ends."""
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)

    def _bucket(self, name: str) -> dict[str, Any] | None:
        run = self.runs.get(name)
        if run is None or not run.upserted:
            return None
        tails = {"historyTail": json.dumps(run.history[-1:]), "eventsTail": "[]", "wandbConfig": '{"t": 1}'}
        counts = {"historyLineCount": len(run.history), "eventsLineCount": 0, "logLineCount": 0}
        config = run.upserted.get("config") or "{}"
        named = {"id": f"b-{name}", "name": name, "displayName": name, "config": config, "tags": [], "notes": ""}
        return named | counts | tails | {"summaryMetrics": json.dumps(run.summary)}

    def _found(self, names: list[str]) -> dict[str, Any]:
        """Return the runs of these names that are there."""
        there = [(name, self.runs[name]) for name in names if name in self.runs]
        nodes = [{"projectId": "1", **self._run_node(name, run)} for name, run in there]
        page = {"hasNextPage": False, "endCursor": ""}
        edges = [{"node": node, "cursor": ""} for node in nodes]
        return {"runCount": len(edges), "readOnly": False, "runs": {"edges": edges, "pageInfo": page}}

    def _run_node(self, name: str, run: Run) -> dict[str, Any]:
        state = "running" if run.exit_code is None else "failed" if run.exit_code else "finished"
        described = {"id": f"b-{name}", "name": name, "displayName": run.upserted["displayName"], "state": state}
        described |= {"tags": [], "sweepName": None, "config": run.upserted.get("config") or "{}", "group": None}
        described |= {"jobType": None, "commit": None, "readOnly": False, "createdAt": "2026-01-01T00:00:00Z"}
        described |= {"heartbeatAt": None, "description": "", "notes": "", "systemMetrics": "{}", "historyKeys": None}
        user = {"name": "me", "username": "me"}
        counts = {"historyLineCount": len(run.history), "summaryMetrics": json.dumps(run.summary)}
        return described | counts | {"user": user}

    def _files(self, given: dict[str, Any]) -> dict[str, Any] | None:
        run = self.runs.get(given["name"])
        if run is None:
            return None
        nodes = [{"name": name, "sizeBytes": len(content)} for name, content in run.files.items()]
        page = {"edges": [{"node": node} for node in nodes], "pageInfo": {"hasNextPage": False, "endCursor": ""}}
        return {"fileCount": len(nodes), "files": page}


class GraphQLError(Exception):
    """What the server answers in place of data."""


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Server

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        kind, what, asked = self._kind(body)
        server = self.server
        if not server.open.is_set():
            server.kept_waiting.set()
            server.open.wait()
        time.sleep(server.delay)
        with server.changed:
            name = what if kind == "graphql" else kind
            server.asked[name] = server.asked.get(name, 0) + 1
            status = server.fault(kind, what) if server.fault else None
            answer: dict[str, Any] = {}
            if status is None:
                status, answer = self._answer(kind, what, asked, body)
            elif kind == "graphql":
                answer = {"errors": [{"message": f"refused with {status}"}]}
            server.changed.notify_all()
        self._send(status, answer)

    do_PUT = do_POST  # noqa: N815 - the name that http.server looks for

    def _kind(self, body: bytes) -> tuple[str, str, dict[str, Any]]:
        if self.path == "/graphql":
            asked = json.loads(body)
            name = re.search(r"(?:query|mutation)\s+(\w+)", asked["query"])
            return "graphql", name[1] if name else "", asked.get("variables") or {}
        if self.path.endswith("/file_stream"):
            return "stream", self.path.split("/")[-2], {}
        if self.path.startswith("/upload/"):
            return "upload", self.path.removeprefix("/upload/"), {}
        return "other", self.path, {}

    def _answer(self, kind: str, what: str, asked: dict[str, Any], body: bytes) -> tuple[int, dict[str, Any]]:
        server = self.server
        if kind == "stream":
            if what not in server.runs:
                return 404, {"error": "run not found"}
            server.stream(what, json.loads(body))
            return 200, {}
        if kind == "upload":
            server.upload(what, body)
            return 200, {}
        if kind == "other":
            return 404, {"error": f"no {what} here"}
        if what == "UpsertBucket" and asked["name"] in server.deleted:
            message = f"run {asked['name']} was previously created and deleted; try a new run name"
            return 409, {"errors": [{"message": message}], "data": {"upsertBucket": None}}
        try:
            return 200, {"data": server.query(what, asked)}
        except GraphQLError as error:
            return 200, {"errors": [{"message": str(error)}], "data": None}

    def _send(self, status: int, answer: dict[str, Any]) -> None:
        text = json.dumps(answer).encode()
        self.send_response(status)
        if status == 429:
            self.send_header("Retry-After", "1")
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


@contextmanager
def wandb_server() -> Iterator[Server]:
    """Serve while the block runs."""
    with Server() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
        thread.start()
        try:
            yield server
        finally:
            server.open.set()
            server.shutdown()
            thread.join()
