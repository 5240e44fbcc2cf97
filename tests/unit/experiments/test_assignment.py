"""Assignment: held to the growthbook package, which is what others assign with."""

from __future__ import annotations

import datetime as dt
import itertools
import json
import logging
from typing import Any

import growthbook
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from espalier.experiments import (
    Assignment,
    Experiment,
    Mode,
    Participant,
    Reason,
    State,
    Variant,
    assign,
    read_experiments,
    state_at,
)
from espalier.experiments.assignment import (
    fnv1a32,
    place_in_namespace,
    place_of,
    shares_of,
)

UNITS = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=24)
SEEDS = st.text("abcxyz-_0189äßΩ", min_size=1, max_size=12)


def units_of(code: str) -> list[int]:
    """Return what JavaScript's charCodeAt gives for each place of a string."""
    data = code.encode("utf-16-be", "surrogatepass")
    return [data[i] << 8 | data[i + 1] for i in range(0, len(data), 2)]


def plain_fnv(text: str) -> int:
    """Return the hash as the JavaScript SDK computes it, shifts and all."""
    value = 0x811C9DC5
    for unit in units_of(text):
        value ^= unit
        value += sum(value << bits for bits in (1, 4, 7, 8, 24))
    return value % 2**32


@st.composite
def tables(draw: st.DrawFn) -> dict[str, Any]:
    """Return an experiment that splits, by weights or by ranges."""
    count = draw(st.integers(2, 4))
    cuts = sorted(draw(st.lists(st.integers(0, 10_000), min_size=count - 1, max_size=count - 1)))
    edges = [0, *cuts, 10_000]
    table: dict[str, Any] = {"seed": draw(SEEDS)}
    if draw(st.booleans()):
        table["coverage"] = draw(st.integers(0, 10_000))
        shares = [{"weight": high - low} for low, high in itertools.pairwise(edges)]
    else:
        shares = [
            {"range_from": low, "range_to": draw(st.integers(low, high))}
            for low, high in itertools.pairwise(edges)
        ]
    table["variants"] = {f"v{number}": share for number, share in enumerate(shares)}
    if draw(st.booleans()):
        start = draw(st.integers(0, 9_990))
        end = draw(st.integers(start + 10, 10_000))
        table |= {"namespace": draw(SEEDS), "namespace_from": start, "namespace_to": end}
    return table


def by_growthbook(table: dict[str, Any], unit: str) -> str | None:
    """Return the variant that the growthbook package assigns."""
    shares = list(table["variants"].values())
    more: dict[str, Any] = {}
    if "weight" in shares[0]:
        more["weights"] = [share["weight"] / 10_000 for share in shares]
        more["coverage"] = table.get("coverage", 10_000) / 10_000
    else:
        more["ranges"] = [
            (share["range_from"] / 10_000, share["range_to"] / 10_000) for share in shares
        ]
    if "namespace" in table:
        ends = (table["namespace_from"] / 10_000, table["namespace_to"] / 10_000)
        more["namespace"] = (table["namespace"], *ends)
    book = growthbook.GrowthBook(attributes={"id": unit})
    try:
        result = book.run(
            growthbook.Experiment(
                key="of-another-name",
                seed=table["seed"],
                hashVersion=2,
                variations=list(table["variants"]),
                **more,
            )
        )
    finally:
        book.destroy()
    return str(result.value) if result.inExperiment else None


@pytest.fixture(autouse=True)
def _quiet() -> None:
    logging.getLogger("growthbook").setLevel(logging.ERROR)


@given(st.text(max_size=30))
def test_the_hash_is_that_of_the_javascript_sdk(text: str) -> None:
    """Over UTF-16 code units, lone surrogates and all."""
    assert plain_fnv(text) == fnv1a32(text)


@given(st.text(max_size=10), st.text(max_size=10))
def test_a_hash_goes_on_where_another_ended(start: str, rest: str) -> None:
    """So the seed of an experiment is hashed but once."""
    whole = units_of(start) + units_of(rest) == units_of(start + rest)

    assert not whole or fnv1a32(start + rest) == fnv1a32(rest, fnv1a32(start))


