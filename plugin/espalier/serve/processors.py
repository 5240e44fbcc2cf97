"""How many processors this process may use: affinity, and the limits of its cgroups."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator
from pathlib import Path


def available(root: Path = Path("/")) -> int:
    """Return the processors to plan for, at least 1.

    The smaller of the affinity mask and the processor time that the cgroups of this
    process and those above them allow, rounded up: with 1.5 processors, two workers.

    Args:
        root: Where ``proc`` and ``sys`` are, for tests.
    """
    quotas = [len(os.sched_getaffinity(0)), *(math.ceil(one) for one in _quotas(root))]
    return max(1, min(quotas))


def _quotas(root: Path) -> Iterator[float]:
    """Yield the processors each cgroup of this process allows, where one has a limit."""
    for line in _text(root / "proc/self/cgroup").splitlines():
        _, _, rest = line.partition(":")
        controllers, _, path = rest.partition(":")
        if not controllers:
            base, read = root / "sys/fs/cgroup", _quota_v2
        elif "cpu" in controllers.split(","):
            base, read = root / "sys/fs/cgroup" / controllers, _quota_v1
            if not base.is_dir():
                base = root / "sys/fs/cgroup/cpu"
        else:
            continue
        # In a container the path may be the host's, of which only the root is mounted.
        inner = Path(path.lstrip("/"))
        for part in (inner, *inner.parents):
            quota = read(base / part)
            if quota is not None:
                yield quota


def _quota_v2(folder: Path) -> float | None:
    quota, _, period = _text(folder / "cpu.max").strip().partition(" ")
    return _share(quota, period)


def _quota_v1(folder: Path) -> float | None:
    quota = _text(folder / "cpu.cfs_quota_us").strip()
    return _share(quota, _text(folder / "cpu.cfs_period_us").strip())


def _share(quota: str, period: str) -> float | None:
    # "max" in version 2 and -1 in version 1 mean no limit.
    if not (quota.isdecimal() and period.isdecimal()) or int(period) == 0:
        return None
    return int(quota) / int(period)


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="ascii")
    except (OSError, ValueError):
        return ""
