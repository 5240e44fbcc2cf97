"""One event as one line of JSON, and back.

=======================================  ==============================================
field                                    what it is
=======================================  ==============================================
``application``                          the setting ``events_application``
``action_name``                          `Action`
``query_id``                             the suggestion set
``client_id``                            the hashed unit
``session_id``                           the hashed session id
``timestamp``                            ``2026-01-31T12:00:00.123Z``; always UTC, always
                                         milliseconds, so texts sort as times do
``user_query``                           prefix of an impression, query of a submission
``event_attributes.position.ordinal``    place of the accepted suggestion, 0 if there is
                                         none: UBI wants the field
``event_attributes.object.object_id``    accepted text, normalised, at most 256 code points
``event_attributes.espalier``            what UBI has no field for:
  ``event_id``                           unique; two lines with the same one are one event
  ``text``                               ``hash`` or ``none`` where texts are not in full
  ``query``                              query of a submission, accepted text, normalised
  ``unit``                               as ``client_id``
  ``units``                              hashed unit by experiment, where it is another
  ``intent_id``                          the typing episode
  ``experiments``                        variant in force, by experiment
  ``index``, ``index_revision``          what answered
  ``prefix_length``                      code points typed
  ``suggestions``, ``context``           how many were shown, previous queries used
  ``shown``                              texts shown, in order; not with policy ``none``
  ``credits``                            for each of them a variant or null
  ``latency_us``, ``degraded``           of the answer
  ``shadow``                             what a shadow variant would have done
=======================================  ==============================================

What is unknown is absent. With policy ``hash`` every text is ``h:`` and a keyed hash of
the normalised text; with ``none`` texts are absent.
"""

from __future__ import annotations

import functools
import json
import time
from collections.abc import Mapping
from datetime import datetime
from json.encoder import encode_basestring
from typing import Any, Final

from espalier.errors import InputError
from espalier.events.event import Action, Event
from espalier.events.privacy import Privacy, TextPolicy
from espalier.text import normalise

UBI_VERSION: Final = "1.3.0"
APPLICATION: Final = "type-ahead"
MAX_OBJECT_ID: Final = 256
"""Code points UBI allows an ``object_id`` to have."""

_ENCODE: Final = json.JSONEncoder(
    ensure_ascii=False,
    separators=(",", ":"),
    # Mappings and sequences of any kind, as events have them.
    default=lambda value: dict(value) if isinstance(value, Mapping) else list(value),
).encode
_MS: Final = 1_000_000
_ACTIONS: Final = {action.value: action for action in Action}
_WITH_QUERY: Final = (Action.SUBMISSION, Action.ACCEPTANCE)
_NAMES: Final = {action: action.value for action in Action}
_TEXTS: Final = ("intent_id", "index", "index_revision")
_NUMBERS: Final = ("prefix_length", "suggestions", "context", "latency_us")
_OBJECTS: Final = ("experiments", "credits", "shadow")


class EventLineError(InputError):
    """A line that is no event of ours."""


def line_of(event: Event, privacy: Privacy, application: str = APPLICATION) -> bytes:
    """Return the line of an event, its end included."""
    # Put together by hand, in a fifth of the time: one is written for every keystroke.
    quoted, full = encode_basestring, privacy.policy is TextPolicy.FULL
    action, text = event.action, privacy.text(event.text)
    line = f'{{"application":{quoted(application)},"action_name":"{_NAMES[action]}"'
    ours = f'"event_id":{quoted(event.event_id)}'
    about = ""
    if event.set_id:
        line += f',"query_id":{quoted(event.set_id)}'
    if event.unit:
        unit = privacy.id(event.unit)
        line += f',"client_id":"{unit}"'
        ours += f',"unit":"{unit}"'
    if event.session:
        line += f',"session_id":"{privacy.id(event.session)}"'
    line += f',"timestamp":"{stamp_of(event.time_ns)}"'
    if text is not None:
        if action in _WITH_QUERY:
            query = normalise(text) if full else text
            ours += f',"query":{quoted(query)}'
            if action is Action.ACCEPTANCE:
                about = f',"object":{{"object_id":{quoted(query[:MAX_OBJECT_ID])}}}'
        if action is not Action.ACCEPTANCE:
            line += f',"user_query":{quoted(text)}'
    ours += _details(event, privacy)
    line += (
        f',"event_attributes":{{"position":{{"ordinal":{event.position}}}{about},'
        f'"espalier":{{{ours}}}}}}}\n'
    )
    return line.encode(errors="replace")


