"""Completion and ranking, against the twin that scores every label by definition."""

from __future__ import annotations

import math

import numpy as np
from hypothesis import assume, given
from hypothesis import strategies as st

from espalier.native import Caps, Csr, RawSuggestion, Scratch
from tests.property.indexes import Pair, contexts, pairs, prefixes
from tests.reference import query

FULL = 2048
"""Beam and pool that keep everything these indexes have."""


def _scratch(pair: Pair) -> Scratch:
    return pair.native.scratch(Caps(k=FULL, beam=FULL, pool=FULL))


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


@given(pairs(), st.data())
def test_a_full_beam_finds_the_best_labels_in_order(pair: Pair, data: st.DataObject) -> None:
    """With nothing cut, completions are all labels of the range by blended score."""
    prefix, previous = data.draw(prefixes(pair)), data.draw(contexts(pair))
    sources = data.draw(st.sampled_from([1, 2, 3]))
    expected, _ = query.complete(
        pair.twin, prefix, previous, k=FULL, beam=FULL, pool=FULL, sources=sources
    )

    found = _scratch(pair).complete(
        prefix, [text.encode() for text in previous], FULL, beam=FULL, pool=FULL, sources=sources
    )

    _same_order(expected, found)
    model = {one.label: one.model for one in expected}
    source = {one.label: one.source for one in expected}
    for one in found:
        assert _close(model[one.label], one.model)
        assert source[one.label] == one.source


@given(pairs(), st.data())
def test_a_narrow_beam_keeps_what_the_definition_keeps(pair: Pair, data: st.DataObject) -> None:
    """Beam search prunes by prefix and width exactly as specified, matcher by matcher."""
    prefix, previous = data.draw(prefixes(pair)), data.draw(contexts(pair))
    k, beam, pool = (data.draw(st.integers(1, most)) for most in (20, 8, 30))
    constrained = data.draw(st.booleans())
    expected, gap = query.complete(
        pair.twin, prefix, previous, k=k, beam=beam, pool=pool, constrained=constrained
    )
    assume(gap > 1e-4)
    scratch = _scratch(pair)

    found = scratch.complete(
        prefix,
        [text.encode() for text in previous],
        k,
        beam=beam,
        pool=pool,
        matcher=1 if constrained else 2,
    )

    assert {one.label for one in expected} == set(scratch.candidates()[0].tolist())
    assert min(k, len(expected)) == len(found)
    for place, one in enumerate(found):
        assert _close(expected[place].score, one.score)


@given(pairs(), st.data())
def test_answers_keep_their_contract(pair: Pair, data: st.DataObject) -> None:
    """K of k, all under the prefix, all different, best first, the same every time."""
    prefix, previous = data.draw(prefixes(pair)), data.draw(contexts(pair))
    k, beam, pool = (data.draw(st.integers(1, most)) for most in (50, 5, 60))
    matcher = data.draw(st.sampled_from([0, 1, 2]))
    lo, hi = query.prefix_range(pair.twin.labels(), prefix)
    scratch, context = _scratch(pair), [text.encode() for text in previous]

    found = scratch.complete(prefix, context, k, beam=beam, pool=pool, matcher=matcher)

    assert min(k, hi - lo) == len(found)
    assert all(one.text.encode().startswith(prefix) for one in found)
    assert len({one.label for one in found}) == len(found)
    order = [(-one.score, one.label) for one in found]
    assert sorted(order) == order
    assert found == scratch.complete(prefix, context, k, beam=beam, pool=pool, matcher=matcher)
    again = _scratch(pair).complete(prefix, context, k, beam=beam, pool=pool, matcher=matcher)
    assert found == again


@given(pairs(), st.data())
def test_without_constraint_the_full_ranking_is_filtered(pair: Pair, data: st.DataObject) -> None:
    """At full beam both matchers order the model's labels alike."""
    prefix, previous = data.draw(prefixes(pair)), data.draw(contexts(pair))
    context = [text.encode() for text in previous]
    lo, hi = query.prefix_range(pair.twin.labels(), prefix)
    ranker = query.Ranker(pair.twin, query.vectorise(pair.twin, previous, prefix.decode()))
    scores = {label: s for label, s in ranker.label_scores().items() if lo <= label < hi}
    ranking = sorted(scores.values(), reverse=True)

    found = _scratch(pair).complete(
        prefix, context, FULL, beam=FULL, pool=FULL, sources=1, matcher=2
    )

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
