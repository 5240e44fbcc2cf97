"""What is answered to which request: paths, methods, and the service behind them.

======================  ========  ===================================================
``/v1/complete``        POST      CompleteRequest as JSON
``/v1/complete``        GET       its fields as parameters; lists by repetition
``/v1/retrieve``        POST      RetrieveRequest as JSON
``/v1/retrieve``        GET       its fields as parameters, as above
``/v1/queries``         POST      RecordQueryRequest as JSON, also as ``text/plain``
``/v1/events``          POST      RecordEventsRequest as JSON, also as ``text/plain``
``/v1/sessions/{id}``   DELETE    forget a session
``/suggest``            GET       ``q`` and ``index``: what the search bars of browsers ask
``/healthz``            GET       the process runs
``/readyz``             GET       send requests here
======================  ========  ===================================================

Fields have the names of the JSON mapping (``previousQueries``), or those of the
messages (``previous_queries``). A path is compared as it came, nothing is decoded or
normalised before, so everything has one spelling. HEAD is GET without the body.

Only completions asked for with GET, without a session and without anything for experiments
may be kept by a browser, and only for as long as `max_age` says: whoever takes back a letter
gets the same list at once. With a session the next answer may be another one; what is
degraded should not last; and a query that was blocked may be shown for no longer than that.
Nothing may be kept by what many people share.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from dataclasses import dataclass, replace
from functools import partial
from http import HTTPStatus
from typing import Final, Protocol
from urllib.parse import unquote_to_bytes

import grpc
from google.protobuf.message import Message
from google.rpc.status_pb2 import Status

from espalier.serve.errors import MalformedRequestError, RequestTextError
from espalier.serve.http.mapping import from_json, from_parameters, to_json
from espalier.serve.http.origins import Origins
from espalier.serve.http.replies import JSON, NOT_KEPT, Header, Reply, refusal, reply_of
from espalier.serve.later import then
from espalier.serve.log import EventLog
from espalier.serve.tokens import HEADER, Guard
from espalier.serve.wire import guarded_later
from espalier.v1.completion_service_pb2 import (
    CompleteRequest,
    CompleteResponse,
    DeleteSessionRequest,
    DeleteSessionResponse,
    RecordEventsRequest,
    RecordEventsResponse,
    RecordQueryRequest,
    RecordQueryResponse,
)
from espalier.v1.retrieval_service_pb2 import RetrieveRequest, RetrieveResponse

SESSIONS: Final = b"/v1/sessions/"
MAX_PARAMETERS: Final = 256
AUTHORIZATION: Final = HEADER.encode()

_SUGGESTIONS: Final = b"application/x-suggestions+json"
_PLAIN: Final = b"text/plain"


class Completions(Protocol):
    """What answers: `espalier.serve.service.CompletionService`."""

    def complete(self, request: CompleteRequest) -> CompleteResponse:
        """Complete a prefix."""
        ...

    def record_query(
        self, request: RecordQueryRequest
    ) -> RecordQueryResponse | Future[RecordQueryResponse]:
        """Remember a submitted query."""
        ...

    def record_events(
        self, request: RecordEventsRequest
    ) -> RecordEventsResponse | Future[RecordEventsResponse]:
        """Keep what users did."""
        ...

    def delete_session(
        self, request: DeleteSessionRequest
    ) -> DeleteSessionResponse | Future[DeleteSessionResponse]:
        """Forget a session."""
        ...


class Retrievals(Protocol):
    """What finds products: `espalier.serve.retrieval_service.RetrievalService`."""

    def retrieve(self, request: RetrieveRequest) -> RetrieveResponse:
        """Find products for a query."""
        ...


@dataclass(frozen=True, slots=True)
class Head:
    """A request without its body.

    Attributes:
        path, query: As they came, escapes and all; the query without its question mark.
        headers: By lower-case name; of several with one name the last.
    """

    method: str
    path: bytes
    query: bytes
    headers: Mapping[bytes, bytes]


Answer = Callable[[Head, bytes], Reply | Future[Reply]]


@dataclass(frozen=True, slots=True)
class Endpoint:
    """What answers a method on a path.

    Attributes:
        answer: Given head and body; may raise what `guarded` takes.
        types: Content types a body may have; empty if none is read.
        writes: Whether it changes something.
        at_once: Whether it is answered however many requests wait.
        public: Whether it is answered without a token, where requests need one.
    """

    answer: Answer
    types: tuple[bytes, ...] = ()
    writes: bool = False
    at_once: bool = False
    public: bool = False


@dataclass(frozen=True, slots=True)
class Found:
    """An endpoint and the pattern of the path it was found at."""

    route: str
    endpoint: Endpoint


class Front:
    """Answers requests. Safe to use from many threads.

    Args:
        service: What completes, remembers and forgets.
        products: What finds products.
        ready: Whether requests should be sent here.
        origins: Which web pages may ask.
        guard: Who is asked whether a request may be made; ``None`` lets everybody in.
        max_age: Seconds a browser may keep completions without a session.
        log: Told of faults.
        pages: More to answer, by path and method.
        stopwatch: Nanoseconds that only grow; says what a completion took.
    """

    def __init__(
        self,
        service: Completions,
        products: Retrievals,
        ready: Callable[[], bool],
        *,
        origins: Origins,
        max_age: int,
        log: EventLog,
        pages: Mapping[str, Mapping[str, Endpoint]] | None = None,
        stopwatch: Callable[[], int] = time.perf_counter_ns,
        guard: Guard | None = None,
    ) -> None:
        self._service = service
        self._products = products
        self._ready = ready
        self._origins = origins
        self._guard = guard
        self._kept = (b"cache-control", b"private, max-age=%d" % max_age) if max_age else NOT_KEPT
        self._log = log
        self._stopwatch = stopwatch
        healthy = Endpoint(lambda _head, _body: _health(well=True), at_once=True, public=True)
        ready_now = Endpoint(
            lambda _head, _body: _health(well=self._ready()), at_once=True, public=True
        )
        self._routes: Mapping[str, Mapping[str, Endpoint]] = {
            "/v1/complete": {
                "GET": Endpoint(self._complete_parameters),
                "POST": Endpoint(self._complete_body, (JSON,)),
            },
            "/v1/retrieve": {
                "GET": Endpoint(self._retrieve_parameters),
                "POST": Endpoint(self._retrieve_body, (JSON,)),
            },
            "/v1/queries": {"POST": Endpoint(self._record, (JSON, _PLAIN), writes=True)},
            "/v1/events": {"POST": Endpoint(self._events, (JSON, _PLAIN), writes=True)},
            "/v1/sessions/{id}": {"DELETE": Endpoint(self._delete, writes=True)},
            "/suggest": {"GET": Endpoint(self._suggest)},
            "/healthz": {"GET": healthy},
            "/readyz": {"GET": ready_now},
            **(pages or {}),
        }
        self._exact = {route.encode(): route for route in self._routes if "{" not in route}

    def find(self, head: Head) -> Found | Reply:
        """Return what answers a request, or what to answer without reading its body."""
        route = self._route_of(head.path)
        if route is None:
            known = ", ".join(self._routes)
            refused = refusal(
                HTTPStatus.NOT_FOUND, grpc.StatusCode.NOT_FOUND, f"no such path; there are {known}"
            )
            return self.readable(refused, head)
        methods = self._routes[route]
        endpoint = methods.get("GET" if head.method == "HEAD" else head.method)
        if endpoint is None:
            return self.readable(self._without_endpoint(head, route, methods), head)
        refused_for = self._refused(head, endpoint)
        if refused_for is not None:
            return self.readable(replace(refused_for, route=route), head)
        return Found(route, endpoint)

    def answer(self, found: Found, head: Head, body: bytes) -> Reply | Future[Reply]:
        """Return the reply to a request and its body, or what it will be."""
        outcome = guarded_later(
            partial(found.endpoint.answer, head, body), f"{head.method} {found.route}", self._log
        )
        return then(outcome, partial(self._as_reply, head))

    def _as_reply(self, head: Head, outcome: Reply | Status) -> Reply:
        return self.readable(reply_of(outcome) if isinstance(outcome, Status) else outcome, head)

    def readable(self, reply: Reply, head: Head) -> Reply:
        """Return ``reply``, so that the asking page may read it if it is allowed to."""
        more = self._origins.headers_for(head.headers)
        return replace(reply, headers=(*reply.headers, *more)) if more else reply

    def _route_of(self, path: bytes) -> str | None:
        found = self._exact.get(path)
        if found is None and path.startswith(SESSIONS) and b"/" not in path[len(SESSIONS) :]:
            return "/v1/sessions/{id}"
        return found

    def _without_endpoint(self, head: Head, route: str, methods: Mapping[str, Endpoint]) -> Reply:
        names = {*methods, "OPTIONS"} | ({"HEAD"} if "GET" in methods else set())
        allow = ", ".join(sorted(names)).encode()
        if head.method != "OPTIONS":
            return refusal(
                HTTPStatus.METHOD_NOT_ALLOWED,
                grpc.StatusCode.UNIMPLEMENTED,
                f"{route} has no such method; use {', '.join(methods)}",
                (b"allow", allow),
                route=route,
            )
        headers: tuple[Header, ...] = ((b"allow", allow),)
        if b"access-control-request-method" in head.headers:
            headers += self._origins.preflight(head.headers, ", ".join(methods).encode())
        return Reply(HTTPStatus.NO_CONTENT, headers, route=route)

    def _refused(self, head: Head, endpoint: Endpoint) -> Reply | None:
        if self._guard is not None and not endpoint.public:
            given = head.headers.get(AUTHORIZATION)
            status = self._guard.tokens.refusal(given)
            if status is not None:
                # A body that nobody will read need not be sent.
                reply = reply_of(status)
                return replace(reply, headers=(*reply.headers, _challenge(given)), last=True)
        if endpoint.writes and not self._origins.may_write(head.headers):
            return refusal(
                HTTPStatus.FORBIDDEN,
                grpc.StatusCode.PERMISSION_DENIED,
                "pages of this origin may not do that; name it in serve.http_origins",
                last=True,
            )
        if endpoint.types and not _is_of(head.headers, endpoint.types):
            wanted = " or ".join(one.decode() for one in endpoint.types)
            return refusal(
                HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
                grpc.StatusCode.INVALID_ARGUMENT,
                f"send the body as {wanted}, in UTF-8 and without content-encoding",
                last=True,
            )
        return None

    # ---- endpoints -------------------------------------------------------------------

    def _complete_body(self, _head: Head, body: bytes) -> Reply:
        request = from_json(CompleteRequest, body)
        began = self._stopwatch()
        reply = self._service.complete(request)
        return _json(reply, NOT_KEPT, _took(self._stopwatch() - began))

    def _complete_parameters(self, head: Head, _body: bytes) -> Reply:
        request = from_parameters(CompleteRequest, _parameters(head.query))
        began = self._stopwatch()
        reply = self._service.complete(request)
        kept = self._kept if _may_be_kept(request, reply) else NOT_KEPT
        return _json(reply, kept, _took(self._stopwatch() - began))

    def _retrieve_body(self, _head: Head, body: bytes) -> Reply:
        return _json(self._products.retrieve(from_json(RetrieveRequest, body)))

    def _retrieve_parameters(self, head: Head, _body: bytes) -> Reply:
        request = from_parameters(RetrieveRequest, _parameters(head.query))
        return _json(self._products.retrieve(request), self._kept)

    def _record(self, _head: Head, body: bytes) -> Reply | Future[Reply]:
        return then(self._service.record_query(from_json(RecordQueryRequest, body)), _json)

    def _events(self, _head: Head, body: bytes) -> Reply | Future[Reply]:
        return then(self._service.record_events(from_json(RecordEventsRequest, body)), _json)

    def _delete(self, head: Head, _body: bytes) -> Reply | Future[Reply]:
        name = _text(unquote_to_bytes(head.path[len(SESSIONS) :]), "session_id")
        request = DeleteSessionRequest(session_id=name)
        return then(self._service.delete_session(request), _json)

    def _suggest(self, head: Head, _body: bytes) -> Reply:
        pairs = _parameters(head.query)
        given = dict(pairs)
        if not given.keys() <= {"q", "index"} or len(given) < len(pairs):
            raise MalformedRequestError("/suggest takes the parameters q and index once, no others")
        request = CompleteRequest(prefix=given.get("q", ""), index=given.get("index", ""))
        reply = self._service.complete(request)
        document = [request.prefix, [one.display_text for one in reply.suggestions]]
        body = json.dumps(document, ensure_ascii=False, separators=(",", ":")).encode()
        kept = self._kept if _may_be_kept(request, reply) else NOT_KEPT
        return Reply(HTTPStatus.OK, ((b"content-type", _SUGGESTIONS), kept), body)


def _json(message: Message, kept: Header = NOT_KEPT, *more: Header) -> Reply:
    return Reply(HTTPStatus.OK, ((b"content-type", JSON), kept, *more), to_json(message))


def _took(nanoseconds: int) -> Header:
    """Return what pages of this origin may read of the time a completion took."""
    return (b"server-timing", b"complete;dur=%.3f" % (nanoseconds / 1e6))


def _challenge(given: bytes | None) -> Header:
    # As RFC 6750 has it: no error for who sent nothing.
    fault = b"" if given is None else b', error="invalid_token"'
    return (b"www-authenticate", b'Bearer realm="espalier"' + fault)


def _health(*, well: bool) -> Reply:
    status = HTTPStatus.OK if well else HTTPStatus.SERVICE_UNAVAILABLE
    body = b'{"status":"%s"}' % (b"SERVING" if well else b"NOT_SERVING")
    return Reply(status, ((b"content-type", JSON), NOT_KEPT), body)


def _may_be_kept(request: CompleteRequest, reply: CompleteResponse) -> bool:
    # An experiment may begin or end, and its report counts what was asked for.
    own = bool(request.session_id) or request.HasField("experiment")
    return not own and not reply.header.variants and not reply.degradations


def _is_of(headers: Mapping[bytes, bytes], types: tuple[bytes, ...]) -> bool:
    if b"content-encoding" in headers and headers[b"content-encoding"] != b"identity":
        return False
    # What sends none says nothing against plain text.
    given = headers.get(b"content-type", _PLAIN).lower()
    kind, _, parameters = (part.strip() for part in given.partition(b";"))
    utf8 = parameters.replace(b'"', b"").replace(b" ", b"") in {b"", b"charset=utf-8"}
    return kind in types and utf8


def _parameters(query: bytes) -> list[tuple[str, str]]:
    parts = [part for part in query.split(b"&", MAX_PARAMETERS) if part]
    if len(parts) > MAX_PARAMETERS:
        raise MalformedRequestError(
            f"more than {MAX_PARAMETERS} parameters; send them in the body of a POST"
        )
    pairs = [part.replace(b"+", b" ").partition(b"=") for part in parts]
    return [
        (_text(unquote_to_bytes(name), ""), _text(unquote_to_bytes(value), ""))
        for name, _, value in pairs
    ]


def _text(data: bytes, field: str) -> str:
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        raise RequestTextError(
            f"{field or 'a parameter'} is not UTF-8: byte {error.start} of it; "
            "escape text as UTF-8",
            field=field,
            offset=error.start,
        ) from None
