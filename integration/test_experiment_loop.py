"""An experiment from its configuration to its verdict, and on to tomorrow's index."""

from __future__ import annotations

import json
import signal
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import pytest
from scipy.stats import binom

from espalier.analysis import Question, totals_of
from espalier.analysis.moments import Moments, difference
from espalier.events.reading import event_files
from espalier.experiments.assignment import place_of
from espalier.querylog import write_demo_log
from integration.processes import Sidecar, espalier

EXPERIMENT: Final = "sources"
PEOPLE: Final = 260
CONFIG: Final = f"""
[experiments.{EXPERIMENT}.variants]
everything = {{ weight = 5000 }}
labels = {{ weight = 5000, sources = ["MODEL", "POPULAR"] }}
"""
SEEDS: Final = 200
ALPHA: Final = 0.05
NORMAL: Final = 1.96


@dataclass(frozen=True, slots=True)
class Loop:
    """What one replay left behind.

    Attributes:
        folder: Where everything is.
        events: Folder of the event files.
        replayed: What `espalier replay` printed.
        report: What `espalier experiments report` printed.
    """

    folder: Path
    events: Path
    replayed: Mapping[str, Any]
    report: Mapping[str, Any]


@pytest.fixture(scope="module")
def loop(demo_index: Path, tmp_path_factory: pytest.TempPathFactory) -> Loop:
    """Let strangers type into a service with an experiment, and report on it."""
    folder = tmp_path_factory.mktemp("loop")
    config, people, state = folder / "site.toml", folder / "people.tsv", folder / "state"
    config.write_text(CONFIG)
    write_sessions(people)
    with Sidecar(
        *("--index", demo_index, "--config", config, "--state-dir", state),
        *("--set", "events=block", "--set", "events_text=full"),
    ) as sidecar:
        replayed = espalier(
            *("replay", sidecar.address, "--sessions", people, "--seed", "3", "--json", "--quiet"),
            *("--accept", "0.9", "--give-up", "0.1"),
        )
        assert replayed.returncode == 0, replayed.stderr
        sidecar.send(signal.SIGTERM)
        assert sidecar.wait() == 0
    reported = espalier(
        *("experiments", "report", state / "events", "--experiment", EXPERIMENT),
        *("--config", config, "--report", folder / "report", "--json"),
    )
    assert reported.returncode == 0, reported.stderr
    return Loop(folder, state / "events", json.loads(replayed.stdout), json.loads(reported.stdout))


def write_sessions(path: Path) -> None:
    """Write one session each of people who are in no other log."""
    whole = path.with_name("whole.tsv")
    write_demo_log(whole, users=PEOPLE, seed=11)
    head, *lines = whole.read_text().splitlines()
    user, session = (head.split("\t").index(name) for name in ("user", "session"))
    first: dict[str, str] = {}
    kept = [
        line
        for line in lines
        if first.setdefault(line.split("\t")[user], line.split("\t")[session])
        == line.split("\t")[session]
    ]
    path.write_text("\n".join([head, *kept]) + "\n")


def test_two_variants_with_a_known_difference_are_told_apart(loop: Loop) -> None:
    """Without generated queries less is accepted: people type what nobody typed before."""
    (verdict,) = loop.report["verdicts"]

    assert (verdict["outcome"], verdict["variant"]) == ("worse", "labels")
    assert verdict["text"].startswith("variant labels worse by 0.")
    assert loop.report["control"] == "everything"
    assert not loop.report["ratio_test"]["mismatch"]


def test_the_report_finds_what_the_people_did(loop: Loop) -> None:
    """Event files say of both variants, to the last episode, what the replay saw itself."""
    replayed = loop.replayed["experiments"][EXPERIMENT]

    assert loop.replayed["failed"] == {}
    for name, variant in loop.report["variants"].items():
        seen = replayed[name]
        assert (variant["units"], variant["episodes"]) == (seen["people"], seen["episodes"])
        for metric in ("acceptance_rate", "keystrokes_saved"):
            found = variant["metrics"][metric]["value"]
            assert found == pytest.approx(seen[metric]["value"], abs=1e-5)
    left_out = {kind for kind, count in loop.report["events"].items() if count}
    assert left_out == {"lines"}
    lists = sum(variant["lists"] for variant in loop.report["variants"].values())
    assert lists == loop.replayed["keystrokes"]


def test_the_page_is_there(loop: Loop) -> None:
    """With its plots, and the same figures beside it."""
    assert (loop.folder / "report" / "report.html").read_text().count("<svg") == 3
    assert json.loads((loop.folder / "report" / "report.json").read_text()) == loop.report


