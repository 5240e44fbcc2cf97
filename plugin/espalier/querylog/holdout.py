"""A log without its held-out users, and the questions those people leave.

What an index is worth shows on people it has never seen. So that tonight's index and
last night's can be asked the same questions, the same people are left out every night:
those whom ``split`` puts above 1 - ``share``, the test users of
``espalier pairs --split`` with that number.

A small log keeps everybody: a handful of held-out users would measure nothing and
cost what they know.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from espalier.querylog.dataset import QueryLog
from espalier.querylog.pairs import prefix_lengths
from espalier.querylog.pairs_file import MAX_EARLIER, PairRow
from espalier.querylog.split import RULE, first_held_out

MIN_USERS: Final = 500
"""A log of fewer people holds nobody out."""

Nobody: TypeAlias = Literal["share is 0", "no users", "few users", "all train"]
"""Why nobody is held out: as asked; the log has neither users nor sessions; it has too
few; or every user is among those who train, as in a log that was split before."""


@dataclass(frozen=True, slots=True, eq=False)
class Split:
    """The two sides of a log.

    Attributes:
        training: The log without the held-out users.
        held_out: Their log; None where nobody is held out.
        share: Of the users, as it was asked for.
        users: People held out.
        nobody: Why there are none; None where there are.
    """

    training: QueryLog
    held_out: QueryLog | None
    share: float
    users: int = 0
    nobody: Nobody | None = None

    def to_json(self) -> dict[str, object]:
        """Return who is held out, as an index records it."""
        return {"share": self.share, "rule": RULE, "users": self.users}


def hold_out(log: QueryLog, share: float) -> Split:
    """Split the users of ``log``; ``share`` of them, 0 to 0.5, is held out."""
    if share <= 0:
        return Split(log, None, share, nobody="share is 0")
    if log.user_point is None:
        return Split(log, None, share, nobody="no users")
    if len(log.user_point) < MIN_USERS:
        return Split(log, None, share, nobody="few users")
    out = log.user_point >= first_held_out(1 - share)
    if not out.any():
        return Split(log, None, share, nobody="all train")
    training, held_out = (only_people(log, out == side) for side in (False, True))
    return Split(training, held_out, share, int(out.sum()))


def pairs_of_held_out(split: Split, seed: int = 1) -> Iterator[PairRow]:
    """Yield the pairs of the held-out users, one prefix each.

    The same rows, in the same order, as ``espalier pairs --split`` writes them with
    this seed; users are numbers. ``seed`` draws the prefix lengths.
    """
    log = split.held_out
    if log is None:
        return
    following = np.flatnonzero(log.event_session[1:] == log.event_session[:-1]) + 1
    lengths = np.array([len(query) for query in log.queries], np.int64)[log.event_query]
    following = following[lengths[following] > 1]
    first = np.searchsorted(log.event_session, log.event_session[following])
    prefixes = prefix_lengths(lengths[following], seed)
    for event, start, prefix in zip(
        following.tolist(), first.tolist(), prefixes.tolist(), strict=True
    ):
        oldest = max(start, event - 1 - MAX_EARLIER)
        previous, *earlier = [log.queries[i] for i in log.event_query[oldest:event][::-1].tolist()]
        wanted = log.queries[log.event_query[event]]
        gap = None
        if log.event_time is not None:
            gap = int(log.event_time[event] - log.event_time[event - 1])
        user = str(log.event_user[event])
        yield PairRow(previous, wanted[:prefix], wanted, user, tuple(earlier), gap)


def only_people(log: QueryLog, people: NDArray[np.bool_]) -> QueryLog:
    """Return the log of some people: their events, their queries, counted anew.

    The form a query is shown in and its number of results are facts about the query
    and stay as they are.
    """
    kept = people[log.event_user]
    query, event_query = np.unique(log.event_query[kept], return_inverse=True)
    member, event_user = np.unique(log.event_user[kept], return_inverse=True)
    _, event_session = np.unique(log.event_session[kept], return_inverse=True)
    typists = np.unique(np.stack([event_query, event_user]), axis=1)[0]
    return dataclasses.replace(
        log,
        queries=[log.queries[i] for i in query.tolist()],
        display=[log.display[i] for i in query.tolist()],
        users=np.bincount(typists, minlength=len(query)).astype(np.uint32),
        counts=np.bincount(event_query, minlength=len(query)).astype(np.uint32),
        event_query=event_query.astype(np.uint32),
        event_session=event_session.astype(np.uint32),
        event_user=event_user.astype(np.uint32),
        event_time=None if log.event_time is None else log.event_time[kept],
        attributes=log.attributes.of_events(kept),
        results=None if log.results is None else log.results[query],
        user_point=None if log.user_point is None else log.user_point[member],
    )
