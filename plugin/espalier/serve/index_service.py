"""IndexService: message to life cycle, life cycle to message, nothing else."""

from __future__ import annotations

import base64
import binascii
import functools
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, TypeGuard, TypeVar

from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp

from espalier.overlay import (
    Block,
    BlockPattern,
    BlockWord,
    Boost,
    BoostWord,
    Overlay,
    Pin,
    Rule,
)
from espalier.overlay.messages import (
    AnyBlock,
    AnyBoost,
    of_block,
    of_boost,
    of_pin,
    to_block,
    to_boost,
    to_pin,
)
from espalier.overlay.rules import key_of
from espalier.serve.errors import RequestError
from espalier.serve.ledger import Entry, Failure, Loaded
from espalier.serve.lifecycle import Lifecycle
from espalier.serve.log import EventLog
from espalier.serve.rpc import Unary
from espalier.serve.wire import Typed, methods_of
from espalier.settings import INDEX_NAME
from espalier.v1 import index_service_pb2 as pb
from espalier.v1.core_pb2 import ResponseHeader

SERVICE_NAME: Final = pb.DESCRIPTOR.services_by_name["IndexService"].full_name
MAX_NAME: Final = 64
MAX_PAGE: Final = 1_000
# Half of the largest reply; texts are at most 4 KiB.
_PAGE_BYTES: Final = 512 * 1024

_Rule = TypeVar("_Rule", bound=Rule)
_Response = TypeVar("_Response", bound=Message)


