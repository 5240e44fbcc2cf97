"""Assembling an evaluation."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from espalier.errors import ConfigError
from espalier.evaluate import evaluate
from espalier.evaluate.questions import Question, Questions
from espalier.evaluate.runner import time_index
from tests.unit.evaluate.twin import TwinIndex

MISSING = Path("no-such-file")


class Recorder:
    """Notes what it is asked."""

    def __init__(self) -> None:
        self.calls: list[tuple[bytes, list[bytes], int]] = []

    def time_complete(self, prefix: bytes, previous: Sequence[bytes], k: int) -> None:
        """Note one call."""
        self.calls.append((prefix, list(previous), k))


def test_without_an_index_there_is_nothing_to_evaluate() -> None:
    """The message says what to name."""
    with pytest.raises(ConfigError, match=r"at least one \.esp"):
        evaluate([], MISSING)


def test_fewer_suggestions_than_the_measures_need_are_refused() -> None:
    """MRR@10 of nine suggestions would be another measure."""
    with pytest.raises(ConfigError, match="k is 9"):
        evaluate([MISSING], MISSING, k=9)


def test_an_unknown_system_is_refused_before_anything_is_read() -> None:
    """Neither file exists, yet the name is what is complained about."""
    with pytest.raises(ConfigError, match="no system is called"):
        evaluate([MISSING], MISSING, systems=["best"])


@pytest.mark.parametrize(("rows", "limit", "timed"), [(7, 100, 7), (100, 7, 7), (1, 1, 1)])
def test_timed_calls_are_spread_over_the_file(rows: int, limit: int, timed: int) -> None:
    """At most the limit, never more than there are rows."""
    asked = tuple(Question("a", (), "ab", row) for row in range(rows))
    ticks = iter(range(0, 10**9, 500))
    running = iter(range(0, 10**9, 200))
    timing = time_index(
        TwinIndex({"ab": 1}),
        Questions(asked, 0),
        k=10,
        rows=limit,
        clock=lambda: next(ticks),
        processor_clock=lambda: next(running),
    )

    assert timing.call.calls == timed
    assert timing.call.p99 == 0.5
    assert timing.processor.p99 == 0.2
    assert timing.calibration_us == 0.5
    assert timing.native is None


def test_the_native_call_is_timed_with_texts_encoded_before() -> None:
    """The same questions, as the C library takes them."""
    asked = (Question("é", ("über", "b"), "été", 0), Question("a ", (), "a b", 1))
    ticks = iter(range(0, 10**9, 500))
    native = Recorder()
    timing = time_index(
        TwinIndex({"ab": 1}),
        Questions(asked, 0),
        k=12,
        native=native,
        clock=lambda: next(ticks),
    )

    assert timing.native is not None
    assert timing.native.calls == 2
    assert native.calls[-2:] == [
        ("é".encode(), ["über".encode(), b"b"], 12),
        (b"a ", [], 12),
    ]
