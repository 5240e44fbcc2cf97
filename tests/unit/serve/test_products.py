"""Queries for products: what is asked of which catalogue, and what is refused."""

from __future__ import annotations

import pytest

from espalier.errors import LimitError, UnsupportedError
from espalier.filters import Filter
from espalier.serve.counters import Counters
from espalier.serve.domain import Completer, Question
from espalier.serve.errors import (
    QueryTooLongError,
    RequestError,
    UnknownIndexError,
    UnsupportedRequestError,
)
from espalier.serve.products import Retriever, Wanted
from espalier.serve.retrieval_service import RetrievalService
from espalier.sessions.memory import MemorySessionStore
from espalier.v1.core_pb2 import ResponseHeader
from espalier.v1.retrieval_service_pb2 import (
    Product,
    ProductFilter,
    RetrieveRequest,
    RetrieveResponse,
)
from tests.unit.serve.fakes import FakeCatalogue, FakeIndex, ListLog, indexes_of

NOW = 1_700_000_000_123_456_789


@pytest.fixture
def shop() -> FakeCatalogue:
    """Return the catalogue that is found without a name."""
    return FakeCatalogue()


@pytest.fixture
def retriever(shop: FakeCatalogue) -> Retriever:
    """Return a retriever over it, between an index for completion and another catalogue."""
    return Retriever(indexes_of(site=FakeIndex(), shop=shop, old=FakeCatalogue(("Old tent",))))


@pytest.fixture
def service(retriever: Retriever) -> RetrievalService:
    """Return a service whose clock stands still."""
    return RetrievalService(retriever, clock=lambda: NOW, new_set_id=lambda: "set-1")


def test_a_reply_holds_everything_promised(service: RetrievalService, shop: FakeCatalogue) -> None:
    """And every field of the request arrives."""
    request = RetrieveRequest(
        query="TENT",
        max_products=2,
        beam=5,
        filter=ProductFilter(all_of=["a:1"], any_of=["b:2"], none_of=["c:3"]),
        previous_queries=["camping"],
        host_products=["Blue tent"],
        popular_if_empty=True,
    )

    reply = service.retrieve(request)

    header = ResponseHeader(index="shop", index_revision="shopshop")
    header.server_time.FromNanoseconds(NOW)
    red = Product(
        product_id="id Red tent", title="Red tent", score=1, model_score=0.5, paired_queries=7
    )
    blue = Product(
        product_id="id Blue tent",
        title="Blue tent",
        score=0.5,
        model_score=0.5,
        paired_queries=7,
        host_rank=1,
    )
    assert reply == RetrieveResponse(header=header, products=[red, blue], product_set_id="set-1")
    (asked,) = shop.asked
    assert asked == {
        "query": "TENT",
        "k": 2,
        "beam": 5,
        "host": ("Blue tent",),
        "popular": True,
        "where": Filter(("a:1",), ("b:2",), ("c:3",)),
        "previous": ("camping",),
    }


@pytest.mark.parametrize(("given", "k"), [(0, 10), (1, 1), (1_000, 1_000), (9_999, 1_000)])
def test_the_number_of_products_is_brought_into_range(
    service: RetrievalService, shop: FakeCatalogue, given: int, k: int
) -> None:
    """As documented: ten by default, a thousand at most."""
    service.retrieve(RetrieveRequest(query="a", max_products=given))

    assert (shop.asked[0]["k"], shop.asked[0]["where"]) == (k, None)


def test_a_name_finds_its_index(retriever: Retriever) -> None:
    """None finds the first catalogue, though an index for completion stands before it."""
    assert [retriever.retrieve(Wanted("tent", index=name))[0].name for name in ("", "old")] == [
        "shop",
        "old",
    ]
    with pytest.raises(UnknownIndexError):
        retriever.retrieve(Wanted("tent", index="new"))


def test_each_kind_of_call_needs_its_kind_of_index(retriever: Retriever) -> None:
    """The error names the field and the way out, in both directions."""
    with pytest.raises(UnsupportedRequestError, match="no products") as error:
        retriever.retrieve(Wanted("tent", index="site"))
    assert error.value.field == "index"
    with pytest.raises(UnsupportedRequestError, match="served indexes"):
        Retriever(indexes_of(site=FakeIndex())).retrieve(Wanted("tent"))

    completer = Completer(
        retriever.indexes,
        MemorySessionStore(),
        context_queries=5,
        log=ListLog(),
        counters=Counters(),
    )
    for explain in (False, True):
        with pytest.raises(UnsupportedRequestError, match="completes nothing") as error:
            completer.complete(Question("te", index="shop", explain=explain))
        assert error.value.field == "index"


@pytest.mark.parametrize(
    ("wanted", "kind", "field"),
    [
        (Wanted("x" * 1025), QueryTooLongError, "query"),
        (Wanted("é" * 513), QueryTooLongError, "query"),
        (Wanted("a", beam=1001), RequestError, "beam"),
        (Wanted("a", where=Filter(any_of=["a:b"] * 33)), RequestError, "filter.any_of"),
        (Wanted("a", where=Filter(none_of=["x" * 129])), RequestError, "filter.none_of[0]"),
    ],
)
def test_what_is_too_much_is_refused_with_its_field(
    retriever: Retriever, wanted: Wanted, kind: type[RequestError], field: str
) -> None:
    """Before any index is asked, and without quoting."""
    with pytest.raises(kind) as error:
        retriever.retrieve(wanted)

    assert error.value.field == field
    assert wanted.query not in str(error.value) or len(wanted.query) == 1


def test_what_only_the_index_can_tell_has_its_field_as_well(
    retriever: Retriever, shop: FakeCatalogue
) -> None:
    """A query that normalising lengthens, a filter without attributes."""
    shop.raises = LimitError("long")
    with pytest.raises(QueryTooLongError):
        retriever.retrieve(Wanted("a"))

    shop.raises = UnsupportedError("no attributes")
    with pytest.raises(UnsupportedRequestError) as error:
        retriever.retrieve(Wanted("a", where=Filter(all_of=["a:b"])))
    assert error.value.field == "filter"
    with pytest.raises(UnsupportedError):
        retriever.retrieve(Wanted("a"))
