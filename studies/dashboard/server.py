"""The server of ``dst dashboard``: for browsers of this machine alone, and without a way to change anything."""

from __future__ import annotations

import json
import threading
from collections.abc import Mapping
from dataclasses import asdict
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit
from wsgiref.simple_server import WSGIRequestHandler, make_server

from dst.errors import InputError
from studies.dashboard.pages import index_page, study_page
from studies.dashboard.view import View

HOST = "127.0.0.1"
"""The loopback: a study's report shows a user's data."""

LOOK_MILLISECONDS = 2000
"""Between two questions of a page whether there is something new."""

_TYPES = {".html": "text/html", ".csv": "text/csv", ".svg": "image/svg+xml", ".png": "image/png"}


class DashboardServer(ThreadingHTTPServer):
    """Serves the views of studies on the loopback.

    Args:
        views: by the study's name.
        port: 0: any that is free.
        with_optuna: whether optuna-dashboard is there to show the storage of a study, a copy of it.

    Raises:
        InputError: the port is taken.
    """

    daemon_threads = True

    def __init__(self, views: Mapping[str, View], port: int, *, with_optuna: bool) -> None:
        self.views = views
        self.with_optuna = with_optuna
        self._optuna: dict[str, str] = {}
        self._starting = threading.Lock()
        try:
            super().__init__((HOST, port), _Handler)
        except OSError as error:
            raise InputError(f"--port must be one that is free, but {port} is not ({error.strerror})") from error
        self.hosts = {f"{host}:{self.port}" for host in (HOST, "localhost")}

    @property
    def port(self) -> int:
        """The port that it has."""
        return int(self.server_address[1])

    @property
    def url(self) -> str:
        """Its address."""
        return f"http://{HOST}:{self.port}/"

    def shows_storage(self, name: str) -> bool:
        """Say whether optuna-dashboard can show a study's storage: one in a file, of which a snapshot has a copy.

        Args:
            name: the study's.
        """
        return self.with_optuna and self.views[name].snapshot.storage.exists()

    def optuna_url(self, name: str) -> str:
        """Return where optuna-dashboard shows a study's storage; it is started by the first call.

        Args:
            name: of a study whose storage it can show.
        """
        with self._starting:
            if name not in self._optuna:
                self._optuna[name] = _serve_optuna(self.views[name].snapshot.storage)
            return self._optuna[name]


def _serve_optuna(database: Path) -> str:
    from optuna_dashboard import wsgi

    class Quiet(WSGIRequestHandler):
        def log_message(self, *_: Any) -> None:
            """Say nothing."""

    server = make_server(HOST, 0, wsgi(f"sqlite:///{database}"), handler_class=Quiet)
    threading.Thread(target=server.serve_forever, name="optuna-dashboard", daemon=True).start()
    return f"http://{HOST}:{server.server_port}/dashboard/"


class _Handler(BaseHTTPRequestHandler):
    server: DashboardServer
    server_version = "dst"

    def do_GET(self) -> None:
        """Answer a browser."""
        if self.headers.get("Host") not in self.server.hosts:  # a page elsewhere, whose name leads to the loopback
            self.send_error(HTTPStatus.FORBIDDEN)
            return
        parts = [unquote(part) for part in urlsplit(self.path).path.split("/")[1:]]
        if parts == [""]:
            self._send(index_page(self.server.views).encode(), "text/html")
        elif (view := self.server.views.get(parts[0])) is None or len(parts) < 2:
            self.send_error(HTTPStatus.NOT_FOUND)
        else:
            self._of_study(parts[0], view, "/".join(parts[1:]))

    def _of_study(self, name: str, view: View, file: str) -> None:
        shown = view.look()
        if file == "":
            self._send(study_page(name, LOOK_MILLISECONDS).encode(), "text/html")
            return
        if file == "optuna" and self.server.shows_storage(name):
            self.send_response(HTTPStatus.SEE_OTHER)
            self.send_header("Location", self.server.optuna_url(name))
            self.end_headers()
            return
        if file == "state.json":
            state = {**asdict(shown), "optuna": self.server.shows_storage(name)}
            self._send(json.dumps(state).encode(), "application/json")
            return
        made = view.snapshot.path
        path = made / file
        kind = _TYPES.get(path.suffix)
        try:
            if kind is None or not path.resolve().is_relative_to(made.resolve()):
                raise FileNotFoundError
            content = path.read_bytes()
        except (OSError, ValueError):
            self.send_error(HTTPStatus.NOT_FOUND)
            return
        self._send(content, kind)

    def _send(self, content: bytes, kind: str) -> None:
        self.send_response(HTTPStatus.OK)
        self.send_header("Content-Type", f"{kind}; charset=utf-8")
        self.send_header("Content-Length", str(len(content)))
        self.send_header("Cache-Control", "no-store")
        self.send_header("X-Content-Type-Options", "nosniff")
        self.end_headers()
        try:
            self.wfile.write(content)
        except ConnectionError:  # the browser has gone
            self.close_connection = True

    def log_message(self, *_: Any) -> None:
        """Say nothing: the terminal is the user's."""
