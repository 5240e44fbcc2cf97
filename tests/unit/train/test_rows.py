"""From log to labels and rows."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from espalier.errors import ConfigError, LogError
from espalier.native import TextTable
from espalier.querylog import QueryLog
from espalier.settings import TrainSettings
from espalier.train.rows import Labels, Rows, choose_labels, log_digest, make_rows

MakeLog = Callable[..., QueryLog]
Readable = tuple[tuple[str, ...], str, str, int | None]

queries = st.text("aé日b 𝄞", min_size=1, max_size=8).filter(lambda text: text == text.strip())
sessions_of = st.lists(st.lists(queries, min_size=1, max_size=5), min_size=1, max_size=8)


def build(log: QueryLog, settings: TrainSettings) -> tuple[Labels, Rows]:
    """Return labels and rows of a log."""
    labels = choose_labels(log, settings)
    return labels, make_rows(log, labels, TextTable.from_strings(log.queries), settings)


def readable(log: QueryLog, labels: Labels, rows: Rows) -> list[Readable]:
    """Return each row as (previous queries, prefix, label, user)."""
    ends = rows.context_ptr.astype(int).tolist()
    return [
        (
            tuple(log.queries[i] for i in rows.context[ends[row] : ends[row + 1]]),
            log.queries[rows.prefix_text[row]].encode()[: rows.prefix_bytes[row]].decode(),
            labels.texts[rows.entry_label[row]],
            None if rows.user is None else int(rows.user[row]),
        )
        for row in range(len(rows))
    ]


def test_labels_are_the_queries_of_enough_users(log_of: MakeLog) -> None:
    """A query typed twice by one user counts once."""
    log = log_of([["a", "b"], ["a", "c"], ["c", "b"]], users=[0, 1, 1])
    labels = choose_labels(log, TrainSettings(min_users=2))

    assert labels.texts == ["a", "b"]
    assert labels.of_query.tolist() == [0, 1, -1]
    assert labels.users.tolist() == [2, 2]
    assert labels.display == ["A", "B"]


def test_min_users_needs_somebody_to_count(log_of: MakeLog) -> None:
    """Without user and session the operator must say that one is enough."""
    log = log_of([["a"], ["a"]], has_users=False, has_sessions=False)

    with pytest.raises(ConfigError, match="set min_users=1"):
        choose_labels(log, TrainSettings(min_users=2))
    assert choose_labels(log, TrainSettings(min_users=1)).texts == ["a"]


def test_a_log_without_common_queries_is_an_error(log_of: MakeLog) -> None:
    """The error says how far away the log is."""
    with pytest.raises(LogError, match=r"by 3 distinct users \(the most common one: 1\)"):
        choose_labels(log_of([["a"], ["b"]]), TrainSettings(min_users=3))


def test_queries_without_results_are_left_out(log_of: MakeLog) -> None:
    """A suggestion should not lead to an empty page, unless the operator wants it to."""
    log = log_of([["a", "b", "c"]], results={"a": 0, "b": 7})

    labels = choose_labels(log, TrainSettings(min_users=1))
    assert labels.texts == ["b", "c"]
    assert labels.without_results == 1
    every = choose_labels(log, TrainSettings(min_users=1, empty_results=True))
    assert every.texts == ["a", "b", "c"]
    with pytest.raises(LogError, match="empty_results=true"):
        choose_labels(log_of([["a"]], results={"a": 0}), TrainSettings(min_users=1))


@given(
    sessions=sessions_of,
    context=st.integers(0, 3),
    draws=st.integers(1, 3),
    first=st.booleans(),
    seed=st.integers(0, 9),
)
def test_rows_are_the_events_with_what_came_before(
    log_of: MakeLog, *, sessions: list[list[str]], context: int, draws: int, first: bool, seed: int
) -> None:
    """Every row is an event with its session's previous queries and a true prefix."""
    log = log_of(sessions)
    settings = TrainSettings(
        min_users=1,
        context_queries=context,
        prefixes_per_pair=draws,
        include_first=first,
        seed=seed,
        context_cut=0,
    )
    wanted = {
        (tuple(session[max(0, i - context) : i][::-1]), query, user)
        for user, session in enumerate(sessions)
        for i, query in enumerate(session)
        if first or (i > 0 and context > 0)
    }
    if not wanted:
        with pytest.raises(LogError, match="include_first"):
            build(log, settings)
        return
    labels, rows = build(log, settings)
    found = readable(log, labels, rows)

    assert {(previous, label, user) for previous, _, label, user in found} == wanted
    assert len(set(found)) == len(found)
    for _, prefix, label, _ in found:
        assert label.startswith(prefix)
        assert 1 <= len(prefix) <= max(1, len(label) - 1)


