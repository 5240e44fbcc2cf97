"""All systems, all rows: ranks, pools, lengths and broken promises."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from espalier.evaluate.contract import NONE, Violations
from espalier.evaluate.outcomes import Outcomes, ask_all
from espalier.evaluate.questions import Question, Questions
from espalier.evaluate.systems import SOURCES, Answer, Completer, System, select
from tests.unit.evaluate.twin import TwinIndex

USERS = {f"a{i:02}": 30 - i for i in range(20)} | {"b red": 1, "b blue": 5}


class Scripted:
    """A system that says what it was told to."""

    name = "scripted"
    promises_k = True

    def __init__(self, texts: Sequence[str], **more: object) -> None:
        self._answer = Answer(list(texts), **more)  # type: ignore[arg-type]

    def answer(self, index: Completer, question: Question, k: int) -> Answer:
        """Return the script."""
        del index, question, k
        return self._answer


def ask(systems: Sequence[System], *asked: Question) -> Outcomes:
    """Ask on the twin with k = 10, and see that every row was reported."""
    advanced: list[int] = []
    outcomes = ask_all(
        TwinIndex(USERS),
        Questions(asked, 0, {}, len(asked)),
        systems,
        k=10,
        advance=advanced.append,
    )
    assert sum(advanced) == len(asked)
    return outcomes


def test_ranks_pools_and_lengths_by_hand() -> None:
    """Of 20 labels under "a": place 3 found; place 15 in the pool only; unseen nowhere."""
    outcomes = ask(
        select(),
        Question("a", (), "a02", 0),
        Question("a", (), "a14", 1),
        Question("a", (), "a never typed", 2),
    )
    baseline, everything = (outcomes.by_system[name] for name in ("most_frequent", "all_sources"))

    assert outcomes.seen.tolist() == [True, True, False]
    assert baseline.ranks.tolist() == [3, 0, 0]
    assert baseline.in_pool.tolist() == [True, False, False]
    assert everything.ranks.tolist() == [3, 0, 0]
    assert everything.in_pool.tolist() == [True, True, False]
    assert everything.returned.tolist() == [10, 10, 10]
    assert all(outcome.violations == NONE for outcome in outcomes.by_system.values())


def test_context_changes_the_rank_of_context_systems_only() -> None:
    """The previous query lifts "b red" over the more frequent "b blue"."""
    outcomes = ask(select(), Question("b", ("red",), "b red", 0))

    assert outcomes.by_system["labels_only"].ranks.tolist() == [1]
    assert outcomes.by_system["most_frequent"].ranks.tolist() == [2]


def test_fewer_matches_than_k_break_nothing() -> None:
    """Two labels start with "b", two come back."""
    outcomes = ask(select(["model_constrained"]), Question("b", (), "b blue", 0))

    assert {o.returned.tolist()[0] for o in outcomes.by_system.values()} == {2}
    assert all(outcome.violations == NONE for outcome in outcomes.by_system.values())


def test_a_short_list_is_found_out_by_what_others_returned() -> None:
    """A system that claims an empty range is caught by the baseline's ten."""
    outcomes = ask([*select(), Scripted(["a00"], range_labels=0)], Question("a", (), "a00", 0))

    assert outcomes.by_system["scripted"].violations == Violations(k_of_k=1)


def test_strangers_and_duplicates_are_counted_over_rows() -> None:
    """One of each on both rows."""
    broken = Scripted(["a00", "zzz", "a00"])
    outcomes = ask([*select(), broken], Question("b", (), "b red", 0), Question("a", (), "a01", 1))

    assert outcomes.by_system["scripted"].violations == Violations(prefix=4, k_of_k=1, duplicates=2)


def test_a_pool_without_the_label_is_no_recall() -> None:
    """Ids of other labels in the pool do not count."""
    answer = Scripted([], pool=np.array([1, 2], dtype=np.uint32))
    outcomes = ask([answer], Question("a", (), "a00", 0), Question("a", (), "a01", 0))

    assert outcomes.by_system["scripted"].in_pool.tolist() == [False, True]


def test_a_generated_candidate_is_in_the_pool_by_its_text() -> None:
    """It is no label; below the cut it is still recalled."""
    answer = Scripted([], pool=np.array([], dtype=np.uint32), pool_texts=("a new", "a newer"))
    outcomes = ask([answer], Question("a", (), "a new", 0), Question("a", (), "a newest", 0))

    assert outcomes.by_system["scripted"].in_pool.tolist() == [True, False]


def test_the_source_of_a_hit_and_the_best_score_are_kept() -> None:
    """Second place is of TAIL; the row without a hit has no source; the baseline tells none."""
    answer = Scripted(["a00", "a01"], sources=["MODEL", "TAIL"], top_score=2.5)
    outcomes = ask([*select(), answer], Question("a", (), "a01", 0), Question("a", (), "b red", 0))
    scripted, baseline = (outcomes.by_system[name] for name in ("scripted", "most_frequent"))

    assert [SOURCES[i] if i >= 0 else None for i in scripted.hit_sources] == ["TAIL", None]
    assert scripted.top_scores.tolist() == [2.5, 2.5]
    assert scripted.names_sources
    assert baseline.hit_sources.tolist() == [-1, -1]
    assert np.isnan(baseline.top_scores).all()
    assert not baseline.names_sources


def test_where_hygiene_shortens_lists_k_of_k_holds_for_what_is_left() -> None:
    """Ten labels are five with their plurals, and one of them was just submitted."""
    users = {f"{c}{ending}": 3 for c in ("ab", "ac", "ad", "ae", "af") for ending in ("", "s")}
    index = TwinIndex(users, hygiene=True)
    asked = (Question("a", ("ab",), "ac", 0),)
    outcomes = ask_all(
        index, Questions(asked, 0, {}, 1), select(), k=10, advance=lambda _: None
    ).by_system["all_sources"]

    assert outcomes.returned.tolist() == [4]
    assert outcomes.violations == NONE


def test_an_index_that_offers_the_submitted_query_is_found_out() -> None:
    """Hygiene claimed and not kept is counted on every row."""
    again = Scripted(["a00"], hygiene=True)
    again.promises_k = False
    outcomes = ask([again], Question("a", ("a00",), "a01", 0), Question("a", (), "a01", 0))

    assert outcomes.by_system["scripted"].violations == Violations(repeats=1)


def test_many_rows_are_all_asked() -> None:
    """Progress counts every row, also past its step."""
    outcomes = ask(select(), *(Question("a", (), "a00", i) for i in range(600)))

    assert outcomes.by_system["all_sources"].ranks.tolist() == [1] * 600