def _details(event: Event, privacy: Privacy) -> str:
    """Return what UBI has no field for and is there in some events only."""
    quoted, policy = encode_basestring, privacy.policy
    found = "" if policy is TextPolicy.FULL else f',"text":"{policy.value}"'
    for name in _TEXTS:
        if text := getattr(event, name):
            found += f',"{name}":{quoted(text)}'
    for name in _NUMBERS:
        if (number := getattr(event, name)) is not None:
            found += f',"{name}":{number}'
    if event.shown is not None and policy is not TextPolicy.NONE:
        shown = event.shown if policy is TextPolicy.FULL else map(privacy.hash, event.shown)
        found += f',"shown":[{",".join(map(quoted, shown))}]'
    if event.degraded:
        found += ',"degraded":true'
    if event.units:
        units = {name: privacy.id(unit) for name, unit in event.units.items()}
        found += f',"units":{_ENCODE(units)}'
    for name in _OBJECTS:
        if (value := getattr(event, name)) is not None and (value or name != "experiments"):
            found += f',"{name}":{_ENCODE(value)}'
    return found


def event_of(line: bytes | str) -> Event:
    """Return the event on a line; ids and texts are what stands there.

    Raises:
        EventLineError: It is none.
    """
    try:
        document = json.loads(line)
        return _event(document)
    except (ValueError, RecursionError, KeyError, TypeError, AttributeError):
        # What those say might quote the line.
        raise EventLineError("the line is no event of Espalier") from None


def ours_in(document: Mapping[str, object]) -> Mapping[str, Any] | None:
    """Return what stands under ``event_attributes.espalier``; ``None`` in events of others."""
    attributes = document.get("event_attributes")
    found = attributes.get("espalier") if isinstance(attributes, Mapping) else None
    return found if isinstance(found, Mapping) and "event_id" in found else None


def stamp_of(time_ns: int) -> str:
    """Return a time as a line has it."""
    seconds, rest = divmod(time_ns // _MS, 1_000)
    return f"{_second(seconds)}.{rest:03d}Z"


@functools.lru_cache(64)
def _second(seconds: int) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds))


def time_of(stamp: str) -> int:
    """Return the nanoseconds since 1970 of a time as a line has it.

    Raises:
        ValueError: It is none.
    """
    moment = datetime.fromisoformat(stamp)
    if moment.tzinfo is None:
        raise ValueError
    return (round(moment.timestamp() * 1_000)) * _MS


def _event(document: Any) -> Event:
    attributes = document["event_attributes"]
    ours = attributes["espalier"]
    action = _ACTIONS[document["action_name"]]
    text = document.get("user_query")
    if action is Action.ACCEPTANCE:
        text = ours.get("query")
    shown, credits_ = ours.get("shown"), ours.get("credits")
    return Event(
        action,
        time_of(document["timestamp"]),
        event_id=_text(ours["event_id"]),
        set_id=_text(document.get("query_id", "")),
        session=_text(document.get("session_id", "")),
        unit=_text(ours.get("unit", "")),
        intent_id=_text(ours.get("intent_id", "")),
        text=None if text is None else _text(text),
        position=int(attributes["position"]["ordinal"]),
        prefix_length=_number(ours, "prefix_length"),
        suggestions=_number(ours, "suggestions"),
        context=_number(ours, "context"),
        shown=None if shown is None else tuple(map(_text, shown)),
        credits=None if credits_ is None else tuple(credits_),
        experiments=dict(ours["experiments"]) if "experiments" in ours else None,
        index=_text(ours.get("index", "")),
        index_revision=_text(ours.get("index_revision", "")),
        latency_us=_number(ours, "latency_us"),
        degraded=ours.get("degraded") is True,
        shadow=dict(ours["shadow"]) if "shadow" in ours else None,
        units=dict(ours["units"]) if "units" in ours else None,
    )


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError
    return value


def _number(ours: Mapping[str, Any], name: str) -> int | None:
    value = ours.get(name)
    if value is not None and (isinstance(value, bool) or not isinstance(value, int)):
        raise TypeError
    return value
