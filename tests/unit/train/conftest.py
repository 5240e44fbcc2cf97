"""Query logs made by hand, for the training tests."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence

import numpy as np
import pytest

from espalier.querylog import QueryLog
from espalier.querylog.attributes import NO_ATTRIBUTES, EventAttributes
from espalier.querylog.report import ReadReport

MakeLog = Callable[..., QueryLog]


def make_log(
    sessions: Sequence[Sequence[str]],
    *,
    users: Sequence[int] | None = None,
    has_users: bool = True,
    has_sessions: bool = True,
    results: dict[str, int] | None = None,
    times: Sequence[int] | None = None,
    attributes: EventAttributes | None = None,
) -> QueryLog:
    """Return the log of these sessions; session ``i`` belongs to ``users[i]`` (default ``i``).

    ``times`` has the second of every event, in the order of the sessions.
    """
    who = list(range(len(sessions))) if users is None else list(users)
    queries = sorted({query for session in sessions for query in session})
    number = {query: i for i, query in enumerate(queries)}
    events = [(number[q], s, who[s]) for s, session in enumerate(sessions) for q in session]
    columns = np.array(events, np.uint32).reshape(-1, 3)
    typed_by = [{user for query, _, user in events if query == i} for i in range(len(queries))]
    return QueryLog(
        queries=queries,
        display=[query.title() for query in queries],
        users=np.array([len(people) for people in typed_by], np.uint32),
        counts=np.bincount(columns[:, 0], minlength=len(queries)).astype(np.uint32),
        event_query=columns[:, 0].copy(),
        event_session=columns[:, 1].copy(),
        event_user=columns[:, 2].copy(),
        event_time=None if times is None else np.array(times, np.int64),
        has_users=has_users,
        has_sessions=has_sessions,
        report=ReadReport((), len(events), len(events), 0, {}, {}, {}),
        attributes=attributes or NO_ATTRIBUTES,
        results=None if results is None else np.array([results.get(q, -1) for q in queries]),
    )


@pytest.fixture(scope="session")
def log_of() -> MakeLog:
    """Return the function that makes a log of sessions."""
    return make_log


@pytest.fixture(scope="session")
def shop_log() -> QueryLog:
    """Return a log of 300 synthetic sessions about a small shop."""
    rng = random.Random(5)  # noqa: S311 - test data
    brands = ["acme", "bolt", "cara", "dune", "élan", "日本"]
    things = ["shoe", "shoes", "shirt", "sock", "lamp", "lantern", "chair", "cable"]
    extras = ["", " red", " blue", " size 9", " cheap", " for kids"]
    sessions = []
    for _ in range(300):
        thing = rng.choice(things)
        session = [thing, f"{rng.choice(brands)} {thing}"]
        session.append(session[-1] + rng.choice(extras))
        sessions.append(session[: rng.randint(1, 3)])
    return make_log(sessions, users=[number // 2 for number in range(300)])
