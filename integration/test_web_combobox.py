"""The combobox of ``integration/web`` in a real browser, before a service that obeys the test."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, Route, expect

from integration.browser import WEB, chromium, opened, package, serious, until

ORIGIN = "https://shop.example"
POLICY = (
    "default-src 'none'; script-src 'self'; connect-src 'self'; "
    "require-trusted-types-for 'script'; trusted-types 'none'"
)
PAGE = """<!doctype html>
<html lang="en"><head><title>Shop</title><script type="module" src="/page.js"></script></head>
<body><main><h1>Shop</h1>
<form role="search"><label>Search <input id="q" type="search" name="q"></label></form>
<p><button id="other">Elsewhere</button></p></main></body></html>"""
SCRIPT = """
import { Client, Combobox } from "/src/index.js";
window.submitted = [];
window.errors = [];
window.reports = [];
const beacon = (url, body) => reports.push([url, JSON.parse(body)]);
window.box = new Combobox(document.querySelector("#q"), {
  client: new Client({ timeout: 60_000, maxSuggestions: 3, beacon }),
  debounce: Number(new URLSearchParams(location.search).get("debounce") ?? 0),
  onSubmit: (query, suggestion) => submitted.push([query, suggestion?.text ?? null]),
  onError: (error) => errors.push(error.name),
});
"""


ALGOLIA = """
import { Client } from "/src/index.js";
import { createEspalierPlugin } from "/src/algolia.js";
window.reports = [];
const beacon = (url, body) => reports.push([url, JSON.parse(body)]);
const client = new Client({ sessionId: "s1", maxSuggestions: 3, beacon });
const { autocomplete } = window["@algolia/autocomplete-js"];
const container = document.querySelector("form").parentElement;
const plugins = [createEspalierPlugin({ client })];
autocomplete({ container, openOnFocus: true, detachedMediaQuery: "none", plugins });
window.box = true;
"""


class Shop:
    """A page with a search box, and the service behind it.

    Attributes:
        page: The page.
        waiting: Questions that have no answer yet, where `at_once` is off.
        asked: Every prefix asked, in order.
        answers: What is answered to a prefix that this has.
        script: What the page loads.
        policy: What it may do.
    """

    def __init__(self, page: Page) -> None:
        """Stand between the page and the network."""
        self.page = page
        self.waiting: list[tuple[str, Route]] = []
        self.asked: list[str] = []
        self.answers: dict[str, list[str | dict[str, Any]]] = {}
        self.at_once = True
        self.script = SCRIPT
        self.policy = POLICY
        page.route(f"{ORIGIN}/**", self._route)

    def open(self, query: str = "") -> None:
        """Open the page; the module is there when this returns."""
        self.page.goto(f"{ORIGIN}/{query}")
        until(self.page, "window.box !== undefined")

    def reply(self, prefix: str, route: Route) -> None:
        """Answer a question."""
        texts = self.answers.get(prefix, [f"{prefix}nt", f"{prefix}nt pegs", f"{prefix}a pot"])
        suggestions = [
            {"displayText": one["text"], "matchedUtf16Units": 0, **one}
            if isinstance(one, dict)
            else {"text": one, "displayText": one, "matchedUtf16Units": len(prefix)}
            for one in texts
        ]
        answer = {"suggestions": suggestions, "suggestionSetId": "set", "prefix": prefix}
        route.fulfill(json={**answer, "sequence": "1", "degradations": []})

    def settle(self) -> None:
        """Let the page do what is due."""
        self.page.evaluate("new Promise(done => requestAnimationFrame(() => setTimeout(done)))")

    def options(self) -> list[str]:
        """Return what is in the list, "" if that is closed."""
        return self.page.locator("[role=option]:visible").all_inner_texts()

    def _route(self, route: Route) -> None:
        path = route.request.url.removeprefix(ORIGIN).partition("?")[0]
        if path == "/":
            headers = {"content-security-policy": self.policy}
            route.fulfill(body=PAGE, content_type="text/html; charset=utf-8", headers=headers)
        elif path == "/page.js":
            route.fulfill(body=self.script, content_type="text/javascript")
        elif path.startswith("/src/"):
            route.fulfill(path=WEB / path[1:], content_type="text/javascript")
        elif path == "/v1/complete":
            prefix = json.loads(route.request.post_data or "")["prefix"]
            self.asked.append(prefix)
            if self.at_once:
                self.reply(prefix, route)
            else:
                self.waiting.append((prefix, route))
        else:
            route.fulfill(status=404)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Return a browser for all of them."""
    with chromium() as started:
        yield started


