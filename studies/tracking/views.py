"""Saved views of a study's runs in W&B: the charts to make first, each over the runs that it is about.

A view has one set of runs, so there are several. The package ``wandb-workspaces``, which the extra
``dst-studies[workspaces]`` installs, is imported only here, and only when views are asked for.
"""

from __future__ import annotations

import importlib.util
import json
from collections.abc import Mapping
from typing import Any

from dst.errors import InputError
from studies.spec.documents import read_json
from studies.spec.wandb_names import run_label
from studies.store.archive import StudyArchive
from studies.store.files import write_text
from studies.store.folder import StudyFolder
from studies.surroundings import standard_streams, stated_home
from studies.tracking.destination import wandb_environment
from studies.tracking.facts import facts_of
from studies.tracking.send import destination_of, locked, open_notes
from studies.tracking.server import TrackingError, default_entity, in_words, log_in

_NOTE = "views.json"
"""The file in a study's ``wandb/`` with the address of each view that was saved, by place and name."""

_CHARTED = 100
"""Runs, or groups of runs, that a chart shows."""

_UNQUOTABLE = "'\"\\=<>"
"""Characters that W&B's filter expressions cannot hold in a text."""


def check_views(mode: str) -> None:
    """Refuse to save views where there is no server, or where what makes them is not installed.

    Args:
        mode: of tracking.

    Raises:
        InputError: views cannot be saved.
    """
    if mode != "online":
        raise InputError(
            f"--workspace saves views on a server, so the mode must be online, but is {mode}: add --mode online"
        )
    if importlib.util.find_spec("wandb_workspaces") is None:
        raise InputError(
            "--workspace needs the package wandb-workspaces, which is not installed: "
            "pip install 'dst-studies[workspaces]'"
        )


def views_of(group: str, space: Mapping[str, Mapping[str, Any]], entity: str, project: str) -> dict[str, Any]:
    """Return a study's views by name, as ``wandb_workspaces.workspaces.Workspace``.

    Args:
        group: of the study's runs.
        space: description of each parameter of its search space (:meth:`search_spaces.Space.describe`).
        entity: W&B user or team.
        project: W&B project.

    Raises:
        InputError: no filter can name the group.
    """
    import wandb_workspaces.reports.v2 as wr
    import wandb_workspaces.workspaces as ws

    if found := sorted(set(group) & set(_UNQUOTABLE)):
        raise InputError(
            f"--workspace needs a group of runs without {' '.join(_UNQUOTABLE)}, but {group!r} has {found}"
        )

    def view(name: str, panels: list[Any], job_type: str, *filters: Any, groupby: tuple[str, ...] = ()) -> Any:
        kept = [ws.Metric("Group") == group, ws.Metric("JobType") == job_type, *filters]
        return ws.Workspace(
            entity=entity,
            project=project,
            name=run_label(f"{group} {name}"),
            sections=[ws.Section(name=name, panels=panels, is_open=True)],
            settings=ws.WorkspaceSettings(max_runs=_CHARTED),
            runset_settings=ws.RunsetSettings(filters=ws.And(*kept), groupby=[ws.Config(key) for key in groupby]),
        )

    def bars(score: str, title: str) -> Any:
        aggregated = {"groupby_aggfunc": "mean", "groupby_rangefunc": "stddev"}
        return wr.BarPlot(title=title, metrics=[score], max_bars_to_show=_CHARTED, **aggregated)

    domains: Mapping[str, Mapping[str, Any]] = {"method": {}, "sparsity": {}, "l2": {}, **space}
    varied = {name: domain for name, domain in domains.items() if "value" not in domain}
    columns = [
        wr.ParallelCoordinatesPlotColumn(wr.Config(name), log=domain.get("log")) for name, domain in varied.items()
    ]
    scored = wr.ParallelCoordinatesPlotColumn(wr.SummaryMetric("val_score"))
    progress = {"x": "trial/ended", "max_runs_to_show": _CHARTED}
    over_sparsity = wr.ScatterPlot(
        title="Validation score over sparsity, by method", x=wr.Config("sparsity"), y=wr.SummaryMetric("val_score")
    )
    return {
        "leaderboard": view(
            "leaderboard",
            [bars("test_score", "Test accuracy, mean and deviation"), bars("val_score", "Validation score")],
            "confirm",
            ws.Summary("role").isin(["winner", "best_of_method"]),
            groupby=("dataset", "method"),
        ),
        "best so far": view(
            "best so far",
            [
                wr.LinePlot(title="Best validation score so far", y=["trial/best_so_far"], **progress),
                wr.LinePlot(title="Validation score of each trial", y=["trial/val_score"], **progress),
            ],
            "dataset",
        ),
        "search": view(
            "search",
            [
                wr.ParallelCoordinatesPlot(title="Settings and validation score", columns=[*columns, scored]),
                wr.ParameterImportancePlot(with_respect_to="val_score"),
            ],
            "search",
        ),
        "sparsity": view("sparsity", [over_sparsity], "search", groupby=("method", "sparsity")),
    }


@standard_streams()
@stated_home()
def save_views(
    archive: StudyArchive, *, mode: str | None = None, project: str | None = None, entity: str | None = None
) -> dict[str, str]:
    """Save a study's views where its runs are; one that is there already stays as its users have left it.

    Args:
        archive: of the study, whose runs have been sent.
        mode: ``online``; None: the spec's.
        project: the W&B project; None: the spec's.
        entity: the W&B user or team; None: the spec's.

    Returns:
        The address of each view by its name.

    Raises:
        InputError: views cannot be saved, see :func:`check_views` and :func:`views_of`.
        TrackingError: W&B failed; the message is one line.
    """
    to = destination_of(archive, mode=mode, project=project, entity=entity)
    check_views(to.mode)
    folder = archive.folder
    with locked(folder), wandb_environment(folder):
        server = log_in()
        try:
            owner = to.entity or default_entity()
            facts = facts_of(archive, to, open_notes(folder))
            views = views_of(facts.group, archive.resolved.get("space") or {}, owner, to.project)
            place = f"{server} {owner}/{to.project}"
            noted = _read_note(folder)
            known = noted.get(place, {})
            for name, view in views.items():
                if name not in known or not _is_there(known[name]):
                    known[name] = view.save().url
                    write_text(folder.wandb / _NOTE, json.dumps({**noted, place: known}, indent=1, sort_keys=True))
        except InputError:
            raise
        except Exception as error:
            raise TrackingError(in_words(error, server)) from error
    return {name: known[name] for name in views}


def _is_there(url: str) -> bool:
    """Say whether a view is still there: somebody may have deleted it."""
    import wandb_workspaces.workspaces as ws

    try:
        ws.Workspace.from_url(url)
    except ValueError:  # as it says that there is none
        return False
    return True


def _read_note(folder: StudyFolder) -> dict[str, dict[str, str]]:
    path = folder.wandb / _NOTE
    if not path.exists():
        return {}
    try:
        noted: dict[str, dict[str, str]] = read_json(path)
        return {place: dict(views) for place, views in noted.items()}
    except (OSError, ValueError, AttributeError, TypeError) as error:
        raise TrackingError(f"{path} is damaged ({error}): delete it to save all views anew") from error
