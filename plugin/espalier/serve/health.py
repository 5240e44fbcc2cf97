"""Health by component, answered through ``grpc.health.v1``.

Who asks gets one of these names:

=================================  ===============================================
``live``                           the process runs; SERVING until it ends
``ready``                          send calls here: every component is well
``""``                             the same, for clients that name nothing
``espalier.v1.CompletionService``  the same, for clients that name the service
=================================  ===============================================

Components are what readiness is made of, such as ``indexes`` or ``drain``.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable

from grpc_health.v1 import health_pb2
from grpc_health.v1.health import HealthServicer

LIVE = "live"
READY = "ready"
OVERALL = ""

_SERVING = health_pb2.HealthCheckResponse.SERVING
_NOT_SERVING = health_pb2.HealthCheckResponse.NOT_SERVING


class Health:
    """Derives what the world is told from what the components say.

    Attributes:
        servicer: What a server registers.
    """

    def __init__(self, services: Iterable[str], components: Iterable[str]) -> None:
        """Begin with every one of ``components`` unwell, so nothing is ready."""
        self.servicer = HealthServicer()
        self._names = (OVERALL, READY, *services)
        self._well = dict.fromkeys(components, False)
        self._lock = threading.Lock()
        self.servicer.set(LIVE, _SERVING)
        self._publish()

    @property
    def ready(self) -> bool:
        """Whether every component is well."""
        return all(self._well.values())

    def set(self, component: str, *, well: bool) -> None:
        """Note how a component is; tell the world if that changes something.

        Raises:
            KeyError: There is no such component.
        """
        with self._lock:
            if self._well[component] != well:
                self._well[component] = well
                self._publish()

    def _publish(self) -> None:
        status = _SERVING if self.ready else _NOT_SERVING
        for name in self._names:
            self.servicer.set(name, status)
