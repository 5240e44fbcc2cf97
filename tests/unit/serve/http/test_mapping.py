"""JSON to message and back, held to protobuf's own mapping."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from typing import Any

import pytest
from google.protobuf import json_format
from google.protobuf.descriptor import FieldDescriptor
from hypothesis import given
from hypothesis import strategies as st

from espalier.serve.errors import MalformedRequestError, RequestError, RequestTextError
from espalier.serve.http.mapping import from_json, from_parameters, to_json
from espalier.v1 import completion_service_pb2, experiment_service_pb2
from espalier.v1.completion_service_pb2 import (
    CompleteRequest,
    CompleteResponse,
    RecordEventsRequest,
    RecordQueryRequest,
)
from espalier.v1.core_pb2 import SuggestionSource

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
SOURCES = st.sampled_from([*SuggestionSource.values(), 77])
UINT32 = st.integers(0, 2**32 - 1)
UINT64 = st.integers(0, 2**64 - 1)


@st.composite
def requests(draw: st.DrawFn) -> CompleteRequest:
    """Return any request."""
    request = CompleteRequest(
        prefix=draw(TEXT),
        previous_queries=draw(st.lists(TEXT, max_size=3)),
        session_id=draw(TEXT),
        max_suggestions=draw(UINT32),
        sequence=draw(UINT64),
        allowed_sources=draw(st.lists(SOURCES, max_size=3)),  # type: ignore[arg-type]
        previous_query_ages=draw(st.lists(UINT32, max_size=3)),
        explain=draw(st.booleans()),
        keep_variants=draw(st.booleans()),
    )
    if draw(st.booleans()):
        request.experiment.unit = draw(TEXT)
        request.experiment.attributes.update(draw(st.dictionaries(TEXT, TEXT, max_size=2)))
    if draw(st.booleans()):
        request.filter.SetInParent()
        request.filter.all_of.extend(draw(st.lists(TEXT, max_size=2)))
    return request


@st.composite
def responses(draw: st.DrawFn) -> CompleteResponse:
    """Return any response."""
    response = CompleteResponse(
        prefix=draw(TEXT),
        sequence=draw(UINT64),
        session_state=draw(st.integers(0, 9)),  # type: ignore[arg-type]
        degradations=draw(st.lists(st.integers(0, 9), max_size=2)),  # type: ignore[arg-type]
    )
    if draw(st.booleans()):
        response.header.index = draw(TEXT)
        response.header.variants.update(draw(st.dictionaries(TEXT, TEXT, max_size=3)))
        response.header.server_time.FromNanoseconds(draw(st.integers(0, 2**62)))
    for _ in range(draw(st.integers(0, 3))):
        suggestion = response.suggestions.add(
            text=draw(TEXT), score=draw(st.floats()), matched_code_points=draw(UINT32)
        )
        value = draw(st.none() | st.floats())
        suggestion.contributions.add(feature=draw(TEXT), value=value, contribution=0.0)
    return response


def messages_below(descriptor: Any) -> Iterator[Any]:
    """Yield a message type and all that it is made of."""
    yield descriptor
    for field in descriptor.fields:
        if field.message_type is not None:
            yield from messages_below(field.message_type)


def test_every_field_of_every_message_is_of_a_kind_that_is_known() -> None:
    """Another map, bytes or a wrapper in a message of ours would need more than there is here."""
    kinds = [
        *completion_service_pb2.DESCRIPTOR.message_types_by_name.values(),
        *experiment_service_pb2.DESCRIPTOR.message_types_by_name.values(),
    ]
    for message in (one for kind in kinds for one in messages_below(kind)):
        if message.full_name.startswith("google.protobuf"):
            assert message.full_name == "google.protobuf.Timestamp"
            continue
        of_map = message.GetOptions().map_entry
        for field in message.fields:
            assert not of_map or field.type == FieldDescriptor.TYPE_STRING, field.full_name
            assert field.type != FieldDescriptor.TYPE_BYTES, field.full_name


@given(requests(), st.booleans())
def test_what_protobuf_writes_is_read_as_the_same_message(
    request: CompleteRequest, proto_names: bool
) -> None:
    """In both spellings of the names."""
    text = json_format.MessageToJson(request, preserving_proto_field_name=proto_names)

    assert request == from_json(CompleteRequest, text.encode())


@given(responses())
def test_a_reply_is_written_as_protobuf_writes_it(response: CompleteResponse) -> None:
    """Defaults included, so that a page need not ask whether there are suggestions."""
    expected = json_format.MessageToJson(response, always_print_fields_with_no_presence=True)

    assert json.loads(expected) == json.loads(to_json(response))


@given(
    st.dictionaries(
        st.sampled_from([field.json_name for field in CompleteRequest.DESCRIPTOR.fields])
        | st.sampled_from([field.name for field in CompleteRequest.DESCRIPTOR.fields]),
        st.recursive(
            st.none()
            | st.booleans()
            | st.integers(-3, 3)
            | st.floats(allow_nan=False, allow_infinity=False)
            | st.sampled_from(["", "1", "-1", "c", "SUGGESTION_SOURCE_TAIL", "4294967296"]),
            lambda below: (
                st.lists(below, max_size=3)
                | st.dictionaries(st.sampled_from(["allOf", "includeGenerated", "x"]), below)
            ),
            max_leaves=4,
        ),
        max_size=4,
    )
)
def test_nothing_is_accepted_that_protobuf_refuses(document: dict[str, Any]) -> None:
    """And what is accepted means the same."""
    body = json.dumps(document)
    try:
        request = from_json(CompleteRequest, body.encode())
    except RequestError:
        return

    assert json_format.Parse(body, CompleteRequest()) == request


@pytest.mark.parametrize(
    ("body", "field", "says"),
    [
        (b"", "", "no JSON: Expecting value at character 0"),
        (b"[]", "", "the body must be an object"),
        (b"null", "", "the body must be an object"),
        (b'{"prefix": 3}', "prefix", "prefix must be a string"),
        (b'{"prefix": ["a"]}', "prefix", "prefix must be a string"),
        (b'{"maxSuggestions": "many"}', "max_suggestions", "a whole number from 0 to 4294967295"),
        (b'{"maxSuggestions": -1}', "max_suggestions", "a whole number from 0"),
        (b'{"maxSuggestions": 1.5}', "max_suggestions", "a whole number"),
        (b'{"maxSuggestions": true}', "max_suggestions", "a whole number"),
        (b'{"sequence": "18446744073709551616"}', "sequence", "to 18446744073709551615"),
        (b'{"previousQueries": "a"}', "previous_queries", "must be a list"),
        (b'{"previousQueries": ["a", 2]}', "previous_queries[1]", "must be a string"),
        (b'{"previousQueries": [null]}', "previous_queries[0]", "must not be null"),
        (b'{"allowedSources": ["WEB"]}', "allowed_sources[0]", "one of SUGGESTION_SOURCE_UNSPEC"),
        (b'{"explain": 1}', "explain", "true or false"),
        (b'{"filter": []}', "filter", "filter must be an object"),
        (b'{"filter": {"allOf": [7]}}', "filter.all_of[0]", "must be a string"),
        (b'{"filter": {"al_of": []}}', "filter", "did you mean allOf?"),
        (b'{"previosQueries": []}', "", "did you mean previousQueries?"),
        (b'{"experiment": {"attributes": []}}', "experiment.attributes", "must be an object"),
        (b'{"experiment": {"attributes": {"a": 1}}}', "experiment.attributes", "be a string"),
        (b'{"experiment": {"attributes": {"a": null}}}', "experiment.attributes", "have null"),
        (b'{"sessionId": "a", "session_id": "b"}', "session_id", "in both spellings"),
        (b'{"prefix": "a", "prefix": "b"}', "", "stands twice"),
        (b'{"sequence": NaN}', "", "a number that is none"),
        (b"[" * 100_000, "", "too many levels"),
        (b'{"sequence": 1' + b"0" * 5_000 + b"}", "", "no JSON"),
    ],
)
def test_what_is_no_request_is_refused_with_the_field_and_what_may_stand_there(
    body: bytes, field: str, says: str
) -> None:
    """The field is named as gRPC's errors name it."""
    with pytest.raises(MalformedRequestError) as caught:
        from_json(CompleteRequest, body)

    assert says in str(caught.value)
    assert caught.value.field == field
    assert caught.value.metadata["message"] == "espalier.v1.CompleteRequest"


