"""Whose typing is replayed: people, and the queries of their sessions in order."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby

from espalier.querylog import PairRow, QueryLog


@dataclass(frozen=True, slots=True)
class Session:
    """A session of one person.

    Attributes:
        known: Queries submitted before, oldest first: recorded, not typed.
        queries: Queries to type, in order.
    """

    known: tuple[str, ...]
    queries: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody with sessions, in order.

    Attributes:
        name: Unique among the people of a replay.
    """

    name: str
    sessions: tuple[Session, ...]


def people_of_pairs(rows: Iterable[PairRow]) -> list[Person]:
    """Return the people of a pairs file.

    Rows of one user follow each other; where the previous query of one is the next query
    of the one before, both belong to a session. A row without a user is a person.
    """
    people = []
    numbered = enumerate(rows)
    for (name, _), group in groupby(
        numbered, key=lambda item: (item[1].user or f"row {item[0]}", item[1].user is None)
    ):
        people.append(Person(name, tuple(_chained([row for _, row in group]))))
    return _merged(people)


def people_of_log(log: QueryLog) -> list[Person]:
    """Return the people of a query log, who type every query of every session."""
    found: dict[int, list[Session]] = {}
    events = zip(
        log.event_user.tolist(),
        log.event_session.tolist(),
        log.event_query.tolist(),
        strict=True,
    )
    for (user, _), group in groupby(events, key=lambda event: event[:2]):
        queries = tuple(log.queries[query] for *_, query in group)
        found.setdefault(user, []).append(Session((), queries))
    return [Person(str(user), tuple(sessions)) for user, sessions in found.items()]


def _chained(rows: Sequence[PairRow]) -> Iterable[Session]:
    known: tuple[str, ...] = ()
    queries: list[str] = []
    for row in rows:
        if queries and row.previous_query != queries[-1]:
            yield Session(known, tuple(queries))
            queries = []
        if not queries:
            before = (row.previous_query, *(row.earlier or ()))
            known = tuple(query for query in reversed(before) if query)
        queries.append(row.next_query)
    if queries:
        yield Session(known, tuple(queries))


def _merged(people: Iterable[Person]) -> list[Person]:
    """Join the parts of people whose rows do not stand together."""
    found: dict[str, tuple[Session, ...]] = {}
    for person in people:
        found[person.name] = found.get(person.name, ()) + person.sessions
    return [Person(name, sessions) for name, sessions in found.items()]
