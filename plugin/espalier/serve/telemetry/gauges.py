"""What the supervisor knows without asking anybody, and all numbers together."""

from __future__ import annotations

import contextlib
import os
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Final, Protocol

import espalier
from espalier.overlay import Block, BlockPattern, BlockWord, Boost, BoostWord, Overlay, Pin
from espalier.serve.counters import Counters
from espalier.serve.ledger import Ledger
from espalier.serve.telemetry.exposition import merged, text_of
from espalier.serve.telemetry.page import Key, Page
from espalier.sessions.base import SessionStats

_TICKS: Final = os.sysconf("SC_CLK_TCK")
_PAGE_BYTES: Final = os.sysconf("SC_PAGE_SIZE")


class Indexes(Protocol):
    """What of `lifecycle.Lifecycle` is looked at."""

    @property
    def ledger(self) -> Ledger:
        """What is loaded."""
        ...

    def rules(self, name: str) -> Overlay:
        """Return the rules of an index."""
        ...


class Service:
    """All numbers of a service, read when somebody asks.

    Args:
        pages: Of the workers, by number.
        counters: Of the supervisor.
        pids: Returns the process of every worker that answers calls, by number.
        sessions: Returns what the table of sessions has; ``None`` if another server has them.
        capacity: Sessions remembered at most.
        indexes: What is served.
        more: Yields further gauges.
    """

    def __init__(
        self,
        pages: Sequence[Page],
        counters: Counters,
        *,
        pids: Callable[[], dict[int, int]],
        sessions: Callable[[], SessionStats] | None,
        capacity: int,
        indexes: Indexes,
        more: Callable[[], Iterable[tuple[Key, float]]] = lambda: (),
    ) -> None:
        self._pages = pages
        self._counters = counters
        self._pids = pids
        self._sessions = sessions
        self._capacity = capacity
        self._indexes = indexes
        self._more = more

    def numbers(self) -> dict[Key, list[float]]:
        """Return every number there is now."""
        found = merged([*(page.read() for page in self._pages), self._counters.read()])
        for key, value in self._gauges():
            found[key] = [float(value)]
        return found

    def text(self) -> bytes:
        """Return every number as Prometheus reads it."""
        return text_of(self.numbers()).encode()

    def _gauges(self) -> Iterator[tuple[Key, float]]:
        yield ("build_info", espalier.__version__), 1
        pids = self._pids()
        yield ("workers",), len(self._pages)
        yield ("ready",), len(pids) == len(self._pages)
        for number, page in enumerate(self._pages):
            worker = str(number)
            yield ("worker_up", worker), number in pids
            yield ("lost_series", worker), page.lost
            if number in pids:
                yield from _process(worker, pids[number])
        if self._sessions is not None:
            yield ("sessions",), self._sessions().sessions
            yield ("capacity",), self._capacity
        yield from _of_indexes(self._indexes)
        yield from self._more()


def _process(worker: str, pid: int) -> Iterator[tuple[Key, float]]:
    # It may be gone by now.
    with contextlib.suppress(OSError, IndexError):
        fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
        yield ("worker_processor", worker), (int(fields[11]) + int(fields[12])) / _TICKS
        yield ("worker_memory", worker), int(fields[21]) * _PAGE_BYTES


def _of_indexes(indexes: Indexes) -> Iterator[tuple[Key, float]]:
    ledger = indexes.ledger
    unwell = set(ledger.unwell())
    for name, entry in ledger.entries.items():
        yield ("index_healthy", name), name not in unwell
        yield ("index_revisions", name), len(entry.revisions)
        for kind, count in _kinds(indexes.rules(name)).items():
            yield ("rules", name, kind), count
        active = entry.revisions.get(entry.active)
        if active is not None:
            yield ("index_info", name, active.revision), 1
            yield ("index_bytes", name), active.bytes
            yield ("index_labels", name), active.labels
            yield ("index_modified", name), active.file.modified_ns / 1e9
            yield ("index_loaded", name), active.loaded_ns / 1e9


def _kinds(rules: Overlay) -> dict[str, int]:
    counts = Counter(map(type, rules.rules))
    return {
        "block": counts[Block] + counts[BlockWord] + counts[BlockPattern],
        "pin": counts[Pin],
        "boost": counts[Boost] + counts[BoostWord],
    }
