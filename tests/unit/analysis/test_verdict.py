"""What the figures come to, and how it is shown."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner

from espalier.analysis import ExperimentReport, Question, analyse
from espalier.analysis.page import render_page
from espalier.analysis.table import render
from espalier.analysis.verdict import Outcome
from espalier.cli import cli
from espalier.events import Action, Event
from tests.unit.analysis.stream import (
    DAY,
    EXPERIMENT,
    NOW,
    SECOND,
    START_NS,
    crowd,
    episode,
    exposure,
    write,
)


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, Path]:
    """Return event files of crowds that differ in what they do."""
    folder = tmp_path_factory.mktemp("events")
    rates = {
        "same": {"A": 0.4, "B": 0.4},
        "better": {"A": 0.3, "B": 0.6},
        "three": {"A": 0.4, "B": 0.1, "C": 0.4},
    }
    made = {name: write(folder / f"{name}.ndjson", crowd(900, of)) for name, of in rates.items()}
    made["few"] = write(folder / "few.ndjson", crowd(60, rates["better"]))
    made["uneven"] = write(
        folder / "uneven.ndjson", crowd(900, rates["better"], shares={"A": 0.4, "B": 0.6})
    )
    return made


def asked(path: Path, **question: object) -> ExperimentReport:
    """Return what a file says."""
    return analyse([path], Question(EXPERIMENT, **question), now=NOW, threads=1)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("name", "outcomes", "beginning"),
    [
        ("same", [Outcome.NOT_YET], "not yet: acceptance rate of variant B minus that of A"),
        ("better", [Outcome.BETTER], "variant B better by 0."),
        ("few", [Outcome.NOT_YET], "not yet: 28 units in the smaller variant"),
        ("uneven", [Outcome.RATIO_MISMATCH], "ratio mismatch: do not trust: A "),
        ("three", [Outcome.WORSE, Outcome.NOT_YET], "variant B worse by 0."),
    ],
)
def test_the_verdict_is_a_plain_sentence(
    files: Mapping[str, Path], name: str, outcomes: list[Outcome], beginning: str
) -> None:
    """One for each variant, unless nothing can be trusted."""
    report = asked(files[name])

    assert [one.outcome for one in report.verdicts] == outcomes
    assert report.verdicts[0].text.startswith(beginning)


def test_shares_that_were_meant_to_differ_are_no_mismatch(files: Mapping[str, Path]) -> None:
    """Two to three was asked for, and came."""
    report = asked(files["uneven"], weights={"A": 40.0, "B": 60.0})

    assert report.ratio_test is not None
    assert not report.ratio_test.mismatch
    assert report.verdicts[0].outcome is Outcome.BETTER


def test_the_control_can_be_named(files: Mapping[str, Path]) -> None:
    """Seen from the other side, the same difference is a loss."""
    there, back = asked(files["better"]), asked(files["better"], control="B")
    gain = there.differences["B"].metrics["acceptance_rate"].value
    loss = back.differences["A"].metrics["acceptance_rate"].value

    assert gain is not None
    assert loss == pytest.approx(-gain)
    assert back.verdicts[0].outcome is Outcome.WORSE


def test_less_latency_is_better(files: Mapping[str, Path]) -> None:
    """A metric may decide of which less is better."""
    report = asked(files["better"], metric="no_suggestion_rate")

    assert report.verdicts[0].text == "not yet: no suggestions has not been seen to vary"
    assert report.metric.better == -1


def test_several_variants_share_the_chance_to_be_wrong(files: Mapping[str, Path]) -> None:
    """The interval of one of two differences is wider than that of the only one."""
    half = asked(files["three"])
    whole = asked(files["three"], alpha=0.1)
    spans = [one.differences["B"].metrics["acceptance_rate"].interval for one in (half, whole)]

    assert spans[0] is not None
    assert spans[1] is not None
    assert spans[0].high - spans[0].low > spans[1].high - spans[1].low


def test_an_experiment_that_is_nowhere_has_no_data(files: Mapping[str, Path]) -> None:
    """It is said, and shown, and is no failure."""
    report = analyse([files["few"]], Question("elsewhere"), now=NOW, threads=1)

    assert report.verdicts[0].outcome is Outcome.NO_DATA
    assert "no data" in render_page(report)
    assert "no data" in render(report)
    json.dumps(report.to_json(), allow_nan=False)


def test_one_variant_alone_is_not_compared(tmp_path: Path) -> None:
    """There is nothing to compare with, and no plot of it."""
    events = [exposure("u", "A"), *episode("u", "A", "tent", shown=[["tent"]])]
    report = asked(write(tmp_path / "e.ndjson", events))

    assert report.verdicts[0].text == "not yet: everybody exposed was in variant A"
    assert "<svg" not in render_page(report)


@pytest.mark.parametrize("name", ["better", "three", "uneven", "few"])
def test_the_page_has_the_verdict_and_the_plots(files: Mapping[str, Path], name: str) -> None:
    """Three drawings with their tables, the same bytes every time, and no text of anybody."""
    report = asked(files[name])
    page = render_page(report)

    assert page.count("<svg") == 3
    assert all(part in page for part in ("course-section", "relative-section", "segments-section"))
    assert report.verdicts[0].text in page
    assert not re.search(r"\btent\b", page)
    assert page == render_page(report)


# ---- interleaving ----------------------------------------------------------------------------


def drafted(units: int, share: float, folder: Path) -> Path:
    """Write acceptances of interleaved lists, of which ``share`` go to what B gave."""
    events = []
    for number in range(units):
        unit = f"u{number}"
        place = 2 if number < share * units else 1
        events.append(exposure(unit, "interleaved"))
        events += episode(
            unit, "interleaved", "tent", shown=[["tea", "ten", "tenor"]], accepted=place,
            credit=["A", "B", None],
        )  # fmt: skip
        events += episode(
            unit, "interleaved", "tenor", shown=[["tea", "ten", "tenor"]], accepted=3,
            credit=["A", "B", None],
        )  # fmt: skip
    return write(folder / "drafted.ndjson", events)


@pytest.mark.parametrize(
    ("share", "outcome", "beginning"),
    [
        (0.8, Outcome.BETTER, "variant B better than A: 80.0% of the points"),
        (0.2, Outcome.WORSE, "variant B worse than A: 20.0% of the points"),
        (0.52, Outcome.NOT_YET, "not yet: variant B has 52.0% of the points"),
    ],
)
def test_acceptances_of_interleaved_lists_are_points(
    tmp_path: Path, share: float, outcome: Outcome, beginning: str
) -> None:
    """What both lists had is nobody's point."""
    report = asked(drafted(200, share, tmp_path))

    found = report.interleaving
    assert found is not None
    assert found.points == (round(200 * (1 - share)), round(200 * share))
    assert (found.lists, found.acceptances, found.nobody) == (400, 400, 200)
    assert found.preference.value == pytest.approx(2 * share - 1)
    assert report.verdicts[0].outcome is outcome
    assert report.verdicts[0].text.startswith(beginning)
    assert "interleaved: 400 lists" in render_page(report)
    assert json.loads(json.dumps(report.to_json()))["interleaving"]["variants"] == ["A", "B"]


