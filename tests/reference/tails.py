"""What a session makes likely, by definition: the twin of context, steps and generator.

A session is words with weights; a step is a sum of four probabilities; a completion
is a product of steps, and every completion there can be is looked at. The caps of the
library (words of a session, words related to it) are kept, since what is beyond them
counts nowhere.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final

from tests.reference.blocklist import NOTHING, Blocklist
from tests.reference.words import UNKNOWN, Ngrams, Relations

QUERIES: Final = 8
OWN: Final = 40
WORDS: Final = 64
TOKENS: Final = 128
MADE: Final = 512
RELATED_QUERIES: Final = 2
NEAR_BYTES: Final = 4
NEAR_SHARED: Final = 2
FADED: Final = 2**-10
COMMON: Final = 0.002
COMMON_COUNTS: Final = 0.2
COMMON_TIMES: Final = 60
SELDOM: Final = 0.45
CORRECTED_TIMES: Final = math.log(16)
CORRECTION: Final = 0.3
JOINED: Final = 0.2
PART: Final = 0.2
PART_BYTES: Final = 3
PARTED_BYTES: Final = 40
TOPICS: Final = 48
FITTING: Final = 16
LATER: Final = 8
GENERATED_WORDS: Final = 6
GENERATED_BYTES: Final = 120


@dataclass
class Word:
    """A word of a session; ``like`` is the one it is a form of, itself if it is none."""

    text: bytes
    weight: float
    like: bytes


@dataclass
class _Relative:
    text: bytes
    like: bytes | None
    weight: float


def _insert(best: list[_Relative], room: int, one: _Relative) -> None:
    """Keep a list of the heaviest, heaviest first as they came; equal texts add up."""
    for there in best:
        if there.text == one.text:
            there.weight += one.weight
            return
    if len(best) == room:
        if one.weight <= best[-1].weight:
            return
        best.pop()
    at = len(best)
    while at > 0 and best[at - 1].weight < one.weight:
        at -= 1
    best.insert(at, one)


def near(a: bytes, b: bytes) -> bool:
    """Return whether two words differ in one place only, by at most two bytes."""
    shorter, longer = sorted((a, b), key=len)
    for cut in range(3):
        for at in range(len(longer) - cut + 1):
            rest = longer[at + cut :]
            for put in range(3):
                end = len(shorter) - len(rest)
                if end - at == put and shorter[:at] + shorter[end:] == longer[:at] + rest:
                    return True
    return False


class Session:
    """Previous queries, newest first, and what has been typed now."""

    def __init__(
        self,
        ngrams: Ngrams,
        relations: Relations,
        previous: Sequence[bytes],
        prefix: bytes,
        age: Sequence[int] = (),
        *,
        blocklist: Blocklist = NOTHING,
    ) -> None:
        self.ngrams = ngrams
        self.blocklist = blocklist
        self.relations = relations
        self.previous = list(previous[: self.fresh(age)][:QUERIES])
        self.prefix = prefix
        *self.typed, self.partial = self._cut(prefix)
        fades = [self._fade(age[place]) if age else 1.0 for place in range(len(self.previous))]
        self.trust = max(fades, default=1.0)
        decay = float(self.ngrams.head["decay"])
        self.weights = [decay**place * fade / self.trust for place, fade in enumerate(fades)]
        self.own: dict[bytes, Word] = {}
        self.tokens: list[list[bytes]] = []
        self._fill()
        for one in self.own.values():
            one.weight *= COMMON_COUNTS if self.common(one.text) else 1
        self.words = dict(self.own)
        self._relate()

    def fresh(self, age: Sequence[int]) -> int | None:
        """Return how many of the newest queries are not too old to count, None for all."""
        if not age:
            return None
        return len(list(itertools.takewhile(lambda one: self._fade(one) >= FADED, age)))

    def _fade(self, age: int) -> float:
        """Return what is left of a previous query after so many seconds."""
        half_life = float(self.ngrams.head["half_life"])
        fade: float = 2 ** (-age / half_life) if half_life else 1
        return fade

    @staticmethod
    def _cut(prefix: bytes) -> list[bytes]:
        *typed, partial = prefix.split(b" ")
        return [*filter(None, typed), partial]

    def _fill(self) -> None:
        left = TOKENS
        for query, weight in zip(self.previous, self.weights, strict=True):
            tokens: list[bytes] = []
            for text in filter(None, query.split(b" ")):
                if self.blocklist.hides(text.decode(), query.decode()):
                    continue
                if left == 0 or (text not in self.own and len(self.own) == OWN):
                    break
                self.own.setdefault(text, Word(text, 0.0, text)).weight += weight
                tokens.append(text)
                left -= 1
            self.tokens.append(tokens)

    # ---- words related to the session's ----

    def _relate(self) -> None:
        fitting: list[_Relative] = []
        later: list[_Relative] = []
        room = MADE
        newest = [word for tokens in self.tokens[:RELATED_QUERIES] for word in tokens]
        for text in dict.fromkeys(newest):
            relatives: list[_Relative] = []
            for rule in self.relations.rules:
                made = rule.apply(text)
                known = made is not None and self.ngrams.number(made) != UNKNOWN
                worth_it = known or (self.partial and self.ngrams.number(text) == UNKNOWN)
                if made and worth_it and len(made) <= room and made.startswith(self.partial):
                    room -= len(made)
                    relatives.append(_Relative(made, text, self.own[text].weight * rule.chance))
            relatives += self._corrections(text)
            relatives += self._topics(text)
            relatives += self._parts(text)
            for one in relatives:
                self._keep(one, fitting, later)
        for tokens in self.tokens[:RELATED_QUERIES]:
            for first, second in itertools.pairwise(tokens):
                joined = first + second
                if len(joined) <= room and joined.startswith(self.partial):
                    room -= len(joined)
                    weight = self.own[first].weight * JOINED
                    self._keep(_Relative(joined, first, weight), fitting, later)
        for one in fitting + later:
            blocked = self.blocklist.hides(one.text.decode(), "")
            if len(self.words) < WORDS and not blocked:
                self.words[one.text] = Word(one.text, one.weight, one.like or one.text)

    def _keep(self, one: _Relative, fitting: list[_Relative], later: list[_Relative]) -> None:
        if one.text in self.own:
            return
        if one.text.startswith(self.partial):
            _insert(fitting, FITTING, one)
        else:
            _insert(later, LATER, one)

    def _parts(self, text: bytes) -> Iterator[_Relative]:
        """Yield the two words that a word is put together of, the rarer as common as can be."""
        if len(text) > PARTED_BYTES:
            return
        number = self.ngrams.number(text)
        least = 256 if number == UNKNOWN else self.ngrams.word[number]
        best = None
        for at in range(PART_BYTES, len(text) - PART_BYTES + 1):
            parts = text[:at], text[at:]
            numbers = [self.ngrams.number(part) for part in parts]
            if UNKNOWN not in numbers:
                rarer = max(self.ngrams.word[part] for part in numbers)
                if rarer < least:
                    best, least = parts, rarer
        for part in best or ():
            yield _Relative(part, text, self.own[text].weight * PART)

    def _corrections(self, text: bytes) -> Iterator[_Relative]:
        begin = text[:NEAR_SHARED]
        if len(self.partial) > NEAR_SHARED:
            begin = self.partial
        if len(text) < NEAR_BYTES or text[:NEAR_SHARED] != begin[:NEAR_SHARED]:
            return
        number = self.ngrams.number(text)
        own = 256 if number == UNKNOWN else int(self.ngrams.word[number])
        least = own - int(CORRECTED_TIMES / float(self.ngrams.head["step"]))
        for other, q in zip(self.ngrams.words, self.ngrams.word, strict=True):
            if other.startswith(begin) and q < least and near(other, text):
                weight = self.own[text].weight * CORRECTION * (1 + (own - q) / 64)
                yield _Relative(other, text, weight)

    def _topics(self, text: bytes) -> Iterator[_Relative]:
        for other, q in self.relations.related.get(self.ngrams.number(text), [])[:TOPICS]:
            weight = self.own[text].weight * self.ngrams.worth(q)
            yield _Relative(self.ngrams.words[other], None, weight)

    # ---- steps ----

    def used(self, words: Sequence[bytes]) -> set[bytes]:
        """Return the words of the session that are used up by some that were used."""
        there = [self.words[word] for word in words if word in self.words]
        return {word.text for word in there} | {word.like for word in there}

    def _followers(self, words: Sequence[bytes]) -> list[tuple[bytes | None, float]]:
        """Return what came next in a previous query, None for its end, with its weight."""
        found: list[tuple[bytes | None, float]] = []
        last = words[-1] if words else None
        like = self.words[last].like if last in self.words else None
        for tokens, weight in zip(self.tokens, self.weights, strict=True):
            if not words:
                found += [(token, weight) for token in tokens[:1]]
                continue
            found += [
                (tokens[place] if place < len(tokens) else None, weight)
                for place, token in enumerate(tokens, 1)
                if token == like
            ]
        return found

    def plain(self, words: Sequence[bytes], word: bytes | None) -> float:
        """Return the word model's probability of a word, None for the end, after others."""
        u, v = self.ngrams.after(list(words))
        return self.ngrams.chance(u, v, self._number(word))

    def seen(self, words: Sequence[bytes]) -> set[int]:
        """Return the words, and perhaps the end, that were seen after the last one."""
        u, v = self.ngrams.after(list(words))
        pairs = self.ngrams.pairs[v] if v >= 0 else {}
        return {*pairs, *self.ngrams.triples.get((u, v), ({}, 0))[0]}

    def _number(self, word: bytes | None) -> int:
        return len(self.ngrams.words) if word is None else self.ngrams.number(word)

    def is_new(self, words: Sequence[bytes], word: bytes) -> bool:
        """Return whether a word has a word before it after which it was never seen."""
        return bool(words) and self._number(word) not in self.seen(words)

    def chance(self, words: Sequence[bytes], word: bytes | None) -> float:
        """Return the probability of a word, None for the end, with the session in it."""
        head = self.ngrams.head
        used = self.used(words)
        followers = self._followers(words)
        unused = sum(one.weight for one in self.own.values() if one.text not in used)
        relatives = sum(
            one.weight
            for one in self.words.values()
            if one.text not in self.own and one.text not in used
        )
        following = sum(weight for _, weight in followers)
        mixed, follow = float(head["mix_context"]) * self.trust, float(head["mix_follow"])
        copy = mixed * follow if following else 0.0
        cache = mixed * (1 - follow) if unused else 0.0
        related = float(head["mix_related"]) * self.trust if relatives else 0.0
        chance = (1 - copy - cache) * (1 - related) * self.plain(words, word)
        if word in self.own and word not in used:
            chance += cache * self.own[word].weight / unused
        elif word in self.words and word not in used:
            chance += related * self.words[word].weight / relatives
        if following and (word is None or word in self.words):
            chance += copy * sum(w for token, w in followers if token == word) / following
        return chance

    # ---- completions ----

    def choices(self, words: Sequence[bytes], *, first: bool) -> set[bytes]:
        """Return the words that may come next.

        The first one begins as typed and may be any that does, known or not. Later ones
        were seen after the words before, or the session brings them.
        """
        if first:
            known = [*self.ngrams.words, *self.words]
            fitting = {word for word in known if word.startswith(self.partial)}
            own = {self.partial} if self.partial else set()
            if not words:
                fitting = {word for word in fitting if not self.filler(word)}
            return {word for word in fitting if not self.repeats(words, word)} | own
        seen = self.seen(words) - {len(self.ngrams.words)}
        found = {self.ngrams.words[number] for number in seen} | set(self.words)
        return {word for word in found if not self.repeats(words, word)}

    def repeats(self, words: Sequence[bytes], word: bytes) -> bool:
        """Return whether a word is there already, and nobody says it after the last two."""
        u, v = self.ngrams.after(list(words))
        listed = self.ngrams.triples.get((u, v), ({}, 0))[0]
        return word in words and self._number(word) not in listed

    def common(self, word: bytes) -> bool:
        """Return whether a word stands in queries of every kind."""
        number = self.ngrams.number(word)
        share = 0.0 if number == UNKNOWN else self.ngrams.worth(int(self.ngrams.word[number]))
        return share > COMMON and share * len(self.ngrams.words) > COMMON_TIMES

    def filler(self, word: bytes) -> bool:
        """Return whether a common word seldom begins a query."""
        if not self.common(word):
            return False
        number = self.ngrams.number(word)
        first, anywhere = self.ngrams.first[number], self.ngrams.word[number]
        return self.ngrams.worth(int(first)) < SELDOM * self.ngrams.worth(int(anywhere))

    def completions(self, most_words: int) -> dict[bytes, float]:
        """Return every completion of at most so many words still to come, with its probability."""
        stem = self.prefix[: len(self.prefix) - len(self.partial)]
        found: dict[bytes, float] = {}
        level: list[_Path] = [_Path()]
        for number in range(min(most_words, GENERATED_WORDS)):
            level = [
                longer
                for path in level
                for word in self.choices([*self.typed, *path.words], first=number == 0)
                if (
                    longer := _Path(
                        [*path.words, word],
                        path.chance * self.chance([*self.typed, *path.words], word),
                    )
                ).bytes
                <= GENERATED_BYTES
            ]
            for path in level:
                words = [*self.typed, *path.words]
                found[stem + b" ".join(path.words)] = path.chance * self.chance(words, None)
        return found


@dataclass(frozen=True)
class _Path:
    words: list[bytes] = field(default_factory=list)
    chance: float = 1.0

    @property
    def bytes(self) -> int:
        return sum(len(word) + 1 for word in self.words)
