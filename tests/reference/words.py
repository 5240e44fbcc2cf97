"""A second reader of VOCA, NGRM and RELA, written from ``native/FORMAT.md`` alone.

Lists become dictionaries, so that a probability is what the specification says of it,
word by word, and nothing is searched.
"""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from tests.reference.format import Index, need

VOCABULARY: Final = np.dtype(
    [("n_words", "<u4"), ("n_slots", "<u4"), ("text_bytes", "<u4"), ("reserved", "<u4")]
)
NGRAMS: Final = np.dtype(
    [
        ("n_words", "<u4"),
        ("n_bigrams", "<u4"),
        ("n_contexts", "<u4"),
        ("n_trigrams", "<u4"),
        ("step", "<f4"),
        ("mix_context", "<f4"),
        ("mix_follow", "<f4"),
        ("decay", "<f4"),
        ("mix_related", "<f4"),
        ("end", "<u4"),
        ("unknown", "<u4"),
        ("half_life", "<f4"),
    ]
)
RELATIONS: Final = np.dtype(
    [
        ("n_rules", "<u4"),
        ("n_sources", "<u4"),
        ("n_related", "<u4"),
        ("n_heads", "<u4"),
        ("n_followers", "<u4"),
        ("reserved", "<u4", 3),
    ]
)
RULE: Final = np.dtype(
    [
        ("chance", "<f4"),
        ("at_end", "u1"),
        ("n_strip", "u1"),
        ("n_add", "u1"),
        ("reserved", "u1"),
        ("strip", "u1", 8),
        ("add", "u1", 8),
    ]
)
BLOCK: Final = 64
LONG: Final = 32
HEAD: Final = 16
MOST_BYTES: Final = 255
MOST_PROBES: Final = 1024
MOST_RULES: Final = 64
MOST_RELATED: Final = 255
LEAST_LIMIT: Final = np.float32(0.99)

START: Final = -1
"""The beginning of a query, in place of a word."""
UNKNOWN: Final = -2
"""A word that is not in the vocabulary."""

Parts = dict[str, NDArray[Any]]
Arrays = list[tuple[str, str, int]]
"""Name, type and length of the arrays behind a header."""
List = dict[int, int]
"""Words of a list, or the end, and their q."""


def word_hash(word: bytes) -> int:
    """Return the hash by which a word's own slot is found."""
    h = 0x811C9DC5
    for byte in word:
        h = (h ^ byte) * 0x01000193 % 2**32
    h = (h ^ h >> 16) * 0x85EBCA6B % 2**32
    return h ^ h >> 13


def _cut(data: bytes, head: np.dtype[Any], arrays: Arrays, label: str) -> Parts:
    """Cut a section that must be exactly a header and these arrays."""
    ends = places(head, arrays)
    need(ends["end"] == len(data), label, len(data))
    return {name: np.frombuffer(data, kind, n, ends[name]) for name, kind, n in arrays}


def places(head: np.dtype[Any], arrays: Arrays) -> dict[str, int]:
    """Return where each array begins, and the ``end``."""
    at = head.itemsize
    begins = {}
    for name, kind, n in arrays:
        begins[name] = at
        at += np.dtype(kind).itemsize * n
    return begins | {"end": at}


def vocabulary_arrays(head: Any) -> Arrays:
    """Return the arrays of VOCA."""
    return [
        ("offset", "<u4", int(head["n_words"]) + 1),
        ("slot", "<u4", int(head["n_slots"])),
        ("text", "u1", int(head["text_bytes"])),
    ]


