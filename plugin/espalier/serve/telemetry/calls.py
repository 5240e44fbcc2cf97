"""What is measured of a call, whatever its method."""

from __future__ import annotations

from typing import Any

from espalier.serve.counters import observe
from espalier.serve.telemetry.meters import Meters


class CallWatch:
    """Counts unary calls, how long they wait and take: a `calls.Watch`."""

    looks_at_headers = False

    def __init__(self, meters: Meters) -> None:
        self.clock = meters.clock
        self._counters = meters.counters
        self._words = meters.counters.words
        # By method and code, found once: where calls are counted, their time, their wait.
        self._places: dict[tuple[str, str], tuple[int, int, int]] = {}

    def arrived(self, metadata: Any) -> object:  # noqa: ARG002 - of interest to who traces
        """Make no note: nothing of the headers is of interest."""
        return None

    def begun(self, note: object) -> None:
        """Forget it: nobody asks what this thread works on."""

    def ended(self, name: str, code: str, waited: int, taken: int, note: object) -> None:  # noqa: ARG002 - as of `calls.Watch`
        """Count a call, and note how long it waited and took."""
        places = self._places.get((name, code)) or self._find(name, code)
        if self._counters.alone:
            self._note(places, waited, taken)
        else:
            with self._counters.lock:
                self._note(places, waited, taken)

    def _note(self, places: tuple[int, int, int], waited: int, taken: int) -> None:
        words = self._words
        calls, times, waits = places
        words[calls] += 1
        observe(words, times, taken)
        if waited >= 0:
            observe(words, waits, waited)

    def _find(self, name: str, code: str) -> tuple[int, int, int]:
        place = self._counters.place
        found = place("calls", name, code), place("call", name, code), place("wait", name)
        self._places[name, code] = found
        return found
