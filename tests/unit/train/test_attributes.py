"""Which attributes a label gets, against counting people one by one."""

from __future__ import annotations

from collections import Counter, defaultdict

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from espalier.querylog import QueryLog
from espalier.querylog.attributes import EventAttributes
from espalier.settings import TrainSettings
from espalier.train import attributes as module
from espalier.train.attributes import LabelAttributes, choose_attributes
from espalier.train.rows import choose_labels
from tests.reference import attributes as twin
from tests.unit.train.conftest import MakeLog, make_log

VALUES = ["category:a", "category:b", "locale:de", "locale:é"]


def log_with(rows: list[tuple[str, int, set[str]]]) -> QueryLog:
    """Return a log of one event a session: query, user, values."""
    values = sorted(set().union(*(had for _, _, had in rows)))
    pairs = [(event, values.index(v)) for event, row in enumerate(rows) for v in sorted(row[2])]
    columns = np.array(pairs, np.int64).reshape(-1, 2)
    return make_log(
        [[query] for query, _, _ in rows],
        users=[user for _, user, _ in rows],
        attributes=EventAttributes(values, columns[:, 0], columns[:, 1].astype(np.uint32)),
    )


def chosen(log: QueryLog, **settings: float) -> LabelAttributes:
    """Return the attributes of the labels of a log."""
    made = TrainSettings(**{"min_users": 1, **settings})  # type: ignore[arg-type]
    return choose_attributes(log, choose_labels(log, made), made)


def by_label(found: LabelAttributes) -> list[set[str]]:
    """Return the values of every label."""
    return [
        {found.values[i] for i in found.value[found.label == label].tolist()}
        for label in range(found.n_labels)
    ]


@given(
    st.lists(
        st.tuples(st.sampled_from("xyz"), st.integers(0, 6), st.sets(st.sampled_from(VALUES))),
        min_size=1,
        max_size=60,
    ),
    st.integers(1, 3),
    st.sampled_from([0.0, 0.2, 0.5, 1.0]),
)
def test_a_label_has_what_enough_of_its_users_had(
    rows: list[tuple[str, int, set[str]]], min_users: int, share: float
) -> None:
    """Distinct users count, never rows; the section holds exactly that."""
    people: dict[str, set[int]] = defaultdict(set)
    had: dict[tuple[str, str], set[int]] = defaultdict(set)
    for query, user, values in rows:
        people[query].add(user)
        for value in values:
            had[query, value].add(user)
    labels = sorted(query for query in people if len(people[query]) >= min_users)
    if not labels:
        return
    wanted = [
        {
            value
            for value in VALUES
            if len(had[query, value]) >= max(min_users, share * len(people[query]))
        }
        for query in labels
    ]

    found = chosen(log_with(rows), min_users=min_users, attribute_share=share)

    assert wanted == by_label(found)
    total = sum(len(users) > 0 for (query, _), users in had.items() if query in labels)
    assert total == len(found.label) + found.rare
    section = found.section()
    if any(wanted):
        parsed = twin.parse(section, len(labels))
        assert [frozenset(v.encode() for v in values) for values in wanted] == parsed
        assert twin.section(parsed) == section
    else:
        assert b"" == section


def test_a_label_keeps_the_values_with_most_users() -> None:
    """Of more than 16 the others are left out and counted; of equals the first by text stay."""
    counts = {f"tag:{n:02}": 1 + n % 7 for n in range(20)}
    rows = [("x", user, {v for v, n in counts.items() if user < n}) for user in range(7)]
    best = sorted(counts, key=lambda value: (-counts[value], value))[:16]

    found = chosen(log_with([("w", 0, set()), *rows]), attribute_share=0)

    assert [set(), set(best)] == by_label(found)
    assert 4 == found.above_label


def test_an_index_keeps_the_values_with_most_users(monkeypatch: pytest.MonkeyPatch) -> None:
    """A column that names single things does not break a training run."""
    monkeypatch.setattr(module, "ATTRIBUTE_VALUES", 2)
    rows = [("x", n, {"id:1"}) for n in range(3)] + [("y", n, {f"id:{n}"}) for n in range(3)]
    counted = Counter({"id:1": 4, "id:0": 1, "id:2": 1})

    found = chosen(log_with(rows), attribute_share=0)

    assert [value for value, _ in counted.most_common(2)] == found.values[::-1]
    assert [{"id:1"}, {"id:0", "id:1"}] == by_label(found)
    assert 1 == found.above_index


def test_a_log_without_attributes_makes_no_section(log_of: MakeLog) -> None:
    """An index without them has the bytes it always had."""
    found = chosen(log_of([["x", "y"]]))

    assert ([], b"") == (found.values, found.section())