@given(
    sessions=sessions_of,
    context=st.integers(0, 3),
    cut=st.floats(0, 1),
    first=st.booleans(),
    seed=st.integers(0, 9),
)
def test_a_cut_forgets_the_older_queries_of_some_rows(
    log_of: MakeLog, *, sessions: list[list[str]], context: int, cut: float, first: bool, seed: int
) -> None:
    """What is left are the newest; never nothing, where rows without context are not wanted."""
    log = log_of(sessions)
    settings = TrainSettings(
        min_users=1, context_queries=context, context_cut=cut, include_first=first, seed=seed
    )
    whole = {
        (tuple(session[max(0, i - context) : i][::-1]), query, user)
        for user, session in enumerate(sessions)
        for i, query in enumerate(session)
        if first or (i > 0 and context > 0)
    }
    if not whole:
        return
    labels, rows = build(log, settings)
    found = readable(log, labels, rows)

    assert len(set(found)) == len(found)
    for previous, _, label, user in found:
        assert previous or first
        assert any(
            (label, user) == (query, typist) and previous == queries[: len(previous)]
            for queries, query, typist in whole
        )


def test_the_share_that_is_cut_is_as_asked(log_of: MakeLog) -> None:
    """Of rows with three previous queries; those that are cut keep 0, 1 or 2 equally often."""
    log = log_of([["a", "b", "c", "lamp"]] * 6000)
    labels, rows = build(log, TrainSettings(min_users=1, context_cut=0.3))
    kept = [
        len(previous) for previous, _, label, _ in readable(log, labels, rows) if label == "lamp"
    ]

    counts = np.bincount(kept, minlength=4)
    assert counts.sum() == 6000
    assert counts[3] == pytest.approx(4200, abs=200)
    assert counts[:3].tolist() == pytest.approx([600, 600, 600], abs=120)


def test_every_prefix_length_is_drawn_equally_often(log_of: MakeLog) -> None:
    """Lengths are uniform from 1 to one less than the whole query."""
    log = log_of([["abcde"] for _ in range(4000)])
    _, rows = build(log, TrainSettings(min_users=1))

    lengths, counts = np.unique(rows.prefix_bytes, return_counts=True)
    assert lengths.tolist() == [1, 2, 3, 4]
    assert counts.min() > 900


def test_a_draw_depends_on_seed_and_event_alone(log_of: MakeLog) -> None:
    """Other settings do not move the prefixes; another seed does."""
    log = log_of([["abcdefghij", "klmnopqrst"]] * 30)
    base = build(log, TrainSettings(min_users=1))[1].prefix_bytes
    same = build(log, TrainSettings(min_users=1, context_queries=0))[1].prefix_bytes
    assert (
        base.tolist()
        == build(log, TrainSettings(min_users=1, context_cut=0))[1].prefix_bytes.tolist()
    )
    other = build(log, TrainSettings(min_users=1, seed=2))[1].prefix_bytes

    assert base.tolist() == same.tolist()
    assert base.tolist() != other.tolist()


def test_the_digest_changes_with_the_data(log_of: MakeLog) -> None:
    """Equal logs have equal digests, different ones different."""
    assert log_digest(log_of([["a", "b"]])) == log_digest(log_of([["a", "b"]]))
    assert log_digest(log_of([["a", "b"]])) != log_digest(log_of([["b", "a"]]))
    assert log_digest(log_of([["a"]])) != log_digest(log_of([["a"]], has_users=False))
