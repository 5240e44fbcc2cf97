"""What an index answers, by definition: the slow twin of the query path.

Nothing here is clever. A prefix range is found by looking at every label,
popularity by sorting, a label's score by walking its whole path, and the beam
is a list that is sorted at every level. Numbers are float64 throughout.
"""

from __future__ import annotations

import itertools
import math
import unicodedata
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from tests.reference import attributes, fuzzy, variants
from tests.reference.format import Index

F64 = NDArray[np.float64]
Vector = dict[int, float]
Scored = tuple[float, int]

WORD_SEED: Final = 0x9AE16A3B2F90404F
CHAR_SEED: Final = 0xC3A5C85C97CB3127
PHRASE_SEED: Final = 0xB492B66FBE98F273
GRAM_SEED: Final = 0x9FB21C651E98DF25
MASK: Final = (1 << 64) - 1
UNSPACED: Final = (
    (0x0E00, 0x0EFF),
    (0x1000, 0x109F),
    (0x1780, 0x17FF),
    (0x3040, 0x30FF),
    (0x3400, 0x4DBF),
    (0x4E00, 0x9FFF),
    (0xF900, 0xFAFF),
    (0x20000, 0x3FFFF),
)
LISTED: Final = 2048
"""Ranges of at most so many labels are compared with nodes label by label."""
NOOP: Final = 0
# Words of all previous queries together that count.
CONTEXT_TERMS: Final = 128
LINEAR_OUTPUT: Final = frozenset({0, 2, 21, 22, 23})
"""Post-processors whose scores come out as they are; the others' logs are undone."""


# ---- prefix and popularity ---------------------------------------------------


def prefix_range(labels: Sequence[bytes], prefix: bytes) -> tuple[int, int]:
    """Return the labels that start with ``prefix``; (0, 0) like any empty range."""
    found = [i for i, label in enumerate(labels) if label.startswith(prefix)]
    return (found[0], found[-1] + 1) if found else (0, 0)


def by_popularity(popularity: Sequence[int], lo: int, hi: int) -> list[int]:
    """Return the labels of a range, most popular first, ties by number."""
    return sorted(range(lo, hi), key=lambda label: (-popularity[label], label))


def popularity_now(index: Index) -> list[int]:
    """Return the popularity a completion goes by: decayed where the index has that."""
    assert index.users is not None
    values: list[int] = (index.users if index.recent is None else index.recent).tolist()
    return values


# ---- features ----------------------------------------------------------------


def hash_ngram(seed: int, text: str) -> int:
    """Return the 32-bit key of an n-gram."""
    state = seed
    for byte in text.encode():
        state = (state ^ byte) * 0x100000001B3 & MASK
    state = (state ^ state >> 33) * 0xFF51AFD7ED558CCD & MASK
    state = (state ^ state >> 33) * 0xC4CEB9FE1A85EC53 & MASK
    return state >> 32


def kind_of(character: str) -> str:
    """Return "separator", "word" or "unspaced": what a character is to the words around it."""
    if unicodedata.category(character)[0] not in "LMN":
        return "separator"
    point = ord(character)
    return "unspaced" if any(lo <= point <= hi for lo, hi in UNSPACED) else "word"


def words(text: str) -> Iterator[str]:
    """Yield runs of letters, marks and digits; pairs of characters in unspaced scripts."""
    start = 0
    while start < len(text):
        kind = kind_of(text[start])
        end = start
        while end < len(text) and kind_of(text[end]) == kind:
            end += 1
        run = text[start:end]
        if kind == "word" or (kind == "unspaced" and len(run) == 1):
            yield run
        elif kind == "unspaced":
            yield from (run[i : i + 2] for i in range(len(run) - 1))
        start = end


def ngrams(text: str) -> Iterator[tuple[int, str]]:
    """Yield the character 1- to 3-grams with their offsets."""
    for size in (1, 2, 3):
        for at in range(len(text) - size + 1):
            yield at, text[at : at + size]


def word_terms(text: str, factor: float = 1.0) -> Vector:
    """Return key and weight of each word."""
    terms: Vector = defaultdict(float)
    for word in words(text):
        terms[hash_ngram(WORD_SEED, word)] += factor
    return dict(terms)


