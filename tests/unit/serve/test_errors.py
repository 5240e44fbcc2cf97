"""The table from reasons to statuses has no gap on any side."""

from __future__ import annotations

import re
from collections.abc import Iterator

import grpc
from google.rpc.error_details_pb2 import BadRequest, ErrorInfo, RetryInfo

import espalier.client
import espalier.serve.worker
from espalier.errors import EspalierError, IndexCorruptError, LimitError
from espalier.serve.errors import (
    OFFLINE_REASONS,
    STATUS_OF_REASON,
    OverloadedError,
    PrefixTooLongError,
    internal_status,
    status_of,
)
from espalier.v1.error_reason_pb2 import ErrorReason
from tools import gen_proto
from tools.proto_rules import elements_of

PREFIX = "ERROR_REASON_"


def every_error(root: type[EspalierError] = EspalierError) -> Iterator[type[EspalierError]]:
    """Yield ``root`` and everything derived from it."""
    yield root
    for child in root.__subclasses__():
        yield from every_error(child)


def test_every_error_class_has_a_place_in_the_table() -> None:
    """No exception can reach a client without a status and a documented reason."""
    classes = [one for one in every_error() if one is not espalier.client.CallError]

    assert {one.reason for one in classes} <= STATUS_OF_REASON.keys() | OFFLINE_REASONS


def test_every_reason_on_the_wire_is_documented_and_the_reverse() -> None:
    """The table and the enum list the same reasons."""
    documented = {name.removeprefix(PREFIX) for name in ErrorReason.keys()}  # noqa: SIM118

    assert documented - {"UNSPECIFIED"} == set(STATUS_OF_REASON)
    assert documented.isdisjoint(OFFLINE_REASONS)


def test_every_reason_is_raised_somewhere() -> None:
    """A reason nobody raises would be a promise without a keeper."""
    assert {one.reason for one in every_error()} >= set(STATUS_OF_REASON)


def test_the_documented_status_is_the_real_one() -> None:
    """`Status NOT_FOUND.` in a comment is what the table says."""
    comments = elements_of(gen_proto.describe()).comments
    documented = {}
    for name in STATUS_OF_REASON:
        comment = comments[f"espalier.v1.ErrorReason.{PREFIX}{name}"]
        found = re.search(r"Status\s+([A-Z_]+)\.", comment)
        assert found is not None, name
        documented[name] = grpc.StatusCode[found[1]]

    assert documented == dict(STATUS_OF_REASON)


def test_a_field_to_blame_is_named_in_both_details() -> None:
    """ErrorInfo carries reason and metadata, BadRequest the field."""
    error = PrefixTooLongError("prefix is long; shorten it", field="prefix", limit_bytes=1024)

    status = status_of(error)

    info, bad = ErrorInfo(), BadRequest()
    assert status.details[0].Unpack(info)
    assert status.details[1].Unpack(bad)
    assert status.code == grpc.StatusCode.INVALID_ARGUMENT.value[0]
    assert status.message == "prefix is long; shorten it"
    assert (info.reason, info.domain) == ("PREFIX_TOO_LONG", "espalier")
    assert dict(info.metadata) == {"field": "prefix", "limit_bytes": "1024"}
    assert bad.field_violations[0].field == "prefix"
    assert bad.field_violations[0].reason == "PREFIX_TOO_LONG"


def test_an_index_error_carries_its_evidence() -> None:
    """Check, section and offset travel as metadata."""
    status = status_of(IndexCorruptError("bad", check="S4", section="LABL", offset=7))

    info = ErrorInfo()
    assert status.details[0].Unpack(info)
    assert dict(info.metadata) == {"check": "S4", "section": "LABL", "offset": "7"}
    assert len(status.details) == 1


def test_an_overloaded_service_says_when_to_come_back() -> None:
    """RetryInfo carries the delay, ErrorInfo how many wait."""
    status = status_of(OverloadedError(256, 0.25))

    info, retry = ErrorInfo(), RetryInfo()
    assert status.details[0].Unpack(info)
    assert status.details[1].Unpack(retry)
    assert status.code == grpc.StatusCode.RESOURCE_EXHAUSTED.value[0]
    assert (info.reason, dict(info.metadata)) == ("OVERLOADED", {"waiting": "256"})
    assert retry.retry_delay.ToMilliseconds() == 250


def test_an_error_without_a_field_has_no_bad_request() -> None:
    """Only ErrorInfo is left."""
    assert len(status_of(LimitError("too much")).details) == 1


def test_a_fault_says_nothing_but_its_incident() -> None:
    """The client can name the incident; the operator finds it in the log."""
    status = internal_status("cafe")

    info = ErrorInfo()
    assert status.details[0].Unpack(info)
    assert (info.reason, dict(info.metadata)) == ("INTERNAL", {"incident": "cafe"})
    assert status.code == grpc.StatusCode.INTERNAL.value[0]
