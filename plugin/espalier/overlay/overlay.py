"""The overlay: rules that were checked, and the C object made of them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final, Protocol, Self

from espalier.native import NativeOverlay, RawRule, RuleKind
from espalier.overlay import document
from espalier.overlay.rules import (
    MAX_POSITION,
    Block,
    BlockPattern,
    BlockWord,
    Boost,
    BoostWord,
    Pin,
    Rule,
    key_of,
    settle,
)
from espalier.text import normalise, normalise_prefix

if TYPE_CHECKING:
    from espalier.re2 import PatternSet

_KINDS: Final = {
    Block: RuleKind.BLOCK_QUERY,
    BlockWord: RuleKind.BLOCK_WORD,
    Boost: RuleKind.BOOST_QUERY,
    BoostWord: RuleKind.BOOST_WORD,
}


class _Info(Protocol):
    @property
    def fingerprint(self) -> str:
        """Names the training run."""


class Labelled(Protocol):
    """What patterns are resolved against: an :class:`espalier.Index`."""

    @property
    def info(self) -> _Info:
        """What the index holds."""

    def labels(self) -> Iterator[str]:
        """Yield the normalised text of every label."""


class Overlay:
    """Blocks, pins and boosts. Never changes; safe to share between threads.

    Exact queries and words are decided in C before ranking. Patterns are matched once
    against the labels of an index (:meth:`resolved`), which then are exact queries;
    other texts, as generated ones, are tried against them after the answer
    (:meth:`allowed`), and others take their place.

    Attributes:
        rules: The rules, texts normalised, in the order given.
        patterns: The RE2 expressions among them.
        resolved_for: Fingerprint of the index whose labels were matched, "" if none.
    """

    __slots__ = ("_engine", "_labels", "_native", "patterns", "resolved_for", "rules")

    rules: tuple[Rule, ...]
    patterns: tuple[str, ...]
    resolved_for: str

    def __init__(self, rules: Iterable[Rule] = ()) -> None:
        """Check the rules. Of two about the same text and of one kind the later counts.

        Raises:
            InputError: A rule cannot be kept; the message has its number, from 1.
        """
        settled = [settle(rule, number, _fault) for number, rule in enumerate(rules, 1)]
        self._make({key_of(rule): rule for rule in settled}.values(), None, "", ())

    def __repr__(self) -> str:
        """Count the rules."""
        return f"<espalier.Overlay of {len(self.rules)} rules>"

    def __eq__(self, other: object) -> bool:
        """Compare the rules."""
        return isinstance(other, Overlay) and self.rules == other.rules

    def __hash__(self) -> int:
        """Hash the rules."""
        return hash(self.rules)

    # ---- other rules --------------------------------------------------------------

    def with_(self, *rules: Rule) -> Self:
        """Return an overlay with these rules as well, in place of those about the same.

        Raises:
            InputError: A rule cannot be kept; numbers count the arguments.
        """
        settled = [settle(rule, number, _fault) for number, rule in enumerate(rules, 1)]
        changed = {key_of(rule): rule for rule in (*self.rules, *settled)}
        return self._changed(changed.values())

    def without(self, *rules: Rule) -> Self:
        """Return an overlay without the rules of these kinds about these texts.

        What a pin or a boost says besides its text does not matter, and a rule that is
        not there is no error.

        Raises:
            InputError: A rule could not be in any overlay.
        """
        gone = {key_of(settle(rule, number, _fault)) for number, rule in enumerate(rules, 1)}
        return self._changed(rule for rule in self.rules if key_of(rule) not in gone)

    def block_pattern(self, pattern: str, index: Labelled) -> Self:
        """Return an overlay that blocks what matches ``pattern`` too, for this index.

        Raises:
            InputError: It is not an RE2 expression.
        """
        return self.with_(BlockPattern(pattern)).resolved(index)

    def resolved(self, index: Labelled) -> Self:
        """Return this overlay with its patterns matched against the labels of ``index``.

        Takes about a second for a million labels, and nothing without patterns. Due
        again when patterns or the index change; until then every answer is tried
        against the patterns as a whole.
        """
        fingerprint = index.info.fingerprint
        if self._engine is None or self.resolved_for == fingerprint:
            return self
        made = type(self).__new__(type(self))
        labels = tuple(self._engine.matching(index.labels()))
        made._make(self.rules, self._engine, fingerprint, labels)
        return made

    # ---- files --------------------------------------------------------------------

    @classmethod
    def load(cls, path: Path | str) -> Self:
        """Read an overlay file.

        Raises:
            InputError: It cannot be read, or is none.
        """
        return document.load(Path(path), cls)

    def save(self, path: Path | str, *, mode: int = 0o666) -> None:
        """Write an overlay file, which appears whole or not at all.

        ``mode`` are its permissions, less what the process's umask takes away.

        Raises:
            StorageError: It cannot be written.
        """
        document.save(Path(path), self.rules, mode=mode)

    # ---- asking -------------------------------------------------------------------

    @property
    def native(self) -> NativeOverlay:
        """What a query takes."""
        return self._native

    def allows(self, text: str) -> bool:
        """Return whether ``text`` may be suggested, by every rule."""
        return self.allowed([normalise(text)])[0]

    def allowed(self, texts: Sequence[str]) -> list[bool]:
        """Return for each normalised text whether it may be suggested, by every rule."""
        blocked = [self._native.blocks(text.encode()) for text in texts]
        if self._engine is None:
            return [not one for one in blocked]
        matches = self._engine.match(texts)
        return [not (one or other) for one, other in zip(blocked, matches, strict=True)]

    def boost(self, text: str) -> float:
        """Return what the rules add to the score of ``text``."""
        return self._native.boost(normalise(text).encode())

    def pins(self, prefix: str) -> list[Pin]:
        """Return the pins for ``prefix`` that are not blocked, best position first."""
        found = self._native.pins(normalise_prefix(prefix).encode(), MAX_POSITION)
        pinned = {rule.text: rule for rule in self.rules if isinstance(rule, Pin)}
        allowed = self.allowed([pin.text for pin in found])
        return [pinned[pin.text] for pin, fine in zip(found, allowed, strict=True) if fine]

    # ---- making -------------------------------------------------------------------

    def _changed(self, rules: Iterable[Rule]) -> Self:
        made = type(self).__new__(type(self))
        rules = tuple(rules)
        same = self.patterns == _patterns(rules)
        made._make(
            rules,
            self._engine if same else None,
            self.resolved_for if same else "",
            self._labels if same else (),
        )
        return made

    def _make(
        self,
        rules: Iterable[Rule],
        engine: PatternSet | None,
        resolved_for: str,
        labels: tuple[str, ...],
    ) -> None:
        self.rules = tuple(rules)
        self.patterns = _patterns(self.rules)
        self.resolved_for = resolved_for
        self._labels = labels
        self._engine = engine or _engine(self.patterns)
        raw = [_raw(rule) for rule in self.rules if not isinstance(rule, BlockPattern)]
        raw.extend(RawRule(RuleKind.BLOCK_QUERY, label.encode()) for label in labels)
        self._native = NativeOverlay(raw)


def _patterns(rules: Iterable[Rule]) -> tuple[str, ...]:
    return tuple(rule.text for rule in rules if isinstance(rule, BlockPattern))


def _raw(rule: Block | BlockWord | Pin | Boost | BoostWord) -> RawRule:
    text = rule.text.encode()
    if isinstance(rule, Pin):
        display = rule.display.encode()
        return RawRule(
            RuleKind.PIN_QUERY,
            text,
            position=rule.position,
            min_prefix=rule.min_prefix,
            display=display,
        )
    by = rule.by if isinstance(rule, Boost | BoostWord) else 0.0
    return RawRule(_KINDS[type(rule)], text, boost=by)


# The engine is large; overlays without patterns, and those who only import this, do
# without it.


def _fault(pattern: str) -> str | None:
    from espalier import re2  # noqa: PLC0415

    return re2.fault(pattern)


def _engine(patterns: tuple[str, ...]) -> PatternSet | None:
    if not patterns:
        return None
    from espalier.re2 import PatternSet  # noqa: PLC0415

    return PatternSet(patterns)
