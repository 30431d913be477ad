"""The server of Weights & Biases: its credentials, how a run talks to it, whether it can be reached, what it has."""

from __future__ import annotations

import socket
from collections.abc import Iterable, Iterator
from typing import Any
from urllib.parse import urlsplit
from urllib.request import getproxies

from studies.tracking.runs import TrackedRun

DIGEST = "content_digest"
"""Key of a run's summary with the digest of what was sent: where the server has it, it has all before it."""

PAGE = 100
"""Runs that a server is asked about at a time."""


INIT_SECONDS = 15.0
"""The most seconds that a server is waited for when a run begins; W&B may take twice as long."""

FINISH_SECONDS = 60.0
"""The most seconds that the rest of a run is uploaded for when it ends."""


_SILENCE = "did not respond in time"
"""What an error of W&B says of a server that hangs, whatever the error is called."""


class TrackingError(Exception):
    """W&B failed. What was sent before is noted, and the same call goes on from there."""


def log_in() -> str:
    """Look for credentials, without ever asking for a key, and return the server's address."""
    import wandb

    server = str(wandb.setup().settings.base_url)
    try:
        known = wandb.run is not None or wandb.login(prompt=False)
    except Exception as error:
        raise TrackingError(in_words(error, server)) from error
    if not known:
        raise TrackingError(
            f"W&B has no credentials for {server}, or was set offline: run `wandb login` (`wandb online`), "
            "set WANDB_API_KEY, or track with mode offline"
        )
    return server


def run_settings() -> Any:
    """Return settings that keep a run to what it is given: nothing of console, machine, code or packages."""
    import wandb

    return wandb.Settings(
        console="off",
        silent=True,
        disable_git=True,
        disable_code=True,
        save_code=False,
        symlink=False,
        use_dot_wandb=False,
        sagemaker_disable=True,
        # What an offline table refers to must lie in the run's folder, which may be moved.
        allow_offline_artifacts=False,
        # Whoever stops a run in the page stops nothing of the study.
        stop_fn=lambda: None,
        x_disable_meta=True,
        x_disable_stats=True,
        x_disable_machine_info=True,
        x_save_requirements=False,
        init_timeout=INIT_SECONDS,
        # Without a limit an upload that hangs holds the process for half an hour and longer.
        finish_timeout=FINISH_SECONDS,
        finish_timeout_raises=True,
    )


def in_words(error: Exception, server: str) -> str:
    """Return one line about a failure: that the server cannot be reached or is silent, or what W&B says."""
    if server and (why := _unreachable(server)) is not None:
        return f"W&B at {server} cannot be reached: {why}"
    if server and _SILENCE in str(error):
        return f"W&B at {server} does not answer"
    where = f"W&B at {server}" if server else "W&B"
    return f"{where}: " + " ".join(f"{type(error).__name__}: {error}".split()).rstrip(": ")


def _unreachable(server: str) -> str | None:
    """Return why no connection to a server can be made, or None if one can, or if that is a proxy's to say."""
    if getproxies():
        return None
    parts = urlsplit(server)
    try:
        with socket.create_connection(
            (parts.hostname or "", parts.port or (443 if parts.scheme == "https" else 80)), 5
        ):
            return None
    except OSError as error:
        return error.strerror or str(error)


def runs_there(entity: str | None, project: str, runs: Iterable[TrackedRun]) -> Iterator[str]:
    """Yield the ids of the runs that a server has with all that was sent, files included."""
    import wandb

    by_id = {run.id: run for run in runs}
    api = wandb.Api()
    path = f"{entity}/{project}" if entity else project
    found = api.runs(path, filters={"name": {"$in": sorted(by_id)}}, per_page=PAGE, lazy=False)
    for there in found:
        run = by_id.get(there.id)
        if run is None or there.summary_metrics.get(DIGEST) != run.digest:
            continue
        if run.has_uploads:
            sizes = {file.name: file.size for file in there.files()}
            wanted = [value["path"] for value in there.summary_metrics.values() if _is_file(value)]
            if not all(sizes.get(name) for name in wanted):
                continue
        yield run.id


def _is_file(value: Any) -> bool:
    return isinstance(value, dict) and "path" in value and str(value.get("_type", "")).endswith("-file")


def default_entity() -> str:
    """Return the user or team to which the runs of an account go that names none."""
    import wandb

    return str(wandb.Api().default_entity)
