"""What the service does, without gRPC."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from espalier.errors import EspalierError, InvalidTextError, LimitError, UnsupportedError
from espalier.filters import Filter
from espalier.native import Source
from espalier.serve.counters import Counters
from espalier.serve.domain import (
    SHORT_SECONDS,
    Accepted,
    Completer,
    Degradation,
    Question,
    SessionState,
)
from espalier.serve.errors import (
    EmptyQueryError,
    NoSessionError,
    PrefixTooLongError,
    RequestError,
    SessionIdTooLongError,
    UnknownIndexError,
)
from espalier.sessions.base import SessionStoreError
from espalier.sessions.fake import BreakableStore
from espalier.sessions.memory import MemorySessionStore
from tests.unit.serve.fakes import FakeIndex, ListLog, indexes_of


class Bench:
    """A completer with everything around it within reach."""

    def __init__(self) -> None:
        self.index = FakeIndex()
        self.other = FakeIndex(("nice",))
        self.store = BreakableStore(MemorySessionStore())
        self.log = ListLog()
        self.counters = Counters()
        self.completer = Completer(
            indexes_of(main=self.index, other=self.other),
            self.store,
            context_queries=5,
            log=self.log,
            counters=self.counters,
        )

    def texts(self, question: Question) -> list[str]:
        """Return the texts of the answer."""
        return [one.text for one in self.completer.complete(question).suggestions]


@pytest.fixture
def bench() -> Bench:
    """Return a fresh one."""
    return Bench()


def test_without_context_the_index_decides(bench: Bench) -> None:
    """A question with nothing but a prefix has no session."""
    answer = bench.completer.complete(Question("nik"))

    assert [one.text for one in answer.suggestions] == ["nike shoes", "nike socks", "nikon camera"]
    assert (answer.session, answer.degradations) == (SessionState.NONE, ())
    assert answer.served.name == "main"


def test_both_styles_of_context_give_the_same(bench: Bench) -> None:
    """Bringing a query along and having recorded it are the same context."""
    bench.completer.record("s", "Camera  bags")

    brought = bench.completer.complete(Question("n", previous=("camera bags",)))
    recorded = bench.completer.complete(Question("n", session_id="s"))

    assert brought.suggestions == recorded.suggestions
    assert brought.suggestions[0].text == "nikon camera"
    assert (brought.session, recorded.session) == (SessionState.NONE, SessionState.FOUND)


def test_the_index_hears_how_old_a_session_is(bench: Bench) -> None:
    """From the store, or from a request that says so; one that does not says nothing."""
    bench.completer.record("s", "camera")

    bench.completer.complete(Question("n", session_id="s"))
    bench.completer.complete(Question("n", previous=("camera", "bag"), ages=(5, 70)))
    bench.completer.complete(Question("n", previous=("camera",)))
    bench.completer.complete(Question("n", previous=("camera",), ages=(5,)), 0.001)

    assert bench.index.ages == [(0,), (5, 70), None, None]


def test_ages_that_do_not_fit_the_queries_are_refused(bench: Bench) -> None:
    """The error names the field and both numbers."""
    with pytest.raises(RequestError, match="has 2 numbers for 1 ") as caught:
        bench.completer.complete(Question("n", previous=("camera",), ages=(5, 70)))

    assert caught.value.field == "previous_query_ages"


def test_queries_of_the_request_win_over_the_session(bench: Bench) -> None:
    """The session is not even looked up."""
    bench.completer.record("s", "camera")
    bench.store.broken = True

    answer = bench.completer.complete(Question("n", previous=("shoes",), session_id="s"))

    assert answer.suggestions[0].text == "nike shoes"
    assert answer.session is SessionState.NONE


def test_an_unknown_session_is_new_and_no_error(bench: Bench) -> None:
    """Reading does not bring a session into being."""
    for _ in range(2):
        assert bench.completer.complete(Question("n", session_id="s")).session is SessionState.NEW


@pytest.mark.parametrize("sources", [None, Source.POPULAR, Source.POPULAR | Source.MODEL])
def test_a_short_deadline_gets_popular_completions(bench: Bench, sources: Source | None) -> None:
    """Neither the session nor the previous queries are looked at, and the answer says so."""
    bench.store.broken = True
    for question in (
        Question("n", session_id="s", sources=sources),
        Question("n", previous=("camera",), sources=sources),
    ):
        answer = bench.completer.complete(question, SHORT_SECONDS / 2)

        assert bench.index.asked[-1] == ("n", (), 10, Source.POPULAR)
        assert answer.degradations == (Degradation.POPULAR_ONLY,)
        assert answer.session is SessionState.NONE
    assert bench.log.events == []
    assert bench.counters.snapshot() == {"degraded": {"popular_only": 2}}


def test_a_deadline_that_is_not_short_changes_nothing(bench: Bench) -> None:
    """At the limit all the work is still done."""
    question = Question("n", previous=("camera",))
    answer = bench.completer.complete(question, SHORT_SECONDS)

    assert answer == bench.completer.complete(question)
    assert answer.degradations == ()


def test_a_short_deadline_does_not_widen_what_is_allowed(bench: Bench) -> None:
    """Who does not want popular completions gets what was asked for, late or not."""
    answer = bench.completer.complete(Question("n", sources=Source.MODEL), 0.0)

    assert bench.index.asked[-1][3] is Source.MODEL
    assert answer.degradations == ()


def test_recording_says_whether_the_session_was_known(bench: Bench) -> None:
    """NEW for the first query, FOUND from then on."""
    assert bench.completer.record("s", "a") is SessionState.NEW
    assert bench.completer.record("s", "b") is SessionState.FOUND


def test_a_deleted_session_is_gone_at_once(bench: Bench) -> None:
    """Deleting is idempotent and final."""
    bench.completer.record("s", "camera")
    bench.completer.delete("s")
    bench.completer.delete("s")

    assert bench.completer.complete(Question("n", session_id="s")).session is SessionState.NEW


def test_a_dead_session_store_costs_context_only(bench: Bench) -> None:
    """The completion comes without the session and says so; the log hears of it once."""
    bench.completer.record("s", "camera")
    bench.store.broken = True
    for _ in range(3):
        answer = bench.completer.complete(Question("n", session_id="s"))
        assert len(answer.suggestions) == 4
        assert answer.session is SessionState.UNAVAILABLE
        assert answer.degradations == (Degradation.WITHOUT_SESSION,)
    bench.store.broken = False
    bench.completer.complete(Question("n", session_id="s"))

    assert bench.log.names() == ["session_store_failing", "session_store_recovered"]


def test_what_cannot_be_stored_or_deleted_is_an_error(bench: Bench) -> None:
    """Nobody is told that a session was deleted when it may not have been."""
    bench.store.broken = True

    with pytest.raises(SessionStoreError):
        bench.completer.record("s", "a")
    with pytest.raises(SessionStoreError):
        bench.completer.delete("s")


@pytest.mark.parametrize(
    ("wanted", "k"), [(0, 10), (1, 1), (100, 100), (101, 100), (2**32 - 1, 100)]
)
def test_the_number_of_suggestions_is_coerced(bench: Bench, wanted: int, k: int) -> None:
    """0 is the default, more than the maximum is the maximum."""
    bench.completer.complete(Question("n", limit=wanted))

    assert bench.index.asked[-1][2] == k


def test_an_index_is_chosen_by_name(bench: Bench) -> None:
    """Empty is the first one."""
    assert bench.texts(Question("ni", index="other")) == ["nice"]
    assert bench.texts(Question("new", index="main")) == ["new york"]
    with pytest.raises(UnknownIndexError) as caught:
        bench.completer.complete(Question("ni", index="missing"))
    assert caught.value.metadata == {"served": "main,other"}


def test_sources_are_handed_on(bench: Bench) -> None:
    """The index decides what to do with them."""
    bench.completer.complete(Question("n", sources=Source.POPULAR | Source.TAIL))

    assert bench.index.asked[-1][3] == Source.POPULAR | Source.TAIL


@pytest.mark.parametrize("prefix", ["a" * 1024, "é" * 512, "😀" * 256, "", " ", "\x00", "\u202ea"])
def test_prefixes_up_to_the_limit_are_completed(bench: Bench, prefix: str) -> None:
    """The limit counts bytes of UTF-8; whatever is inside is the index's matter."""
    bench.completer.complete(Question(prefix))

    assert bench.index.asked[-1][0] == prefix


