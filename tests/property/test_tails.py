"""Generated completions, against the probability of every completion there can be."""

from __future__ import annotations

import itertools
import math

from hypothesis import given
from hypothesis import strategies as st

from espalier.native import (
    FEATURES,
    KEEP_VARIANTS,
    NO_LABEL,
    Caps,
    NativeOverlay,
    RawRule,
    RuleKind,
    feature_names,
)
from tests.property.languages import Spoken, sessions, spoken
from tests.reference import variants
from tests.reference.tails import GENERATED_BYTES, GENERATED_WORDS, Session

TAIL = 4
TAILS = 40
NAMES = feature_names()
Typed = tuple[list[bytes], list[int], bytes]


def _generated(
    index: Spoken, typed: Typed, overlay: NativeOverlay | None = None
) -> dict[str, float]:
    """Return what is generated, with the logarithm of its probability as C tells it."""
    previous, ages, prefix = typed
    scratch = index.pair.native.scratch(Caps())
    scratch.complete(
        prefix,
        previous,
        10,
        sources=TAIL,
        flags=FEATURES | KEEP_VARIANTS,
        overlay=overlay,
        age=ages or None,
    )
    rows = scratch.ranked_features()[:, NAMES.index("session_chance")].tolist()
    return dict(zip(scratch.ranked_texts(), rows, strict=True))


def _log_chance(session: Session, words: list[bytes]) -> float:
    chance = 0.0
    before = list(session.typed)
    for word in [*words, None]:
        chance += math.log(session.chance(before, word))
        before += [word] if word is not None else []
    return chance


def _is_close(expected: float, found: float) -> bool:
    return math.isclose(expected, found, rel_tol=1e-4, abs_tol=1e-4)


@given(spoken(), st.data())
def test_generated_texts_have_the_probability_of_the_definition(
    index: Spoken, data: st.DataObject
) -> None:
    """Each starts as typed, goes on with words that may come, and is as likely as they are."""
    typed = data.draw(sessions(index))
    previous, ages, prefix = typed
    session = index.session(previous, prefix, ages)
    stem = prefix[: len(prefix) - len(session.partial)]

    for text, chance in _generated(index, typed).items():
        encoded = text.encode()
        assert encoded.startswith(prefix)
        words = encoded[len(stem) :].split(b" ")
        assert 1 <= len(words) <= GENERATED_WORDS
        # A query of long ago may come again though its words count no more.
        for place, word in enumerate(words if encoded not in previous else []):
            before = [*session.typed, *words[:place]]
            assert word in session.choices(before, first=place == 0)
        assert _is_close(_log_chance(session, words), chance)


def _is_cut_from(text: str, index: Spoken, previous: list[bytes], ages: list[int]) -> bool:
    """Return whether a text is a previous query with words left out, or the last one anew."""
    session = index.session(previous, b"", ages)
    words = {word.encode() for word in text.split(" ")}
    last = bool(session.previous) and variants.same(text, session.previous[0].decode())
    return last or any(words <= set(tokens) for tokens in session.tokens)


@given(spoken(), st.data())
def test_without_a_forest_the_likelier_comes_first(index: Spoken, data: st.DataObject) -> None:
    """What is no label is ordered by the generator; repeats stand with its best."""
    typed = data.draw(sessions(index))
    chances = _generated(index, typed)
    previous, ages, prefix = typed

    found = index.pair.native.scratch(Caps()).complete(
        prefix, previous, 100, sources=TAIL, flags=KEEP_VARIANTS, age=ages or None
    )

    order = [
        chances[one.text]
        for one in found
        if one.label == NO_LABEL and one.text.encode() not in previous
    ]
    assert all(better >= other - 1e-4 for better, other in itertools.pairwise(order))
    # What was typed is a suggestion only if somebody searches for it.
    given_text = prefix.decode()
    texts = {one.text for one in found}
    labels = {label.decode() for label in index.pair.twin.labels()}
    quiet = {
        text
        for text in chances.keys() - labels
        if not prefix and _is_cut_from(text, index, previous, ages)
    }
    kept = texts - {given_text} - {query.decode() for query in previous}
    assert kept <= chances.keys() - quiet
    assert chances.keys() - quiet - {given_text} <= texts
    assert all(one.label != NO_LABEL for one in found if one.text == given_text)


