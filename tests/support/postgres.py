"""A real PostgreSQL server for tests, and a relay that loses its answers."""

from __future__ import annotations

import os
import secrets
import shutil
import socket
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

USER = "researcher"
_NOBODY = 65534


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def _programs() -> Path:
    """The folder with initdb and postgres, on PATH or where Debian and Red Hat put them."""
    found = shutil.which("initdb")
    if found:
        return Path(found).resolve().parent
    places = [*Path("/usr/lib/postgresql").glob("*/bin"), Path("/usr/pgsql/bin"), *Path("/usr").glob("pgsql-*/bin")]
    for place in sorted(places, reverse=True):
        if (place / "initdb").exists():
            return place
    pytest.skip("needs PostgreSQL's server programs (initdb, postgres): install the package postgresql")


class PostgresServer:
    """A server on loopback with a database, a user and a password."""

    def __init__(self, folder: Path) -> None:
        self._programs = _programs()
        self._folder = folder / "data"
        self._log = folder / "log"
        self.port = free_port()
        self.password = secrets.token_hex(8)
        self._as = {}
        if os.getuid() == 0:  # PostgreSQL refuses to run as root
            self._as = {"user": _NOBODY, "group": _NOBODY, "extra_groups": []}
            shutil.chown(folder, _NOBODY, _NOBODY)
        pwfile = folder / "password"
        pwfile.write_text(self.password)
        if self._as:
            shutil.chown(pwfile, _NOBODY, _NOBODY)
        self._run("initdb", "-D", self._folder, "-U", USER, "--pwfile", pwfile, "-A", "scram-sha-256", "-E", "UTF8")
        self._process: subprocess.Popen[bytes] | None = None

    def url(self, *, password: bool = True, port: int | None = None) -> str:
        user = f"{USER}:{self.password}" if password else USER
        return f"postgresql+psycopg://{user}@127.0.0.1:{port or self.port}/postgres"

    def start(self) -> None:
        options = {
            "listen_addresses": "127.0.0.1",
            "port": self.port,
            "unix_socket_directories": "",
            "fsync": "off",  # the machine does not die, only the server does
            "max_connections": 20,
            "shared_buffers": "16MB",
        }
        arguments = [f"-c{name}={value}" for name, value in options.items()]
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                [self._programs / "postgres", "-D", self._folder, *arguments],
                stdout=log, stderr=log, cwd=self._folder.parent, start_new_session=True, **self._as,
            )  # fmt: skip
        for _ in range(200):
            asked = [self._programs / "pg_isready", "-q", "-h", "127.0.0.1", "-p", str(self.port)]
            if subprocess.run(asked, check=False).returncode == 0:
                return
            assert self._process.poll() is None, self._log.read_text()
            time.sleep(0.05)
        raise AssertionError(self._log.read_text())

    def stop(self, mode: str = "immediate") -> None:
        """``immediate`` is what a crash looks like: connections break, and the next start recovers."""
        if self._process is not None:
            self._run("pg_ctl", "stop", "-D", self._folder, "-m", mode, "-w")
            self._process.wait(timeout=30)
            self._process = None

    def _run(self, program: str, *arguments: object) -> None:
        done = subprocess.run(
            [self._programs / program, *map(str, arguments)],
            capture_output=True, text=True, check=False, cwd=self._folder.parent, **self._as,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr


@contextmanager
def running_postgres() -> Iterator[PostgresServer]:
    """A server that runs; its folder is open to another user, as pytest's are not."""
    _programs()
    folder = Path(tempfile.mkdtemp(prefix="dst-postgres-"))
    folder.chmod(0o755)
    try:
        server = PostgresServer(folder)
        server.start()
        try:
            yield server
        finally:
            server.stop()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


class Relay:
    """Sits before a server and cuts chosen commits: before the server hears of them, or before its answer is heard.

    Args:
        port: the server's.
        cut: given the number of a commit, from 0, one of ``None``, ``"unheard"`` and ``"unanswered"``.
    """

    def __init__(self, port: int, cut: Callable[[int], str | None]) -> None:
        self._server = port
        self._cut = cut
        self._lock = threading.Lock()
        self.commits = 0
        self.cuts: list[str] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        self._listener.close()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            server = socket.create_connection(("127.0.0.1", self._server))
            state = {"deaf": False}
            threading.Thread(target=self._up, args=(client, server, state), daemon=True).start()
            threading.Thread(target=self._down, args=(client, server, state), daemon=True).start()

    def _up(self, client: socket.socket, server: socket.socket, state: dict[str, bool]) -> None:
        while data := _receive(client):
            if b"COMMIT" in data:
                with self._lock:
                    cut = self._cut(self.commits)
                    self.commits += 1
                    if cut:
                        self.cuts.append(cut)
                if cut == "unheard":
                    break
                state["deaf"] = cut == "unanswered"
            server.sendall(data)
        _end(client, server)

    def _down(self, client: socket.socket, server: socket.socket, state: dict[str, bool]) -> None:
        while data := _receive(server):
            if state["deaf"]:
                break
            try:
                client.sendall(data)
            except OSError:
                break
        _end(client, server)


def _receive(connection: socket.socket) -> bytes:
    try:
        return connection.recv(2**16)
    except OSError:
        return b""


def _end(*connections: socket.socket) -> None:
    for connection in connections:
        with suppress(OSError):
            connection.shutdown(socket.SHUT_RDWR)
        connection.close()
