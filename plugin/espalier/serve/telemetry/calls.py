"""What is measured of a call, whatever its method."""

from __future__ import annotations

from typing import Any

from espalier.serve.counters import observe
from espalier.serve.telemetry.meters import Meters


class CallWatch:
    """Notes how long unary calls wait and take: a `calls.Watch`."""

    looks_at_headers = False

    def __init__(self, meters: Meters) -> None:
        counters = meters.counters
        self.clock = meters.clock
        self._counters = counters
        self._words = counters.words
        # Their places, found once: by method, and by method and code.
        self._waits: dict[str, int] = {}
        self._calls: dict[tuple[str, str], int] = {}

    def arrived(self, metadata: Any) -> object:  # noqa: ARG002 - of interest to who traces
        """Make no note: nothing of the headers is of interest."""
        return None

    def begun(self, name: str, waited: int, note: object) -> None:  # noqa: ARG002 - as above
        """Note how long a call waited."""
        place = self._waits.get(name)
        if place is None:
            place = self._waits[name] = self._counters.place("wait", name)
        self._observe(place, waited)

    def ended(self, name: str, code: str, taken: int, note: object) -> None:  # noqa: ARG002
        """Note how long a call took."""
        place = self._calls.get((name, code))
        if place is None:
            place = self._calls[name, code] = self._counters.place("call", name, code)
        self._observe(place, taken)

    def _observe(self, place: int, nanoseconds: int) -> None:
        if self._counters.alone:
            observe(self._words, place, nanoseconds)
        else:
            with self._counters.lock:
                observe(self._words, place, nanoseconds)
