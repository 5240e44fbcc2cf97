"""Counts come out as they went in."""

from __future__ import annotations

import threading

import pytest

from espalier.serve.counters import Counters
from espalier.serve.telemetry.page import Page


def test_counts_are_kept_by_family_and_labels() -> None:
    """A snapshot has every family, its labels joined."""
    counters = Counters()
    counters.add("calls", "/s/Complete", "OK")
    counters.add("calls", "/s/Complete", "OK")
    counters.add("calls", "/s/Delete", "OK")
    counters.add("degraded", "popular_only")

    assert counters.get("calls", "/s/Complete", "OK") == 2
    assert counters.get("calls", "/s/Complete", "INTERNAL") == 0
    assert counters.snapshot() == {
        "calls": {"/s/Complete OK": 2, "/s/Delete OK": 1},
        "degraded": {"popular_only": 1},
    }


def test_totals_leave_methods_out() -> None:
    """One number for each outcome, under a name that a log can have."""
    counters = Counters()
    counters.add("calls", "/s/Complete", "OK")
    counters.add("calls", "/s/Delete", "OK")
    counters.add("calls", "/s/Delete", "NOT_FOUND")
    counters.add("degraded", "popular_only")

    assert counters.totals() == {"calls_not_found": 1, "calls_ok": 2, "degraded_popular_only": 1}


def test_no_count_is_lost_between_threads() -> None:
    """Many threads count the same thing."""
    counters = Counters()

    def count() -> None:
        for _ in range(5_000):
            counters.add("calls", "/s/Complete", "OK")

    threads = [threading.Thread(target=count) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert counters.get("calls", "/s/Complete", "OK") == 20_000


def test_a_successor_goes_on_and_says_what_it_did_itself() -> None:
    """What is scraped never goes back; what a process logs at its end is its own."""
    page = Page.private()
    Counters(page).add("degraded", "popular_only")
    successor = Counters(page, alone=True)
    successor.add("degraded", "popular_only")
    successor.add("degraded", "without_session")

    assert successor.get("degraded", "popular_only") == 2
    assert successor.totals() == {"degraded_popular_only": 1, "degraded_without_session": 1}


def test_an_unknown_family_or_a_missing_label_is_a_mistake() -> None:
    """What is misspelled must not be counted where nobody looks."""
    with pytest.raises(KeyError):
        Counters().add("cals", "/s/Complete", "OK")
    with pytest.raises(ValueError, match="calls takes the labels method code"):
        Counters().add("calls", "/s/Complete")
