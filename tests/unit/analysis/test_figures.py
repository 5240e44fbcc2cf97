"""Figures out of event files: what counts, where, and what does not."""

from __future__ import annotations

import random
import tempfile
from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from espalier.analysis import ExperimentReport, Question, analyse
from espalier.errors import ConfigError, LogError
from espalier.events import Action, Event, TextPolicy
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

LISTS = [["table"], ["tea", "tent"]]


def report_of(
    folder: Path,
    events: Iterable[Event],
    policy: TextPolicy = TextPolicy.FULL,
    **question: Any,
) -> ExperimentReport:
    """Return what a file of ``events`` says."""
    path = write(folder / "events.ndjson", events, policy)
    return analyse([path], Question(EXPERIMENT, **question), now=NOW, threads=1)


def figure(report: ExperimentReport, metric: str, variant: str = "A") -> float | None:
    """Return one figure."""
    found = report.variants[variant]
    return (found.metrics if metric in found.metrics else found.segments)[metric].value


# ---- what is measured ----------------------------------------------------------------


def test_an_episode_is_measured_by_what_became_of_it(tmp_path: Path) -> None:
    """Two keystrokes, the wanted query second in the second list, and accepted."""
    events = [exposure("u", "A"), *episode("u", "A", "tent", shown=LISTS, accepted=2, intent="i")]
    report = report_of(tmp_path, events)

    assert figure(report, "acceptance_rate") == 1.0
    assert figure(report, "mrr10") == pytest.approx((0 + 1 / 2) / 2)
    assert figure(report, "keystrokes_saved") == 0.5
    assert figure(report, "abandonment_rate") == 0.0
    assert figure(report, "latency_ms") == pytest.approx(0.15)
    assert figure(report, "prefix_1") == 0.0
    assert figure(report, "prefix_2") == 1.0
    assert figure(report, "prefix_3") is None
    assert figure(report, "context_none") == 1.0
    assert report.variants["A"].lists == 2
    assert report.variants["A"].latency == (0.1, 0.2, 0.2)


def test_lists_shown_after_the_query_was_typed_in_full_are_not_ranked(tmp_path: Path) -> None:
    """They have nothing left to offer, as in `espalier evaluate`."""
    shown = [["no"], ["no"], ["no"], ["tent"]]
    report = report_of(tmp_path, [exposure("u", "A"), *episode("u", "A", "tent", shown=shown)])

    assert figure(report, "mrr10") == 0.0
    assert figure(report, "keystrokes_saved") == 0.0


def test_an_empty_last_list_and_an_abandonment_are_counted(tmp_path: Path) -> None:
    """Of two episodes, one ends in nothing."""
    events = [
        exposure("u", "A"),
        *episode("u", "A", "tent", shown=LISTS),
        *episode("u", "A", "tex", shown=[["table"], []], submitted=False, start_ns=START_NS + DAY),
    ]
    report = report_of(tmp_path, events)

    assert figure(report, "no_suggestion_rate") == 0.5
    assert figure(report, "abandonment_rate") == 0.5
    assert figure(report, "mrr10") == pytest.approx(0.25)


def test_hashed_texts_are_ranked_and_have_no_length(tmp_path: Path) -> None:
    """Equal hashes are equal texts."""
    events = [exposure("u", "A"), *episode("u", "A", "Tent", shown=LISTS, accepted=2)]
    report = report_of(tmp_path, events, TextPolicy.HASH)

    assert figure(report, "mrr10") == pytest.approx(0.25)
    assert figure(report, "keystrokes_saved") is None


def test_without_texts_acceptance_is_still_known(tmp_path: Path) -> None:
    """Ranks and lengths are not."""
    events = [exposure("u", "A"), *episode("u", "A", "tent", shown=LISTS, accepted=2)]
    report = report_of(tmp_path, events, TextPolicy.NONE)

    assert figure(report, "acceptance_rate") == 1.0
    assert figure(report, "mrr10") is None


