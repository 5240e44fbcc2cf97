"""Which request gets which answer, without a network."""

from __future__ import annotations

import itertools
import json
from hashlib import sha256
from http import HTTPStatus
from typing import Any

import pytest

from espalier.serve.counters import Counters
from espalier.serve.domain import Completer
from espalier.serve.http.front import Front, Head
from espalier.serve.http.origins import Origins
from espalier.serve.http.replies import Reply
from espalier.serve.products import Retriever
from espalier.serve.reporting import Reporter
from espalier.serve.retrieval_service import RetrievalService
from espalier.serve.service import CompletionService
from espalier.serve.tokens import Guard, Tokens
from espalier.sessions.fake import BreakableStore
from espalier.sessions.memory import MemorySessionStore
from tests.unit.serve.fakes import (
    FakeCatalogue,
    FakeIndex,
    FakeRecorder,
    ListLog,
    at_once,
    indexes_of,
)

SHOP = b"https://shop.example"
JSON = {b"content-type": b"application/json"}


class Site:
    """A front, and everything behind it within reach."""

    def __init__(self, *origins: str, max_age: int = 30, guard: Guard | None = None) -> None:
        """Serve one index; ``origins`` may ask."""
        self.recorder = FakeRecorder()
        self.index = FakeIndex()
        self.sessions = BreakableStore(MemorySessionStore())
        self.log = ListLog()
        self.ready = True
        completer = Completer(
            indexes_of(main=self.index),
            self.sessions,
            context_queries=5,
            log=self.log,
            counters=Counters(),
        )
        self.catalogue = FakeCatalogue()
        retriever = Retriever(indexes_of(main=self.index, shop=self.catalogue))
        self.front = Front(
            CompletionService(
                completer,
                clock=lambda: 0,
                new_set_id=lambda: "set-1",
                reporter=Reporter(
                    self.recorder, late_seconds=60, skew_seconds=60, counters=Counters()
                ),
            ),
            RetrievalService(retriever, clock=lambda: 0, new_set_id=lambda: "set-1"),
            lambda: self.ready,
            origins=Origins(origins, with_tokens=guard is not None),
            max_age=max_age,
            log=self.log,
            guard=guard,
            stopwatch=itertools.count(0, 250_000).__next__,
        )

    def ask(
        self, method: str, target: str | bytes, body: bytes = b"", **headers: bytes | None
    ) -> Reply:
        """Return the reply to a request; bodies are JSON unless the header says something."""
        raw = target if isinstance(target, bytes) else target.encode()
        path, _, query = raw.partition(b"?")
        given = JSON if body else {}
        named = {name.replace("_", "-").encode(): value for name, value in headers.items()}
        kept = {name: value for name, value in {**given, **named}.items() if value is not None}
        head = Head(method, path, query, kept)
        found = self.front.find(head)
        if isinstance(found, Reply):
            return found
        return at_once(self.front.answer(found, head, body))


@pytest.fixture
def site() -> Site:
    """Return a site that no page of another origin may ask."""
    return Site()


def header(reply: Reply, name: bytes) -> bytes | None:
    """Return a header of a reply that has it at most once."""
    found = [value for key, value in reply.headers if key == name]
    assert len(found) <= 1
    return found[0] if found else None


def error(reply: Reply) -> dict[str, Any]:
    """Return the error in a reply, its ErrorInfo and BadRequest beside it."""
    status: dict[str, Any] = json.loads(reply.body)
    details = {one["@type"].rpartition(".")[2]: one for one in status.get("details", [])}
    return {**status, **details}


def test_a_completion_is_the_message_as_json(site: Site) -> None:
    """Names in camel case, defaults included, numbers of 64 bits as text."""
    reply = site.ask("POST", "/v1/complete", b'{"prefix": "nike s", "sequence": 7}')
    document = json.loads(reply.body)

    assert (reply.status, header(reply, b"content-type")) == (200, b"application/json")
    assert document["header"]["indexRevision"] == "mainmain"
    assert document["sequence"] == "7"
    assert [one["displayText"] for one in document["suggestions"]] == ["Nike Shoes", "Nike Socks"]
    assert document["suggestions"][0]["source"] == "SUGGESTION_SOURCE_POPULAR"
    assert document["degradations"] == []
    assert header(reply, b"server-timing") == b"complete;dur=0.250"


