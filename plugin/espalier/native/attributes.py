"""Attributes of labels, and filters by them.

An index is given as its ``esp_index *``: ``NativeIndex.handle``.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, NamedTuple

from espalier.native.border import check, ffi, lib
from espalier.native.layout import LABEL_VALUES

FILTER_VALUES: Final = int(lib.ESP_FILTER_VALUES)
"""Values in one list of a filter, at most."""


class AttributeValue(NamedTuple):
    """A value labels have, as ``locale:de``, and how many have it."""

    text: str
    labels: int


class NativeFilter:
    """A filter as a query takes it, its values looked up in one index. Never changes."""

    __slots__ = ("_filter", "_lists")

    def __init__(
        self,
        index: Any,
        all_of: Sequence[bytes],
        any_of: Sequence[bytes],
        none_of: Sequence[bytes],
        *,
        keep_generated: bool = False,
    ) -> None:
        """Look the values up; one that the index has not counts as such.

        What each list means stands at ``esp_filter`` in the header.
        """
        made = ffi.new("esp_filter *")
        self._lists = [_numbers(index, values) for values in (all_of, any_of, none_of)]
        made.all_of, made.any_of, made.none_of = self._lists
        made.n_all, made.n_any, made.n_none = len(all_of), len(any_of), len(none_of)
        made.keep_generated = keep_generated
        self._filter = made

    @property
    def handle(self) -> Any:
        """The ``esp_filter *``, for a query on the same index."""
        return self._filter


def _numbers(index: Any, values: Sequence[bytes]) -> Any:
    return ffi.new(
        "uint32_t[]", [lib.esp_attribute_find(index, value, len(value)) for value in values]
    )


def attribute_values(index: Any) -> list[AttributeValue]:
    """Return every value labels have, in the order of their numbers.

    Raises:
        IndexCorruptError: One of them is no text.
    """
    text, labels = ffi.new("esp_text *"), ffi.new("uint32_t *")
    error = ffi.new("esp_error *")
    found = []
    for value in range(lib.esp_attribute_count(index)):
        check(lib.esp_attribute_text(index, value, text, labels, error), error)
        plain = ffi.buffer(text.data, text.length)[:].decode()
        found.append(AttributeValue(plain, labels[0]))
    return found


def label_attributes(index: Any, label: int) -> list[str]:
    """Return the values of a label; none for a label that does not exist.

    Raises:
        IndexCorruptError: One of them is no text, or does not exist.
    """
    values = ffi.new("uint32_t[]", LABEL_VALUES)
    text, labels = ffi.new("esp_text *"), ffi.new("uint32_t *")
    error = ffi.new("esp_error *")
    found = []
    for value in values[0 : lib.esp_label_attributes(index, label, values, LABEL_VALUES)]:
        check(lib.esp_attribute_text(index, value, text, labels, error), error)
        found.append(ffi.buffer(text.data, text.length)[:].decode())
    return found
