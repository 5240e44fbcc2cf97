"""Random small word models and sessions, for comparing the generator with its twin."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from hypothesis import strategies as st

from espalier.native import blocklist_build
from tests.property.indexes import Pair, index_sections, opened
from tests.reference.blocklist import NOTHING, Blocklist, parse
from tests.reference.build_words import (
    ngram_head,
    ngram_section,
    relation_section,
    vocabulary_section,
)
from tests.reference.tails import Session
from tests.reference.words import START, List, Ngrams, Relations, Rule

SCRIPTS = {
    "ascii": [
        *("red", "reds", "shoe", "shoes", "shoos", "run", "running", "r", "a.com", "12", "1"),
        *("sale", "sales", "salt", "shop", "redshoe", "shoerun"),
    ],
    "german": ["größe", "größen", "schuh", "schuhe", "straße", "strasse", "über", "grün", "grüne"],
    "japanese": [
        "東京",
        "東京都",
        "京都",
        "靴",
        "くつ",
        "赤い靴",
        "スニーカー",
        "スニーカ",
        "赤い",
        "赤",
    ],
    "arabic": ["حذاء", "أحذية", "احذية", "أحمر", "احمر", "رياضي", "رياضية", "سعر", "أسعار"],
}
RULES = [
    Rule(0.25, at_end=True, strip=b"", add=b"s"),
    Rule(0.5, at_end=True, strip=b"s", add=b""),
    Rule(0.125, at_end=True, strip=b"", add=b"n"),
    Rule(0.2, at_end=False, strip="أ".encode(), add="ا".encode()),
    Rule(0.1, at_end=True, strip="都".encode(), add=b""),
]


@dataclass(frozen=True)
class Spoken:
    """An index with a word model, in both readings.

    Attributes:
        words: Words people of this script type; the vocabulary has some of them.
    """

    pair: Pair
    ngrams: Ngrams
    relations: Relations
    words: list[bytes]
    blocklist: Blocklist = NOTHING

    def session(self, previous: Sequence[bytes], prefix: bytes, age: Sequence[int] = ()) -> Session:
        """Return what the session makes likely, as much of it as the index looks at."""
        return Session(
            self.ngrams,
            self.relations,
            previous[: self.max_context],
            prefix,
            age,
            blocklist=self.blocklist,
        )

    def blocking(self, queries: list[bytes], words: list[bytes], *, numbers: bool) -> Spoken:
        """Return the same index with a list of what is never put together."""
        section = blocklist_build(queries, words, numbers=numbers)
        pair = opened(self.pair.twin.sections | {"BLCK": section})
        return replace(self, pair=pair, blocklist=parse(section))

    @property
    def max_context(self) -> int:
        """Previous queries that count."""
        return int(self.pair.twin.params["max_context"])


def _entries(rng: np.random.Generator, n: int, most: int) -> List:
    size = int(rng.integers(0, min(most, n) + 1))
    return {int(word): int(rng.integers(256)) for word in rng.permutation(n)[:size]}


def random_ngrams(words: Sequence[bytes], rng: np.random.Generator, **head: float) -> Ngrams:
    """Return a word model with any numbers in it."""
    n = len(words)
    most = int(rng.choice([1, 3, n + 1]))
    pairs = [_entries(rng, n + 1, most) for _ in words]
    places = [(u, v) for u, entries in enumerate(pairs) for v in entries if v < n]
    places += [(START, v) for v in range(n)]
    return Ngrams(
        words=list(words),
        head=ngram_head(**head),
        word=rng.integers(0, 256, n).tolist(),
        first=rng.integers(0, 256, n).tolist(),
        pairs=pairs,
        rest_of_word=rng.integers(0, 80, n).tolist(),
        triples={
            place: (entries, int(rng.integers(80)))
            for place in places
            if rng.random() < 0.5 and (entries := _entries(rng, n + 1, most))
        },
    )


def random_relations(n_words: int, n_labels: int, rng: np.random.Generator) -> Relations:
    """Return relations with any numbers in them."""
    related: dict[int, list[tuple[int, int]]] = {}
    for word in range(n_words):
        others = [int(other) for other in rng.permutation(n_words) if other != word]
        others = others[: int(rng.integers(0, 5))]
        if others:
            q = np.sort(rng.integers(0, 100, len(others))).tolist()
            related[word] = sorted(zip(others, q, strict=True), key=lambda item: item[1])
    followers: dict[int, list[tuple[int, int]]] = {}
    for label in range(n_labels):
        after = sorted({int(one) for one in rng.integers(0, n_labels, 3)} - {label})
        if after and rng.random() < 0.5:
            followers[label] = [(one, int(rng.integers(1, 50))) for one in after]
    rules = [rule for rule in RULES if rng.random() < 0.6]
    return Relations(rules, related, followers)


def _phrases(words: Sequence[str], rng: np.random.Generator, n: int, longest: int) -> list[bytes]:
    return [
        " ".join(rng.choice(list(words), rng.integers(1, longest + 1))).encode() for _ in range(n)
    ]


@st.composite
def spoken(draw: st.DrawFn, *, most_words: int = 12) -> Spoken:
    """Draw an index whose labels are phrases, with a word model of some of their words."""
    typed = SCRIPTS[draw(st.sampled_from(sorted(SCRIPTS)))]
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    n = draw(st.integers(1, min(most_words, len(typed))))
    words = sorted(word.encode() for word in rng.permutation(typed)[:n])
    labels = sorted(set(_phrases(typed, rng, draw(st.integers(1, 60)), 4)))
    ngrams = random_ngrams(
        words,
        rng,
        mix_context=draw(st.sampled_from([0.0, 0.4, 0.9])),
        mix_follow=draw(st.sampled_from([0.0, 0.5, 1.0])),
        mix_related=draw(st.sampled_from([0.0, 0.2])),
        decay=draw(st.sampled_from([0.5, 1.0])),
        half_life=draw(st.sampled_from([0.0, 600.0])),
    )
    relations = random_relations(n, len(labels), rng)
    sections = draw(index_sections(st.just(labels)))
    sections |= {
        "VOCA": vocabulary_section(words),
        "NGRM": ngram_section(ngrams),
        "RELA": relation_section(relations),
    }
    return Spoken(opened(sections), ngrams, relations, [word.encode() for word in typed])


@st.composite
def sessions(
    draw: st.DrawFn, index: Spoken, *, most_queries: int = 3, longest: int = 4
) -> tuple[list[bytes], list[int], bytes]:
    """Draw previous queries, their ages (or none), and what has been typed now."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    known = [word.decode() for word in index.words] + ["zz", "unheard"]
    previous = _phrases(known, rng, draw(st.integers(0, most_queries)), longest)
    if previous and index.pair.n_labels and draw(st.booleans()):
        previous[0] = index.pair.twin.label(int(rng.integers(index.pair.n_labels)))
    aged = draw(st.booleans())
    oldest = draw(st.sampled_from([300, 3_000, 30_000]))
    ages = sorted(rng.integers(0, oldest, len(previous)).tolist()) if aged else []
    # Mostly a beginning of what may come: of a phrase, of a previous query, of a label.
    wanted = [*_phrases(known, rng, 1, 3), *previous, *index.pair.twin.labels()[:20]]
    text = wanted[int(rng.integers(len(wanted)))].decode()
    cut = draw(st.integers(0, len(text)))
    prefix = text[:cut] + (" " if draw(st.integers(0, 5)) == 0 and text[:cut].strip() else "")
    return previous, ages, prefix.replace("  ", " ").encode()
