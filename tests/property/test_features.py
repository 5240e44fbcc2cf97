"""Features of texts and of whole queries, against their definitions."""

from __future__ import annotations

import functools
import itertools
import operator
from collections.abc import Sequence

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from espalier.native import FeatureKind, Space, TextTable, features_hash, features_vectorise
from tests.property.indexes import TEXTS, Pair, contexts, pairs, prefixes
from tests.reference import query


def _hash(texts: Sequence[str], kind: FeatureKind) -> list[dict[int, float]]:
    keys, weights, ptr = features_hash(TextTable.from_strings(texts), kind)
    return [
        dict(zip(keys[a:b].tolist(), weights[a:b].tolist(), strict=True))
        for a, b in zip(ptr[:-1].tolist(), ptr[1:].tolist(), strict=True)
    ]


def _same(expected: dict[int, float], found: dict[int, float], tolerance: float = 1e-6) -> None:
    assert sorted(expected) == sorted(found)
    for key, value in expected.items():
        assert abs(value - found[key]) <= tolerance * max(1.0, abs(value))


@given(st.lists(TEXTS, max_size=4))
def test_words_are_runs_of_letters_marks_and_digits(texts: list[str]) -> None:
    """Each word counts as often as it stands; scripts without spaces give pairs."""
    for text, found in zip(texts, _hash(texts, FeatureKind.WORDS), strict=True):
        _same(query.word_terms(text), found)


@given(st.lists(TEXTS, max_size=4), st.booleans())
def test_ngrams_have_one_to_three_characters(texts: list[str], weighted: bool) -> None:
    """Character n-grams are counted, or weighted by one over offset plus one."""
    kind = FeatureKind.CHARS_POSITION if weighted else FeatureKind.CHARS
    for text, found in zip(texts, _hash(texts, kind), strict=True):
        _same(query.char_terms(text, position_weighted=weighted), found, 1e-5)


@given(st.lists(TEXTS, max_size=4), st.sampled_from([2, 3]))
def test_phrases_are_words_that_follow_one_another(texts: list[str], n: int) -> None:
    """Two or three words, whatever separates them, counted as often as they stand."""
    kind = {2: FeatureKind.WORD_PAIRS, 3: FeatureKind.WORD_TRIPLES}[n]
    for text, found in zip(texts, _hash(texts, kind), strict=True):
        _same(query.phrase_terms(text, n), found)


@given(st.lists(TEXTS, max_size=4), st.sampled_from([3, 4, 5]))
def test_characters_of_words_know_where_a_word_ends(texts: list[str], n: int) -> None:
    """Runs of a word with its ends marked; a word shorter than that is one run."""
    kind = FeatureKind[f"WORD_CHARS_{n}"]
    for text, found in zip(texts, _hash(texts, kind), strict=True):
        _same(query.gram_terms(text, n), found)


@given(st.text("ab c", min_size=60, max_size=200))
def test_long_texts_count_alike(text: str) -> None:
    """Above the size where another sort takes over the counts are the same."""
    _same(query.word_terms(text), _hash([text], FeatureKind.WORDS)[0])
    expected = query.char_terms(text, position_weighted=True)
    _same(expected, _hash([text], FeatureKind.CHARS_POSITION)[0], 1e-5)


@given(pairs(), st.data())
def test_training_and_twin_see_the_same_vector(pair: Pair, data: st.DataObject) -> None:
    """Feature numbers are equal and values within 1e-6, for context and prefix together."""
    assert pair.twin.keys is not None
    assert pair.twin.idf is not None
    params = pair.twin.params
    space = Space(
        pair.twin.keys,
        pair.twin.idf,
        int(params["prefix_features"]),
        float(params["context_decay"]),
        int(params["max_context"]),
    )
    rows = [
        (data.draw(contexts(pair)), data.draw(prefixes(pair)).decode() + data.draw(TEXTS))
        for _ in range(3)
    ]
    texts = [text for context, prefix in rows for text in (*context, prefix)]
    places = np.cumsum([0, *(len(context) + 1 for context, _ in rows)]).tolist()
    context = [list(range(a, b - 1)) for a, b in itertools.pairwise(places)]
    prefix_text = np.array(places[1:], np.uint32) - 1
    table = TextTable.from_strings(texts)

    csr = features_vectorise(
        space,
        table,
        np.cumsum([0, *map(len, context)]).astype(np.uint64),
        np.array(functools.reduce(operator.iadd, context, []), np.uint32),
        prefix_text,
        table.lengths[prefix_text],
        threads=data.draw(st.integers(1, 3)),
    )

    for row, (previous, prefix) in enumerate(rows):
        span = slice(int(csr.row_ptr[row]), int(csr.row_ptr[row + 1]))
        found = dict(zip(csr.col[span].tolist(), csr.val[span].tolist(), strict=True))
        assert csr.col[span].tolist() == sorted(found)
        _same(query.vectorise(pair.twin, previous, prefix), found)
        length = sum(value**2 for value in found.values())
        assert length == 0 or abs(length - 1) < 1e-5
