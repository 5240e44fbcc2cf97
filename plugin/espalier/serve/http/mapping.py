"""The JSON mapping of Protocol Buffers, both ways, for the messages of a service.

What is accepted and written is what ``google.protobuf.json_format`` accepts and writes
(with ``always_print_fields_with_no_presence``), and `tests` hold it to that. It is done
here for two reasons: an error has to name the field, as gRPC's errors do, and must not
repeat what stood there, which may be what somebody typed; and a reply of ten
suggestions takes a fifth of the time.

Fields of messages, repeated fields, maps of strings and ``Timestamp`` are known; other maps,
``Any``, ``bytes`` and wrappers are in no message of ours, and a test says when that changes.
"""

from __future__ import annotations

import difflib
import functools
import json
import math
import re
from collections.abc import Callable, Mapping, Sequence
from json.encoder import encode_basestring
from operator import attrgetter
from typing import Any, Final, NoReturn, TypeVar

from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.message import Message

from espalier.serve.errors import MalformedRequestError, RequestTextError

_M = TypeVar("_M", bound=Message)

_F = FieldDescriptor
_LIMITS: Final[Mapping[int, tuple[int, int]]] = {
    _F.CPPTYPE_INT32: (-(2**31), 2**31 - 1),
    _F.CPPTYPE_UINT32: (0, 2**32 - 1),
    _F.CPPTYPE_INT64: (-(2**63), 2**63 - 1),
    _F.CPPTYPE_UINT64: (0, 2**64 - 1),
}
_AS_TEXT: Final = {_F.CPPTYPE_INT64, _F.CPPTYPE_UINT64}
_INTEGER: Final = re.compile(r"-?[0-9]{1,20}")
_TIMESTAMP: Final = "google.protobuf.Timestamp"
_TRUTH: Final = {"true": True, "false": False}


# ---- JSON to message ----------------------------------------------------------------


def from_json(kind: type[_M], body: bytes) -> _M:
    """Return the message in a JSON document.

    Raises:
        RequestTextError: It is not UTF-8, or a string of it is not Unicode.
        MalformedRequestError: It is no JSON, or not of this type.
    """
    name = kind.DESCRIPTOR.full_name
    try:
        text = body.decode()
    except UnicodeDecodeError as error:
        raise RequestTextError(
            f"the body is not UTF-8: byte {error.start} of it; send JSON as UTF-8",
            offset=error.start,
        ) from None
    try:
        document = json.loads(text, object_pairs_hook=_object, parse_constant=_no_constant)
    except json.JSONDecodeError as error:
        # Its message quotes nothing, unlike its other attributes.
        raise MalformedRequestError(
            f"the body is no JSON: {error.msg} at character {error.pos}; send one object",
            message=name,
            offset=error.pos,
        ) from None
    except (ValueError, RecursionError):
        raise MalformedRequestError(
            "the body is no JSON: a name that stands twice in one object, a number that is none, "
            "or too many levels; send one plain object",
            message=name,
        ) from None
    return from_object(kind, document)


def from_object(kind: type[_M], document: object) -> _M:
    """Return the message in a document that was read already.

    Raises:
        RequestTextError, MalformedRequestError: As `from_json`.
    """
    made = kind()
    _fill(made, document, "", kind.DESCRIPTOR.full_name)
    return made


def from_parameters(kind: type[_M], parameters: Sequence[tuple[str, str]]) -> _M:
    """Return the message whose fields are the parameters of a query.

    A list is a parameter that stands several times; ``a.b`` is field ``b`` of message ``a``,
    or the entry ``b`` of map ``a``.

    Raises:
        RequestTextError, MalformedRequestError: As `from_json`.
    """
    name = kind.DESCRIPTOR.full_name
    document: dict[str, Any] = {}
    for key, value in parameters:
        _put_parameter(document, key, value, kind.DESCRIPTOR, name)
    return from_object(kind, document)


