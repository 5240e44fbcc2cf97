"""Sessions of a few people, drawn at random, for the tests of what is counted in people."""

from __future__ import annotations

from hypothesis import strategies as st

from espalier.querylog import QueryLog
from espalier.settings import TrainSettings
from espalier.train.ngrams import Tokens, count
from espalier.train.smoothing import smooth
from espalier.train.words import sections_of
from tests.unit.train.conftest import make_log

Sessions = list[tuple[int, list[str]]]
"""Who typed, and what, one after the other."""


@st.composite
def sessions(draw: st.DrawFn, words: tuple[str, ...], longest: int = 3) -> Sessions:
    """Draw sessions of five people over a few of the words."""
    known = draw(st.integers(1, len(words)))
    word = st.sampled_from(words[:known])
    query = st.lists(word, min_size=1, max_size=4).map(" ".join)
    session = st.tuples(st.integers(0, 4), st.lists(query, min_size=1, max_size=longest))
    return draw(st.lists(session, min_size=1, max_size=25))


def log_of_sessions(typed: Sessions) -> QueryLog:
    """Return the log of some sessions."""
    return make_log([queries for _, queries in typed], users=[user for user, _ in typed])


def ngram_sections(tokens: Tokens, settings: TrainSettings) -> dict[str, bytes]:
    """Return VOCA and NGRM of what was typed; none without a word."""
    if not tokens.words:
        return {}
    return sections_of(smooth(count(tokens, settings.min_users), tokens.words), None, settings)
