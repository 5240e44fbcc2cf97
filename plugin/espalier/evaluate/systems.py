"""The systems that are compared: ways to ask one index the same question.

=====================  =====================================================
``all_sources``        every source of the index, at its default settings
``labels_only``        the same without generated queries: MODEL and POPULAR
``most_frequent``      the prefix's labels with most distinct users
``model_constrained``  MODEL alone, beam kept inside the prefix
``model_unconstrained``  MODEL alone over the whole tree; its 1,000 best labels
                       are filtered by the prefix afterwards, as in the
                       published code (Yadav et al. 2021, ``examples/qp2q``)
=====================  =====================================================

The first three are in every report; the others are asked for by name. The last
two exist for the paper's own comparison and promise no full list.

An ablation asks further systems, each ``all_sources`` with one part switched off:
``without_model``, ``without_popular``, ``without_tail``, ``without_corrected`` for the
sources, ``without_session`` for everything that comes from previous queries, and
``without_group_NAME`` for each group of the blender's features (what is generated still
comes from the session without the group ``context``).
"""

from __future__ import annotations

import difflib
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from espalier.errors import ConfigError
from espalier.evaluate.questions import Question
from espalier.index import Source
from espalier.native import FEATURE_GROUPS

PUBLISHED_POOL = 1000
"""Labels before the filter in the published code: beam 10 times leaves of 100."""
PUBLISHED_BEAM = 10
"""Nodes per level in the published code."""

SOURCES: tuple[str, ...] = tuple(str(source.name) for source in Source)
"""Names of the sources, as suggestions have them."""
EVERY_SOURCE = Source.MODEL | Source.POPULAR | Source.TAIL | Source.CORRECTED

Matcher = Literal["constrained", "unconstrained"]


class SuggestionLike(Protocol):
    """What evaluation reads of a suggestion."""

    @property
    def text(self) -> str:
        """Normalised text."""
        ...

    @property
    def source(self) -> str:
        """Name of the source that found it first."""
        ...

    @property
    def score(self) -> float:
        """Higher is better."""
        ...


class WorkLike(Protocol):
    """What evaluation reads of a completion's work."""

    @property
    def range_labels(self) -> int:
        """Labels that start with the prefix."""
        ...


class CompletionLike(Protocol):
    """A completion with the pool it was ranked from."""

    @property
    def suggestions(self) -> Sequence[SuggestionLike]:
        """Best first."""
        ...

    @property
    def work(self) -> WorkLike:
        """What the call did."""
        ...

    @property
    def candidate_ids(self) -> NDArray[np.uint32]:
        """Labels that were ranked, in no order, shape ``(candidates,)``."""
        ...

    @property
    def candidate_texts(self) -> Sequence[str]:
        """Texts of what was ranked besides and is no label, in no order."""
        ...

    @property
    def hygiene(self) -> bool:
        """Whether variants, and the query submitted last, were kept out of the list."""
        ...


class Completer(Protocol):
    """The part of :class:`espalier.Index` that evaluation asks."""

    def complete_with_work(
        self,
        prefix: str,
        previous: Sequence[str] = (),
        *,
        k: int = 10,
        beam: int = 0,
        pool: int = 0,
        sources: Source | None = None,
        matcher: Matcher | None = None,
        previous_age: Sequence[float] | None = None,
        keep_variants: bool = False,
        groups_off: Sequence[str] = (),
    ) -> CompletionLike:
        """Complete ``prefix`` and tell what was considered."""
        ...

    def complete(
        self,
        prefix: str,
        previous: Sequence[str] = (),
        *,
        k: int = 10,
        previous_age: Sequence[float] | None = None,
    ) -> Sequence[SuggestionLike]:
        """Complete ``prefix`` as a host does."""
        ...

    def popular(self, prefix: str, k: int = 10) -> list[str]:
        """Return the labels with most distinct users."""
        ...

    def find(self, text: str) -> int | None:
        """Return the label with this text."""
        ...


@dataclass(frozen=True, slots=True)
class Answer:
    """What a system said to one question.

    Attributes:
        texts: Suggestions, best first.
        exempt: Places (from 0) that need not start with the prefix: corrections.
        pool: Labels that were ranked; ``None`` where the list is all there was.
        range_labels: Labels that start with the prefix, ``None`` if not told.
        pool_texts: What was ranked besides and is no label.
        sources: Who found each suggestion first, as long as ``texts``; empty if not told.
        top_score: Score of the best suggestion; not a number if there is none.
        hygiene: Whether variants, and the query submitted last, were kept out.
        with_variants: How many suggestions come back with variants kept, if that was asked.
        blind: The system was not told of the session, and cannot know what was submitted.
    """

    texts: Sequence[str]
    exempt: frozenset[int] = frozenset()
    pool: NDArray[np.uint32] | None = None
    range_labels: int | None = None
    pool_texts: Sequence[str] = ()
    sources: Sequence[str] = ()
    top_score: float = math.nan
    hygiene: bool = False
    with_variants: int | None = None
    blind: bool = False


