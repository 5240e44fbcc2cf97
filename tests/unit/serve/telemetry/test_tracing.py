"""Which calls are traced."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from espalier.errors import ConfigError
from espalier.serve.telemetry.tracing import Parent, Sampling

TRACE, SPAN = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"


@given(st.integers(1, 2**128 - 1), st.integers(1, 2**64 - 1), st.integers(0, 255))
def test_a_traceparent_says_whose_call_it_is(trace_id: int, span_id: int, flags: int) -> None:
    """As W3C Trace Context writes it."""
    header = f"00-{trace_id:032x}-{span_id:016x}-{flags:02x}"

    assert Parent.of(header) == Parent(trace_id, span_id, bool(flags & 1))


@pytest.mark.parametrize(
    "header",
    [
        "",
        "00",
        f"00-{TRACE}-{SPAN}",
        f"00-{TRACE}-{SPAN}-01-more",
        f"00-{TRACE}-{SPAN}-1",
        f"00-{TRACE.upper()}-{SPAN}-01",
        f"00-{'0' * 32}-{SPAN}-01",
        f"00-{TRACE}-{'0' * 16}-01",
        f"ff-{TRACE}-{SPAN}-01",
        f"00-{TRACE}-{SPAN}-01\n",
    ],
)
def test_what_is_none_begins_a_trace(header: str) -> None:
    """As the standard says; a later version may say more."""
    assert Parent.of(header) is None
    assert Parent.of(f"01-{TRACE}-{SPAN}-01-more") is not None


@pytest.mark.parametrize(
    ("environment", "wanted"),
    [
        ({}, Sampling(0.25, parent_decides=True)),
        ({"OTEL_TRACES_SAMPLER": "always_on"}, Sampling(1.0, parent_decides=False)),
        ({"OTEL_TRACES_SAMPLER": "parentbased_always_off"}, Sampling(0.0, parent_decides=True)),
        (
            {"OTEL_TRACES_SAMPLER": "traceidratio", "OTEL_TRACES_SAMPLER_ARG": "0.5"},
            Sampling(0.5, parent_decides=False),
        ),
        ({"OTEL_TRACES_SAMPLER": "parentbased_traceidratio"}, Sampling(1.0, parent_decides=True)),
    ],
)
def test_the_standard_variables_win(environment: dict[str, str], wanted: Sampling) -> None:
    """Without them the share of the settings is traced."""
    assert Sampling.of(environment, share=0.25) == wanted


@pytest.mark.parametrize("argument", ["two", "-0.1", "1.1", "nan"])
def test_a_share_that_is_none_is_refused(argument: str) -> None:
    """With what it may be."""
    environment = {"OTEL_TRACES_SAMPLER": "traceidratio", "OTEL_TRACES_SAMPLER_ARG": argument}
    with pytest.raises(ConfigError, match="use a share from 0 to 1"):
        Sampling.of(environment, share=0.0)


def test_callers_decide_for_their_calls_or_the_trace_does() -> None:
    """And chance for what begins here."""
    sampled, left_out = Parent(7, 1, sampled=True), Parent(7, 1, sampled=False)
    by_parent, by_trace = Sampling(0.5), Sampling(0.5, parent_decides=False)

    assert by_parent.takes(sampled, lambda: 0.9)
    assert not by_parent.takes(left_out, lambda: 0.0)
    assert by_trace.takes(left_out, lambda: 0.9)
    assert not by_trace.takes(Parent(2**64 - 1, 1, sampled=True), lambda: 0.0)
    assert (by_parent.takes(None, lambda: 0.4), by_parent.takes(None, lambda: 0.5)) == (True, False)
    assert not Sampling(0.0).takes(None, lambda: 0.0)
    assert Sampling(1.0).takes(None, lambda: 0.999)
