"""A small client of the sidecar.

::

    from espalier.client import Client

    with Client("127.0.0.1:50051") as client:
        client.record("running shoes", session="s1")
        for suggestion in client.complete("ni", session="s1").suggestions:
            print(suggestion.display_text)

What it asks of gRPC any client can ask, in any language: the two service configs beside
this module are plain JSON, as grpc.io documents them.

``service_config.json``
    Retries: a worker of the sidecar that dies costs the calls it was answering,
    UNAVAILABLE, and one that drains may refuse a call that was on its way to it,
    CANCELLED (by the service: a call the client cancels is not retried). All calls are
    safe to repeat. The deadline comes with each call; a ``timeout`` in the config would
    be shortened by up to two seconds in clients on grpc's C core, this one among them.
``service_config_hedging.json``
    The same, but a completion that is not there after 30 ms is asked for once more
    elsewhere, and the first answer counts. For services on several hosts behind one name,
    ``dns:///completion.example``: the second try goes to the next address. Not for one
    sidecar, where it would only add load, and not for clients on the C core, which do not
    know hedging (Java and .NET do).

One channel is one connection, and a connection lives on one worker: a client with a
single channel never uses more than one processor of the sidecar. Give a busy front end
a few channels (``channels=4``), which take turns; the kernel spreads connections over
the workers. It spreads them by chance, so have twice as many as workers, or name the
workers one by one: each has a Unix socket of its own, ``unix:PATH.0`` and so on.
"""

from __future__ import annotations

import itertools
import secrets
from collections.abc import Callable, Sequence
from importlib import resources
from types import TracebackType
from typing import Final, Self, TypeVar

import grpc
from google.protobuf.message import Message
from google.rpc.error_details_pb2 import ErrorInfo
from grpc_status import rpc_status

from espalier.access import Access, Token, read
from espalier.errors import EspalierError
from espalier.v1.completion_service_pb2 import (
    AcceptedSuggestion,
    AttributeFilter,
    CompleteRequest,
    CompleteResponse,
    DeleteSessionRequest,
    DeleteSessionResponse,
    RecordEventsRequest,
    RecordEventsResponse,
    RecordQueryRequest,
    RecordQueryResponse,
    UserEvent,
)
from espalier.v1.completion_service_pb2_grpc import CompletionServiceStub
from espalier.v1.core_pb2 import ExperimentContext, Suggestion, SuggestionSource
from espalier.v1.retrieval_service_pb2 import ProductFilter, RetrieveRequest, RetrieveResponse
from espalier.v1.retrieval_service_pb2_grpc import RetrievalServiceStub

__all__ = ["Access", "CallError", "Client", "Suggestion", "SuggestionSource", "service_config"]

_Reply = TypeVar("_Reply")


def service_config(*, hedging: bool = False) -> str:
    """Return one of the service configs as JSON; clients of this module use the plain one."""
    name = "service_config_hedging.json" if hedging else "service_config.json"
    return resources.files("espalier").joinpath(name).read_text(encoding="utf-8")


_HOW_TO_GET_IN: Final = (
    "; if the service has a certificate, name its authority (--ca, Access.ca), and where it asks "
    "for one of clients, what to show (--certificate and --key); if it has none, name none"
)


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
        details = error.details() or ""
        # All that gRPC says of a server that speaks TLS to who does not, and the other way round.
        kept_out = self.code is grpc.StatusCode.UNAVAILABLE and any(
            sign in details for sign in ("Socket closed", "handshake")
        )
        super().__init__(f"{self.code.name}: {details}{_HOW_TO_GET_IN if kept_out else ''}")
        info = _info_of(error)
        self.reason = info.reason
        self.metadata = dict(info.metadata)


def call(
    method: Callable[..., _Reply], request: Message, timeout: float, token: Token | None = None
) -> _Reply:
    """Return the reply of a stub's method; a ``token`` that was exchanged is tried anew.

    Raises:
        CallError: The call failed.
    """
    for again in (False, True):
        try:
            return method(
                request, timeout=timeout, metadata=None if token is None else token.metadata
            )
        except grpc.RpcError as error:
            failed = CallError(error)
        if again or failed.reason != "UNAUTHENTICATED" or token is None or not token.renewed():
            break
    raise failed


