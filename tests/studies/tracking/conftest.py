"""A finished study of two datasets and 22 trials, as an earlier version left it, and a W&B server to send it to."""

from __future__ import annotations

import base64
import hashlib
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import wandb

from studies.store.archive import StudyArchive
from studies.store.folder import StudyFolder
from studies.tracking.content import StudyContent
from studies.tracking.destination import destination
from studies.tracking.runs import TrackedRun
from studies.tracking.server import DIGEST
from tests.support.wandb_server import KEY, Server, wandb_server

DOT = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)
"""A picture of one point."""

FINISHED = Path(__file__).parents[1] / "earlier" / "finished"


@pytest.fixture(scope="session")
def copied() -> Callable[..., StudyFolder]:
    """Return ``copied(path, mode, identity)``, which makes a copy of the study."""

    def make(path: Path, mode: str = "offline", identity: str = "3b7634001d59") -> StudyFolder:
        shutil.copytree(FINISHED, path)
        text = (path / "study.yaml").read_text()
        text = text.replace("mode: disabled", f"mode: {mode}").replace("3b7634001d59", identity)
        (path / "study.yaml").write_text(text.replace("project: dst-studies", "project: p"))
        (path / "report.html").write_text("<!doctype html><p>The report.</p>")
        (path / "plots").mkdir()
        (path / "plots" / "score_history.png").write_bytes(DOT)
        return StudyFolder(path)

    return make


@pytest.fixture(scope="session")
def content(copied: Callable[..., StudyFolder], tmp_path_factory: pytest.TempPathFactory) -> StudyContent:
    """The runs of the study; it has looked at its folder and chosen the winners."""
    folder = copied(tmp_path_factory.mktemp("content") / "study")
    made = content_of(folder)
    made.look()
    made.choose()
    return made


def content_of(folder: StudyFolder, sent: tuple[str, ...] = ()) -> StudyContent:
    return StudyContent(folder, destination(StudyArchive(folder).spec.tracking.wandb, folder, {}), sent)


def all_runs(content: StudyContent) -> list[TrackedRun]:
    content.look()
    content.choose()
    return [*content.complete("finished"), *content.trials()]


def assert_server_has(server: Server, folder: StudyFolder) -> None:
    """The server holds exactly what the study has, run by run, and the files of each artifact with their digests."""
    content = content_of(folder)
    sent = all_runs(content)
    there_are = {name for name, run in server.runs.items() if run.upserted["groupName"] == content.facts.group}
    assert there_are == {run.id for run in sent}
    for run in sent:
        there = server.runs[run.id]
        assert there.summary[DIGEST] == run.digest
        assert there.rows == [dict(row.values) for row in run.rows]
        assert there.exit_code == run.exit_code
        assert {name: there.summary[name]["nrows"] for name in run.tables} == {
            name: len(table.rows) for name, table in run.tables.items()
        }
        for name in (*run.tables, *run.images, *run.pages):
            assert there.files[there.summary[name]["path"]]
        for artifact in run.artifacts:
            contents = {name: path.read_bytes() for name, path in artifact.files.items()}
            latest = server.latest(artifact.name)
            assert latest.files == contents
            assert latest.digests == {
                name: base64.b64encode(hashlib.md5(content).digest()).decode()  # noqa: S324 - W&B's digest of a file
                for name, content in contents.items()
            }


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server that this process's client knows, with credentials; variables that would spoil ids are set."""
    home = tmp_path_factory.mktemp("home")
    with wandb_server() as running, pytest.MonkeyPatch.context() as patch:
        for name in [name for name in os.environ if name.startswith(("WANDB_", "NETRC"))]:
            patch.delenv(name)
        patch.setenv("HOME", str(home))
        patch.setenv("WANDB_BASE_URL", running.url)
        patch.setenv("WANDB_API_KEY", KEY)
        for name in ("WANDB_SWEEP_ID", "WANDB_RUN_ID", "WANDB_LAUNCH", "WANDB_NAME", "WANDB_RESUME"):
            patch.setenv(name, "true" if name == "WANDB_LAUNCH" else "another")
        wandb.teardown()
        yield running
        wandb.teardown()
