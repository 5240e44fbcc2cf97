"""The report as a page: whole, self-contained, readable without seeing it, and always the same."""

from __future__ import annotations

import dataclasses
import importlib.util
import json
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest

from espalier.errors import ConfigError, StorageError
from espalier.evaluate import EvaluationReport
from espalier.evaluate.ablation import ablation_of
from espalier.evaluate.calibration import calibration_of
from espalier.evaluate.contract import Violations
from espalier.evaluate.folder import prepare_folder, report_files, write_report
from espalier.evaluate.index_report import IndexFacts, IndexReport, PairsFacts, Timing
from espalier.evaluate.latency import PERCENTS, Latency
from espalier.evaluate.outcomes import ask_all
from espalier.evaluate.page import render_page
from espalier.evaluate.questions import Question, Questions
from espalier.evaluate.summary import summarise
from espalier.evaluate.systems import ABLATED, select
from tests.unit.evaluate.twin import TwinIndex

SVG = "http://www.w3.org/2000/svg"
WORDS = ("zebra", "quagga", "okapi", "gnu", "ibex")
PLOTS = (
    "mrr-by-length",
    "recall-by-length",
    "mrr-by-source",
    "seen-unseen",
    "by-overlap",
    "calibration",
    "latency",
)
# Elements that have no end, in HTML.
VOID = {"meta", "br"}
# Attributes that make a browser fetch something.
FETCHING = {"src", "srcset", "href", "data", "action", "poster", "background", "xlink:href"}