def char_terms(text: str, *, position_weighted: bool) -> Vector:
    """Return key and weight of each character n-gram."""
    terms: Vector = defaultdict(float)
    for at, ngram in ngrams(text):
        terms[hash_ngram(CHAR_SEED, ngram)] += 1 / (at + 1) if position_weighted else 1.0
    return dict(terms)


def _runs(text: str) -> list[str]:
    """Return the longest runs of characters of one kind, separators left out."""
    return [
        "".join(run) for kind, run in itertools.groupby(text, key=kind_of) if kind != "separator"
    ]


def phrase_terms(text: str, n: int) -> Vector:
    """Return key and count of each run of ``n`` words."""
    runs = _runs(text)
    terms: Vector = defaultdict(float)
    for at in range(len(runs) - n + 1):
        terms[hash_ngram(PHRASE_SEED + n, " ".join(runs[at : at + n]))] += 1
    return dict(terms)


def gram_terms(text: str, n: int) -> Vector:
    """Return key and count of each run of ``n`` characters of a word with its ends marked."""
    terms: Vector = defaultdict(float)
    for run in _runs(text):
        word = f"_{run}_"
        for at in range(max(1, len(word) - n + 1)):
            terms[hash_ngram(GRAM_SEED + n, word[at : at + n])] += 1
    return dict(terms)


def _block(index: Index, terms: Vector) -> Vector:
    """Return known features times idf, of unit length."""
    assert index.keys is not None
    assert index.idf is not None
    number = {int(key): i for i, key in enumerate(index.keys)}
    known = {
        number[key]: weight * float(index.idf[number[key]])
        for key, weight in terms.items()
        if key in number
    }
    length = math.sqrt(sum(weight**2 for weight in known.values()))
    return {i: weight / length for i, weight in known.items()} if length else {}


def vectorise(index: Index, previous: Sequence[str], prefix: str) -> Vector:
    """Return the features of previous queries (newest first) and prefix."""
    params = index.params
    context: Vector = defaultdict(float)
    counted = previous[: int(params["max_context"])]
    said = [(age, word) for age, query in enumerate(counted) for word in words(query)]
    for age, word in said[:CONTEXT_TERMS]:
        context[hash_ngram(WORD_SEED, word)] += float(params["context_decay"]) ** age
    blocks = [_block(index, context)]
    if params["prefix_features"]:
        weighted = bool(params["prefix_features"] == 2)
        blocks.append(_block(index, char_terms(prefix, position_weighted=weighted)))
    share = 1 / math.sqrt(max(1, sum(map(bool, blocks))))
    vector: Vector = defaultdict(float)
    for block in blocks:
        for i, weight in block.items():
            vector[i] += weight * share
    return dict(vector)


# ---- tree --------------------------------------------------------------------


def _log_sigmoid(v: F64) -> F64:
    return -np.logaddexp(0.0, -v)


def _log_hinge(power: int) -> Callable[[F64], F64]:
    return lambda v: -(np.maximum(0.0, 1.0 - v) ** power)


TRANSFORMS: Final[dict[int, Callable[[F64], F64]]] = {
    0: lambda v: v,
    1: _log_sigmoid,
    2: _log_sigmoid,
    11: _log_hinge(1),
    12: _log_hinge(2),
    13: _log_hinge(3),
    21: _log_hinge(1),
    22: _log_hinge(2),
    23: _log_hinge(3),
}


@dataclass(frozen=True)
class Found:
    """Outcome of a search.

    Attributes:
        labels: Score and label, best first.
        gap: Smallest difference by which something was cut from the beam or the
            pool: below rounding error another choice is as right.
        start: Node below which the prefix leaves a choice.
    """

    labels: list[Scored]
    gap: float
    start: int


