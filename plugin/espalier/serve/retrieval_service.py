"""RetrievalService: message to domain, domain to message, nothing else."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping

from espalier.filters import Filter
from espalier.serve.log import EventLog
from espalier.serve.products import Retriever, Wanted
from espalier.serve.rpc import Unary
from espalier.serve.service import new_set_ids
from espalier.serve.wire import Typed, methods_of
from espalier.v1 import retrieval_service_pb2 as messages
from espalier.v1.retrieval_service_pb2 import RetrieveRequest, RetrieveResponse

SERVICE_NAME = messages.DESCRIPTOR.services_by_name["RetrievalService"].full_name


class RetrievalService:
    """The methods of ``espalier.v1.RetrievalService`` over a `Retriever`.

    Args:
        clock: Unix time in nanoseconds, for reply headers.
        new_set_id: Gives every reply its id.
    """

    def __init__(
        self,
        retriever: Retriever,
        *,
        clock: Callable[[], int] = time.time_ns,
        new_set_id: Callable[[], str] | None = None,
    ) -> None:
        self._retriever = retriever
        self._clock = clock
        self._new_set_id = new_set_id or new_set_ids()

    def methods(self, log: EventLog) -> Mapping[str, Unary]:
        """Return the methods by full name, as a server takes them."""
        return methods_of(SERVICE_NAME, [Typed("Retrieve", RetrieveRequest, self.retrieve)], log)

    def retrieve(self, request: RetrieveRequest, _time_left: float = math.inf) -> RetrieveResponse:
        """Find products for a query."""
        served, found = self._retriever.retrieve(
            Wanted(
                query=request.query,
                limit=request.max_products,
                index=request.index,
                beam=request.beam,
                where=_where(request) if request.HasField("filter") else None,
                previous=tuple(request.previous_queries),
                host=tuple(request.host_products),
                popular=request.popular_if_empty,
            )
        )
        reply = RetrieveResponse(product_set_id=self._new_set_id())
        header = reply.header
        header.index, header.index_revision = served.name, served.revision
        now = header.server_time
        now.seconds, now.nanos = divmod(self._clock(), 1_000_000_000)
        # In place: a message handed to another one is copied, which takes twice as long.
        add = reply.products.add
        for one in found:
            product = add()
            product.product_id = one.product_id
            product.title = one.title
            product.score = one.score
            product.model_score = one.model
            product.paired_queries = one.pairs
            product.host_rank = one.host_rank or 0
        return reply


def _where(request: RetrieveRequest) -> Filter:
    wanted = request.filter
    return Filter(tuple(wanted.all_of), tuple(wanted.any_of), tuple(wanted.none_of))