def test_get_and_post_answer_the_same(site: Site) -> None:
    """Fields are parameters there, escaped as parameters are."""
    posted = site.ask(
        "POST", "/v1/complete", '{"prefix": "nike ", "previousQueries": ["a+b", "é"]}'.encode()
    )
    got = site.ask("GET", "/v1/complete?prefix=nike+&previousQueries=a%2Bb&previousQueries=%C3%A9")

    assert posted.body == got.body
    assert [("nike ", ("a+b", "é"), 10, None)] * 2 == site.index.asked


def test_head_is_get(site: Site) -> None:
    """Whoever sends it leaves the body out; the headers are the same."""
    got = site.ask("GET", "/v1/complete?prefix=n")

    assert got == site.ask("HEAD", "/v1/complete?prefix=n")


@pytest.mark.parametrize(
    ("target", "kept"),
    [
        ("/v1/complete?prefix=n", b"private, max-age=30"),
        ("/v1/complete?prefix=n&previousQueries=a", b"private, max-age=30"),
        ("/v1/complete?prefix=n&experiment.unit=u", b"private, no-store"),
        ("/v1/complete?prefix=n&sessionId=s", b"private, no-store"),
        ("/suggest?q=n", b"private, max-age=30"),
        ("/healthz", b"private, no-store"),
        ("/v1/complete?prefx=n", b"private, no-store"),
        ("/nowhere", b"private, no-store"),
    ],
)
def test_a_browser_keeps_only_what_stays_true(site: Site, target: str, kept: bytes) -> None:
    """Completions without a session, for a while; nothing else, and nobody but a browser."""
    assert kept == header(site.ask("GET", target), b"cache-control")


def test_nothing_is_kept_where_the_operator_says_so_or_the_answer_is_degraded() -> None:
    """With a store that fails the session is missing, and should not be missing for long."""
    site = Site(max_age=0)
    assert header(site.ask("GET", "/suggest?q=n"), b"cache-control") == b"private, no-store"

    posted = Site().ask("POST", "/v1/complete", b'{"prefix": "n"}')
    assert header(posted, b"cache-control") == b"private, no-store"


def test_a_session_goes_from_queries_to_completions_and_is_forgotten(site: Site) -> None:
    """The three calls share one table, by the id as it is, escapes undone."""
    site.ask("POST", "/v1/queries", b'{"sessionId": "a/b ?", "query": "old socks"}')
    with_session = site.ask("POST", "/v1/complete", b'{"prefix": "nike", "sessionId": "a/b ?"}')
    deleted = site.ask("DELETE", "/v1/sessions/a%2Fb%20%3F")
    after = site.ask("POST", "/v1/complete", b'{"prefix": "nike", "sessionId": "a/b ?"}')

    first = json.loads(with_session.body)["suggestions"][0]
    assert (first["text"], first["source"]) == ("nike socks", "SUGGESTION_SOURCE_MODEL")
    assert deleted.status == 200
    assert json.loads(after.body)["sessionState"] == "SESSION_STATE_NEW"


@pytest.mark.parametrize("kind", [b"text/plain", b"text/plain;charset=UTF-8", None])
def test_a_page_that_closes_may_send_its_query_as_plain_text(site: Site, kind: bytes) -> None:
    """``navigator.sendBeacon`` with a text needs no preflight that way."""
    reply = site.ask("POST", "/v1/queries", b'{"sessionId": "s", "query": "q"}', content_type=kind)

    assert (reply.status, json.loads(reply.body)["sessionState"]) == (200, "SESSION_STATE_NEW")


@pytest.mark.parametrize(
    ("target", "headers"),
    [
        ("/v1/complete", {"content_type": b"text/plain"}),
        ("/v1/complete", {"content_type": None}),
        ("/v1/complete", {"content_type": b"application/json; charset=latin-1"}),
        ("/v1/queries", {"content_type": b"application/x-www-form-urlencoded"}),
        ("/v1/queries", {"content_encoding": b"gzip"}),
    ],
)
def test_other_bodies_are_refused_before_they_are_read(
    site: Site, target: str, headers: dict[str, bytes | None]
) -> None:
    """So a page of another site cannot ask for completions without a preflight."""
    reply = site.ask("POST", target, b"{}", **headers)

    assert reply.status == HTTPStatus.UNSUPPORTED_MEDIA_TYPE
    assert "application/json" in error(reply)["message"]
    assert reply.last