@settings(max_examples=10)
@given(st.integers(0, 2**32), st.booleans())
def test_figures_are_those_of_counting_by_hand(seed: int, named: bool) -> None:
    """Random people, episodes named or not, in any order and in two files, against plain loops.

    Ten examples say it: each starts a database.
    """
    chance = random.Random(seed)  # noqa: S311 - nobody must not guess them
    events: list[Event] = []
    accepted, saved, reciprocal, episodes = 0, 0.0, 0.0, 0
    for number in range(chance.randrange(1, 6)):
        unit = f"u{number}"
        events.append(exposure(unit, "A"))
        for visit in range(chance.randrange(4)):
            query = "abcdefgh"[: chance.randrange(3, 9)]
            lists = [
                chance.sample(["x", "y", query, "z"], chance.randrange(5))
                for _ in range(chance.randrange(1, len(query)))
            ]
            place = lists[-1].index(query) + 1 if query in lists[-1] else 0
            place *= chance.random() < 0.7
            events += episode(
                unit, "A", query, shown=lists, accepted=place, start_ns=START_NS + visit * DAY,
                intent=f"i{visit}" if named else "",
            )  # fmt: skip
            episodes += 1
            accepted += place > 0
            saved += (len(query) - len(lists)) / len(query) if place else 0.0
            ranks = [one.index(query) + 1 if query in one else 0 for one in lists]
            reciprocal += sum(1 / rank for rank in ranks if rank) / len(ranks)
    chance.shuffle(events)
    cut = chance.randrange(len(events) + 1)
    with tempfile.TemporaryDirectory() as name:
        files = [
            write(Path(name) / "one.ndjson", events[:cut]),
            write(Path(name) / "two.ndjson.gz", events[cut:]),
        ]
        report = analyse(files, Question(EXPERIMENT), now=NOW, threads=1)

    assert report.variants["A"].episodes == episodes
    if episodes:
        assert figure(report, "acceptance_rate") == pytest.approx(accepted / episodes)
        assert figure(report, "keystrokes_saved") == pytest.approx(saved / episodes, abs=1e-5)
        assert figure(report, "mrr10") == pytest.approx(reciprocal / episodes, abs=1e-5)


def test_the_last_day_of_the_course_is_the_whole(tmp_path: Path) -> None:
    """Running totals of people who come back on other days end where adding up at once does."""
    report = report_of(tmp_path, crowd(400, {"A": 0.3, "B": 0.5}))

    day, found = report.course[-1]
    whole = report.differences["B"].metrics["acceptance_rate"]
    assert len(report.course) == 5
    assert found["B"].value == pytest.approx(whole.value)
    assert found["B"].interval is not None
    assert whole.interval is not None
    assert found["B"].interval.low == pytest.approx(whole.interval.low)
    assert day > report.course[0][0]


# ---- where episodes end -----------------------------------------------------------------


def bare(action: Action, second: float, **fields: object) -> Event:
    """Return an event of unit ``u`` so many seconds after the start, in no named episode."""
    event = Event(action, START_NS + int(second * SECOND), unit="u")
    return replace(event, experiments={EXPERIMENT: "A"}, **fields)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("seconds", "episodes"),
    [([0, 1, 2], 1), ([0, 1_799, 3_598], 1), ([0, 1_801], 2), ([0, 10_000, 20_000], 3)],
)
def test_half_an_hour_of_silence_ends_an_episode(
    tmp_path: Path, seconds: Sequence[int], episodes: int
) -> None:
    """Where the client does not name episodes."""
    shown = [
        bare(Action.IMPRESSION, second, set_id=f"s{second}", suggestions=1) for second in seconds
    ]
    report = report_of(tmp_path, [exposure("u", "A"), *shown])

    assert report.variants["A"].episodes == episodes


