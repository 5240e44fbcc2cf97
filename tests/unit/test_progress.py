"""Progress: a port, a silent adapter, and bars that never stop the work."""

from __future__ import annotations

import io
import threading
from collections.abc import Iterator

import pytest

from espalier.progress import NO_PROGRESS, Progress, TerminalProgress


class Clock:
    """A clock that moves a fixed step at every look."""

    def __init__(self, step: float) -> None:
        self._step = step
        self._now = 0.0

    def __call__(self) -> float:
        """Return the time, which has moved."""
        self._now += self._step
        return self._now


class ClosedStream(io.StringIO):
    """A pipe whose reader has left."""

    def write(self, _: str) -> int:
        """Fail as a closed pipe does."""
        raise BrokenPipeError


@pytest.fixture
def stream() -> Iterator[io.StringIO]:
    """Return a stream that is not a terminal."""
    with io.StringIO() as opened:
        yield opened


def test_nothing_is_said_by_default() -> None:
    """The default takes steps and keeps quiet."""
    with NO_PROGRESS.stage("reading", 3) as advance:
        advance(3)


def test_a_stage_leaves_one_line_with_name_steps_and_seconds(stream: io.StringIO) -> None:
    """Where there is no terminal, each finished stage is one line."""
    progress: Progress = TerminalProgress(stream, clock=Clock(0.5))

    with progress.stage("reading", 2000) as advance:
        advance(1200)
        advance(34)
    with progress.stage("writing"):
        pass

    first, second = stream.getvalue().splitlines()
    assert first.split() == ["reading", "1,234", "2.0", "s"]
    assert second.split() == ["writing", "1.0", "s"]


def test_a_terminal_shows_a_bar_that_fills(stream: io.StringIO) -> None:
    """On a terminal the share done is drawn while the stage runs."""
    progress = TerminalProgress(stream, clock=Clock(1.0), interactive=True)

    with progress.stage("training", 4) as advance:
        for _ in range(4):
            advance(1)

    shown = [part for part in stream.getvalue().split("\r") if "%" in part]
    assert [part.split("]")[1].split()[0] for part in shown] == ["0%", "25%", "50%", "75%", "100%"]


def test_an_unknown_total_shows_the_steps(stream: io.StringIO) -> None:
    """A stage without a total counts instead of drawing a bar."""
    progress = TerminalProgress(stream, clock=Clock(1.0), interactive=True)

    with progress.stage("reading") as advance:
        advance(5)

    assert "%" not in stream.getvalue()
    assert "5" in stream.getvalue()


def test_more_steps_than_announced_stay_at_a_full_bar(stream: io.StringIO) -> None:
    """A total that was an estimate never draws beyond the bar."""
    progress = TerminalProgress(stream, clock=Clock(1.0), interactive=True)

    with progress.stage("reading", 2) as advance:
        advance(5)

    assert "100%" in stream.getvalue()
    assert "250%" not in stream.getvalue()


def test_bars_are_redrawn_at_a_bounded_rate(stream: io.StringIO) -> None:
    """A million small steps do not become a million redraws."""
    progress = TerminalProgress(stream, clock=Clock(0.001), interactive=True)

    with progress.stage("training", 1000) as advance:
        for _ in range(1000):
            advance(1)

    assert stream.getvalue().count("%") < 15


def test_a_stage_that_fails_says_that_it_stopped(stream: io.StringIO) -> None:
    """The error goes on to the caller; the line tells which stage it was."""
    progress = TerminalProgress(stream)

    with pytest.raises(ValueError, match="broken"), progress.stage("reading"):
        raise ValueError("broken")

    assert "(stopped)" in stream.getvalue()


def test_a_closed_stream_never_stops_the_work() -> None:
    """Whoever watched has left; the work goes on."""
    progress = TerminalProgress(ClosedStream())
    done = 0

    with progress.stage("reading", 1) as advance:
        advance(1)
        done = 1

    assert done == 1


def test_steps_from_many_threads_all_count(stream: io.StringIO) -> None:
    """Training advances from its worker threads."""
    progress = TerminalProgress(stream)

    with progress.stage("training") as advance:
        threads = [
            threading.Thread(target=lambda: [advance(1) for _ in range(500)]) for _ in range(4)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    assert "2,000" in stream.getvalue()
