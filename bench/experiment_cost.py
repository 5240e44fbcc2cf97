"""What experiments cost a completion: processor time of the service, without a search.

The whole of `CompletionService.complete`, from the bytes of a request to those of a reply,
over an index that suggests nothing at once; so what is left is the service itself. A unit
types ten keys. No data is needed.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable
from statistics import median
from typing import Any

from bench import harness
from espalier.events import NO_EVENTS
from espalier.experiments import as_message, read_experiments
from espalier.serve.counters import Counters
from espalier.serve.domain import Completer
from espalier.serve.experimenting import Experimenting
from espalier.serve.indexes import Indexes, ServedIndex
from espalier.serve.log import JsonLog
from espalier.serve.service import CompletionService
from espalier.sessions.memory import MemorySessionStore
from espalier.v1.completion_service_pb2 import CompleteRequest
from espalier.v1.core_pb2 import ExperimentContext

CALLS = 2_000
KEYS = 10

HALVES = {"variants": {"a": {"weight": 5_000}, "b": {"weight": 5_000}}}
SIDES: dict[str, dict[str, Any]] = {
    "no experiments, no unit": {},
    "no experiments": {},
    "one that changes nothing": {"e": HALVES},
    "three": {"e": HALVES, "f": HALVES, "g": HALVES},
    "one with parameters": {
        "e": {"variants": {"a": {"weight": 0}, "b": {"weight": 10_000, "context": 2}}}
    },
}


class _Nothing:
    """An index that suggests nothing."""

    def complete(self, *_: object, **__: object) -> tuple[()]:
        """Suggest nothing."""
        return ()

    def complete_encoded(self, *_: object, **__: object) -> None:
        """Leave it to `complete`."""

    def explain(self, *_: object, **__: object) -> tuple[()]:
        """Explain nothing."""
        return ()

    def close(self) -> None:
        """Hold nothing."""


def side(tables: dict[str, Any], *, with_unit: bool) -> Callable[[], float]:
    """Return what measures the processor time of a call, in microseconds."""
    counters, log = Counters(alone=True), JsonLog()
    completer = Completer(
        Indexes([ServedIndex("default", "", _Nothing())]),
        MemorySessionStore(),
        context_queries=5,
        log=log,
        counters=counters,
    )
    service = CompletionService(completer)
    experimenting = Experimenting(service, completer, NO_EVENTS, counters=counters, log=log)
    experimenting.apply(as_message(read_experiments(tables, "bench")))
    units = itertools.count()

    def measure() -> float:
        requests = []
        for _ in range(CALLS // KEYS):
            who = ExperimentContext(unit=f"{next(units):032x}") if with_unit else None
            request = CompleteRequest(prefix="ni", experiment=who)
            requests += [request.SerializeToString()] * KEYS
        began = time.thread_time_ns()
        for data in requests:
            service.complete(CompleteRequest.FromString(data)).SerializeToString()
        return (time.thread_time_ns() - began) / len(requests) / 1_000

    return measure


def main() -> None:
    """Run the benchmark."""
    chosen = harness.parser(__doc__, rounds=15).parse_args()
    report = harness.Reporter("experiment_cost", as_json=chosen.json)
    sides = {name: side(tables, with_unit="no unit" not in name) for name, tables in SIDES.items()}
    times = harness.interleaved(sides, chosen.rounds)
    base = median(times["no experiments"])
    rows = []
    for name, found in times.items():
        middle = median(found)
        report.record(what=name, us=middle, more_us=middle - base)
        rows.append([name, f"{middle:.2f} us", f"{middle - base:+.2f} us"])
    report.table(["experiments", "processor time of a call", "more"], rows)
    report.calibration()


if __name__ == "__main__":
    main()
