"""Messages in, messages out."""

from __future__ import annotations

import pytest

from espalier.filters import Filter
from espalier.native import Source
from espalier.serve import domain
from espalier.serve.counters import Counters
from espalier.serve.domain import SHORT_SECONDS, Completer
from espalier.serve.errors import RequestError
from espalier.serve.service import CompletionService, new_set_ids
from espalier.sessions.memory import MemorySessionStore
from espalier.v1.completion_service_pb2 import (
    AcceptedSuggestion,
    AttributeFilter,
    CompleteRequest,
    CompleteResponse,
    DeleteSessionRequest,
    RecordQueryRequest,
)
from espalier.v1.core_pb2 import Degradation, ResponseHeader, SessionState, SuggestionSource
from tests.unit.serve.fakes import FakeIndex, ListLog, at_once, indexes_of

NOW = 1_700_000_000_123_456_789


@pytest.fixture
def index() -> FakeIndex:
    """Return the index behind the service."""
    return FakeIndex()


@pytest.fixture
def service(index: FakeIndex) -> CompletionService:
    """Return a service whose clock stands still."""
    completer = Completer(
        indexes_of(main=index),
        MemorySessionStore(),
        context_queries=5,
        log=ListLog(),
        counters=Counters(),
    )
    return CompletionService(completer, clock=lambda: NOW, new_set_id=lambda: "set-1")


def test_a_reply_holds_everything_promised(service: CompletionService) -> None:
    """Header, suggestions in order, echoes, id and session state."""
    reply = service.complete(CompleteRequest(prefix=" NIKE s", max_suggestions=1, sequence=7))

    header = ResponseHeader(index="main", index_revision="mainmain")
    header.server_time.FromNanoseconds(NOW)
    expected = CompleteResponse(
        header=header,
        prefix=" NIKE s",
        sequence=7,
        suggestion_set_id="set-1",
        session_state=SessionState.SESSION_STATE_NONE,
    )
    expected.suggestions.add(
        text="nike shoes",
        display_text="Nike Shoes",
        score=1.0,
        source=SuggestionSource.SUGGESTION_SOURCE_POPULAR,
        matched_code_points=6,
        matched_utf16_units=6,
    )
    assert reply == expected


def test_sessions_are_recorded_found_and_deleted(service: CompletionService) -> None:
    """The state of each step tells its story."""
    new = at_once(service.record_query(RecordQueryRequest(session_id="s", query="Socks")))
    again = at_once(
        service.record_query(
            RecordQueryRequest(
                session_id="s",
                query="socks ",
                accepted=AcceptedSuggestion(suggestion_set_id="set-1", position=2),
            )
        )
    )
    found = service.complete(CompleteRequest(prefix="ni", session_id="s"))
    deleted = at_once(service.delete_session(DeleteSessionRequest(session_id="s")))
    gone = service.complete(CompleteRequest(prefix="ni", session_id="s"))

    assert new.session_state == SessionState.SESSION_STATE_NEW
    assert again.session_state == SessionState.SESSION_STATE_FOUND
    assert found.session_state == SessionState.SESSION_STATE_FOUND
    assert found.suggestions[0].text == "nike socks"
    assert gone.session_state == SessionState.SESSION_STATE_NEW
    assert deleted.header.index == "main"


def test_a_short_deadline_shows_in_the_reply(service: CompletionService) -> None:
    """The client can tell popular completions from real ones."""
    request = CompleteRequest(prefix="n", previous_queries=["camera"])

    assert service.complete(request, SHORT_SECONDS).degradations == []
    assert service.complete(request, 0.0).degradations == [Degradation.DEGRADATION_POPULAR_ONLY]


def test_allowed_sources_become_flags(service: CompletionService, index: FakeIndex) -> None:
    """Empty means everywhere; what a newer client knows is ignored."""
    allowed: list[list[int]] = [[], [1], [2, 3], [4, 99], [1, 1]]
    for numbers in allowed:
        request = CompleteRequest()
        request.allowed_sources.extend(numbers)  # type: ignore[arg-type] # open enum
        service.complete(request)

    assert [asked[3] for asked in index.asked] == [
        None,
        Source.MODEL,
        Source.POPULAR | Source.TAIL,
        Source.CORRECTED,
        Source.MODEL,
    ]


@pytest.mark.parametrize("number", [0, 99])
def test_sources_nobody_knows_are_an_error(service: CompletionService, number: int) -> None:
    """Ignoring them all would mean all sources: the opposite of what was asked."""
    request = CompleteRequest()
    request.allowed_sources.append(number)  # type: ignore[arg-type] # open enum

    with pytest.raises(RequestError, match="allowed_sources"):
        service.complete(request)


@pytest.mark.parametrize(
    ("domain_names", "wire", "prefix"),
    [
        ([one.name for one in domain.SessionState], SessionState, "SESSION_STATE_"),
        ([one.name for one in domain.Degradation], Degradation, "DEGRADATION_"),
        ([one.name for one in Source], SuggestionSource, "SUGGESTION_SOURCE_"),
    ],
)
def test_domain_and_wire_know_the_same_names(
    domain_names: list[str],
    wire: type[SessionState | Degradation | SuggestionSource],
    prefix: str,
) -> None:
    """No value on one side without its twin on the other."""
    assert [f"{prefix}UNSPECIFIED", *(prefix + name for name in domain_names)] == wire.keys()


def test_set_ids_differ_within_and_between_processes() -> None:
    """And fit what a client may send back."""
    one, other = new_set_ids(), new_set_ids()
    ids = [one() for _ in range(1000)] + [other() for _ in range(1000)]

    assert len(set(ids)) == len(ids)
    assert max(len(name) for name in ids) <= domain.MAX_SET_ID_BYTES
    assert all(name.isascii() for name in ids)


def test_a_filter_is_handed_on(service: CompletionService, index: FakeIndex) -> None:
    """Field by field; an absent one is none."""
    service.complete(
        CompleteRequest(
            filter=AttributeFilter(
                all_of=["a:1"], any_of=["b:1", "b:2"], none_of=["c:1"], include_generated=True
            )
        )
    )
    service.complete(CompleteRequest())

    assert [Filter(("a:1",), ("b:1", "b:2"), ("c:1",), keep_generated=True), None] == index.filters


def test_a_request_may_keep_variants(service: CompletionService, index: FakeIndex) -> None:
    """Explained or not; without a word about it they are left out."""
    service.complete(CompleteRequest(keep_variants=True))
    service.complete(CompleteRequest(keep_variants=True, explain=True))
    service.complete(CompleteRequest())

    assert [True, True, False] == index.kept_variants


def test_contributions_come_largest_first_and_add_up(service: CompletionService) -> None:
    """Features that add nothing are left out; what is not known has no value."""
    reply = service.complete(CompleteRequest(prefix="nik", explain=True))
    plain = service.complete(CompleteRequest(prefix="nik"))

    assert 3 == len(reply.suggestions)
    for place, one in enumerate(reply.suggestions, 1):
        average, first, second = one.contributions
        assert ("average", "place", "small") == (average.feature, first.feature, second.feature)
        assert (False, True, False) == tuple(c.HasField("value") for c in one.contributions)
        assert place == first.value
        assert one.score == sum(part.contribution for part in one.contributions)
        del one.contributions[:]
    assert reply == plain
