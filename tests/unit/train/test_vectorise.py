"""Features: which are known, what they weigh, and what labels are clustered by."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest

from espalier.native import FeatureKind, PrefixFeatures, TextTable, features_hash
from espalier.querylog import QueryLog
from espalier.settings import TrainSettings
from espalier.train.matrices import csr_of, normalise_rows, scipy_of, take_rows
from espalier.train.rows import Rows
from espalier.train.vectorise import Lessons, csr_of_entries, label_vectors, make_lessons

MakeLog = Callable[..., QueryLog]


def key_of(word: str) -> int:
    """Return the key of a word."""
    keys, _, _ = features_hash(TextTable.from_strings([word]), FeatureKind.WORDS)
    return int(keys[0])


def char_keys(text: str) -> set[int]:
    """Return the keys of the n-grams of a text."""
    keys, _, _ = features_hash(TextTable.from_strings([text]), FeatureKind.CHARS)
    return set(keys.tolist())


def idf_of(lessons: Lessons, key: int) -> float | None:
    """Return the idf of a key, None where it is not known."""
    space = lessons.vocabulary.space
    place = int(np.searchsorted(space.keys, key))
    known = place < len(space.keys) and int(space.keys[place]) == key
    return float(space.idf[place]) if known else None


def test_word_idf_is_over_distinct_previous_queries(log_of: MakeLog) -> None:
    """Only queries that stand before another one are counted, each once."""
    log = log_of([["red shoe", "blue shoe", "lamp"], ["red shoe", "lamp"]])
    lessons = make_lessons(log, TrainSettings(min_users=1))

    assert idf_of(lessons, key_of("shoe")) == pytest.approx(math.log(3 / 3) + 1)
    assert idf_of(lessons, key_of("red")) == pytest.approx(math.log(3 / 2) + 1)
    assert idf_of(lessons, key_of("lamp")) is None


def test_character_idf_is_over_training_prefixes(log_of: MakeLog) -> None:
    """With one possible prefix per query the frequencies are known."""
    log = log_of([["ab"], ["ab"], ["xy"]])
    lessons = make_lessons(log, TrainSettings(min_users=1))
    (a,), (x,) = char_keys("a"), char_keys("x")

    assert idf_of(lessons, a) == pytest.approx(math.log(4 / 3) + 1)
    assert idf_of(lessons, x) == pytest.approx(math.log(4 / 2) + 1)
    assert not lessons.vocabulary.is_context.any()


def test_words_of_few_users_are_not_known(log_of: MakeLog) -> None:
    """A word needs as many users as a query, in whatever queries they typed it."""
    log = log_of(
        [["rare shoe", "lamp"], ["common shoe", "lamp"], ["common sock", "lamp"], ["rare", "lamp"]],
        users=[0, 1, 2, 0],
    )
    lessons = make_lessons(log, TrainSettings(min_users=2))

    assert idf_of(lessons, key_of("common")) is not None
    assert idf_of(lessons, key_of("shoe")) is not None
    assert idf_of(lessons, key_of("rare")) is None
    assert idf_of(lessons, key_of("sock")) is None


def test_users_of_a_word_are_counted_across_blocks(
    log_of: MakeLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    """How many texts are hashed at a time changes nothing."""
    sessions = [[f"w{i % 7} v{i % 5}", f"u{i % 3}"] for i in range(40)]
    log = log_of(sessions, users=[i % 4 for i in range(40)])
    whole = make_lessons(log, TrainSettings(min_users=2)).vocabulary
    monkeypatch.setattr("espalier.train.vectorise._BLOCK", 3)
    blocks = make_lessons(log, TrainSettings(min_users=2)).vocabulary

    assert whole.space.keys.tolist() == blocks.space.keys.tolist()
    assert whole.space.idf.tolist() == blocks.space.idf.tolist()


def test_context_features_are_the_words(log_of: MakeLog) -> None:
    """The privacy rule of the ranker holds for them and not for the prefix."""
    lessons = make_lessons(log_of([["shoe", "lamp"]]), TrainSettings(min_users=1, context_cut=0))
    keys = lessons.vocabulary.space.keys[lessons.vocabulary.is_context == 1]

    assert keys.tolist() == [key_of("shoe")]


@pytest.mark.parametrize("features", ["none", "char-tfidf", "position-weighted"])
def test_rows_are_unit_vectors(shop_log: QueryLog, features: str) -> None:
    """Or empty, where a row has no known feature at all."""
    lessons = make_lessons(shop_log, TrainSettings(min_users=1, prefix_features=features))
    lengths = np.sqrt(scipy_of(lessons.x).power(2).sum(axis=1)).A1

    assert np.allclose(lengths[lengths > 0], 1, atol=1e-5)
    assert (lengths > 0).all() == (features != "none")


def test_pifa_is_the_mean_direction_of_a_labels_rows(shop_log: QueryLog) -> None:
    """Computed densely, row by row."""
    settings = TrainSettings(min_users=1, label_features="pifa")
    lessons = make_lessons(shop_log, settings)
    x = scipy_of(lessons.x).toarray()
    expected = np.zeros((len(lessons.labels), x.shape[1]))
    for row, label in zip(lessons.rows.entry_row, lessons.rows.entry_label, strict=True):
        expected[label] += x[row] / max(np.linalg.norm(x[row]), 1e-9)
    expected /= np.linalg.norm(expected, axis=1, keepdims=True)

    found = scipy_of(label_vectors(lessons, settings)).toarray()
    assert np.allclose(found, expected, atol=1e-5)


def test_label_text_vectors_are_those_of_a_typed_prefix(shop_log: QueryLog) -> None:
    """The whole label as prefix, without previous queries."""
    settings = TrainSettings(min_users=1)
    lessons = make_lessons(shop_log, settings)
    vectors = scipy_of(label_vectors(lessons, settings))
    context = lessons.vocabulary.is_context.astype(bool)

    assert vectors.shape == (len(lessons.labels), len(context))
    assert vectors[:, np.flatnonzero(context)].nnz == 0
    assert np.allclose(np.sqrt(vectors.power(2).sum(axis=1)).A1, 1, atol=1e-5)


def test_label_text_without_prefix_features_has_a_space_of_its_own(shop_log: QueryLog) -> None:
    """The published configuration 1: characters cluster the labels, but are no input."""
    settings = TrainSettings(min_users=1, prefix_features="none")
    lessons = make_lessons(shop_log, settings)
    vectors = label_vectors(lessons, settings)

    assert lessons.vocabulary.space.prefix_features == PrefixFeatures.NONE
    assert lessons.vocabulary.is_context.all()
    assert vectors.n_cols > len(lessons.vocabulary.space.keys)
    assert (np.diff(vectors.row_ptr.astype(int)) > 0).all()


def test_several_labels_may_share_a_row() -> None:
    """The indicator matrix counts every entry."""
    nothing = np.zeros(0, np.uint32)
    rows = Rows(
        context_ptr=np.zeros(3, np.uint64),
        context=nothing,
        prefix_text=np.zeros(2, np.uint32),
        prefix_bytes=np.ones(2, np.uint32),
        user=None,
        cost=None,
        entry_row=np.array([0, 0, 1], np.uint32),
        entry_label=np.array([0, 2, 2], np.uint32),
    )

    assert csr_of_entries(rows, 3).toarray().tolist() == [[1, 0], [0, 0], [1, 1]]


def test_matrices_survive_the_way_to_scipy_and_back() -> None:
    """Sorted, without zeros; rows can be taken in any order, empty ones included."""
    dense = np.array([[0, 2, 0], [0, 0, 0], [3, 0, 4]], np.float32)
    matrix = csr_of(dense)

    assert scipy_of(matrix).toarray().tolist() == dense.tolist()
    taken = take_rows(matrix, np.array([2, 1, 0, 2]))
    assert scipy_of(taken).toarray().tolist() == dense[[2, 1, 0, 2]].tolist()
    unit = normalise_rows(scipy_of(matrix)).toarray()
    expected = np.array([[0, 1, 0], [0, 0, 0], [0.6, 0, 0.8]])
    assert np.allclose(unit, expected)
