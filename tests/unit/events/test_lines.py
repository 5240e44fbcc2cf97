"""An event as a line of JSON: what stands where, what is kept of texts, and the way back."""

from __future__ import annotations

import dataclasses
import json
import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from espalier.events import Action, Event, Privacy, TextPolicy, event_of, line_of
from espalier.events.lines import EventLineError, ours_in, stamp_of, time_of

KEY = b"a secret of tests, long enough"
FULL, HASH, NONE = (Privacy(policy, KEY) for policy in TextPolicy)
NOON = 1_769_860_800_123_000_000
CANARY = "Zanzibar Canary"

IMPRESSION = Event(
    Action.IMPRESSION,
    NOON,
    event_id="e1",
    set_id="q1",
    session="session 1",
    unit="user 1",
    intent_id="i1",
    text="te",
    prefix_length=2,
    suggestions=2,
    context=1,
    shown=("tent", "tea"),
    credits=("A", None),
    experiments={"sources": "A"},
    index="default",
    index_revision="0f6a7c12d3e4b589",
    latency_us=120,
)
ACCEPTANCE = Event(
    Action.ACCEPTANCE, NOON, event_id="e2", set_id="q1", text=CANARY, position=3, prefix_length=2
)
SUBMISSION = Event(Action.SUBMISSION, NOON, event_id="e3", session="session 1", text=CANARY)

words = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
names = st.text("abcXYZ019_-", min_size=1, max_size=22)
some = st.none() | st.integers(0, 2**40)


@st.composite
def events(draw: st.DrawFn) -> Event:
    """Return any event a service may write."""
    shown = draw(st.none() | st.lists(words, max_size=4).map(tuple))
    return Event(
        draw(st.sampled_from(Action)),
        draw(st.integers(0, 4_000_000_000_000)) * 1_000_000,
        event_id=draw(names),
        set_id=draw(words),
        session=draw(words),
        unit=draw(words),
        intent_id=draw(words),
        text=draw(st.none() | words),
        position=draw(st.integers(0, 100)),
        prefix_length=draw(some),
        suggestions=draw(some),
        context=draw(some),
        shown=shown,
        credits=None if shown is None else tuple(draw(st.none() | names) for _ in shown),
        experiments=draw(st.none() | st.dictionaries(names, names, min_size=1, max_size=2)),
        index=draw(words),
        index_revision=draw(words),
        latency_us=draw(some),
        degraded=draw(st.booleans()),
        shadow=draw(st.none() | st.dictionaries(names, st.integers(), max_size=2)),
        units=draw(st.none() | st.dictionaries(names, words, min_size=1, max_size=2)),
    )


def document(event: Event, privacy: Privacy = FULL) -> dict[str, Any]:
    """Return the object on the line of an event."""
    line = line_of(event, privacy)
    assert line.endswith(b"\n")
    assert line.count(b"\n") == 1
    found: dict[str, Any] = json.loads(line)
    return found


@given(events())
def test_an_event_comes_back_from_its_line(event: Event) -> None:
    """All but the ids, which come back hashed, and an acceptance's text, normalised."""
    back = event_of(line_of(event, FULL))
    text = back.text if event.action is Action.ACCEPTANCE else event.text
    expected = dataclasses.replace(
        event,
        session=FULL.id(event.session),
        unit=FULL.id(event.unit),
        units=event.units and {name: FULL.id(unit) for name, unit in event.units.items()},
        text=text,
    )

    assert back == expected


@given(events(), st.sampled_from([FULL, HASH, NONE]))
def test_every_line_keeps_the_rules_of_ubi(event: Event, privacy: Privacy) -> None:
    """The fields the schema of version 1.3.0 requires, and its types and lengths."""
    line = document(event, privacy)
    attributes = line["event_attributes"]

    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", line["timestamp"])
    for name in ("application", "action_name", "client_id", "session_id"):
        assert isinstance(line.get(name, ""), str)
        assert len(line.get(name, "")) <= 100
    assert isinstance(attributes["position"]["ordinal"], int)
    if "object" in attributes:
        assert len(attributes["object"]["object_id"]) <= 256


