"""A small client of the sidecar.

::

    from espalier.client import Client

    with Client("127.0.0.1:50051") as client:
        client.record("running shoes", session="s1")
        for suggestion in client.complete("ni", session="s1").suggestions:
            print(suggestion.display_text)
"""

from __future__ import annotations

from collections.abc import Sequence
from types import TracebackType
from typing import Self

import grpc
from google.rpc.error_details_pb2 import ErrorInfo
from grpc_status import rpc_status

from espalier.errors import EspalierError
from espalier.v1.completion_service_pb2 import (
    AcceptedSuggestion,
    CompleteRequest,
    CompleteResponse,
    DeleteSessionRequest,
    DeleteSessionResponse,
    RecordQueryRequest,
    RecordQueryResponse,
)
from espalier.v1.completion_service_pb2_grpc import CompletionServiceStub
from espalier.v1.core_pb2 import Suggestion, SuggestionSource

__all__ = ["CallError", "Client", "Suggestion", "SuggestionSource"]


class CallError(EspalierError):
    """A call that failed.

    Attributes:
        code: The gRPC status code.
        reason: An ErrorReason of the API without its prefix; "" if the transport
            failed (no connection, deadline passed).
        metadata: What varies in the message, as the API documents it.
    """

    def __init__(self, error: grpc.RpcError) -> None:
        self.code: grpc.StatusCode = error.code()
        super().__init__(f"{self.code.name}: {error.details()}")
        info = _info_of(error)
        self.reason = info.reason
        self.metadata = dict(info.metadata)


class Client:
    """Calls one sidecar; safe to use from many threads.

    Args:
        target: HOST:PORT, or ``unix:PATH``.
        timeout: Seconds a call may take. Somebody is typing: keep it short.
        channel: Use this channel (for TLS, pools) instead of opening one.
    """

    def __init__(
        self,
        target: str = "127.0.0.1:50051",
        *,
        timeout: float = 1.0,
        channel: grpc.Channel | None = None,
    ) -> None:
        self._channel = grpc.insecure_channel(target) if channel is None else channel
        self._timeout = timeout
        self._stub = CompletionServiceStub(self._channel)

    def complete(
        self,
        prefix: str,
        *,
        previous: Sequence[str] = (),
        session: str = "",
        limit: int = 0,
        index: str = "",
        sequence: int = 0,
        sources: Sequence[SuggestionSource] = (),
    ) -> CompleteResponse:
        """Return completions.

        Args:
            prefix: What was typed.
            previous: The session's queries, most recent first; if given, the
                sidecar looks up no session.
            session: Id of a session whose queries were recorded.
            limit: Suggestions wanted, 10 by default, at most 100.
            index: Name of the index; the default one if empty.
            sequence: Echoed, to tell an old reply from a new one.
            sources: Where suggestions may come from; everywhere if empty.

        Raises:
            CallError: The call failed.
        """
        request = CompleteRequest(
            prefix=prefix,
            previous_queries=previous,
            session_id=session,
            max_suggestions=limit,
            index=index,
            sequence=sequence,
            allowed_sources=sources,
        )
        try:
            return self._stub.Complete(request, timeout=self._timeout)
        except grpc.RpcError as error:
            raise CallError(error) from None

    def record(
        self, query: str, *, session: str, set_id: str = "", position: int = 0
    ) -> RecordQueryResponse:
        """Report a submitted query.

        Args:
            query: Its text.
            session: Id of the session.
            set_id: ``suggestion_set_id`` of the reply whose suggestion was accepted.
            position: Its place in that reply, from 1 on.

        Raises:
            CallError: The call failed.
        """
        accepted = AcceptedSuggestion(suggestion_set_id=set_id, position=position)
        request = RecordQueryRequest(
            session_id=session, query=query, accepted=accepted if set_id else None
        )
        try:
            return self._stub.RecordQuery(request, timeout=self._timeout)
        except grpc.RpcError as error:
            raise CallError(error) from None

    def delete(self, session: str) -> DeleteSessionResponse:
        """Forget a session.

        Raises:
            CallError: The call failed.
        """
        request = DeleteSessionRequest(session_id=session)
        try:
            return self._stub.DeleteSession(request, timeout=self._timeout)
        except grpc.RpcError as error:
            raise CallError(error) from None

    def close(self) -> None:
        """Close the connection."""
        self._channel.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


def _info_of(error: grpc.RpcError) -> ErrorInfo:
    status = rpc_status.from_call(error)
    for detail in status.details if status else ():
        info = ErrorInfo()
        if detail.Unpack(info):
            return info
    return ErrorInfo()
