"""The sections VOCA and NGRM: a word model as lists of words and quantised probabilities.

Their layouts are those of FORMAT.md; here too is how long they are, entry by entry.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

from espalier.native import LIST_HEAD, LIST_LONG, NGRAM_HEADER, WORD_BLOCK
from espalier.train.smoothing import WordModel, chances_of

if TYPE_CHECKING:
    from espalier.settings import TrainSettings

I64 = NDArray[np.int64]
U8 = NDArray[np.uint8]
U32 = NDArray[np.uint32]
F64 = NDArray[np.float64]

VOCABULARY_HEADER_BYTES: Final = 16
STEP: Final = 0.075
"""Natural logarithm per step of a stored probability: 255 steps reach exp(-19)."""


def steps_of(chance: F64) -> U8:
    """Return the step nearest to a probability's logarithm."""
    return np.clip(np.rint(-np.log(np.maximum(chance, 1e-12)) / STEP), 0, 255).astype(np.uint8)


def _ordered(left: I64, word: I64, q: U8, n_left: int) -> tuple[I64, I64, U8]:
    """Bring every list into the order of the file; return its bounds, words and steps.

    Lists are ordered by word, long ones begin with their best.
    """
    ptr = np.searchsorted(left, np.arange(n_left + 1))
    order = np.arange(len(left))
    for long in np.flatnonzero(np.diff(ptr) > LIST_LONG).tolist():
        begin, end = int(ptr[long]), int(ptr[long + 1])
        best = np.lexsort((word[begin:end], q[begin:end]))[:LIST_HEAD]
        others = np.ones(end - begin, bool)
        others[best] = False
        order[begin:end] = begin + np.concatenate([best, np.flatnonzero(others)])
    return ptr, word[order], q[order]


def _packed(word: I64, q: U8) -> U32:
    return (word | (q.astype(np.int64) << 24)).astype(np.uint32)


def _block_best(q: U8) -> U8:
    blocks = -(-len(q) // WORD_BLOCK)
    padded = np.full(blocks * WORD_BLOCK, 255, np.uint8)
    padded[: len(q)] = q
    best: U8 = padded.reshape(blocks, WORD_BLOCK).min(axis=1)
    return best


def vocabulary_bytes(n_words: int, text_bytes: int) -> int:
    """Return how long VOCA is with so many words, unless they were chosen to collide."""
    slots = 1
    while slots < n_words + n_words // 2 + 1:
        slots *= 2
    return VOCABULARY_HEADER_BYTES + 4 * (n_words + 1 + slots) + text_bytes


def ngram_bytes(n_words: int, n_pairs: int, n_contexts: int, n_triples: int) -> int:
    """Return how long NGRM is with so many entries."""
    masks = -(-(n_pairs + n_words) // 64)
    numbers = masks + 1 + n_words + 1 + n_pairs + n_contexts + 1 + n_triples
    single = 3 * n_words + 2 * -(-n_words // WORD_BLOCK) + n_contexts
    return NGRAM_HEADER.itemsize + 8 * masks + 4 * numbers + single


def ngram_section(model: WordModel, settings: TrainSettings) -> bytes:
    """Return NGRM."""
    n = model.n_words
    pair, triple = model.pair, model.triple
    chances = chances_of(model)
    key = pair.left * (n + 1) + pair.word
    pair_ptr, pair_word, pair_q = _ordered(pair.left, pair.word, steps_of(chances.pair), n)
    # The lists of triples follow the order in which their pairs now stand.
    moved = np.empty(len(pair.word), np.int64)
    moved[
        np.searchsorted(key, np.repeat(np.arange(n), np.diff(pair_ptr)) * (n + 1) + pair_word)
    ] = np.arange(len(pair.word))
    left = np.where(
        triple.left < len(pair.word),
        moved[np.minimum(triple.left, len(pair.word) - 1)] if len(pair.word) else 0,
        triple.left,
    )
    order = np.lexsort((triple.word, left))
    contexts, number = np.unique(left[order], return_inverse=True)
    triple_ptr, triple_word, triple_q = _ordered(
        number, triple.word[order], steps_of(chances.triple[order]), len(contexts)
    )
    old_left = np.empty(len(contexts), np.int64)
    old_left[number] = triple.left[order]

    masks = -(-(len(pair.word) + n) // 64)
    bits = np.zeros(masks * 64, np.uint8)
    bits[contexts] = 1
    has_next = np.packbits(bits, bitorder="little").view("<u8")
    rank = np.append(0, np.cumsum(bits.reshape(masks, 64).sum(axis=1, dtype=np.int64)))

    word_q, first_q = steps_of(model.word[:n]), steps_of(model.first[:n])
    parts: list[NDArray[Any]] = [
        has_next,
        rank.astype("<u4"),
        pair_ptr.astype("<u4"),
        _packed(pair_word, pair_q),
        triple_ptr.astype("<u4"),
        _packed(triple_word, triple_q),
        word_q,
        first_q,
        _block_best(word_q),
        _block_best(first_q),
        steps_of(chances.pair_rest),
        steps_of(chances.triple_rest[old_left]),
    ]
    header = _header(
        n_words=n,
        n_bigrams=len(pair.word),
        n_contexts=len(contexts),
        n_trigrams=len(triple.word),
        step=STEP,
        mix_context=settings.tail_context,
        mix_follow=settings.tail_follow,
        decay=settings.tail_decay,
        mix_related=settings.tail_related,
        half_life=settings.context_half_life_minutes * 60,
        end=int(steps_of(model.word[n:])[0]),
        unknown=int(steps_of(np.array([model.unknown]))[0]),
    )
    return header.tobytes() + b"".join(part.tobytes() for part in parts)


def _header(**fields: float) -> NDArray[np.void]:
    header = np.zeros(1, NGRAM_HEADER)
    for name, value in fields.items():
        header[name] = value
    return header
