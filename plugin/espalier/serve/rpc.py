"""What a method is, before any transport: functions of bytes, and how calls may end.

`wire` makes such functions of typed ones, `health` and `reflection` have their own,
and `loop` calls them.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Protocol, TypeAlias

import grpc
from google.rpc.status_pb2 import Status

Outcome: TypeAlias = bytes | Status
"""How a call ends: with a reply, or with a status other than OK, details included."""


class Stream(Protocol):
    """The open answer of a streaming call. Safe to use from many threads."""

    def send(self, message: bytes) -> None:
        """Send a message once those before it are on their way."""
        ...

    def finish(self, status: Status | None = None) -> None:
        """Send what is still to be sent, then end the call; OK by default."""
        ...


@dataclass(frozen=True, slots=True)
class Unary:
    """One message in, one out.

    Attributes:
        answer: Given the request and the seconds until the caller stops waiting. A future
            is waited for by nobody: the reply is sent when it is settled.
        at_once: Whether it is answered before calls that wait, and however many wait. For
            what costs next to nothing and must work under load.
        public: Whether it is answered without a token, where calls need one.
    """

    answer: Callable[[bytes, float], Outcome | Future[Outcome]]
    at_once: bool = False
    public: bool = False


@dataclass(frozen=True, slots=True)
class Subscription:
    """One message in, any number out, until the client leaves.

    Attributes:
        begin: Given the request and the stream; returns what shall be called at the end.
        public: As of `Unary`.
    """

    begin: Callable[[bytes, Stream], Callable[[], None]]
    public: bool = False


@dataclass(frozen=True, slots=True)
class Dialogue:
    """Any number of messages in, one out for each.

    Attributes:
        public: As of `Unary`.
    """

    answer: Callable[[bytes], Outcome]
    public: bool = False


Method: TypeAlias = Unary | Subscription | Dialogue


def plain_status(code: grpc.StatusCode, message: str) -> Status:
    """Return a status without details, as transports make them."""
    return Status(code=code.value[0], message=message)