@pytest.mark.parametrize("prefix", ["a" * 1025, "é" * 513, "😀" * 257])
def test_longer_prefixes_are_refused(bench: Bench, prefix: str) -> None:
    """Text beyond the limit never reaches the index."""
    with pytest.raises(PrefixTooLongError):
        bench.completer.complete(Question(prefix))

    assert bench.index.asked == []


def test_a_prefix_that_grows_by_normalisation_is_refused_as_too_long(bench: Bench) -> None:
    """The index finds out; the client gets the same reason."""
    bench.index.raises = LimitError("long")

    with pytest.raises(PrefixTooLongError):
        bench.completer.complete(Question("\ufdfa" * 300))


@pytest.mark.parametrize("session_id", ["x" * 129, "é" * 65])
def test_long_session_ids_are_refused_everywhere(bench: Bench, session_id: str) -> None:
    """Also where previous queries win and the session is not looked up."""
    with pytest.raises(SessionIdTooLongError):
        bench.completer.complete(Question("n", session_id=session_id, previous=("a",)))
    with pytest.raises(SessionIdTooLongError):
        bench.completer.record(session_id, "a")
    with pytest.raises(SessionIdTooLongError):
        bench.completer.delete(session_id)


def test_session_ids_are_taken_as_they_are(bench: Bench) -> None:
    """No trimming, no folding: the id is the host's."""
    bench.completer.record("S " + "x" * 126, "a")

    assert bench.completer.record("S " + "x" * 126, "b") is SessionState.FOUND
    assert bench.completer.record("s " + "x" * 126, "b") is SessionState.NEW


