"""The index as a relevance engineer uses it."""

from __future__ import annotations

import math
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import espalier
from espalier.errors import (
    IndexCorruptError,
    InputError,
    InvalidTextError,
    LimitError,
    UnsupportedError,
)
from espalier.index import Index, encode_previous
from espalier.native import FEATURE_GROUPS, Source
from espalier.text import normalise_prefix
from tests.golden.make import FOLDER

ANY = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)


@pytest.fixture(scope="module")
def shop() -> Iterator[Index]:
    """Return the golden index of a shop."""
    with espalier.open(FOLDER / "shop.esp") as index:
        yield index


@pytest.fixture(scope="module")
def scripts() -> Iterator[Index]:
    """Return the golden index of many scripts."""
    with espalier.open(FOLDER / "scripts.esp") as index:
        yield index


def _texts(found: list[espalier.Suggestion]) -> list[str]:
    return [one.text for one in found]


def test_suggestions_tell_all_about_themselves(shop: Index) -> None:
    """Text, display, score, source, how much the prefix accounts for, both scores."""
    best = shop.complete("Nik", k=3)[0]

    assert best.text.startswith("nik")
    assert best.display_text.casefold() == best.text
    assert best.source in {"MODEL", "POPULAR"}
    assert (best.matched_code_points, best.matched_utf16) == (3, 3)
    assert best.model <= 0
    assert 0 <= best.popularity <= 1


def test_matched_lengths_count_in_the_returned_text(scripts: Index) -> None:
    """A shoe is one code point and two units of UTF-16."""
    found = scripts.complete("👟 N")

    assert _texts(found) == ["👟 nike"]
    assert (found[0].matched_code_points, found[0].matched_utf16) == (3, 4)


def test_the_session_changes_the_order(shop: Index) -> None:
    """A previous query is context: other scores, the same labels to choose from."""
    without = shop.complete("n", k=24)
    with_context = shop.complete("n", ["running shoes"], k=24)

    assert sorted(_texts(without)) == sorted(_texts(with_context))
    assert [one.score for one in without] != [one.score for one in with_context]


def test_a_typed_space_narrows_the_prefix(shop: Index) -> None:
    """With a trailing space only longer queries come."""
    assert "nike" in _texts(shop.complete("nike", k=50))
    longer = [one for one in shop.complete("nike ", k=50) if one.source != "CORRECTED"]
    assert longer
    assert all(one.text.startswith("nike ") for one in longer)


@pytest.mark.parametrize("k", [0, -1, 101])
def test_k_has_limits(shop: Index, k: int) -> None:
    """One to a hundred suggestions."""
    with pytest.raises(LimitError, match="1 to 100"):
        shop.complete("n", k=k)


@pytest.mark.parametrize("number", [-1, 5000, 2**40])
def test_beam_and_pool_have_limits(shop: Index, number: int) -> None:
    """Above the cap is a typed error, and so is below zero."""
    with pytest.raises(LimitError, match=f"{number}"):
        shop.complete("n", beam=number)
    with pytest.raises(LimitError, match=f"{number}"):
        shop.complete("n", pool=number)
    with pytest.raises(LimitError, match=f"{number}"):
        shop.popular("n", number)


@pytest.mark.parametrize("number", [-1, 64, 2**32, 2**70])
def test_labels_that_are_not_there_are_refused(shop: Index, number: int) -> None:
    """Asked for by number, below zero or above the last."""
    for call in (shop.label, shop.users):
        with pytest.raises(InputError, match=f"label {number} of 64"):
            call(number)


def test_damaged_settings_are_reported(tmp_path: Path) -> None:
    """What training recorded is read only on demand; damage there is typed too."""
    data = (FOLDER / "shop.esp").read_bytes()
    for bad in (b'{"golden"', b'\xff"golden"'):
        path = tmp_path / "x.esp"
        path.write_bytes(data.replace(b'{"golden": ', bad.ljust(11)))
        with (
            espalier.open(path, verify=False) as index,
            pytest.raises(IndexCorruptError, match="META is not JSON"),
        ):
            _ = index.info


def test_an_unknown_matcher_is_refused(shop: Index) -> None:
    """The message names those there are."""
    with pytest.raises(InputError, match="'constrained' or 'unconstrained'"):
        shop.complete("n", matcher="other")  # type: ignore[arg-type]


def test_a_prefix_has_a_limit(shop: Index) -> None:
    """1,024 bytes of UTF-8 after normalisation; the text is not in the message."""
    assert shop.complete("x" * 1024) == []
    assert shop.complete("é" * 512) == []
    with pytest.raises(LimitError, match="a prefix of 1026 bytes") as caught:
        shop.complete("é" * 513)
    assert "é" not in str(caught.value)