def _put_parameter(document: dict[str, Any], key: str, value: str, fields: Any, name: str) -> None:
    inside, path = document, ""
    step, dot, rest = key.partition(".")
    while dot:
        field = _field(fields, step, path, name)
        if _is_map(field):
            # Names of entries may have dots.
            entries = inside.setdefault(field.name, {})
            if rest in entries:
                _refuse(path + field.name, "has a name that stands twice", name)
            entries[rest] = value
            return
        if field.message_type is None or field.is_repeated:
            _refuse(path + field.name, "has no fields below it", name)
        fields, path = field.message_type, f"{path}{field.name}."
        inside = inside.setdefault(field.name, {})
        step, dot, rest = rest.partition(".")
    field = _field(fields, step, path, name)
    if _is_map(field):
        _refuse(path + field.name, "is a map; name an entry after a dot", name)
    if field.is_repeated:
        inside.setdefault(field.name, []).append(value)
    elif field.name in inside:
        _refuse(path + field.name, "stands twice", name)
    elif field.cpp_type == _F.CPPTYPE_BOOL:
        inside[field.name] = _TRUTH.get(value, value)
    else:
        inside[field.name] = value


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(pairs)
    if len(made) != len(pairs):
        raise ValueError
    return made


def _no_constant(_name: str) -> NoReturn:
    raise ValueError


def _fill(message: Any, document: object, path: str, name: str) -> None:
    if not isinstance(document, dict):
        _refuse(path[:-1], "must be an object", name)
    seen = set()
    for key, value in document.items():
        field = _field(message.DESCRIPTOR, key, path, name)
        if field.name in seen:
            _refuse(path + field.name, "stands twice, in both spellings", name)
        seen.add(field.name)
        if value is None:
            continue
        place = path + field.name
        if _is_map(field):
            _fill_map(getattr(message, field.name), field, value, place, name)
        elif field.is_repeated:
            _fill_list(message, field, value, place, name)
        elif field.cpp_type == _F.CPPTYPE_MESSAGE:
            below = getattr(message, field.name)
            below.SetInParent()
            if below.DESCRIPTOR.full_name == _TIMESTAMP:
                _fill_time(below, value, place, name)
            else:
                _fill(below, value, f"{place}.", name)
        else:
            setattr(message, field.name, _scalar(field, value, place, name))


def _fill_list(message: Any, field: Any, values: object, place: str, name: str) -> None:
    if not isinstance(values, list):
        _refuse(place, "must be a list", name)
    target = getattr(message, field.name)
    for number, value in enumerate(values):
        if value is None:
            _refuse(f"{place}[{number}]", "must not be null", name)
        if field.cpp_type == _F.CPPTYPE_MESSAGE:
            _fill(target.add(), value, f"{place}[{number}].", name)
        else:
            target.append(_scalar(field, value, f"{place}[{number}]", name))


def _fill_time(message: Any, value: object, place: str, name: str) -> None:
    try:
        # Anything but text raises as well.
        message.FromJsonString(value)
    except (ValueError, TypeError, AttributeError):
        _refuse(place, "must be a time, as 2026-01-31T12:00:00.123Z", name)


def _fill_map(target: Any, field: Any, values: object, place: str, name: str) -> None:
    if not isinstance(values, dict):
        _refuse(place, "must be an object", name)
    entry = field.message_type.fields_by_name
    for key, value in values.items():
        # The key is not repeated: it may be anything.
        if value is None:
            _refuse(place, "must not have null in it", name)
        target[_scalar(entry["key"], key, place, name)] = _scalar(
            entry["value"], value, place, name
        )


def _is_map(field: FieldDescriptor) -> bool:
    kind = field.message_type
    return kind is not None and kind.GetOptions().map_entry


@functools.cache
def _names(fields: Descriptor) -> Mapping[str, FieldDescriptor]:
    return {name: field for field in fields.fields for name in (field.name, field.json_name)}


def _field(fields: Descriptor, key: str, path: str, name: str) -> FieldDescriptor:
    names = _names(fields)
    found = names.get(key)
    if found is None:
        # The name is not repeated: with a slip of the hand it is what somebody typed.
        known = [field.json_name for field in fields.fields]
        near = difflib.get_close_matches(key[:64], known, n=1, cutoff=0.0)
        hint = f"did you mean {near[0]}? Known: " if near else "known: "
        _refuse(path[:-1], f"has a field that nobody knows; {hint}{', '.join(sorted(known))}", name)
    return found


def _scalar(field: Any, value: object, place: str, name: str) -> object:
    kind = field.cpp_type
    if kind == _F.CPPTYPE_STRING:
        if not isinstance(value, str):
            _refuse(place, "must be a string", name)
        try:
            value.encode()
        except UnicodeEncodeError as error:
            raise RequestTextError(
                f"{place} has half a surrogate pair at character {error.start}; send whole ones",
                field=place,
                offset=error.start,
            ) from None
        return value
    if kind == _F.CPPTYPE_BOOL:
        if not isinstance(value, bool):
            _refuse(place, "must be true or false", name)
        return value
    if kind == _F.CPPTYPE_ENUM:
        return _enum(field, value, place, name)
    if kind in _LIMITS:
        return _integer(value, *_LIMITS[kind], place, name)
    return _number(value, place, name)


