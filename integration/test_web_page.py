"""The demo page in a real browser, before a real service: what a newcomer sees and does."""

from __future__ import annotations

import csv
import json
import time
from collections.abc import Iterator
from http.client import HTTPConnection
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, Page, expect

from espalier.retrieval.training import train_retrieval
from espalier.settings import RetrievalSettings
from integration.browser import chromium, opened, serious, until
from integration.processes import PATIENCE, ROOT, Sidecar, espalier

PHONE = {"viewport": {"width": 390, "height": 844}, "has_touch": True, "is_mobile": True}


@pytest.fixture(scope="module")
def products(demo_log: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return an index of the demo's products, of the plainest kind."""
    folder = tmp_path_factory.mktemp("products")
    with demo_log.with_name("catalogue.tsv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file, delimiter="\t"))
    pairs = folder / "pairs.tsv"
    lines = [f"{row['title'].lower()}\t{row['product_id']}\t3" for row in rows[::50]]
    pairs.write_text("\n".join(["query\tproduct_id\trelevance", *lines, ""]), encoding="utf-8")
    settings = RetrievalSettings(stemmer="none", blender="none", threads=1)
    catalogue = demo_log.with_name("catalogue.tsv")
    train_retrieval(pairs, folder / "products.esp", settings, catalogue=catalogue)
    return folder / "products.esp"


@pytest.fixture(scope="module")
def sidecar(demo_index: Path, demo_log: Path, products: Path) -> Iterator[Sidecar]:
    """Return a service with the page."""
    with Sidecar(
        *("--config", ROOT / "tools" / "demo.toml"),
        *("--index", demo_index, "--http", "127.0.0.1:0", "--workers", "1", "--demo"),
        *("--set", f"demo_catalogue={demo_log.with_name('catalogue.tsv')}"),
        *("--set", f"demo_products={products}"),
    ) as started:
        yield started


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Return a browser for all of them."""
    with chromium() as started:
        yield started


@pytest.fixture
def page(browser: Browser, sidecar: Sidecar) -> Iterator[Page]:
    """Return the page, opened and filled."""
    with opened(browser) as made:
        visit(made, sidecar)
        yield made


def visit(page: Page, sidecar: Sidecar) -> None:
    """Open the page; its lists and beginnings are there when this returns."""
    page.goto(f"http://{sidecar.http}/")
    page.locator("#list [role=option]").first.wait_for()
    page.locator("#starters button").first.wait_for()


def search(page: Page, query: str) -> None:
    """Submit a query; its results are there when this returns."""
    page.locator("#q").fill(query)
    page.keyboard.press("Enter")
    expect(page.locator("#results h2 bdi")).to_have_text(query)


def both_lists(page: Page, prefix: str) -> tuple[list[str], list[str]]:
    """Type a prefix; return both lists once they are for it."""
    page.locator("#q").fill(prefix)
    for place in ("#list", "#plain"):
        until(
            page,
            f"[...document.querySelectorAll('{place} bdi')].length > 0 && "
            f"[...document.querySelectorAll('{place} bdi')].every("
            f"one => one.firstChild.textContent.toLowerCase() === {json.dumps(prefix)})",
        )
    return (
        page.locator("#list bdi").all_inner_texts(),
        page.locator("#plain bdi").all_inner_texts(),
    )


def test_a_newcomer_sees_what_the_session_brings(page: Page) -> None:
    """One click, two letters: the lists differ, and what the session brought up is marked."""
    first = page.locator("#starters button").first.inner_text()
    page.locator("#starters button").first.click()
    expect(page.locator("#queries bdi")).to_have_text([first])
    expect(page.locator("#results h3")).to_contain_text(["Host search", "Retrieval model"])
    assert page.evaluate("document.activeElement.id") == "q"
    with_session, without = both_lists(page, first[0])

    assert with_session != without
    new = page.locator("#list [role=option]", has=page.locator(".moved", has_text="new"))
    assert set(new.locator("bdi").all_inner_texts()) == set(with_session) - set(without)
    assert page.locator("#list .moved:not(:empty)").count() > 0


def test_queries_of_the_session_can_be_taken_back(page: Page) -> None:
    """One by one and all at once; the lists follow, and a reload keeps what is left."""
    for query in ("tent", "running shoes"):
        search(page, query)
    expect(page.locator("#queries bdi")).to_have_text(["running shoes", "tent"])
    both = both_lists(page, "w")[0]
    page.get_by_role("button", name="Forget running shoes").click()
    expect(page.locator("#queries bdi")).to_have_text(["tent"])
    page.reload()
    expect(page.locator("#queries bdi")).to_have_text(["tent"])
    one = both_lists(page, "w")[0]
    page.get_by_role("button", name="Clear all").click()
    expect(page.locator("#queries li")).to_have_count(0)
    none, without = both_lists(page, "w")

    assert both != one
    assert none == without
    expect(page.locator("#starters")).to_be_visible()


def test_a_suggestion_is_explained_where_it_is_pointed_at(page: Page) -> None:
    """By the pointer, in both lists, and by the arrow keys; in bars that are as long as it says."""
    search(page, "running shoes")
    with_session, without = both_lists(page, "w")
    subject = page.locator("#why .subject")
    page.locator("#list [role=option]").nth(2).hover()
    expect(subject).to_have_text(with_session[2])
    page.locator("#plain li").nth(1).hover()
    expect(subject).to_have_text(without[1])
    page.locator("#q").focus()
    page.keyboard.press("ArrowDown")
    expect(subject).to_have_text(with_session[0])
    expect(page.locator("#why .bars li")).to_have_count(6)
    sums = [
        float(one.replace("\N{MINUS SIGN}", "-"))
        for one in page.locator("#why .sum").all_inner_texts()
    ]
    sizes = page.locator("#why .bar").evaluate_all(
        "all => all.map(one => Number(one.style.getPropertyValue('--size')))"
    )

    assert max(sums) > 0
    assert sizes.index(max(sizes)) == [abs(one) for one in sums].index(max(map(abs, sums)))


def test_sources_can_be_switched_off_but_for_the_last(page: Page) -> None:
    """What is shown comes from those that are on."""
    sources = page.locator("#sources label")
    for word in ("tree", "popular", "corrected"):
        sources.filter(has_text=word).click()
    both_lists(page, "te")
    until(page, "document.querySelectorAll('#list .dot.tree, #plain .dot.tree').length === 0")
    assert page.locator("#list .dot").count() == page.locator("#list .dot.generated").count() > 0
    sources.filter(has_text="generated").click()

    assert page.locator("#sources input:checked").count() == 1


def test_variants_of_experiments_can_be_chosen(page: Page, sidecar: Sidecar) -> None:
    """Where there are any; requests then force them."""
    about = {
        "groups": {},
        "products": 0,
        "retrieval": False,
        "experiments": {"blend": ["off", "on"]},
    }
    asked: list[Any] = []

    def answer(route: Any) -> None:
        request = json.loads(route.request.post_data)
        asked.append(request.pop("experiment", None))
        route.continue_(post_data=json.dumps(request))

    page.route("**/demo/about", lambda route: route.fulfill(json=about))
    page.route("**/v1/complete", answer)
    visit(page, sidecar)
    page.get_by_label("blend").select_option("on")
    both_lists(page, "te")

    assert asked[0] is None
    assert asked[-1] == {"forcedVariants": {"blend": "on"}}


def test_the_variants_of_the_demo_are_in_force_when_chosen(page: Page) -> None:
    """The service lists them, and answers with the one that was chosen."""
    page.get_by_label("variant").select_option("last-query-only")
    for query in ("tent", "running shoes"):
        search(page, query)
    with page.expect_response("**/v1/complete") as answered:
        page.locator("#q").fill("w")

    assert answered.value.json()["header"]["variants"] == {"variant": "last-query-only"}


def test_a_submitted_query_really_searches(page: Page) -> None:
    """The host's engine and the retrieval model, side by side."""
    search(page, "red tent")
    host, retrieval = page.locator("#results section").all()

    for titles in (host, retrieval):
        found = titles.locator("bdi").all_inner_texts()
        assert found
        assert all("tent" in one.lower() for one in found[:1])
    assert "ms" in host.locator("h3 small").inner_text()


def test_markup_that_is_typed_stays_text(page: Page) -> None:
    """In the session, in the hint and above the results."""
    text = "<img src=x onerror=window.hacked=1>"
    search(page, text)
    expect(page.locator("#queries bdi")).to_have_text([text])

    assert page.evaluate("window.hacked") is None
    assert page.locator("main img").count() == 0


def test_text_from_right_to_left_is_shown_as_it_is_read(page: Page) -> None:
    """The box turns to it."""
    page.locator("#q").fill("خيمة")

    assert page.evaluate("getComputedStyle(q).direction") == "rtl"
    page.keyboard.press("Enter")
    expect(page.locator("#queries bdi")).to_have_text(["خيمة"])


def test_without_a_service_the_page_says_so_and_goes_on(page: Page) -> None:
    """What was shown and still fits stays, in both lists, and nothing else does.

    Once it answers again, so does the page.
    """
    both_lists(page, "te")
    page.context.set_offline(True)
    page.locator("#q").press_sequentially("n")
    expect(page.locator("#hint")).to_contain_text("does not answer")
    assert page.locator("#list bdi").all_inner_texts()
    assert page.locator("#plain bdi").all_inner_texts()
    page.locator("#q").fill("qx")
    for place in ("#list", "#plain"):
        expect(page.locator(f"{place} bdi")).to_have_count(0)
    expect(page.locator("#why .subject")).to_have_count(0)
    page.keyboard.press("Enter")
    expect(page.locator("#results")).to_contain_text("did not answer")
    page.context.set_offline(False)

    assert both_lists(page, "c")[0]
    expect(page.locator("#hint")).not_to_contain_text("does not answer")


def test_the_hint_counts_what_is_marked(page: Page) -> None:
    """It says what to do first, what next, and then in words what the session did."""
    hint = page.locator("#hint")
    expect(hint).to_contain_text("Search for something")
    search(page, "running shoes")
    expect(hint).to_contain_text("Now type two letters")
    both_lists(page, "w")
    expect(hint).to_contain_text("After “running shoes")
    marks = page.locator("#list .moved.up:not(:empty)").all_inner_texts()
    fresh = marks.count("new")

    assert fresh
    expect(hint).to_contain_text(f"brings in {fresh} (new)")
    assert page.locator("#list .moved", has_text="new").first.get_attribute("title")


def test_nothing_found_is_said_and_no_other_list_stays(page: Page) -> None:
    """Neither list shows what is for another prefix."""
    both_lists(page, "te")
    page.locator("#q").fill("ぬぬ")
    expect(page.locator("#list-nothing")).to_be_visible()

    for place in ("#list", "#plain"):
        expect(page.locator(f"{place} bdi")).to_have_count(0)


def test_what_completes_a_long_query_is_seen(page: Page) -> None:
    """The typed part gives way: of the rest 100 pixels are seen, or all."""
    search(page, "tent")
    page.locator("#q").fill("a query that is as long as a title of a product of many words")
    mark = page.locator("#list mark").first
    mark.wait_for()
    widths = page.evaluate(
        """[...document.querySelectorAll("#list mark")].map(one => {
          const text = document.createRange();
          text.selectNodeContents(one);
          return [one, text].map(part => part.getBoundingClientRect().width);
        })"""
    )
    typed = page.locator("#list .long span").first

    assert all(seen > min(whole, 100) - 0.1 for seen, whole in widths)
    assert typed.evaluate("one => one.scrollWidth > one.clientWidth")


def test_on_the_narrowest_phone_rows_stand_beside_each_other(
    browser: Browser, sidecar: Sidecar
) -> None:
    """Each suggestion is as high as its neighbour in the other list."""
    narrow: dict[str, Any] = {**PHONE, "viewport": {"width": 320, "height": 640}}
    with opened(browser, **narrow) as page:
        visit(page, sidecar)
        before = page.evaluate("document.querySelector('.panel').getBoundingClientRect().y")
        search(page, "running shoes")
        both_lists(page, "w")
        tops = page.evaluate(
            "['#list', '#plain'].map(one => [...document.querySelector(one).children]"
            ".map(row => row.getBoundingClientRect().y))"
        )
        after = page.evaluate("document.querySelector('.panel').getBoundingClientRect().y")

        assert tops[0] == tops[1]
        assert after == pytest.approx(before, abs=0.5)
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


def test_times_are_those_of_this_browser_and_of_the_engine(page: Page) -> None:
    """Measured with every keystroke; the engine is a part of the whole."""
    both_lists(page, "te")
    until(page, "document.querySelector('#engine').textContent.trim().length > 1")
    painted, engine = (float(page.locator(one).inner_text()) for one in ("#painted", "#engine"))

    assert 0 < engine < painted


def test_nothing_moves_that_was_not_touched(browser: Browser, sidecar: Sidecar) -> None:
    """From the first paint on the box and the lists stay where they are."""
    with opened(browser) as page:
        page.add_init_script(
            "window.shifts = 0; new PerformanceObserver(list => list.getEntries().forEach("
            "one => window.shifts += one.value)).observe({type: 'layout-shift', buffered: true})"
        )
        visit(page, sidecar)
        places = []
        for step in (None, "tent", "c", "nothing that exists", ""):
            if step == "tent":
                search(page, step)
            elif step is not None:
                page.locator("#q").fill(step)
                page.wait_for_timeout(250)
            boxes = page.evaluate(
                "['#q', '.with', '.without', '.why', '.controls'].map(one => "
                "{ const {x, y, width, height} = document.querySelector(one)"
                ".getBoundingClientRect(); return [x, y, width, height]; })"
            )
            places.append(boxes)

        assert page.evaluate("window.shifts") < 0.01
        assert all(one == places[0] for one in places)


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("device", ["wide", "phone"])
def test_nobody_is_kept_out(browser: Browser, sidecar: Sidecar, scheme: str, device: str) -> None:
    """No serious finding of axe, contrast included, empty or full; nothing is cut off."""
    options: dict[str, Any] = PHONE if device == "phone" else {}
    with opened(browser, color_scheme=scheme, reduced_motion="reduce", **options) as page:
        visit(page, sidecar)
        assert serious(page) == []
        search(page, "running shoes")
        both_lists(page, "w")
        page.keyboard.press("ArrowDown")
        page.locator("#why .bars").wait_for()

        assert serious(page) == []
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


def test_everything_comes_from_here_and_is_little(browser: Browser, sidecar: Sidecar) -> None:
    """No other host is asked, and the page with all its parts is below 100 kB."""
    with opened(browser) as page:
        sizes: dict[str, int] = {}
        hosts: set[str] = set()
        page.on("request", lambda one: hosts.add(urlsplit(one.url).netloc))
        page.on("response", lambda one: sizes.update({one.url: len(one.body())}))
        visit(page, sidecar)

        assert hosts == {sidecar.http}
        assert 10_000 < sum(size for url, size in sizes.items() if "/v1/" not in url) < 100_000


def test_a_report_by_beacon_becomes_context(page: Page, sidecar: Sidecar) -> None:
    """The module on a page with a policy, `navigator.sendBeacon`, and a real session."""
    page.evaluate(
        """async () => {
          const { Client } = await import("/demo/espalier/index.js");
          new Client({ sessionId: "beacon" }).submitted("tent");
        }"""
    )

    def state() -> str:
        connection = HTTPConnection(sidecar.http, timeout=PATIENCE)
        connection.request("GET", "/v1/complete?prefix=c&session_id=beacon")
        reply = json.load(connection.getresponse())
        connection.close()
        return str(reply["sessionState"])

    end = time.monotonic() + PATIENCE
    while state() != "SESSION_STATE_FOUND":
        assert time.monotonic() < end
        time.sleep(0.02)


def test_what_is_taken_is_reported_as_events(page: Page, sidecar: Sidecar) -> None:
    """An acceptance and a submission, in words that the service knows."""
    both_lists(page, "te")
    with page.expect_request("**/v1/events") as sent:
        page.keyboard.press("ArrowDown")
        page.keyboard.press("Enter")
    report = sent.value.post_data
    assert report is not None
    first, second = json.loads(report)["events"]
    connection = HTTPConnection(sidecar.http, timeout=PATIENCE)
    connection.request("POST", "/v1/events", report, {"content-type": "text/plain"})
    status = connection.getresponse().status
    connection.close()

    assert status == 200
    assert (first["action"], second["action"]) == (
        "EVENT_ACTION_ACCEPTANCE",
        "EVENT_ACTION_SUBMISSION",
    )
    assert (first["position"], first["prefixLength"]) == (1, 2)
    assert first["intentId"] == second["intentId"]


def test_a_demo_that_cannot_start_says_what_to_mend(demo_index: Path, tmp_path: Path) -> None:
    """In one line, before anything is served."""
    missing = tmp_path / "none.tsv"
    ended = espalier(
        *("serve", "--index", demo_index, "--listen", "127.0.0.1:0", "--http", "127.0.0.1:0"),
        *("--demo", "--set", f"demo_catalogue={missing}"),
    )

    assert ended.returncode == 2
    assert "name a TSV file in serve.demo_catalogue" in ended.stderr
