"""A client for any gRPC server that describes itself by server reflection.

::

    from espalier.calling import AnyServer

    with AnyServer("127.0.0.1:50051") as server:
        method = server.method("Complete")
        for reply in server.call(method, [server.message(method.input_type, {"prefix": "c"})]):
            print(server.as_document(reply))

Nothing of the service need be known beforehand: names, types and fields come from it.
"""

from __future__ import annotations

import contextlib
import difflib
import functools
import json
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from types import TracebackType
from typing import Any, Final, Self, TypeAlias, cast

import grpc
from google.protobuf import descriptor_pb2, json_format, message_factory
from google.protobuf.descriptor import (
    Descriptor,
    EnumDescriptor,
    FieldDescriptor,
    MethodDescriptor,
    ServiceDescriptor,
)
from google.protobuf.descriptor_database import DescriptorDatabase
from google.protobuf.descriptor_pb2 import FileDescriptorProto
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message import Message
from grpc_health.v1.health_pb2 import HealthCheckRequest, HealthCheckResponse
from grpc_reflection.v1alpha.reflection_pb2 import (
    ServerReflectionRequest,
    ServerReflectionResponse,
)

from espalier.access import Access
from espalier.client import CallError, open_channel
from espalier.errors import EspalierError, InputError

__all__ = ["AnyServer", "Element", "Metadata", "declaration_of", "documents_in", "source_of"]

Element: TypeAlias = ServiceDescriptor | MethodDescriptor | Descriptor | EnumDescriptor
"""What a server describes."""

Metadata: TypeAlias = Sequence[tuple[str, str]]
"""Headers of a call, names in lower case."""

# Newer servers have the first alone, older ones the second; their messages are the same.
_VERSIONS: Final = ("grpc.reflection.v1.", "grpc.reflection.v1alpha.")
_HEALTH: Final = "/grpc.health.v1.Health/Check"
_OPTIONS: Final = [
    ("grpc.max_receive_message_length", 64 * 1024 * 1024),
    # Who waits for a server that starts does not want to wait for longer and longer.
    ("grpc.initial_reconnect_backoff_ms", 50),
    ("grpc.min_reconnect_backoff_ms", 1_000),
    ("grpc.max_reconnect_backoff_ms", 200),
]
# What a server that is about to start, or a component about to be there, answers.
_MAY_PASS: Final = {
    grpc.StatusCode.UNAVAILABLE,
    grpc.StatusCode.DEADLINE_EXCEEDED,
    grpc.StatusCode.NOT_FOUND,
}
_PAUSE_SECONDS: Final = 0.1
_WELL_KNOWN: Final = "google.protobuf."


