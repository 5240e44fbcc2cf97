"""What the wire API must obey, checked on descriptors.

Two sets of rules, both after buf (https://buf.build/docs): `lint`, its STANDARD
and COMMENTS rules as far as this API meets them, and `breaking`, its WIRE_JSON
rules: a client built against the old files must keep working, in binary and in
JSON. Each returns one sentence per fault, led by the element's full name.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Container, Iterable, Iterator
from dataclasses import dataclass, field

from google.protobuf.descriptor_pb2 import (
    DescriptorProto,
    EnumDescriptorProto,
    FieldDescriptorProto,
    FileDescriptorProto,
    FileDescriptorSet,
    MethodDescriptorProto,
    ServiceDescriptorProto,
)

# Field numbers in descriptor.proto, of which the paths of comments are made.
_FILE_MESSAGE, _FILE_ENUM, _FILE_SERVICE = 4, 5, 6
_MESSAGE_FIELD, _MESSAGE_NESTED, _MESSAGE_ENUM, _MESSAGE_ONEOF = 2, 3, 4, 8
_ENUM_VALUE, _SERVICE_METHOD = 2, 2

_PASCAL = re.compile(r"[A-Z][A-Za-z0-9]*")
_SNAKE = re.compile(r"[a-z][a-z0-9]*(_[a-z0-9]+)*")
_UPPER = re.compile(r"[A-Z][A-Z0-9]*(_[A-Z0-9]+)*")
_PACKAGE = re.compile(r"[a-z][a-z0-9]*(\.[a-z][a-z0-9]*)*\.v[1-9][0-9]*")
_SINCE = re.compile(r"\bSince\s+\d+\.\d+\.")

Path = tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Elements:
    """Everything that has a name, by full name: ``espalier.v1.Suggestion.text``."""

    messages: dict[str, DescriptorProto] = field(default_factory=dict)
    fields: dict[str, FieldDescriptorProto] = field(default_factory=dict)
    oneofs: dict[str, None] = field(default_factory=dict)
    enums: dict[str, EnumDescriptorProto] = field(default_factory=dict)
    values: dict[str, int] = field(default_factory=dict)
    services: dict[str, ServiceDescriptorProto] = field(default_factory=dict)
    methods: dict[str, MethodDescriptorProto] = field(default_factory=dict)
    comments: dict[str, str] = field(default_factory=dict)


def elements_of(files: FileDescriptorSet) -> Elements:
    """Return every element of ``files``, with its comment where source info is there."""
    found = Elements()
    for file in files.file:
        comments = {
            tuple(place.path): place.leading_comments for place in file.source_code_info.location
        }
        _Walk(found, comments).file(file)
    return found


class _Walk:
    def __init__(self, found: Elements, comments: dict[Path, str]) -> None:
        self._found = found
        self._comments = comments

    def file(self, file: FileDescriptorProto) -> None:
        for number, message in enumerate(file.message_type):
            self._message(file.package, message, (_FILE_MESSAGE, number))
        for number, enum in enumerate(file.enum_type):
            self._enum(file.package, enum, (_FILE_ENUM, number))
        for number, service in enumerate(file.service):
            self._service(file.package, service, (_FILE_SERVICE, number))

    def _name(self, scope: str, name: str, path: Path) -> str:
        full = f"{scope}.{name}"
        self._found.comments[full] = self._comments.get(path, "").strip()
        return full

    def _message(self, scope: str, message: DescriptorProto, path: Path) -> None:
        full = self._name(scope, message.name, path)
        self._found.messages[full] = message
        for number, part in enumerate(message.field):
            name = self._name(full, part.name, (*path, _MESSAGE_FIELD, number))
            self._found.fields[name] = part
        for number, oneof in enumerate(message.oneof_decl):
            if not oneof.name.startswith("_"):  # made by protoc for an optional field
                self._found.oneofs[
                    self._name(full, oneof.name, (*path, _MESSAGE_ONEOF, number))
                ] = None
        for number, nested in enumerate(message.nested_type):
            if not nested.options.map_entry:
                self._message(full, nested, (*path, _MESSAGE_NESTED, number))
        for number, enum in enumerate(message.enum_type):
            self._enum(full, enum, (*path, _MESSAGE_ENUM, number))

    def _enum(self, scope: str, enum: EnumDescriptorProto, path: Path) -> None:
        full = self._name(scope, enum.name, path)
        self._found.enums[full] = enum
        for number, value in enumerate(enum.value):
            name = self._name(full, value.name, (*path, _ENUM_VALUE, number))
            self._found.values[name] = value.number

    def _service(self, scope: str, service: ServiceDescriptorProto, path: Path) -> None:
        full = self._name(scope, service.name, path)
        self._found.services[full] = service
        for number, method in enumerate(service.method):
            name = self._name(full, method.name, (*path, _SERVICE_METHOD, number))
            self._found.methods[name] = method


# ---- lint -------------------------------------------------------------------


def lint(files: FileDescriptorSet) -> list[str]:
    """Return what is wrong with ``files``, compiled with source info; empty if nothing."""
    found = elements_of(files)
    return [
        *(fault for file in files.file for fault in _lint_file(file)),
        *_lint_comments(found),
        *_lint_names(found),
        *_lint_enums(found),
        *_lint_services(found),
    ]


def _lint_file(file: FileDescriptorProto) -> Iterator[str]:
    folder, _, name = file.name.rpartition("/")
    if file.syntax != "proto3":
        yield f"{file.name}: syntax is not proto3"
    if not _PACKAGE.fullmatch(file.package):
        yield f"{file.name}: package {file.package!r} does not end in a version"
    if folder != file.package.replace(".", "/"):
        yield f"{file.name}: package {file.package!r} is not its folder"
    if not _SNAKE.fullmatch(name.removesuffix(".proto")):
        yield f"{file.name}: file name is not lower_snake_case"
    if len(file.service) > 1:
        yield f"{file.name}: more than one service"
    if file.public_dependency or file.weak_dependency:
        yield f"{file.name}: public or weak import"


def _lint_comments(found: Elements) -> Iterator[str]:
    for name, comment in found.comments.items():
        if not comment:
            yield f"{name}: no comment"
        elif not _SINCE.search(comment):
            yield f"{name}: comment does not say since which version (`Since 0.1.`)"


def _lint_names(found: Elements) -> Iterator[str]:
    shapes: list[tuple[Iterable[str], re.Pattern[str], str]] = [
        (found.messages, _PASCAL, "PascalCase"),
        (found.enums, _PASCAL, "PascalCase"),
        (found.services, _PASCAL, "PascalCase"),
        (found.methods, _PASCAL, "PascalCase"),
        (found.fields, _SNAKE, "lower_snake_case"),
        (found.oneofs, _SNAKE, "lower_snake_case"),
        (found.values, _UPPER, "UPPER_SNAKE_CASE"),
    ]
    for names, pattern, shape in shapes:
        for name in names:
            if not pattern.fullmatch(_last(name)):
                yield f"{name}: not {shape}"


def _lint_enums(found: Elements) -> Iterator[str]:
    for name, enum in found.enums.items():
        prefix = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", _last(name)).upper() + "_"
        if enum.value[0].name != prefix + "UNSPECIFIED" or enum.value[0].number != 0:
            yield f"{name}: value zero is not {prefix}UNSPECIFIED"
        if enum.options.allow_alias:
            yield f"{name}: allows aliases"
        for value in enum.value:
            if not value.name.startswith(prefix):
                yield f"{name}.{value.name}: does not start with {prefix}"


def _lint_services(found: Elements) -> Iterator[str]:
    for name in found.services:
        if not name.endswith("Service"):
            yield f"{name}: does not end in Service"
    for name, method in found.methods.items():
        package = name.rsplit(".", 2)[0]
        expected = [f".{package}.{method.name}{end}" for end in ("Request", "Response")]
        if [method.input_type, method.output_type] != expected:
            yield f"{name}: does not take {method.name}Request and return {method.name}Response"


def _last(name: str) -> str:
    return name.rpartition(".")[2]


# ---- breaking changes -------------------------------------------------------


def breaking(old: FileDescriptorSet, new: FileDescriptorSet) -> list[str]:
    """Return what a client of ``old`` would miss in ``new``; empty if nothing."""
    before, after = elements_of(old), elements_of(new)
    return [
        *_gone("message", before.messages, after.messages),
        *_gone("enum", before.enums, after.enums),
        *_gone("service", before.services, after.services),
        *_gone("method", before.methods, after.methods),
        *_fields_broken(before, after),
        *_values_broken(before, after),
        *_methods_broken(before, after),
    ]


def missing(promised: FileDescriptorSet, current: FileDescriptorSet) -> list[str]:
    """Return the elements of ``current`` that ``promised`` does not hold yet."""
    before, after = elements_of(promised), elements_of(current)
    return sorted(set(after.comments) - set(before.comments))


def _gone(kind: str, before: Iterable[str], after: Container[str]) -> Iterator[str]:
    for name in before:
        if name not in after:
            yield f"{name}: {kind} is gone"


def _fields_broken(before: Elements, after: Elements) -> Iterator[str]:
    for name, message in before.messages.items():
        now = after.messages.get(name)
        if now is None:
            continue
        by_number = {part.number: part for part in now.field}
        reserved = {n for r in now.reserved_range for n in range(r.start, r.end)}
        for part in message.field:
            full = f"{name}.{part.name}"
            same = by_number.get(part.number)
            if same is None:
                if part.number not in reserved or part.name not in now.reserved_name:
                    yield f"{full}: field is gone and number {part.number} or name not reserved"
                continue
            for what, value in _FIELD_TRAITS.items():
                if value(message, part) != value(now, same):
                    yield f"{full}: {what} changed"


def _oneof(message: DescriptorProto, part: FieldDescriptorProto) -> str:
    return message.oneof_decl[part.oneof_index].name if part.HasField("oneof_index") else ""


_FIELD_TRAITS: dict[str, Callable[[DescriptorProto, FieldDescriptorProto], object]] = {
    "name": lambda _, part: part.name,
    "JSON name": lambda _, part: part.json_name,
    "type": lambda _, part: (part.type, part.type_name),
    "cardinality": lambda _, part: part.label,
    "oneof": _oneof,
}


def _values_broken(before: Elements, after: Elements) -> Iterator[str]:
    for name, enum in before.enums.items():
        now = after.enums.get(name)
        if now is None:
            continue
        names = {value.number: value.name for value in now.value}
        reserved = {n for r in now.reserved_range for n in range(r.start, r.end + 1)}
        for value in enum.value:
            same = names.get(value.number)
            if same is None and (
                value.number not in reserved or value.name not in now.reserved_name
            ):
                yield f"{name}.{value.name}: value is gone and not reserved"
            if same is not None and same != value.name:
                yield f"{name}.{value.name}: number {value.number} is now {same}"


def _methods_broken(before: Elements, after: Elements) -> Iterator[str]:
    for name, method in before.methods.items():
        now = after.methods.get(name)
        if now is None:
            continue
        for what in ("input_type", "output_type", "client_streaming", "server_streaming"):
            if getattr(method, what) != getattr(now, what):
                yield f"{name}: {what} changed"
