"""Cores and memory are what this process may use: by affinity and by the limits of all groups above it."""

from __future__ import annotations

import os
from pathlib import Path

import psutil
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dst import resources
from dst.files import limits
from dst.resources import free_memory, usable_cores

MANY = 64


@pytest.fixture
def groups(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty tree of control groups, on a machine of 64 cores."""
    monkeypatch.setattr(resources, "_GROUPS", tmp_path / "groups")
    monkeypatch.setattr(resources, "_MEMBERSHIP", tmp_path / "membership")
    monkeypatch.setattr(resources, "_bound_cores", lambda: MANY)
    (tmp_path / "membership").write_text("0::/a/b\n")
    return tmp_path / "groups"


def write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


@pytest.mark.parametrize(
    ("files", "cores"),
    [
        ({}, MANY),
        ({"a/b/cpu.max": "max 100000\n"}, MANY),
        ({"a/b/cpu.max": "100000 100000\n"}, 1),
        ({"a/b/cpu.max": "50000 100000\n"}, 1),
        ({"a/b/cpu.max": "250000 100000\n"}, 2),
        ({"a/b/cpu.max": "max 100000\n", "a/cpu.max": "300000 100000\n"}, 3),
        ({"a/b/cpu.max": "400000 100000\n", "a/cpu.max": "300000 100000\n", "cpu.max": "800000 100000\n"}, 3),
        ({"cpu.max": "200000 100000\n"}, 2),
        ({"a/b/cpu.max": "100000000 100000\n"}, MANY),
        ({"a/b/cpu.max": "nonsense\n"}, MANY),
        ({"a/b/cpu.max": "0 0\n"}, MANY),
        ({"a/b/cpu.max": ""}, MANY),
    ],
)
def test_cores_of_groups_of_the_second_version(groups: Path, files: dict[str, str], cores: int) -> None:
    for name, text in files.items():
        write(groups / name, text)
    assert usable_cores() == cores


@pytest.mark.parametrize(
    ("quota", "cores"), [("-1", MANY), ("100000", 1), ("350000", 3), ("10000", 1), ("", MANY), ("many", MANY)]
)
@pytest.mark.parametrize("place", ["", "docker/1"])
def test_cores_of_groups_of_the_first_version(groups: Path, quota: str, cores: int, place: str) -> None:
    resources._MEMBERSHIP.write_text("5:cpu,cpuacct:/docker/1\n4:memory:/docker/1\n0::/\n")
    write(groups / "cpu" / place / "cpu.cfs_quota_us", quota)
    write(groups / "cpu" / place / "cpu.cfs_period_us", "100000\n")
    assert usable_cores() == cores


@pytest.mark.parametrize("membership", ["0::/../..\n", "0::/\n", "7:pids:/x\n0::/not/there\n"])
def test_a_container_sees_its_own_group_as_the_root(groups: Path, membership: str) -> None:
    resources._MEMBERSHIP.write_text(membership)
    write(groups / "cpu.max", "200000 100000\n")
    assert usable_cores() == 2


def test_without_control_groups_affinity_alone_counts(groups: Path) -> None:
    resources._MEMBERSHIP.unlink()
    assert usable_cores() == MANY


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="only Linux binds a process to cores")
def test_a_process_that_is_bound_to_a_core_has_one() -> None:
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(before)})
    try:
        assert usable_cores() == 1
    finally:
        os.sched_setaffinity(0, before)
    assert usable_cores() <= len(before)


@given(quota=st.integers(1, 10**9), period=st.integers(1_000, 1_000_000), bound=st.integers(1, 256))
def test_there_is_a_core_at_least_and_never_one_too_many(quota: int, period: int, bound: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(resources, "_bound_cores", lambda: bound)
        patch.setattr(resources, "_processor_times", lambda: [(quota, period)])
        cores = usable_cores()
    assert 1 <= cores <= bound
    assert cores == 1 or cores <= quota / period < cores + 1 or cores == bound


MB = 2**20


@pytest.mark.parametrize(
    ("files", "free"),
    [
        ({}, None),
        ({"a/b/memory.max": "max", "a/b/memory.current": str(MB)}, None),
        ({"a/b/memory.max": str(9 * MB), "a/b/memory.current": str(2 * MB)}, 7 * MB),
        ({"a/memory.max": str(9 * MB), "a/memory.current": str(2 * MB)}, 7 * MB),
        (
            {
                "a/b/memory.max": str(9 * MB),
                "a/b/memory.current": str(8 * MB),
                "a/b/memory.stat": f"anon 5\nfile 3\ninactive_file {3 * MB}\n",
            },
            4 * MB,
        ),
        ({"a/b/memory.max": str(9 * MB), "a/b/memory.current": str(10 * MB)}, 0),
        ({"a/b/memory.max": str(2**62), "a/b/memory.current": "0"}, None),
        ({"a/b/memory.max": str(9 * MB)}, None),
    ],
)
def test_memory_of_groups(groups: Path, files: dict[str, str], free: int | None, monkeypatch) -> None:
    machine = psutil.virtual_memory()
    monkeypatch.setattr(psutil, "virtual_memory", lambda: machine)
    for name, text in files.items():
        write(groups / name, text)
    assert free_memory() == (machine.available if free is None else free)


def test_memory_of_groups_of_the_first_version(groups: Path) -> None:
    resources._MEMBERSHIP.write_text("4:memory:/a\n")
    write(groups / "memory/a/memory.limit_in_bytes", str(9 * MB))
    write(groups / "memory/a/memory.usage_in_bytes", str(5 * MB))
    write(groups / "memory/a/memory.stat", f"inactive_file 1\ntotal_inactive_file {MB}\n")
    assert free_memory() == 5 * MB
    assert limits.allowed_bytes(10 * MB) == 5 * MB // 2
