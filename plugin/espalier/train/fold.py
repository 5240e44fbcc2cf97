"""Questions nobody's answers are known to: what the blender learns from.

A scorer trained on queries its own index has counted would learn to trust counts of
one, and its context more than it should. So part of the users is left out, an index
is trained on the others, and it is asked what the ones left out went on to type.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from espalier.native import FEATURES, Caps, NativeIndex, Scratch, Source
from espalier.querylog import QueryLog, only_people, prefix_lengths

F32 = NDArray[np.float32]
I64 = NDArray[np.int64]

RUN: Final = 8
"""Users are left out in runs of so many, in the order in which they appear in the log:
ids given out one after the other often belong to one person, on both sides of a
finer split."""
FEWEST_USERS: Final = 20
"""Fewer users teach nothing about other users."""
BATCH: Final = 256
"""Questions a thread takes at a time: an interruption waits for no more."""
FEWEST_ANSWERED: Final = 200
"""Questions with the wanted query among other candidates; fewer are noise."""
EMPTY_SHARE: Final = 0.03
"""Share of the questions about the next query as a whole, with nothing typed."""
CUT_SHARE: Final = 0.5
"""Share of the questions whose session is cut short at a random place."""
AGELESS_SHARE: Final = 0.25
"""Share of the questions that do not say how old the session is, as hosts may not."""
SOURCES: Final = int(Source.MODEL | Source.POPULAR | Source.TAIL | Source.CORRECTED)
"""Named one by one: by default an index without a scorer, as the one asked here is,
suggests nothing generated."""
MAX_PREVIOUS: Final = 32
"""Previous queries a completion looks at, at most."""


@dataclass(frozen=True, slots=True, eq=False)
class Fold:
    """A log without some of its users, and the log of those."""

    training: QueryLog
    asked: QueryLog


def choose_fold(log: QueryLog, share: float, seed: int) -> Fold | None:
    """Leave out about ``share`` of the users; None where there are too few."""
    users = int(log.event_user.max()) + 1 if len(log.event_user) else 0
    if users < FEWEST_USERS or share <= 0:
        return None
    run = max(1, min(RUN, users // 40))
    groups = -(-users // run)
    out = np.zeros(groups, bool)
    random = np.random.Generator(np.random.Philox(key=seed))
    out[random.permutation(groups)[: max(1, round(groups * share))]] = True
    left_out = out[np.arange(users) // run]
    return Fold(only_people(log, ~left_out), only_people(log, left_out))


@dataclass(frozen=True, slots=True)
class Asked:
    """Questions as a log poses them: events, what was typed of each, how much came before.

    Attributes:
        event: Number of the event whose query is wanted, ``(n,)``.
        typed: Code points typed of it, ``(n,)``.
        previous: Previous queries known, ``(n,)``.
        aged: Whether their ages are, where the log has times, ``(n,)``.
    """

    event: I64
    typed: I64
    previous: I64
    aged: NDArray[np.bool_]


def pose(log: QueryLog, limit: int, most_previous: int, seed: int) -> Asked:
    """Return at most ``limit`` questions, chosen by ``seed``."""
    lengths = np.array([len(query) for query in log.queries], np.int64)[log.event_query]
    event = np.flatnonzero(lengths > 1)
    random = np.random.Generator(np.random.Philox(key=seed + 1))
    event = np.sort(random.permutation(event)[:limit])
    start = np.searchsorted(log.event_session, log.event_session[event])
    previous = np.minimum(event - start, most_previous)
    typed = prefix_lengths(lengths[event], seed)
    typed[(random.random(len(event)) < EMPTY_SHARE) & (previous > 0)] = 0
    cut = random.random(len(event)) < CUT_SHARE
    previous = np.where(cut, random.integers(0, previous + 1), previous)
    aged = random.random(len(event)) >= AGELESS_SHARE
    # Nothing typed and nothing known is answered by popularity, without a scorer.
    kept = (typed > 0) | (previous > 0)
    return Asked(event[kept], typed[kept], previous[kept], aged[kept])


@dataclass(frozen=True, slots=True)
class Answers:
    """Candidates of the questions that have the wanted query among others.

    Attributes:
        x: Features, ``(rows, features)``.
        group: Candidates of each question, ``(questions,)``.
        relevant: Which were wanted, ``(rows,)``.
        asked: Questions that were asked.
    """

    x: F32
    group: I64
    relevant: NDArray[np.bool_]
    asked: int


def answer(
    index: NativeIndex,
    log: QueryLog,
    questions: Asked,
    threads: int,
    done: Callable[[int], None] = lambda _: None,
) -> Answers:
    """Ask ``index``; the order of the answers is that of the questions, on any number of threads.

    ``done`` is called with a number of questions just asked, from any thread.
    """
    local = threading.local()
    caps = _caps(log)

    def work(batch: I64) -> tuple[list[F32], list[int]]:
        scratch: Scratch | None = getattr(local, "scratch", None)
        if scratch is None:
            scratch = local.scratch = index.scratch(caps)
        found = _answer_batch(scratch, log, questions, batch)
        done(len(batch))
        return found

    n = len(questions.event)
    with ThreadPoolExecutor(threads, "espalier-ask") as pool:
        # An interruption ends the map, which drops the batches nobody has begun.
        results = list(pool.map(work, np.array_split(np.arange(n), -(-n // BATCH) or 1)))
    features = [x for found, _ in results for x in found]
    rows = [row for _, found in results for row in found]
    group = np.array([len(x) for x in features], np.int64)
    relevant = np.zeros(int(group.sum()), bool)
    if len(group):
        relevant[np.cumsum(group) - group + np.array(rows, np.int64)] = True
    x = np.concatenate(features) if features else np.zeros((0, 0), np.float32)
    return Answers(x, group, relevant, len(questions.event))


def _caps(log: QueryLog) -> Caps:
    """Return room for every question the log can pose, also where its queries are long."""
    longest = max((len(query.encode()) for query in log.queries), default=0)
    usual = Caps()
    return Caps(
        previous=MAX_PREVIOUS,
        prefix_bytes=max(usual.prefix_bytes, longest),
        context_bytes=max(usual.context_bytes, MAX_PREVIOUS * longest),
    )


def _answer_batch(
    scratch: Scratch, log: QueryLog, questions: Asked, batch: I64
) -> tuple[list[F32], list[int]]:
    features: list[F32] = []
    rows: list[int] = []
    for number in batch.tolist():
        event = int(questions.event[number])
        first = event - int(questions.previous[number])
        wanted = log.queries[log.event_query[event]]
        previous = [log.queries[i].encode() for i in log.event_query[first:event][::-1].tolist()]
        if previous and previous[0] == wanted.encode():
            continue  # the query just submitted is not offered again
        age = None
        if log.event_time is not None and questions.aged[number]:
            gaps = log.event_time[event] - log.event_time[first:event][::-1]
            age = np.clip(gaps, 0, 2**32 - 1).tolist()
        prefix = wanted[: int(questions.typed[number])].encode()
        scratch.ask(prefix, previous, 10, sources=SOURCES, flags=FEATURES, age=age)
        row = scratch.ranked_row(wanted.encode())
        x = scratch.ranked_features()
        if row is not None and len(x) > 1:
            features.append(x)
            rows.append(row)
    return features, rows
