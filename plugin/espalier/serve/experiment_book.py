"""The experiments of a service: those that hold, and how others come to.

A set holds in every worker or in none: each gets ready for it first, plug-ins made and
all. One that is broken changes nothing; the one before goes on, health says so under
``experiments``, and the log says why.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, Protocol

from espalier.errors import ConfigError
from espalier.experiments import Experiment, as_message
from espalier.serve.control import ControlError, Params
from espalier.serve.log import EventLog

COMPONENT: Final = "experiments"
"""What who asks for their health names."""

_SECONDS: Final = 30.0

Reread = Callable[[], tuple[Experiment, ...]]


class _Workers(Protocol):
    """What of `supervisor.Supervisor` is needed here."""

    def request_all(
        self, method: str, params: Params | None = None, *, timeout: float
    ) -> Mapping[int, Mapping[str, Any]]:
        """Make a request to every worker."""
        ...


class ExperimentBook:
    """What experiments hold.

    Args:
        experiments: Those from the start on.
        reread: Reads them anew; may raise `ConfigError`. ``None`` if they never change.
        told: Called with whether the newest set holds.
    """

    def __init__(
        self,
        experiments: Sequence[Experiment],
        reread: Reread | None,
        *,
        log: EventLog,
        told: Callable[[bool], object],
    ) -> None:
        self._experiments = tuple(experiments)
        self._reread = reread
        self._log = log
        self._told = told
        self._well = True
        told(True)

    def order(self) -> dict[str, Any]:
        """Return what a worker is told when it starts."""
        return {"experiments": as_message(self._experiments), "well": self._well}

    def reread(self, workers: _Workers, renew_orders: Callable[[], object]) -> None:
        """Let those hold that are configured now.

        Args:
            workers: Who applies them.
            renew_orders: Lets workers that start from now on begin with `order`.
        """
        if self._reread is None:
            return
        before = self._experiments
        try:
            wanted = self._reread()
            if wanted != before:
                self._tell(workers, wanted, apply=False)
        except (ConfigError, ControlError) as error:
            self._log.error("experiments_refused", reason=error.reason, error=str(error))
            self._note(workers, well=False)
            renew_orders()
            return
        self._experiments = wanted
        self._note(workers, well=True)
        renew_orders()
        if wanted == before:
            return
        try:
            self._tell(workers, wanted, apply=True)
        except ControlError as error:
            # It is ready for them, so only one that is gone does not reply; its successor
            # begins with the new ones.
            self._log.warning("experiments_not_acknowledged", error=str(error))
        self._log.info("experiments_taken_over", experiments=" ".join(one.name for one in wanted))

    def _note(self, workers: _Workers, *, well: bool) -> None:
        if well == self._well:
            return
        self._well = well
        self._told(well)
        try:
            workers.request_all("experiments", {"well": well}, timeout=_SECONDS)
        except ControlError as error:
            self._log.warning("experiments_not_acknowledged", error=str(error))

    def _tell(self, workers: _Workers, wanted: Sequence[Experiment], *, apply: bool) -> None:
        message = {"experiments": as_message(wanted), "apply": apply}
        workers.request_all("experiments", message, timeout=_SECONDS)