def test_lone_surrogates_are_refused(bench: Bench) -> None:
    """They cannot come by gRPC, but by other ways into the domain."""
    with pytest.raises(InvalidTextError):
        bench.completer.complete(Question("a\ud800"))
    with pytest.raises(InvalidTextError):
        bench.completer.record("s", "a\udfff")
    with pytest.raises(InvalidTextError):
        bench.completer.record("\ud800", "a")


def test_recording_needs_a_session_and_a_query(bench: Bench) -> None:
    """Empty and blank are told apart from a missing session."""
    with pytest.raises(NoSessionError):
        bench.completer.record("", "a")
    with pytest.raises(NoSessionError):
        bench.completer.delete("")
    for blank in ("", "  ", "\t\u3000\x00"):
        with pytest.raises(EmptyQueryError):
            bench.completer.record("s", blank)


def test_long_queries_are_remembered_up_to_the_limit(bench: Bench) -> None:
    """Cutting is harmless; growth by normalisation does not get around it."""
    bench.completer.record("s", "a" * 100_000)
    bench.completer.record("t", "\ufdfa" * 512)

    assert bench.store.recent("s", 1).queries == ("a" * 512,)
    assert len(bench.store.recent("t", 1).queries[0]) <= 512


def test_the_same_query_typed_differently_is_one_query(bench: Bench) -> None:
    """What is remembered is normalised, so repeats collapse."""
    bench.completer.record("s", "Nike  Shoes")
    bench.completer.record("s", "\uff4e\uff49\uff4b\uff45 shoes ")

    assert bench.store.recent("s", 5).queries == ("nike shoes",)