def test_an_impression_says_what_was_shown_to_whom() -> None:
    """The line, field by field: reports are written against it."""
    assert document(IMPRESSION) == {
        "application": "type-ahead",
        "action_name": "impression",
        "query_id": "q1",
        "client_id": FULL.id("user 1"),
        "session_id": FULL.id("session 1"),
        "timestamp": "2026-01-31T12:00:00.123Z",
        "user_query": "te",
        "event_attributes": {
            "position": {"ordinal": 0},
            "espalier": {
                "event_id": "e1",
                "unit": FULL.id("user 1"),
                "intent_id": "i1",
                "experiments": {"sources": "A"},
                "index": "default",
                "index_revision": "0f6a7c12d3e4b589",
                "prefix_length": 2,
                "suggestions": 2,
                "context": 1,
                "shown": ["tent", "tea"],
                "credits": ["A", None],
                "latency_us": 120,
            },
        },
    }


def test_an_acceptance_names_its_object_and_a_submission_its_query() -> None:
    """Both normalised as suggestions are; the submission also as it was typed, for training."""
    accepted, submitted = document(ACCEPTANCE), document(SUBMISSION)

    assert accepted["event_attributes"]["object"] == {"object_id": "zanzibar canary"}
    assert accepted["event_attributes"]["position"] == {"ordinal": 3}
    assert "user_query" not in accepted
    assert submitted["user_query"] == CANARY
    assert submitted["event_attributes"]["espalier"]["query"] == "zanzibar canary"
    assert "query_id" not in submitted
    assert "client_id" not in submitted


@pytest.mark.parametrize("privacy", [HASH, NONE], ids=["hash", "none"])
@pytest.mark.parametrize("event", [IMPRESSION, ACCEPTANCE, SUBMISSION])
def test_no_text_is_in_a_line_that_may_have_none(event: Event, privacy: Privacy) -> None:
    """Neither prefix nor query nor suggestion, whatever its case; and never an id."""
    line = line_of(dataclasses.replace(event, text=CANARY, shown=(CANARY,)), privacy).decode()

    assert "canary" not in line.lower()
    assert "session 1" not in line
    assert "user 1" not in line
    assert document(event, privacy)["event_attributes"]["espalier"]["text"] == privacy.policy.value


def test_hashes_tell_equal_texts_and_nothing_else() -> None:
    """Of texts the normalised form counts; ids are taken as they are; a key changes all."""
    other = Privacy(TextPolicy.HASH, b"another secret, just as long")

    assert HASH.text("Red  TENT") == HASH.text("red tent") != HASH.text("red tents")
    assert HASH.text("red tent") != other.text("red tent")
    assert HASH.id("A") != HASH.id("a")
    assert HASH.id("a") not in str(HASH.text("a"))
    assert HASH.id("") == ""
    assert re.fullmatch(r"[\w-]{22}", HASH.id("a"))


def test_a_hash_is_the_same_on_every_host_and_version() -> None:
    """Files of many hosts are read together, so the bytes are pinned."""
    assert HASH.id("session 1") == "S7Ay1YtCL5Er3mqsoxMNcg"
    assert HASH.text("red tent") == "h:A1z5toVGETtES5dLARcS0A"


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"{",
        b"[]",
        b"null",
        b'{"action_name":"click","timestamp":"2026-01-31T12:00:00Z"}',
        line_of(IMPRESSION, FULL)[:-20],
        line_of(IMPRESSION, FULL).replace(b'"impression"', b'"seen"'),
        line_of(IMPRESSION, FULL).replace(b'"e1"', b"1"),
        line_of(IMPRESSION, FULL).replace(b"12:00:00.123Z", b"12:00:00.123"),
        line_of(IMPRESSION, FULL).replace(b'"latency_us":120', b'"latency_us":"120"'),
        b"[" * 100_000,
        b"\xff\xfe",
    ],
)
def test_what_is_no_event_is_an_error_that_quotes_nothing(line: bytes) -> None:
    """Broken, cut short, of others, or with a value of another type."""
    with pytest.raises(EventLineError) as caught:
        event_of(line)

    assert str(caught.value) == "the line is no event of Espalier"
    assert caught.value.__cause__ is None


def test_events_of_others_are_told_from_ours() -> None:
    """A click of the shop has event_attributes too."""
    assert ours_in(document(SUBMISSION)) is not None
    assert ours_in({"event_attributes": {"position": {"ordinal": 1}}}) is None
    assert ours_in({"event_attributes": {"espalier": {}}}) is None
    assert ours_in({"event_attributes": []}) is None
    assert ours_in({}) is None


@given(st.integers(0, 4_000_000_000_000), st.integers(0, 4_000_000_000_000))
def test_stamps_sort_as_times_do(one: int, other: int) -> None:
    """So readers may compare texts."""
    one, other = one * 1_000_000, other * 1_000_000

    assert (stamp_of(one) < stamp_of(other)) == (one < other)
    assert time_of(stamp_of(one)) == one