def test_lone_surrogates_are_refused(shop: Index) -> None:
    """In the prefix, in previous queries, wherever text comes in."""
    for call in (
        lambda: shop.complete("a\ud800"),
        lambda: shop.complete("a", ["\udfff"]),
        lambda: shop.popular("\ud800"),
        lambda: shop.find("\ud800"),
    ):
        with pytest.raises(InvalidTextError):
            call()


def test_one_string_is_no_sequence_of_previous_queries(shop: Index) -> None:
    """A string is a sequence of letters to Python; here it is a slip with a quiet result."""
    with pytest.raises(InputError, match="sequence of queries"):
        shop.complete("n", "running shoes")


@pytest.mark.parametrize("prefix", [None, b"n", 7])
def test_a_prefix_is_a_string(shop: Index, prefix: object) -> None:
    """Anything else is named in the error."""
    with pytest.raises(InvalidTextError, match=type(prefix).__name__):
        shop.complete(prefix)  # type: ignore[arg-type] # the point of the test


def test_previous_queries_are_cut_not_refused(shop: Index) -> None:
    """The newest 32, of each 512 code points; empty ones do not count."""
    assert len(encode_previous(["x"] * 40)) == 32
    assert encode_previous(["x" * 600]) == [b"x" * 512]
    assert encode_previous(["", "  ", "\x00", "a"]) == [b"a"]
    # One code point of NFKC can become eighteen.
    assert len(encode_previous(["\ufdfa" * 600])[0]) <= 4 * 512
    shop.complete("n", ["\ufdfa" * 600] * 40)
    shop.complete("n", ["👟" * 600] * 40)


@given(prefix=ANY, previous=st.lists(ANY, max_size=4), k=st.integers(1, 100))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_text_has_an_answer(
    shop: Index, scripts: Index, prefix: str, previous: list[str], k: int
) -> None:
    """Whatever is typed: k of k, under the prefix, no two alike."""
    for index in (shop, scripts):
        found = index.complete(prefix, previous, k=k)
        typed = normalise_prefix(prefix)
        matching = [
            index.label(i) for i in range(index.info.labels) if index.label(i).startswith(typed)
        ]
        assert min(k, len(matching)) == len(found)
        assert set(_texts(found)) <= set(matching)
        assert len(set(_texts(found))) == len(found)


def test_popular_is_most_users_first(shop: Index) -> None:
    """The baseline looks at users alone."""
    numbers = [shop.find(text) for text in shop.popular("n", 24)]
    users = [shop.users(number) for number in numbers if number is not None]

    assert len(users) == 24
    assert users == sorted(users, reverse=True)


def test_find_knows_labels_and_nothing_else(shop: Index) -> None:
    """Text is normalised first; a prefix of a label is none."""
    number = shop.find("  NIKE  Air ")

    assert number is not None
    assert shop.label(number) == "nike air"
    assert shop.find("nike ai") is None
    assert shop.find("") is None
    assert shop.find("zz") is None


def test_every_label_completes_itself(shop: Index) -> None:
    """A label typed in full, in any case, is among its completions."""
    for number in range(shop.info.labels):
        text = shop.label(number)
        assert text in _texts(shop.complete(text.upper(), k=100))


def test_work_and_candidates_are_told(shop: Index) -> None:
    """For explanations and candidate recall."""
    completion = shop.complete_with_work("n", ["nike"], k=2)

    assert completion.suggestions == shop.complete("n", ["nike"], k=2)
    assert completion.work.range_labels == 24
    assert completion.work.candidates == len(completion.candidate_ids) >= 2


def test_sources_can_be_chosen(shop: Index) -> None:
    """Each source alone, and what they found."""
    for source in (Source.MODEL, Source.POPULAR):
        found = shop.complete("a", k=4, sources=source)
        assert {one.source for one in found} == {source.name}


def test_validate_looks_deeper_if_told(shop: Index) -> None:
    """A golden index passes both."""
    shop.validate()
    shop.validate(deep=True)


def test_a_model_without_texts_says_what_it_cannot() -> None:
    """Completing needs labels; the error says so."""
    with (
        espalier.open(FOLDER / "model.esp") as index,
        pytest.raises(UnsupportedError, match="no label texts"),
    ):
        index.complete("a")


def test_a_closed_index_says_so() -> None:
    """Using it after the block is an error, not a crash."""
    with espalier.open(FOLDER / "shop.esp") as index:
        index.complete("n")
    for call in (lambda: index.complete("n"), lambda: index.popular("n"), index.validate):
        with pytest.raises(UnsupportedError, match="closed"):
            call()


def test_threads_share_an_index(shop: Index) -> None:
    """Answers are the same from any thread, also from ones that start and end."""
    prefixes = ["n", "ni", "a", "", "new b", "dell "] * 20
    expected = [shop.complete(prefix, ["nike"]) for prefix in prefixes]
    with ThreadPoolExecutor(6) as pool:
        found = list(pool.map(lambda prefix: shop.complete(prefix, ["nike"]), prefixes))
    late: list[list[espalier.Suggestion]] = []
    thread = threading.Thread(target=lambda: late.append(shop.complete("n", ["nike"])))
    thread.start()
    thread.join()

    assert expected == found
    assert late == expected[:1]


