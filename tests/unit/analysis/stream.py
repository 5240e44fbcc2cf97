"""Event files as the service writes them, made up of people who behave as told."""

from __future__ import annotations

import gzip
import random
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from espalier.events import Action, Event, Privacy, TextPolicy, line_of

EXPERIMENT = "ranking"
NOW = datetime(2026, 2, 1, tzinfo=UTC)
START_NS = int(datetime(2026, 1, 10, tzinfo=UTC).timestamp()) * 10**9
SECOND = 10**9
DAY = 86_400 * SECOND
KEY = b"sixteen bytes or more"


def write(path: Path, events: Iterable[Event], policy: TextPolicy = TextPolicy.FULL) -> Path:
    """Write events, compressed if the name says so, each with an id if it has none."""
    privacy = Privacy(policy, KEY)
    data = b"".join(
        line_of(replace(event, event_id=event.event_id or f"{path.name}-{number}"), privacy)
        for number, event in enumerate(events)
    )
    path.write_bytes(gzip.compress(data) if path.suffix == ".gz" else data)
    return path


def exposure(unit: str, variant: str, time_ns: int = START_NS) -> Event:
    """Return that ``unit`` was exposed."""
    return Event(Action.EXPOSURE, time_ns, unit=unit, experiments={EXPERIMENT: variant})


def episode(
    unit: str,
    variant: str,
    query: str,
    *,
    start_ns: int = START_NS,
    intent: str = "",
    shown: Sequence[Sequence[str]] = (),
    accepted: int = 0,
    submitted: bool = True,
    name: str = "",
    context: int = 0,
    credit: Sequence[str | None] | None = None,
) -> Iterator[Event]:
    """Yield the events of one episode: a list a second, then what became of it.

    Args:
        unit: Whose it is.
        variant: What that unit sees.
        query: What is typed.
        start_ns: When the first list is shown.
        intent: What the client calls it.
        shown: The list at each length from 1 on.
        accepted: Place accepted from the last list; 0 for none.
        submitted: Whether the query is submitted; if not, it is abandoned.
        name: Begins the ids of the lists; ``unit`` and ``query`` if empty.
        context: Previous queries used.
        credit: Variant of each suggestion of every list.
    """
    name = name or f"{unit}/{query}/{start_ns}"
    common = Event(
        Action.IMPRESSION,
        start_ns,
        unit=unit,
        intent_id=intent,
        experiments={EXPERIMENT: variant},
    )
    for length, texts in enumerate(shown, 1):
        yield replace(
            common,
            time_ns=start_ns + (length - 1) * SECOND,
            set_id=f"{name}/{length}",
            text=query[:length],
            prefix_length=length,
            suggestions=len(texts),
            context=context,
            shown=texts,
            credits=credit,
            latency_us=100 * length,
        )
    last = f"{name}/{len(shown)}" if shown else ""
    end_ns = start_ns + len(shown) * SECOND
    if accepted:
        yield replace(
            common,
            action=Action.ACCEPTANCE,
            time_ns=end_ns,
            set_id=last,
            text=query,
            position=accepted,
        )
    if submitted:
        yield replace(common, action=Action.SUBMISSION, time_ns=end_ns, text=query)
    else:
        yield replace(common, action=Action.ABANDONMENT, time_ns=end_ns, set_id=last)


def crowd(
    units: int,
    rates: dict[str, float],
    *,
    seed: int = 1,
    days: int = 5,
    shares: dict[str, float] | None = None,
) -> Iterator[Event]:
    """Yield the events of people who come back, and accept as often as their variant lets them.

    Args:
        units: How many.
        rates: Of each variant, how often an episode ends in an acceptance.
        seed: Of who does what.
        days: They come within so many.
        shares: Of the variants; equal if not given.
    """
    chance = random.Random(seed)  # noqa: S311 - nobody must not guess them
    names = list(rates)
    weights = [1.0] * len(names) if shares is None else [shares[name] for name in names]
    for number in range(units):
        unit = f"unit-{number}"
        (variant,) = chance.choices(names, weights)
        visits = sorted(
            START_NS + chance.randrange(days * 86_400) * SECOND
            for _ in range(chance.choice([1, 1, 2, 5]))
        )
        # Some people like suggestions and some do not, whatever they are shown.
        own = min(1.0, max(0.0, rates[variant] * chance.choice([0.2, 1.0, 1.8])))
        yield exposure(unit, variant, visits[0])
        for start in visits:
            accepted = chance.random() < own
            yield from episode(
                unit,
                variant,
                "tent",
                start_ns=start,
                shown=[["table"], ["tea", "tent"]],
                accepted=2 if accepted else 0,
                context=chance.randrange(3),
            )
