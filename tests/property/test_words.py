"""The word model asked by text, against its definition; what training makes of a log."""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from espalier.errors import InputError, LimitError, UnsupportedError
from espalier.native import NativeIndex, words_build
from espalier.settings import TrainSettings
from espalier.train import ngrams
from espalier.train.ngram_file import STEP
from espalier.train.pruning import prune
from espalier.train.rows import choose_labels
from espalier.train.smoothing import smooth
from espalier.train.words import learn_words, sections_of
from tests.property.indexes import TEXTS, opened
from tests.property.languages import random_ngrams, random_relations
from tests.reference import build, build_words, invariants
from tests.reference.words import START, UNKNOWN, Ngrams, parse, parse_relations
from tests.unit.train.typed import log_of_sessions
from tests.unit.train.typed import sessions as typed_sessions

WORDS = TEXTS.map(lambda text: text.replace(" ", "")).filter(bool)
LABELS = [build.Label(b"a"), build.Label(b"b"), build.Label(b"c")]


@dataclass(frozen=True)
class Model:
    """A word model in both readings."""

    native: NativeIndex
    twin: Ngrams

    def texts(self, u: int, v: int) -> list[bytes]:
        """Return the beginning of a query that ends with these two."""
        if v == START:
            return []
        numbers = [v] if u == START else [u, v]
        return [b"unheard" if one == UNKNOWN else self.twin.words[one] for one in numbers]


def _words(rng: np.random.Generator, n: int) -> list[bytes]:
    letters = ["a", "b", "e", "é", "字", "👟"]
    drawn = ("".join(rng.choice(letters, rng.integers(1, 6))) for _ in range(n))
    return sorted({word.encode() for word in drawn})


@st.composite
def models(draw: st.DrawFn) -> Model:
    """Draw a model with any numbers in it: small, or large enough for long lists."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    words = _words(rng, draw(st.sampled_from([1, 4, 30, 90, 150])))
    made = random_ngrams(words, rng, step=draw(st.sampled_from([0.01, 0.075, 0.1])))
    sections = build.sections(LABELS) | {
        "VOCA": build_words.vocabulary_section(words),
        "NGRM": build_words.ngram_section(made),
        "RELA": build_words.relation_section(random_relations(len(words), len(LABELS), rng)),
    }
    pair = opened(sections)
    pair.native.validate()
    invariants.validate(pair.twin)
    read = parse(pair.twin)
    assert read is not None
    return Model(pair.native, read[0])


@st.composite
def histories(draw: st.DrawFn, model: Model) -> tuple[int, int]:
    """Draw two words, mostly such as have a list; the first may be the beginning."""
    known = sorted(model.twin.triples)
    listed = draw(st.booleans())
    if known and listed:
        return draw(st.sampled_from(known))
    number = st.one_of(st.integers(0, len(model.twin.words) - 1), st.just(UNKNOWN))
    pairs = st.tuples(st.one_of(st.just(START), number), number)
    return draw(st.one_of(pairs, st.just((UNKNOWN, START))))


@given(st.lists(WORDS, unique=True, max_size=60))
def test_a_vocabulary_is_laid_out_as_specified(texts: list[str]) -> None:
    """The library's section equals, byte by byte, the one put together from FORMAT.md."""
    words = sorted(text.encode() for text in texts)
    words = [word for word in words if len(word) <= 255]

    assert build_words.vocabulary_section(words) == words_build(words)


@pytest.mark.parametrize(
    "words", [[b"b", b"a"], [b"a", b"a"], [b"a", b""], [b""], [b"x" * 256], [b"ab", b"a"]]
)
def test_words_out_of_order_or_size_are_refused(words: list[bytes]) -> None:
    """A vocabulary is of distinct ascending words of 1 to 255 bytes."""
    with pytest.raises(InputError):
        words_build(words)


@given(models(), st.data())
def test_probabilities_are_those_of_the_definition(model: Model, data: st.DataObject) -> None:
    """Of every word, of the end and of an unknown word, after any two."""
    for _ in range(3):
        u, v = data.draw(histories(model))
        before = model.texts(u, v)
        for number, word in [*enumerate([*model.twin.words, b""]), (UNKNOWN, b"unheard")]:
            expected = model.twin.chance(u, v, number)
            assert math.isclose(expected, model.native.word_chance(before, word), rel_tol=1e-4)


