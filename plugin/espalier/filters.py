"""Which labels may be suggested, by what the log said about them.

An attribute value is a name and a value with a colon between them, as ``locale:de`` or
``category:shoes``. Case, width and white space do not count: both sides are normalised
as queries are.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from espalier.errors import InputError, LimitError
from espalier.native import FILTER_VALUES, NativeFilter, NativeIndex
from espalier.text import normalise

__all__ = ["FILTER_VALUES", "Filter"]


@dataclass(frozen=True, slots=True)
class Filter:
    """What a suggestion has: all of ``all_of``, some of ``any_of``, none of ``none_of``.

    An empty list asks for nothing. A value that no label of the index has is no error: with
    one in ``all_of`` nothing passes, nor where ``any_of`` has no other; in ``none_of`` it
    says nothing.

    Attributes:
        all_of, any_of, none_of: Values, at most 32 each.
        keep_generated: Whether suggestions that are no label pass. They have no values, so
            otherwise they pass only where ``all_of`` and ``any_of`` are empty.
    """

    all_of: Sequence[str] = ()
    any_of: Sequence[str] = ()
    none_of: Sequence[str] = ()
    keep_generated: bool = False

    def native(self, index: NativeIndex) -> NativeFilter | None:
        """Return the filter as a query on ``index`` takes it; None if it asks for nothing.

        Raises:
            InvalidTextError: A lone surrogate.
            LimitError: More values than a list may have.
        """
        if not (self.all_of or self.any_of or self.none_of):
            return None
        return NativeFilter(
            index.handle,
            _encoded("all_of", self.all_of),
            _encoded("any_of", self.any_of),
            _encoded("none_of", self.none_of),
            keep_generated=self.keep_generated,
        )


def _encoded(name: str, values: Sequence[str]) -> list[bytes]:
    if isinstance(values, str):
        raise InputError(f"{name} must be a sequence of values, as ['locale:de'], not a string")
    if len(values) > FILTER_VALUES:
        raise LimitError(f"{len(values)} values in {name}; at most {FILTER_VALUES}")
    return [normalise(value).encode() for value in values]
