"""The search box's end of the line: calls of a running sidecar."""

from __future__ import annotations

from collections.abc import Mapping

from espalier.client import Client
from espalier.replay.typist import Box, Shown
from espalier.v1.completion_service_pb2 import EVENT_ACTION_ABANDONMENT, UserEvent
from espalier.v1.core_pb2 import ExperimentContext


class GrpcSidecar:
    """Asks a sidecar over gRPC. Safe to use from many threads.

    Args:
        client: To it.
        attributes: Of everybody, for experiments that ask for some.
    """

    def __init__(self, client: Client, attributes: Mapping[str, str] | None = None) -> None:
        self._client = client
        self._attributes = dict(attributes or {})

    def complete(self, prefix: str, box: Box, limit: int) -> Shown:
        """Return suggestions; the sidecar itself tells of them as an impression."""
        reply = self._client.complete(
            prefix,
            session=box.session,
            limit=limit,
            experiment=ExperimentContext(unit=box.unit, attributes=self._attributes),
            intent=box.intent,
        )
        texts = [one.text for one in reply.suggestions]
        return Shown(texts, reply.suggestion_set_id, dict(reply.header.variants))

    def submit(self, query: str, box: Box, shown: Shown | None = None, position: int = 0) -> None:
        """Tell that a query was submitted, and accepted where there is a position."""
        last = "" if shown is None else shown.set_id
        self._client.record(
            query,
            session=box.session,
            set_id=last if position else "",
            position=position,
            unit=box.unit,
            intent=box.intent,
            seen="" if position else last,
        )

    def abandon(self, typed: str, box: Box, shown: Shown | None) -> None:
        """Tell that nothing was submitted."""
        event = UserEvent(
            action=EVENT_ACTION_ABANDONMENT,
            suggestion_set_id="" if shown is None else shown.set_id,
            session_id=box.session,
            unit=box.unit,
            intent_id=box.intent,
            query=typed,
            prefix_length=len(typed),
        )
        self._client.record_events([event])