@pytest.mark.parametrize(
    ("body", "field", "offset"),
    [
        (b'{"prefix": "caf\xe9"}', "", "15"),
        (rb'{"prefix": "a\ud83d"}', "prefix", "1"),
        (rb'{"previousQueries": ["a", "\udc00"]}', "previous_queries[1]", "0"),
    ],
)
def test_text_that_is_no_unicode_is_refused(body: bytes, field: str, offset: str) -> None:
    """As bytes that are not UTF-8, or as half a surrogate pair in an escape."""
    with pytest.raises(RequestTextError) as caught:
        from_json(CompleteRequest, body)

    assert (caught.value.field, caught.value.metadata["offset"]) == (field, offset)


@pytest.mark.parametrize(
    "body",
    [
        '{"prefix": {"canary": "canary"}}',
        '{"canary": 1}',
        '{"maxSuggestions": "canary"}',
        '{"allowedSources": ["canary"]}',
        '{"filter": {"canary": ["canary"]}}',
        '{"previousQueries": "canary"}',
        '{"experiment": {"attributes": {"canary": 1}}}',
        '{"experiment": {"attributes": {"canary": {"canary": "canary"}}}}',
        "canary",
        '{"prefix": "canary\\ud800"}',
    ],
)
def test_an_error_never_repeats_what_was_sent(body: str) -> None:
    """Neither values nor names: either may be what somebody typed."""
    with pytest.raises(RequestError) as caught:
        from_json(CompleteRequest, body.encode())

    assert "canary" not in f"{caught.value} {caught.value.field} {caught.value.metadata}"
    assert caught.value.__cause__ is None


