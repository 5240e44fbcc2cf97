"""Experiments of a configuration: what they become, and everything that can be wrong."""

from __future__ import annotations

import datetime as dt
import re
import tomllib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from espalier.config import experiments_as_toml
from espalier.errors import ConfigError
from espalier.experiments import (
    Experiment,
    Mode,
    Parameters,
    Variant,
    as_table,
    problems_of,
    read_experiments,
)
from espalier.experiments.definition import MAX_EXPERIMENTS
from espalier.experiments.model import FEATURE_GROUPS, SOURCES
from espalier.index import MAX_K, MAX_PREVIOUS
from espalier.native import FEATURE_GROUPS as NATIVE_GROUPS
from espalier.native import Caps, Source

HALVES = "a = { weight = 5000 }\nb = { weight = 5000, beam = 20 }"
NAMES = st.from_regex(r"[A-Za-z][A-Za-z0-9._+-]{0,8}", fullmatch=True)


def toml(text: str) -> dict[str, Any]:
    """Return the table ``[experiments]`` of a document."""
    table: dict[str, Any] = tomllib.loads(text)["experiments"]
    return table


def halves(name: str, settings: str = "", variants: str = HALVES) -> str:
    """Return an experiment of two variants as TOML."""
    return f"[experiments.{name}]\n{settings}\n[experiments.{name}.variants]\n{variants}\n"


def test_a_table_becomes_an_experiment() -> None:
    """Shares are parts of one, the name is the seed unless there is another."""
    (found,) = read_experiments(
        toml(
            """
            [experiments.wider-beam]
            namespace = "ranking"
            namespace_to = 2500
            coverage = 2000
            unit = "attribute:account"
            end = 2026-03-01T00:00:00+01:00
            eligible = { country = ["de", "at"] }
            [experiments.wider-beam.variants]
            control = { weight = 2500 }
            wide = { weight = 7500, beam = 40, sources = ["MODEL", "POPULAR"], context = 0 }
            """
        ),
        "here",
    )

    zone = dt.timezone(dt.timedelta(hours=1))
    assert found == Experiment(
        "wider-beam",
        (
            Variant("control", (0.0, 0.05), 2_500),
            Variant(
                "wide",
                (0.25, 0.25 + 0.2 * 0.75),
                7_500,
                Parameters(beam=40, sources=("MODEL", "POPULAR"), context=0),
            ),
        ),
        seed="wider-beam",
        unit="attribute:account",
        coverage=2_000,
        namespace="ranking",
        namespace_share=(0.0, 0.25),
        end=dt.datetime(2026, 3, 1, tzinfo=zone),
        eligible={"country": ("de", "at")},
    )


def test_all_who_are_covered_take_part_where_nothing_is_split() -> None:
    """The control has them, whatever becomes of the lists."""
    for mode in (Mode.SHADOW, Mode.INTERLEAVE):
        settings = f'mode = "{mode.value}"\ncoverage = 2500'
        (found,) = read_experiments(toml(halves("e", settings, "a = {}\nb = { beam = 2 }")), "here")

        assert found.mode is mode
        assert [one.share for one in found.variants] == [(0.0, 0.25), (0.0, 0.0)]


@st.composite
def experiments(draw: st.DrawFn) -> str:
    """Return an experiment as TOML that nothing is wrong with."""
    mode = draw(st.sampled_from(list(Mode)))
    names = draw(st.lists(NAMES, min_size=2, max_size=2, unique=True))
    cut = draw(st.integers(1, 9_999))
    shares = [f"weight = {cut}", f"weight = {10_000 - cut}"]
    lines = [f"mode = '{mode.value}'"]
    ranged = mode is Mode.SPLIT and draw(st.booleans())
    if ranged:
        shares = [f"range_from = 0, range_to = {cut}", f"range_from = {cut}, range_to = 10000"]
    else:
        lines.append(f"coverage = {draw(st.integers(0, 10_000))}")
    if mode is not Mode.SPLIT:
        shares = ["", ""]
    if draw(st.booleans()):
        lines += ["namespace = 'n'", f"namespace_from = {draw(st.integers(0, 9_990))}"]
    if draw(st.booleans()):
        lines.append("start = 2026-01-01T00:00:00Z")
    if draw(st.booleans()):
        lines.append("eligible = { 'a b' = ['x', '\"'], c = ['y'] }")
    more = draw(st.sampled_from(["", "beam = 3", "sources = ['TAIL', 'MODEL'], pool = 9"]))
    variants = [
        f"'{name}' = {{ {', '.join(filter(None, [share, extra]))} }}"
        for name, share, extra in zip(names, shares, ["", more], strict=True)
    ]
    return halves(f"'{draw(NAMES)}'", "\n".join(lines), "\n".join(variants))


