"""Health by component, answered through ``grpc.health.v1``.

Who asks gets one of these names:

=================================  ===============================================
``live``                           the process runs; SERVING until it ends
``ready``                          send calls here: every component is well
``""``                             the same, for clients that name nothing
``espalier.v1.CompletionService``  the same, for clients that name the service
``espalier.v1.RetrievalService``   the same
``index/NAME``                     the newest load of that index succeeded
``sessions``                       the session store answers
``experiments``                    those configured are those that hold
``credentials/PART``               on the admin listener, for ``certificates``,
                                   ``tokens`` and ``admin_tokens``: the newest files
                                   were good, and no certificate has expired
=================================  ===============================================

Components are what readiness is made of, such as ``indexes`` or ``drain``. An index
whose newest file is bad goes on to answer from the one before, and a completion without
context beats none, so neither takes readiness away: `Health.tell` says how they are, to
who asks by name. Who asks needs no token: probes of a cluster have none, and learn
nothing but words like these.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Mapping

import grpc
from google.protobuf.message import DecodeError
from grpc_health.v1 import health_pb2
from grpc_health.v1.health_pb2 import HealthCheckRequest, HealthCheckResponse

from espalier.serve.rpc import Outcome, Stream, Subscription, Unary, plain_status

SERVICE_NAME: str = health_pb2.DESCRIPTOR.services_by_name["Health"].full_name
LIVE = "live"
READY = "ready"
OVERALL = ""
SESSIONS = "sessions"

_SERVING = HealthCheckResponse(status=HealthCheckResponse.SERVING).SerializeToString()
_NOT_SERVING = HealthCheckResponse(status=HealthCheckResponse.NOT_SERVING).SerializeToString()
_UNKNOWN = HealthCheckResponse(status=HealthCheckResponse.SERVICE_UNKNOWN).SerializeToString()

_NO_REQUEST = plain_status(grpc.StatusCode.INVALID_ARGUMENT, "not a HealthCheckRequest")
_NO_SERVICE = plain_status(grpc.StatusCode.NOT_FOUND, "no component of that name")


class Health:
    """Derives what the world is told from what the components say."""

    def __init__(self, services: Iterable[str], components: Iterable[str]) -> None:
        """Begin with every one of ``components`` unwell, so nothing is ready."""
        self._well = dict.fromkeys(components, False)
        # Held while watchers are told, so that each hears of changes in their order.
        self._lock = threading.Lock()
        self._watchers: dict[Stream, str] = {}
        self._replies = {LIVE: _SERVING}
        self._derived = (OVERALL, READY, *services)
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
            if self._well[component] == well:
                return
            before = self.ready
            self._well[component] = well
            if self.ready != before:
                self._publish()

    def tell(self, name: str, *, well: bool) -> None:
        """Let those who ask for ``name`` know how it is; nothing else follows from it."""
        with self._lock:
            self._answer(name, _SERVING if well else _NOT_SERVING)

    def methods(self) -> Mapping[str, Unary | Subscription]:
        """Return ``grpc.health.v1.Health`` as a server takes it."""
        return {
            f"/{SERVICE_NAME}/Check": Unary(self._check, at_once=True, public=True),
            f"/{SERVICE_NAME}/Watch": Subscription(self._watch, public=True),
        }

    def _publish(self) -> None:
        reply = _SERVING if self.ready else _NOT_SERVING
        for name in self._derived:
            self._answer(name, reply)

    def _answer(self, name: str, reply: bytes) -> None:
        if self._replies.get(name) == reply:
            return
        self._replies[name] = reply
        for stream, wanted in self._watchers.items():
            if wanted == name:
                stream.send(reply)

    def _check(self, data: bytes, _time_left: float) -> Outcome:
        name = _name_of(data)
        return _NO_REQUEST if name is None else self._replies.get(name, _NO_SERVICE)

    def _watch(self, data: bytes, stream: Stream) -> Callable[[], None]:
        name = _name_of(data)
        if name is None:
            stream.finish(_NO_REQUEST)
            return _nothing
        with self._lock:
            stream.send(self._replies.get(name, _UNKNOWN))
            # Of names nobody knows there may be news, as of an index that is loaded later.
            self._watchers[stream] = name

        def leave() -> None:
            with self._lock:
                self._watchers.pop(stream, None)

        return leave


def index_component(name: str) -> str:
    """Return what who asks for the health of an index names."""
    return f"index/{name}"


def credentials_component(part: str) -> str:
    """Return what who asks for the health of certificates or tokens names."""
    return f"credentials/{part}"


def _nothing() -> None:
    """Do nothing."""


def _name_of(data: bytes) -> str | None:
    try:
        return str(HealthCheckRequest.FromString(data).service)
    except DecodeError:
        return None