class Ranker:
    """The tree's scores for one feature vector."""

    def __init__(self, index: Index, vector: Vector) -> None:
        self.index = index
        self.vector = vector
        self.post = int(index.params["post_processor"])
        self._own: dict[int, F64] = {}

    def own_scores(self, node: int) -> F64:
        """Return the transformed margins of a node's children."""
        if node not in self._own:
            margins = [
                chunk.bias
                + sum(
                    (value * chunk.weights[i] for i, value in self.vector.items()),
                    np.zeros(len(chunk.bias)),
                )
                for chunk in self.index.chunks(node)
            ]
            self._own[node] = TRANSFORMS[self.post](np.concatenate(margins))
        return self._own[node]

    def combine(self, parent: float, own: float) -> float:
        """Return the score of a child."""
        return own if self.post == NOOP else parent + own

    def output(self, score: float) -> float:
        """Return the score a caller of predict sees."""
        return score if self.post in LINEAR_OUTPUT else math.exp(score)

    def label_scores(self, start: int = 0) -> dict[int, float]:
        """Return the score of every label below a node along its whole path."""
        scores: dict[int, float] = {}
        todo = [(start, 0.0)]
        for node, score in todo:
            begin, end, are_labels = self.index.children(node)
            for child, own in zip(range(begin, end), self.own_scores(node), strict=True):
                total = self.combine(score, float(own))
                if are_labels:
                    scores[int(self.index.label_at[child])] = total
                else:
                    todo.append((child, total))
        return scores

    def labels_below(self, node: int) -> set[int]:
        """Return the labels below a node."""
        assert self.index.tree is not None
        at = self.index.tree[node]
        return set(self.index.label_at[at["pos_begin"] : at["pos_end"]].tolist())

    def _survives(self, node: int, lo: int, hi: int) -> bool:
        assert self.index.tree is not None
        at = self.index.tree[node]
        if hi - lo > LISTED:
            return bool(at["label_max"] >= lo and at["label_min"] < hi)
        return not self.labels_below(node).isdisjoint(range(lo, hi))

    def _covered(self, node: int, lo: int, hi: int) -> bool:
        assert self.index.tree is not None
        at = self.index.tree[node]
        return bool(lo <= at["label_min"] and at["label_max"] < hi)

    def start(self, lo: int, hi: int) -> int:
        """Walk down while the range leaves one child."""
        node = 0
        while True:
            begin, end, are_labels = self.index.children(node)
            if are_labels or self._covered(node, lo, hi):
                return node
            survivors = [child for child in range(begin, end) if self._survives(child, lo, hi)]
            if len(survivors) != 1:
                return node
            node = survivors[0]

    def expand(
        self, level: list[Scored], lo: int, hi: int, *, constrained: bool
    ) -> Iterator[Scored]:
        """Yield the nodes of the next level; a node of labels stays as it is."""
        for score, node in level:
            begin, end, are_labels = self.index.children(node)
            if are_labels:
                yield score, node
                continue
            for child, own in zip(range(begin, end), self.own_scores(node), strict=True):
                if not constrained or self._survives(child, lo, hi):
                    yield self.combine(score, float(own)), child

    def labels_of(self, level: list[Scored]) -> Iterator[Scored]:
        """Yield the labels of a level of nodes that have no child nodes."""
        for score, node in level:
            begin, end, _ = self.index.children(node)
            for position, own in zip(range(begin, end), self.own_scores(node), strict=True):
                yield self.combine(score, float(own)), int(self.index.label_at[position])

    def search(
        self,
        lo: int,
        hi: int,
        *,
        constrained: bool,
        beam: int,
        pool: int,
        passing: AbstractSet[int] | None = None,
    ) -> Found:
        """Return the best labels by beam search, of those ``passing`` where that is given."""
        gaps = [math.inf]

        def best(items: Iterator[Scored], limit: int) -> list[Scored]:
            ranked = sorted(items, key=lambda item: (-item[0], item[1]))
            if len(ranked) > limit:
                gaps.append(ranked[limit - 1][0] - ranked[limit][0])
            return ranked[:limit]

        start = self.start(lo, hi) if constrained else 0
        level: list[Scored] = [(0.0, start)]
        while any(not self.index.children(node)[2] for _, node in level):
            level = best(self.expand(level, lo, hi, constrained=constrained), beam)
        found = best(
            (
                (score, label)
                for score, label in self.labels_of(level)
                if (not constrained or lo <= label < hi) and (passing is None or label in passing)
            ),
            pool,
        )
        return Found(found, min(gaps), start)


