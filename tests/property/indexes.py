"""Random small indexes, for comparing the library with its twin."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from hypothesis import strategies as st
from numpy.typing import NDArray

from espalier.native import NativeIndex
from tests.reference import build, query
from tests.reference import format as reference

# Classes of characters may change between Unicode versions for new ones; those of
# version 3.2 have settled, so that any Python agrees with the library's tables.
SETTLED = st.characters(exclude_categories=["Cs"]).filter(
    lambda c: (
        unicodedata.ucd_3_2_0.category(c) not in {"Cn", "Co"}
        and unicodedata.category(c) == unicodedata.ucd_3_2_0.category(c)
    )
)
TEXTS = st.text(st.one_of(st.sampled_from("ab e é字テ👟"), SETTLED), max_size=12)
"""Texts that mix words, separators, scripts without spaces and four-byte characters."""

PHRASE_WORDS = [
    *("shoe", "shoes", "red", "box", "boxes", "sun", "glasses", "sunglasses"),
    *("t-shirt", "tshirt", "to", "1", "12", "größe"),
]
"""Words of texts that are variants of each other."""
VALUES = [b"category:a", b"category:b", b"category:b c", b"locale:de", "locale:字".encode()]
"""What labels may have; some of it none has."""
POST_PROCESSORS = (0, 1, 2, 11, 12, 13, 21, 22, 23)


def _random_words(n: int, seed: int) -> list[str]:
    rng = np.random.default_rng(seed)
    letters = "abcdefghijklmnopqrstuvwxyz é字"
    return [
        "".join(letters[i] for i in rng.integers(len(letters), size=rng.integers(1, 7)))
        for _ in range(n)
    ]


@st.composite
def label_texts(draw: st.DrawFn) -> list[bytes]:
    """Draw sorted distinct labels: few or many, alike or not, some prefixes of others."""
    kind = draw(st.sampled_from(["few", "unicode", "many", "deep", "fan"]))
    if kind == "few":
        texts = draw(st.lists(st.text("ab ", min_size=1, max_size=6), min_size=1, max_size=60))
    elif kind == "unicode":
        texts = draw(st.lists(TEXTS.filter(bool), min_size=1, max_size=40))
    elif kind == "many":
        texts = _random_words(draw(st.integers(50, 500)), draw(st.integers(0, 2**32)))
    elif kind == "deep":
        stem = draw(st.text("xy", min_size=1, max_size=9)) * draw(st.integers(1, 40))
        tails = draw(st.lists(st.text("ab", max_size=8), min_size=1, max_size=60))
        texts = [stem + tail for tail in tails]
    else:
        first, step = draw(st.integers(1, 500)), draw(st.integers(1, 50))
        texts = [chr(first + i * step) + "z" * (i % 3) for i in range(draw(st.integers(20, 300)))]
    return sorted({text.encode() for text in texts})


@st.composite
def phrase_texts(draw: st.DrawFn) -> list[bytes]:
    """Draw sorted distinct labels of which many are variants of each other."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    n = draw(st.integers(1, 200))
    phrases = (" ".join(rng.choice(PHRASE_WORDS, rng.integers(1, 5))) for _ in range(n))
    return sorted({phrase.encode() for phrase in phrases})


def _nest(labels: Sequence[int], rng: np.random.Generator, arity: int, depth: int) -> build.Nested:
    """Return a random tree: ragged, with single children and wide leaves."""
    if depth == 0 or rng.random() < 0.25:
        return labels
    parts = int(rng.integers(1, min(len(labels), arity) + 1))
    cuts = np.sort(rng.choice(np.arange(1, len(labels)), parts - 1, replace=False)).tolist()
    return [
        _nest(labels[begin:end], rng, arity, depth - 1)
        for begin, end in zip([0, *cuts], [*cuts, len(labels)], strict=True)
    ]


@dataclass(frozen=True)
class Pair:
    """One file, opened by the library and by its twin."""

    data: bytes
    native: NativeIndex
    twin: reference.Index

    @property
    def n_labels(self) -> int:
        """Number of labels."""
        return self.twin.n_labels


def opened(sections: build.Sections) -> Pair:
    """Assemble a file and open it twice."""
    data = build.assemble(sections)
    return Pair(data, NativeIndex.from_bytes(data), reference.parse(data))


def _keys(texts: Sequence[bytes], rng: np.random.Generator) -> list[int]:
    """Return some of the features that queries will have, and some they will not."""
    known = {int(key) for key in rng.integers(1 << 32, size=3)}
    for text in texts[:60]:
        known |= query.word_terms(text.decode()).keys()
        known |= query.char_terms(text.decode()[:4], position_weighted=False).keys()
    keep = rng.random(len(known)) < rng.choice([0.1, 0.6, 1.0])
    return [key for key, kept in zip(sorted(known), keep, strict=True) if kept][:250]


