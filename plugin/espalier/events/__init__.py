"""What people did with suggestions, as files: one event a line.

::

    Event ── lines (event to JSON and back) ── privacy (what texts and ids become)

An event file is UTF-8, one JSON object a line, each an event of User Behavior Insights
1.3 (UBI, ``schema/1.3.0/event.schema.json`` of github.com/o19s/ubi). This package owns
that format. ``lines`` says which field is what.
"""

from espalier.events.event import NO_EVENTS, Action, Event, EventSink
from espalier.events.lines import event_of, line_of
from espalier.events.privacy import Privacy, TextPolicy

__all__ = [
    "NO_EVENTS",
    "Action",
    "Event",
    "EventSink",
    "Privacy",
    "TextPolicy",
    "event_of",
    "line_of",
]
