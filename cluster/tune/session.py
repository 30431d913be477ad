"""A session with Ray: started here or joined, and ended with nothing of it left behind in this process."""

from __future__ import annotations

import contextlib
import logging
import os
import secrets
import socket
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import ray
from ray.exceptions import RayError

from cluster.jobs import ClusterError
from cluster.tune.internals import (
    ENVIRONMENT,
    TUNE_LOG,
    few_services,
    forget_token,
    is_node_of,
    loopback_only,
    no_raylet_messages,
    temporary_folder,
)
from cluster.tune.scratch import place_for_ray, scratch_folder

_THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMBA_NUM_THREADS")
_OBJECT_STORE_BYTES = 512 * 2**20
_CONNECT_SECONDS = 3.0


@contextlib.contextmanager
def ray_session(address: str | None, *, cpus: int | None, threads: int, shared_bytes: int) -> Iterator[str]:
    """Connect this process with Ray.

    Args:
        address: ``"auto"`` or ``"host:port"`` of a cluster to join; None: start Ray on this machine, for this process.
            All that is started listens on loopback, and asks for a token of this run's own.
        cpus: cores that a Ray started here hands out; None: those of the machine.
        threads: threads of each worker process.
        shared_bytes: about how much will be put into the object store.

    Yields:
        A temporary folder.

    Raises:
        ClusterError: Ray runs in this process already, no cluster answers at the address, or there is no place for
            Ray's temporary files.
    """
    if ray.is_initialized():
        raise ClusterError("Ray runs in this process already: call ray.shutdown() first")
    place = place_for_ray(sockets=address is None)
    with (
        _environment(_local_secret() if address is None else {}),
        _quiet(),
        scratch_folder(place) as folder,
    ):
        common = {
            "runtime_env": {"env_vars": dict.fromkeys(_THREADS, str(threads))},
            "logging_level": logging.ERROR,
            "log_to_driver": False,
        }
        try:
            if address is None:
                size = max(_OBJECT_STORE_BYTES, 2 * shared_bytes)
                root = str(Path(folder, "r"))  # Ray opens its folder to everyone; the one around it is ours alone
                with loopback_only(), few_services(), _ended_from_outside():
                    ray.init(
                        "local",
                        num_cpus=cpus,
                        object_store_memory=size,  # by default a third of the memory, more than a container may have
                        include_dashboard=False,
                        **temporary_folder(root),
                        **common,
                    )
            else:
                _join(address, common)
            yield folder
        finally:
            ray.shutdown(wait_for_processes=True)


def _join(address: str, common: Mapping[str, Any]) -> None:
    if address == "auto":
        address = os.environ.get("RAY_ADDRESS") or address  # as Ray has it
    if address != "auto":
        host, _, port = address.rpartition(":")
        if not host or "/" in host or not port.isdecimal():
            raise ClusterError(f"address must be 'auto' or 'host:port', e.g. 'head:6379', got {address!r}")
        try:  # Ray itself takes minutes to find that nobody is there
            socket.create_connection((host.strip("[]"), int(port)), timeout=_CONNECT_SECONDS).close()
        except OSError as error:
            raise ClusterError(f"nothing answers at {address!r}: {error}") from error
        if not is_node_of(address, _CONNECT_SECONDS):
            raise ClusterError(
                f"this host is no node of the Ray cluster at {address!r}, so no run can be driven from here: run the "
                f"command on one of its nodes, e.g. by 'ray job submit', or let this host join it first: "
                f"ray start --address={address} --num-cpus=0"
            )
    try:
        with _ended_from_outside(), no_raylet_messages():
            ray.init(address, **common)
    except (ConnectionError, RuntimeError, ValueError, RayError) as error:
        hint = "one that authenticates by token needs RAY_AUTH_MODE=token here too"
        cause = "" if error.__cause__ is None else f" ({error.__cause__})"
        raise ClusterError(f"no Ray cluster answers at {address!r} ({hint}): {error}{cause}") from error


def _local_secret() -> dict[str, str]:
    """Return a token for this run alone: Ray's own is written into the user's home, which need not be writable."""
    return {"RAY_AUTH_TOKEN": secrets.token_hex(32)}


@contextlib.contextmanager
def _ended_from_outside() -> Iterator[None]:
    """Let SIGTERM mean the same while Ray starts: ``ray.init`` begins with a handler of its own, which exits."""
    try:
        yield
    except SystemExit as error:
        raise KeyboardInterrupt from error


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keep stdout free: Ray writes there when a worker dies. Tune's own list of such trials says nothing new."""
    tune_log = logging.getLogger(TUNE_LOG)
    before = tune_log.level
    tune_log.setLevel(logging.CRITICAL)
    try:
        with contextlib.redirect_stdout(sys.stderr):
            yield
    finally:
        tune_log.setLevel(before)


@contextlib.contextmanager
def _environment(more: Mapping[str, str]) -> Iterator[None]:
    """Set what Ray and Tune read, and forget that and what they set themselves."""
    prefixes = ("RAY_", "TUNE_", "PYTHONBREAKPOINT")  # breakpoint() would wait for Ray's own debugger
    before = {name: value for name, value in os.environ.items() if name.startswith(prefixes)}
    os.environ.update(ENVIRONMENT)
    os.environ.update(more)
    forget_token()
    try:
        yield
    finally:
        forget_token()
        for name in [name for name in os.environ if name.startswith(prefixes)]:
            del os.environ[name]
        os.environ.update(before)