def test_a_submission_ends_an_episode_and_belongs_to_it(tmp_path: Path) -> None:
    """What is typed next is another one, a second later too."""
    events = [
        bare(Action.IMPRESSION, 0, set_id="s1", suggestions=1),
        bare(Action.SUBMISSION, 1, text="tent"),
        bare(Action.IMPRESSION, 2, set_id="s2", suggestions=1),
        bare(Action.ABANDONMENT, 3),
    ]
    report = report_of(tmp_path, [exposure("u", "A"), *events])

    assert report.variants["A"].episodes == 2
    assert figure(report, "abandonment_rate") == 0.5


def test_a_submission_without_a_name_belongs_to_the_episode_it_follows(tmp_path: Path) -> None:
    """A client may name episodes when it completes, and not when it reports."""
    events = [
        bare(Action.IMPRESSION, 0, set_id="s1", suggestions=0, intent_id="i"),
        bare(Action.SUBMISSION, 1, text="tent"),
    ]
    report = report_of(tmp_path, [exposure("u", "A"), *events])

    assert report.variants["A"].episodes == 1
    assert figure(report, "abandonment_rate") == 0.0


def test_an_acceptance_needs_nothing_but_its_list(tmp_path: Path) -> None:
    """Whose it is and in which episode, the list knows."""
    accepted = Event(Action.ACCEPTANCE, START_NS + 5 * SECOND, set_id="u/tent/2", position=2)
    shown = [
        replace(one, set_id=f"u/tent/{number}") if one.action is Action.IMPRESSION else one
        for number, one in enumerate(episode("u", "A", "tent", shown=LISTS, intent="i"), 1)
    ]
    report = report_of(tmp_path, [accepted, exposure("u", "A"), *shown])

    assert figure(report, "acceptance_rate") == 1.0


def test_a_submission_without_a_list_belongs_to_the_unit_of_its_session(tmp_path: Path) -> None:
    """The experiment may be on sessions, and the client tell of users."""
    shown = [
        replace(one, session="s", unit="session s")
        for one in episode("u", "A", "tent", shown=LISTS, submitted=False, intent="i")
    ][:-1]
    submitted = bare(Action.SUBMISSION, 3, text="tent", session="s")
    report = report_of(tmp_path, [exposure("session s", "A"), *shown, submitted])

    assert figure(report, "mrr10") == pytest.approx(0.25)
    assert report.variants["A"].episodes == 1


def test_experiments_may_divide_people_by_different_things(tmp_path: Path) -> None:
    """An impression names its unit in every experiment where that is another."""
    shown = [
        replace(one, unit="user", units={EXPERIMENT: "session"}, session="s")
        for one in episode("u", "A", "tent", shown=LISTS, accepted=2, intent="i")
    ]
    answers = [replace(one, units=None) for one in shown[2:]]
    report = report_of(tmp_path, [exposure("session", "A"), *shown[:2], *answers])

    assert report.events["without_exposure"] == 0
    assert figure(report, "mrr10") == pytest.approx(0.25)
    assert figure(report, "acceptance_rate") == 1.0


# ---- what is left out, and counted ---------------------------------------------------------


def test_order_does_not_matter(tmp_path: Path) -> None:
    """The same events backwards are the same report."""
    events = list(crowd(150, {"A": 0.3, "B": 0.5}))
    named = [replace(event, event_id=f"e{number}") for number, event in enumerate(events)]

    forwards = report_of(tmp_path, named)
    assert report_of(tmp_path, reversed(named)) == forwards


def test_what_comes_twice_counts_once(tmp_path: Path) -> None:
    """Events sent again have their id; a list that a client reports too is the same list."""
    events = [exposure("u", "A"), *episode("u", "A", "tent", shown=LISTS, accepted=2)]
    named = [replace(event, event_id=f"e{number}") for number, event in enumerate(events)]
    again = [replace(one, event_id="") for one in named if one.action is Action.IMPRESSION]
    once, twice = report_of(tmp_path, named), report_of(tmp_path, named + named + again)

    assert twice.events["duplicate"] == len(named) + len(again)
    assert twice.variants == once.variants