def test_few_points_are_no_preference(tmp_path: Path) -> None:
    """However clear they look."""
    report = asked(drafted(20, 1.0, tmp_path), control="A")

    assert report.verdicts[0].text.startswith("not yet: 20 units accepted")


# ---- shadow ------------------------------------------------------------------------------------


def shadow(unit: str, of: str, **compared: object) -> Event:
    """Return a comparison beside the list called ``of``."""
    found = {"experiment": EXPERIMENT, "variant": "B", **compared}
    return Event(Action.SHADOW, START_NS, unit=unit, set_id=of, shadow=found)


def test_what_nobody_saw_is_compared(tmp_path: Path) -> None:
    """Three lists: one alike, one without what was accepted, one empty; and one that failed."""
    events = [
        *episode("u", "A", "tent", shown=[["tea", "tent"]], accepted=2, name="a"),
        *episode("v", "A", "tent", shown=[["tea", "tent"]], accepted=2, name="b"),
        shadow("u", "a/1", places=[2, 1, 0], live=2, latency_us=1_000),
        shadow("v", "b/1", places=[1], live=2, latency_us=3_000),
        shadow("w", "c/1", places=[], live=2, latency_us=2_000),
        shadow("w", "d/1", failed=True),
        replace(shadow("w", "e/1", places=[1], live=1), shadow={"experiment": "other"}),
    ]
    report = asked(write(tmp_path / "e.ndjson", [replace(one, experiments={}) for one in events]))

    found = report.shadows["B"]
    values = {name: one.value for name, one in found.metrics.items()}
    assert (found.units, found.compared, found.failed) == (3, 3, 1)
    assert found.latency == (2.0, 3.0, 3.0)
    assert values == pytest.approx(
        {
            "same_first": 1 / 3,
            "overlap": 3 / 7,
            "no_suggestions": 1 / 3,
            "kept": 1 / 2,
            "kept_first": 1 / 2,
        }
    )
    (said,) = report.verdicts
    assert said.outcome is Outcome.SHADOW
    assert said.text == (
        "variant B, in shadow: 3 lists compared, 33.3% begin with the same suggestion, "
        "50.0% of the suggestions people accepted are in its lists too"
    )
    assert "Variants in shadow" in render_page(report)
    assert "in shadow" in render(report)
    assert report.to_json()["shadows"]["B"]["failed"] == 1


