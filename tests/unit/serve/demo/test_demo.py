"""The demo page without a browser: what is sent, and what its search finds."""

from __future__ import annotations

import json
import re
import sqlite3
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from espalier.errors import ConfigError, UnsupportedError
from espalier.native import feature_groups, feature_names
from espalier.serve.demo.host import HostEngine
from espalier.serve.demo.pages import demo_pages
from espalier.serve.demo.search import DemoSearch
from espalier.serve.errors import MalformedRequestError
from espalier.serve.http.front import Endpoint, Head
from espalier.serve.http.replies import Reply
from espalier.settings import ServeSettings
from espalier.v1.experiment_service_pb2 import ListExperimentsRequest, ListExperimentsResponse
from tests.unit.serve.fakes import at_once
from tools.copy_web import PAGE, files

# What is no file.
ASKED = {"/demo/about", "/demo/search"}
CATALOGUE = (
    "product_id\ttitle\tcategory\tbrand\tcolour\tprice\n"
    "P1\tVeldora Red Tent\toutdoor\tVeldora\tred\t58.99\n"
    "P2\tTaruvi Tents Large\toutdoor\tTaruvi\t\t99.00\n"
    'P3\tTaruvi 6" Red Lamp\thome\tTaruvi\tred\t9.00\n'
)


class Experiments:
    """Lists one experiment with three variants, one of them of an index that is not served."""

    def list_experiments(self, _request: ListExperimentsRequest) -> ListExperimentsResponse:
        """Return it."""
        reply = ListExperimentsResponse()
        variants = reply.experiments.add(name="blend").variants
        for name in ("off", "on", "elsewhere"):
            variants.add(name=name, index_served=name != "elsewhere")
        return reply