def test_parameters_are_fields() -> None:
    """Lists by repetition, fields of messages after a dot, both spellings."""
    request = from_parameters(
        CompleteRequest,
        [
            ("prefix", "c"),
            ("previousQueries", "a"),
            ("previous_queries", "b"),
            ("maxSuggestions", "3"),
            ("explain", "true"),
            ("allowedSources", "SUGGESTION_SOURCE_TAIL"),
            ("filter.allOf", "locale:de"),
            ("experiment.unit", "u-17"),
            ("experiment.forcedVariants.ranking v1.2", "b"),
        ],
    )

    expected = CompleteRequest(
        prefix="c",
        previous_queries=["a", "b"],
        max_suggestions=3,
        explain=True,
        allowed_sources=[SuggestionSource.SUGGESTION_SOURCE_TAIL],
    )
    expected.filter.all_of.append("locale:de")
    expected.experiment.unit = "u-17"
    expected.experiment.forced_variants["ranking v1.2"] = "b"
    assert expected == request


@pytest.mark.parametrize(
    ("parameters", "says"),
    [
        ([("prefix", "a"), ("prefix", "b")], "prefix stands twice"),
        ([("prefx", "a")], "did you mean prefix?"),
        ([("", "a")], "a field that nobody knows"),
        ([("prefix.x", "a")], "prefix has no fields below it"),
        ([("filter", "a")], "filter must be an object"),
        ([("experiment.attributes", "a")], "experiment.attributes is a map"),
        ([("experiment.attributes.a", "1")] * 2, "a name that stands twice"),
        ([("filter.x", "a")], "filter has a field that nobody knows"),
        ([("explain", "yes")], "explain must be true or false"),
        ([("maxSuggestions", "1e3")], "must be a whole number"),
    ],
)
def test_parameters_that_are_no_fields_are_refused(
    parameters: list[tuple[str, str]], says: str
) -> None:
    """As in a body."""
    with pytest.raises(MalformedRequestError, match=says.replace("?", r"\?")):
        from_parameters(CompleteRequest, parameters)


def test_an_empty_message_is_there_and_null_is_not() -> None:
    """A message that holds nothing is not the same as none."""
    assert from_json(RecordQueryRequest, b'{"accepted": {}}').HasField("accepted")
    assert not from_json(RecordQueryRequest, b'{"accepted": null}').HasField("accepted")


def test_numbers_that_json_does_not_have_are_written_as_text() -> None:
    """As the mapping says."""
    response = CompleteResponse()
    for score in (math.nan, math.inf, -math.inf):
        response.suggestions.add(score=score)

    scores = [one["score"] for one in json.loads(to_json(response))["suggestions"]]

    assert ["NaN", "Infinity", "-Infinity"] == scores


@given(st.integers(-62_135_596_800, 253_402_300_799), st.integers(0, 999_999_999))
def test_times_are_read_as_protobuf_writes_them(seconds: int, nanos: int) -> None:
    """From the year 1 to 9999, to the nanosecond."""
    request = RecordEventsRequest()
    request.events.add().time.seconds = seconds
    request.events[0].time.nanos = nanos
    text = json_format.MessageToJson(request)

    assert request == from_json(RecordEventsRequest, text.encode())


@pytest.mark.parametrize("value", ["7", '"yesterday"', '"2026-01-31"', "{}", '{"seconds":7}', "[]"])
def test_what_is_no_time_is_refused_without_being_repeated(value: str) -> None:
    """The error names the field."""
    with pytest.raises(MalformedRequestError) as caught:
        from_json(RecordEventsRequest, f'{{"events":[{{"time":{value}}}]}}'.encode())

    assert caught.value.field == "events[0].time"
    assert "yesterday" not in str(caught.value)