@given(experiments())
def test_what_is_printed_is_read_as_the_same_experiments(text: str) -> None:
    """By `--print-config`, and by workers, which get tables."""
    found = read_experiments(toml(text), "here")

    assert read_experiments(toml(experiments_as_toml(found)), "here") == found
    assert read_experiments({one.name: as_table(one) for one in found}, "here") == found


@pytest.mark.parametrize(
    ("text", "key", "says"),
    [
        (halves("e", "covrage = 1"), "e.covrage", "did you mean 'coverage'?"),
        (halves("e", "coverage = 0.5"), "e.coverage", "must be a whole number"),
        (halves("e", "coverage = 10001"), "e.coverage", "from 0 to 10,000"),
        (halves("e", "mode = 'ab'"), "e.mode", "one of split, shadow, interleave"),
        (halves("e", "unit = 'people'"), "e.unit", "user, session or attribute:NAME"),
        (halves("e", "start = 2026-01-01T00:00:00"), "e.start", "with its zone"),
        (halves("e", "start = 2026-01-01"), "e.start", "a date and time"),
        (
            halves("e", "start = 2026-01-02T00:00:00Z\nend = 2026-01-02T00:00:00Z"),
            "e.end",
            "must be after its start",
        ),
        (halves("e", "namespace_to = 5"), "e.namespace", "name the namespace"),
        (
            halves("e", "namespace = 'n'\nnamespace_from = 5\nnamespace_to = 5"),
            "e.namespace_to",
            "must be above namespace_from, which is 5",
        ),
        (
            halves("e", "namespace = 'n'\nnamespace_from = 5\nnamespace_to = 10"),
            "e.namespace_to",
            "in which nobody is",
        ),
        (
            halves("e", "", "a = { weight = 5000 }\nb = { weight = 5000, sources = [] }"),
            "e.variants.b.sources",
            "without a source there is nothing to suggest",
        ),
        (halves("e", "eligible = 3"), "e.eligible", "must be a table"),
        (halves("e", "eligible = { c = 'de' }"), "e.eligible.c", "must be a list of texts"),
        (halves("e", "eligible = { c = [] }"), "e.eligible.c", "must be a list of texts"),
        (halves("e", "index = 'new'"), "e.index", "e.index = new is not served; use one of: old"),
        (halves("e", "mode = 'shadow'", "a = {}\nb = { weight = 1 }"), "e.variants", "coverage"),
        (
            halves("e", "mode = 'shadow'\nassigner = 'x'", "a = {}\nb = {}"),
            "e.assigner",
            "nobody does; leave it out",
        ),
        (halves("e", "mode = 'interleave'", "a={}\nb={}\nc={}"), "e.variants", "from two"),
        (halves("e", "", "a = { weight = 10000 }"), "e.variants", "2 to 16 variants"),
        ("[experiments.e]", "e.variants", "2 to 16 variants"),
        (
            halves("e", "", "a = { weight = 5000 }\nb = { weight = 4999 }"),
            "e.variants",
            "weights 5000, 4999; give each one, with a sum of 10,000",
        ),
        (halves("e", "", "a = { weight = 5000 }\nb = {}"), "e.variants", "weights 5000, none"),
        (halves("e", "", "a = 5000\nb = { weight = 10000 }"), "e.variants.a", "must be a table"),
        (
            halves("e", "", "interleaved = { weight = 0 }\nb = { weight = 10000 }"),
            "e.variants.interleaved",
            "cannot be a variant",
        ),
        (
            halves("e", "", "a = { weight = 5000 }\nb = { weight = 5000, beem = 2 }"),
            "e.variants.b.beem",
            "did you mean 'beam'?",
        ),
        (
            halves("e", "", "a = { weight = 5000 }\nb = { weight = 5000, sources = ['WEB'] }"),
            "e.variants.b.sources",
            "a list of MODEL, POPULAR, TAIL, CORRECTED",
        ),
        (
            halves("e", "", "a = { weight = 5000 }\nb = { weight = 5000, index = 'new' }"),
            "e.variants.b.index",
            "is not served",
        ),
        (
            halves("e", "", "a = { weight = 5000 }\nb = { range_from = 1, range_to = 2 }"),
            "e.variants.a",
            "must have range_from and range_to",
        ),
        (
            halves("e", "", "a={range_from=0,range_to=9}\nb={range_from=8,range_to=10}"),
            "e.variants",
            "overlap between 8 and 9",
        ),
        (
            halves("e", "coverage = 5", "a={range_from=0,range_to=9}\nb={range_from=9,range_to=9}"),
            "e.variants",
            "leave out coverage",
        ),
        ("[experiments]\ne = 3", "e", "e must be a table"),
        ("[experiments.'1e']", "1e", "'1e' is no name of an experiment"),
    ],
)
def test_what_cannot_be_used_is_named(text: str, key: str, says: str) -> None:
    """With its key, what may stand there, and where."""
    table = toml(text)

    problems = problems_of(table, "site.toml, [experiments]", ["old", "older"])

    assert [found for found, _ in problems] == [key]
    assert says in problems[0][1]
    assert problems[0][1].startswith("site.toml, [experiments]")
    with pytest.raises(ConfigError, match=re.escape(problems[0][1])):
        read_experiments(table, "site.toml, [experiments]", ["old", "older"])