class AnyServer:
    """A server and what it says of itself; open until `close`.

    Args:
        target: HOST:PORT or ``unix:PATH``.
        timeout: Seconds each call may take, ``None`` for as long as it takes.
        metadata: Goes with every call, those of reflection too.
        access: How to get in, where that takes TLS or a token.

    Raises:
        InputError: A file that ``access`` names cannot be used.
    """

    def __init__(
        self,
        target: str,
        *,
        timeout: float | None = 10.0,
        metadata: Metadata = (),
        access: Access | None = None,
    ) -> None:
        access = Access() if access is None else access
        token = access.token(target)
        self._channel = open_channel(access, target, _OPTIONS)
        self._timeout = timeout
        self._metadata = (*metadata, *(() if token is None else token.metadata))
        self._versions = list(_VERSIONS)
        self._pool: Any = DescriptorPool(_Descriptors(self._ask))

    @functools.cached_property
    def services(self) -> tuple[str, ...]:
        """Full names of the services, sorted.

        Raises:
            CallError: The server cannot be reached, or has no reflection.
        """
        reply = self._ask(ServerReflectionRequest(list_services="*"))
        return tuple(sorted(one.name for one in reply.list_services_response.service))

    def service(self, name: str) -> ServiceDescriptor | None:
        """Return a service by its full name, ``None`` if the server does not describe it.

        Raises:
            CallError: The server did not answer.
        """
        found: ServiceDescriptor | None = _look_up(self._pool.FindServiceByName, name)
        return found

    def element(self, name: str) -> Element:
        """Return what has this name: a full one, or the end of one service or method alone.

        Between service and method may stand a point or a slash.

        Raises:
            InputError: Nothing has, or several do.
            CallError: The server did not answer.
        """
        dotted = name.removeprefix("/").replace("/", ".")
        candidates: dict[str, Element] = {}
        for service in filter(None, map(self.service, self.services)):
            candidates[service.full_name] = service
            candidates |= {method.full_name: method for method in service.methods}
        ends = [full for full in candidates if f".{full}".endswith(f".{dotted}")]
        if dotted in candidates or len(ends) == 1:
            return candidates.get(dotted) or candidates[ends[0]]
        if ends:
            raise InputError(f"several have that name; write one of {', '.join(sorted(ends))}")
        for find in (self._pool.FindMessageTypeByName, self._pool.FindEnumTypeByName):
            found: Element | None = _look_up(find, dotted)
            if found is not None:
                return found
        raise InputError(f"the server has no {dotted}{_nearest(dotted, candidates)}")

    def method(self, name: str) -> MethodDescriptor:
        """Return a method, named as for `element`.

        Raises:
            InputError: There is none of that name.
            CallError: The server did not answer.
        """
        found = self.element(name)
        if not isinstance(found, MethodDescriptor):
            raise InputError(f"{found.full_name} is no method; name one of a service")
        return found

    def message(self, kind: Descriptor, document: Any) -> Message:
        """Return the message of a type that a JSON document is, in the proto3 mapping.

        Raises:
            InputError: It is not of this type.
        """
        message = message_factory.GetMessageClass(kind)()
        if not isinstance(document, dict):
            raise InputError(f"the request is no {kind.full_name}: write an object, {{…}}")
        try:
            return json_format.ParseDict(document, message, descriptor_pool=self._pool)
        except (json_format.ParseError, TypeError, ValueError, RecursionError) as error:
            raise InputError(f"the request is no {kind.full_name}: {error}") from None

    def call(self, method: MethodDescriptor, requests: Iterable[Message]) -> Iterator[Message]:
        """Send the requests, and yield the replies as they come; for methods of every kind.

        Raises:
            CallError: The call failed; replies before that have been yielded.
        """
        path = f"/{method.containing_service.full_name}/{method.name}"
        reply = message_factory.GetMessageClass(method.output_type)
        yield from self._stream(path, requests, reply.FromString)

    def as_document(self, message: Message) -> dict[str, Any]:
        """Return a message in the proto3 JSON mapping; what is not set is left out."""
        return json_format.MessageToDict(message, descriptor_pool=self._pool)

    def health(self, component: str, *, wait: float = 0.0) -> str:
        """Return what ``grpc.health.v1`` says of a component, as SERVING or NOT_SERVING.

        Args:
            component: Its name; what the names are is up to the server.
            wait: Seconds to ask again and again until the answer is SERVING.

        Raises:
            CallError: The server did not answer, or knows no such component.
        """
        deadline = time.monotonic() + wait
        request = HealthCheckRequest(service=component)
        while True:
            late = time.monotonic() >= deadline
            try:
                (reply,) = self._stream(_HEALTH, [request], HealthCheckResponse.FromString)
            except CallError as error:
                if late or error.code not in _MAY_PASS:
                    raise
            else:
                status = str(HealthCheckResponse.ServingStatus.Name(reply.status))
                if late or status == "SERVING":
                    return status
            time.sleep(_PAUSE_SECONDS)

    def close(self) -> None:
        """Close the connection."""
        self._channel.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    # ---- asking ---------------------------------------------------------------------

    def _stream(
        self, path: str, requests: Iterable[Message], read: Callable[[bytes], Message]
    ) -> Iterator[Any]:
        # On the wire every method is a stream of messages each way.
        start = self._channel.stream_stream(
            path, request_serializer=_bytes_of, response_deserializer=read
        )
        try:
            yield from start(iter(requests), timeout=self._timeout, metadata=self._metadata)
        except grpc.RpcError as error:
            raise CallError(error) from None

    def _ask(self, request: ServerReflectionRequest) -> Any:
        while True:
            path = f"/{self._versions[0]}ServerReflection/ServerReflectionInfo"
            replies = self._stream(path, [request], ServerReflectionResponse.FromString)
            try:
                reply = next(replies, None)
            except CallError as error:
                if error.code is not grpc.StatusCode.UNIMPLEMENTED or len(self._versions) == 1:
                    raise
                del self._versions[0]
                continue
            if reply is None:
                raise EspalierError("the server said nothing about itself; its reflection is off")
            return reply


class _Descriptors(DescriptorDatabase):
    """Files of descriptors, fetched from a server when they are asked for."""

    def __init__(self, ask: Callable[[ServerReflectionRequest], Any]) -> None:
        super().__init__()
        self._ask = ask
        self._known: set[str] = set()

    def FindFileByName(self, name: str) -> FileDescriptorProto:  # noqa: N802 - protobuf's name
        """Return a file; ``KeyError`` if there is none."""
        if name not in self._known:
            self._learn(ServerReflectionRequest(file_by_filename=name))
        return super().FindFileByName(name)

    def FindFileContainingSymbol(self, symbol: str) -> FileDescriptorProto:  # noqa: N802 - protobuf's name
        """Return the file that something is declared in; ``KeyError`` if there is none."""
        with contextlib.suppress(KeyError):
            return super().FindFileContainingSymbol(symbol)
        self._learn(ServerReflectionRequest(file_containing_symbol=symbol))
        return super().FindFileContainingSymbol(symbol)

    def _learn(self, request: ServerReflectionRequest) -> None:
        reply = self._ask(request)
        for data in reply.file_descriptor_response.file_descriptor_proto:
            file = FileDescriptorProto.FromString(data)
            if file.name not in self._known:
                self._known.add(file.name)
                self.Add(file)


