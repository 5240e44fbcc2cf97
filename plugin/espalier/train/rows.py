"""From a query log to labels and training rows.

A label is a query that may be suggested. A row is one lesson: the previous
queries of the session, the beginning of what was typed next, and the label (in
general: labels) it became. Both are flat arrays; nothing here loops over rows.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from espalier.errors import ConfigError, LogError
from espalier.native import TextTable

if TYPE_CHECKING:
    from espalier.querylog import QueryLog
    from espalier.settings import TrainSettings

U32 = NDArray[np.uint32]
U64 = NDArray[np.uint64]
I64 = NDArray[np.int64]

NO_LABEL = -1


@dataclass(frozen=True, slots=True)
class Labels:
    """The queries that may be suggested, in code-point order.

    Attributes:
        texts: Normalised texts; label ``i`` is ``texts[i]``.
        display: The form each is shown in.
        users: Distinct users who typed it, ``(n,)``.
        query: Which query of the log it is, ``(n,)``.
        of_query: Which label a query of the log is, ``NO_LABEL`` if none.
        without_results: Queries typed by enough users, but left out because the
            search found nothing for them.
    """

    texts: list[str]
    display: list[str]
    users: U32
    query: U32
    of_query: I64
    without_results: int = 0

    def __len__(self) -> int:
        return len(self.texts)


@dataclass(frozen=True, slots=True)
class Rows:
    """Training rows over a table of texts.

    Row ``r`` has the previous queries ``context[context_ptr[r]:context_ptr[r + 1]]``
    (most recent first) and the first ``prefix_bytes[r]`` bytes of ``prefix_text[r]``.
    Which labels it stands for is kept apart, as entries sorted by row, because a
    row may stand for several.

    Attributes:
        user: Who typed it, ``(n,)``; None where the log does not say.
        cost: Factor on the row's cost, ``(n,)``; None for 1 each.
        entry_row, entry_label: Pairs (row, label), rows ascending.
    """

    context_ptr: U64
    context: U32
    prefix_text: U32
    prefix_bytes: U32
    user: U32 | None
    cost: NDArray[np.float32] | None
    entry_row: U32
    entry_label: U32

    def __len__(self) -> int:
        return len(self.prefix_text)


def choose_labels(log: QueryLog, settings: TrainSettings) -> Labels:
    """Return the queries at least ``settings.min_users`` distinct users typed.

    Where the log has numbers of results, a query that last found nothing is left
    out unless ``settings.empty_results`` is set.

    Raises:
        ConfigError: Nobody can count users in this log, and more than one is asked for.
        LogError: No query was typed by that many.
    """
    if settings.min_users > 1 and not (log.has_users or log.has_sessions):
        raise ConfigError(
            f"train.min_users = {settings.min_users} needs to know who typed a query, and the log "
            "has neither a user nor a session column; name the column (log.user_column or "
            "log.session_column), or set min_users=1 to index queries of single persons"
        )
    keep = log.users >= settings.min_users
    enough = int(keep.sum())
    if log.results is not None and not settings.empty_results:
        keep &= log.results != 0
    query = np.flatnonzero(keep).astype(np.uint32)
    if enough and not len(query):
        raise LogError(
            f"none of the {enough:,} queries of {settings.min_users} distinct users has results; "
            "check log.results_column, or set empty_results=true"
        )
    if not len(query):
        most = int(log.users.max()) if len(log.users) else 0
        raise LogError(
            f"no query was typed by {settings.min_users} distinct users (the most common one: "
            f"{most}); give more log, or set a lower min_users"
        )
    of_query = np.where(keep, np.cumsum(keep) - 1, NO_LABEL)
    chosen = query.tolist()
    return Labels(
        texts=[log.queries[i] for i in chosen],
        display=[log.display[i] for i in chosen],
        users=log.users[query],
        query=query,
        of_query=of_query,
        without_results=enough - len(query),
    )


def log_digest(log: QueryLog) -> str:
    """Return a hash of everything training reads from the log."""
    digest = hashlib.blake2b(digest_size=16)
    for texts in (log.queries, log.display):
        digest.update("\0".join(texts).encode())
        digest.update(b"\0\0")
    for array in (log.users, log.event_query, log.event_session, log.event_user):
        digest.update(np.ascontiguousarray(array).tobytes())
        digest.update(b"\0\0")
    for optional in (log.results, log.event_time):
        digest.update(b"" if optional is None else np.ascontiguousarray(optional).tobytes())
        digest.update(b"\0\0")
    if log.attributes.values:
        digest.update("\0".join(log.attributes.values).encode())
        for pairs in (log.attributes.event, log.attributes.value):
            digest.update(b"\0\0")
            digest.update(np.ascontiguousarray(pairs).tobytes())
    for blocked in (log.kept_out.queries, log.kept_out.words):
        digest.update("\0".join(blocked).encode())
        digest.update(b"\0\0")
    if log.kept_out.patterns:
        digest.update("\0".join(log.kept_out.patterns).encode())
        digest.update(b"\0\0")
    digest.update(bytes((log.has_users, log.has_sessions, log.kept_out.numbers)))
    return digest.hexdigest()


def make_rows(log: QueryLog, labels: Labels, table: TextTable, settings: TrainSettings) -> Rows:
    """Return one row per event (and prefix drawn) whose query is a label.

    Raises:
        LogError: No event is left to learn from.
    """
    context = _previous_queries(log, settings.context_queries)
    wanted = labels.of_query[log.event_query] != NO_LABEL
    if not settings.include_first:
        wanted &= context.shape[1] > 0 and context[:, 0] >= 0
    event = np.repeat(np.flatnonzero(wanted), settings.prefixes_per_pair)
    if not len(event):
        raise LogError(
            "no event is left to learn from: every session has a single query; "
            "set include_first=true or name the session column"
        )
    draw = np.tile(np.arange(settings.prefixes_per_pair), len(event) // settings.prefixes_per_pair)
    counter = event * settings.prefixes_per_pair + draw
    uniform = _uniform(settings.seed, len(log.event_query) * settings.prefixes_per_pair)[counter]
    text = log.event_query[event]
    prefix_bytes = _prefix_bytes(table, text, uniform)

    user = log.event_user[event]
    context = _cut(context[event], settings, counter, len(log.event_query))
    kept = _first_of_equal([text, prefix_bytes, user, *context.T])
    context = context[kept]
    present = context >= 0
    known_user = log.has_users or log.has_sessions
    return Rows(
        context_ptr=np.append(0, np.cumsum(present.sum(axis=1))).astype(np.uint64),
        context=context[present].astype(np.uint32),
        prefix_text=text[kept].astype(np.uint32),
        prefix_bytes=prefix_bytes[kept],
        user=user[kept].astype(np.uint32) if known_user else None,
        cost=None,
        entry_row=np.arange(len(kept), dtype=np.uint32),
        entry_label=labels.of_query[text[kept]].astype(np.uint32),
    )


def _cut(context: I64, settings: TrainSettings, counter: I64, n_events: int) -> I64:
    """Forget the older queries of some rows, so that short sessions are learned as well.

    Every row of a share ``context_cut`` keeps 0 to all but one of its previous queries;
    where rows without any are not wanted, 1 at least.
    """
    if settings.context_cut == 0 or context.shape[1] == 0:
        return context
    # Numbers of their own: the prefixes stay what they are without a cut.
    draws = n_events * settings.prefixes_per_pair
    chosen, kept = _uniform(settings.seed, 3 * draws)[draws:].reshape(2, draws)[:, counter]
    least = 0 if settings.include_first else 1
    fewer = least + (kept * ((context >= 0).sum(axis=1) - least)).astype(np.int64)
    left = np.where(chosen < settings.context_cut, fewer, context.shape[1])
    return np.where(np.arange(context.shape[1]) < left[:, np.newaxis], context, -1)


def _previous_queries(log: QueryLog, count: int) -> I64:
    """Return the ``count`` queries before each event in its session, -1 where there is none."""
    query = log.event_query.astype(np.int64)
    session = log.event_session
    previous = np.full((len(query), count), -1, np.int64)
    for back in range(1, min(count, len(query) - 1) + 1):
        same = session[back:] == session[:-back]
        previous[back:, back - 1] = np.where(same, query[:-back], -1)
    return previous


def _uniform(seed: int, count: int) -> NDArray[np.float64]:
    """Return ``count`` numbers in [0, 1), number ``i`` depending on the seed and ``i`` alone.

    Philox (Salmon et al. 2011, "Parallel random numbers: as easy as 1, 2, 3") is
    counter based; its raw output is fixed by its definition, so the rows do not
    change with the numpy version either.
    """
    raw: U64 = np.random.Philox(key=seed).random_raw(count)
    return (raw >> np.uint64(11)).astype(np.float64) * 2.0**-53


def _prefix_bytes(table: TextTable, text: U32, uniform: NDArray[np.float64]) -> U32:
    """Return bytes of a prefix of 1 to ``length - 1`` code points (1 where length is 1)."""
    first_byte = (table.blob & 0xC0) != 0x80
    starts = np.append(np.flatnonzero(first_byte), len(table.blob))
    points_before = np.append(0, np.cumsum(first_byte))
    offsets = table.offsets.astype(np.int64)
    begin = points_before[offsets[text]]
    length = points_before[offsets[text] + table.lengths[text]] - begin
    points = 1 + np.minimum((uniform * (length - 1)).astype(np.int64), np.maximum(length - 2, 0))
    prefix_bytes: U32 = (starts[begin + points] - offsets[text]).astype(np.uint32)
    return prefix_bytes


def _first_of_equal(columns: list[NDArray[np.generic]]) -> I64:
    """Return, ascending, the first row of every group of rows equal in all columns."""
    order = np.lexsort(columns)
    new = np.zeros(len(order), bool)
    new[:1] = True
    for column in columns:
        ordered = column[order]
        new[1:] |= ordered[1:] != ordered[:-1]
    # lexsort is stable, so the first of a group is the one that came first.
    return np.sort(order[new])
