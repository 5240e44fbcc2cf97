"""What an event is, and the port through which the service tells of it."""

from __future__ import annotations

import enum
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Protocol, TypeAlias


class Action(enum.Enum):
    """What happened; the value is the ``action_name`` of the line."""

    EXPOSURE = "exposure"  # a variant affected an answer to this unit, for the first time
    IMPRESSION = "impression"  # suggestions were shown
    ACCEPTANCE = "acceptance"  # one of them was taken
    SUBMISSION = "submission"  # a query was submitted, typed to the end or accepted
    ABANDONMENT = "abandonment"  # typing ended without a query
    SHADOW = "shadow"  # what a variant would have answered beside the answer given
    FORGOTTEN = "forgotten"  # earlier events of this session must not be used any more


@dataclass(frozen=True, slots=True)
class Event:
    """One thing that happened.

    Texts and ids are as they came; what becomes of them in a file is the business of
    `Privacy`. In an event that was read from a file they are what stands there.

    Attributes:
        action: What happened.
        time_ns: When, in nanoseconds since 1970 UTC; a file keeps milliseconds.
        event_id: Names the event; events with the same one are the same event. "" where
            whoever writes it gives it one.
        set_id: The suggestion set this is about, "" if there is none.
        session: The session, "" if unknown.
        unit: What experiments divide traffic by, "" if unknown.
        units: The same for the experiments that divide it by something else.
        intent_id: The typing episode, as the client names it, "" if it does not.
        text: The prefix of an impression, the query of a submission, the accepted text of
            an acceptance; ``None`` where there is none or it is not kept.
        position: Place of the accepted suggestion, from 1; 0 if unknown or not fitting.
        prefix_length: Code points typed when it happened.
        suggestions: How many were shown.
        context: How many previous queries were used.
        shown: Their texts in order, normalised.
        credits: For each of ``shown`` the variant whose list gave it, ``None`` for nobody.
        experiments: Variants in force, by experiment; ``None`` or empty where there are none.
        index, index_revision: What answered, "" if unknown.
        latency_us: Microseconds the answer took inside the service.
        degraded: Whether the answer was less than it could be.
        shadow: Of a shadow event, what was compared: numbers and names, no texts.
    """

    action: Action
    time_ns: int
    event_id: str = ""
    set_id: str = ""
    session: str = ""
    unit: str = ""
    intent_id: str = ""
    text: str | None = None
    position: int = 0
    prefix_length: int | None = None
    suggestions: int | None = None
    context: int | None = None
    shown: Sequence[str] | None = None
    credits: Sequence[str | None] | None = None
    experiments: Mapping[str, str] | None = None
    index: str = ""
    index_revision: str = ""
    latency_us: int | None = None
    degraded: bool = False
    shadow: Mapping[str, object] | None = None
    units: Mapping[str, str] | None = None


Told: TypeAlias = Event | Callable[[], Event]
"""An event, or what makes it later on, off the way of whoever waits for an answer."""


class EventSink(Protocol):
    """Where events go. Safe to use from many threads."""

    @property
    def on(self) -> bool:
        """Whether anything becomes of them."""
        ...

    @property
    def failures(self) -> int:
        """How often what was taken could not be written."""
        ...

    def write(self, event: Told) -> bool:
        """Take an event without waiting; what there is no room for is dropped and counted.

        Return whether it was taken. Never raises.
        """
        ...


class _NoEvents:
    """Drops everything."""

    on = False
    failures = 0

    def write(self, event: Told) -> bool:  # noqa: ARG002 - nothing becomes of it
        """Do nothing."""
        return False


NO_EVENTS: Final[EventSink] = _NoEvents()
