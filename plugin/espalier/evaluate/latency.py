"""In-process latency, one thread, one call at a time.

The clock is read around the plain call a host makes, after calls that warm the
caches, with the garbage collector held back: a collection of the evaluation's own
objects is not a cost of completing. A shared machine's seconds prove nothing
alone, so a fixed loop of pure Python is timed in the same run and stands beside
them.
"""

from __future__ import annotations

import gc
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from statistics import median
from typing import Final

import numpy as np
from numpy.typing import NDArray

Clock = Callable[[], int]
"""Nanoseconds since some fixed moment."""

CALIBRATION_STEPS: Final = 100_000
_CALIBRATION_ROUNDS: Final = 5
_NANOSECONDS_PER_MICROSECOND: Final = 1000.0


@dataclass(frozen=True, slots=True)
class Latency:
    """Percentiles of one call, in microseconds (nearest rank: each one occurred)."""

    p50: float
    p95: float
    p99: float
    calls: int

    def to_json(self) -> dict[str, float]:
        """Return ``p50``, ``p95``, ``p99`` and ``calls``."""
        return {"p50": self.p50, "p95": self.p95, "p99": self.p99, "calls": self.calls}


PERCENTS: Final[tuple[float, ...]] = (
    *(0, 1, 2, 5),
    *range(10, 95, 5),
    *(95, 98, 99, 99.5, 99.9, 100),
)
"""Where the distribution of latencies is told, in percent of the calls."""


@contextmanager
def without_collector() -> Iterator[None]:
    """Collect garbage now and not again before the end; then as it was."""
    was_enabled = gc.isenabled()
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


def time_calls(
    calls: Sequence[Callable[[], object]],
    *,
    warm_up: int,
    clock: Clock = time.perf_counter_ns,
) -> NDArray[np.int64]:
    """Make each call once and return its nanoseconds, shape ``(calls,)``.

    The first ``warm_up`` calls are made once before, untimed.
    """
    for call in calls[:warm_up]:
        call()
    taken = np.zeros(len(calls), dtype=np.int64)
    with without_collector():
        for number, call in enumerate(calls):
            start = clock()
            call()
            taken[number] = clock() - start
    return taken


def percentiles(nanoseconds: NDArray[np.int64]) -> Latency:
    """Return nearest-rank percentiles of at least one call."""
    p50, p95, p99 = np.percentile(nanoseconds, [50, 95, 99], method="inverted_cdf")
    return Latency(
        float(p50) / _NANOSECONDS_PER_MICROSECOND,
        float(p95) / _NANOSECONDS_PER_MICROSECOND,
        float(p99) / _NANOSECONDS_PER_MICROSECOND,
        len(nanoseconds),
    )


def distribution(nanoseconds: NDArray[np.int64]) -> tuple[float, ...]:
    """Return microseconds at each of :data:`PERCENTS`, nearest rank, of at least one call."""
    found = np.percentile(nanoseconds, PERCENTS, method="inverted_cdf")
    return tuple(float(taken) / _NANOSECONDS_PER_MICROSECOND for taken in found)


def calibration_loop(steps: int = CALIBRATION_STEPS) -> int:
    """Do the fixed work beside which absolute times are read."""
    state = 1
    for _ in range(steps):
        state = (state * 1_103_515_245 + 12_345) & 0x7FFF_FFFF
    return state


def calibrate(clock: Clock = time.perf_counter_ns) -> float:
    """Return microseconds of :func:`calibration_loop`, median of five."""
    taken = []
    for _ in range(_CALIBRATION_ROUNDS):
        start = clock()
        calibration_loop()
        taken.append(clock() - start)
    return median(taken) / _NANOSECONDS_PER_MICROSECOND