def open_channel(
    access: Access, target: str, options: Sequence[tuple[str, str | int]]
) -> grpc.Channel:
    """Return a channel that gets in as ``access`` says.

    Raises:
        InputError: A file that it names cannot be used.
    """
    if not access.secures(target):
        return grpc.insecure_channel(target, options)
    files = (access.ca, access.key, access.certificate)
    credentials = grpc.ssl_channel_credentials(
        *(None if path is None else read(path) for path in files)
    )
    if access.server_name:
        options = [*options, ("grpc.ssl_target_name_override", access.server_name)]
    return grpc.secure_channel(target, credentials, options)


class Client:
    """Calls one sidecar; safe to use from many threads.

    Args:
        target: HOST:PORT, ``unix:PATH``, or ``dns:///NAME:PORT`` for several hosts.
        timeout: Seconds a call may take, retries included. Somebody is typing: keep it short.
        channels: Connections that calls take turns on; see the top of this module.
        channel: Use this channel, with options of your own, instead of opening any.
        access: How to get in, where that takes TLS or a token.

    Raises:
        InputError: A file that ``access`` names cannot be used.
    """

    def __init__(
        self,
        target: str = "127.0.0.1:50051",
        *,
        timeout: float = 1.0,
        channels: int = 1,
        channel: grpc.Channel | None = None,
        access: Access | None = None,
    ) -> None:
        access = Access() if access is None else access
        self._token = access.token(target)
        if channel is None:
            self._channels = [open_channel(access, target, _options()) for _ in range(channels)]
        else:
            self._channels = [channel]
        self._timeout = timeout
        self._stubs = itertools.cycle([CompletionServiceStub(one) for one in self._channels])
        self._products = itertools.cycle([RetrievalServiceStub(one) for one in self._channels])

    def complete(
        self,
        prefix: str,
        *,
        previous: Sequence[str] = (),
        ages: Sequence[int] = (),
        session: str = "",
        limit: int = 0,
        index: str = "",
        sequence: int = 0,
        sources: Sequence[SuggestionSource] = (),
        all_of: Sequence[str] = (),
        any_of: Sequence[str] = (),
        none_of: Sequence[str] = (),
        include_generated: bool = False,
        explain: bool = False,
        keep_variants: bool = False,
        experiment: ExperimentContext | None = None,
        intent: str = "",
    ) -> CompleteResponse:
        """Return completions.

        Args:
            prefix: What was typed.
            previous: The session's queries, most recent first; if given, the
                sidecar looks up no session.
            ages: Seconds since each of ``previous``, if known.
            session: Id of a session whose queries were recorded.
            limit: Suggestions wanted, 10 by default, at most 100.
            index: Name of the index; the default one if empty.
            sequence: Echoed, to tell an old reply from a new one.
            sources: Where suggestions may come from; everywhere if empty.
            all_of: Attribute values a suggestion must have, as ``["locale:de"]``.
            any_of: Attribute values of which it must have one or more, if there are any.
            none_of: Attribute values it must not have.
            include_generated: With ``all_of`` or ``any_of``, also suggestions that are no
                query of the log and so have no attributes.
            explain: Whether suggestions come with what their scores are made of; slower.
            keep_variants: Whether variants of better suggestions stay: other plurals, word
                orders or spacings.
            experiment: Who asks, for experiments.
            intent: Id of the typing episode, the same for every keystroke of it.

        Raises:
            CallError: The call failed.
        """
        where = AttributeFilter(
            all_of=all_of, any_of=any_of, none_of=none_of, include_generated=include_generated
        )
        request = CompleteRequest(
            prefix=prefix,
            previous_queries=previous,
            previous_query_ages=ages,
            session_id=session,
            max_suggestions=limit,
            index=index,
            sequence=sequence,
            allowed_sources=sources,
            filter=where if all_of or any_of or none_of else None,
            explain=explain,
            keep_variants=keep_variants,
            experiment=experiment,
            intent_id=intent,
        )
        return self._call(next(self._stubs).Complete, request)

    def retrieve(
        self,
        query: str,
        *,
        limit: int = 0,
        index: str = "",
        beam: int = 0,
        all_of: Sequence[str] = (),
        any_of: Sequence[str] = (),
        none_of: Sequence[str] = (),
        previous: Sequence[str] = (),
        host: Sequence[str] = (),
        popular: bool = False,
    ) -> RetrieveResponse:
        """Return products.

        Args:
            query: What was submitted.
            limit: Products wanted, 10 by default, at most 1,000.
            index: Name of the index; the first that holds products if empty.
            beam: Nodes kept per level; as trained if 0.
            all_of: Attribute values a product must have, as ``["category:tools"]``.
            any_of: Attribute values of which it must have one or more, if there are any.
            none_of: Attribute values it must not have.
            previous: The session's queries, most recent first.
            host: Ids another engine found, best first, to be ranked with the others.
            popular: Answer a query nothing is known of with popular products.

        Raises:
            CallError: The call failed.
        """
        where = ProductFilter(all_of=all_of, any_of=any_of, none_of=none_of)
        request = RetrieveRequest(
            query=query,
            max_products=limit,
            index=index,
            beam=beam,
            filter=where if all_of or any_of or none_of else None,
            previous_queries=previous,
            host_products=host,
            popular_if_empty=popular,
        )
        return self._call(next(self._products).Retrieve, request)

    def record(
        self,
        query: str,
        *,
        session: str,
        set_id: str = "",
        position: int = 0,
        unit: str = "",
        intent: str = "",
        event_id: str = "",
        seen: str = "",
    ) -> RecordQueryResponse:
        """Report a submitted query.

        Args:
            query: Its text.
            session: Id of the session.
            set_id: ``suggestion_set_id`` of the reply whose suggestion was accepted.
            position: Its place in that reply, from 1 on.
            unit: Who submitted it, as in ``experiment.unit`` of completions.
            intent: Id of the typing episode that ended.
            event_id: Makes repeated reports one event; a random one where not given, so that
                calls this client repeats by itself are.
            seen: ``suggestion_set_id`` of the last reply where nothing was accepted.

        Raises:
            CallError: The call failed.
        """
        accepted = AcceptedSuggestion(suggestion_set_id=set_id, position=position)
        request = RecordQueryRequest(
            session_id=session,
            query=query,
            accepted=accepted if set_id else None,
            unit=unit,
            intent_id=intent,
            event_id=event_id or secrets.token_urlsafe(12),
            suggestion_set_id=seen,
        )
        return self._call(next(self._stubs).RecordQuery, request)

    def record_events(self, events: Sequence[UserEvent]) -> RecordEventsResponse:
        """Report what the user did, besides submitting queries.

        Args:
            events: 1 to 500 of them, in any order.

        Raises:
            CallError: The call failed; nothing of it is kept.
        """
        request = RecordEventsRequest(events=events)
        return self._call(next(self._stubs).RecordEvents, request)

    def delete(self, session: str) -> DeleteSessionResponse:
        """Forget a session.

        Raises:
            CallError: The call failed.
        """
        request = DeleteSessionRequest(session_id=session)
        return self._call(next(self._stubs).DeleteSession, request)

    def _call(self, method: Callable[..., _Reply], request: Message) -> _Reply:
        return call(method, request, self._timeout, self._token)

    def close(self) -> None:
        """Close the connections."""
        for channel in self._channels:
            channel.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


def _options() -> list[tuple[str, str | int]]:
    """Return channel options for one connection of its own."""
    return [
        ("grpc.service_config", service_config()),
        # Channels with equal options would share a connection.
        ("grpc.use_local_subchannel_pool", 1),
        # A worker is back in less than the second that grpcio would wait.
        ("grpc.initial_reconnect_backoff_ms", 50),
        ("grpc.min_reconnect_backoff_ms", 1_000),
        ("grpc.max_reconnect_backoff_ms", 1_000),
        ("grpc.keepalive_time_ms", 30_000),
        ("grpc.keepalive_timeout_ms", 10_000),
    ]


def _info_of(error: grpc.RpcError) -> ErrorInfo:
    status = rpc_status.from_call(error)
    for detail in status.details if status else ():
        info = ErrorInfo()
        if detail.Unpack(info):
            return info
    return ErrorInfo()