def test_an_exposure_that_is_written_again_is_one(tmp_path: Path) -> None:
    """Every worker that starts anew may write one, with an id of its own."""
    events = [exposure("u", "A"), exposure("u", "A", START_NS + DAY)]
    report = report_of(tmp_path, events)

    assert report.exposures == 2
    assert report.variants["A"].units == 1


def test_a_unit_that_saw_two_variants_is_left_out(tmp_path: Path) -> None:
    """By exposure or by what was shown; its events say nothing about either variant."""
    events = [
        exposure("u", "A"),
        *episode("u", "A", "tent", shown=LISTS),
        exposure("torn", "A"),
        exposure("torn", "B", START_NS + DAY),
        *episode("torn", "B", "tent", shown=LISTS),
        exposure("drifted", "A"),
        *episode("drifted", "B", "tent", shown=LISTS),
    ]
    report = report_of(tmp_path, events)

    assert report.events["two_variants"] == 2
    assert set(report.variants) == {"A"}
    assert report.variants["A"].units == 1


def test_a_unit_without_an_exposure_is_left_out(tmp_path: Path) -> None:
    """The file with it may be gone: nobody knows since when it counts."""
    events = [exposure("u", "A"), *episode("other", "A", "tent", shown=LISTS)]
    report = report_of(tmp_path, events)

    assert report.events["without_exposure"] == 1
    assert report.variants["A"].episodes == 0


def test_what_a_unit_did_before_it_was_exposed_is_left_out(tmp_path: Path) -> None:
    """It was not the variant's doing."""
    events = [
        *episode("u", "A", "tent", shown=LISTS, start_ns=START_NS - DAY),
        exposure("u", "A"),
        *episode("u", "A", "tent", shown=LISTS),
    ]
    report = report_of(tmp_path, events)

    assert report.events["before_exposure"] == 1
    assert report.variants["A"].episodes == 1


