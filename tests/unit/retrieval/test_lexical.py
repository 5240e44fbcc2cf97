"""BM25, against its formula."""

from __future__ import annotations

import math
from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from espalier.retrieval.lexical import Bm25, Field, character_ngrams

TITLES = st.lists(
    st.lists(st.sampled_from("abcde"), max_size=6).map(" ".join), min_size=1, max_size=12
)


def _score(titles: list[list[str]], query: list[str], place: int, k1: float, b: float) -> float:
    n = len(titles)
    average = sum(map(len, titles)) / n
    total = 0.0
    for term in query:
        df = sum(term in title for title in titles)
        tf = Counter(titles[place])[term]
        if tf:
            slow = k1 * (1 - b + b * len(titles[place]) / average)
            total += math.log(1 + (n - df + 0.5) / (df + 0.5)) * tf * (k1 + 1) / (tf + slow)
    return total


@given(TITLES, st.lists(st.sampled_from("abcdez"), max_size=5).map(" ".join), st.integers(1, 5))
def test_the_best_titles_come_in_the_order_of_the_formula(
    titles: list[str], query: str, k: int
) -> None:
    """Scores as defined, ties by place, and nothing that shares no term."""
    split = [title.split() for title in titles]
    scores = [_score(split, query.split(), i, 1.2, 0.75) for i in range(len(titles))]

    found = Bm25(titles, [Field(str.split)]).top(query, k).tolist()

    assert len(found) == min(k, sum(score > 0 for score in scores))
    ranked = sorted((i for i, s in enumerate(scores) if s > 0), key=lambda i: (-scores[i], i))
    for mine, theirs in zip(found, ranked, strict=False):
        assert math.isclose(scores[mine], scores[theirs], rel_tol=1e-9)


def test_fields_add_up_by_their_weights() -> None:
    """A second field can turn the order round."""
    titles = ["red lamp", "blue lamp red"]
    words = Field(str.split)
    letters = Field(list, weight=100.0, b=1.0)

    assert [0, 1] == Bm25(titles, [words]).top("red", 2).tolist()
    assert Bm25(titles, [letters]).top("u", 2).tolist() == [1]
    assert [1, 0] == Bm25(titles, [words, letters]).top("red u", 2).tolist()


def test_a_query_is_known_if_every_term_is() -> None:
    """What marks a query as misspelt."""
    index = Bm25(["red lamp"], [Field(str.split)])

    assert index.knows("lamp red")
    assert not index.knows("lamp rde")


def test_short_words_are_one_ngram() -> None:
    """Their ends are marked, so they are no part of longer ones."""
    assert ["_a_", "_lam", "lamp", "amp_"] == character_ngrams(["a", "lamp"], 4)