@pytest.fixture
def shop(browser: Browser) -> Iterator[Shop]:
    """Return a shop whose page is not open yet."""
    with opened(browser) as page:
        yield Shop(page)


def type_te(shop: Shop) -> None:
    """Type two letters; three suggestions are shown."""
    shop.open()
    shop.page.locator("#q").press_sequentially("te")
    expect(shop.page.locator("[role=option]")).to_have_text(["tent", "tent pegs", "tea pot"])


def chosen(shop: Shop) -> str | None:
    """Return the text of the option that the box points at, as a screen reader would."""
    text: str | None = shop.page.evaluate(
        "document.getElementById(q.getAttribute('aria-activedescendant'))?.textContent ?? null"
    )
    return text


def test_typing_shows_completions_with_the_typed_part_told_apart(shop: Shop) -> None:
    """What completes is marked; the box says that its list is open."""
    type_te(shop)
    box = shop.page.locator("#q")

    assert shop.page.locator("[role=option] mark").all_inner_texts() == ["nt", "nt pegs", "a pot"]
    expect(box).to_have_attribute("role", "combobox")
    expect(box).to_have_attribute("aria-expanded", "true")
    listed = shop.page.locator(f"#{box.get_attribute('aria-controls')}")
    expect(listed).to_have_attribute("role", "listbox")
    expect(shop.page.locator("[role=status]")).to_have_text("3 suggestions")


def test_arrow_keys_go_round_through_the_list_and_the_box(shop: Shop) -> None:
    """Down from the box to the first, from the last to the box; up the other way round."""
    type_te(shop)
    places = []
    for key in ["ArrowDown"] * 4 + ["ArrowUp"] * 2:
        shop.page.keyboard.press(key)
        places.append(chosen(shop))

    assert places == ["tent", "tent pegs", "tea pot", None, "tea pot", "tent pegs"]
    assert shop.page.locator("[aria-selected=true]").all_inner_texts() == ["tent pegs"]
    assert shop.page.input_value("#q") == "te"
    shop.page.keyboard.press("Home")
    assert chosen(shop) is None


def test_enter_takes_what_is_chosen_or_submits_what_is_typed(shop: Shop) -> None:
    """And the list closes."""
    type_te(shop)
    shop.page.keyboard.press("ArrowDown")
    shop.page.keyboard.press("Enter")
    assert shop.options() == []
    assert shop.page.input_value("#q") == "tent"
    shop.page.locator("#q").fill("boat")
    shop.page.keyboard.press("Enter")

    assert shop.page.evaluate("submitted") == [["tent", "tent"], ["boat", None]]


def test_escape_closes_the_list_and_then_empties_the_box(shop: Shop) -> None:
    """Down opens it again, Alt with Up closes it."""
    type_te(shop)
    shop.page.keyboard.press("Escape")
    assert (shop.options(), shop.page.input_value("#q")) == ([], "te")
    shop.page.keyboard.press("ArrowDown")
    assert shop.options() == ["tent", "tent pegs", "tea pot"]
    shop.page.keyboard.press("Alt+ArrowUp")
    assert shop.options() == []
    shop.page.keyboard.press("Escape")

    assert shop.page.input_value("#q") == ""


def test_right_at_the_end_puts_the_chosen_one_into_the_box(shop: Shop) -> None:
    """To go on from there: it is completed in turn, and nothing is submitted."""
    type_te(shop)
    shop.page.keyboard.press("ArrowDown")
    shop.page.keyboard.press("ArrowRight")
    expect(shop.page.locator("[role=option]").first).to_have_text("tentnt")

    assert shop.page.input_value("#q") == "tent"
    assert shop.page.evaluate("submitted") == []