def _bytes_of(message: Message) -> bytes:
    return bytes(message.SerializeToString())


def _look_up(find: Callable[[str], Any], name: str) -> Any:
    # TypeError: it stands in a file that imports one which the server does not have.
    with contextlib.suppress(KeyError, TypeError):
        return find(name)
    return None


def _nearest(name: str, known: Iterable[str]) -> str:
    by_end = {full.rpartition(".")[2]: full for full in known} | {full: full for full in known}
    near = difflib.get_close_matches(name, by_end, n=1, cutoff=0.0)
    return f"; did you mean {by_end[near[0]]}?" if near else ""


def documents_in(text: str) -> list[object]:
    """Return the JSON documents that stand in ``text`` one after the other.

    Raises:
        InputError: Something else stands there.
    """
    found: list[object] = []
    decoder = json.JSONDecoder()
    at = 0
    while rest := text[at:].lstrip():
        at = len(text) - len(rest)
        try:
            document, at = decoder.raw_decode(text, at)
        except (json.JSONDecodeError, RecursionError) as error:
            raise InputError(f"the request is not JSON: {error}") from None
        found.append(document)
    return found


# ---- describing ---------------------------------------------------------------------


def source_of(element: Element) -> str:
    """Return an element as a .proto file would declare it.

    Behind a method come the messages it takes and returns, and what those are made of.
    """
    if isinstance(element, ServiceDescriptor):
        lines = [f"  {_signature(method)}" for method in element.methods]
        return "\n".join([f"service {element.full_name} {{", *lines, "}"])
    if isinstance(element, MethodDescriptor):
        parts = [f"// {element.full_name}\n{_signature(element)}"]
        parts += map(source_of, _made_of([element.input_type, element.output_type]))
        return "\n\n".join(parts)
    if isinstance(element, EnumDescriptor):
        lines = [f"  {value.name} = {value.number};" for value in element.values]
        return "\n".join([f"enum {element.full_name} {{", *lines, "}"])
    lines = [f"  {_field(field)}" for field in element.fields]
    return "\n".join([f"message {element.full_name} {{", *lines, "}"])


def declaration_of(element: Element) -> Message:
    """Return an element as descriptor.proto describes it."""
    declared: Any
    match element:
        case ServiceDescriptor():
            declared = descriptor_pb2.ServiceDescriptorProto()
        case MethodDescriptor():
            declared = descriptor_pb2.MethodDescriptorProto()
        case EnumDescriptor():
            declared = descriptor_pb2.EnumDescriptorProto()
        case _:
            declared = descriptor_pb2.DescriptorProto()
    element.CopyToProto(declared)
    return cast("Message", declared)


def _signature(method: MethodDescriptor) -> str:
    takes, returns = (
        f"{'stream ' if streams else ''}{kind.full_name}"
        for streams, kind in (
            (method.client_streaming, method.input_type),
            (method.server_streaming, method.output_type),
        )
    )
    return f"rpc {method.name}({takes}) returns ({returns});"


def _field(field: FieldDescriptor) -> str:
    below = field.message_type
    if below is not None and below.GetOptions().map_entry:
        key, value = below.fields
        return f"map<{_type(key)}, {_type(value)}> {field.name} = {field.number};"
    label = "repeated " if field.is_repeated else ""
    choice = field.containing_oneof
    if choice is not None:
        # A field that is optional is in a choice of its own, by the name of _NAME.
        own = choice.name == f"_{field.name}"
        label = "optional " if own else f"/* oneof {choice.name} */ "
    return f"{label}{_type(field)} {field.name} = {field.number};"


def _type(field: FieldDescriptor) -> str:
    named = field.message_type or field.enum_type
    if named is not None:
        return str(named.full_name)
    names = {
        getattr(FieldDescriptor, one): one.removeprefix("TYPE_").lower()
        for one in dir(FieldDescriptor)
        if one.startswith("TYPE_")
    }
    return names[field.type]


def _made_of(kinds: Iterable[Descriptor]) -> list[Descriptor | EnumDescriptor]:
    """Return the types and the types of their fields, each once, but for Google's own."""
    found: dict[str, Descriptor | EnumDescriptor] = {}
    waiting: list[Descriptor | EnumDescriptor] = list(kinds)
    while waiting:
        kind = waiting.pop(0)
        if kind.full_name in found or kind.full_name.startswith(_WELL_KNOWN):
            continue
        if isinstance(kind, Descriptor):
            for field in kind.fields:
                below = field.message_type or field.enum_type
                if below is not None:
                    waiting.append(below)
            if kind.GetOptions().map_entry:
                continue
        found[kind.full_name] = kind
    return list(found.values())
