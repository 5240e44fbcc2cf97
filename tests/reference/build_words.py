"""VOCA, NGRM and RELA from what the second reader makes of them: its inverse."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import chain
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tests.reference.words import (
    BLOCK,
    HEAD,
    LONG,
    NGRAMS,
    RELATIONS,
    RULE,
    START,
    VOCABULARY,
    List,
    Ngrams,
    Relations,
    Rule,
    word_hash,
)


def _u4(numbers: Iterable[int]) -> NDArray[np.uint32]:
    return np.array(list(numbers), "<u4")


def _bounds(lists: Iterable[Sequence[Any]]) -> NDArray[np.uint32]:
    return np.cumsum([0, *map(len, lists)]).astype("<u4")


def vocabulary_section(words: Sequence[bytes]) -> bytes:
    """Return VOCA; ``words`` ascend."""
    head = np.zeros(1, VOCABULARY)
    slots = 1
    while slots < len(words) + len(words) // 2 + 1:
        slots *= 2
    table = [0] * slots
    for number, word in enumerate(words):
        slot = word_hash(word) % slots
        while table[slot]:
            slot = (slot + 1) % slots
        table[slot] = number + 1
    head["n_words"], head["n_slots"] = len(words), slots
    head["text_bytes"] = sum(map(len, words))
    parts = [head.tobytes(), _bounds(words).tobytes(), _u4(table).tobytes(), *words]
    return b"".join(parts)


def ordered(entries: List) -> list[int]:
    """Return the packed entries of a list, in the order of the file."""
    best = sorted(entries, key=lambda word: (entries[word], word))
    head = best[:HEAD] if len(entries) > LONG else []
    return [word | entries[word] << 24 for word in [*head, *sorted(set(entries) - set(head))]]


def ngram_head(**numbers: float) -> Any:
    """Return a header of NGRM with usual numbers, or others."""
    head = np.zeros(1, NGRAMS)
    usual = {"step": 0.075, "mix_context": 0.4, "mix_follow": 0.5, "decay": 0.6}
    for name, value in (usual | {"mix_related": 0.2, "end": 10, "unknown": 120} | numbers).items():
        head[name] = value
    return head[0]


def ngram_section(made: Ngrams) -> bytes:
    """Return NGRM; numbers of the header that count something are counted."""
    n = len(made.words)
    pairs = [ordered(entries) for entries in made.pairs]
    left = [v for v, entries in enumerate(pairs) for _ in entries]
    places = [
        *((v, entry & 0xFFFFFF) for v, entry in zip(left, chain(*pairs), strict=True)),
        *((START, v) for v in range(n)),
    ]
    known = [place for place in places if place in made.triples]
    triples = [ordered(made.triples[place][0]) for place in known]
    pair, triple = list(chain(*pairs)), list(chain(*triples))
    bits = np.zeros(-(-len(places) // 64) * 64, np.uint8)
    bits[[places.index(place) for place in known]] = 1
    head = np.array([made.head], NGRAMS)
    head["n_words"], head["n_bigrams"] = n, len(left)
    head["n_contexts"], head["n_trigrams"] = len(known), len(triple)

    def best(q: Sequence[int]) -> bytes:
        return bytes(min(q[at : at + BLOCK]) for at in range(0, n, BLOCK))

    parts = [
        head.tobytes(),
        np.packbits(bits, bitorder="little").tobytes(),
        np.append(0, bits.reshape(-1, 64).sum(axis=1).cumsum()).astype("<u4").tobytes(),
        _bounds(pairs).tobytes(),
        _u4(pair).tobytes(),
        _bounds(triples).tobytes(),
        _u4(triple).tobytes(),
        bytes(made.word),
        bytes(made.first),
        best(made.word),
        best(made.first),
        bytes(made.rest_of_word),
        bytes(made.triples[place][1] for place in known),
    ]
    return b"".join(parts)


def relation_section(made: Relations) -> bytes:
    """Return RELA."""
    head = np.zeros(1, RELATIONS)
    rules = np.zeros(len(made.rules), RULE)
    for row, rule in zip(rules, made.rules, strict=True):
        row["chance"], row["at_end"] = rule.chance, rule.at_end
        row["n_strip"], row["n_add"] = len(rule.strip), len(rule.add)
        row["strip"][: len(rule.strip)] = np.frombuffer(rule.strip, np.uint8)
        row["add"][: len(rule.add)] = np.frombuffer(rule.add, np.uint8)
    related, followers = list(made.related.values()), list(made.followers.values())
    head["n_rules"], head["n_sources"], head["n_heads"] = len(rules), len(related), len(followers)
    head["n_related"], head["n_followers"] = sum(map(len, related)), sum(map(len, followers))
    arrays = [
        _u4(made.related),
        _bounds(related),
        _u4(word | q << 24 for entries in related for word, q in entries),
        _u4(made.followers),
        _bounds(followers),
        _u4(label for entries in followers for label, _ in entries),
        _u4(users for entries in followers for _, users in entries),
    ]
    return head.tobytes() + rules.tobytes() + b"".join(array.tobytes() for array in arrays)


def worked_example() -> dict[str, bytes]:
    """Return the sections that ``native/FORMAT.md`` works through."""
    red, shoe, shoes, end = range(4)
    ngrams = Ngrams(
        words=[b"red", b"shoe", b"shoes"],
        head=ngram_head(),
        word=[16, 12, 20],
        first=[11, 13, 22],
        pairs=[{shoe: 9, shoes: 16}, {end: 4}, {}],
        rest_of_word=[20, 17, 0],
        triples={(START, red): ({shoe: 8}, 12)},
    )
    relations = Relations(
        rules=[Rule(0.25, at_end=True, strip=b"", add=b"s")],
        related={shoe: [(red, 40)]},
        followers={0: [(1, 3)]},
    )
    return {
        "VOCA": vocabulary_section(ngrams.words),
        "NGRM": ngram_section(ngrams),
        "RELA": relation_section(relations),
    }