@given(SEEDS, UNITS)
def test_places_are_those_of_the_growthbook_package(seed: str, unit: str) -> None:
    """Version 2 for variants, version 1 for namespaces; beyond U+FFFF as well."""
    assert growthbook.core.gbhash(seed, unit, 2) == place_of(seed, unit)
    assert growthbook.core.gbhash(f"__{seed}", unit, 1) == place_in_namespace(seed, unit)


@pytest.mark.parametrize(
    ("seed", "unit", "place", "in_namespace"),
    [
        ("", "a", 0.0216, 0.474),
        ("exp-1", "user-1", 0.5069, 0.315),
        ("exp-1", "user-2", 0.007, 0.26),
        ("ranking", "4f1c9b0e-7a52-4b8e", 0.8451, 0.923),
        ("größe", "müller", 0.7306, 0.214),
        ("е", "пользователь", 0.4607, 0.179),
        ("e", "u😀", 0.6565, 0.698),
    ],
)
def test_places_stay_what_they_were(
    seed: str, unit: str, place: float, in_namespace: float
) -> None:
    """Printed by growthbook 4.0.0: should it change its mind, experiments here do not."""
    assert place == place_of(seed, unit)
    assert in_namespace == place_in_namespace(seed, unit)


def test_units_beyond_the_basic_plane_are_hashed_by_their_surrogates() -> None:
    """A hash over code points, as in older Python packages, is another one."""
    by_code_points = 0x811C9DC5
    for code in map(ord, "u😀"):
        by_code_points = ((by_code_points ^ code) * 0x01000193) % 2**32

    assert fnv1a32("u😀") == plain_fnv("u😀")
    assert fnv1a32("u😀") != by_code_points


@given(st.lists(st.integers(0, 10_000), min_size=1, max_size=5), st.integers(0, 10_000))
def test_ranges_are_those_of_the_growthbook_package(weights: list[int], coverage: int) -> None:
    """To the last bit, since a place may fall on an end."""
    total = sum(weights) or 1
    shares = [weight / total for weight in weights]

    expected = growthbook.core.getBucketRanges(len(shares), coverage / 10_000, shares)
    if sum(weights):
        assert expected == shares_of(shares, coverage / 10_000)


@settings(max_examples=300)
@given(tables(), UNITS)
def test_assignment_is_that_of_the_growthbook_package(table: dict[str, Any], unit: str) -> None:
    """Weights, coverage, ranges and namespaces together."""
    (experiment,) = read_experiments({"e": table}, "here")

    found = assign(experiment, Participant(unit=unit), State.RUNNING)

    assert found is not None
    expected = by_growthbook(table, unit)
    assert expected == (None if found.variant is None else found.variant.name)


def two(**more: Any) -> Experiment:
    """Return an experiment whose units are all in its second variant, ``b``."""
    return Experiment("e", (Variant("a"), Variant("b", (0.0, 1.0))), **{"seed": "e", **more})


def found(experiment: Experiment, who: Participant, **more: Any) -> tuple[str | None, Reason]:
    """Return variant and reason of an experiment that runs."""
    made = assign(experiment, who, State.RUNNING, **more)
    assert isinstance(made, Assignment)
    return None if made.variant is None else made.variant.name, made.reason


def test_a_unit_is_of_the_kind_the_experiment_says() -> None:
    """User, session or attribute; without it nobody is in the experiment."""
    who = Participant(unit="u", session_id="s", attributes={"shop": "7"})

    assert found(two(), Participant(session_id="s")) == (None, Reason.NO_UNIT)
    assert found(two(unit="session"), Participant(unit="u")) == (None, Reason.NO_UNIT)
    assert found(two(unit="attribute:till"), who) == (None, Reason.NO_UNIT)
    for unit in ("user", "session", "attribute:shop"):
        assert found(two(unit=unit), who) == ("b", Reason.ASSIGNED)


