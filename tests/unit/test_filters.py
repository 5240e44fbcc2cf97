"""Filtering by attributes, from a log to suggestions, against looking at every label."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import espalier
from espalier.errors import InputError, InvalidTextError, LimitError, UnsupportedError
from espalier.filters import FILTER_VALUES, Filter
from espalier.index import Index
from espalier.overlay import Block, Overlay, Pin
from espalier.settings import LogSettings, TrainSettings
from espalier.text import normalise
from espalier.train import train_index
from espalier.train.report import TrainReport
from tests.golden.make import FOLDER

Values = dict[str, set[str]]


@pytest.fixture(scope="module")
def rows(demo_log: Path) -> list[dict[str, str]]:
    """Return the rows of the demo log, each with a column of its own number."""
    head, *rows = demo_log.read_text(encoding="utf-8").splitlines()
    names = [*head.split("\t"), "row"]
    return [
        dict(zip(names, [*row.split("\t"), str(number)], strict=True))
        for number, row in enumerate(rows)
    ]


@pytest.fixture(scope="module")
def report(rows: list[dict[str, str]], tmp_path_factory: pytest.TempPathFactory) -> TrainReport:
    """Return the report of an index of what two people searched for, that can be filtered."""
    folder = tmp_path_factory.mktemp("filters")
    log = folder / "log.tsv"
    log.write_text(
        "\n".join("\t".join(row) for row in [list(rows[0]), *(row.values() for row in rows)]),
        encoding="utf-8",
    )
    settings = TrainSettings(
        log=LogSettings(attributes=("locale", "category", "row")),
        min_users=2,
        attribute_share=0.0,
        holdout=0.0,
        blender="fixed",
        threads=1,
    )
    return train_index([log], folder / "shop.esp", settings)


@pytest.fixture(scope="module")
def index(report: TrainReport) -> Iterator[Index]:
    """Return that index."""
    with espalier.open(report.out) as opened:
        yield opened


@pytest.fixture(scope="module")
def values(index: Index, rows: list[dict[str, str]]) -> Values:
    """Return the values of every label, counted from the rows."""
    people: dict[str, dict[str, set[str]]] = {text: defaultdict(set) for text in index.labels()}
    for row in rows:
        text = normalise(row["query"])
        if text in people:
            for name in ("locale", "category"):
                people[text][normalise(f"{name}:{row[name]}")].add(row["user"])
    return {
        text: {value for value, who in had.items() if len(who) > 1 and not value.endswith(":")}
        for text, had in people.items()
    }


def passes(had: set[str], where: Filter) -> bool:
    """Return whether a label with these values passes."""
    every, some, none = (
        {normalise(v) for v in x} for x in (where.all_of, where.any_of, where.none_of)
    )
    return every <= had and (not some or bool(some & had)) and not none & had


def test_labels_have_what_the_log_says(index: Index, values: Values) -> None:
    """Value by value, from the rows of the log to the open index."""
    found = {text: set(index.attributes_of(i)) for i, text in enumerate(index.labels())}
    counts = index.attributes()

    # A repeat in a session is no event, so a few rows of a label may say nothing.
    assert all(found[text] <= values[text] for text in found)
    assert sum(map(len, found.values())) > 0.95 * sum(map(len, values.values()))
    assert counts == {
        value: sum(value in had for had in found.values()) for value in sorted(counts)
    }
    assert {"category", "locale"} == set(index.info.attributes)
    assert len(counts) == sum(index.info.attributes.values())


@given(st.data())
def test_suggestions_are_those_that_pass_and_k_come_back(index: Index, data: st.DataObject) -> None:
    """Whatever is asked for: nothing else, and as many as there are."""
    known = sorted(index.attributes())
    lists = st.lists(st.sampled_from([*known, "Locale:EN-gb", "no:such"]), max_size=2)
    where = Filter(data.draw(lists), data.draw(lists), data.draw(lists))
    label = index.label(data.draw(st.integers(0, len(list(index.labels())) - 1)))
    prefix = label[: data.draw(st.integers(0, 3))]
    previous = data.draw(st.sampled_from([[], [label]]))
    had = {text: set(index.attributes_of(i)) for i, text in enumerate(index.labels())}
    fitting = {
        text
        for text, own in had.items()
        if text.startswith(prefix) and passes(own, where) and text not in previous
    }
    open_to_all = not (where.all_of or where.any_of)

    found = index.complete(prefix, previous, where=where, k=7, keep_variants=True)

    for one in found:
        assert passes(had[one.text], where) if one.text in had else open_to_all
    exact = {one.text for one in found if one.source != "CORRECTED"}
    assert min(7, len(fitting)) <= len(found)
    assert open_to_all or exact <= fitting
    explained = index.explain(prefix, previous, where=where, k=7)
    assert (
        all(passes(had.get(one.suggestion.text, set()), where) for one in explained) or open_to_all
    )


def test_what_is_generated_passes_where_nothing_must_be_had(index: Index) -> None:
    """A query nobody has typed has no attributes, unless the caller does not mind."""
    (value, *_) = index.attributes()
    sources = espalier.Source.TAIL

    def found(where: Filter) -> list[espalier.Suggestion]:
        return index.complete("oak ", ["lamp"], k=50, sources=sources, where=where)

    whole = {one.text for one in found(Filter()) if one.label is None}
    assert whole
    assert not [one for one in found(Filter(all_of=[value])) if one.label is None]
    assert not [one for one in found(Filter(any_of=[value])) if one.label is None]
    kept = found(Filter(all_of=[value], keep_generated=True))
    assert whole <= {one.text for one in kept}
    labels = [one.label for one in kept if one.label is not None]
    assert all(value in index.attributes_of(label) for label in labels)
    free = {one.text for one in found(Filter(none_of=[value])) if one.label is None}
    assert whole <= free


def test_a_filter_and_an_overlay_hold_together(index: Index) -> None:
    """A blocked label that passes is gone, and so is a pin that does not pass."""
    counts = index.attributes()
    value = max(counts, key=lambda v: (v.startswith("category"), counts[v]))
    where = Filter(all_of=[value])
    best = [one.text for one in index.complete("", where=where)]
    stranger = next(
        text for i, text in enumerate(index.labels()) if value not in index.attributes_of(i)
    )
    overlay = Overlay([Block(best[0]), Pin(best[3], 1, 0), Pin(stranger, 2, 0)])

    found = [one.text for one in index.complete("", where=where, overlay=overlay)]

    assert best[3] == found[0]
    assert not {best[0], stranger} & set(found)
    assert 10 == len(found)


def test_filters_that_cannot_be_used_say_why(index: Index) -> None:
    """Too long a list, a string for a list, text that is none, an index without attributes."""
    with pytest.raises(LimitError, match="33 values in any_of; at most 32"):
        index.complete("", where=Filter(any_of=["a:b"] * (FILTER_VALUES + 1)))
    with pytest.raises(InputError, match="not a string"):
        index.complete("", where=Filter(all_of="locale:de"))
    with pytest.raises(InvalidTextError):
        index.complete("", where=Filter(none_of=["\ud800"]))
    with espalier.open(FOLDER / "shop.esp") as plain:
        with pytest.raises(UnsupportedError, match=r"log\.attributes"):
            plain.complete("", where=Filter(none_of=["a:b"]))
        assert plain.complete("") == plain.complete("", where=Filter(keep_generated=True))
        assert ({}, {}, []) == (plain.attributes(), plain.info.attributes, plain.attributes_of(0))


def test_training_reports_what_it_kept_and_left_out(report: TrainReport, index: Index) -> None:
    """Counts, and a warning for a column nobody can filter by."""
    pairs = sum(index.attributes().values())

    assert len(index.attributes()) == report.counts["attribute_values"]
    assert pairs == report.counts["attributes"]
    assert report.dropped["attribute of a query: too few users"] > pairs
    assert [one for one in report.warnings if "with the same row," in one]
    assert report.section_bytes["ATTR"] > 6 * pairs