@given(models(), st.data())
def test_likely_words_are_the_best_of_every_list(model: Model, data: st.DataObject) -> None:
    """As many as are wanted that begin as typed, each with its probability, best first."""
    u, v = data.draw(histories(model))
    before = model.texts(u, v)
    word = data.draw(st.sampled_from(model.twin.words)).decode()
    prefix = word[: data.draw(st.integers(0, 3))].encode()
    k = data.draw(st.sampled_from([1, 2, 10, 64]))

    found = model.native.likely_words(before, prefix, k)

    chances = [one.chance for one in found]
    expected = model.twin.likely(before, prefix, k)
    assert chances == sorted(chances, reverse=True)
    assert len({one.text for one in found}) == len(found)
    assert np.allclose(expected, chances, rtol=1e-4, atol=0)
    for one in found:
        assert one.text is None or one.text.encode().startswith(prefix)
        text = b"" if one.text is None else one.text.encode()
        assert math.isclose(one.chance, model.native.word_chance(before, text), rel_tol=1e-6)


def test_more_likely_words_than_there_is_room_for_are_refused() -> None:
    """The limit is said, not silently applied."""
    made = build.sections(LABELS) | build_words.worked_example()
    with NativeIndex.from_bytes(build.assemble(made)) as index:
        assert len(index.likely_words([], b"", 64)) == 3
        assert index.likely_words([], b"", 0) == []
        with pytest.raises(LimitError, match="at most 64"):
            index.likely_words([], b"", 65)


def test_an_index_without_words_says_so() -> None:
    """It completes as before, and has no probabilities."""
    with NativeIndex.from_bytes(build.assemble(build.sections(LABELS))) as index:
        assert [one.text for one in index.scratch().complete(b"", [b"a"], 3)] == ["b", "c"]
        with pytest.raises(UnsupportedError, match="no word model"):
            index.word_chance([], b"a")
        with pytest.raises(UnsupportedError, match="no word model"):
            index.likely_words([])


TYPED = ("red", "shoe", "shoes", "boot", "boots", "靴", "赤い靴", "é")


@given(typed_sessions(TYPED, longest=4), st.integers(1, 3), st.integers(0, 900), st.data())
def test_what_training_writes_keeps_every_promise(
    typed: list[tuple[int, list[str]]], least: int, room: int, data: st.DataObject
) -> None:
    """Both readers accept what is made of a log for any room, and agree on probabilities."""
    log = log_of_sessions(typed)
    settings = TrainSettings(min_users=least, words_mib=room / 2**20)
    if not (log.users >= least).any():
        return
    labels = choose_labels(log, settings)
    made = learn_words(log, labels, settings).sections
    assert room == 0 or sum(map(len, made.values())) <= room
    texts = [
        build.Label(text.encode(), int(n))
        for text, n in zip(labels.texts, labels.users, strict=True)
    ]
    pair = opened(build.sections(texts) | made)

    pair.native.validate()
    invariants.validate(pair.twin)

    read = parse(pair.twin)
    if read is None:
        assert made == {}
        return
    model = Model(pair.native, read[0])
    u, v = data.draw(histories(model))
    for number, word in enumerate([*model.twin.words, b""]):
        found = pair.native.word_chance(model.texts(u, v), word)
        assert math.isclose(model.twin.chance(u, v, number), found, rel_tol=1e-4)
    if "RELA" in made:
        assert read[1] == parse_relations(made["RELA"], len(model.twin.words), len(labels))


@given(typed_sessions(TYPED), st.integers(1, 2), st.integers(100, 700))
def test_probabilities_after_any_word_sum_to_one(
    typed: list[tuple[int, list[str]]], least: int, room: int
) -> None:
    """Words, end and unknown together, but for the rounding of up to three stored numbers.

    Whatever was left out for want of room.
    """
    tokens = ngrams.tokenise(log_of_sessions(typed), least)
    if not tokens.words:
        return
    pruned = prune(smooth(ngrams.count(tokens, least), tokens.words), room)
    made = sections_of(pruned, None, TrainSettings())
    if not made:
        return
    pair = opened(build.sections(LABELS) | made)
    read = parse(pair.twin)
    assert read is not None
    model = Model(pair.native, read[0])
    n = len(model.twin.words)
    for u, v in itertools.product([START, UNKNOWN, *range(n)], range(n)):
        before = model.texts(u, v)
        words = [*model.twin.words, b"", b"unheard"]
        total = sum(model.native.word_chance(before, word) for word in words)
        assert math.exp(-1.5 * STEP) <= total <= math.exp(1.5 * STEP)
