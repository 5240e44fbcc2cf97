"""Server reflection: tools can list and call the services without their .proto files."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import grpc
from google.protobuf.message import DecodeError
from grpc_reflection.v1alpha import reflection
from grpc_reflection.v1alpha.reflection_pb2 import ServerReflectionRequest

from espalier.serve.rpc import Dialogue, Outcome, plain_status

SERVICE_NAME = reflection.SERVICE_NAME
# The messages of both versions are the same on the wire; newer tools ask for v1 first.
_NAMES = (SERVICE_NAME, "grpc.reflection.v1.ServerReflection")


def methods_of(services: Iterable[str]) -> Mapping[str, Dialogue]:
    """Return the reflection methods for ``services``, which they list."""
    servicer = reflection.ReflectionServicer([*services, SERVICE_NAME])

    def answer(data: bytes) -> Outcome:
        try:
            request = ServerReflectionRequest.FromString(data)
        except DecodeError:
            return plain_status(grpc.StatusCode.INVALID_ARGUMENT, "not a ServerReflectionRequest")
        (reply,) = servicer.ServerReflectionInfo(iter((request,)), None)
        return bytes(reply.SerializeToString())

    return {f"/{name}/ServerReflectionInfo": Dialogue(answer) for name in _NAMES}