class IndexService:
    """The methods of ``espalier.v1.IndexService`` over a `Lifecycle`.

    Args:
        workers: How many processes answer calls.
        clock: Unix time in nanoseconds, for reply headers.
    """

    def __init__(
        self,
        lifecycle: Lifecycle,
        *,
        workers: Callable[[], int],
        clock: Callable[[], int] = time.time_ns,
    ) -> None:
        self._lifecycle = lifecycle
        self._workers = workers
        self._clock = clock

    def methods(self, log: EventLog) -> Mapping[str, Unary]:
        """Return the methods by full name, as a server takes them."""
        return methods_of(
            SERVICE_NAME,
            [
                Typed("ListIndexes", pb.ListIndexesRequest, self.list_indexes),
                Typed("LoadIndex", pb.LoadIndexRequest, self.load),
                Typed("ActivateIndex", pb.ActivateIndexRequest, self.activate),
                Typed("RollbackIndex", pb.RollbackIndexRequest, self.roll_back),
                Typed("UnloadIndex", pb.UnloadIndexRequest, self.unload),
                Typed("BlockQueries", pb.BlockQueriesRequest, self.block),
                Typed("UnblockQueries", pb.UnblockQueriesRequest, self.unblock),
                Typed("ListBlockedQueries", pb.ListBlockedQueriesRequest, self.list_blocked),
                Typed("PinQueries", pb.PinQueriesRequest, self.pin),
                Typed("UnpinQueries", pb.UnpinQueriesRequest, self.unpin),
                Typed("ListPinnedQueries", pb.ListPinnedQueriesRequest, self.list_pinned),
                Typed("BoostQueries", pb.BoostQueriesRequest, self.boost),
                Typed("UnboostQueries", pb.UnboostQueriesRequest, self.unboost),
                Typed("ListBoostedQueries", pb.ListBoostedQueriesRequest, self.list_boosted),
            ],
            log,
        )

    # ---- indexes --------------------------------------------------------------------

    def list_indexes(self, request: pb.ListIndexesRequest, _left: float) -> pb.ListIndexesResponse:
        """List what is loaded."""
        ledger = self._lifecycle.ledger
        names = [ledger.named(request.index)] if request.index else list(ledger.entries)
        entries = {name: ledger.entry(name) for name in names}
        return pb.ListIndexesResponse(
            header=self._header(request.index),
            revisions=[
                _revision(one, entry)
                for entry in entries.values()
                for one in sorted(entry.revisions.values(), key=functools.partial(_rank, entry))
            ],
            failures=[_failure(entry.failure) for entry in entries.values() if entry.failure],
            workers=self._workers(),
        )

    def load(self, request: pb.LoadIndexRequest, left: float) -> pb.LoadIndexResponse:
        """Load a file."""
        if request.index and not (
            INDEX_NAME.holds(request.index) and len(request.index) <= MAX_NAME
        ):
            raise RequestError(
                f"index must be {INDEX_NAME.allowed}, at most {MAX_NAME} characters",
                field="index",
            )
        path = Path(request.path)
        if not path.is_absolute() or "\0" in request.path:
            raise RequestError("path must be absolute, as the sidecar sees it", field="path")
        loaded = self._lifecycle.load(request.index, path, activate=request.activate, seconds=left)
        return pb.LoadIndexResponse(
            header=self._header(loaded.name),
            loaded=_revision(loaded, self._lifecycle.ledger.entry(loaded.name)),
        )

    def activate(self, request: pb.ActivateIndexRequest, left: float) -> pb.ActivateIndexResponse:
        """Let a revision answer."""
        self._lifecycle.activate(request.index, request.revision, seconds=left)
        return pb.ActivateIndexResponse(header=self._header(request.index))

    def roll_back(self, request: pb.RollbackIndexRequest, left: float) -> pb.RollbackIndexResponse:
        """Let the previous revision answer."""
        self._lifecycle.roll_back(request.index, request.from_revision, seconds=left)
        return pb.RollbackIndexResponse(header=self._header(request.index))

    def unload(self, request: pb.UnloadIndexRequest, _left: float) -> pb.UnloadIndexResponse:
        """Let go of a revision."""
        name = self._lifecycle.ledger.named(request.index)
        header = self._header(name)
        self._lifecycle.unload(name, request.revision)
        return pb.UnloadIndexResponse(header=header)

    # ---- rules ----------------------------------------------------------------------

    def block(self, request: pb.BlockQueriesRequest, _left: float) -> pb.BlockQueriesResponse:
        """Block queries."""
        return self._change(pb.BlockQueriesResponse, request.index, add=_blocks(request.blocks))

    def unblock(self, request: pb.UnblockQueriesRequest, _left: float) -> pb.UnblockQueriesResponse:
        """Take blocks back."""
        gone = _blocks(request.blocks)
        return self._change(pb.UnblockQueriesResponse, request.index, remove=gone)

    def list_blocked(
        self, request: pb.ListBlockedQueriesRequest, _left: float
    ) -> pb.ListBlockedQueriesResponse:
        """List blocks."""
        page, token = self._page(request, _is_block)
        return pb.ListBlockedQueriesResponse(
            header=self._header(request.index),
            blocks=[to_block(one) for one in page],
            next_page_token=token,
        )

    def pin(self, request: pb.PinQueriesRequest, _left: float) -> pb.PinQueriesResponse:
        """Pin queries."""
        pins = [of_pin(one) for one in request.pins]
        return self._change(pb.PinQueriesResponse, request.index, add=pins)

    def unpin(self, request: pb.UnpinQueriesRequest, _left: float) -> pb.UnpinQueriesResponse:
        """Take pins back."""
        gone = [Pin(text) for text in request.queries]
        return self._change(pb.UnpinQueriesResponse, request.index, remove=gone)

    def list_pinned(
        self, request: pb.ListPinnedQueriesRequest, _left: float
    ) -> pb.ListPinnedQueriesResponse:
        """List pins."""
        page, token = self._page(request, _is_pin)
        return pb.ListPinnedQueriesResponse(
            header=self._header(request.index),
            pins=[to_pin(one) for one in page],
            next_page_token=token,
        )

    def boost(self, request: pb.BoostQueriesRequest, _left: float) -> pb.BoostQueriesResponse:
        """Boost queries."""
        return self._change(pb.BoostQueriesResponse, request.index, add=_boosts(request.boosts))

    def unboost(self, request: pb.UnboostQueriesRequest, _left: float) -> pb.UnboostQueriesResponse:
        """Take boosts back."""
        gone = _boosts(request.boosts)
        return self._change(pb.UnboostQueriesResponse, request.index, remove=gone)

    def list_boosted(
        self, request: pb.ListBoostedQueriesRequest, _left: float
    ) -> pb.ListBoostedQueriesResponse:
        """List boosts."""
        page, token = self._page(request, _is_boost)
        return pb.ListBoostedQueriesResponse(
            header=self._header(request.index),
            boosts=[to_boost(one) for one in page],
            next_page_token=token,
        )

    # ---- parts ----------------------------------------------------------------------

    def _change(
        self,
        response: Callable[..., _Response],
        index: str,
        *,
        add: Iterable[Rule] = (),
        remove: Iterable[Rule] = (),
    ) -> _Response:
        rules, workers = self._lifecycle.change_rules(index, add=add, remove=remove)
        state = pb.OverlayState(
            rules=len(rules.rules), persisted=self._lifecycle.persisted, workers=workers
        )
        return response(header=self._header(index), overlay=state)

    def _page(
        self, request: Any, wanted: Callable[[Rule], TypeGuard[_Rule]]
    ) -> tuple[list[_Rule], str]:
        """Return the rules of a page, and the token of the next."""
        rules: Overlay = self._lifecycle.rules(request.index)
        after = _of_token(request.page_token)
        found = sorted(
            (one for one in rules.rules if wanted(one) and key_of(one) > after),
            key=key_of,
        )
        page: list[_Rule] = []
        left = _PAGE_BYTES
        for one in found[: min(request.page_size or MAX_PAGE, MAX_PAGE)]:
            left -= len(one.text.encode()) + 64
            if left < 0 and page:
                break
            page.append(one)
        more = len(page) < len(found)
        return page, _token(key_of(page[-1])) if more else ""

    def _header(self, index: str) -> ResponseHeader:
        ledger = self._lifecycle.ledger
        name = ledger.named(index)
        header = ResponseHeader(index=name, index_revision=ledger.entry(name).active)
        header.server_time.FromNanoseconds(self._clock())
        return header


