"""Errors of requests, and the one table from error reasons to gRPC statuses.

An error travels as a class: C status to exception in ``espalier.native``, the
exception's ``reason`` to status code here, and to the client as
``google.rpc.ErrorInfo`` (reasons of ``proto/espalier/v1/error_reason.proto``) and
``google.rpc.BadRequest`` where one field is to blame, or ``google.rpc.RetryInfo``
where time will mend it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Final

import grpc
from google.protobuf.any_pb2 import Any as AnyMessage
from google.rpc.error_details_pb2 import BadRequest, ErrorInfo, RetryInfo
from google.rpc.status_pb2 import Status

from espalier.errors import EspalierError, IndexFileError, InputError
from espalier.serve.control import ControlError, evidence_of

DOMAIN: Final = "espalier"

STATUS_OF_REASON: Final[Mapping[str, grpc.StatusCode]] = MappingProxyType(
    {
        "INTERNAL": grpc.StatusCode.INTERNAL,
        "MALFORMED_REQUEST": grpc.StatusCode.INVALID_ARGUMENT,
        "INVALID_TEXT": grpc.StatusCode.INVALID_ARGUMENT,
        "INVALID_REQUEST": grpc.StatusCode.INVALID_ARGUMENT,
        "LIMIT_EXCEEDED": grpc.StatusCode.INVALID_ARGUMENT,
        "PREFIX_TOO_LONG": grpc.StatusCode.INVALID_ARGUMENT,
        "QUERY_TOO_LONG": grpc.StatusCode.INVALID_ARGUMENT,
        "SESSION_ID_TOO_LONG": grpc.StatusCode.INVALID_ARGUMENT,
        "NO_SESSION": grpc.StatusCode.INVALID_ARGUMENT,
        "EMPTY_QUERY": grpc.StatusCode.INVALID_ARGUMENT,
        "UNKNOWN_INDEX": grpc.StatusCode.NOT_FOUND,
        "UNSUPPORTED": grpc.StatusCode.FAILED_PRECONDITION,
        "SESSION_STORE_UNAVAILABLE": grpc.StatusCode.UNAVAILABLE,
        "OUT_OF_MEMORY": grpc.StatusCode.RESOURCE_EXHAUSTED,
        "STORAGE": grpc.StatusCode.RESOURCE_EXHAUSTED,
        "INDEX_UNAVAILABLE": grpc.StatusCode.UNAVAILABLE,
        "INDEX_MISSING": grpc.StatusCode.NOT_FOUND,
        "INDEX_FORMAT": grpc.StatusCode.FAILED_PRECONDITION,
        "INDEX_VERSION": grpc.StatusCode.FAILED_PRECONDITION,
        "INDEX_CORRUPT": grpc.StatusCode.DATA_LOSS,
        "OVERLOADED": grpc.StatusCode.RESOURCE_EXHAUSTED,
        "PATH_FORBIDDEN": grpc.StatusCode.PERMISSION_DENIED,
        "UNKNOWN_REVISION": grpc.StatusCode.NOT_FOUND,
        "INDEX_ACTIVE": grpc.StatusCode.FAILED_PRECONDITION,
        "NO_PREVIOUS_REVISION": grpc.StatusCode.FAILED_PRECONDITION,
        "WORKER_UNAVAILABLE": grpc.StatusCode.UNAVAILABLE,
        "UNAUTHENTICATED": grpc.StatusCode.UNAUTHENTICATED,
    }
)

# Raised by training, importing, evaluation and start-up only. Should one come out of a call,
# the call is at fault, and the client is told INTERNAL.
OFFLINE_REASONS: Final = frozenset(
    {
        "INDEX_REJECTED",
        "INVALID_CONFIG",
        "INVALID_LOG",
        "INVALID_MATRIX",
        "INVALID_MODEL",
        "INVALID_PAIRS",
        "SESSION_FILE",
    }
)


class RequestError(InputError):
    """A request that cannot be answered as it is.

    Attributes:
        field: Path of the field to blame, as in BadRequest; "" if none.
        metadata: What varies in the message, for machines. No query text.
    """

    def __init__(self, message: str, /, *, field: str = "", **metadata: object) -> None:
        super().__init__(message)
        self.field = field
        self.metadata = {name: str(value) for name, value in metadata.items()}


class UnsupportedRequestError(RequestError):
    """A field asks for what the index lacks."""

    reason = "UNSUPPORTED"


class MalformedRequestError(RequestError):
    """Bytes that are not the request message."""

    reason = "MALFORMED_REQUEST"


class RequestTextError(RequestError):
    """A string of the request that is not UTF-8."""

    reason = "INVALID_TEXT"


class PrefixTooLongError(RequestError):
    """A prefix above the limit."""

    reason = "PREFIX_TOO_LONG"


class QueryTooLongError(RequestError):
    """A query for products above the limit."""

    reason = "QUERY_TOO_LONG"


class SessionIdTooLongError(RequestError):
    """A session id above the limit."""

    reason = "SESSION_ID_TOO_LONG"


class NoSessionError(RequestError):
    """A call that needs a session id and has none."""

    reason = "NO_SESSION"


class EmptyQueryError(RequestError):
    """A submitted query with nothing in it."""

    reason = "EMPTY_QUERY"


class UnknownIndexError(RequestError):
    """A name under which no index is served."""

    reason = "UNKNOWN_INDEX"

    @classmethod
    def among(cls, names: Iterable[str]) -> UnknownIndexError:
        """Return the error for a name that is none of ``names``."""
        served = ",".join(names)
        return cls(
            f"no index of that name is served; leave index empty or use one of: {served}",
            field="index",
            served=served,
        )


class PathForbiddenError(RequestError):
    """A file outside the folders indexes may be loaded from."""

    reason = "PATH_FORBIDDEN"


class UnknownRevisionError(RequestError):
    """A revision that is not loaded."""

    reason = "UNKNOWN_REVISION"


class IndexActiveError(RequestError):
    """A revision that cannot be unloaded, because it answers."""

    reason = "INDEX_ACTIVE"


class NoPreviousRevisionError(RequestError):
    """There is nothing to roll back to."""

    reason = "NO_PREVIOUS_REVISION"


class WorkerUnavailableError(EspalierError):
    """A worker did not acknowledge a change."""

    reason = "WORKER_UNAVAILABLE"


class UnauthenticatedError(RequestError):
    """A call without a token that is valid."""

    reason = "UNAUTHENTICATED"


class OverloadedError(EspalierError):
    """More calls wait than will be answered soon.

    Attributes:
        waiting: How many.
        retry_seconds: When to try again.
    """

    reason = "OVERLOADED"

    def __init__(self, waiting: int, retry_seconds: float, *, what: str = "calls") -> None:
        super().__init__(
            f"{waiting} {what} wait already; retry after {retry_seconds:g} s, and less often"
        )
        self.waiting = waiting
        self.retry_seconds = retry_seconds


def status_of(error: EspalierError) -> Status:
    """Return the status a client gets for ``error``, details included.

    ``error.reason`` must be a key of `STATUS_OF_REASON`.
    """
    field, metadata = _evidence(error)
    if field:
        metadata["field"] = field
    details = [_packed(ErrorInfo(reason=error.reason, domain=DOMAIN, metadata=metadata))]
    if field:
        violation = BadRequest.FieldViolation(
            field=field, description=str(error), reason=error.reason
        )
        details.append(_packed(BadRequest(field_violations=[violation])))
    if isinstance(error, OverloadedError):
        retry = RetryInfo()
        retry.retry_delay.FromNanoseconds(round(error.retry_seconds * 1e9))
        details.append(_packed(retry))
    return Status(code=code_of(error.reason).value[0], message=str(error), details=details)


def internal_status(incident: str) -> Status:
    """Return the status for a fault of the service, which says nothing but ``incident``."""
    info = ErrorInfo(reason="INTERNAL", domain=DOMAIN, metadata={"incident": incident})
    return Status(
        code=grpc.StatusCode.INTERNAL.value[0],
        message=f"a fault of the service; its log says more under incident {incident}",
        details=[_packed(info)],
    )


def code_of(reason: str) -> grpc.StatusCode:
    """Return the status code of a reason."""
    return STATUS_OF_REASON[reason]


def _evidence(error: EspalierError) -> tuple[str, dict[str, str]]:
    match error:
        case RequestError():
            return error.field, dict(error.metadata)
        case IndexFileError():
            return "", evidence_of(error)
        case ControlError():
            return "", dict(error.evidence)
        case OverloadedError():
            return "", {"waiting": str(error.waiting)}
    return "", {}


def _packed(message: ErrorInfo | BadRequest | RetryInfo) -> AnyMessage:
    packed = AnyMessage()
    packed.Pack(message)
    return packed