@given(spoken(most_words=2), st.data())
def test_where_all_fits_the_beam_nothing_better_is_missed(
    index: Spoken, data: st.DataObject
) -> None:
    """With three words at most to choose from, all completions of up to two are found."""
    typed = data.draw(sessions(index, most_queries=1, longest=1))
    previous, ages, prefix = typed
    session = index.session(previous, prefix, ages)
    if len({*index.ngrams.words, *session.words}) > 3:
        return
    found = _generated(index, typed)
    expected = {
        text.decode(): math.log(chance)
        for text, chance in session.completions(2).items()
        if text not in previous[:1]
    }

    least = min(found.values()) if len(found) >= TAILS - 1 else -math.inf
    for text, chance in expected.items():
        assert text in found or chance <= least + 1e-4
    if expected:
        best = max(expected.values())
        assert max(found.values()) >= best - 1e-4


@given(spoken(), st.data())
def test_what_is_blocked_is_not_generated(index: Spoken, data: st.DataObject) -> None:
    """Neither a blocked query nor one with a blocked word, and the query just typed."""
    typed = data.draw(sessions(index))
    free = _generated(index, typed)
    word = data.draw(st.sampled_from(index.words))
    rules = [RawRule(RuleKind.BLOCK_WORD, word)]
    rules += [RawRule(RuleKind.BLOCK_QUERY, text.encode()) for text in list(free)[:3]]
    overlay = NativeOverlay(rules)

    found = _generated(index, typed, overlay)

    assert found.keys() == {text for text in free if not overlay.blocks(text.encode())}
    assert not typed[0] or typed[0][0].decode() not in free


NUMBERED = [b"red 030 123 4567 shoe", b"bob@corp.example shoe", "靴 ٠١٢٣٤٥٦٧٨ 赤い".encode()]


@given(spoken(), st.booleans(), st.data())
def test_what_an_index_keeps_out_is_not_generated(
    index: Spoken, numbers: bool, data: st.DataObject
) -> None:
    """Nor does a word support others that is kept out; what is a label may come."""
    previous, _, prefix = data.draw(sessions(index))
    previous += data.draw(st.lists(st.sampled_from(NUMBERED), max_size=1))
    typed: Typed = (previous, [], prefix)
    labels = {label.decode() for label in index.pair.twin.labels()}
    free = _generated(index, typed)
    # No word of the vocabulary is blocked: queries with such were left out of the log.
    unknown = [word for word in [*index.words, b"zz", b"reds"] if word not in index.ngrams.words]
    words = data.draw(st.lists(st.sampled_from(sorted({*unknown})), max_size=3, unique=True))
    queries = [text.encode() for text in [*free.keys() - labels][:3]]
    kept = index.blocking(queries, words, numbers=numbers)

    found = _generated(kept, typed)

    session = kept.session(previous, prefix)
    stem = len(prefix) - len(session.partial)
    allowed = {text for text in free if text in labels or not kept.blocklist.blocks(text)}
    assert all(text in labels or not kept.blocklist.blocks(text) for text in found)
    assert words or numbers or found.keys() == allowed
    for text, chance in found.items():
        expected = _log_chance(session, text.encode()[stem:].split(b" "))
        assert text.encode() in previous or _is_close(expected, chance)


@given(spoken(), st.data())
def test_generated_text_has_a_limit(index: Spoken, data: st.DataObject) -> None:
    """Words of any length are no reason to generate more than 120 bytes."""
    long = data.draw(st.sampled_from([b"l" * 60, b"l" * 118, b"l" * 119, b"l" * 120, b"l" * 300]))
    previous = [b"one " + long + b" two " + long[:50], *data.draw(sessions(index))[0]]
    prefix = data.draw(st.sampled_from([b"", b"l", b"one ", b"one l", b"x " * 40 + b"l", long]))
    session = index.session(previous, prefix)
    stem = len(prefix) - len(session.partial)

    found = _generated(index, (previous, [], prefix))

    assert all(len(text.encode()) - stem < GENERATED_BYTES for text in found)
    if prefix == b"one l" and index.max_context:
        # Four bytes of it are there, and a space will follow.
        assert any(text.startswith(f"one {long.decode()}") for text in found) == (
            len(long) < GENERATED_BYTES
        )
