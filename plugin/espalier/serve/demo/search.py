"""What the demo page asks besides completions: a search, and what there is to see."""

from __future__ import annotations

import dataclasses
import json
import time
from collections.abc import Callable, Mapping, Sequence
from http import HTTPStatus
from typing import Any, Final, Protocol
from urllib.parse import parse_qs

from espalier.native import feature_groups, feature_names
from espalier.serve.demo.host import Article
from espalier.serve.errors import MalformedRequestError
from espalier.serve.http.front import Head
from espalier.serve.http.replies import JSON, NOT_KEPT, Reply
from espalier.text import normalise

_SHOWN: Final = 8
_MAX_QUERY: Final = 512


class Host(Protocol):
    """A search engine, as `espalier.serve.demo.host.HostEngine`."""

    def __len__(self) -> int:
        """Return the number of products."""
        ...

    def search(self, query: str, limit: int) -> list[Article]:
        """Return products, best first."""
        ...

    def articles(self, ids: list[str]) -> list[Article]:
        """Return products by id."""
        ...


Retrieve = Callable[[str, int], Sequence[str]]
"""Ids of the products that the retrieval model finds for a query, so many at most."""
Variants = Callable[[], Mapping[str, Sequence[str]]]
"""Names of variants by the name of their experiment."""


class DemoSearch:
    """Answers the page. Safe to use from many threads.

    Args:
        host: The search engine; ``None`` where no catalogue was given.
        retrieve: The retrieval model; ``None`` where no index of products was given.
        variants: Returns the names of the variants of every experiment.
    """

    def __init__(
        self, host: Host | None, retrieve: Retrieve | None, variants: Variants = dict
    ) -> None:
        self._host = host
        self._retrieve = retrieve
        self._variants = variants

    def about(self, _head: Head, _body: bytes) -> Reply:
        """Return what the page cannot know: features and their groups, what it can search."""
        return _json({
            "groups": dict(zip(feature_names(), feature_groups(), strict=True)),
            "products": 0 if self._host is None else len(self._host),
            "retrieval": self._retrieve is not None,
            "experiments": self._variants(),
        })  # fmt: skip

    def search(self, head: Head, _body: bytes) -> Reply:
        """Return both lists of products for the parameter ``q``."""
        if self._host is None:
            return _json({"lists": []})
        try:
            (query,) = parse_qs(head.query.decode("ascii"), errors="strict")["q"]
        except (KeyError, ValueError):
            raise MalformedRequestError("/demo/search takes one parameter q, in UTF-8") from None
        query = normalise(query[:_MAX_QUERY])
        host = self._host
        lists = [_timed("host", lambda: host.search(query, _SHOWN))]
        if self._retrieve is not None:
            find = self._retrieve
            lists.append(_timed("retrieval", lambda: host.articles([*find(query, _SHOWN)])))
        return _json({"lists": lists})


def _timed(name: str, ask: Callable[[], list[Article]]) -> Mapping[str, Any]:
    began = time.perf_counter()
    articles = ask()
    took = (time.perf_counter() - began) * 1e3
    products = [dataclasses.asdict(one) for one in articles]
    return {"name": name, "milliseconds": round(took, 3), "products": products}


def _json(document: Mapping[str, Any]) -> Reply:
    body = json.dumps(document, ensure_ascii=False, separators=(",", ":")).encode()
    return Reply(HTTPStatus.OK, ((b"content-type", JSON), NOT_KEPT), body)
