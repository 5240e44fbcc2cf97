"""Answers obey an overlay, whatever an index learnt."""

from __future__ import annotations

import itertools
import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import espalier
from espalier import console
from espalier.cli import cli
from espalier.index import Index
from espalier.native import Source
from espalier.overlay import (
    Block,
    BlockPattern,
    BlockWord,
    Boost,
    BoostWord,
    Overlay,
    Pin,
    Rule,
)
from tests.golden.make import FOLDER
from tests.reference.variants import same

SHOP = FOLDER / "shop.esp"


@pytest.fixture(scope="module")
def shop() -> Iterator[Index]:
    """Return the golden index of a shop."""
    with espalier.open(SHOP) as index:
        yield index


@pytest.fixture(scope="module")
def words() -> Iterator[Index]:
    """Return the golden index that puts queries together."""
    with espalier.open(FOLDER / "words.esp") as index:
        yield index


def texts(index: Index, prefix: str, overlay: Overlay | None = None, k: int = 10) -> list[str]:
    """Return the texts of an answer."""
    return [one.text for one in index.complete(prefix, k=k, overlay=overlay)]


def test_an_overlay_without_rules_changes_no_answer(shop: Index) -> None:
    """As if none was given."""
    assert shop.complete("n", k=20, overlay=Overlay()) == shop.complete("n", k=20)


def test_a_blocked_query_is_not_suggested_and_another_takes_its_place(shop: Index) -> None:
    """With the next query already; the one without the overlay has it again."""
    best = texts(shop, "n", k=3)
    overlay = Overlay([Block(best[0])])

    found = texts(shop, "n", overlay, k=3)
    assert best[0] not in found
    assert found[:2] == best[1:]
    assert len(found) == 3
    assert texts(shop, "n", k=3) == best


def test_a_blocked_word_is_in_no_suggestion(shop: Index) -> None:
    """Wherever it stands."""
    everything = texts(shop, "n", k=100)
    word = everything[0].split()[-1]
    found = texts(shop, "n", Overlay([BlockWord(word)]), k=100)

    assert found
    assert set(found) == {text for text in everything if word not in text.split()}


def test_a_pinned_query_stands_where_it_was_pinned(shop: Index) -> None:
    """In the index or not, shown as it was written, and only once."""
    ordinary = texts(shop, "n", k=5)
    overlay = Overlay([Pin("Novelty Hats", position=2), Pin(ordinary[4], position=1)])
    found = shop.complete("n", k=5, overlay=overlay)

    assert [one.text for one in found] == [
        ordinary[4], "novelty hats", ordinary[0], ordinary[1], ordinary[2],
    ]  # fmt: skip
    assert found[1].display_text == "Novelty Hats"
    assert found[1].matched_code_points == 1
    assert "novelty hats" in texts(shop, "nov", overlay)
    assert "novelty hats" not in texts(shop, "novx", overlay)
    assert "novelty hats" not in texts(shop, "", overlay)


def test_a_pin_may_hold_for_the_empty_prefix(shop: Index) -> None:
    """Where there is nothing typed it is still asked for."""
    overlay = Overlay([Pin("Summer sale", min_prefix=0)])

    assert texts(shop, "", overlay)[0] == "summer sale"


def test_a_pin_far_down_comes_last_where_the_answer_is_shorter(shop: Index) -> None:
    """A place behind the last suggestion is the place after it; behind k it is none."""
    overlay = Overlay([Pin("nzz", position=50, min_prefix=0)])

    assert texts(shop, "nzz", overlay) == ["nzz"]
    assert "nzz" not in texts(shop, "n", overlay, k=5)


def test_boosts_move_suggestions_either_way(shop: Index) -> None:
    """By query and by word."""
    first, *_, last = texts(shop, "n", k=5)

    assert texts(shop, "n", Overlay([Boost(last, 1000)]))[0] == last
    everything = texts(shop, "n", Overlay([Boost(first, -1000)]), k=100)
    assert everything[-1] == first
    word = first.split()[0]
    found = texts(shop, "n", Overlay([BoostWord(word, -1000)]), k=100)
    have = [word in text.split() for text in found]
    assert have == sorted(have)


@pytest.mark.parametrize("resolved", [True, False], ids=["resolved", "not yet"])
def test_no_answer_matches_a_pattern(shop: Index, resolved: bool) -> None:
    """Whether or not the labels were matched beforehand."""
    overlay = Overlay([BlockPattern("shoes?$")])
    if resolved:
        overlay = overlay.resolved(shop)
    found = texts(shop, "n", overlay, k=50)

    assert any(text.endswith("shoes") for text in texts(shop, "n", k=50))
    assert found
    assert not any(text.endswith(("shoe", "shoes")) for text in found)