def test_chance_alone_is_significant_no_more_often_than_promised(loop: Loop) -> None:
    """The recorded people, divided anew by 200 seeds of the real hash, and looked at daily.

    The same units with a difference that is only chance: at most as many false alarms as
    5 % of experiments have in 99 of 100 cases, though each is looked at ten times.
    """
    totals = totals_of(event_files([loop.events]), Question(EXPERIMENT))
    units = [str(key) for key in totals.keys.tolist()]
    assert len(units) == PEOPLE
    limit = binom.ppf(0.99, SEEDS, ALPHA)
    alarms = naive = 0
    for seed in range(SEEDS):
        second = np.array([place_of(f"seed {seed}", unit) >= 0.5 for unit in units])
        assert 0 < second.sum() < PEOPLE
        looks = [
            _look(totals.numerators[:until], totals.denominators[:until], second[:until])
            for until in np.linspace(PEOPLE // 10, PEOPLE, 10).astype(int)
        ]
        alarms += any(sure for sure, _ in looks)
        naive += any(usual for _, usual in looks)

    assert alarms <= limit
    # So this can fail: the interval for one look raises false alarms in far more.
    assert naive > limit


def _look(n: Any, d: Any, second: Any) -> tuple[bool, bool]:
    """Return whether the report, and the usual test, take a difference for real."""
    one, other = (Moments.of(n[side], d[side]) for side in (~second, second))
    if min(one.units, other.units) < 2:
        return False, False
    found = difference(other, one, ALPHA)
    if found.value is None:
        return False, False
    error = (one.variance + other.variance) ** 0.5
    sure = found.interval is not None and not found.interval.low <= 0 <= found.interval.high
    return sure, abs(found.value) > NORMAL * error


def test_what_people_submitted_is_learned_from(loop: Loop) -> None:
    """The event files are tomorrow's log."""
    out = loop.folder / "tomorrow.esp"
    trained = espalier(
        *("train", "--log", loop.events, "--out", out, "--set", "min_users=1"),
        *("--no-evaluate", "--json", "--quiet"),
    )
    assert trained.returncode == 0, trained.stderr
    shown = espalier("inspect", out, "--json")
    assert json.loads(shown.stdout)["labels"] > 100


# ---- other modes -----------------------------------------------------------------------


OTHER_MODES: Final = """
[experiments.drafted]
mode = "interleave"
namespace = "people"
namespace_to = 6000
[experiments.drafted.variants]
everything = {}
labels = { sources = ["MODEL", "POPULAR"] }

[experiments.unseen]
mode = "shadow"
namespace = "people"
namespace_from = 6000
[experiments.unseen.variants]
everything = {}
labels = { sources = ["MODEL", "POPULAR"] }
"""


@pytest.fixture(scope="module")
def other_modes(
    loop: Loop, demo_index: Path, tmp_path_factory: pytest.TempPathFactory
) -> Mapping[str, Mapping[str, Any]]:
    """Return reports on an interleaved list, and on a shadow, by name."""
    folder = tmp_path_factory.mktemp("modes")
    config, state = folder / "site.toml", folder / "state"
    config.write_text(OTHER_MODES)
    with Sidecar(
        *("--index", demo_index, "--config", config, "--state-dir", state),
        *("--set", "events=block", "--set", "events_text=none"),
    ) as sidecar:
        people = loop.folder / "people.tsv"
        replayed = espalier("replay", sidecar.address, "--sessions", people, "--rate", "2000")
        assert replayed.returncode == 0, replayed.stderr
        sidecar.send(signal.SIGTERM)
        assert sidecar.wait() == 0
    reports = {}
    for name in ("drafted", "unseen"):
        done = espalier(
            *("experiments", "report", state / "events", "--experiment", name),
            *("--config", config, "--json"),
        )
        assert done.returncode == 0, done.stderr
        reports[name] = json.loads(done.stdout)
    return reports


def test_people_prefer_the_better_half_of_an_interleaved_list(
    other_modes: Mapping[str, Mapping[str, Any]],
) -> None:
    """What generated queries gave is accepted far more often than what labels alone gave."""
    found = other_modes["drafted"]["interleaving"]

    assert found["variants"] == ["everything", "labels"]
    assert found["points"]["everything"] > 5 * found["points"]["labels"]
    assert found["preference"]["value"] < -0.6
    assert found["unplaced"] == 0
    assert other_modes["drafted"]["verdicts"][0]["variant"] == "labels"


def test_a_shadow_is_compared_with_what_was_shown(
    other_modes: Mapping[str, Mapping[str, Any]],
) -> None:
    """Without generated queries it has fewer suggestions, and not all that people accepted."""
    report = other_modes["unseen"]
    found = report["shadows"]["labels"]

    assert report["verdicts"][0]["outcome"] == "shadow"
    assert found["compared"] > 100
    assert found["failed"] == 0
    assert 0.1 < found["metrics"]["same_first"]["value"] < 0.9
    assert 0.0 < found["metrics"]["kept"]["value"] < 0.9
    assert found["metrics"]["no_suggestions"]["value"] > 0.1
