"""IndexService: what goes into messages and comes out of them."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from espalier.overlay import Block, BlockPattern, BlockWord, Boost, BoostWord, Pin
from espalier.overlay.messages import of_block, of_boost, of_pin, to_block, to_boost, to_pin
from espalier.serve.errors import RequestError
from espalier.serve.index_service import MAX_PAGE, IndexService
from espalier.v1 import index_service_pb2 as pb
from tests.unit.serve.test_lifecycle import NOW, Bench

LEFT = math.inf


class Desk:
    """The service over a life cycle with fake workers."""

    def __init__(self, folder: Path) -> None:
        self.bench = Bench(folder)
        self.service = IndexService(self.bench.lifecycle, workers=lambda: 2, clock=lambda: NOW)


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    """Return a service of one index."""
    return Desk(tmp_path)


def test_what_is_loaded_is_listed_with_its_state(desk: Desk) -> None:
    """The active first, then what it replaced, then the rest; failures beside them."""
    for text in ("second", "third"):
        desk.bench.load(text)
    desk.bench.lifecycle.activate("main", "second")
    reply = desk.service.list_indexes(pb.ListIndexesRequest(), LEFT)

    assert [(one.revision, pb.IndexState.Name(one.state)) for one in reply.revisions] == [
        ("second", "INDEX_STATE_ACTIVE"),
        ("first", "INDEX_STATE_PREVIOUS"),
        ("third", "INDEX_STATE_LOADED"),
    ]
    assert (reply.header.index, reply.header.index_revision) == ("main", "second")
    assert reply.header.server_time.ToNanoseconds() == NOW
    assert reply.revisions[1].load_time.ToNanoseconds() == NOW
    assert reply.revisions[1].path == str(desk.bench.folder / "first.esp")
    assert reply.workers == 2


@pytest.mark.parametrize("name", ["1st", "a/b", "a b", "x" * 65, ".."])
def test_a_name_that_could_not_be_configured_cannot_be_loaded(desk: Desk, name: str) -> None:
    """It becomes a part of a file name, for one."""
    request = pb.LoadIndexRequest(index=name, path=str(desk.bench.file("x")))
    with pytest.raises(RequestError) as caught:
        desk.service.load(request, LEFT)

    assert caught.value.field == "index"


@pytest.mark.parametrize("path", ["", "x.esp", "./x.esp", "/srv/\0x"])
def test_a_path_must_be_whole(desk: Desk, path: str) -> None:
    """The folder the service runs in is nobody's business."""
    with pytest.raises(RequestError) as caught:
        desk.service.load(pb.LoadIndexRequest(path=path), LEFT)

    assert caught.value.field == "path"


def test_loading_activating_and_rolling_back_name_what_answers(desk: Desk) -> None:
    """Every header is that of the index after the call."""
    request = pb.LoadIndexRequest(path=str(desk.bench.file("second")))
    loaded = desk.service.load(request, LEFT)
    assert (loaded.loaded.revision, loaded.header.index_revision) == ("second", "first")

    activated = desk.service.activate(pb.ActivateIndexRequest(revision="second"), LEFT)
    back = desk.service.roll_back(pb.RollbackIndexRequest(from_revision="second"), LEFT)
    gone = desk.service.unload(pb.UnloadIndexRequest(revision="second"), LEFT)

    headers = [reply.header.index_revision for reply in (activated, back, gone)]
    assert headers == ["second", "first", "first"]


def test_rules_of_every_kind_survive_the_wire() -> None:
    """There and back they are the same."""
    for block in (Block("a b"), BlockWord("a"), BlockPattern("^a")):
        assert of_block(to_block(block)) == block
    for boost in (Boost("a b", 1.5), BoostWord("a", -2.0)):
        assert of_boost(to_boost(boost)) == boost
    for pin in (Pin("a"), Pin("a", position=7, min_prefix=0, display="A")):
        assert of_pin(to_pin(pin)) == pin
    assert of_block(pb.Block()) is None
    assert of_boost(pb.Boost(by=1.0)) is None
    assert of_pin(pb.Pin(query="a")) == Pin("a", position=1, min_prefix=1)