def _is_block(rule: Rule) -> TypeGuard[AnyBlock]:
    return isinstance(rule, Block | BlockWord | BlockPattern)


def _is_pin(rule: Rule) -> TypeGuard[Pin]:
    return isinstance(rule, Pin)


def _is_boost(rule: Rule) -> TypeGuard[AnyBoost]:
    return isinstance(rule, Boost | BoostWord)


# ---- messages ----------------------------------------------------------------------


def _blocks(blocks: Iterable[pb.Block]) -> list[AnyBlock]:
    rules = []
    for place, one in enumerate(blocks):
        rule = of_block(one)
        if rule is None:
            raise _nothing(f"blocks[{place}]", "query, word or pattern")
        rules.append(rule)
    return rules


def _boosts(boosts: Iterable[pb.Boost]) -> list[AnyBoost]:
    rules = []
    for place, one in enumerate(boosts):
        rule = of_boost(one)
        if rule is None:
            raise _nothing(f"boosts[{place}]", "query or word")
        rules.append(rule)
    return rules


def _nothing(field: str, what: str) -> RequestError:
    return RequestError(f"{field} is about nothing; set {what}", field=field)


_STATES: Final[Sequence[pb.IndexState]] = (
    pb.IndexState.INDEX_STATE_ACTIVE,
    pb.IndexState.INDEX_STATE_PREVIOUS,
    pb.IndexState.INDEX_STATE_LOADED,
)


def _rank(entry: Entry, one: Loaded) -> int:
    """Return 0 for the revision that answers, 1 for the one before, 2 for others."""
    if one.revision == entry.active:
        return 0
    return 1 if one.revision == entry.previous else 2


def _revision(one: Loaded, entry: Entry) -> pb.IndexRevision:
    return pb.IndexRevision(
        index=one.name,
        revision=one.revision,
        state=_STATES[_rank(entry, one)],
        path=str(one.path),
        labels=one.labels,
        bytes=one.bytes,
        load_time=_timestamp(one.loaded_ns),
    )


def _failure(failure: Failure) -> pb.IndexFailure:
    return pb.IndexFailure(
        index=failure.name,
        path=str(failure.path),
        reason=failure.reason,
        message=failure.message,
        fail_time=_timestamp(failure.failed_ns),
    )


def _timestamp(nanoseconds: int) -> Timestamp:
    made = Timestamp()
    made.FromNanoseconds(nanoseconds)
    return made


def _token(key: tuple[str, str]) -> str:
    return base64.urlsafe_b64encode("\0".join(key).encode()).decode()


def _of_token(token: str) -> tuple[str, str]:
    if not token:
        return "", ""
    try:
        kind, text = base64.b64decode(token, b"-_", validate=True).decode().split("\0", 1)
    except (binascii.Error, ValueError):
        raise RequestError(
            "page_token is not the next_page_token of a reply; leave it empty to begin",
            field="page_token",
        ) from None
    return kind, text