def test_where_text_runs_the_other_way_the_arrows_do_too(shop: Shop) -> None:
    """Right moves in the text as ever; Left, its end, puts the chosen one into the box."""
    shop.answers["خ"] = ["خيمة"]
    shop.answers["خيمة"] = ["خيمة كبيرة"]
    shop.open()
    shop.page.evaluate("q.dir = 'auto'")
    shop.page.locator("#q").press_sequentially("خ")
    expect(shop.page.locator("[role=option]")).to_have_text(["خيمة"])
    shop.page.keyboard.press("ArrowDown")
    shop.page.keyboard.press("ArrowRight")
    assert shop.page.input_value("#q") == "خ"
    shop.page.keyboard.press("End")
    shop.page.keyboard.press("ArrowDown")
    shop.page.keyboard.press("ArrowLeft")

    assert shop.page.input_value("#q") == "خيمة"


def test_what_the_page_does_with_its_form_is_done_with_a_suggestion_too(shop: Shop) -> None:
    """Its own listener hears of it once, and one query is reported."""
    shop.script = SCRIPT.replace("  onSubmit:", "  other:") + (
        "document.querySelector('form').addEventListener('submit', (event) => {"
        " event.preventDefault(); submitted.push(q.value); });"
    )
    type_te(shop)
    shop.page.keyboard.press("ArrowDown")
    shop.page.keyboard.press("Enter")
    until(shop.page, "submitted.length > 0")

    assert shop.page.evaluate("submitted") == ["tent"]
    assert actions(shop) == ["ACCEPTANCE", "SUBMISSION"]


def actions(shop: Shop) -> list[str]:
    """Return what was reported, in order."""
    return [
        event["action"].removeprefix("EVENT_ACTION_")
        for _, report in shop.page.evaluate("reports")
        for event in report["events"]
    ]


def test_what_is_typed_and_given_up_is_reported_once(shop: Shop) -> None:
    """When the page is left, or the box with nothing in it; never for what was submitted."""
    type_te(shop)
    shop.page.locator("#other").focus()
    assert actions(shop) == []
    shop.page.evaluate("dispatchEvent(new PageTransitionEvent('pagehide'))")
    shop.page.evaluate("dispatchEvent(new PageTransitionEvent('pagehide'))")
    assert actions(shop) == ["ABANDONMENT"]
    ((path, report),) = shop.page.evaluate("reports")
    (event,) = report["events"]
    said = (path, event["query"], event["prefixLength"], event["suggestionSetId"])
    assert said == ("/v1/events", "te", 2, "set")

    shop.page.locator("#q").fill("boat")
    shop.page.keyboard.press("Enter")
    shop.page.evaluate("dispatchEvent(new PageTransitionEvent('pagehide'))")
    assert actions(shop)[1:] == ["SUBMISSION"]
    shop.page.locator("#q").fill("ca")
    shop.page.locator("#q").fill("")
    assert actions(shop)[2:] == []
    shop.page.locator("#other").focus()

    assert actions(shop)[2:] == ["ABANDONMENT"]
    intents = [report["events"][0]["intentId"] for _, report in shop.page.evaluate("reports")]
    assert len(set(intents)) == len(intents)


def test_a_click_takes_a_suggestion_and_the_box_keeps_the_focus(shop: Shop) -> None:
    """Resting on one does not choose it: Enter still submits what is typed."""
    type_te(shop)
    shop.page.locator("[role=option]").nth(1).hover()
    assert chosen(shop) is None
    shop.page.locator("[role=option]").nth(1).click()

    assert shop.page.evaluate("submitted") == [["tent pegs", "tent pegs"]]
    assert shop.page.evaluate("document.activeElement.id") == "q"


def test_leaving_the_box_closes_the_list(shop: Shop) -> None:
    """By Tab, or by a click elsewhere."""
    type_te(shop)
    shop.page.keyboard.press("Tab")
    assert shop.options() == []
    shop.page.locator("#q").click()
    expect(shop.page.locator("[role=option]").first).to_be_visible()
    shop.page.locator("#other").click()

    assert shop.options() == []