def test_variants_can_be_kept() -> None:
    """However the question is put; the query submitted last is left out all the same."""
    with espalier.open(FOLDER / "words.esp") as words:
        asked = ("nike ", ["red bag"])
        everywhere = Source.MODEL | Source.POPULAR | Source.TAIL | Source.CORRECTED
        tidy = _texts(words.complete(*asked, k=100, sources=everywhere))
        kept = _texts(words.complete(*asked, k=100, sources=everywhere, keep_variants=True))
        explained = words.explain(*asked, k=100, sources=everywhere, keep_variants=True)

    assert set(tidy) < set(kept)
    assert kept == [one.suggestion.text for one in explained]


def test_a_feature_group_nobody_knows_is_refused(shop: Index) -> None:
    """The message lists the groups; the known ones are accepted together."""
    with pytest.raises(InputError, match="there are popularity, model"):
        shop.complete_with_work("n", groups_off=["popularity", "luck"])

    found = shop.complete_with_work("n", groups_off=FEATURE_GROUPS).suggestions
    assert found == shop.complete("n", groups_off=FEATURE_GROUPS)
    assert found == [one.suggestion for one in shop.explain("n", groups_off=FEATURE_GROUPS)]
    assert found


def test_by_default_nothing_is_switched_off(shop: Index) -> None:
    """Measuring asks what a host asks."""
    assert shop.complete_with_work("n", ["nike"]).suggestions == shop.complete("n", ["nike"])


def test_an_explanation_adds_up_to_the_score(demo_index: Path) -> None:
    """Features and average make the score, and their groups are those that can be left out."""
    with espalier.open(demo_index) as index:
        explained = index.explain("c", ["tent"], k=5)

        assert [one.suggestion for one in explained] == index.complete("c", ["tent"], k=5)
        for one in explained:
            total = one.average + sum(part.contribution for part in one.features.values())
            assert total == pytest.approx(one.suggestion.score, abs=1e-3)
            assert {part.group for part in one.features.values()} == set(FEATURE_GROUPS)


@pytest.mark.parametrize(
    ("prefix", "previous", "sources"),
    [("", [], None), ("c", ["tent"], Source.MODEL), ("c", ["tent"], Source.POPULAR)],
    ids=["popular queries", "model alone", "popularity alone"],
)
def test_what_no_forest_ordered_has_no_parts(
    demo_index: Path, prefix: str, previous: list[str], sources: Source | None
) -> None:
    """The scores of these lists are not the forest's, so it has nothing to explain."""
    with espalier.open(demo_index) as index:
        explained = index.explain(prefix, previous, k=5, sources=sources)

        assert len(explained) == 5
        for one in explained:
            assert one.average == 0
            assert not any(part.contribution for part in one.features.values())


def test_without_the_tree_its_score_is_unknown(demo_index: Path) -> None:
    """Not 0, which would be the logarithm of certainty."""
    without = Source.POPULAR | Source.TAIL | Source.CORRECTED
    with espalier.open(demo_index) as index:
        explained = [one for one in index.explain("c", ["tent"], sources=without) if one.features]

    assert any(one.suggestion.label is not None for one in explained)
    assert all(math.isnan(one.features["model"].value) for one in explained)
    assert all(math.isnan(one.features["model_gap"].value) for one in explained)


def test_an_age_that_is_no_number_is_refused(shop: Index) -> None:
    """Infinite and negative ones have a meaning: as old as can be, just now."""
    with pytest.raises(InputError, match="not a number"):
        shop.complete("n", ["nike"], previous_age=[math.nan])
    for age in (math.inf, -1.0):
        assert shop.complete("n", ["nike"], previous_age=[age])


def test_a_slip_is_corrected_though_queries_can_be_generated_from_it(demo_index: Path) -> None:
    """An unknown word leaves room for labels that begin almost so, behind what begins so."""
    with espalier.open(demo_index) as index:
        wanted = next(label for label in index.popular("", 50) if " " in label and len(label) > 8)
        first, rest = wanted.split(" ", 1)
        slip = f"{first[:-1]}xq{first[-1]} {rest[:2]}"
        found = index.complete(slip)

    assert wanted in [one.text for one in found if one.source == "CORRECTED"]
    sources = [one.source == "CORRECTED" for one in found]
    assert sorted(sources) == sources
    assert sum(one.source == "TAIL" for one in found) <= 2


def test_of_a_word_nobody_knows_little_is_said(demo_index: Path) -> None:
    """The generator could go on from anything, with words of the session and of the log."""
    with espalier.open(demo_index) as index:
        begun = index.complete("zxqvk", ["camping tent"])
        alone = index.complete("zxqvk", ["camping tent"], sources=Source.TAIL)

    assert 0 < len(begun) <= 3
    assert len(alone) > 3
