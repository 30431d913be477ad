"""Saved views of a study: what each is about, and that each reaches a server once."""

from __future__ import annotations

import importlib.util
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from dst.errors import InputError
from studies.cli.main import main
from studies.store.archive import StudyArchive
from studies.store.folder import StudyFolder
from studies.tracking.views import check_views, save_views, views_of
from tests.support.wandb_server import Server

SPACE: dict[str, dict[str, Any]] = {
    "method": {"values": ["set", "rigl"]},
    "lr": {"low": 1e-4, "high": 1e-1, "log": True},
    "epochs": {"value": 30},
}


def specified(view: Any) -> dict[str, Any]:
    return json.loads(view._to_model().spec.model_dump_json(by_alias=True, exclude_none=True))["section"]


def reread(view: Any) -> Any:
    """The view as it is made of what a server has of it."""
    model = view._to_model()
    text = model.spec.model_dump_json(by_alias=True, exclude_none=True)
    return view._from_model(model.model_copy(update={"spec": type(model.spec).model_validate_json(text)}))


def test_each_view_is_over_the_runs_that_it_is_about_and_comes_back_as_it_was_made() -> None:
    made = views_of("s-123456", SPACE, "me", "p")
    views = {name: specified(view) for name, view in made.items()}
    assert {name: specified(reread(view)) for name, view in made.items()} == views
    filters = {
        name: {item["key"]["name"]: item["value"] for item in view["runSets"][0]["filters"]["filters"]}
        for name, view in views.items()
    }
    assert {name: kept.pop("jobType") for name, kept in filters.items()} == {
        "leaderboard": "confirm",
        "best so far": "dataset",
        "search": "search",
        "sparsity": "search",
    }
    assert {kept.pop("group") for kept in filters.values()} == {"s-123456"}
    assert filters.pop("leaderboard") == {"role": ["winner", "best_of_method"]}
    assert list(filters.values()) == [{}, {}, {}]
    grouped = [key["name"] for key in views["leaderboard"]["runSets"][0]["grouping"]]
    assert grouped == ["dataset.value", "method.value"]
    panels = {name: view["panelBankConfig"]["sections"][0]["panels"] for name, view in views.items()}
    bars = panels["leaderboard"][0]["config"]
    assert (bars["metrics"], bars["groupAgg"], bars["groupArea"]) == (["test_score"], "mean", "stddev")
    line = panels["best so far"][0]["config"]
    assert (line["xAxis"], line["metrics"]) == ("trial/ended", ["trial/best_so_far"])
    coordinates, importance = (panel["config"] for panel in panels["search"])
    names = ("config:method", "config:sparsity", "config:l2", "config:lr")
    assert [(column["accessor"], column.get("log")) for column in coordinates["columns"]] == [
        *((f"{name}.value", True if name == "config:lr" else None) for name in names),
        ("summary:val_score", None),
    ]
    assert importance["targetKey"] == "val_score"
    scatter = panels["sparsity"][0]["config"]
    assert (scatter["xAxis"], scatter["yAxis"]) == ("config:sparsity.value", "summary:val_score")


@pytest.mark.slow
def test_views_are_saved_once_and_again_where_somebody_deleted_one(
    server: Server, copied: Callable[..., StudyFolder], tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    import wandb_workspaces.workspaces as ws  # here, as it takes half a second

    folder = copied(tmp_path / "study", "online")
    folder.spec.write_text(folder.spec.read_text().replace("runs: trials", "runs: study"))
    with pytest.raises(SystemExit, match="0"):
        main(["track", str(folder.path), "--workspace"])
    sent, *lines = capfd.readouterr().out.splitlines()
    urls = dict(line.split(": ") for line in lines)
    assert sent.startswith("3 runs sent: ")
    names = [view["displayName"] for view in server.views.values()]
    assert names == [f"earlier-3b7634 {name}" for name in ("leaderboard", "best so far", "search", "sparsity")]
    assert all(url.startswith(f"{server.url}/me/p?nw=") for url in urls.values())
    for url, view in zip(urls.values(), server.views.values(), strict=True):
        back = ws.Workspace.from_url(url)
        assert back.name == view["displayName"]
        assert specified(back) == json.loads(view["spec"])["section"]
    assert save_views(StudyArchive(folder)) == urls
    assert len(server.views) == 4

    deleted = next(name for name in server.views if name.split("-")[1] in urls["search"])
    del server.views[deleted]
    again = save_views(StudyArchive(folder))
    assert {name for name in urls if again[name] != urls[name]} == {"search"}
    assert len(server.views) == 4
    assert capfd.readouterr() == ("", "")


def test_what_views_need_is_said_before_anything_is_done(
    copied: Callable[..., StudyFolder],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    folder = copied(tmp_path / "study")
    with pytest.raises(SystemExit, match="2"):
        main(["track", str(folder.path), "--workspace"])
    assert "error: --workspace saves views on a server" in capsys.readouterr().err
    assert not folder.wandb.exists()
    with pytest.raises(InputError, match=r"group of runs without .*\"it's\" has"):
        views_of("it's", SPACE, "me", "p")
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(InputError, match=r"pip install 'dst-studies\[workspaces\]'"):
        check_views("online")
