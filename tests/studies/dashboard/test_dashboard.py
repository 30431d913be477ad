"""The dashboard: what a browser may see and what not, and a study that is looked at while it grows."""

from __future__ import annotations

import http.client
import json
import shutil
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from dst.errors import InputError
from studies.dashboard.server import DashboardServer
from studies.dashboard.view import View, mark_of
from studies.store.folder import StudyFolder

FINISHED = Path(__file__).parents[1] / "earlier" / "finished"


@contextmanager
def served(view: View, *, with_optuna: bool = False) -> Iterator[DashboardServer]:
    with DashboardServer({"a study": view}, 0, with_optuna=with_optuna) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()


def get(server: DashboardServer, path: str, host: str | None = None) -> tuple[int, str, str]:
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=60)
    connection.request("GET", path, headers={} if host is None else {"Host": host})
    answer = connection.getresponse()
    return answer.status, answer.headers.get("Location", ""), answer.read().decode()


def test_a_browser_sees_the_snapshots_files_and_nothing_else(tmp_path: Path) -> None:
    (tmp_path / "secret.csv").write_text("secret")
    made = tmp_path / "snapshot"
    (made / "plots").mkdir(parents=True)
    (made / "report.html").write_text("the report")
    (made / "plots" / "cost.svg").write_text("<svg/>")
    (made / "out.csv").symlink_to(tmp_path / "secret.csv")
    view = View(StudyFolder(tmp_path / "study"), made, 1.0)
    with served(view) as server:
        assert '<a href="/a%20study/">a study</a>' in get(server, "/")[2]
        assert "state.json" in get(server, "/a%20study/")[2]
        assert get(server, "/a%20study/report.html?7") == (200, "", "the report")
        assert get(server, "/a%20study/plots/cost.svg") == (200, "", "<svg/>")
        for path in ("/other/", "/a%20study", "/a%20study/../secret.csv", "/a%20study/%2e%2e%2fsecret.csv"):
            assert get(server, path)[0] == 404
        for file in ("out.csv", "study.db", "plots", "%00.csv", "optuna"):
            assert get(server, f"/a%20study/{file}")[0] == 404
        assert get(server, "/", host=f"elsewhere.example:{server.port}")[0] == 403
        with pytest.raises(InputError, match=f"--port must be one that is free, but {server.port} is not"):
            DashboardServer({}, server.port, with_optuna=False)


def test_the_mark_of_a_study_changes_with_a_record_and_with_nothing_that_is_read(tmp_path: Path) -> None:
    folder = StudyFolder(tmp_path / "study")
    shutil.copytree(FINISHED, folder.path)
    before = mark_of(folder)
    (folder.record("wine", 0)).read_bytes()
    assert mark_of(folder) == before
    shutil.copy(folder.record("wine", 0), folder.record("wine", 9999))
    assert mark_of(folder) != before


@pytest.mark.slow
def test_a_study_that_goes_on_is_shown_and_stays_as_it_is(tmp_path: Path) -> None:
    folder = StudyFolder(tmp_path / "study")
    shutil.copytree(FINISHED, folder.path)
    files = {path: path.stat().st_mtime_ns for path in folder.path.rglob("*") if path.is_file()}
    view = View(folder, tmp_path / "snapshot", 0.5, patience=0.0)
    view.start()
    try:
        with served(view, with_optuna=True) as server:
            assert json.loads(get(server, "/a%20study/state.json")[2])["version"] == 0
            assert shown(server, 1)["problem"] == ""
            assert "wine" in get(server, "/a%20study/report.html")[2]
            status, url, _ = get(server, "/a%20study/optuna")
            assert (status, url.endswith("/dashboard/")) == (303, True)
            now = {path: path.stat().st_mtime_ns for path in folder.path.rglob("*") if path.is_file()}
            assert {path.name for path in now.keys() - files.keys()} <= {"study.db-shm", "study.db-wal"}, (
                "as SQLite reads"
            )
            assert {path: now[path] for path in files} == files
            spec = folder.spec.read_bytes()
            folder.spec.write_text("- damaged")
            assert "study.yaml" in shown(server, 1, problem=True)["problem"]
            folder.spec.write_bytes(spec)
            assert shown(server, 2)["problem"] == ""
    finally:
        view.close()


def shown(server: DashboardServer, version: int, *, problem: bool = False) -> dict[str, str]:
    until = time.monotonic() + 300
    while time.monotonic() < until:
        state = json.loads(get(server, "/a%20study/state.json")[2])
        if state["version"] >= version and bool(state["problem"]) is problem:
            return dict(state)
        time.sleep(0.1)
    raise AssertionError(f"no snapshot {version} came: {state}")
