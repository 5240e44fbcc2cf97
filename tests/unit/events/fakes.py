"""What the tests of event files share: events, a folder on a clock, a log that remembers."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from espalier.events import Action, Event, Privacy, TextPolicy
from espalier.events.folder import EventFolder, Keeping
from espalier.events.reading import read_events

KEY = b"a secret of tests, long enough"
NOON = 1_769_860_800_000_000_000
FULL = Privacy(TextPolicy.FULL, KEY)


class Clock:
    """Nanoseconds that pass when told to."""

    def __init__(self) -> None:
        self.now = NOON

    def __call__(self) -> int:
        """Return the time."""
        return self.now


def submission(number: int, *, session: str = "s", **changes: object) -> Event:
    """Return one of many events, each with an id of its own."""
    fields = {"event_id": f"e{number}", "session": session, "text": f"query {number}"} | changes
    return Event(Action.SUBMISSION, NOON + number * 1_000_000, **fields)  # type: ignore[arg-type]


def folder_at(path: Path, clock: Clock | None = None, **keeping: float) -> EventFolder:
    """Return an event folder."""
    return EventFolder(path, Keeping(**keeping), clock=clock or Clock())  # type: ignore[arg-type]


def ids_in(path: Path) -> Iterator[str]:
    """Yield the ids of the events in a folder."""
    return (event.event_id for event in read_events([path]))


def names_in(path: Path) -> list[str]:
    """Return the names of a folder that are no lock."""
    return sorted(one.name for one in path.iterdir() if not one.name.endswith(".lock"))
