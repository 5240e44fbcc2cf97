"""Between bytes and messages: parsing, calling, and turning errors into statuses.

Were grpcio to parse, malformed requests would end as INTERNAL without details; here
they become INVALID_ARGUMENT, and the log keeps quiet about what clients send.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import DecodeError, Message
from google.rpc.status_pb2 import Status

from espalier.errors import EspalierError, ResourceError
from espalier.serve.errors import (
    STATUS_OF_REASON,
    MalformedRequestError,
    RequestTextError,
    internal_status,
    status_of,
)
from espalier.serve.later import then
from espalier.serve.log import EventLog, place_of
from espalier.serve.rpc import Outcome, Unary

Request = TypeVar("Request", bound=Message)
Response = TypeVar("Response")
Answered = TypeVar("Answered")


@dataclass(frozen=True, slots=True)
class Typed(Generic[Request, Response]):
    """A unary method: its name, its request type and the function that answers.

    Attributes:
        answer: Given the request and the seconds until the caller stops waiting.
        later: Whether the answer may be a future.
    """

    name: str
    request: type[Request]
    answer: Callable[[Request, float], Response]
    later: bool = False


def methods_of(
    service: str, methods: Sequence[Typed[Any, Any]], log: EventLog
) -> Mapping[str, Unary]:
    """Return ``methods`` as functions of bytes, by full name under that of ``service``."""
    return {
        f"/{service}/{method.name}": Unary(
            (_late_behaviour if method.later else _behaviour)(
                method, f"{service}/{method.name}", log
            )
        )
        for method in methods
    }


def _behaviour(
    method: Typed[Request, Any], full_name: str, log: EventLog
) -> Callable[[bytes, float], Outcome]:
    def behave(data: bytes, time_left: float) -> Outcome:
        return guarded(
            lambda: method.answer(parse(method.request, data), time_left).SerializeToString(),
            full_name,
            log,
        )

    return behave


def _late_behaviour(
    method: Typed[Request, Any], full_name: str, log: EventLog
) -> Callable[[bytes, float], Outcome | Future[Outcome]]:
    def behave(data: bytes, time_left: float) -> Outcome | Future[Outcome]:
        return guarded_later(
            lambda: then(
                method.answer(parse(method.request, data), time_left),
                lambda message: message.SerializeToString(),
            ),
            full_name,
            log,
        )

    return behave


def guarded_later(
    answer: Callable[[], Answered | Future[Answered]], method: str, log: EventLog
) -> Answered | Status | Future[Answered | Status]:
    """Return the same as `guarded`; if that is a future, one that never raises."""
    outcome = guarded(answer, method, log)
    if not isinstance(outcome, Future):
        return outcome
    later: Future[Answered | Status] = Future()
    later.set_running_or_notify_cancel()
    outcome.add_done_callback(lambda done: later.set_result(guarded(done.result, method, log)))
    return later


def guarded(answer: Callable[[], Answered], method: str, log: EventLog) -> Answered | Status:
    """Return what ``answer`` returns, or the status for what it raises.

    A fault of the service goes to ``log``, as one of ``method``.
    """
    try:
        return answer()
    except EspalierError as error:
        return _status(error, method, log)
    except MemoryError:
        return status_of(ResourceError("out of memory; retry with back-off"))
    except Exception as error:  # noqa: BLE001 - whatever it is, no traceback may leave
        return _fault(error, method, log)


def _status(error: EspalierError, method: str, log: EventLog) -> Status:
    if error.reason == "INTERNAL" or error.reason not in STATUS_OF_REASON:
        return _fault(error, method, log)
    return status_of(error)


def _fault(error: Exception, method: str, log: EventLog) -> Status:
    incident = uuid.uuid4().hex[:16]
    log.error(
        "call_failed",
        incident=incident,
        method=method,
        exception=type(error).__name__,
        raised_at=place_of(error),
    )
    return internal_status(incident)


# ---- parsing ----------------------------------------------------------------


def parse(kind: type[Request], data: bytes) -> Request:
    """Return the message in ``data``.

    Raises:
        RequestTextError: A string is not UTF-8.
        MalformedRequestError: ``data`` is no message of this type.
    """
    try:
        return kind.FromString(data)
    except DecodeError:
        pass
    name = kind.DESCRIPTOR.full_name
    try:
        bad = next(bad_text(data, kind.DESCRIPTOR), None)
    except _MalformedError:
        bad = None
    if bad is None:
        raise MalformedRequestError(
            f"the request is not a {name}; check that client and service use the same .proto files",
            message=name,
        )
    field, offset = bad
    raise RequestTextError(
        f"{field} is not UTF-8: byte {offset} of it; send text as UTF-8",
        field=field,
        offset=offset,
    )


class _MalformedError(Exception):
    """The wire format breaks off or makes no sense."""


def bad_text(data: bytes, kind: Any, path: str = "") -> Iterator[tuple[str, int]]:
    """Yield path and first bad byte of every string in ``data`` that is not UTF-8.

    ``data`` should be a message whose descriptor is ``kind``. Reads the wire format itself,
    since the parser only says that something is wrong.

    Raises:
        _MalformedError: There is no reading on.
    """
    seen: dict[int, int] = {}
    for number, value in _fields(data):
        field = kind.fields_by_number.get(number)
        if field is None or value is None:
            continue
        place = path + field.name
        if field.is_repeated:
            place = f"{place}[{seen.get(number, 0)}]"
            seen[number] = seen.get(number, 0) + 1
        if field.type == FieldDescriptor.TYPE_STRING:
            try:
                value.decode()
            except UnicodeDecodeError as error:
                yield place, error.start
        elif field.type == FieldDescriptor.TYPE_MESSAGE:
            yield from bad_text(value, field.message_type, f"{place}.")


_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5


def _fields(data: bytes) -> Iterator[tuple[int, bytes | None]]:
    """Yield number and, for length-delimited fields, bytes of each field of ``data``."""
    at = 0
    while at < len(data):
        tag, at = _varint(data, at)
        kind = tag & 7
        if kind == _BYTES:
            length, at = _varint(data, at)
            if length > len(data) - at:
                raise _MalformedError
            yield tag >> 3, data[at : at + length]
            at += length
        elif kind == _VARINT:
            _, at = _varint(data, at)
        elif kind in {_FIXED64, _FIXED32}:
            at += 8 if kind == _FIXED64 else 4
        else:
            raise _MalformedError


def _varint(data: bytes, at: int) -> tuple[int, int]:
    value = 0
    for shift in range(0, 70, 7):
        if at >= len(data):
            break
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
    raise _MalformedError