def test_what_a_unit_does_after_the_end_is_left_out(tmp_path: Path) -> None:
    """An episode that begins then; one that goes on over it counts."""
    end = datetime.fromtimestamp(START_NS // SECOND, UTC) + timedelta(seconds=3)
    events = [exposure("u", "A")]
    for number in range(3):
        start = START_NS + 2 * number * SECOND
        events += episode("u", "A", "tent", start_ns=start, intent=str(number), shown=LISTS)

    open_ended = report_of(tmp_path, events)
    ended = report_of(tmp_path, events, until=end)

    assert [one.variants["A"].episodes for one in (open_ended, ended)] == [3, 2]
    assert [one.events["after_end"] for one in (open_ended, ended)] == [0, 1]


def test_answers_to_lists_that_are_nowhere_or_long_gone_are_counted(tmp_path: Path) -> None:
    """An unknown list is no acceptance; a day later it is none either; the future is no time."""
    known = [exposure("u", "A"), *episode("u", "A", "tent", shown=LISTS, submitted=False, name="n")]
    accepted = replace(known[-1], action=Action.ACCEPTANCE, text="tent", position=1)
    events = [
        *known,
        replace(accepted, set_id="nowhere"),
        replace(accepted, set_id="n/2", time_ns=START_NS + 2 * DAY),
        replace(accepted, set_id="n/2", time_ns=START_NS + 365 * DAY),
        replace(accepted, action=Action.SUBMISSION, unit="", set_id=""),
    ]
    report = report_of(tmp_path, events)

    found = {kind: report.events[kind] for kind in ("unknown_list", "late", "future")}
    assert found == {"unknown_list": 1, "late": 1, "future": 1}
    assert report.events["without_unit"] == 1
    assert figure(report, "acceptance_rate") == 0.0


def test_a_clock_that_is_behind_is_counted_and_believed(tmp_path: Path) -> None:
    """The answer bears a time before its list: browsers have clocks of their own."""
    events = list(episode("u", "A", "tent", shown=LISTS, accepted=2, name="n"))
    accepted = replace(events[2], time_ns=START_NS - SECOND)
    report = report_of(tmp_path, [exposure("u", "A"), *events[:2], accepted, *events[3:]])

    assert report.events["out_of_order"] == 1
    assert report.variants["A"].episodes == 1
    assert figure(report, "acceptance_rate") == 1.0


def test_lines_that_are_no_events_are_counted_by_kind(tmp_path: Path) -> None:
    """Whatever stands in a file, the rest of it is read."""
    path = write(tmp_path / "e.ndjson", [exposure("u", "A")])
    ending = b'{"application":"type-ahead","action_name":"impr'
    path.write_bytes(
        path.read_bytes()
        + b'garbage\n[1]\n{"query":"tent"}\n"text"\n\xff\xfe\n'
        + b'{"action_name":"click","timestamp":"2026-01-31T00:00:00Z"}\n'
        + b'{"action_name":"impression","timestamp":"yesterday"}\n'
        + b'{"action_name":"impression","timestamp":"2026-01-31T00:00:00Z","event_attributes":7}\n'
        + ending
    )
    report = analyse([path], Question(EXPERIMENT), now=NOW, threads=1)

    found = {kind: count for kind, count in report.events.items() if count}
    assert found == {
        "lines": 10, "unreadable": 5, "truncated": 1, "foreign": 1, "without_time": 1,
    }  # fmt: skip
    assert report.variants["A"].units == 1


def test_a_complete_last_line_without_a_line_end_is_an_event(tmp_path: Path) -> None:
    """Only what cannot be read was cut short."""
    path = write(tmp_path / "e.ndjson", [exposure("u", "A")])
    path.write_bytes(path.read_bytes().rstrip(b"\n"))
    report = analyse([path], Question(EXPERIMENT), now=NOW, threads=1)

    assert report.events["truncated"] == report.events["unreadable"] == 0
    assert report.variants["A"].units == 1


def test_half_a_compressed_file_is_refused(tmp_path: Path) -> None:
    """It must not pass for a whole one."""
    path = write(tmp_path / "e.ndjson.gz", crowd(50, {"A": 0.5}))
    path.write_bytes(path.read_bytes()[:-100])

    with pytest.raises(LogError, match="damaged or cut short"):
        analyse([path], Question(EXPERIMENT), now=NOW, threads=1)


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    """The message says which; no file at all is no experiment without data."""
    with pytest.raises(LogError, match="no event files"):
        analyse([], Question(EXPERIMENT), now=NOW, threads=1)
    with pytest.raises(LogError, match=r"none\.ndjson"):
        analyse([tmp_path / "none.ndjson"], Question(EXPERIMENT), now=NOW, threads=1)


def test_what_a_deleted_session_did_is_forgotten(tmp_path: Path) -> None:
    """Up to its mark, in whatever file that stands; what comes later is of another life."""
    days = [
        [
            replace(one, session="s")
            for one in episode("u", "A", "tent", shown=LISTS, start_ns=START_NS + day * DAY)
        ]
        for day in range(2)
    ]
    mark = Event(Action.FORGOTTEN, days[0][-1].time_ns, session="s")
    report = report_of(tmp_path, [mark, exposure("u", "A"), *days[0], *days[1]])

    assert report.events["forgotten"] == len(days[0])
    assert report.variants["A"].episodes == 1


# ---- what is asked -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("question", "message"),
    [
        ({"metric": "clicks"}, "acceptance_rate"),
        ({"alpha": 0.0}, "alpha"),
        ({"control": "C"}, "only to A, B"),
        ({"weights": {"A": 1.0}}, "B, which has no weight"),
        ({"weights": {"A": 1.0, "B": -1.0}}, "above 0"),
        ({"tuned_for": 3}, "100 units"),
    ],
)
def test_a_question_that_cannot_be_answered_is_refused(
    tmp_path: Path, question: dict[str, Any], message: str
) -> None:
    """The message says what can be asked."""
    with pytest.raises(ConfigError, match=message):
        report_of(tmp_path, [exposure("u", "A"), exposure("v", "B")], **question)
