"""What is measured of a call, whatever its method."""

from __future__ import annotations

from typing import Any

from espalier.serve.telemetry.meters import Meters


class CallWatch:
    """Notes how long unary calls wait and take: a `calls.Watch`."""

    def __init__(self, meters: Meters) -> None:
        self._observe = meters.counters.observe
        self.clock = meters.clock

    def arrived(self, metadata: Any) -> object:  # noqa: ARG002 - of interest to who traces
        """Make no note: nothing of the headers is of interest."""
        return None

    def begun(self, name: str, waited: int, note: object) -> None:  # noqa: ARG002 - as above
        """Note how long a call waited."""
        self._observe("wait", waited, name)

    def ended(self, name: str, code: str, taken: int, note: object) -> None:  # noqa: ARG002
        """Note how long a call took."""
        self._observe("call", taken, name, code)