def random_weights(
    n_features: int, n_children: int, rng: np.random.Generator
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return weights with empty rows and columns, and biases."""
    weights = rng.normal(0, 0.7, (n_features, n_children)).astype(np.float32)
    weights *= rng.random((n_features, n_children)) < rng.choice([0.05, 0.5, 1.0])
    weights[rng.random(n_features) < 0.2] = 0
    weights[:, rng.random(n_children) < 0.1] = 0
    return weights, rng.normal(0, 0.5, n_children).astype(np.float32)


@st.composite
def index_sections(
    draw: st.DrawFn, label_lists: st.SearchStrategy[list[bytes]] | None = None
) -> build.Sections:
    """Draw the sections of an index with labels, features and a model."""
    texts = draw(label_texts() if label_lists is None else label_lists)
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    users = rng.integers(0, draw(st.sampled_from([1, 3, 1000])) + 1, len(texts))
    decays = draw(st.booleans())
    shares = rng.choice([0.0, 0.01, 0.2, 0.9], len(VALUES)) * draw(st.sampled_from([0, 1]))
    labels = [
        build.Label(
            text,
            int(count),
            text.upper() if rng.random() < 0.3 else None,
            int(count) << 8 >> int(rng.integers(12)) if decays else None,
            frozenset(v for v, share in zip(VALUES, shares, strict=True) if rng.random() < share),
        )
        for text, count in zip(texts, users, strict=True)
    ]
    order = list(range(len(texts)))
    if draw(st.booleans()):
        order = rng.permutation(len(texts)).tolist()
    arity = draw(st.sampled_from([1, 2, 3, 8, 300]))
    tree = build.flatten(_nest(order, rng, arity, draw(st.integers(0, 6))))
    keys = _keys(texts, rng)
    return build.sections(
        labels,
        params=build.Params(
            post_processor=draw(st.sampled_from(POST_PROCESSORS)),
            prefix_features=draw(st.sampled_from([0, 1, 2])),
            max_context=draw(st.sampled_from([0, 1, 2, 3, 10])),
            context_decay=draw(st.sampled_from([0.0, 0.5, 1.0])),
            blend_model=draw(st.sampled_from([0.5, 1.0])),
            blend_popularity=draw(st.sampled_from([0.0, 1.0, 2.5])),
        ),
        space=build.Space(keys, rng.uniform(0, 3, len(keys)).astype(np.float32).tolist()),
        tree=tree,
        weigh=lambda _, n: random_weights(len(keys), n, rng),
        weight_bits=draw(st.sampled_from([16, 32])),
    )


def pairs() -> st.SearchStrategy[Pair]:
    """Draw an index opened by both readers."""
    return index_sections().map(opened)


def alike_pairs() -> st.SearchStrategy[Pair]:
    """Draw an index opened by both readers, half of the time of labels much alike."""
    return st.one_of(pairs(), index_sections(phrase_texts()).map(opened))


@st.composite
def prefixes(draw: st.DrawFn, pair: Pair) -> bytes:
    """Draw a typed prefix: mostly the beginning of a label, at times mistyped."""
    kind = draw(st.sampled_from(["short", "short", "long", "mistyped", "any"]))
    if kind == "any":
        return draw(TEXTS).encode()
    text = pair.twin.label(draw(st.integers(0, pair.n_labels - 1))).decode()
    if kind == "short":
        return text[: draw(st.integers(0, min(len(text), 4)))].encode()
    text = text[: draw(st.sampled_from([5, 6, 9, 12]))]
    if kind == "mistyped" and len(text) > 1:
        at = draw(st.integers(1, len(text) - 1))
        text = text[:at] + draw(st.sampled_from(["", "a", "é", text[at - 1]])) + text[at + 1 :]
    return text.encode()


@st.composite
def contexts(draw: st.DrawFn, pair: Pair) -> list[str]:
    """Draw previous queries, some of them labels."""
    label = st.integers(0, pair.n_labels - 1).map(lambda i: pair.twin.label(i).decode())
    return draw(st.lists(st.one_of(label, TEXTS), max_size=4))


@st.composite
def filters(draw: st.DrawFn, pair: Pair) -> query.Filter | None:
    """Draw a filter, of values that some labels, few or none have; None without attributes."""
    if "ATTR" not in pair.twin.sections:
        return None
    values = st.lists(st.sampled_from([*VALUES, b"locale:nowhere"]), max_size=3).map(tuple)
    few = st.one_of(st.just(()), values)
    return draw(st.builds(query.Filter, few, few, few))
