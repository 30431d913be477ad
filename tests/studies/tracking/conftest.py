"""A finished study of two datasets and 22 trials, as an earlier version left it, and a W&B server to send it to."""

from __future__ import annotations

import base64
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
