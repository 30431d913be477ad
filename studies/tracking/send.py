"""Sending to W&B the runs of a study that it does not have yet, as the spec or a command asks."""

from __future__ import annotations

from studies.report.results import Results, collect
from studies.spec.tracking import WandbSpec
from studies.store.archive import StudyArchive
from studies.tracking.wandb import track


def send_results(
    archive: StudyArchive,
    *,
    mode: str | None = None,
    project: str | None = None,
    entity: str | None = None,
) -> int:
    """Send to W&B what it does not have yet of a study.

    Args:
        archive: of the study to send.
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
    return track_results(archive, collect(archive), archive.spec.tracking.wandb.model_copy(update=given))


def track_results(archive: StudyArchive, results: Results, wandb: WandbSpec | None = None) -> int:
    """Send results that were collected already, see :func:`send_results`.

    Args:
        archive: of the study to send.
        results: collected from the same archive.
        wandb: mode, project and entity; None: those of its spec.
    """
    wandb = archive.spec.tracking.wandb if wandb is None else wandb
    return track(
        archive,
        study_name=archive.spec.name,
        mode=wandb.mode,
        project=wandb.project,
        entity=wandb.entity,
        runs=wandb.runs,
        best=results.best,
        best_by_method=results.best_by_method,
    )