def test_only_the_eligible_take_part() -> None:
    """Every attribute named must have one of its values."""
    experiment = two(eligible={"country": ("de", "at"), "device": ("phone",)})

    in_both = Participant(unit="u", attributes={"country": "at", "device": "phone", "x": "y"})
    assert found(experiment, in_both) == ("b", Reason.ASSIGNED)
    for attributes in ({}, {"country": "at"}, {"country": "fr", "device": "phone"}):
        who = Participant(unit="u", attributes=attributes)
        assert found(experiment, who) == (None, Reason.NOT_ELIGIBLE)


def test_testers_see_what_they_force() -> None:
    """Without a unit, before the start, whoever they are."""
    experiment = two(eligible={"country": ("de",)})
    who = Participant(forced={"e": "a"})

    for state in State:
        made = assign(experiment, who, state)
        assert made is not None
        assert (made.variant, made.reason) == (experiment.control, Reason.FORCED)
    assert found(experiment, Participant(unit="u", forced={"e": "c"})) == (
        None,
        Reason.UNKNOWN_VARIANT,
    )


def test_what_another_platform_assigned_holds_while_the_experiment_runs() -> None:
    """Coverage and eligibility are its business; a unit there must be all the same."""
    experiment = two(eligible={"country": ("de",)}, namespace="n", namespace_share=(0.0, 0.0))
    who = Participant(unit="u", assigned={"e": "a"})

    assert found(experiment, who) == ("a", Reason.EXTERNAL)
    assert assign(experiment, who, State.ENDED) is None
    assert found(experiment, Participant(assigned={"e": "a"})) == (None, Reason.NO_UNIT)
    unknown = Participant(unit="u", assigned={"e": "z"})
    assert found(experiment, unknown) == (None, Reason.UNKNOWN_VARIANT)
    assert found(two(mode=Mode.SHADOW), Participant(unit="u", assigned={"e": "a"})) == (
        "b",
        Reason.ASSIGNED,
    )


def test_an_assigner_decides_for_those_who_take_part() -> None:
    """It is asked in place of the hash, and may leave a unit out."""
    experiment = two(eligible={"country": ("de",)})
    who = Participant(unit="u", attributes={"country": "de"})

    assert found(experiment, who, decide=lambda _e, _w: "a") == ("a", Reason.EXTERNAL)
    assert found(experiment, who, decide=lambda _e, _w: None) == (None, Reason.NOT_COVERED)
    assert found(experiment, who, decide=lambda _e, _w: "z") == (None, Reason.UNKNOWN_VARIANT)
    outside = Participant(unit="u")
    assert found(experiment, outside, decide=lambda _e, _w: "a") == (None, Reason.NOT_ELIGIBLE)


def test_an_experiment_runs_from_its_start_until_before_its_end() -> None:
    """Ends are moments, whatever the zone they are written in."""
    start = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)
    end = dt.datetime(2026, 1, 2, 1, tzinfo=dt.timezone(dt.timedelta(hours=1)))
    experiment = two(start=start, end=end)
    second = dt.timedelta(seconds=1)

    assert state_at(experiment, start - second) is State.SCHEDULED
    assert state_at(experiment, start) is State.RUNNING
    assert state_at(experiment, end - second) is State.RUNNING
    assert state_at(experiment, end) is State.ENDED
    assert state_at(two(), end) is State.RUNNING


def test_more_coverage_moves_nobody_to_another_variant() -> None:
    """Who was in a variant stays there; only people outside come in."""
    variants = {"a": {"weight": 3_333}, "b": {"weight": 6_667}}
    before: dict[str, str] = {}
    for coverage in (1_000, 5_000, 10_000):
        table = {"e": {"coverage": coverage, "variants": variants}}
        (experiment,) = read_experiments(json.loads(json.dumps(table)), "here")
        now = {
            unit: name
            for unit in map(str, range(500))
            if (name := found(experiment, Participant(unit=unit))[0]) is not None
        }
        assert before.items() <= now.items()
        before = now
    assert len(before) == 500
