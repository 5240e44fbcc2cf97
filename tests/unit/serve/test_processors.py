"""Processors: the smallest of what affinity and cgroups allow."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from espalier.serve.processors import available

AFFINITY = len(os.sched_getaffinity(0))


def machine(root: Path, cgroup: str, **files: str) -> Path:
    """Write a machine of one process in ``cgroup``; ``__`` in a name is a slash."""
    (root / "proc/self").mkdir(parents=True)
    (root / "proc/self/cgroup").write_text(cgroup)
    for name, text in files.items():
        path = root / "sys/fs/cgroup" / name.replace("__", "/").replace("_dot_", ".")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return root


@pytest.fixture(autouse=True)
def many_processors(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the process be allowed to use 16 processors."""
    monkeypatch.setattr(os, "sched_getaffinity", lambda _pid: set(range(16)))


def test_without_cgroups_affinity_decides(tmp_path: Path) -> None:
    """A system without them, or with none mounted."""
    assert available(tmp_path) == 16


@pytest.mark.parametrize(
    ("limit", "expected"),
    [
        ("max 100000", 16),
        ("200000 100000", 2),
        ("150000 100000", 2),
        ("10000 100000", 1),
        ("9900000 100000", 16),
        ("garbage", 16),
        ("100000 0", 16),
        ("", 16),
    ],
)
def test_the_second_version_has_quota_and_period_in_one_file(
    tmp_path: Path, limit: str, expected: int
) -> None:
    """Rounded up, at least one, never above affinity; nonsense is no limit."""
    root = machine(tmp_path, "0::/app\n", app__cpu_dot_max=limit)

    assert available(root) == expected


def test_groups_above_limit_those_below(tmp_path: Path) -> None:
    """The tightest one on the way to the root counts."""
    root = machine(
        tmp_path,
        "0::/slice/app\n",
        slice__app__cpu_dot_max="800000 100000",
        slice__cpu_dot_max="300000 100000",
    )

    assert available(root) == 3


def test_in_a_container_only_the_root_is_mounted(tmp_path: Path) -> None:
    """The path is that of the host and does not exist here."""
    root = machine(tmp_path, "0::/docker/0123abcd\n", cpu_dot_max="400000 100000")

    assert available(root) == 4


def test_the_first_version_has_two_files_per_controller(tmp_path: Path) -> None:
    """Other controllers say nothing about processors."""
    root = machine(
        tmp_path,
        "5:memory:/app\n4:cpu,cpuacct:/app\n",
        **{
            "cpu,cpuacct__app__cpu_dot_cfs_quota_us": "250000\n",
            "cpu,cpuacct__app__cpu_dot_cfs_period_us": "100000\n",
            "cpu,cpuacct__cpu_dot_cfs_quota_us": "-1\n",
            "cpu,cpuacct__cpu_dot_cfs_period_us": "100000\n",
            "memory__app__cpu_dot_cfs_quota_us": "100000\n",
        },
    )

    assert available(root) == 3


def test_the_first_version_may_be_mounted_under_the_short_name(tmp_path: Path) -> None:
    """``cpu`` instead of ``cpu,cpuacct``."""
    root = machine(
        tmp_path,
        "4:cpu,cpuacct:/\n",
        cpu__cpu_dot_cfs_quota_us="100000",
        cpu__cpu_dot_cfs_period_us="100000",
    )

    assert available(root) == 1


def test_this_machine_has_at_least_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever its cgroups are."""
    monkeypatch.undo()

    assert 1 <= available() <= AFFINITY
