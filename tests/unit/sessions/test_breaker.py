"""The circuit breaker, on a clock set by hand."""

from __future__ import annotations

import pytest

from espalier.sessions.breaker import CircuitBreaker
from espalier.sessions.fake import FakeClock


@pytest.fixture(name="clock")
def a_clock() -> FakeClock:
    """Return a clock."""
    return FakeClock(100.0)


@pytest.fixture(name="breaker")
def a_breaker(clock: FakeClock) -> CircuitBreaker:
    """Return a breaker that opens after three failures, for 1, 2, 4, 5, 5, ... seconds."""
    return CircuitBreaker(failures=3, pause=1.0, longest=5.0, clock=clock)


def fail(breaker: CircuitBreaker, times: int) -> None:
    """Report failures."""
    for _ in range(times):
        breaker.failed()


def test_it_opens_after_failures_in_a_row(breaker: CircuitBreaker) -> None:
    """A success in between begins the count anew."""
    fail(breaker, 2)
    breaker.succeeded()
    fail(breaker, 2)
    assert breaker.closed
    assert breaker.probe()

    breaker.failed()
    assert not breaker.closed
    assert not breaker.probe()


def test_after_the_pause_one_probe_may_go(breaker: CircuitBreaker, clock: FakeClock) -> None:
    """Half open: whoever asks first, and nobody else until it reports."""
    fail(breaker, 3)
    assert breaker.wait() == 1.0
    clock.advance(0.75)
    assert breaker.wait() == 0.25
    assert not breaker.probe()

    clock.advance(0.25)
    assert breaker.wait() == 0.0
    assert breaker.probe()
    assert not breaker.probe()
    assert not breaker.closed


def test_a_good_probe_closes_it_on_probation(breaker: CircuitBreaker, clock: FakeClock) -> None:
    """One failed call opens it again, and for longer: probes that go well prove little."""
    fail(breaker, 3)
    pauses = []
    for _ in range(4):
        pauses.append(breaker.wait())
        clock.advance(pauses[-1])
        assert breaker.probe()
        breaker.probed()
        assert breaker.closed
        breaker.failed()
        assert not breaker.closed

    assert pauses == [1.0, 2.0, 4.0, 5.0]


def test_a_good_call_ends_the_probation(breaker: CircuitBreaker, clock: FakeClock) -> None:
    """All is as at the beginning, the pause too."""
    fail(breaker, 3)
    clock.advance(1.0)
    assert breaker.probe()
    breaker.probed()
    breaker.succeeded()
    fail(breaker, 2)

    assert breaker.closed
    breaker.failed()
    assert breaker.wait() == 1.0


def test_connecting_well_does_not_excuse_failures(breaker: CircuitBreaker) -> None:
    """A probe of a closed breaker leaves the count as it is."""
    for _ in range(3):
        assert breaker.probe()
        breaker.probed()
        breaker.failed()

    assert not breaker.closed


def test_bad_probes_make_the_pause_longer(breaker: CircuitBreaker, clock: FakeClock) -> None:
    """A server in trouble is asked less and less, but never given up."""
    fail(breaker, 3)
    pauses = []
    for _ in range(5):
        pauses.append(breaker.wait())
        clock.advance(pauses[-1])
        assert breaker.probe()
        breaker.failed()

    assert pauses == [1.0, 2.0, 4.0, 5.0, 5.0]


def test_late_failures_do_not_prolong_the_pause(breaker: CircuitBreaker, clock: FakeClock) -> None:
    """Calls that were under way when it opened say nothing new."""
    fail(breaker, 3)
    clock.advance(0.5)
    fail(breaker, 10)

    assert breaker.wait() == 0.5