# ---- completion --------------------------------------------------------------

MODEL: Final = 1
POPULAR: Final = 2
CORRECTED: Final = 8
RANKED: Final = 48
"""Labels that are ranked, at least."""


@dataclass(frozen=True)
class Candidate:
    """One label that was ranked; ``edits`` separate it from what was typed."""

    score: float
    label: int
    source: int
    model: float
    popularity: float
    edits: int = 0

    @property
    def order(self) -> tuple[int, float, int]:
        """What candidates are sorted by: total."""
        return self.edits, -self.score, self.label


@dataclass(frozen=True)
class Answer:
    """What a completion is.

    Attributes:
        found: Best first, at most ``k``.
        considered: Every label that was looked at, to be suggested or not.
        gap: Smallest difference by which the search cut something.
    """

    found: list[Candidate]
    considered: set[int]
    gap: float


@dataclass(frozen=True)
class Filter:
    """Values a label must have: all, any, none of these."""

    all_of: tuple[bytes, ...] = ()
    any_of: tuple[bytes, ...] = ()
    none_of: tuple[bytes, ...] = ()

    def passes(self, values: frozenset[bytes]) -> bool:
        """Return whether a label with these values may be suggested."""
        return (
            values.issuperset(self.all_of)
            and (not self.any_of or not values.isdisjoint(self.any_of))
            and values.isdisjoint(self.none_of)
        )


@dataclass(frozen=True)
class Asked:
    """A query without its defaults.

    Attributes:
        blocked: Texts an overlay keeps out.
        fresh: How many previous queries are not too old to count.
        filter: What labels must have; None for anything.
    """

    prefix: bytes
    previous: Sequence[str]
    k: int
    beam: int
    pool: int
    sources: int = MODEL | POPULAR | CORRECTED
    constrained: bool = True
    keep_variants: bool = False
    blocked: frozenset[bytes] = frozenset()
    fresh: int = 32
    filter: Filter | None = None

    @property
    def counted(self) -> Sequence[str]:
        """The previous queries that count."""
        return self.previous[: self.fresh]

    def wants(self, index: Index, source: int) -> bool:
        """Return whether a source may contribute. Nothing typed and nothing known asks one.

        Nothing is known to an index that was trained to do without sessions.
        """
        known = self.counted and index.params["max_context"]
        if not self.prefix and not known and self.sources & POPULAR:
            return source == POPULAR
        return bool(self.sources & source)

    def eligible(self, text: bytes) -> bool:
        """Return whether a text may be suggested: not blocked, not the last query again."""
        just = self.previous[0].encode() if self.previous else None
        return text not in self.blocked and text != just


