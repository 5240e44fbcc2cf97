"""Rules beside an index: blocks, pins and boosts."""

from __future__ import annotations

from collections.abc import Sequence
from enum import IntEnum
from typing import Any, Final, NamedTuple

import numpy as np

from espalier.native.border import check, ffi, lib

_RULE: Final = np.dtype(
    [
        ("kind", np.uint32),
        ("position", np.uint32),
        ("min_prefix", np.uint32),
        ("boost", np.float32),
        ("text_data", np.uint64),
        ("text_length", np.uint64),
        ("display_data", np.uint64),
        ("display_length", np.uint64),
    ]
)
"""``esp_rule``; a pointer takes 64 bits, as on every machine this is built for."""


class RuleKind(IntEnum):
    """What a rule does."""

    BLOCK_QUERY = 1
    BLOCK_WORD = 2
    PIN_QUERY = 3
    BOOST_QUERY = 4
    BOOST_WORD = 5


class RawRule(NamedTuple):
    """A rule as the C library takes it; texts are normalised UTF-8."""

    kind: RuleKind
    text: bytes
    boost: float = 0.0
    position: int = 0
    min_prefix: int = 0
    display: bytes = b""


class RawPin(NamedTuple):
    """A pinned query as the C library gives it, texts decoded."""

    text: str
    display: str
    position: int


class NativeOverlay:
    """Rules as a query takes them. Never changes; safe to share between threads."""

    __slots__ = ("_overlay",)

    def __init__(self, rules: Sequence[RawRule]) -> None:
        """Copy the rules.

        Raises:
            InputError: A rule is outside its documented limits.
            InvalidTextError: A text is not UTF-8.
            LimitError: Too many rules, or too much text.
        """
        # One buffer for all texts; the table points into it. Ten thousand rules take
        # a few milliseconds this way, and a hundred with a cffi struct each.
        texts = [text for rule in rules for text in (rule.text, rule.display)]
        blob = ffi.from_buffer("uint8_t[]", b"".join(texts))
        lengths = np.fromiter(map(len, texts), np.uint64, len(texts))
        starts = int(ffi.cast("uintptr_t", blob)) + np.cumsum(lengths) - lengths
        table = np.zeros(len(rules), _RULE)
        for name in ("kind", "position", "min_prefix", "boost"):
            table[name] = [getattr(rule, name) for rule in rules]
        table["text_data"], table["text_length"] = starts[0::2], lengths[0::2]
        table["display_data"], table["display_length"] = starts[1::2], lengths[1::2]
        overlay = ffi.new("esp_overlay **")
        error = ffi.new("esp_error *")
        status = lib.esp_overlay_new(
            ffi.from_buffer("esp_rule[]", table), len(rules), overlay, error
        )
        del blob
        check(status, error)
        self._overlay = ffi.gc(overlay[0], lib.esp_overlay_free)

    @property
    def handle(self) -> Any:
        """The ``esp_overlay *``; alive as long as this object."""
        return self._overlay

    def blocks(self, text: bytes) -> bool:
        """Return whether a query is blocked, as a whole or for one of its words."""
        view = ffi.from_buffer("uint8_t[]", text)
        return bool(lib.esp_overlay_blocks(self._overlay, view, len(text)))

    def boost(self, text: bytes) -> float:
        """Return what the rules add to the score of a query."""
        view = ffi.from_buffer("uint8_t[]", text)
        return float(lib.esp_overlay_boost(self._overlay, view, len(text)))

    def pins(self, prefix: bytes, cap: int) -> list[RawPin]:
        """Return at most ``cap`` pins for a prefix, best position first."""
        out = ffi.new("esp_pin[]", cap)
        view = ffi.from_buffer("uint8_t[]", prefix)
        n = lib.esp_overlay_pins(self._overlay, view, len(prefix), out, cap)
        return [
            RawPin(
                ffi.buffer(out[i].text.data, out[i].text.length)[:].decode(),
                ffi.buffer(out[i].display.data, out[i].display.length)[:].decode(),
                out[i].position,
            )
            for i in range(n)
        ]
