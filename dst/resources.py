"""Resources: what this process may use of a machine, and what a trial takes of it.

``taskset``, Slurm, ``docker run --cpuset-cpus`` bind a process to some cores; ``docker run --cpus``, Kubernetes and
systemd bound the time that a control group gets, and its memory. The machine itself has more of all that.
"""

from __future__ import annotations

import contextlib
import os
import resource
import sys
from collections.abc import Iterator
from pathlib import Path

_STATUS = Path("/proc/self/status")
_CLEAR = Path("/proc/self/clear_refs")
_MEMBERSHIP = Path("/proc/self/cgroup")
_GROUPS = Path("/sys/fs/cgroup")


def usable_cores() -> int:
    """Count the cores that this process may keep busy: one at least, whole ones, as Ray counts them.

    The bound of a group and of all groups above it holds: ``cpu.max`` (version 2 of control groups) or
    ``cpu.cfs_quota_us`` and ``cpu.cfs_period_us`` (version 1).
    """
    shares = [quota / period for quota, period in _processor_times() if quota > 0 and period > 0]
    return max(1, int(min([float(_bound_cores()), *shares])))


def free_memory() -> int:
    """Return the bytes that this process may still take: free on the machine, and within its control groups' limits.

    What a group keeps of files that nobody has looked at lately counts as free, as it does for the machine.
    """
    import psutil

    free = int(psutil.virtual_memory().available)
    for group in _groups("memory"):
        for limit_file, usage_file, idle in (
            ("memory.max", "memory.current", "inactive_file"),
            ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"),
        ):
            limit, usage = _numbers(group / limit_file), _numbers(group / usage_file)
            if limit and usage:
                free = min(free, max(0, limit[0] - usage[0] + _statistic(group / "memory.stat", idle)))
    return free


def _bound_cores() -> int:
    if hasattr(os, "process_cpu_count"):  # from Python 3.13 on
        return os.process_cpu_count() or 1
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _processor_times() -> Iterator[tuple[int, int]]:
    """Yield the microseconds of all cores together that each group may use, and of which period."""
    for group in _groups("cpu"):
        if len(both := _numbers(group / "cpu.max")) == 2:
            yield both[0], both[1]
        quota, period = _numbers(group / "cpu.cfs_quota_us"), _numbers(group / "cpu.cfs_period_us")
        if quota and period:
            yield quota[0], period[0]


def _groups(controller: str) -> Iterator[Path]:
    """Yield the folders of this process's control groups that may bound a controller, from its own up to the root."""
    try:
        lines = _MEMBERSHIP.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError):
        return
    for line in lines:
        _, controllers, path = line.split(":", 2)
        if controllers and controller not in controllers.split(","):
            continue
        root = _GROUPS / controller if controllers else _GROUPS
        parts = [] if ".." in path.split("/") else [part for part in path.split("/") if part]
        for depth in range(len(parts), -1, -1):  # a container sees its own group as the root
            yield root.joinpath(*parts[:depth])


def _numbers(path: Path) -> list[int]:
    """Return the whole numbers of a file; none of them where there is no such file, or no limit (``max``)."""
    with contextlib.suppress(OSError, ValueError):
        return [int(word) for word in path.read_text(encoding="ascii").split()]
    return []


def _statistic(path: Path, name: str) -> int:
    with contextlib.suppress(OSError, ValueError):
        for line in path.read_text(encoding="ascii").splitlines():
            key, _, value = line.partition(" ")
            if key == name:
                return int(value)
    return 0


def reset_peak_rss() -> None:
    """Start a new peak of resident memory, where the system can (Linux); a reused worker would report older ones."""
    try:
        _CLEAR.write_text("5")
    except OSError:
        return


def peak_rss_bytes() -> int:
    """Return the peak of this process's resident memory in bytes, since the last reset where that is possible."""
    try:
        for line in _STATUS.read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    except OSError:
        pass
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024