class _Completion:
    """One query on its way to an answer; ``source`` has every label that is considered."""

    def __init__(self, index: Index, asked: Asked) -> None:
        self.asked = asked
        self.params = index.params
        self.wants_popular = asked.wants(index, POPULAR)
        self.labels, self.users = index.labels(), popularity_now(index)
        self.passing = passing(index, asked.filter)
        lo, hi = prefix_range(self.labels, asked.prefix)
        self.popular = by_popularity(self.users, lo, hi)
        self.most = max(1, self.users[self.popular[0]]) if self.popular else 1
        self.has_model = (
            asked.wants(index, MODEL) and index.tree is not None and index.keys is not None
        )
        self.gap = math.inf
        self.source: dict[int, int] = {}
        self.edits: dict[int, int] = {}
        self.model: dict[int, float] = {}
        if self.has_model and self.popular:
            self._search(Ranker(index, vectorise(index, asked.counted, asked.prefix.decode())))
        if asked.wants(index, POPULAR):
            offered = [label for label in self.popular if self.eligible(label)]
            for label in offered[: max(2 * asked.k, 32)]:
                self.source.setdefault(label, POPULAR)
        if asked.wants(index, CORRECTED) and sum(map(self.eligible, self.source)) < asked.k:
            for label, distance in corrected(self.labels, self.users, asked, self.passing):
                self.source[label], self.edits[label] = CORRECTED, distance
                self.model[label] = 0.0

    def _search(self, ranker: Ranker) -> None:
        asked = self.asked
        lo, hi = min(self.popular), max(self.popular) + 1
        found = ranker.search(
            lo,
            hi,
            constrained=asked.constrained,
            beam=asked.beam,
            pool=max(asked.k, asked.pool),
            passing=self.passing,
        )
        self.gap = found.gap
        self.source = {label: MODEL for _, label in found.labels if lo <= label < hi}
        # The others are scored down their own paths, from where the search began.
        self.model = ranker.label_scores(found.start)
        self.model |= {label: score for score, label in found.labels}

    def eligible(self, label: int) -> bool:
        return label in self.passing and self.asked.eligible(self.labels[label])

    def candidate(self, label: int) -> Candidate:
        """Score a label: by the tree, by popularity, or by both with the file's weights."""
        share = self.users[label] / self.most
        model, popularity = self.model.get(label, 0.0), math.log(share + 1e-9)
        if not self.has_model:
            score = popularity
        elif not self.wants_popular:
            score = model
        else:
            score = float(self.params["blend_model"]) * model
            score += float(self.params["blend_popularity"]) * popularity
        return Candidate(score, label, self.source[label], model, share, self.edits.get(label, 0))

    def answer(self) -> list[Candidate]:
        asked = self.asked
        candidates = sorted(
            (self.candidate(label) for label in self.source if self.eligible(label)),
            key=lambda one: one.order,
        )
        ranked = [one for one in candidates if not one.edits][: max(asked.k, RANKED)]
        answer: list[Candidate] = []

        def take(one: Candidate) -> None:
            text = self.labels[one.label].decode()
            better = [self.labels[other.label].decode() for other in answer]
            if len(answer) < asked.k and (
                asked.keep_variants or not any(variants.same(text, other) for other in better)
            ):
                answer.append(one)

        for one in ranked:
            take(one)
        if self.wants_popular:
            # Whatever else there is, in the order of popularity and below all that was ranked.
            least = answer[-1].score if answer else 0.0
            done = {one.label for one in ranked}
            others = [label for label in self.popular if label in self.passing]
            for place, label in enumerate(others, 1):
                if label not in done and self.eligible(label):
                    share = self.users[label] / self.most
                    take(Candidate(least - place, label, POPULAR, 0.0, share))
        for one in candidates:
            if one.edits:
                # Below all that begins as typed, also for who sorts by score.
                take(replace(one, score=answer[-1].score - 1 if answer else 0.0))
        return answer


def complete(index: Index, asked: Asked) -> Answer:
    """Return what an index without generator and forest answers."""
    completion = _Completion(index, asked)
    return Answer(completion.answer(), set(completion.source), completion.gap)


def passing(index: Index, wanted: Filter | None) -> AbstractSet[int]:
    """Return the labels that a filter lets through."""
    if wanted is None:
        return set(range(index.n_labels))
    values = attributes.parse(index.sections["ATTR"], index.n_labels)
    return {label for label, own in enumerate(values) if wanted.passes(own)}


def corrected(
    labels: Sequence[bytes], users: Sequence[int], asked: Asked, passing: AbstractSet[int]
) -> Iterator[tuple[int, int]]:
    """Yield labels that start almost as typed and their distance, nearest first.

    Of the 16 best ranges the 8 most popular labels each, as many as twice ``k`` and 32.
    """
    prefix = asked.prefix.decode()
    errors = 0 if not 4 <= len(prefix) <= 64 else 1 if len(prefix) < 8 else 2
    left = min(2 * asked.k, 32)
    texts = [label.decode() for label in labels]
    for match in fuzzy.ranges(texts, users, prefix, errors)[:16] if errors else []:
        popular = [i for i in by_popularity(users, match.lo, match.hi) if i in passing]
        for label in popular[:8]:
            if left and asked.eligible(labels[label]):
                yield label, match.distance
                left -= 1