PATTERNS = st.sampled_from(
    ["shoe", "s$", "^n", "^ni.*[aeg]$", "[a-f]$", "bag|lamp", "r.d", "0", "x"]
)
PREFIXES = st.sampled_from(["", "n", "ni", "nike ", "adidas ", "r", "b", "gr", "s", "赤"])
SESSIONS = st.lists(st.sampled_from(["nike shoes", "red bag", "new hat", "shoes x"]), max_size=3)
EVERYWHERE = Source.MODEL | Source.POPULAR | Source.TAIL | Source.CORRECTED


def lifted(index: Index, prefix: str, session: list[str]) -> list[Boost]:
    """Return rules that put what is generated on top of everything else."""
    found = index.complete(prefix, session, k=100, sources=EVERYWHERE, keep_variants=True)
    return [Boost(one.text, 1000) for one in found if one.label is None]


@settings(max_examples=60)
@given(
    st.lists(PATTERNS, min_size=1, max_size=2),
    st.tuples(PREFIXES, SESSIONS),
    st.sampled_from([1, 3, 10, 100]),
    st.booleans(),
)
def test_patterns_leave_an_answer_as_long_as_labels_allow(
    words: Index, patterns: list[str], asked: tuple[str, list[str]], k: int, keep: bool
) -> None:
    """What falls out of an answer is replaced while there is a label, and nothing matches."""
    prefix, session = asked
    rules: list[Rule] = [*map(BlockPattern, patterns), *lifted(words, prefix, session)]
    found = words.complete(
        prefix,
        session,
        k=k,
        sources=EVERYWHERE,
        overlay=Overlay(rules).resolved(words),
        keep_variants=keep,
    )
    shown = [one.text for one in found]
    fine = [text for text in words.labels() if not any(re.search(one, text) for one in patterns)]
    eligible = [text for text in fine if text.startswith(prefix) and text not in session[:1]]
    different: list[str] = []
    for text in eligible:
        if keep or not any(same(text, other) for other in different):
            different.append(text)

    assert not [text for text in shown if any(re.search(one, text) for one in patterns)]
    assert len(shown) == len(set(shown))
    assert len(shown) >= min(k, len(different))
    if not keep:
        assert not any(same(one, other) for one, other in itertools.combinations(shown, 2))
    scores = [one.score for one in found if one.source != "CORRECTED"]
    assert scores == sorted(scores, reverse=True)


def test_a_pin_keeps_its_place_when_a_pattern_takes_what_stood_before_it(words: Index) -> None:
    """Its place in the list, not the one among what was found at first."""
    boosts = lifted(words, "n", [])[:2]
    pinned = Overlay([*boosts, Pin("nzz", position=3)])
    blocked = pinned.with_(*(BlockPattern(f"^{one.text}$") for one in boosts)).resolved(words)
    before = words.complete("n", k=5, sources=EVERYWHERE, overlay=pinned)
    found = words.complete("n", k=5, sources=EVERYWHERE, overlay=blocked)

    assert {one.text for one in before[:2]} == {one.text for one in boosts}
    assert [one.pinned for one in found] == [False, False, True, False, False]
    assert {one.text for one in boosts}.isdisjoint(one.text for one in found)


def test_what_fills_an_answer_is_explained(words: Index) -> None:
    """The features belong to the suggestions, whichever question found them."""
    overlay = Overlay([BlockPattern("2024$"), *lifted(words, "n", [])]).resolved(words)
    explained = words.explain("n", k=10, sources=EVERYWHERE, overlay=overlay)
    found = words.complete("n", k=10, sources=EVERYWHERE, overlay=overlay)

    assert [one.suggestion for one in explained] == found
    assert all(one.features for one in explained)


def test_the_command_line_takes_an_overlay_file(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], shop: Index
) -> None:
    """And names it when it is none."""
    path = tmp_path / "rules.json"
    best = texts(shop, "n")[0]
    Overlay([Block(best)]).save(path)

    assert console.run(cli, ["complete", str(SHOP), "n", "--overlay", str(path)]) == 0
    shown = capsys.readouterr().out.lower()
    assert shown
    assert f" {best} " not in shown
    path.write_text("{}", encoding="utf-8")
    assert console.run(cli, ["complete", str(SHOP), "n", "--overlay", str(path)]) == 2
    assert str(path) in capsys.readouterr().err


def test_the_command_line_fills_up_what_a_pattern_took(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], words: Index
) -> None:
    """Labels that match are known before the question, so others come instead of them."""
    path = tmp_path / "rules.json"
    Overlay([BlockPattern("^ni.*s$"), *lifted(words, "n", [])]).save(path)
    arguments = ["complete", str(words.path), "n", "-k", "5", "--json", "--overlay", str(path)]

    assert console.run(cli, arguments) == 0
    found = [one["text"] for one in json.loads(capsys.readouterr().out)["suggestions"]]
    assert len(found) == 5
    assert not any(re.search("^ni.*s$", text) for text in found)