def test_browsers_are_answered_by_their_convention(site: Site) -> None:
    """What was typed and a list of texts, of a type of its own."""
    reply = site.ask("GET", "/suggest?q=nike%20s")

    assert header(reply, b"content-type") == b"application/x-suggestions+json"
    assert json.loads(reply.body) == ["nike s", ["Nike Shoes", "Nike Socks"]]
    assert site.ask("GET", "/suggest?q=n&client=x").status == 400
    assert site.ask("GET", "/suggest?q=n&q=o").status == 400
    assert json.loads(site.ask("GET", "/suggest").body)[0] == ""


def test_health_is_told(site: Site) -> None:
    """The process runs in any case; whether it should be asked changes."""
    assert site.ask("GET", "/readyz").body == b'{"status":"SERVING"}'
    site.ready = False

    assert site.ask("GET", "/healthz").status == 200
    not_ready = site.ask("GET", "/readyz")
    assert (not_ready.status, not_ready.body) == (503, b'{"status":"NOT_SERVING"}')


@pytest.mark.parametrize(
    ("asked", "status", "reason", "field"),
    [
        (("POST", "/v1/complete", b"{"), 400, "MALFORMED_REQUEST", None),
        (("POST", "/v1/complete", b'{"prefix":1}'), 400, "MALFORMED_REQUEST", "prefix"),
        (("POST", "/v1/complete", b'{"prefix":"\xff"}'), 400, "INVALID_TEXT", None),
        (("POST", "/v1/complete", b'{"index":"x"}'), 404, "UNKNOWN_INDEX", "index"),
        (("GET", "/v1/complete?prefix=" + "a" * 1025, b""), 400, "PREFIX_TOO_LONG", "prefix"),
        (("GET", "/v1/complete?prefix=%ff", b""), 400, "INVALID_TEXT", None),
        (("GET", "/v1/complete?" + "&".join(["a=1"] * 300), b""), 400, "MALFORMED_REQUEST", None),
        (("GET", "/v1/complete?allowedSources=0", b""), 400, "INVALID_REQUEST", "allowed_sources"),
        (("POST", "/v1/queries", b'{"query":"a"}'), 400, "NO_SESSION", "session_id"),
        (("POST", "/v1/queries", b'{"sessionId":"a"}'), 400, "EMPTY_QUERY", "query"),
        (("POST", "/v1/events", b"{}"), 400, "INVALID_REQUEST", "events"),
        (
            ("POST", "/v1/events", b'{"events":[{"action":"EVENT_ACTION_IMPRESSION"}]}'),
            400,
            "INVALID_REQUEST",
            "events[0].suggestion_set_id",
        ),
        (
            ("POST", "/v1/events", b'{"events":[{"time":"soon"}]}'),
            400,
            "MALFORMED_REQUEST",
            "events[0].time",
        ),
        (("DELETE", "/v1/sessions/", b""), 400, "NO_SESSION", "session_id"),
        (("DELETE", "/v1/sessions/" + "a" * 200, b""), 400, "SESSION_ID_TOO_LONG", "session_id"),
        (("DELETE", "/v1/sessions/%ff", b""), 400, "INVALID_TEXT", "session_id"),
    ],
)
def test_errors_are_those_of_grpc(
    site: Site, asked: tuple[str, str, bytes], status: int, reason: str, field: str | None
) -> None:
    """The same status, reasons and fields, as JSON, under the HTTP status of the code."""
    reply = site.ask(*asked)
    found = error(reply)

    assert (reply.status, header(reply, b"content-type")) == (status, b"application/json")
    assert (found["ErrorInfo"]["reason"], found["ErrorInfo"]["domain"]) == (reason, "espalier")
    violations = found.get("BadRequest", {}).get("fieldViolations", [{"field": None}])
    assert [field] == [one["field"] for one in violations]