def ngram_arrays(head: Any) -> Arrays:
    """Return the arrays of NGRM."""
    n, pairs = int(head["n_words"]), int(head["n_bigrams"])
    contexts, triples = int(head["n_contexts"]), int(head["n_trigrams"])
    masks, blocks = -(-(pairs + n) // 64), -(-n // BLOCK)
    return [
        ("has_next", "<u8", masks),
        ("rank", "<u4", masks + 1),
        ("pair_ptr", "<u4", n + 1),
        ("pair", "<u4", pairs),
        ("triple_ptr", "<u4", contexts + 1),
        ("triple", "<u4", triples),
        ("word", "u1", n),
        ("first", "u1", n),
        ("word_best", "u1", blocks),
        ("first_best", "u1", blocks),
        ("rest_of_word", "u1", n),
        ("rest_of_context", "u1", contexts),
    ]


def relation_arrays(head: Any) -> Arrays:
    """Return the arrays of RELA."""
    sources, heads = int(head["n_sources"]), int(head["n_heads"])
    return [
        ("rule", "V24", int(head["n_rules"])),
        ("word", "<u4", sources),
        ("word_ptr", "<u4", sources + 1),
        ("related", "<u4", int(head["n_related"])),
        ("label", "<u4", heads),
        ("label_ptr", "<u4", heads + 1),
        ("follower", "<u4", int(head["n_followers"])),
        ("users", "<u4", int(head["n_followers"])),
    ]


def _head(data: bytes, head: np.dtype[Any], label: str) -> Any:
    need(len(data) >= head.itemsize, label)
    return np.frombuffer(data, head, 1)[0]


# ---- vocabulary ----------------------------------------------------------------


def parse_words(data: bytes) -> list[bytes]:
    """Return the words, everything checked (V1 to V6)."""
    head = _head(data, VOCABULARY, "V1")
    n, slots = int(head["n_words"]), int(head["n_slots"])
    need(n < 1 << 24 and slots > n and slots.bit_count() == 1, "V1")
    parts = _cut(data, VOCABULARY, vocabulary_arrays(head), "V1")
    need(head["reserved"] == 0, "V2")
    offset, text = parts["offset"].tolist(), parts["text"].tobytes()
    need(offset[0] == 0 and offset[-1] == len(text), "V3")
    need(all(1 <= b - a <= MOST_BYTES for a, b in itertools.pairwise(offset)), "V3")
    words = [text[a:b] for a, b in itertools.pairwise(offset)]
    need(all(_is_text(word) and b" " not in word for word in words), "V4")
    need(all(a < b for a, b in itertools.pairwise(words)), "V5")
    slot = parts["slot"].tolist()
    need(sorted(number for number in slot if number) == list(range(1, n + 1)), "V6")
    for number, word in enumerate(words):
        own = word_hash(word)
        probes = 0
        while slot[(own + probes) % slots] != number + 1:
            need(slot[(own + probes) % slots] != 0, "V6", number)
            probes += 1
        need(probes < MOST_PROBES, "V6", number)
    return words


def _is_text(data: bytes) -> bool:
    try:
        data.decode()
    except UnicodeDecodeError:
        return False
    return True


# ---- n-grams -------------------------------------------------------------------


@dataclass(frozen=True)
class Ngrams:
    """The word model of an index.

    Attributes:
        words: The vocabulary; the end is word ``len(words)``.
        head: Header of NGRM.
        word, first: q of every word, anywhere and at the beginning of a query.
        pairs: List of every word.
        rest_of_word: q of what it leaves over.
        triples: List and q of what it leaves over, by the two words before.
    """

    words: list[bytes]
    head: Any
    word: list[int]
    first: list[int]
    pairs: list[List]
    rest_of_word: list[int]
    triples: dict[tuple[int, int], tuple[List, int]]

    def number(self, word: bytes) -> int:
        """Return the number of a word."""
        return self.words.index(word) if word in self.words else UNKNOWN

    def worth(self, q: int) -> float:
        """Return the probability that ``q`` stands for."""
        return math.exp(-q * float(self.head["step"]))

    def chance(self, u: int, v: int, w: int) -> float:
        """Return the probability of ``w`` after ``u`` and ``v``."""
        entries, rest = self.triples.get((u, v), ({}, 0))
        if w in entries:
            return self.worth(entries[w])
        return self.worth(rest) * self.chance_after(v, w)

    def chance_after(self, v: int, w: int) -> float:
        """Return the probability of ``w`` after ``v``."""
        entries, rest = (self.pairs[v], self.rest_of_word[v]) if v >= 0 else ({}, 0)
        if w in entries:
            return self.worth(entries[w])
        return self.worth(rest) * self.worth(self._single(v, w))

    def _single(self, v: int, w: int) -> int:
        if w == UNKNOWN:
            return int(self.head["unknown"])
        if w == len(self.words):
            return int(self.head["end"])
        return self.first[w] if v == START else self.word[w]

    def after(self, before: list[bytes]) -> tuple[int, int]:
        """Return the two words that count of those before."""
        numbers = [UNKNOWN, START, *map(self.number, before)]
        return numbers[-2], numbers[-1]

    def likely(self, before: list[bytes], prefix: bytes, k: int) -> list[float]:
        """Return probabilities of the words :c:func:`esp_word_likely` gives, best first.

        Which of equal ones are kept is not specified.
        """
        u, v = self.after(before)
        end = len(self.words)
        fits = {w for w, word in enumerate(self.words) if word.startswith(prefix)}
        everything = len(fits) == end
        wanted = fits | {end} if everything else fits
        triple = self.triples.get((u, v), ({}, 0))[0]
        pair = self.pairs[v] if v >= 0 else {}
        seen: set[int] = set()
        found: set[int] = set()
        for entries in (triple, pair, {w: self._single(v, w) for w in fits}):
            # After a space the beginning of a long list is all that is looked at.
            short = everything and len(entries) > LONG and entries in (triple, pair)
            words = [w for w in list(entries)[: HEAD if short else None] if w in wanted]
            words.sort(key=entries.__getitem__)
            found |= {*words[:k]} - seen
            seen |= {*entries}
        chances = [self.chance(u, v, w) for w in found if w != end or not prefix]
        return sorted(chances, reverse=True)[:k]


def parse_ngrams(data: bytes, words: list[bytes]) -> Ngrams:
    """Return the word model, everything checked (G1 to G7)."""
    head = _head(data, NGRAMS, "G1")
    n = len(words)
    need(head["n_words"] == n, "G1")
    parts = _cut(data, NGRAMS, ngram_arrays(head), "G1")
    _check_numbers(head)
    bits = [int(mask) >> bit & 1 for mask in parts["has_next"] for bit in range(64)]
    ranks = [sum(bits[:at]) for at in range(0, len(bits) + 1, 64)]
    need(parts["rank"].tolist() == ranks and ranks[-1] == head["n_contexts"], "G3")
    need(not any(bits[len(parts["pair"]) + n :]), "G3")
    pair_lists = _lists(parts["pair_ptr"], parts["pair"], n)
    triple_lists = _lists(parts["triple_ptr"], parts["triple"], n)
    need(all(triple_lists), "G4", "empty")
    pair_word = [word for entries in pair_lists for word in entries]
    pair_left = [v for v, entries in enumerate(pair_lists) for _ in entries]
    places = [*zip(pair_left, pair_word, strict=True), *((START, v) for v in range(n))]
    rest = parts["rest_of_context"].tolist()
    for name in ("word", "first"):
        q = parts[name]
        best = [int(q[i : i + BLOCK].min()) for i in range(0, n, BLOCK)]
        need(parts[f"{name}_best"].tolist() == best, "G7", name)
    return Ngrams(
        words=words,
        head=head,
        word=parts["word"].tolist(),
        first=parts["first"].tolist(),
        pairs=pair_lists,
        rest_of_word=parts["rest_of_word"].tolist(),
        triples={
            place: (triple_lists[sum(bits[:at])], rest[sum(bits[:at])])
            for at, place in enumerate(places)
            if bits[at]
        },
    )


def _check_numbers(head: Any) -> None:
    need(0 < head["step"] <= np.float32(0.1), "G2", "step")
    for name in ("mix_context", "mix_related"):
        need(0 <= head[name] <= LEAST_LIMIT, "G2", name)
    need(0 <= head["mix_follow"] <= 1, "G2", "mix_follow")
    need(0 < head["decay"] <= 1, "G2", "decay")
    need(0 <= head["half_life"] < math.inf, "G2", "half_life")
    need(head["end"] <= 255 and head["unknown"] <= 255, "G2", "end")


def _lists(ptr: NDArray[Any], entry: NDArray[Any], n_words: int) -> list[List]:
    """Return lists in their order, which is checked (G4 to G6)."""
    bounds = ptr.tolist()
    need(bounds[0] == 0 and bounds[-1] == len(entry) and bounds == sorted(bounds), "G4")
    lists: list[List] = []
    for begin, end in itertools.pairwise(bounds):
        items = [(number >> 24, number & 0xFFFFFF) for number in entry[begin:end].tolist()]
        need(all(word <= n_words for _, word in items), "G5")
        n_head = HEAD if len(items) > LONG else 0
        head, others = items[:n_head], [word for _, word in items[n_head:]]
        need(head == sorted(set(head)) and others == sorted(set(others)), "G5")
        if head:
            need(head == sorted(items)[:n_head], "G6")
        need(len({word for _, word in items}) == len(items), "G6")
        lists.append({word: q for q, word in items})
    return lists


# ---- relations -----------------------------------------------------------------


@dataclass(frozen=True)
class Rule:
    """A change at one end of a word."""

    chance: float
    at_end: bool
    strip: bytes
    add: bytes

    def apply(self, word: bytes) -> bytes | None:
        """Return what a word becomes; None if the part is not there, or is all there is."""
        has = word.endswith(self.strip) if self.at_end else word.startswith(self.strip)
        if not has or len(word) == len(self.strip):
            return None
        if self.at_end:
            return word[: len(word) - len(self.strip)] + self.add
        return self.add + word[len(self.strip) :]


@dataclass(frozen=True)
class Relations:
    """What people type after what.

    Attributes:
        rules: In order of the file.
        related: Words after a word, best first, with their q.
        followers: Labels right after a label, ascending, with their users.
    """

    rules: list[Rule]
    related: dict[int, list[tuple[int, int]]]
    followers: dict[int, list[tuple[int, int]]]


def parse_relations(data: bytes, n_words: int, n_labels: int) -> Relations:
    """Return the relations, everything checked (Q1 to Q8)."""
    head = _head(data, RELATIONS, "Q1")
    need(head["n_rules"] <= MOST_RULES, "Q1")
    parts = _cut(data, RELATIONS, relation_arrays(head), "Q1")
    found = [_rule(row) for row in parts["rule"].view(RULE)]
    need(not head["reserved"].any(), "Q3")
    related: dict[int, list[tuple[int, int]]] = {}
    for word, entries in _keyed(parts["word"], parts["word_ptr"], parts["related"], n_words, "Q5"):
        items = [(number & 0xFFFFFF, number >> 24) for number in entries]
        after, order = [item[0] for item in items], [item[1] for item in items]
        need(len(items) <= MOST_RELATED and order == sorted(order), "Q6")
        need(len(set(after) | {word}) == len(after) + 1 and max(after) < n_words, "Q6")
        related[word] = items
    followers: dict[int, list[tuple[int, int]]] = {}
    both = np.arange(len(parts["follower"]))
    for label, at in _keyed(parts["label"], parts["label_ptr"], both, n_labels, "Q7"):
        after, users = parts["follower"][at].tolist(), parts["users"][at].tolist()
        need(after == sorted(set(after)) and after[-1] < n_labels, "Q8")
        need(label not in after and 0 not in users, "Q8")
        followers[label] = list(zip(after, users, strict=True))
    return Relations(found, related, followers)


def _rule(row: Any) -> Rule:
    n_strip, n_add = int(row["n_strip"]), int(row["n_add"])
    need(n_strip <= 8 and n_add <= 8 and 0 < row["chance"] <= 1, "Q2")
    need(row["reserved"] == 0 and row["at_end"] <= 1, "Q3")
    strip, add = row["strip"].tobytes(), row["add"].tobytes()
    need(not any(strip[n_strip:]) and not any(add[n_add:]), "Q4")
    strip, add = strip[:n_strip], add[:n_add]
    need(_is_text(strip) and _is_text(add) and strip != add, "Q4")
    return Rule(float(row["chance"]), bool(row["at_end"]), strip, add)


def _keyed(
    key: NDArray[Any], ptr: NDArray[Any], entry: NDArray[Any], limit: int, label: str
) -> list[tuple[int, list[int]]]:
    """Return keys with their lists, none of which is empty."""
    keys, bounds = key.tolist(), ptr.tolist()
    need(keys == sorted(set(keys)) and all(number < limit for number in keys), label)
    need(bounds[0] == 0 and bounds[-1] == len(entry), label)
    need(bounds == sorted(set(bounds)), label)
    lists = [entry[begin:end].tolist() for begin, end in itertools.pairwise(bounds)]
    return list(zip(keys, lists, strict=True))


# ---- an index ------------------------------------------------------------------


def parse(index: Index) -> tuple[Ngrams, Relations] | None:
    """Return the words of an index, None where it has none; everything is checked."""
    there = {name for name in ("VOCA", "NGRM", "RELA") if name in index.sections}
    if not there:
        return None
    need({"VOCA", "NGRM"} <= there, "S1")
    words = parse_words(index.sections["VOCA"])
    ngrams = parse_ngrams(index.sections["NGRM"], words)
    relations = Relations([], {}, {})
    if "RELA" in there:
        relations = parse_relations(index.sections["RELA"], len(words), index.n_labels)
    return ngrams, relations
