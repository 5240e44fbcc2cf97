"""The promises of a list of suggestions, checked on every row while evaluating.

=============  ==============================================================
``prefix``     a suggestion does not start with the normalised prefix, and is
               not a correction
``k_of_k``     at least k labels start with the prefix, yet fewer than k
               suggestions came back (only where the system promises a full
               list)
``duplicates`` a suggestion equals another of the same list
``repeats``    a suggestion is the query submitted last (only where the answer
               says that its list was kept free of that)
=============  ==============================================================

``k_of_k`` counts lists, the others count suggestions. Where variants were kept out
of a list, k of k is a promise about the labels that are left: a short list is right
if the same question with variants kept is answered in full.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from espalier.evaluate.systems import Answer


@dataclass(frozen=True, slots=True)
class Violations:
    """Broken promises; all 0 is the only good value."""

    prefix: int = 0
    k_of_k: int = 0
    duplicates: int = 0
    repeats: int = 0

    def __add__(self, other: Violations) -> Violations:
        return Violations(
            self.prefix + other.prefix,
            self.k_of_k + other.k_of_k,
            self.duplicates + other.duplicates,
            self.repeats + other.repeats,
        )

    @property
    def total(self) -> int:
        """All kinds together."""
        return self.prefix + self.k_of_k + self.duplicates + self.repeats

    def to_json(self) -> dict[str, int]:
        """Return the counts by kind."""
        return {
            "prefix": self.prefix,
            "k_of_k": self.k_of_k,
            "duplicates": self.duplicates,
            "repeats": self.repeats,
        }


NONE = Violations()


def check(
    answer: Answer, *, prefix: str, k: int, matching: int | None, submitted: str | None = None
) -> Violations:
    """Return what ``answer`` breaks.

    ``matching`` is how many labels start with ``prefix``, ``None`` if the system
    promises no full list; ``submitted`` is the newest previous query, if any.
    """
    texts = answer.texts
    strangers = sum(
        1
        for place, text in enumerate(texts)
        if not text.startswith(prefix) and place not in answer.exempt
    )
    repeated = len(texts) - len(set(texts))
    offered_again = 0
    returned = len(texts)
    if answer.hygiene and submitted is not None:
        offered_again = sum(text == submitted for text in texts)
        if matching is not None and submitted.startswith(prefix):
            matching -= 1
    if answer.with_variants is not None:
        returned = max(returned, answer.with_variants)
    short = matching is not None and matching >= k and returned < k
    if not (strangers or repeated or short or offered_again):
        return NONE
    return Violations(strangers, int(short), repeated, offered_again)


def total(violations: Iterable[Violations]) -> Violations:
    """Return the sum."""
    return sum(violations, NONE)
