"""Completion and ranking, against the twin that scores every label by definition."""

from __future__ import annotations

import itertools
import math
from dataclasses import replace

import numpy as np
from hypothesis import assume, given
from hypothesis import strategies as st

from espalier.native import (
    KEEP_VARIANTS,
    Caps,
    Csr,
    NativeFilter,
    NativeOverlay,
    RawRule,
    RawSuggestion,
    RuleKind,
    Scratch,
)
from tests.property.indexes import Pair, alike_pairs, contexts, filters, pairs, prefixes
from tests.reference import fuzzy, query, variants

FULL = 2048
"""Beam and pool that keep everything these indexes have."""


SOURCES = [1, 2, 3, 8, 9, 10, 11]
"""All that an index without generator has, in every combination."""


def _scratch(pair: Pair) -> Scratch:
    return pair.native.scratch(Caps(k=FULL, beam=FULL, pool=FULL))


def _native(pair: Pair, wanted: query.Filter | None) -> NativeFilter | None:
    if wanted is None:
        return None
    return NativeFilter(pair.native.handle, wanted.all_of, wanted.any_of, wanted.none_of)


def _ask(pair: Pair, scratch: Scratch, asked: query.Asked) -> list[RawSuggestion]:
    rules = [RawRule(RuleKind.BLOCK_QUERY, text) for text in asked.blocked if text]
    return scratch.complete(
        asked.prefix,
        [text.encode() for text in asked.previous],
        asked.k,
        beam=asked.beam,
        pool=asked.pool,
        sources=asked.sources,
        matcher=1 if asked.constrained else 2,
        flags=KEEP_VARIANTS if asked.keep_variants else 0,
        overlay=NativeOverlay(rules) if rules else None,
        chosen=_native(pair, asked.filter),
    )


def _close(expected: float, found: float) -> bool:
    return math.isclose(expected, found, rel_tol=1e-5, abs_tol=1e-5)


def _same_order(expected: list[query.Candidate], found: list[RawSuggestion]) -> None:
    """Compare lists; labels may change places only within rounding error."""
    score = {one.label: one.score for one in expected}

    assert len(expected) == len(found)
    assert len({one.label for one in found}) == len(found)
    for place, one in enumerate(found):
        assert _close(score[one.label], one.score)
        assert _close(expected[place].score, one.score)


@st.composite
def questions(draw: st.DrawFn, pair: Pair) -> query.Asked:
    """Draw a query with everything that may go with it."""
    label = st.integers(0, pair.n_labels - 1).map(pair.twin.label)
    return query.Asked(
        draw(prefixes(pair)),
        draw(contexts(pair)),
        k=draw(st.integers(1, 50)),
        beam=draw(st.integers(1, 8)),
        pool=draw(st.integers(1, 60)),
        sources=draw(st.sampled_from(SOURCES)),
        constrained=draw(st.booleans()),
        keep_variants=draw(st.booleans()),
        blocked=draw(st.frozensets(label.filter(bool), max_size=5)),
        filter=draw(filters(pair)),
    )


@given(alike_pairs(), st.data())
def test_a_full_beam_finds_the_best_labels_in_order(pair: Pair, data: st.DataObject) -> None:
    """With nothing cut, completions are all labels of the range by blended score.

    The tree alone orders by its own score, popularity alone by users; both are blended
    with the weights of the file where no forest is. Corrections come last.
    """
    asked = replace(data.draw(questions(pair)), k=FULL, beam=FULL, pool=FULL, keep_variants=True)
    expected = query.complete(pair.twin, asked).found

    found = _ask(pair, _scratch(pair), asked)

    _same_order(expected, found)
    model = {one.label: one.model for one in expected}
    source = {one.label: one.source for one in expected}
    for one in found:
        assert _close(model[one.label], one.model)
        assert source[one.label] == one.source


@given(alike_pairs(), st.data())
def test_a_narrow_beam_keeps_what_the_definition_keeps(pair: Pair, data: st.DataObject) -> None:
    """Beam search prunes by prefix and width exactly as specified, matcher by matcher."""
    asked = replace(data.draw(questions(pair)), keep_variants=True)
    expected = query.complete(pair.twin, asked)
    assume(expected.gap > 1e-4)
    scratch = _scratch(pair)

    found = _ask(pair, scratch, asked)

    assert expected.considered == set(scratch.candidates()[0].tolist())
    assert len(expected.found) == len(found)
    for wanted, one in zip(expected.found, found, strict=True):
        assert _close(wanted.score, one.score)