def _enum(field: Any, value: object, place: str, name: str) -> int:
    if isinstance(value, str) and value in field.enum_type.values_by_name:
        return int(field.enum_type.values_by_name[value].number)
    if isinstance(value, str) and not _INTEGER.fullmatch(value):
        known = ", ".join(field.enum_type.values_by_name)
        _refuse(place, f"must be one of {known}", name)
    return _integer(value, *_LIMITS[_F.CPPTYPE_INT32], place, name)


def _integer(value: object, low: int, high: int, place: str, name: str) -> int:
    match value:
        case bool():
            number = None
        case int():
            number = value
        case float():
            number = int(value) if value.is_integer() else None
        case str():
            number = int(value) if _INTEGER.fullmatch(value) else None
        case _:
            number = None
    if number is None or not low <= number <= high:
        _refuse(place, f"must be a whole number from {low} to {high}", name)
    return number


def _number(value: object, place: str, name: str) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        _refuse(place, "must be a number", name)
    return float(value)


def _refuse(place: str, what: str, name: str) -> NoReturn:
    raise MalformedRequestError(f"{place or 'the body'} {what}", field=place, message=name)


# ---- message to JSON ----------------------------------------------------------------

_Write = Callable[[Any], str]


def to_json(message: Message) -> bytes:
    """Return a message as a JSON document in UTF-8, on one line."""
    return _writer(message.DESCRIPTOR)(message).encode()


@functools.cache
def _writer(fields: Descriptor) -> _Write:
    """Return what writes messages of one type; looks at the type but once.

    All fields are fetched by one call and put into one text: a reply has some hundred.
    """
    if fields.full_name == _TIMESTAMP:
        return lambda message: f'"{message.ToJsonString()}"'
    always = [field for field in fields.fields if not field.has_presence]
    optional = [
        (field.name, f'"{field.json_name}":', _part(field))
        for field in fields.fields
        if field.has_presence
    ]
    template = ",".join(f'"{field.json_name}":%s' for field in always)
    writers = [_part(field) for field in always]
    # With one name the getter returns no tuple, so every message has a second one that is
    # left over when the writers are done.
    fetch = attrgetter(*(field.name for field in always), "DESCRIPTOR", "DESCRIPTOR")

    def write_message(message: Any) -> str:
        written = template % tuple(
            [
                value if write is None else write(value)
                for write, value in zip(writers, fetch(message), strict=False)
            ]
        )
        for name, begin, write in optional:
            if message.HasField(name):
                value = getattr(message, name)
                comma = "," if written else ""
                written += f"{comma}{begin}{value if write is None else write(value)}"
        return f"{{{written}}}"

    return write_message


def _part(field: Any) -> _Write | None:
    """Return what writes a field, ``None`` if ``str`` does."""
    if _is_map(field):
        return _map_writer(field)
    write = _value_writer(field)
    if not field.is_repeated:
        return write
    each = str if write is None else write
    return lambda many: f"[{','.join(map(each, many))}]" if many else "[]"


def _map_writer(field: Any) -> _Write:
    write = _value_writer(field.message_type.fields_by_name["value"]) or str

    def write_map(values: Mapping[str, Any]) -> str:
        if not values:
            return "{}"
        parts = [f"{encode_basestring(key)}:{write(values[key])}" for key in sorted(values)]
        return f"{{{','.join(parts)}}}"

    return write_map


def _value_writer(field: Any) -> _Write | None:
    match field.cpp_type:
        case _F.CPPTYPE_MESSAGE:
            return _writer(field.message_type)
        case _F.CPPTYPE_ENUM:
            names = {value.number: f'"{value.name}"' for value in field.enum_type.values}
            return lambda number: names.get(number) or str(number)
        case _F.CPPTYPE_BOOL:
            return lambda value: "true" if value else "false"
        case _F.CPPTYPE_STRING:
            return encode_basestring
        case _F.CPPTYPE_DOUBLE | _F.CPPTYPE_FLOAT:
            return _float
        case kind:
            return '"{}"'.format if kind in _AS_TEXT else None


def _float(value: float) -> str:
    if math.isfinite(value):
        return repr(value)
    return '"NaN"' if math.isnan(value) else '"Infinity"' if value > 0 else '"-Infinity"'