class Page(HTMLParser):
    """What a test looks at in a page; fails where elements do not nest."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.ids: list[str] = []
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str]] = []
        self.within: dict[str, list[str]] = {}
        self._open: list[str] = []
        self.feed(text)
        self.close()
        assert self._open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note an element."""
        self.tags.append(tag)
        self.attributes += [(name, value or "") for name, value in attrs]
        self.ids += [value or "" for name, value in attrs if name == "id"]
        if tag not in VOID:
            self._open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note an element without content."""
        self.handle_starttag(tag, attrs)
        if tag not in VOID:
            self._open.pop()

    def handle_endtag(self, tag: str) -> None:
        """See that it ends what was opened last."""
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        """Note text by the element it stands in."""
        if self._open:
            self.within.setdefault(self._open[-1], []).append(data)


def report_of(file: str = "site.esp", *, users: int = 6) -> IndexReport:
    """Evaluate the twin on made-up questions, with made-up times, ablation and all."""
    labels = {f"{a} {b}": 3 + i for i, a in enumerate(WORDS) for b in WORDS}
    asked = tuple(
        Question(a[: 1 + i % 4], (f"{b} {a}",) * (i % 3 > 0), f"{a} {b}{'s' * (i % 2)}", i % users)
        for i, (a, b) in enumerate((a, b) for a in WORDS for b in WORDS)
    )
    questions = Questions(asked, 1, {"bad_gap": 2}, users)
    everything = ask_all(
        TwinIndex(labels), questions, (*select(), *ABLATED), k=10, advance=lambda _: None
    )
    outcomes = everything.of(select())
    times = tuple(10.0 + percent for percent in PERCENTS)
    return IndexReport(
        IndexFacts(Path(file), 4096, len(labels), 3, 12, 2, "00ff"),
        PairsFacts(Path("pairs.tsv"), len(asked), 1, {"bad_gap": 2}, users),
        10,
        summarise(outcomes, questions, seed=1),
        Timing(Latency(10, 20, 30, 4), Latency(9, 19, 29, 4), None, 5000.0, times, times),
        calibration_of(outcomes.by_system["all_sources"], questions, seed=1),
        ablation_of(outcomes, everything.of(ABLATED), questions, seed=1),
    )


@pytest.fixture(scope="module")
def report() -> EvaluationReport:
    """Return a report of two indexes, one with a name that needs care in HTML."""
    return EvaluationReport((report_of(), report_of("<b>&other.esp")))


@pytest.fixture(scope="module")
def text(report: EvaluationReport) -> str:
    """Return the page of it."""
    return render_page(report)


def test_the_page_is_well_formed_and_every_id_is_there_once(text: str) -> None:
    """Elements nest; two drawings never share a name; every reference leads somewhere."""
    page = Page(text)
    referred = {value[1:] for name, value in page.attributes if name == "href"}
    referred |= set(re.findall(r"url\(#([^)]+)\)", text))
    labelled = {
        one for name, value in page.attributes if name == "aria-labelledby" for one in value.split()
    }

    assert len(page.ids) == len(set(page.ids))
    assert referred | labelled <= set(page.ids)
    assert page.tags[:2] == ["html", "head"]


def test_the_page_asks_the_network_for_nothing(text: str) -> None:
    """No address but the name of the SVG language, no script, nothing to fetch."""
    page = Page(text)

    assert "://" not in text.replace(SVG, "")
    assert not {"script", "link", "img", "iframe", "object", "embed", "base"} & set(page.tags)
    assert all(value.startswith("#") for name, value in page.attributes if name in FETCHING)
    assert "@import" not in text
    assert re.findall(r"url\((?!#)", text) == []
    assert ("content", "default-src 'none'; style-src 'unsafe-inline'") in page.attributes


def test_every_plot_is_there_for_every_index_with_its_table(text: str) -> None:
    """Seven plots and the ablation, twice; a title, a description and a table for each."""
    page = Page(text)
    for place in (0, 1):
        for plot in (*PLOTS, "ablation"):
            name = f"index-{place}-{plot}"

            assert {f"{name}-section", f"{name}-title", f"{name}-description"} <= set(page.ids)
    assert page.tags.count("svg") == page.tags.count("desc") == 16
    assert page.tags.count("figcaption") == 16
    assert page.tags.count("table") == 18
    assert page.tags.count("title") == 17
    assert ("role", "img") in page.attributes
    assert all(told.strip() for told in page.within["desc"])


def test_without_ablation_there_is_no_plot_of_it() -> None:
    """The others are all there."""
    page = Page(render_page(EvaluationReport((dataclasses.replace(report_of(), ablation={}),))))

    assert page.tags.count("svg") == len(PLOTS)
    assert "index-0-ablation-section" not in page.ids


def test_both_schemes_colour_everything(text: str) -> None:
    """Colours are variables, each defined for light and again for dark."""
    style, body = text.split("</style>")
    light, dark = style.split("@media (prefers-color-scheme: dark)")
    used = set(re.findall(r"var\((--[a-z0-9-]+)\)", text))

    assert used
    for scheme in (light, dark):
        assert used <= set(re.findall(r"(--[a-z0-9-]+):", scheme))
    assert re.findall(r"(?:fill|stroke): #[0-9a-f]+", body) == []


def test_text_of_the_drawings_is_text(text: str) -> None:
    """Names of systems can be selected and searched for, in the font of the page."""
    page = Page(text)

    assert {"all_sources", "most_frequent", "characters typed"} <= set(page.within["text"])
    assert "DejaVu" not in text


def test_the_page_says_what_the_figures_say(report: EvaluationReport, text: str) -> None:
    """MRR with its interval, of the first system, stands in a table."""
    figures = report.indexes[0].summary.systems["all_sources"]
    interval = figures.mrr10_interval["len_1"]

    assert interval is not None
    assert (
        f"{figures.measures['mrr10']['len_1']:.4f} ({interval.low:.4f} to {interval.high:.4f})"
        in Page(text).within["td"]
    )


def test_no_query_text_gets_into_a_report(report: EvaluationReport, text: str) -> None:
    """Neither page nor JSON has a word of what was asked."""
    for told in (text, json.dumps(report.to_json())):
        assert not any(word in told for word in WORDS)


def test_names_of_files_are_text_not_markup(text: str) -> None:
    """A file name cannot add an element."""
    assert "<b>" not in text
    assert "&lt;b&gt;&amp;other.esp" in text


def test_equal_reports_give_equal_bytes(report: EvaluationReport, text: str) -> None:
    """Nothing depends on time, on chance or on what was drawn before."""
    assert render_page(report) == text


def test_settings_of_the_reader_change_nothing(report: EvaluationReport, text: str) -> None:
    """What else the process draws with matplotlib, and how, stays its own matter."""
    import matplotlib as mpl

    with mpl.rc_context({"font.size": 31, "axes.facecolor": "red"}):
        assert render_page(report) == text
        assert mpl.rcParams["font.size"] == 31


def test_a_report_of_almost_nothing_is_drawn_too() -> None:
    """One user, one row, no time: gaps are said, nothing breaks."""
    bare = report_of(users=1)
    bare = dataclasses.replace(
        bare,
        timing=dataclasses.replace(bare.timing, call_distribution=(), native_distribution=()),
        summary=dataclasses.replace(
            bare.summary,
            systems={
                name: dataclasses.replace(figures, by_source={})
                for name, figures in bare.summary.systems.items()
            },
        ),
    )
    page = Page(render_page(EvaluationReport((bare,))))

    assert bare.calibration.bins == ()
    assert "too few users" in page.within["text"]
    assert page.tags.count("svg") == 8


def test_broken_promises_are_said_in_red() -> None:
    """How many of each kind."""
    broken = report_of()
    first = broken.summary.systems["all_sources"]
    systems = {
        **broken.summary.systems,
        "all_sources": dataclasses.replace(first, violations=Violations(1, 2, 3, 4)),
    }
    summary = dataclasses.replace(broken.summary, systems=systems)
    text = render_page(EvaluationReport((dataclasses.replace(broken, summary=summary),)))

    assert 'class="bad"' in text
    assert "2 short lists, 3 duplicates, 4 times the query just submitted" in text


def test_both_files_are_written_into_a_new_folder(
    report: EvaluationReport, text: str, tmp_path: Path
) -> None:
    """The page, and the JSON that `--json` writes."""
    target = tmp_path / "deep" / "report"
    prepare_folder(target)
    write_report(report, target)
    page, figures = report_files(target)

    assert page.read_text(encoding="utf-8") == text
    assert json.loads(figures.read_text(encoding="utf-8")) == report.to_json()
    assert sorted(target.iterdir()) == [page, figures]


def test_a_folder_that_cannot_be_made_is_refused_before_the_work(tmp_path: Path) -> None:
    """A file stands in the way."""
    (tmp_path / "taken").write_text("mine")

    with pytest.raises(StorageError, match="name another"):
        prepare_folder(tmp_path / "taken")


def test_without_matplotlib_the_extra_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The message says what to install; no folder is made."""
    monkeypatch.setattr(importlib.util, "find_spec", lambda _name: None)

    with pytest.raises(ConfigError, match=r"espalier\[report\]"):
        prepare_folder(tmp_path / "report")
    assert not (tmp_path / "report").exists()
