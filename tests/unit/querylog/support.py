"""What the tests of the query log share: writing small logs, and a twin in plain Python.

The twin does in a few obvious lines what the package does in SQL: it takes rows that
are already good and cuts, orders, collapses and counts them.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from espalier.querylog import QueryLog, read_log
from espalier.settings import LogSettings
from espalier.text import normalise


@dataclass(frozen=True)
class Typed:
    """One good row."""

    user: str
    query: str
    session: str = ""
    second: int | None = None


@dataclass(frozen=True)
class Twin:
    """What a log must come to."""

    queries: list[str]
    display: list[str]
    users: list[int]
    counts: list[int]
    sessions: list[list[str]]
    people: list[int]


def twin_of(rows: Sequence[Typed], gap_minutes: int = 30) -> Twin:
    """Work a log up the obvious way."""
    people: dict[str, int] = {}
    streams: dict[tuple[int, str], list[tuple[int, int, Typed]]] = defaultdict(list)
    for place, row in enumerate(rows):
        person = people.setdefault(row.user, len(people))
        streams[person, row.session].append((row.second or 0, place, row))
    cut: list[tuple[int, int, list[int], list[Typed]]] = []
    for (person, _), stream in streams.items():
        last = None
        for second, place, row in sorted(stream, key=lambda item: item[:2]):
            if last is None or second - last > gap_minutes * 60:
                cut.append((person, second, [], []))
            last = second
            *_, places, session = cut[-1]
            places.append(place)
            if not session or normalise(session[-1].query) != normalise(row.query):
                session.append(row)
    # Sessions of one person that begin in the same second stand as in the file.
    cut.sort(key=lambda item: (item[0], item[1], min(item[2])))
    events = [(person, row) for person, _, _, session in cut for row in session]
    queries = sorted({normalise(row.query) for _, row in events})
    forms: dict[str, Counter[str]] = {query: Counter() for query in queries}
    typists: dict[str, set[int]] = {query: set() for query in queries}
    for person, row in events:
        forms[normalise(row.query)][" ".join(row.query.split())] += 1
        typists[normalise(row.query)].add(person)
    return Twin(
        queries=queries,
        display=[min(forms[q], key=lambda form: (-forms[q][form], form)) for q in queries],
        users=[len(typists[query]) for query in queries],
        counts=[sum(forms[query].values()) for query in queries],
        sessions=[[normalise(row.query) for row in session] for *_, session in cut],
        people=[person for person, _, _, session in cut for _ in session],
    )


def as_twin(log: QueryLog) -> Twin:
    """Show a log as its twin would look."""
    sessions: list[list[str]] = []
    last = None
    for session, query in zip(log.event_session.tolist(), log.event_query.tolist(), strict=True):
        if session != last:
            sessions.append([])
        sessions[-1].append(log.queries[query])
        last = session
    return Twin(
        log.queries,
        log.display,
        log.users.tolist(),
        log.counts.tolist(),
        sessions,
        log.event_user.tolist(),
    )


def write_tsv(path: Path, header: str, *rows: str) -> Path:
    """Write a TSV log; commas in the arguments stand for tabs."""
    lines = [line.replace(",", "\t") for line in (header, *rows)]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def read(*paths: Path, settings: LogSettings | None = None) -> QueryLog:
    """Read logs with one thread."""
    return read_log(paths, settings or LogSettings(), threads=1)