def test_a_store_that_fails_is_said_to_be_unavailable(site: Site) -> None:
    """A query that could not be remembered was not."""
    site.sessions.broken = True
    reply = site.ask("POST", "/v1/queries", b'{"sessionId":"s","query":"q"}')

    assert reply.status == HTTPStatus.SERVICE_UNAVAILABLE
    assert error(reply)["ErrorInfo"]["reason"] == "SESSION_STORE_UNAVAILABLE"


def test_a_fault_says_nothing_but_where_to_look(site: Site) -> None:
    """The log has the incident and no text."""
    site.index.raises = RuntimeError("canary")
    reply = site.ask("GET", "/v1/complete?prefix=canary")
    ((_, event, fields),) = site.log.events

    assert reply.status == HTTPStatus.INTERNAL_SERVER_ERROR
    assert error(reply)["ErrorInfo"]["metadata"]["incident"] == fields["incident"]
    assert (event, fields["method"]) == ("call_failed", "GET /v1/complete")
    assert "canary" not in f"{fields} {reply.body!r}"


@pytest.mark.parametrize(
    "path",
    [
        "/",
        "/v1",
        "/v1/",
        "/v1/complete/",
        "//v1/complete",
        "/v1//complete",
        "/V1/complete",
        "/v1/./complete",
        "/v1/x/../complete",
        "/v1/%63omplete",
        "/v1/complete%00",
        "/v1/complete;x=1",
        "/v1/sessions/a/b",
        "/v1/sessions",
        "/../../etc/passwd",
        "/v1/events/x",
    ],
)
def test_a_path_has_one_spelling(site: Site, path: str) -> None:
    """Nothing is decoded, normalised or guessed before paths are compared."""
    reply = site.ask("DELETE" if "sessions" in path else "GET", path)

    assert reply.status == HTTPStatus.NOT_FOUND
    assert "/v1/complete" in error(reply)["message"]


@pytest.mark.parametrize(
    ("method", "path", "allow"),
    [
        ("PUT", "/v1/complete", b"GET, HEAD, OPTIONS, POST"),
        ("GET", "/v1/queries", b"OPTIONS, POST"),
        ("HEAD", "/v1/queries", b"OPTIONS, POST"),
        ("POST", "/v1/sessions/a", b"DELETE, OPTIONS"),
        ("POST", "/healthz", b"GET, HEAD, OPTIONS"),
        ("TRACE", "/v1/complete", b"GET, HEAD, OPTIONS, POST"),
    ],
)
def test_a_wrong_method_is_told_the_right_ones(
    site: Site, method: str, path: str, allow: bytes
) -> None:
    """By the header that is made for it."""
    reply = site.ask(method, path)

    assert (reply.status, header(reply, b"allow")) == (405, allow)


def test_options_tells_the_methods(site: Site) -> None:
    """No body, no origin: that is no preflight."""
    reply = site.ask("OPTIONS", "/v1/queries")

    assert (reply.status, reply.body, header(reply, b"allow")) == (204, b"", b"OPTIONS, POST")


TOKEN = b"t" * 40
GUARD = Guard(Tokens((sha256(TOKEN).digest(),)))
REQUESTS = [
    ("POST", "/v1/complete", b"{}"),
    ("GET", "/v1/complete?prefix=n", b""),
    ("HEAD", "/suggest?q=n", b""),
    ("GET", "/suggest?q=n", b""),
    ("POST", "/v1/queries", b'{"sessionId":"s","query":"n"}'),
    ("POST", "/v1/events", b"{}"),
    ("DELETE", "/v1/sessions/s", b""),
]


@pytest.mark.parametrize(("method", "target", "body"), REQUESTS)
def test_where_tokens_are_asked_for_every_request_needs_one(
    method: str, target: str, body: bytes
) -> None:
    """Without one nothing is read or done, whatever the body is, and the connection ends."""
    site = Site("https://shop.example", guard=GUARD)
    without = site.ask(method, target, body, origin=SHOP)
    wrong = site.ask(method, target, body, authorization=b"Bearer " + TOKEN[1:])
    right = site.ask(method, target, body, authorization=b"Bearer " + TOKEN)

    assert (without.status, wrong.status) == (401, 401)
    assert header(without, b"www-authenticate") == b'Bearer realm="espalier"'
    assert header(without, b"access-control-allow-origin") == SHOP
    assert header(wrong, b"www-authenticate") == (b'Bearer realm="espalier", error="invalid_token"')
    assert without.last
    assert right.status != 401


