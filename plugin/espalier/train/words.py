"""The sections that make completions out of words: VOCA, NGRM, RELA, BLCK."""

from __future__ import annotations

from typing import TYPE_CHECKING

from espalier.native import blocklist_build
from espalier.train.ngrams import ngram_sections, tokenise
from espalier.train.relations import relation_section

if TYPE_CHECKING:
    from espalier.querylog import KeptOut, QueryLog
    from espalier.settings import TrainSettings
    from espalier.train.rows import Labels


def word_sections(log: QueryLog, labels: Labels, settings: TrainSettings) -> dict[str, bytes]:
    """Return the sections; none where tails are off or no word has enough people."""
    if not settings.tails:
        return {}
    tokens = tokenise(log, settings.min_users)
    sections = ngram_sections(tokens, settings)
    relations = relation_section(log, tokens, labels, settings.min_users) if sections else b""
    return {
        **sections,
        **({"RELA": relations} if relations else {}),
        **({"BLCK": block_section(log.kept_out)} if sections and log.kept_out else {}),
    }


def block_section(kept_out: KeptOut) -> bytes:
    """Return BLCK: no label breaks these rules, and no completion made of words may."""
    queries = [query.encode() for query in kept_out.queries]
    words = [word.encode() for word in kept_out.words]
    return blocklist_build(queries, words, numbers=kept_out.numbers)