# ---- the command ------------------------------------------------------------------------------


def test_the_command_prints_the_verdict_and_writes_a_report(
    files: Mapping[str, Path], tmp_path: Path
) -> None:
    """A folder with a page and its figures; text or JSON on the terminal."""
    command = ["experiments", "report", str(files["better"]), "--experiment", EXPERIMENT]
    folder = tmp_path / "report"

    text = CliRunner().invoke(cli, [*command, "--report", str(folder)])
    figures = CliRunner().invoke(cli, [*command, "--json", "--quiet", "--weight", "A=1",
                                       "--weight", "B=1"])  # fmt: skip

    assert text.exit_code == figures.exit_code == 0, text.output
    assert text.stdout.startswith("variant B better by 0.")
    assert json.loads(figures.stdout) == json.loads((folder / "report.json").read_text())
    assert (folder / "report.html").read_text().startswith("<!doctype html>")


def test_the_configuration_says_what_was_meant(files: Mapping[str, Path], tmp_path: Path) -> None:
    """Control and shares are those of the experiment; one that is not there is named."""
    config = tmp_path / "site.toml"
    variants = "B = { weight = 6000, beam = 40 }\nA = { weight = 4000 }\n"
    config.write_text(f"[experiments.{EXPERIMENT}.variants]\n{variants}")
    command = ["experiments", "report", str(files["uneven"]), "--config", str(config), "--json"]

    done = CliRunner().invoke(cli, [*command, "--experiment", EXPERIMENT, "--quiet"])
    lost = CliRunner().invoke(cli, [*command, "--experiment", "other"])

    report = json.loads(done.stdout)
    assert report["control"] == "B"
    assert report["ratio_test"]["expected"] == pytest.approx({"A": 0.4, "B": 0.6})
    assert report["verdicts"][0]["outcome"] == "worse"
    assert "those it has: ranking" in str(lost.exception)


def test_a_variant_that_nobody_has_met_yet_is_waited_for(files: Mapping[str, Path]) -> None:
    """On its first day an experiment may have had one visitor; the report is no failure."""
    for meant in ({"A": 1.0, "B": 1.0, "C": 0.001}, {"C": 0.001, "A": 1.0, "B": 1.0}):
        first = next(iter(meant))
        report = asked(files["better"], control=first, weights=meant)
        others = [name for name in meant if name != first]

        assert [one.variant for one in report.verdicts] == others
        waiting = [one.text for one in report.verdicts if "0 units in the smaller" in one.text]
        assert len(waiting) == (1 if first == "A" else 2)
        assert report.variants["C"].units == 0
        assert "C" in render_page(report)
        json.dumps(report.to_json(), allow_nan=False)


def test_a_crowd_led_by_one_is_told_apart_from_a_crowd(tmp_path: Path) -> None:
    """The sentence says what is wrong with it."""
    events = list(crowd(400, {"A": 0.3, "B": 0.6}))
    for number in range(300):
        start = START_NS + 6 * DAY + number * SECOND
        events += episode(
            "unit-0", "A", "tent", start_ns=start, intent=f"i{number}", shown=[["tent"]]
        )
    seen = {one.unit: (one.experiments or {})[EXPERIMENT] for one in events if one.experiments}
    assert seen["unit-0"] == "A"

    report = asked(write(tmp_path / "e.ndjson", events))

    assert report.verdicts[0].outcome is Outcome.NOT_YET
    assert report.verdicts[0].text.startswith("not yet: a few units did most of what was done")


@pytest.mark.parametrize("weight", ["A", "A=", "A=x", "A=-1", "=1", "A=inf", "A=nan"])
def test_a_weight_that_is_none_is_refused(files: Mapping[str, Path], weight: str) -> None:
    """The message says how one is written."""
    done = CliRunner().invoke(
        cli,
        ["experiments", "report", str(files["few"]), "--experiment", "x", "--weight", weight],
    )

    assert "VARIANT=N" in str(done.exception)