@given(alike_pairs(), st.data())
def test_answers_keep_their_contract(pair: Pair, data: st.DataObject) -> None:
    """K of k that may be suggested, all different, best first, the same every time.

    What starts as typed comes before what was corrected. A label of the prefix is missing
    only if it is blocked, the query just submitted, a variant of a better suggestion, or
    if there are k better ones.
    """
    asked = data.draw(questions(pair))
    labels = pair.twin.labels()
    lo, hi = query.prefix_range(labels, asked.prefix)
    scratch = _scratch(pair)

    found = _ask(pair, scratch, asked)

    assert len(found) <= asked.k
    assert len({one.text for one in found}) == len(found)
    assert all(one.text.encode() == labels[one.label] for one in found)
    assert all(asked.eligible(one.text.encode()) for one in found)
    passing = query.passing(pair.twin, asked.filter)
    assert all(one.label in passing for one in found)
    exact = [one for one in found if lo <= one.label < hi]
    assert found[: len(exact)] == exact
    assert asked.sources & query.CORRECTED or found == exact
    typed = asked.prefix.decode()
    assert all(one.matched is None and one.text.startswith(typed) for one in exact)
    order = [(-one.score, one.label) for one in exact]
    assert sorted(order) == order
    corrected = found[len(exact) :]
    assert all(one.source == query.CORRECTED for one in corrected)
    assert all(one.text.startswith(one.matched or "?") for one in corrected)
    edits = [fuzzy.distance(one.matched or "", typed) for one in corrected]
    order = [(-one.score, one.label) for one in corrected]
    assert sorted(zip(edits, order, strict=True)) == list(zip(edits, order, strict=True))
    if not asked.keep_variants:
        assert not any(
            variants.same(one.text, other.text) for one, other in itertools.combinations(found, 2)
        )
    if len(exact) < asked.k and asked.sources & query.POPULAR:
        missing = set(range(lo, hi)) & passing - {one.label for one in exact}
        for label in missing:
            text = labels[label].decode()
            assert not asked.eligible(labels[label]) or (
                not asked.keep_variants and any(variants.same(text, one.text) for one in exact)
            )
    assert found == _ask(pair, scratch, asked)
    assert found == _ask(pair, _scratch(pair), asked)


@given(alike_pairs(), st.data())
def test_variants_of_better_suggestions_are_left_out(pair: Pair, data: st.DataObject) -> None:
    """The list without variants is the list with them, less the variants, and refilled."""
    asked = replace(data.draw(questions(pair)), k=FULL, beam=FULL, pool=FULL, keep_variants=True)
    kept: list[RawSuggestion] = []
    for one in _ask(pair, _scratch(pair), asked):
        if not any(variants.same(one.text, better.text) for better in kept):
            kept.append(one)

    found = _ask(pair, _scratch(pair), replace(asked, keep_variants=False))

    assert kept == found


@given(pairs(), st.data())
def test_without_constraint_the_full_ranking_is_filtered(pair: Pair, data: st.DataObject) -> None:
    """At full beam both matchers order the model's labels alike."""
    prefix, previous = data.draw(prefixes(pair)), data.draw(contexts(pair))
    asked = query.Asked(
        prefix, previous, FULL, FULL, FULL, query.MODEL, constrained=False, keep_variants=True
    )
    labels = pair.twin.labels()
    lo, hi = query.prefix_range(labels, prefix)
    ranker = query.Ranker(pair.twin, query.vectorise(pair.twin, previous, prefix.decode()))
    scores = {
        label: score
        for label, score in ranker.label_scores().items()
        if lo <= label < hi and asked.eligible(labels[label])
    }
    ranking = sorted(scores.values(), reverse=True)

    found = _ask(pair, _scratch(pair), asked)

    assert len(ranking) == len(found)
    for place, one in enumerate(found):
        assert _close(ranking[place], one.score)
        assert _close(scores[one.label], one.score)


@given(pairs(), st.data())
def test_a_full_beam_is_never_worse_than_a_narrow_one(pair: Pair, data: st.DataObject) -> None:
    """The best model score of a search that cuts nothing bounds that of any other."""
    prefix, previous = data.draw(prefixes(pair)), data.draw(contexts(pair))
    context = [text.encode() for text in previous]
    scratch = _scratch(pair)
    best = [
        scratch.complete(prefix, context, 1, beam=beam, pool=FULL, sources=1)
        for beam in (data.draw(st.integers(1, 4)), FULL)
    ]

    if best[0]:
        assert best[1][0].model >= best[0][0].model - 1e-6


@given(pairs(), st.data())
def test_prediction_is_the_dense_ranking(pair: Pair, data: st.DataObject) -> None:
    """Ranking of given features equals products along every path, in caller's scores."""
    n_features = int(pair.twin.params["n_features"])
    seed = data.draw(st.integers(0, 2**32))
    rng = np.random.default_rng(seed)
    dense = rng.normal(size=(3, n_features)).astype(np.float32)
    dense *= rng.random((3, n_features)) < 0.5
    rows, columns = np.nonzero(dense)
    x = Csr(
        np.searchsorted(rows, np.arange(4)).astype(np.uint64),
        columns.astype(np.uint32),
        dense[rows, columns],
        n_features,
    )
    k = pair.n_labels

    labels, scores, counts = pair.native.predict_top(x, beam=FULL, k=k, threads=2)

    for row in range(3):
        vector = {int(i): float(dense[row, i]) for i in np.nonzero(dense[row])[0]}
        ranker = query.Ranker(pair.twin, vector)
        expected = {label: ranker.output(s) for label, s in ranker.label_scores().items()}
        ranking = sorted(expected.values(), reverse=True)
        assert k == counts[row]
        assert set(range(k)) == set(labels[row].tolist())
        for place, (label, score) in enumerate(zip(labels[row], scores[row], strict=True)):
            assert _close(expected[int(label)], float(score))
            assert _close(ranking[place], float(score))
