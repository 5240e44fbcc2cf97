"""Who got which variant, noted once.

A unit without an exposure counts in no report, so one that was lost, because there was no
room or the disk was full, is told again with the next answer.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Final

from espalier.events import Action, Event, EventSink
from espalier.serve.indexes import ServedIndex

EXPOSED: Final = 100_000
"""Exposures that are remembered; forgotten together. Readers count the first of several."""


class Exposures:
    """Notes exposures. Safe to use from many threads.

    Args:
        sink: Where they are written.
        clock: Unix time in nanoseconds.
    """

    def __init__(self, sink: EventSink, *, clock: Callable[[], int] = time.time_ns) -> None:
        self._sink = sink
        self._clock = clock
        self._seen: set[tuple[str, str, str]] = set()
        self._failures = sink.failures
        self._lock = threading.Lock()

    def note(
        self, experiment: str, variant: str, unit: str, intent_id: str, served: ServedIndex
    ) -> None:
        """Write that a unit got an answer of a variant, unless that is known."""
        if not self._sink.on:
            return
        key = (experiment, variant, unit)
        with self._lock:
            failures = self._sink.failures
            if failures != self._failures:
                # Whose they were is not known.
                self._failures = failures
                self._seen.clear()
            if key in self._seen:
                return
            if len(self._seen) >= EXPOSED:
                self._seen.clear()
            self._seen.add(key)
        taken = self._sink.write(
            Event(
                Action.EXPOSURE,
                self._clock(),
                unit=unit,
                intent_id=intent_id,
                experiments={experiment: variant},
                index=served.name,
                index_revision=served.revision,
            )
        )
        if not taken:
            with self._lock:
                self._seen.discard(key)
