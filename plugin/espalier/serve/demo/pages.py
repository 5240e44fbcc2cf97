"""The paths of the demo page, put together."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from http import HTTPStatus
from importlib import resources
from importlib.resources.abc import Traversable
from typing import Final, Protocol

from espalier.catalogue import open_catalogue
from espalier.serve.demo.host import HostEngine
from espalier.serve.demo.search import DemoSearch, Retrieve
from espalier.serve.http.front import Endpoint, Head
from espalier.serve.http.replies import Header, Reply
from espalier.settings import ServeSettings
from espalier.v1.experiment_service_pb2 import ListExperimentsRequest, ListExperimentsResponse

_TYPES: Final = {
    ".html": b"text/html; charset=utf-8",
    ".css": b"text/css; charset=utf-8",
    ".js": b"text/javascript; charset=utf-8",
    ".svg": b"image/svg+xml",
}
# Nothing from another host, nothing inline, no text that becomes markup.
_POLICY: Final = (
    b"default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "
    b"connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; "
    b"require-trusted-types-for 'script'; trusted-types 'none'"
)
_GUARDS: Final[tuple[Header, ...]] = (
    (b"content-security-policy", _POLICY),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"referrer-policy", b"no-referrer"),
    (b"x-content-type-options", b"nosniff"),
    # Whoever installs a newer version sees it.
    (b"cache-control", b"private, no-cache"),
)


class Listing(Protocol):
    """What lists experiments: `espalier.serve.experiment_service.ExperimentService`."""

    def list_experiments(self, request: ListExperimentsRequest, /) -> ListExperimentsResponse:
        """Return every experiment."""
        ...


def demo_pages(
    settings: ServeSettings, experiments: Listing
) -> Mapping[str, Mapping[str, Endpoint]]:
    """Return what answers the page and its questions, by path and method.

    Raises:
        ConfigError: The catalogue, or the stemmer of the index of products, cannot be used.
        IndexFileError, UnsupportedError: The index of products cannot be used.
    """
    host = None if settings.demo_catalogue is None else HostEngine(settings.demo_catalogue)
    search = DemoSearch(host, _retrieval(settings), partial(_variants, experiments))
    pages = {f"/demo/{name}": _file(file) for name, file in _files(_folder(), "")}
    pages["/"] = pages.pop("/demo/index.html")
    return {
        **{path: {"GET": endpoint} for path, endpoint in pages.items()},
        "/demo/about": {"GET": Endpoint(search.about)},
        "/demo/search": {"GET": Endpoint(search.search)},
    }


def _retrieval(settings: ServeSettings) -> Retrieve | None:
    if settings.demo_products is None:
        return None
    catalogue = open_catalogue(settings.demo_products)
    return lambda query, k: [one.product_id for one in catalogue.retrieve(query, k=k)]


def _variants(experiments: Listing) -> Mapping[str, list[str]]:
    """Return the variants of each experiment that an answer can be forced to."""
    return {
        one.name: [variant.name for variant in one.variants if variant.index_served]
        for one in experiments.list_experiments(ListExperimentsRequest()).experiments
    }


def _folder() -> Traversable:
    return resources.files("espalier.serve.demo") / "page"


def _files(folder: Traversable, above: str) -> list[tuple[str, Traversable]]:
    found = []
    for one in sorted(folder.iterdir(), key=lambda entry: entry.name):
        if one.is_dir():
            found += _files(one, f"{above}{one.name}/")
        elif _kind(one):
            found.append((f"{above}{one.name}", one))
    return found


def _kind(file: Traversable) -> bytes:
    return _TYPES.get(file.name[file.name.rfind(".") :], b"")


def _file(file: Traversable) -> Endpoint:
    headers = ((b"content-type", _kind(file)), *_GUARDS)
    return Endpoint(partial(_sent, Reply(HTTPStatus.OK, headers, file.read_bytes())))


def _sent(reply: Reply, _head: Head, _body: bytes) -> Reply:
    return reply
