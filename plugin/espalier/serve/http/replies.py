"""Replies, and what a status is over HTTP.

An error is the ``google.rpc.Status`` a gRPC client would get, details included, in its
JSON form; the HTTP status follows from its code as ``google/rpc/code.proto`` says.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Final

import grpc
from google.protobuf import json_format
from google.rpc.error_details_pb2 import RetryInfo
from google.rpc.status_pb2 import Status

from espalier.serve.rpc import plain_status

Header = tuple[bytes, bytes]

JSON: Final = b"application/json"
NOT_KEPT: Final = (b"cache-control", b"private, no-store")

_HTTP_OF_CODE: Final[Mapping[int, HTTPStatus]] = {
    code.value[0]: status
    for code, status in {
        grpc.StatusCode.INVALID_ARGUMENT: HTTPStatus.BAD_REQUEST,
        grpc.StatusCode.FAILED_PRECONDITION: HTTPStatus.BAD_REQUEST,
        grpc.StatusCode.OUT_OF_RANGE: HTTPStatus.BAD_REQUEST,
        grpc.StatusCode.UNAUTHENTICATED: HTTPStatus.UNAUTHORIZED,
        grpc.StatusCode.PERMISSION_DENIED: HTTPStatus.FORBIDDEN,
        grpc.StatusCode.NOT_FOUND: HTTPStatus.NOT_FOUND,
        grpc.StatusCode.ABORTED: HTTPStatus.CONFLICT,
        grpc.StatusCode.ALREADY_EXISTS: HTTPStatus.CONFLICT,
        grpc.StatusCode.RESOURCE_EXHAUSTED: HTTPStatus.TOO_MANY_REQUESTS,
        grpc.StatusCode.UNIMPLEMENTED: HTTPStatus.NOT_IMPLEMENTED,
        grpc.StatusCode.UNAVAILABLE: HTTPStatus.SERVICE_UNAVAILABLE,
        grpc.StatusCode.DEADLINE_EXCEEDED: HTTPStatus.GATEWAY_TIMEOUT,
    }.items()
}


@dataclass(frozen=True, slots=True)
class Reply:
    """What goes back.

    Attributes:
        route: Of a refusal, the pattern of the path, "" if there is none such; for counting.
        last: Whether the connection ends with it.
    """

    status: int
    headers: tuple[Header, ...] = ()
    body: bytes = b""
    route: str = ""
    last: bool = False


def reply_of(status: Status, *, route: str = "") -> Reply:
    """Return the reply for a status other than OK."""
    code = _HTTP_OF_CODE.get(status.code, HTTPStatus.INTERNAL_SERVER_ERROR)
    headers = [(b"content-type", JSON), NOT_KEPT]
    for detail in status.details:
        retry = RetryInfo()
        if detail.Unpack(retry):
            seconds = math.ceil(retry.retry_delay.ToTimedelta().total_seconds())
            headers.append((b"retry-after", b"%d" % max(1, seconds)))
    body = json.dumps(json_format.MessageToDict(status), ensure_ascii=False)
    return Reply(code, tuple(headers), body.encode(), route)


def refusal(
    status: HTTPStatus,
    code: grpc.StatusCode,
    message: str,
    *headers: Header,
    route: str = "",
    last: bool = False,
) -> Reply:
    """Return the reply for what HTTP itself has a status for, and gRPC no reason."""
    plain = reply_of(plain_status(code, message))
    return Reply(status, (*plain.headers, *headers), plain.body, route, last)