@pytest.fixture(scope="module")
def catalogue(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return three products."""
    path = tmp_path_factory.mktemp("demo") / "catalogue.tsv"
    path.write_text(CATALOGUE, encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def host(catalogue: Path) -> HostEngine:
    """Return a search engine over them."""
    return HostEngine(catalogue)


@pytest.fixture(scope="module")
def pages(catalogue: Path) -> dict[str, Endpoint]:
    """Return what answers GET, by path."""
    settings = ServeSettings(http="127.0.0.1:0", demo=True, demo_catalogue=catalogue)
    return {path: methods["GET"] for path, methods in demo_pages(settings, Experiments()).items()}


def ask(endpoint: Endpoint, query: bytes = b"") -> Reply:
    """Return the reply to GET."""
    return at_once(endpoint.answer(Head("GET", b"/", query, {}), b""))


def read(reply: Reply) -> Any:
    """Return the JSON of a reply."""
    return json.loads(reply.body)


def test_products_have_every_word_or_else_any(host: HostEngine) -> None:
    """Stems match, whatever the case."""
    assert [one.product_id for one in host.search("RED tents", 8)] == ["P1"]
    assert {one.product_id for one in host.search("red boat", 8)} == {"P1", "P3"}
    assert host.search("boat", 8) == []


@given(st.text(max_size=60))
def test_nothing_typed_is_read_as_a_query_language(host: HostEngine, query: str) -> None:
    """Quotes, operators and NUL are text; what comes back are products or nothing."""
    assert all(one.product_id in {"P1", "P2", "P3"} for one in host.search(query, 8))


@pytest.mark.parametrize("query", ['"', "title:red", "NOT", "a OR", "red*", "NEAR(", "-", "\0"])
def test_what_means_something_to_sqlite_means_nothing_here(host: HostEngine, query: str) -> None:
    """Every one of them would be an error of its syntax, or another question."""
    host.search(query, 8)


def test_products_come_in_the_order_they_are_asked_for(host: HostEngine) -> None:
    """As the retrieval model ranked them; unknown ids are left out."""
    assert [one.product_id for one in host.articles(["P3", "nobody", "P1"])] == ["P3", "P1"]


@pytest.mark.parametrize("text", ["title\ttext\nTent\tbig\n", "", "product_id\ttitle\n\xff"])
def test_a_catalogue_that_is_none_stops_the_start(tmp_path: Path, text: str) -> None:
    """The message names the file and the setting."""
    path = tmp_path / "broken.tsv"
    path.write_bytes(text.encode("latin-1"))

    with pytest.raises(ConfigError, match=r"broken\.tsv.*demo_catalogue"):
        HostEngine(path)


def test_a_missing_catalogue_stops_the_start(tmp_path: Path) -> None:
    """As a broken one does."""
    with pytest.raises(ConfigError, match="FileNotFoundError"):
        HostEngine(tmp_path / "none.tsv")


def test_both_lists_say_what_they_took(host: HostEngine) -> None:
    """The host's first; the model's products have the host's words for them."""
    reply = DemoSearch(host, lambda _query, _k: ["P3", "P1"]).search(
        Head("GET", b"/demo/search", b"q=red+tent", {}), b""
    )
    lists = read(reply)["lists"]

    assert [one["name"] for one in lists] == ["host", "retrieval"]
    assert [[product["product_id"] for product in one["products"]] for one in lists] == [
        ["P1"],
        ["P3", "P1"],
    ]
    assert all(one["milliseconds"] >= 0 for one in lists)


@pytest.mark.parametrize("query", [b"", b"q=a&q=b", b"p=a", b"q=%ff", b"q=\xff"])
def test_a_search_without_one_query_is_refused(host: HostEngine, query: bytes) -> None:
    """And the message does not repeat what came."""
    with pytest.raises(MalformedRequestError):
        DemoSearch(host, None).search(Head("GET", b"/demo/search", query, {}), b"")


def test_without_a_catalogue_nothing_is_searched() -> None:
    """The page is for completions then."""
    assert read(DemoSearch(None, None).search(Head("GET", b"", b"q=a", {}), b"")) == {"lists": []}


def test_the_page_learns_the_group_of_every_feature(pages: dict[str, Endpoint]) -> None:
    """So that it explains what this library scores by, not what one once did."""
    about = read(ask(pages["/demo/about"]))

    assert about["groups"] == dict(zip(feature_names(), feature_groups(), strict=True))
    assert (about["products"], about["retrieval"]) == (3, False)
    assert about["experiments"] == {"blend": ["off", "on"]}
    known = re.findall(r"^  (\w+): \"", (PAGE.parent / "why.js").read_text("utf-8"), re.MULTILINE)
    assert set(feature_groups()) == set(known)


def test_nothing_comes_from_another_host_and_nothing_is_inline(pages: dict[str, Endpoint]) -> None:
    """A strict policy, and files that need no exception from it."""
    for path, endpoint in pages.items():
        if path in ASKED:
            continue
        reply = ask(endpoint)
        headers = dict(reply.headers)
        text = reply.body.decode()

        assert b"default-src 'none'" in headers[b"content-security-policy"]
        assert b"unsafe" not in headers[b"content-security-policy"]
        assert headers[b"x-content-type-options"] == b"nosniff"
        assert not re.search(r"(?:src|href|url\(|from|import\()\s*=?\s*[\"']?(?:https?:)?//", text)
        assert not re.search(r"<script>|\son\w+=|innerHTML|\seval\(", text)


def test_whatever_a_file_of_the_page_names_is_served(pages: dict[str, Endpoint]) -> None:
    """Every link, module and image has an answer."""
    named = set(re.findall(r'(?:href|src)="(/[^"]*)"', ask(pages["/"]).body.decode()))
    for path, endpoint in pages.items():
        if path.endswith(".js"):
            folder = path.rpartition("/")[0]
            text = ask(endpoint).body.decode()
            found = re.findall(r'^(?:im|ex)port .* from "\./([^"]+)"', text, re.MULTILINE)
            named |= {f"{folder}/{name}" for name in found}

    assert named <= set(pages)
    assert len(named) > 10


def test_the_page_is_small(pages: dict[str, Endpoint]) -> None:
    """All it loads, uncompressed, is below 100 kB."""
    sizes = [len(ask(one).body) for path, one in pages.items() if path not in ASKED]

    assert sum(sizes) < 100_000


def test_the_page_has_the_module_as_it_is_published() -> None:
    """``python -m tools.copy_web`` was run after the last change."""
    assert [path.name for path in files()] == [
        "index.js",
        "client.js",
        "combobox.js",
        "lookup.js",
        "parts.js",
    ]
    assert {path.name: path.read_text("utf-8") for path in files()} == {
        path.name: path.read_text("utf-8") for path in PAGE.iterdir()
    }


@pytest.mark.parametrize(
    ("values", "says"),
    [
        ({"demo": True}, "set serve.http as well"),
        ({"demo": True, "http": "[::1]:0", "token_file": Path("tokens")}, "no token to show"),
        ({"demo_products": Path("products.esp")}, "serve.demo_catalogue"),
    ],
)
def test_a_demo_that_nobody_could_use_is_refused(values: dict[str, Any], says: str) -> None:
    """Without a front nobody would see it; an index of products needs the products."""
    with pytest.raises(ConfigError, match=says):
        ServeSettings(**values)


def test_a_sqlite_without_full_text_search_is_said(
    catalogue: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With what to do, not with a traceback."""

    class Without(sqlite3.Connection):
        def execute(self, sql: str, *given: Any) -> sqlite3.Cursor:
            return super().execute(sql.replace("fts5", "no_such_module"), *given)

    monkeypatch.setattr(sqlite3, "connect", partial(sqlite3.connect, factory=Without))
    with pytest.raises(UnsupportedError, match=r"no FTS5.*leave it out"):
        HostEngine(catalogue)
