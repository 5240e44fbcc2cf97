"""A client of the admin listener: which indexes are served, and by which rules.

::

    from espalier.admin import Admin
    from espalier.overlay import Block, Pin

    with Admin("unix:/run/espalier/admin") as admin:
        admin.load("/srv/indexes/tonight.esp", activate=True)
        admin.add(Block("rolex replica"), Pin("Summer sale"))

A call returns when every worker of the service has followed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self, TypeVar

from google.protobuf.message import Message

from espalier.access import Access
from espalier.client import call, open_channel
from espalier.overlay import Boost, BoostWord, Pin, Rule
from espalier.overlay.messages import (
    of_block,
    of_boost,
    of_pin,
    to_block,
    to_boost,
    to_pin,
)
from espalier.v1 import index_service_pb2 as pb
from espalier.v1.index_service_pb2 import IndexRevision, IndexState, OverlayState
from espalier.v1.index_service_pb2_grpc import IndexServiceStub

__all__ = ["Admin", "IndexRevision", "IndexState", "OverlayState"]

# A request has at most 256 KiB.
_BATCH_BYTES: Final = 128 * 1024
_Reply = TypeVar("_Reply")
_Item = TypeVar("_Item", pb.Block, pb.Pin, pb.Boost)


class Admin:
    """Calls the admin listener of one sidecar; safe to use from many threads.

    Args:
        target: HOST:PORT or ``unix:PATH``.
        timeout: Seconds a call may take; checking a large index takes a while.
        access: How to get in, where that takes TLS or a token.

    Raises:
        InputError: A file that ``access`` names cannot be used.
    """

    def __init__(
        self, target: str, *, timeout: float = 600.0, access: Access | None = None
    ) -> None:
        access = Access() if access is None else access
        self._token = access.token(target)
        self._channel = open_channel(access, target, [("grpc.use_local_subchannel_pool", 1)])
        self._stub = IndexServiceStub(self._channel)
        self._timeout = timeout

    # ---- indexes --------------------------------------------------------------------

    def indexes(self, index: str = "") -> pb.ListIndexesResponse:
        """Return what is loaded under a name, under all of them if it is empty.

        Raises:
            CallError: The call failed, as in every method.
        """
        return self._call(self._stub.ListIndexes, pb.ListIndexesRequest(index=index))

    def load(
        self, path: Path | str, *, index: str = "", activate: bool = False
    ) -> pb.LoadIndexResponse:
        """Load a file, which the sidecar must see under the same path."""
        request = pb.LoadIndexRequest(
            index=index, path=str(Path(path).absolute()), activate=activate
        )
        return self._call(self._stub.LoadIndex, request)

    def activate(self, revision: str, *, index: str = "") -> pb.ActivateIndexResponse:
        """Let a loaded revision answer."""
        request = pb.ActivateIndexRequest(index=index, revision=revision)
        return self._call(self._stub.ActivateIndex, request)

    def roll_back(self, *, index: str = "", from_revision: str = "") -> pb.RollbackIndexResponse:
        """Let the revision answer that did before."""
        request = pb.RollbackIndexRequest(index=index, from_revision=from_revision)
        return self._call(self._stub.RollbackIndex, request)

    def unload(self, revision: str, *, index: str = "") -> pb.UnloadIndexResponse:
        """Let go of a revision that does not answer."""
        request = pb.UnloadIndexRequest(index=index, revision=revision)
        return self._call(self._stub.UnloadIndex, request)

    # ---- rules ----------------------------------------------------------------------

    def add(self, *rules: Rule, index: str = "") -> OverlayState:
        """Let rules hold beside those there are; return how the rules stand then."""
        blocks, pins, boosts = _sorted(rules)
        state = OverlayState()
        for block in _batches(blocks):
            request = pb.BlockQueriesRequest(index=index, blocks=block)
            state = self._call(self._stub.BlockQueries, request).overlay
        for pin in _batches(pins):
            request_pins = pb.PinQueriesRequest(index=index, pins=pin)
            state = self._call(self._stub.PinQueries, request_pins).overlay
        for boost in _batches(boosts):
            request_boosts = pb.BoostQueriesRequest(index=index, boosts=boost)
            state = self._call(self._stub.BoostQueries, request_boosts).overlay
        return state

    def remove(self, *rules: Rule, index: str = "") -> OverlayState:
        """Take rules back; what they say besides kind and text does not matter."""
        blocks, pins, boosts = _sorted(rules)
        state = OverlayState()
        for block in _batches(blocks):
            request = pb.UnblockQueriesRequest(index=index, blocks=block)
            state = self._call(self._stub.UnblockQueries, request).overlay
        for pin in _batches(pins):
            queries = [one.query for one in pin]
            request_pins = pb.UnpinQueriesRequest(index=index, queries=queries)
            state = self._call(self._stub.UnpinQueries, request_pins).overlay
        for boost in _batches(boosts):
            request_boosts = pb.UnboostQueriesRequest(index=index, boosts=boost)
            state = self._call(self._stub.UnboostQueries, request_boosts).overlay
        return state

    def rules(self, index: str = "") -> list[Rule]:
        """Return the rules of an index: blocks, pins, boosts."""
        stub = self._stub
        found: list[Rule | None] = []
        for blocked in self._pages(stub.ListBlockedQueries, pb.ListBlockedQueriesRequest, index):
            found.extend(map(of_block, blocked.blocks))
        for pinned in self._pages(stub.ListPinnedQueries, pb.ListPinnedQueriesRequest, index):
            found.extend(map(of_pin, pinned.pins))
        for boosted in self._pages(stub.ListBoostedQueries, pb.ListBoostedQueriesRequest, index):
            found.extend(map(of_boost, boosted.boosts))
        return [rule for rule in found if rule is not None]

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

    def _pages(self, method: Any, request: Any, index: str) -> Iterator[Any]:
        token = ""
        while True:
            page = self._call(method, request(index=index, page_token=token))
            yield page
            token = page.next_page_token
            if not token:
                return

    def _call(self, method: Callable[..., _Reply], request: Message) -> _Reply:
        return call(method, request, self._timeout, self._token)


def _sorted(
    rules: Iterable[Rule],
) -> tuple[list[pb.Block], list[pb.Pin], list[pb.Boost]]:
    blocks, pins, boosts = [], [], []
    for rule in rules:
        if isinstance(rule, Pin):
            pins.append(to_pin(rule))
        elif isinstance(rule, Boost | BoostWord):
            boosts.append(to_boost(rule))
        else:
            blocks.append(to_block(rule))
    return blocks, pins, boosts


def _batches(items: Sequence[_Item]) -> Iterator[list[_Item]]:
    """Yield the items in groups that fit into a request."""
    batch: list[_Item] = []
    size = 0
    for item in items:
        grown = size + item.ByteSize() + 8
        if batch and grown > _BATCH_BYTES:
            yield batch
            batch, grown = [], item.ByteSize() + 8
        batch.append(item)
        size = grown
    if batch:
        yield batch
