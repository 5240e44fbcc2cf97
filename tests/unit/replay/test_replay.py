"""Simulated people: what they type, what they take, and what they tell."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import grpc
import pytest

from espalier.client import CallError
from espalier.querylog import PairRow
from espalier.replay import Behaviour, Person, Session, people_of_pairs, replay
from espalier.replay.running import Pace
from espalier.replay.typist import Box, Outcome, Shown, type_query

BOX = Box("u", "s", "i")


@dataclass
class FakeSidecar:
    """Suggests from a list whatever begins as typed, and remembers what it was told."""

    texts: Sequence[str] = ()
    variant: str = "A"
    told: list[tuple[Any, ...]] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def complete(self, prefix: str, box: Box, limit: int) -> Shown:
        """Suggest."""
        found = [text for text in self.texts if text.startswith(prefix)][:limit]
        with self.lock:
            self.told.append(("complete", prefix, box))
        return Shown(found, f"{box.intent}/{prefix}", {"ranking": self.variant})

    def submit(self, query: str, box: Box, shown: Shown | None = None, position: int = 0) -> None:
        """Remember."""
        with self.lock:
            self.told.append(("submit", query, box, shown and shown.set_id, position))

    def abandon(self, typed: str, box: Box, shown: Shown | None) -> None:
        """Remember."""
        with self.lock:
            self.told.append(("abandon", typed, box, shown and shown.set_id))


# ---- one episode ---------------------------------------------------------------------


def test_what_is_wanted_is_taken_when_it_is_shown() -> None:
    """After two letters it is second; two of four letters are saved."""
    sidecar = FakeSidecar(["tea", "tent", "tap"])
    episode = type_query(sidecar, "Tent", BOX, Behaviour(looks_at=1))
    again = type_query(sidecar, "Tent", BOX, Behaviour(looks_at=2))

    assert (episode.outcome, episode.keystrokes, episode.saved) == (Outcome.ACCEPTED, 3, 0.25)
    assert (again.outcome, again.keystrokes, again.saved) == (Outcome.ACCEPTED, 1, 0.75)
    assert sidecar.told[-1] == ("submit", "tent", BOX, "i/t", 2)
    assert again.variants == {"ranking": "A"}


def test_what_is_never_shown_is_typed_to_the_end() -> None:
    """A suggestion of what stands in the box is nothing to take."""
    sidecar = FakeSidecar(["tea"])
    episode = type_query(sidecar, "tea", BOX, Behaviour(attention=0.0))

    assert (episode.outcome, episode.keystrokes, episode.saved) == (Outcome.TYPED, 3, 0.0)
    assert [one[1] for one in sidecar.told] == ["t", "te", "tea", "tea"]
    assert sidecar.told[-1] == ("submit", "tea", BOX, "i/tea", 0)


def test_whoever_gives_up_says_so() -> None:
    """After some letter short of the last, with the list shown then."""
    sidecar = FakeSidecar()
    ends = Counter(
        type_query(sidecar, "tent", Box("u", "s", str(n)), Behaviour(gives_up=1.0)).keystrokes
        for n in range(200)
    )

    assert {1, 2, 3} <= ends.keys() <= {1, 2, 3, 4}
    abandoned = [one for one in sidecar.told if one[0] == "abandon"]
    assert all(one[3] == f"{one[2].intent}/{one[1]}" for one in abandoned)


def test_chance_belongs_to_the_episode() -> None:
    """The same one ends the same way, whatever happened before; another seed is another."""
    behaviour = Behaviour(attention=0.5)
    boxes = [Box("u", "s", str(n)) for n in range(50)]
    sidecar = FakeSidecar(["tent"])

    def outcomes(of: Behaviour, order: Sequence[Box]) -> dict[str, Outcome]:
        return {box.intent: type_query(sidecar, "tent", box, of).outcome for box in order}

    assert outcomes(behaviour, boxes) == outcomes(behaviour, boxes[::-1])
    assert outcomes(behaviour, boxes) != outcomes(Behaviour(attention=0.5, seed=2), boxes)


# ---- who types ------------------------------------------------------------------------


def test_rows_that_follow_each_other_are_a_session() -> None:
    """What came before its first row is known, most recent last; another thread begins anew."""
    rows = [
        PairRow("b", "", "c", "ann", ("a",)),
        PairRow("c", "", "d", "ann", ("b", "a")),
        PairRow("x", "", "y", "ann", ()),
        PairRow("", "", "z", "bob"),
        PairRow("y", "", "w", "ann", ("x",)),
        PairRow("p", "", "q"),
        PairRow("q", "", "r"),
    ]

    assert people_of_pairs(rows) == [
        Person(
            "ann",
            (Session(("a", "b"), ("c", "d")), Session(("x",), ("y",)), Session(("x", "y"), ("w",))),
        ),
        Person("bob", (Session((), ("z",)),)),
        Person("row 5", (Session(("p",), ("q",)),)),
        Person("row 6", (Session(("q",), ("r",)),)),
    ]


PEOPLE = [
    Person(f"p{n}", (Session(("known",), ("tent", "tea", f"lost {n}")), Session((), ("tent",))))
    for n in range(30)
]


def test_every_session_is_typed_in_order_with_what_was_known_before() -> None:
    """Ids of people, sessions and episodes are unlike those of any other seed."""
    sidecar = FakeSidecar(["tent", "tea"])
    report = replay(sidecar, PEOPLE, Behaviour(seed=7), concurrency=4)

    of_one = [one for one in sidecar.told if one[2].unit == "7/p3"]
    submitted = [(one[1], one[2].session, one[2].intent) for one in of_one if one[0] == "submit"]
    assert submitted == [
        ("known", "7/p3/0", ""),
        ("tent", "7/p3/0", "7/p3/0/0"),
        ("tea", "7/p3/0", "7/p3/0/1"),
        ("lost 3", "7/p3/0", "7/p3/0/2"),
        ("tent", "7/p3/1", "7/p3/1/0"),
    ]
    assert report.whole.episodes == 120
    assert report.outcomes == {Outcome.ACCEPTED: 90, Outcome.TYPED: 30}
    assert report.keystrokes == sum(one[0] == "complete" for one in sidecar.told)


def test_the_report_is_by_variant_and_by_person() -> None:
    """Three in four episodes end in an acceptance, after one letter."""
    report = replay(FakeSidecar(["tent", "tea"], "B"), PEOPLE * 4, Behaviour(), concurrency=3)

    group = report.experiments["ranking"]["B"]
    assert (group.people, group.episodes) == (30, 480)
    assert group.acceptance_rate.value == 0.75
    assert group.keystrokes_saved.value == pytest.approx((0.75 + 2 / 3 + 0 + 0.75) / 4)
    assert report.to_json()["experiments"]["ranking"]["B"] == group.to_json()
    assert "ranking: B" in report.table()


def test_equal_seeds_give_equal_replays() -> None:
    """However many people type at a time."""
    behaviour = Behaviour(attention=0.6, gives_up=0.3)
    found = [
        replay(
            FakeSidecar(["tent", "tea"]), PEOPLE, behaviour, concurrency=many, clock=lambda: 0.0
        ).to_json()
        for many in (1, 8)
    ]

    assert found[0] == found[1]


def test_some_of_the_people_are_the_same_ones_every_time() -> None:
    """Five of thirty, drawn by the seed."""

    def names(seed: int) -> set[str]:
        sidecar = FakeSidecar()
        replay(sidecar, PEOPLE, Behaviour(seed=seed), most=5, concurrency=2)
        return {one[2].unit.removeprefix(f"{seed}/") for one in sidecar.told}

    assert len(names(1)) == 5
    assert names(1) == names(1) != names(2)


class Refused(grpc.RpcError):
    """A call that came to nothing."""

    def code(self) -> grpc.StatusCode:
        """Return the status."""
        return grpc.StatusCode.UNAVAILABLE

    def details(self) -> str:
        """Return what went wrong."""
        return "nobody there"

    def trailing_metadata(self) -> Any:
        """Return nothing."""
        return ()


@dataclass
class BrokenSidecar(FakeSidecar):
    """Fails for one query."""

    broken: str = ""

    def complete(self, prefix: str, box: Box, limit: int) -> Shown:
        """Fail if the query is the broken one."""
        if prefix.startswith(self.broken):
            raise CallError(Refused())
        return super().complete(prefix, box, limit)


def test_a_failed_call_ends_its_episode_and_is_counted() -> None:
    """The others go on, and the episode is in no figure."""
    sidecar = BrokenSidecar(["tent", "tea"], broken="lost 1")
    report = replay(sidecar, PEOPLE, Behaviour(), concurrency=1)

    assert report.failed == {"UNAVAILABLE": 11}
    assert report.whole.episodes == 120 - 11
    assert "11 UNAVAILABLE" in report.table()


def test_where_nobody_answers_nothing_is_replayed() -> None:
    """The first call of all fails: it is said at once, as an error."""
    with pytest.raises(CallError, match="nobody there"):
        replay(BrokenSidecar(), PEOPLE, Behaviour(), concurrency=1)


def test_a_pace_spreads_keystrokes_evenly() -> None:
    """Ten a second: each waits for its turn, and lost time is not made up for."""
    now = [100.0]
    pauses: list[float] = []

    def sleep(seconds: float) -> None:
        pauses.append(round(seconds, 6))
        now[0] += seconds

    pace = Pace(10.0, clock=lambda: now[0], sleep=sleep)
    for _ in range(3):
        pace.wait()
    now[0] += 5.0
    for _ in range(2):
        pace.wait()

    assert pauses == [0.1, 0.1, 0.1]
