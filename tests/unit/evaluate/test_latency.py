"""Timing: what is called, what is counted, how percentiles are read."""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator

import numpy as np
import pytest

from espalier.evaluate.latency import (
    calibrate,
    calibration_loop,
    percentiles,
    time_calls,
    without_collector,
)


def ticking(step: int) -> Callable[[], int]:
    """Return a clock that moves ``step`` nanoseconds each time it is read."""
    now: Iterator[int] = iter(range(0, 10**9, step))
    return lambda: next(now)


def test_every_call_is_timed_once_after_the_warm_up() -> None:
    """The first two calls are made twice, each is timed once and in order."""
    made: list[int] = []
    calls = [lambda number=number: made.append(number) for number in range(4)]
    taken = time_calls(calls, warm_up=2, clock=ticking(7))

    assert made == [0, 1, 0, 1, 2, 3]
    assert taken.tolist() == [7, 7, 7, 7]


def test_the_collector_rests_while_timing_and_wakes_after() -> None:
    """Even when a call fails, the collector is as it was before."""
    states: list[bool] = []
    assert gc.isenabled()
    with pytest.raises(ZeroDivisionError):
        time_calls([lambda: states.append(gc.isenabled()), lambda: 1 // 0], warm_up=1)

    assert states == [True, False]
    assert gc.isenabled()


def test_a_collector_that_was_off_stays_off() -> None:
    """Timing does not switch on what its caller switched off."""
    gc.disable()
    try:
        with without_collector():
            pass

        assert not gc.isenabled()
    finally:
        gc.enable()


def test_percentiles_are_calls_that_happened() -> None:
    """Nearest rank: of 1 to 100 microseconds, p99 is the 99th."""
    latency = percentiles(np.arange(100, 0, -1) * 1000)

    assert (latency.p50, latency.p95, latency.p99) == (50.0, 95.0, 99.0)
    assert latency.calls == 100


def test_one_call_is_all_its_percentiles() -> None:
    """A single row still has a latency."""
    latency = percentiles(np.array([2500]))

    assert latency.to_json() == {"p50": 2.5, "p95": 2.5, "p99": 2.5, "calls": 1}


def test_the_calibration_loop_does_fixed_work() -> None:
    """The same steps give the same state, so only the machine can change its time."""
    assert calibration_loop(3) == 662824084
    assert calibrate(ticking(9000)) == 9.0