def test_probes_and_preflights_need_no_token() -> None:
    """Browsers send none with a preflight, and are told that they may send one later."""
    site = Site("https://shop.example", guard=GUARD)
    preflight = site.ask(
        "OPTIONS", "/v1/complete", origin=SHOP, access_control_request_method=b"POST"
    )

    assert [site.ask("GET", path).status for path in ("/healthz", "/readyz")] == [200, 200]
    assert preflight.status == 204
    assert header(preflight, b"access-control-allow-headers") == b"content-type, authorization"


def test_by_default_no_page_of_another_origin_may_read(site: Site) -> None:
    """Not a header about it, in replies as in preflights."""
    preflight = site.ask(
        "OPTIONS", "/v1/complete", origin=SHOP, access_control_request_method=b"POST"
    )

    assert not [name for name, _ in preflight.headers if name.startswith(b"access-control")]
    assert header(site.ask("GET", "/suggest?q=n", origin=SHOP), b"vary") is None


def test_pages_of_named_origins_may_read() -> None:
    """Replies, errors and preflights say so to them, and to nobody else."""
    site = Site("https://shop.example")
    for target in ("/suggest?q=n", "/suggest?x=n", "/nowhere", "/healthz"):
        allowed = site.ask("GET", target, origin=SHOP)
        other = site.ask("GET", target, origin=b"https://other.example")

        assert header(allowed, b"access-control-allow-origin") == SHOP
        assert header(other, b"access-control-allow-origin") is None
        assert header(allowed, b"vary") == header(other, b"vary") == b"origin"


def test_a_preflight_is_answered_with_methods_headers_and_how_long() -> None:
    """For two hours, so that one keystroke in a few thousand asks first."""
    site = Site("https://shop.example")
    asked = {"origin": SHOP, "access_control_request_method": b"POST"}
    reply = site.ask("OPTIONS", "/v1/complete", **asked)

    assert reply.status == HTTPStatus.NO_CONTENT
    assert header(reply, b"access-control-allow-origin") == SHOP
    assert header(reply, b"access-control-allow-methods") == b"GET, POST"
    assert header(reply, b"access-control-allow-headers") == b"content-type"
    assert header(reply, b"access-control-max-age") == b"7200"
    assert site.ask("OPTIONS", "/nowhere", **asked).status == HTTPStatus.NOT_FOUND


def test_all_pages_may_read_where_the_operator_says_so() -> None:
    """Then the reply does not depend on who asks."""
    reply = Site("*").ask("GET", "/suggest?q=n", origin=SHOP)

    assert header(reply, b"access-control-allow-origin") == b"*"
    assert header(reply, b"vary") is None


@pytest.mark.parametrize(
    ("origins", "headers", "status"),
    [
        ((), {"origin": SHOP, "sec_fetch_site": b"cross-site"}, 403),
        ((), {"origin": SHOP, "sec_fetch_site": b"same-site"}, 403),
        ((), {"origin": SHOP, "sec_fetch_site": b"same-origin"}, 200),
        ((), {}, 200),
        (("https://shop.example",), {"origin": SHOP, "sec_fetch_site": b"cross-site"}, 200),
        (("*",), {"origin": SHOP, "sec_fetch_site": b"cross-site"}, 200),
        (("https://x.example",), {"origin": SHOP, "sec_fetch_site": b"cross-site"}, 403),
    ],
)
def test_a_page_of_another_site_may_not_write(
    origins: tuple[str, ...], headers: dict[str, bytes], status: int
) -> None:
    """A browser sends plain text without asking first; what it says of the page decides."""
    site = Site(*origins)
    body = b'{"sessionId":"s","query":"q"}'
    wrote = site.ask("POST", "/v1/queries", body, content_type=b"text/plain", **headers)
    deleted = site.ask("DELETE", "/v1/sessions/s", **headers)
    event = b'{"events":[{"action":"EVENT_ACTION_ABANDONMENT"}]}'
    told = site.ask("POST", "/v1/events", event, content_type=b"text/plain", **headers)

    assert (wrote.status, deleted.status, told.status) == (status, status, status)