def test_rules_about_nothing_are_refused_with_their_place(desk: Desk) -> None:
    """A client of a newer version, or a slip."""
    blocks = pb.BlockQueriesRequest(blocks=[pb.Block(query="a"), pb.Block()])
    with pytest.raises(RequestError, match="query, word or pattern") as caught:
        desk.service.block(blocks, LEFT)
    assert caught.value.field == "blocks[1]"
    with pytest.raises(RequestError) as caught:
        desk.service.boost(pb.BoostQueriesRequest(boosts=[pb.Boost(by=1.0)]), LEFT)
    assert caught.value.field == "boosts[0]"
    assert desk.bench.lifecycle.rules("").rules == ()


def test_each_list_has_its_own_kinds(desk: Desk) -> None:
    """And a change says how the rules stand."""
    service = desk.service
    service.block(
        pb.BlockQueriesRequest(blocks=[to_block(Block("a")), to_block(BlockWord("b"))]), 1
    )
    service.pin(pb.PinQueriesRequest(pins=[pb.Pin(query="C")]), 1)
    reply = service.boost(pb.BoostQueriesRequest(boosts=[to_boost(Boost("d", 2.0))]), 1)
    assert reply.overlay == pb.OverlayState(rules=4, persisted=False, workers=2)

    blocks = service.list_blocked(pb.ListBlockedQueriesRequest(), 1).blocks
    (pin,) = service.list_pinned(pb.ListPinnedQueriesRequest(), 1).pins
    (boost,) = service.list_boosted(pb.ListBoostedQueriesRequest(), 1).boosts
    assert [of_block(one) for one in blocks] == [Block("a"), BlockWord("b")]
    assert of_pin(pin) == Pin("c", display="C")
    assert of_boost(boost) == Boost("d", 2.0)

    service.unblock(pb.UnblockQueriesRequest(blocks=blocks), 1)
    service.unpin(pb.UnpinQueriesRequest(queries=["c"]), 1)
    last = service.unboost(pb.UnboostQueriesRequest(boosts=[to_boost(Boost("d", 0.0))]), 1)
    assert last.overlay.rules == 0


def test_pages_add_up_to_the_whole_while_rules_come_and_go(desk: Desk) -> None:
    """What was there throughout comes exactly once."""
    texts = [f"q{number:04}" for number in range(2 * MAX_PAGE + 5)]
    desk.bench.lifecycle.change_rules("", add=map(Block, texts))
    found: list[str] = []
    token = ""
    sizes = []
    while True:
        page = desk.service.list_blocked(pb.ListBlockedQueriesRequest(page_token=token), LEFT)
        found.extend(one.query for one in page.blocks)
        sizes.append(len(page.blocks))
        token = page.next_page_token
        if not token:
            break
        # Before and after what was read already.
        changed = [Block(f"a{len(sizes)}"), Block(f"z{len(sizes)}")]
        desk.bench.lifecycle.change_rules("", add=changed, remove=[Block(found[-1])])

    assert found == [*texts, "z1", "z2"]
    assert sizes == [MAX_PAGE, MAX_PAGE, 7]


def test_a_page_fits_into_a_reply_however_long_its_texts(desk: Desk) -> None:
    """A thousand of the longest would not."""
    texts = [f"{number:04}{'x' * 4000}" for number in range(300)]
    desk.bench.lifecycle.change_rules("", add=map(Block, texts))
    page = desk.service.list_blocked(pb.ListBlockedQueriesRequest(page_size=5_000), LEFT)

    assert 100 < len(page.blocks) < 300
    assert page.ByteSize() < 1024 * 1024
    assert page.next_page_token
    few = desk.service.list_blocked(pb.ListBlockedQueriesRequest(page_size=2), LEFT)
    assert [one.query for one in few.blocks] == texts[:2]


@pytest.mark.parametrize("token", ["x", "!!!!", "/w==", "_w==", "YWJj"])
def test_a_token_of_nobody_is_refused(desk: Desk, token: str) -> None:
    """Rather than beginning anew, for ever."""
    with pytest.raises(RequestError) as caught:
        desk.service.list_blocked(pb.ListBlockedQueriesRequest(page_token=token), LEFT)

    assert caught.value.field == "page_token"
