"""Counts come out as they went in."""

from __future__ import annotations

import threading

from espalier.serve.counters import Counters


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
