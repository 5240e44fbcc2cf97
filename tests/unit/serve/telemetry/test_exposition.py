"""What Prometheus reads: checked by its own parser."""

from __future__ import annotations

import math
from collections.abc import Iterable

from hypothesis import given
from hypothesis import strategies as st
from prometheus_client.parser import text_string_to_metric_families

from espalier.serve.counters import Counters
from espalier.serve.telemetry.exposition import merged, text_of
from espalier.serve.telemetry.families import FAMILIES, SECONDS, Kind
from espalier.serve.telemetry.page import Key

LABEL = st.text(st.characters(exclude_characters="\x1f", exclude_categories=["Cs"]), max_size=8)


def parsed(text: str) -> dict[tuple[str, ...], float]:
    """Return samples by name and sorted labels."""
    return {
        (sample.name, *(f"{name}={value}" for name, value in sorted(sample.labels.items()))): (
            sample.value
        )
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


@given(
    st.dictionaries(
        st.tuples(st.just("calls"), LABEL, LABEL),
        st.integers(0, 2**53).map(lambda count: [count]),
        max_size=6,
    )
)
def test_any_label_comes_out_as_it_went_in(numbers: dict[Key, list[int]]) -> None:
    """Quotes, backslashes, line ends and every script."""
    wanted = {
        ("espalier_calls_total", f"code={code}", f"method={method}"): float(value)
        for (_, method, code), (value,) in numbers.items()
    }

    assert parsed(text_of(numbers)) == wanted


@given(st.lists(st.integers(0, 10**11), max_size=30))
def test_histograms_count_what_was_observed(nanoseconds: list[int]) -> None:
    """Buckets are cumulative and the last has everything, as sorting by hand says."""
    counters = Counters()
    counters.place("lookup")
    for one in nanoseconds:
        counters.observe("lookup", one)
    found = parsed(text_of(counters.read()))
    name = "espalier_session_lookup_seconds"

    for bound in (*SECONDS, math.inf):
        shown = "+Inf" if bound == math.inf else str(int(bound) if bound >= 1 else bound)
        below = sum(one / 1e9 <= bound for one in nanoseconds)
        assert found[f"{name}_bucket", f"le={shown}"] == below
    assert found[(f"{name}_count",)] == len(nanoseconds)
    assert math.isclose(found[(f"{name}_sum",)], sum(nanoseconds) / 1e9)


def added(counters: Iterable[Counters]) -> dict[tuple[str, ...], float]:
    """Return the samples of several processes."""
    return parsed(text_of(merged(one.read() for one in counters)))


def test_counts_of_workers_are_added_and_gauges_told_apart() -> None:
    """A service is one thing; how many calls wait is a matter of each worker."""
    workers = [Counters(), Counters()]
    for number, one in enumerate(workers, 1):
        for _ in range(number):
            one.add("degraded", "popular_only")
        one.set("waiting", number * 10)

    assert added(workers) == {
        ("espalier_degraded_completions_total", "reason=popular_only"): 3.0,
        ("espalier_calls_waiting", "worker=0"): 10.0,
        ("espalier_calls_waiting", "worker=1"): 20.0,
    }


def test_what_no_family_has_is_left_out() -> None:
    """A damaged page cannot make the whole scrape fail."""
    page: dict[Key, list[int]] = {("nothing", "a"): [1], ("calls", "a"): [1], ("lookup",): [1]}
    good: dict[Key, list[int]] = {("degraded", "popular_only"): [1]}

    assert list(merged([page | good])) == [("degraded", "popular_only")]


def test_names_follow_the_conventions_of_prometheus() -> None:
    """Counters end in _total, times are in seconds, no name is used twice, and each has help."""
    names = [family.name for family in FAMILIES.values()]
    assert len(set(names)) == len(names)
    for family in FAMILIES.values():
        assert family.name.startswith("espalier_")
        assert family.meaning
        assert family.name.endswith("_total") == (family.kind is Kind.COUNTER), family.name
        if family.kind is Kind.HISTOGRAM:
            assert family.name.endswith("_seconds"), family.name
        assert all(len(series) == len(family.labels) for series in family.series), family.name
