"""The sections that make completions out of words: VOCA, NGRM, RELA, BLCK.

The first three together take at most ``words_mib``. What does not fit goes in the order of
what it is worth: words, pairs and triples in that of ``pruning``; relations, which have
their share of the room, those of fewest people first.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final

from espalier.native import blocklist_build, words_build
from espalier.train.ngram_file import ngram_section
from espalier.train.ngrams import count, tokenise
from espalier.train.pruning import model_bytes, prune
from espalier.train.relations import Relations, relations_of
from espalier.train.smoothing import WordModel, smooth

if TYPE_CHECKING:
    from espalier.querylog import KeptOut, QueryLog
    from espalier.settings import TrainSettings
    from espalier.train.rows import Labels

RELATIONS_SHARE: Final = 0.125
"""Of the room, for what follows from one query to the next, where not everything fits."""


@dataclass(frozen=True, slots=True)
class Words:
    """What an index knows of words.

    Attributes:
        sections: By name, in file order; none where there is nothing to know.
        dropped: What ``words_mib`` had no room for, by kind; empty where all fits.
    """

    sections: dict[str, bytes] = field(default_factory=dict)
    dropped: Mapping[str, int] = field(default_factory=dict)


def learn_words(log: QueryLog, labels: Labels, settings: TrainSettings) -> Words:
    """Return the sections; none where tails are off or no word has enough people."""
    if not settings.tails:
        return Words()
    tokens = tokenise(log, settings.min_users)
    if not tokens.words:
        return Words()
    model = smooth(count(tokens, settings.min_users), tokens.words)
    relations = relations_of(log, tokens, labels, settings.min_users)
    whole = sections_of(model, relations, settings)
    limit = int(settings.words_mib * 2**20)
    fits = settings.words_mib == 0 or _bytes(whole) <= limit
    made = Words(whole) if fits else _fitted(model, relations, settings, limit)
    if made.sections and log.kept_out:
        blocked = {"BLCK": block_section(log.kept_out)}
        return replace(made, sections={**made.sections, **blocked})
    return made


def sections_of(
    model: WordModel, relations: Relations | None, settings: TrainSettings
) -> dict[str, bytes]:
    """Return what there is to write, by name, in file order."""
    if not model.words:
        return {}
    return {
        "VOCA": words_build([word.encode() for word in model.words]),
        "NGRM": ngram_section(model, settings),
        **({"RELA": relations.section()} if relations is not None else {}),
    }


def _bytes(sections: Mapping[str, bytes]) -> int:
    return sum(map(len, sections.values()))


def _fitted(
    model: WordModel, relations: Relations | None, settings: TrainSettings, limit: int
) -> Words:
    fewer = None
    room = limit
    if relations is not None:
        fewer = relations.within(max(int(limit * RELATIONS_SHARE), limit - model_bytes(model)))
        room -= len(fewer.section()) if fewer is not None else 0
    while True:
        pruned = prune(model, room)
        kept = fewer.among(model.words, pruned.words) if fewer is not None else None
        sections = sections_of(pruned, kept, settings)
        over = _bytes(sections) - limit
        if over <= 0:
            break
        # Words that were chosen to collide take more room than others.
        room -= over
    before, after = (_counts(*parts) for parts in ((model, relations), (pruned, kept)))
    return Words(sections, {kind: n - after[kind] for kind, n in before.items() if n > after[kind]})


def _counts(model: WordModel, relations: Relations | None) -> dict[str, int]:
    return {
        "words": model.n_words,
        "word pairs": model.n_pairs,
        "word triples": len(model.triple.word),
        "relations": len(relations) if relations is not None and model.words else 0,
    }


def block_section(kept_out: KeptOut) -> bytes:
    """Return BLCK: no label breaks these rules, and no completion made of words may."""
    queries = [query.encode() for query in kept_out.queries]
    words = [word.encode() for word in kept_out.words]
    return blocklist_build(queries, words, numbers=kept_out.numbers)
