"""What the service does with a query for products; knows indexes, no gRPC."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from espalier.catalogue import MAX_K, MAX_QUERY_BYTES, Product
from espalier.errors import LimitError, UnsupportedError
from espalier.filters import Filter
from espalier.serve.domain import check_bytes, check_filter, too_long
from espalier.serve.errors import QueryTooLongError, RequestError, UnsupportedRequestError
from espalier.serve.indexes import Indexes, ServedIndex

DEFAULT_PRODUCTS: Final = 10


@dataclass(frozen=True, slots=True)
class Wanted:
    """What to find products for.

    Attributes:
        query: What was submitted, not normalised.
        limit: Products wanted; 0 for the default, coerced to the maximum.
        index: Name of the index; "" for the first one that holds products.
        beam: Nodes kept per level; 0 as trained.
        where: What products must have; ``None`` for anything.
        previous: Queries of the session, most recent first.
        host: Ids another engine found, best first.
        popular: Answer a query nothing is known of with popular products.
    """

    query: str
    limit: int = 0
    index: str = ""
    beam: int = 0
    where: Filter | None = None
    previous: Sequence[str] = ()
    host: Sequence[str] = ()
    popular: bool = False


class Retriever:
    """Finds products. Safe to use from many threads.

    Attributes:
        indexes: What to find them in. May be replaced at any time: a call uses what it
            found first to its end.
    """

    def __init__(self, indexes: Indexes) -> None:
        self.indexes = indexes

    def retrieve(self, wanted: Wanted) -> tuple[ServedIndex, Sequence[Product]]:
        """Return the products, and the index that has them.

        Raises:
            QueryTooLongError, UnknownIndexError: As named.
            RequestError: The filter or the beam is larger than may be.
            UnsupportedRequestError: The index holds no products, or none does; or it has
                no attributes to filter by.
        """
        check_bytes(wanted.query, MAX_QUERY_BYTES, "query", QueryTooLongError)
        if wanted.beam > MAX_K:
            raise RequestError(
                f"beam must be 1 to {MAX_K}, or 0 as trained", field="beam", limit=MAX_K
            )
        if wanted.where is not None:
            check_filter(wanted.where)
        served, catalogue = self.indexes.catalogue(wanted.index)
        try:
            found = catalogue.retrieve(
                wanted.query,
                k=min(wanted.limit or DEFAULT_PRODUCTS, MAX_K),
                beam=wanted.beam,
                host=wanted.host,
                popular=wanted.popular,
                where=wanted.where,
                previous=wanted.previous,
            )
        except LimitError as error:
            # Normalisation may lengthen text, and only the catalogue sees the result.
            raise too_long(QueryTooLongError, "query", MAX_QUERY_BYTES) from error
        except UnsupportedError as error:
            if wanted.where is None:
                raise
            raise UnsupportedRequestError(str(error), field="filter") from error
        return served, found
