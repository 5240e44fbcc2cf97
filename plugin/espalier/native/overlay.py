"""Rules beside an index: blocks, pins and boosts."""

from __future__ import annotations

from collections.abc import Sequence
from enum import IntEnum
from typing import Any, NamedTuple

from espalier.native.border import check, ffi, lib


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
        # One buffer for all texts: each rule points into it until the call is over.
        blob = b"".join(part for rule in rules for part in (rule.text, rule.display))
        view = ffi.from_buffer("uint8_t[]", blob)
        raw = ffi.new("esp_rule[]", len(rules))
        at = 0
        for i, rule in enumerate(rules):
            one = raw[i]
            one.kind = rule.kind
            one.position = rule.position
            one.min_prefix = rule.min_prefix
            one.boost = rule.boost
            one.text.data = view + at
            one.text.length = len(rule.text)
            at += len(rule.text)
            one.display.data = view + at
            one.display.length = len(rule.display)
            at += len(rule.display)
        overlay = ffi.new("esp_overlay **")
        error = ffi.new("esp_error *")
        check(lib.esp_overlay_new(raw, len(rules), overlay, error), error)
        del view
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
