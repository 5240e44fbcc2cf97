"""The experiments of one worker: taken over from messages, applied as a whole.

A set of experiments is one immutable object that is replaced, as indexes are; a call goes
on with the one it found. What a set needs that may fail, plug-ins above all, is made
before any worker changes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from espalier.events import EventSink
from espalier.experiments import of_message
from espalier.experiments.assigners import Assigner, assigners_of
from espalier.serve.counters import Counting
from espalier.serve.domain import Completer
from espalier.serve.exposures import Exposures
from espalier.serve.log import EventLog
from espalier.serve.plans import Planner
from espalier.serve.service import CompletionService
from espalier.serve.shadow import Shadow
from espalier.serve.trials import Trials


class Experimenting:
    """Applies experiments to a service.

    Args:
        service: Whose answers they change.
        completer: What answers, for the service and beside it.
        sink: Where exposures and comparisons are written.
    """

    def __init__(
        self,
        service: CompletionService,
        completer: Completer,
        sink: EventSink,
        *,
        counters: Counting,
        log: EventLog,
    ) -> None:
        self._service = service
        self._completer = completer
        self._counters = counters
        self._log = log
        self._exposures = Exposures(sink)
        self._shadow = Shadow(completer, sink, counters=counters, log=log)
        self._assigners: dict[str, Assigner | None] = {}

    def prepare(self, message: Mapping[str, Any]) -> None:
        """Make what a set of experiments needs.

        Raises:
            ConfigError: It cannot be used.
        """
        named = {one.assigner for one in of_message(message)}
        wanted = [one for one in of_message(message) if one.assigner not in self._assigners]
        # Those of before go on: a provider of flags may have started threads.
        made = {name: one for name, one in self._assigners.items() if name in named}
        self._assigners = made | assigners_of(wanted)

    def apply(self, message: Mapping[str, Any]) -> None:
        """Let a set of experiments hold from the next call on.

        Raises:
            ConfigError: It cannot be used.
        """
        self.prepare(message)
        experiments = of_message(message)
        if not experiments:
            self._service.trials = None
            return
        planner = Planner(
            experiments,
            self._assigners,
            lambda: self._completer.indexes,
            counters=self._counters,
            log=self._log,
        )
        self._service.trials = Trials(
            planner,
            self._completer,
            counters=self._counters,
            exposures=self._exposures,
            shadow=self._shadow,
        )

    def spare(self, waiting: Callable[[], int]) -> None:
        """Compute nothing beside answers while calls wait."""
        self._shadow.waiting = waiting

    def close(self) -> None:
        """End what is computed beside answers."""
        self._shadow.close()