@pytest.mark.parametrize(
    "accepted", [Accepted("", 1), Accepted("x" * 65, 1), Accepted("set", 101), Accepted("set", -1)]
)
def test_an_impossible_acceptance_is_refused(bench: Bench, accepted: Accepted) -> None:
    """And nothing is remembered."""
    with pytest.raises(RequestError):
        bench.completer.record("s", "a", accepted)

    assert bench.store.stats().sessions == 0


def test_an_acceptance_goes_with_its_query(bench: Bench) -> None:
    """The query is remembered as any other."""
    assert bench.completer.record("s", "a", Accepted("set", 3)) is SessionState.NEW


@given(prefix=st.text(), previous=st.lists(st.text(), max_size=3), session=st.text(max_size=40))
def test_any_unicode_gets_an_answer_or_a_typed_error(
    prefix: str, previous: list[str], session: str
) -> None:
    """Nothing but EspalierError leaves the domain, and messages quote no text."""
    bench = Bench()
    said = ""
    try:
        if session:
            bench.completer.record(session, prefix)
        bench.completer.complete(Question(prefix, tuple(previous), session))
    except EspalierError as error:
        said = str(error)

    assert len(prefix) < 8 or prefix not in said


def test_a_filter_reaches_the_index_as_it_is(bench: Bench) -> None:
    """What a suggestion must have is the index's business; nothing is asked where nothing is."""
    where = Filter(all_of=("locale:de",), none_of=("category:x",))

    bench.completer.complete(Question("n", where=where))
    bench.completer.complete(Question("n"))

    assert [where, None] == bench.index.filters


@pytest.mark.parametrize("name", ["all_of", "any_of", "none_of"])
def test_a_filter_has_documented_limits(bench: Bench, name: str) -> None:
    """Too many values, or too long a one, name the field; at the limit all is well."""
    most, longest = ["v"] * 32, "é" * 64

    def ask(values: list[str]) -> None:
        lists: dict[str, Any] = {name: values}
        bench.completer.complete(Question("n", where=Filter(**lists)))

    ask(most)
    ask([longest])
    with pytest.raises(RequestError) as many:
        ask([*most, "v"])
    with pytest.raises(RequestError) as long:
        ask(["v", longest + "e"])

    assert ("INVALID_REQUEST", f"filter.{name}") == (many.value.reason, many.value.field)
    assert {"limit_values": "32"} == many.value.metadata
    assert ("INVALID_REQUEST", f"filter.{name}[1]") == (long.value.reason, long.value.field)
    assert {"limit_bytes": "128"} == long.value.metadata
    assert longest not in str(long.value)


def test_an_index_without_attributes_blames_the_filter(bench: Bench) -> None:
    """The caller learns which field the index cannot serve; other lacks are not its fault."""
    bench.index.raises = UnsupportedError("the index has no attributes")

    with pytest.raises(RequestError) as caught:
        bench.completer.complete(Question("n", where=Filter(all_of=("a:b",))))
    with pytest.raises(UnsupportedError):
        bench.completer.complete(Question("n"))

    assert ("UNSUPPORTED", "filter") == (caught.value.reason, caught.value.field)


def test_explanations_come_with_their_suggestions(bench: Bench) -> None:
    """The same question, explained or not, has the same suggestions."""
    plain = bench.completer.complete(Question("nik", previous=("camera",)))
    answer = bench.completer.complete(Question("nik", previous=("camera",), explain=True))

    assert plain.suggestions == answer.suggestions
    assert answer.suggestions == [one.suggestion for one in answer.explanations]
    assert () == plain.explanations


def test_nothing_is_explained_when_time_is_short(bench: Bench) -> None:
    """Popular completions have one reason, and looking for more would take longer."""
    answer = bench.completer.complete(Question("nik", explain=True), SHORT_SECONDS / 2)

    assert ((Degradation.POPULAR_ONLY,), ()) == (answer.degradations, answer.explanations)
    assert 3 == len(answer.suggestions)