@pytest.mark.parametrize(
    ("first", "second", "key", "says"),
    [
        (
            "namespace = 'n'\nnamespace_to = 6000",
            "namespace = 'n'\nnamespace_from = 5000",
            "namespace_from",
            "overlap in the namespace n from 5000 to 6000",
        ),
        (
            "namespace = 'n'\nnamespace_to = 5000",
            "namespace = 'n'\nnamespace_from = 5000\nunit = 'session'",
            "unit",
            "with different units",
        ),
        ("", "", "variants", "both change beam of the same calls"),
        ("", "index = 'old'", "variants", "both change beam"),
        ("mode = 'interleave'", "mode = 'interleave'", "mode", "both draft the list"),
    ],
)
def test_experiments_that_cannot_run_together_are_named(
    first: str, second: str, key: str, says: str
) -> None:
    """Which of the two is meant nobody could say afterwards."""
    variants = "a = {}\nb = {}" if "interleave" in first else HALVES
    table = toml(halves("one", first, variants) + halves("two", second, variants))

    (problem,) = problems_of(table, "here", ["old", "new"])

    assert problem[0] == f"two.{key}"
    assert says in problem[1]


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("namespace = 'n'\nnamespace_to = 5000", "namespace = 'n'\nnamespace_from = 5000"),
        ("end = 2026-01-01T00:00:00Z", "start = 2026-01-01T00:00:00Z"),
        ("", "index = 'new'"),
    ],
)
def test_experiments_that_never_meet_may_change_the_same(first: str, second: str) -> None:
    """In parts of a namespace, one after the other, or on calls of different indexes."""
    table = toml(halves("one", first) + halves("two", second))

    assert problems_of(table, "here", ["old", "new"]) == []


def test_there_are_not_too_many_experiments() -> None:
    """Each costs something with every keystroke."""
    text = "".join(
        halves(f"e{number}", "", "a = { weight = 10000 }\nb = { weight = 0 }")
        for number in range(MAX_EXPERIMENTS + 1)
    )

    assert "100 is the most" in problems_of(toml(text), "here")[0][1]


def test_names_and_limits_are_those_of_the_index() -> None:
    """What a variant may ask for an index can do."""
    fields = Parameters.__dataclass_fields__
    assert tuple(source.name for source in Source) == SOURCES
    assert NATIVE_GROUPS == FEATURE_GROUPS
    assert fields["suggestions"].metadata["check"].high == MAX_K
    assert fields["context"].metadata["check"].high == MAX_PREVIOUS
    assert fields["beam"].metadata["check"].high == Caps().beam
    assert fields["pool"].metadata["check"].high == Caps().pool
