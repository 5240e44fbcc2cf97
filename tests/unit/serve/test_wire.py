"""Parsing: what is not a message, and what is not text."""

from __future__ import annotations

import contextlib

import grpc
import pytest
from google.rpc.status_pb2 import Status
from hypothesis import given
from hypothesis import strategies as st

from espalier.serve.errors import MalformedRequestError, RequestTextError
from espalier.serve.wire import Typed, bad_text, methods_of, parse
from espalier.v1.completion_service_pb2 import (
    CompleteRequest,
    CompleteResponse,
    RecordQueryRequest,
)
from tests.unit.serve.fakes import ListLog


def text_field(number: int, value: bytes) -> bytes:
    """Return a length-delimited field of fewer than 128 bytes."""
    return bytes([number << 3 | 2, len(value)]) + value


@given(st.text(), st.lists(st.text()), st.integers(0, 2**64 - 1))
def test_what_was_serialised_parses(prefix: str, previous: list[str], sequence: int) -> None:
    """Every valid message comes through unchanged."""
    request = CompleteRequest(prefix=prefix, previous_queries=previous, sequence=sequence)

    assert parse(CompleteRequest, request.SerializeToString()) == request


def test_empty_bytes_are_a_message_of_defaults() -> None:
    """Proto3 leaves out what is default."""
    assert parse(CompleteRequest, b"") == CompleteRequest()


@pytest.mark.parametrize(
    ("data", "field", "offset"),
    [
        (text_field(1, b"\xff"), "prefix", 0),
        (text_field(1, b"abc\xc3("), "prefix", 3),
        (text_field(1, b"\xed\xa0\x80"), "prefix", 0),  # a surrogate in UTF-8
        (text_field(1, b"\xc0\xaf"), "prefix", 0),  # overlong
        (text_field(1, b"\xf4\x90\x80\x80"), "prefix", 0),  # above U+10FFFF
        (text_field(2, b"ok") + text_field(2, b"\x80"), "previous_queries[1]", 0),
        (b"\x20\x05\x30\x96\x01" + text_field(3, b"a\xff"), "session_id", 1),
        (text_field(5, b"\xe2\x82"), "index", 0),
    ],
)
def test_text_that_is_not_utf8_is_located(data: bytes, field: str, offset: int) -> None:
    """The error names the field and the first bad byte, never the text."""
    with pytest.raises(RequestTextError) as caught:
        parse(CompleteRequest, data)

    assert caught.value.field == field
    assert caught.value.metadata == {"offset": str(offset)}
    assert caught.value.reason == "INVALID_TEXT"


def test_text_inside_a_message_is_located_by_its_path() -> None:
    """A field of a field has a dotted path."""
    data = text_field(1, b"s") + text_field(3, text_field(1, b"x\xfe"))

    with pytest.raises(RequestTextError) as caught:
        parse(RecordQueryRequest, data)

    assert caught.value.field == "accepted.suggestion_set_id"


@pytest.mark.parametrize(
    "data",
    [
        b"\x0a",  # a length is missing
        b"\x0a\x05ab",  # shorter than it says
        b"\x0a\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01",  # a length without end
        b"\xff" * 11,  # a tag without end
        b"\x07",  # wire type 7
        b"\x0c",  # a group ends that never began
        b"\x00\x00",  # field number 0
        b"\x09\x01",  # a fixed64 that breaks off
        b"\x0d\x01",  # a fixed32 that breaks off
        b"GET / HTTP/1.1\r\n",
        b'{"prefix": "ni"}',
    ],
)
def test_bytes_that_are_no_message_are_refused(data: bytes) -> None:
    """The error names the message expected."""
    with pytest.raises(MalformedRequestError) as caught:
        parse(CompleteRequest, data)

    assert caught.value.metadata == {"message": "espalier.v1.CompleteRequest"}


@given(st.binary(max_size=200))
def test_any_bytes_parse_or_are_refused(data: bytes) -> None:
    """No bytes raise anything else than the two errors."""
    with contextlib.suppress(MalformedRequestError, RequestTextError):
        parse(CompleteRequest, data)


@given(
    st.lists(st.tuples(st.sampled_from([1, 2, 3, 5]), st.binary(max_size=30)), max_size=6),
    st.integers(0, 2**64 - 1),
)
def test_the_second_reader_agrees_with_the_parser(
    fields: list[tuple[int, bytes]], sequence: int
) -> None:
    """On well-formed bytes, some text is located exactly if the parser refuses."""
    data = CompleteRequest(sequence=sequence).SerializeToString()
    data += b"".join(text_field(number, value) for number, value in fields)
    located = list(bad_text(data, CompleteRequest.DESCRIPTOR))

    if located:
        with pytest.raises(RequestTextError):
            parse(CompleteRequest, data)
    else:
        parse(CompleteRequest, data)


def test_methods_are_named_in_full_and_end_as_bytes_or_status() -> None:
    """What is raised becomes a status; what nobody foresaw, an incident in the log."""
    log = ListLog()

    def answer(request: CompleteRequest, time_left: float) -> CompleteResponse:
        if request.prefix == "fault":
            raise ValueError("canary")
        return CompleteResponse(prefix=request.prefix, sequence=int(time_left))

    method = methods_of("site.v1.S", [Typed("Complete", CompleteRequest, answer)], log)[
        "/site.v1.S/Complete"
    ]
    good = method.answer(CompleteRequest(prefix="a").SerializeToString(), 7.0)
    malformed = method.answer(b"\x0a\x05ab", 7.0)
    fault = method.answer(CompleteRequest(prefix="fault").SerializeToString(), 7.0)

    assert isinstance(good, bytes)
    assert CompleteResponse.FromString(good) == CompleteResponse(prefix="a", sequence=7)
    assert isinstance(malformed, Status)
    assert malformed.code == grpc.StatusCode.INVALID_ARGUMENT.value[0]
    assert isinstance(fault, Status)
    assert fault.code == grpc.StatusCode.INTERNAL.value[0]
    assert log.names() == ["call_failed"]
    assert "canary" not in f"{fault}{log.events}"