@pytest.mark.parametrize("kind", [b"application/json", b"text/plain", b"text/plain;charset=UTF-8"])
def test_events_are_taken_as_beacons_send_them(site: Site, kind: bytes) -> None:
    """Text needs no question beforehand; fields have either spelling, times are texts."""
    body = {
        "events": [
            {
                "eventId": "e1",
                "action": "EVENT_ACTION_ACCEPTANCE",
                "suggestion_set_id": "q1",
                "sessionId": "s",
                "query": "Nike Socks",
                "position": 2,
            },
            {"action": "EVENT_ACTION_ABANDONMENT", "time": "2001-01-01T00:00:00.5+01:00"},
        ]
    }
    reply = site.ask("POST", "/v1/events", json.dumps(body).encode(), content_type=kind)
    found = json.loads(reply.body)
    ((event,),) = site.recorder.reports

    assert reply.status == HTTPStatus.OK
    assert header(reply, b"cache-control") == b"private, no-store"
    assert {name: found[name] for name in ("recorded", "late", "future", "dropped")} == {
        "recorded": 1,
        "late": 1,
        "future": 0,
        "dropped": 0,
    }
    assert (event.event_id, event.set_id, event.text, event.position) == (
        "e1",
        "q1",
        "Nike Socks",
        2,
    )


def test_what_is_answered_and_submitted_over_http_are_events(site: Site) -> None:
    """A front end that only asks and submits gives reports all they need."""
    site.ask("POST", "/v1/complete", b'{"prefix":"nike","sessionId":"s"}')
    site.ask("POST", "/v1/queries", b'{"query":"nike socks","sessionId":"s"}')
    site.ask("DELETE", "/v1/sessions/s")

    assert [event.action.value for event in site.recorder.told] == ["impression"]
    assert [[event.action.value for event in call] for call in site.recorder.reports] == [
        ["submission"],
        ["forgotten"],
    ]


def test_a_full_queue_is_a_status_that_says_when_to_try_again(site: Site) -> None:
    """The same error as over gRPC."""
    site.recorder.full = True
    body = b'{"events":[{"action":"EVENT_ACTION_ABANDONMENT"}]}'
    reply = site.ask("POST", "/v1/events", body)

    assert reply.status == HTTPStatus.TOO_MANY_REQUESTS
    assert error(reply)["ErrorInfo"]["reason"] == "OVERLOADED"
    assert header(reply, b"retry-after") == b"1"


# ---- products -----------------------------------------------------------------------

PRODUCT = {
    "productId": "id Red tent",
    "title": "Red tent",
    "score": 1.0,
    "modelScore": 0.5,
    "pairedQueries": 7,
    "hostRank": 0,
}


def test_products_are_found_by_parameters_and_by_a_body(site: Site) -> None:
    """The same reply; a browser may keep what was asked for with GET."""
    asked = site.ask("GET", "/v1/retrieve?query=RED&maxProducts=3&filter.allOf=brand:acme")
    body = {"query": "RED", "max_products": 3, "filter": {"all_of": ["brand:acme"]}}
    posted = site.ask("POST", "/v1/retrieve", json.dumps(body).encode())

    assert json.loads(asked.body) == json.loads(posted.body)
    reply = json.loads(asked.body)
    assert reply["products"] == [PRODUCT]
    assert (reply["header"]["index"], reply["productSetId"]) == ("shop", "set-1")
    assert site.catalogue.asked[0] == site.catalogue.asked[1]
    assert header(asked, b"cache-control") == b"private, max-age=30"
    assert header(posted, b"cache-control") == b"private, no-store"


def test_what_cannot_be_retrieved_says_why(site: Site) -> None:
    """As a gRPC client is told, and without the query."""
    reply = site.ask("GET", f"/v1/retrieve?query={'secret' * 200}")

    assert reply.status == HTTPStatus.BAD_REQUEST
    assert b"QUERY_TOO_LONG" in reply.body
    assert b"secret" not in reply.body
    wrong = site.ask("GET", "/v1/retrieve?query=a&index=main")
    assert (wrong.status, b"UNSUPPORTED" in wrong.body) == (HTTPStatus.BAD_REQUEST, True)