class System(Protocol):
    """A named way to ask an index."""

    @property
    def name(self) -> str:
        """As it stands in reports."""
        ...

    @property
    def promises_k(self) -> bool:
        """Whether k suggestions must come back when k labels match."""
        ...

    def answer(self, index: Completer, question: Question, k: int) -> Answer:
        """Return this system's suggestions for ``question``."""
        ...


@dataclass(frozen=True, slots=True)
class Completion:
    """Asks the index's own ranking, with some sources and one matcher."""

    name: str
    sources: Source | None = None
    matcher: Matcher | None = None
    beam: int = 0
    pool: int = 0
    promises_k: bool = True
    groups_off: tuple[str, ...] = ()
    session: bool = True

    def answer(self, index: Completer, question: Question, k: int) -> Answer:
        """Return the completion, with its pool."""
        found = self._ask(index, question, k, keep_variants=False)
        best = found.suggestions
        with_variants = None
        if self.promises_k and found.hygiene and len(best) < k <= found.work.range_labels:
            with_variants = len(self._ask(index, question, k, keep_variants=True).suggestions)
        return Answer(
            [s.text for s in best],
            frozenset(i for i, s in enumerate(best) if s.source == "CORRECTED"),
            found.candidate_ids,
            found.work.range_labels,
            found.candidate_texts,
            [s.source for s in best],
            best[0].score if best else math.nan,
            found.hygiene,
            with_variants,
            not self.session,
        )

    def _ask(
        self, index: Completer, question: Question, k: int, *, keep_variants: bool
    ) -> CompletionLike:
        return index.complete_with_work(
            question.prefix,
            question.previous if self.session else (),
            previous_age=question.ages if self.session else None,
            k=k,
            beam=self.beam,
            pool=self.pool,
            sources=self.sources,
            matcher=self.matcher,
            keep_variants=keep_variants,
            groups_off=self.groups_off,
        )


@dataclass(frozen=True, slots=True)
class MostFrequent:
    """The baseline: most distinct users, no decay, no context.

    Its pool is the list itself, so its candidate recall equals its success.
    """

    name: str = "most_frequent"
    promises_k: bool = True

    def answer(self, index: Completer, question: Question, k: int) -> Answer:
        """Return the prefix's most frequent labels."""
        return Answer(index.popular(question.prefix, k))


BASELINE = MostFrequent()

ALWAYS: tuple[System, ...] = (
    Completion("all_sources"),
    Completion("labels_only", sources=Source.MODEL | Source.POPULAR),
    BASELINE,
)
"""In every report, in this order."""

EXTRA: tuple[System, ...] = (
    Completion(
        "model_constrained",
        sources=Source.MODEL,
        matcher="constrained",
        beam=PUBLISHED_BEAM,
        pool=PUBLISHED_POOL,
        promises_k=False,
    ),
    Completion(
        "model_unconstrained",
        sources=Source.MODEL,
        matcher="unconstrained",
        beam=PUBLISHED_BEAM,
        pool=PUBLISHED_POOL,
        promises_k=False,
    ),
)
"""Asked for by name."""


ABLATED: tuple[System, ...] = (
    *(
        Completion(
            f"without_{str(source.name).lower()}",
            sources=EVERY_SOURCE & ~source,
            # Only popularity fills a list up where the others find too little.
            promises_k=source is not Source.POPULAR,
        )
        for source in Source
    ),
    Completion("without_session", session=False),
    *(Completion(f"without_group_{group}", groups_off=(group,)) for group in FEATURE_GROUPS),
)
"""``all_sources`` with one source, with the session, then with one feature group, switched off."""


def select(names: Sequence[str] = ()) -> tuple[System, ...]:
    """Return the systems of every report, then those of ``names`` besides.

    Raises:
        ConfigError: A name that no system has.
    """
    known = {system.name: system for system in (*ALWAYS, *EXTRA)}
    for name in names:
        if name not in known:
            close = difflib.get_close_matches(name, known, n=1)
            hint = f"; did you mean {close[0]!r}?" if close else ""
            raise ConfigError(f"no system is called {name!r}; there are {', '.join(known)}{hint}")
    always = {system.name for system in ALWAYS}
    return (*ALWAYS, *(known[name] for name in dict.fromkeys(names) if name not in always))
