"""The sections that make completions out of words: VOCA, NGRM, RELA."""

from __future__ import annotations

from typing import TYPE_CHECKING

from espalier.train.ngrams import ngram_sections, tokenise
from espalier.train.relations import relation_section

if TYPE_CHECKING:
    from espalier.querylog import QueryLog
    from espalier.settings import TrainSettings
    from espalier.train.rows import Labels


def word_sections(log: QueryLog, labels: Labels, settings: TrainSettings) -> dict[str, bytes]:
    """Return the sections; none where tails are off or no word has enough people."""
    if not settings.tails:
        return {}
    tokens = tokenise(log, settings.min_users)
    sections = ngram_sections(tokens, settings)
    relations = relation_section(log, tokens, labels, settings.min_users) if sections else b""
    return {**sections, **({"RELA": relations} if relations else {})}
