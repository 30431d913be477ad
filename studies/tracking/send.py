"""Sending to W&B the runs of a study that it does not have yet, as the spec or a command asks."""

from __future__ import annotations

from studies.report.results import Results, collect
from studies.spec.study import StudySpec
from studies.store.folder import StudyFolder
from studies.tracking.wandb import track


def send_results(
    folder: StudyFolder,
    spec: StudySpec,
    datasets: list[str],
    *,
    mode: str | None = None,
    project: str | None = None,
    entity: str | None = None,
) -> int:
    """Send to W&B what it does not have yet of a study.

    Args:
        folder: the study's folder.
        spec: the spec that it ran with.
        datasets: its datasets' names.
        mode: ``online``, ``offline`` or ``disabled``; None: the spec's.
        project: the W&B project; None: the spec's.
        entity: the W&B user or team; None: the spec's.

    Returns:
        How many runs were sent.

    Raises:
        InputError: an unknown mode, or a name that W&B would refuse.
        TrackingError: W&B failed.
    """
    options = {"mode": mode, "project": project, "entity": entity}
    given = {name: value for name, value in options.items() if value is not None}
    wandb = spec.tracking.wandb.model_copy(update=given)
    spec = spec.model_copy(update={"tracking": spec.tracking.model_copy(update={"wandb": wandb})})
    return track_results(folder, spec, collect(folder, spec, datasets))


def track_results(folder: StudyFolder, spec: StudySpec, results: Results) -> int:
    """Send results that were collected already, see :func:`send_results`."""
    wandb = spec.tracking.wandb
    return track(
        folder,
        study_name=spec.name,
        mode=wandb.mode,
        project=wandb.project,
        entity=wandb.entity,
        runs=wandb.runs,
        best=results.best,
        best_by_method=results.best_by_method,
    )