def test_while_an_input_method_composes_keys_are_its_own(shop: Shop) -> None:
    """Enter ends the composition and submits nothing; completions are shown all the same."""
    shop.open()
    shop.answers["にほ"] = ["にほん", "にほんご"]
    shop.page.locator("#q").focus()
    composed = {"text": "にほ", "selectionStart": 2, "selectionEnd": 2}
    devtools = shop.page.context.new_cdp_session(shop.page)
    devtools.send("Input.imeSetComposition", composed)
    expect(shop.page.locator("[role=option]")).to_have_text(["にほん", "にほんご"])
    for key in ("ArrowDown", "Enter"):
        shop.page.evaluate(
            "key => q.dispatchEvent(new KeyboardEvent('keydown',"
            " {key, isComposing: true, cancelable: true, bubbles: true}))",
            key,
        )

    assert chosen(shop) is None
    assert shop.page.evaluate("submitted") == []
    devtools.send("Input.insertText", {"text": "日本"})
    expect(shop.page.locator("[role=option]").first).to_have_text("日本nt")
    assert shop.page.input_value("#q") == "日本"


def test_answers_out_of_order_never_replace_newer_ones(shop: Shop) -> None:
    """The first question is answered last."""
    shop.open()
    shop.page.locator("#q").focus()
    until(shop.page, "box.shown.open")
    shop.at_once = False
    for number, letter in enumerate("ten", 1):
        shop.page.keyboard.press(letter)
        while len(shop.waiting) < number:
            shop.settle()
    (first, first_route), *_, (newest, newest_route) = shop.waiting
    assert (first, newest) == ("t", "ten")
    shop.reply(newest, newest_route)
    expect(shop.page.locator("[role=option]").first).to_have_text("tennt")
    shop.answers["t"] = ["too late"]
    shop.reply(first, first_route)
    shop.settle()

    assert shop.options()[0] == "tennt"


def test_on_a_slow_line_an_older_answer_is_shown_as_far_as_it_fits(shop: Shop) -> None:
    """Only what begins with what is typed by now, with that told apart."""
    shop.open()
    shop.page.locator("#q").focus()
    until(shop.page, "box.shown.open")
    shop.at_once = False
    for number, letter in enumerate("te", 1):
        shop.page.keyboard.press(letter)
        while len(shop.waiting) < number:
            shop.settle()
    shop.answers["t"] = ["tent", "torch", "tea pot"]
    shop.reply(*shop.waiting[0])

    expect(shop.page.locator("[role=option]")).to_have_text(["tent", "tea pot"])
    assert shop.page.locator("[role=option] mark").all_inner_texts() == ["nt", "a pot"]
    shop.reply(*shop.waiting[1])
    expect(shop.page.locator("[role=option]")).to_have_text(["tent", "tent pegs", "tea pot"])


def test_a_failing_service_leaves_what_still_fits_and_the_box_works(shop: Shop) -> None:
    """Errors are told to the page; Enter submits what is typed."""
    type_te(shop)
    shop.at_once = False
    shop.page.keyboard.press("a")
    while not shop.waiting:
        shop.settle()
    shop.waiting.pop()[1].fulfill(status=503, body="{}")
    expect(shop.page.locator("[role=option]")).to_have_text(["tea pot"])
    assert shop.page.evaluate("errors") == ["ServiceError"]

    shop.page.keyboard.press("x")
    while not shop.waiting:
        shop.settle()
    shop.waiting.pop()[1].abort()
    expect(shop.page.locator("#q")).to_have_attribute("aria-expanded", "false")
    shop.page.keyboard.press("Enter")
    assert shop.page.evaluate("submitted") == [["teax", None]]


def test_without_a_network_what_was_asked_before_is_still_answered(shop: Shop) -> None:
    """And what was not is, once there is one again."""
    type_te(shop)
    shop.at_once = False
    shop.page.keyboard.press("n")
    while not shop.waiting:
        shop.settle()
    shop.waiting.pop()[1].abort("internetdisconnected")
    until(shop.page, "errors.length === 1")
    shop.page.keyboard.press("Backspace")
    expect(shop.page.locator("[role=option]")).to_have_text(["tent", "tent pegs", "tea pot"])
    shop.at_once = True
    shop.page.keyboard.press("n")

    expect(shop.page.locator("[role=option]").first).to_have_text("tennt")
    assert shop.asked == ["", "t", "te", "ten", "ten"]


def test_with_a_debounce_only_the_pause_asks(shop: Shop) -> None:
    """Letters that come at once are one question."""
    shop.open("?debounce=100")
    shop.page.evaluate(
        "for (const typed of ['t', 'te', 'ten', 'tent'])"
        " { q.value = typed; q.dispatchEvent(new Event('input')); }"
    )
    expect(shop.page.locator("[role=option]").first).to_have_text("tentnt")

    assert shop.asked == ["tent"]


