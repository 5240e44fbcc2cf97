"""The promises of a list of suggestions, checked on every row while evaluating.

=============  ==============================================================
``prefix``     a suggestion does not start with the normalised prefix, and is
               not a correction
``k_of_k``     at least k labels start with the prefix, yet fewer than k
               suggestions came back (only where the system promises a full
               list)
``duplicates`` a suggestion equals another of the same list
=============  ==============================================================

The first and the last count suggestions, the second counts lists.
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

    def __add__(self, other: Violations) -> Violations:
        return Violations(
            self.prefix + other.prefix,
            self.k_of_k + other.k_of_k,
            self.duplicates + other.duplicates,
        )

    @property
    def total(self) -> int:
        """All kinds together."""
        return self.prefix + self.k_of_k + self.duplicates

    def to_json(self) -> dict[str, int]:
        """Return the counts by kind."""
        return {"prefix": self.prefix, "k_of_k": self.k_of_k, "duplicates": self.duplicates}


NONE = Violations()


def check(answer: Answer, *, prefix: str, k: int, matching: int | None) -> Violations:
    """Return what ``answer`` breaks.

    ``matching`` is how many labels start with ``prefix``, ``None`` if the system
    promises no full list.
    """
    texts = answer.texts
    strangers = sum(
        1
        for place, text in enumerate(texts)
        if not text.startswith(prefix) and place not in answer.exempt
    )
    repeated = len(texts) - len(set(texts))
    short = matching is not None and matching >= k and len(texts) < k
    if not (strangers or repeated or short):
        return NONE
    return Violations(prefix=strangers, k_of_k=int(short), duplicates=repeated)


def total(violations: Iterable[Violations]) -> Violations:
    """Return the sum."""
    return sum(violations, NONE)
