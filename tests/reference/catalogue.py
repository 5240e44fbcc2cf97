"""The words of products: the CATA section, and what a query knows of a product, by definition.

Features are those of ``native/FEATURES.md``, "What retrieval knows of a product".
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from tests.reference.format import need
from tests.reference.words import Arrays, places

HEADER: Final = np.dtype(
    [
        ("n_labels", "<u4"),
        ("n_words", "<u4"),
        ("word_kinds", "<u4"),
        ("text_kinds", "<u4"),
        ("k1", "<f4"),
        ("b", "<f4"),
        ("average", "<f4"),
        ("pool", "<u4"),
        ("stemmer", "u1", 16),
        ("word_bytes", "<u4"),
        ("reserved", "<u4", 3),
    ]
)


def arrays(head: Any) -> Arrays:
    """Return the arrays of CATA."""
    word = "<u2" if head["word_bytes"] == 2 else "<u4"
    return [("begin", "<u4", int(head["n_labels"]) + 1), ("word", word, int(head["n_words"]))]


@dataclass(frozen=True)
class Titles:
    """CATA, decoded: the header, and the words of every label."""

    head: Any
    words: list[list[int]]


@dataclass(frozen=True)
class Shop:
    """What the features of products are made of: titles, FIDF, USER."""

    titles: Titles
    idf: Sequence[float]
    pairs: Sequence[int]


def parse(section: bytes, n_labels: int, n_features: int) -> Titles:
    """Check E1 to E4 and return the words of every label."""
    need(len(section) >= HEADER.itemsize, "E1")
    head = np.frombuffer(section, HEADER, 1)[0]
    need(head["word_bytes"] in {2, 4}, "E1")
    begins = places(HEADER, arrays(head))
    need(head["n_labels"] == n_labels and begins["end"] == len(section), "E1")
    name = head["stemmer"].tobytes().rstrip(b"\0")
    need(0 < len(name) < 16 and all(0x20 < byte < 0x7F for byte in name), "E2")
    need(
        int(head["word_kinds"]) & ~0b11001 == 0 and int(head["text_kinds"]) & ~0b11100000 == 0, "E2"
    )
    for field in ("k1", "b", "average"):
        need(bool(np.isfinite(head[field])) and head[field] >= 0, "E2", field)
    need(head["b"] <= 1 and head["pool"] > 0 and not head["reserved"].any(), "E2")
    part = {
        name: np.frombuffer(section, kind, n, begins[name]).tolist()
        for name, kind, n in arrays(head)
    }
    begin = part["begin"]
    need(begin[0] == 0 and begin[-1] == head["n_words"] and begin == sorted(begin), "E3")
    need(all(word < n_features for word in part["word"]), "E4")
    return Titles(head, [part["word"][a:b] for a, b in itertools.pairwise(begin)])


@dataclass(frozen=True)
class Asked:
    """A query: numbers of its words (None: no title has it), and which have a digit."""

    words: Sequence[int | None]
    digits: Sequence[bool]


@dataclass(frozen=True)
class Found:
    """A product: its label, the tree's score and place, its place in the host's list."""

    label: int
    model: float
    rank: int
    host_rank: int


def features(
    shop: Shop, asked: Asked, found: Sequence[Found], n_tree: int
) -> list[dict[str, float]]:
    """Return the features of every product found, the tree's ``n_tree`` before the host's own."""
    n = len(shop.titles.words)
    weights = [
        math.log(1 + (n + 0.5) / 0.5) if word is None else shop.idf[word] ** 2
        for word in asked.words
    ]
    best = [shop.titles.words[one.label][:64] for one in found[:n_tree]][:10]
    rows = [_row(shop, asked, weights, one, best) for one in found]
    for row in rows:
        row["model_gap"] = row["model"] - max(other["model"] for other in rows)
        row["words_gap"] = row["words"] - max(other["words"] for other in rows)
    return rows


def _row(
    shop: Shop, asked: Asked, weights: Sequence[float], one: Found, best: Sequence[list[int]]
) -> dict[str, float]:
    titles, idf, pairs = shop.titles, shop.idf, shop.pairs
    title = titles.words[one.label][:64]
    head = titles.head
    k1, b = float(head["k1"]), float(head["b"])
    slow = k1 * (1 - b + b * len(title) / float(head["average"]))
    times = [0 if word is None else title.count(word) for word in asked.words]
    hit = [count > 0 for count in times]
    at = [i for i, word in enumerate(title) if word in {w for w in asked.words if w is not None}]
    last = [i for i, word in enumerate(title) if asked.words and word == asked.words[-1]]
    side_by_side = [
        None not in pair and pair in set(itertools.pairwise(title))
        for pair in itertools.pairwise(asked.words)
    ]
    numbers = [was for was, digit in zip(hit, asked.digits, strict=True) if digit]
    words = sum(w * c * (k1 + 1) / (c + slow) for w, c in zip(weights, times, strict=True) if c)
    total = sum(weights)
    return {
        "model": one.model,
        "model_rank": math.log(1 + one.rank),
        "words": words,
        "beyond_words": one.model - words,
        "matched": sum(hit) / len(hit) if hit else 0,
        "matched_weight": sum(itertools.compress(weights, hit)) / total if total else 0,
        "heaviest_missed": max(
            (w for w, was in zip(weights, hit, strict=True) if not was), default=0
        ),
        "first_matched": float(bool(hit) and hit[0]),
        "last_matched": float(bool(hit) and hit[-1]),
        "first_place": min(at, default=-1),
        "last_place": max(last, default=-1),
        "from_end": len(title) - 1 - max(last) if last else -1,
        "span": max(at) - min(at) if at else -1,
        "pairs": sum(side_by_side) / len(side_by_side) if side_by_side else 0,
        "numbers": sum(numbers) / len(numbers) if numbers else 1,
        "title_words": len(title),
        "query_words": len(hit),
        "query_weight": total,
        "query_unknown": sum(word is None for word in asked.words),
        "like_3": _likeness(title, idf, best[:3], one.rank),
        "like_10": _likeness(title, idf, best, one.rank),
        "log_pairs": math.log(1 + pairs[one.label]),
        "host": 1 / one.host_rank if one.host_rank else 0,
    }


def _likeness(
    title: list[int], idf: Sequence[float], best: Sequence[list[int]], rank: int
) -> float:
    """Return how much of the title, by weight, stands in an average one of the best others."""
    self_counts = 1 if rank < len(best) else 0
    others = len(best) - self_counts
    weight = sum(idf[word] ** 2 for word in title)
    if not others or not weight:
        return 0.0
    common = sum(
        idf[word] ** 2 * max(sum(other.count(word) for other in best) - self_counts, 0)
        for word in title
    )
    return common / (weight * others)