@pytest.mark.parametrize(
    "text",
    [
        "<img src=x onerror=window.hacked=1>",
        "<script>window.hacked=1</script>",
        '"><svg onload=window.hacked=1>',
        "javascript:window.hacked=1",
        "{{constructor.constructor('window.hacked=1')()}}",
    ],
)
def test_markup_in_suggestions_and_queries_stays_text(shop: Shop, text: str) -> None:
    """Drawn, chosen, submitted and announced as the characters it is."""
    shop.answers["<"] = [text, {"text": "plain", "displayText": f"<b>{text}"}]
    shop.open()
    shop.page.locator("#q").press_sequentially("<")
    expect(shop.page.locator("[role=option]")).to_have_text([text, f"<b>{text}"])
    shop.page.keyboard.press("ArrowDown")
    shop.page.keyboard.press("Enter")

    assert shop.page.evaluate("submitted") == [[text, text]]
    assert shop.page.locator("[role=listbox] :is(img, script, svg, b)").count() == 0
    assert shop.page.evaluate("window.hacked") is None


def test_text_from_right_to_left_keeps_its_direction(shop: Shop) -> None:
    """Each suggestion by itself, on a page that runs the other way."""
    shop.answers["خ"] = ["خيمة كبيرة", {"text": "tent", "displayText": "tent"}]
    shop.open()
    shop.page.locator("#q").press_sequentially("خ")
    expect(shop.page.locator("[role=option]").first).to_have_text("خيمة كبيرة")
    directions = shop.page.locator("[role=option] bdi").evaluate_all(
        "all => all.map(one => getComputedStyle(one).direction)"
    )
    # The typed letter stands at the right end of its word.
    first, rest = shop.page.evaluate(
        """() => {
          const [typed, mark] = document.querySelector("[role=option] bdi").childNodes;
          const range = document.createRange();
          range.selectNode(typed);
          return [range.getBoundingClientRect().left, mark.getBoundingClientRect().left];
        }"""
    )

    assert directions == ["rtl", "ltr"]
    assert first > rest


def test_nobody_is_kept_out(shop: Shop) -> None:
    """No serious finding of axe, with the list open and one chosen."""
    type_te(shop)
    shop.page.keyboard.press("ArrowDown")

    assert serious(shop.page) == []


def test_what_was_added_can_be_taken_away(shop: Shop) -> None:
    """Nothing answers any more, nothing is left behind, and the box is as it was."""
    shop.script = "window.before = q.outerHTML;" + SCRIPT
    type_te(shop)
    shop.page.evaluate("box.destroy()")
    assert shop.page.evaluate("q.outerHTML === before")
    asked = len(shop.asked)
    shop.page.keyboard.press("n")
    shop.settle()

    assert len(shop.asked) == asked
    assert shop.page.locator("[role=listbox], [role=combobox], [role=status]").count() == 0


def test_another_search_box_takes_them_as_a_source(shop: Shop) -> None:
    """Algolia's ``autocomplete`` shows them, and what is taken is reported with its place."""
    package("@algolia/autocomplete-js/package.json")
    # That box writes markup of its own.
    shop.script, shop.policy = ALGOLIA, "script-src 'self'"
    shop.page.add_init_script(
        package("@algolia/autocomplete-js/dist/umd/index.production.js").read_text("utf-8")
    )
    shop.open()
    shop.page.locator(".aa-Input").press_sequentially("te")
    expect(shop.page.locator(".aa-Item")).to_have_text(["tent", "tent pegs", "tea pot"])
    assert shop.page.locator(".aa-Item mark").all_inner_texts() == ["nt", "nt pegs", "a pot"]
    shop.page.keyboard.press("ArrowDown")
    expect(shop.page.locator(".aa-Item[aria-selected=true]")).to_have_text("tent")
    shop.page.keyboard.press("Enter")
    until(shop.page, "reports.length > 0")

    accepted = {"suggestionSetId": "set", "position": 1}
    ((path, report),) = shop.page.evaluate("reports")
    assert path == "/v1/queries"
    assert (report["sessionId"], report["query"], report["accepted"]) == ("s1", "tent", accepted)
