"""What the blender knows about a candidate, by the sentences of ``native/src/rank.h``."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from tests.reference.tails import Session

Features = dict[str, float]

CANDIDATE_WORDS: Final = 32
SIGNATURE_BITS: Final = 8
GAPS: Final = {
    "model_gap": "model",
    "word_chance_gap": "word_chance",
    "session_chance_gap": "session_chance",
}


@dataclass(frozen=True)
class Facts:
    """What the index says about one candidate, besides its text.

    Attributes:
        users: Distinct users, None for what is no label.
        popularity: Decayed users over those of the prefix's best label.
        model: Log score of the tree, NaN for what it does not know.
        followed: Users who typed it right after the previous query.
        matched: Bytes of it that the prefix accounts for.
        sources: Names of the source features that are 1.
        edits: Between the prefix and its beginning.
    """

    users: int | None
    popularity: float
    model: float
    followed: int
    matched: int
    sources: frozenset[str] = frozenset()
    edits: int = 0


@dataclass(frozen=True)
class Asked:
    """What is the same for all candidates of a query.

    Attributes:
        labels: Labels that begin with the prefix.
        most: Users of the most popular of them, at least 1.
        first_users: Users of the previous query, at least 1.
        previous: All previous queries, newest first; the session looks at eight.
        age: Seconds since the newest, None if not known.
    """

    session: Session
    labels: int
    most: int = 1
    first_users: int = 1
    previous: Sequence[bytes] = ()
    age: int | None = None


def trigrams(text: bytes) -> set[int]:
    """Return the trigrams of a text with a space in front, as numbers of 8 bits."""
    padded = b" " + text
    return {
        (int.from_bytes(padded[at : at + 3], "big") * 0x9E3779B1 & 0xFFFFFFFF)
        >> (32 - SIGNATURE_BITS)
        for at in range(len(padded) - 2)
    }


def alike(a: bytes, b: bytes) -> float:
    """Return the trigrams two texts share, over those that either has."""
    left, right = trigrams(a), trigrams(b)
    return len(left & right) / len(left | right) if left | right else 0.0


def common(a: bytes, b: bytes) -> int:
    """Return the length of the common beginning."""
    n = 0
    while n < min(len(a), len(b)) and a[n] == b[n]:
        n += 1
    return n


def _words(text: bytes) -> list[bytes]:
    return [word for word in text.split(b" ") if word][:CANDIDATE_WORDS]


def _language(session: Session, words: list[bytes]) -> Features:
    """Return the chances of the words still to come, one after the other."""
    typed = len(session.typed)
    plain, mixed, new_pairs, weakest = 0.0, 0.0, 0, 0.0
    before = list(session.typed)
    for word in [*words[typed:], None]:
        chance = session.plain(before, word)
        plain += math.log(chance)
        mixed += math.log(session.chance(before, word))
        if word is None:
            break
        weakest = min(weakest, math.log(chance))
        new_pairs += session.is_new(before, word)
        before.append(word)
    return {
        "word_chance": plain,
        "weakest_word": weakest,
        "end_chance": math.log(session.plain(before, None)),
        "new_pairs": new_pairs,
        "session_chance": mixed,
        "session_lift": mixed - plain,
    }


def _context(asked: Asked, text: bytes, facts: Facts, words: list[bytes]) -> Features:
    session = asked.session
    if not session.previous:
        return {"log_age": math.nan}
    first = session.previous[0]
    of_first = set(session.tokens[0])
    shared = len(of_first & set(words))
    strange = [word for word in words if word not in session.own]
    related = [session.words[word] for word in strange if word in session.words]
    typed = session.used(session.typed) & of_first
    again = [1 / place for place, query in enumerate(asked.previous, 1) if query == text]
    prefix = session.prefix
    return {
        "shared_words": shared,
        "shared_of_candidate": shared / len(words) if words else 0,
        "shared_of_previous": shared / len(of_first) if of_first else 0,
        "new_words": len(strange),
        "related_words": len(related),
        "related_weight": sum(word.weight for word in related),
        "followed": math.log(1 + facts.followed),
        "followed_share": facts.followed / asked.first_users,
        "extends": text.startswith(first + b" "),
        "truncates": first.startswith(text + b" "),
        "common_bytes": common(text, first),
        "similarity": alike(text, first),
        "similarity_older": max((alike(text, query) for query in session.previous[1:]), default=0),
        "repeats": again[0] if again else 0,
        "repeated": len(again),
        "typed_shared": len(typed) / len(session.typed) if session.typed else 0,
        "typed_follows": common(prefix, first) / len(prefix) if prefix else 0,
        "n_previous": len(session.previous),
        "log_age": math.nan if asked.age is None else math.log(1 + asked.age),
    }


def _text(session: Session, text: bytes, facts: Facts, words: list[bytes]) -> Features:
    matched = facts.matched
    return {
        "prefix_bytes": len(session.prefix),
        "prefix_words": len(session.typed),
        "partial_bytes": len(session.partial),
        "bytes": len(text),
        "bytes_left": len(text) - matched,
        "words_left": max(0, len(words) - len(session.typed)),
        "ends_word": matched >= len(text) or (matched > 0 and text[matched : matched + 1] == b" "),
        "is_address": b"." in text,
    }


def one(asked: Asked, text: bytes, facts: Facts) -> Features:
    """Return the features of one candidate, but for what compares it with others.

    What is not named is 0.
    """
    words = _words(text)
    found: Features = {
        "log_users": math.log(1 + (facts.users or 0)),
        "log_share": math.log(facts.popularity + 0.5 / asked.most),
        "is_label": facts.users is not None,
        "log_range": math.log(1 + asked.labels),
        "model": facts.model,
        "edits": facts.edits,
        **dict.fromkeys(facts.sources, 1.0),
        **_language(asked.session, words),
        **_context(asked, text, facts, words),
        **_text(asked.session, text, facts, words),
    }
    return {name: float(value) for name, value in found.items()}


def rows(asked: Asked, candidates: Sequence[tuple[bytes, Facts]]) -> list[Features]:
    """Return the features of all candidates."""
    found = [one(asked, text, facts) for text, facts in candidates]
    for gap, name in GAPS.items():
        known = [row[name] for row in found if not math.isnan(row[name])]
        best = max(known, default=math.nan)
        for row in found:
            row[gap] = row[name] - best
    return found
