"""An index as a relevance engineer uses it: open a file, complete a prefix.

>>> index = espalier.open("site.esp")                      # doctest: +SKIP
>>> index.complete("ni", previous=["running shoes"])       # doctest: +SKIP
[Suggestion(text='nike running shoes', ...), ...]
"""

from __future__ import annotations

import json
import math
import threading
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import Any, Literal, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from espalier.errors import IndexCorruptError, InputError, LimitError
from espalier.filters import Filter
from espalier.native import (
    FEATURE_GROUPS,
    FEATURES,
    KEEP_VARIANTS,
    NO_LABEL,
    Caps,
    Encoded,
    Matcher,
    NativeIndex,
    RawSuggestion,
    Scratch,
    SectionInfo,
    Source,
    Work,
    attribute_values,
    feature_groups,
    feature_names,
    label_attributes,
)
from espalier.overlay import Overlay
from espalier.text import normalise, normalise_prefix, utf16_length
from espalier.withheld import (
    GENERATED,
    META_KEY,
    TrainedPatterns,
    answer,
    by_overlay,
    trained_patterns,
)

__all__ = [
    "Completion",
    "Contribution",
    "Explanation",
    "Filter",
    "Index",
    "IndexInfo",
    "Source",
    "Suggestion",
    "encode_previous",
    "open",
]

MAX_K = 100
"""Suggestions in one answer, at most."""
MAX_PREFIX_BYTES = 1024
"""UTF-8 bytes of a normalised prefix, at most."""
MAX_PREVIOUS = 32
"""Previous queries that are looked at; older ones are ignored."""
MAX_PREVIOUS_CODE_POINTS = 512
"""Longer previous queries are cut: their beginning says what was searched for."""

MAX_AGE = 2**32 - 1
"""Seconds; a previous query that is older counts as that old."""

_SOURCE_NAMES = {int(source): str(source.name) for source in Source}
_MATCHERS = {
    None: Matcher.DEFAULT,
    "constrained": Matcher.CONSTRAINED,
    "unconstrained": Matcher.UNCONSTRAINED,
}
_CAPS = Caps(
    k=MAX_K + GENERATED,
    prefix_bytes=MAX_PREFIX_BYTES,
    previous=MAX_PREVIOUS,
    # Four bytes is the most a code point takes, three how much casefold can grow it.
    context_bytes=MAX_PREVIOUS * MAX_PREVIOUS_CODE_POINTS * 4,
)


class Suggestion(NamedTuple):
    """One completion.

    Attributes:
        text: Normalised text; starts with the normalised prefix, unless it is CORRECTED.
        display_text: The form people type most often.
        score: Of the blend; comparable within one answer, higher is better.
        source: MODEL, POPULAR, TAIL or CORRECTED: the first that found it.
        matched_code_points: How much of ``text`` the prefix accounts for.
        matched_utf16: The same in UTF-16 code units, as browsers count.
        model: Log score of the ranking tree.
        popularity: Users of this label over those of the prefix's most popular label; both
            decayed by age where the index was trained so (`popularity_half_life_days`).
            0 for a generated query.
        label: Number of the label; None for what is none: generated or pinned.
        pinned: It stands here because the overlay says so.
    """

    text: str
    display_text: str
    score: float
    source: str
    matched_code_points: int
    matched_utf16: int
    model: float
    popularity: float
    label: int | None = None
    pinned: bool = False


class Contribution(NamedTuple):
    """What one feature did for one suggestion.

    Attributes:
        group: Its group, one of ``espalier.native.FEATURE_GROUPS``.
        value: Of the feature; NaN where it is not known.
        contribution: What it added to the score (Saabas 2014); all of them and ``average``
            add up to the score, boosts of an overlay aside.
    """

    group: str
    value: float
    contribution: float


class Explanation(NamedTuple):
    """A suggestion and why it stands where it does.

    Attributes:
        suggestion: As ``complete`` gives it.
        average: Score of an average candidate; 0 where no forest orders.
        features: Every feature by name; empty for a suggestion that was not ranked, as
            a pin or a label that fills up a list.
    """

    suggestion: Suggestion
    average: float
    features: dict[str, Contribution]


class Completion(NamedTuple):
    """Suggestions, and what it took to find them.

    Attributes:
        suggestions: Best first.
        work: Labels in the prefix's range, features known, nodes scored, candidates.
        candidate_ids: Labels that were ranked, unordered.
        candidate_texts: Texts of what was ranked besides and is no label.
        hygiene: Whether variants of better suggestions, and the query submitted last,
            were kept out.
    """

    suggestions: list[Suggestion]
    work: Work
    candidate_ids: NDArray[np.uint32]
    candidate_texts: tuple[str, ...] = ()
    hygiene: bool = False


@dataclass(frozen=True, slots=True)
class IndexInfo:
    """What an index holds.

    Attributes:
        bytes: Size of the file.
        labels: Number of labels.
        nodes: Tree nodes; 0 without a model.
        features: Hashed n-grams the index knows.
        depth: Edges from the root of the tree to a label.
        fingerprint: Names the training run, 16 hexadecimal digits.
        format_version: "major.minor".
        sections: Name, offset, length and checksum of each section.
        attributes: What labels can be filtered by: name, and how many values it has.
        meta: What training recorded: settings, counts, data digest.
    """

    bytes: int
    labels: int
    nodes: int
    features: int
    depth: int
    fingerprint: str
    format_version: str
    sections: tuple[SectionInfo, ...]
    meta: dict[str, Any]
    attributes: dict[str, int]


class Index:
    """An open index. Safe to share between threads."""

    def __init__(self, native: NativeIndex, path: Path) -> None:
        """Own an open native index; use :func:`open` instead."""
        self.path = path
        self._native = native
        self._local = threading.local()
        self._patterns = self._trained_patterns()

    def __enter__(self) -> Self:
        """Return the index."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close the index."""
        self.close()

    def __repr__(self) -> str:
        """Name the file."""
        return f"<espalier.Index {self.path}>"

    @property
    def native(self) -> NativeIndex:
        """The open file, for what else it may be used as."""
        return self._native

    def close(self) -> None:
        """Unmap the file. No call may be under way."""
        self._local = threading.local()
        self._native.close()

    @cached_property
    def info(self) -> IndexInfo:
        """What the index holds."""
        native = self._native.info
        try:
            meta = json.loads(self._native.section("META") or b"{}")
        except ValueError:  # of JSON or of UTF-8
            raise IndexCorruptError(
                f"{self.path}: META is not JSON; restore the file or train it again",
                section="META",
            ) from None
        return IndexInfo(
            bytes=native.bytes,
            labels=native.labels,
            nodes=native.nodes,
            features=native.features,
            depth=native.depth,
            fingerprint=f"{native.fingerprint:016x}",
            format_version=native.format_version,
            sections=tuple(self._native.sections()),
            meta=meta,
            attributes=dict(Counter(value.partition(":")[0] for value in self.attributes())),
        )

    def validate(self, *, deep: bool = False) -> None:
        """Check every checksum and, if ``deep``, every invariant of the format.

        Raises:
            IndexCorruptError: With the check that failed.
        """
        self._native.verify()
        if deep:
            self._native.validate()

    def complete(
        self,
        prefix: str,
        previous: Sequence[str] = (),
        *,
        k: int = 10,
        beam: int = 0,
        pool: int = 0,
        sources: Source | None = None,
        matcher: Literal["constrained", "unconstrained"] | None = None,
        overlay: Overlay | None = None,
        previous_age: Sequence[float] | None = None,
        where: Filter | None = None,
        keep_variants: bool = False,
        groups_off: Sequence[str] = (),
    ) -> list[Suggestion]:
        """Return at most ``k`` completions of ``prefix``, best first.

        Every completion starts with the normalised prefix, unless it is CORRECTED, and
        if ``k`` eligible labels do, ``k`` come back (unless ``sources`` leaves out
        POPULAR). Not eligible are the query submitted last, what the overlay blocks, what
        ``where`` rules out, and variants of better suggestions: other plurals, word orders
        or spacings.

        Args:
            prefix: What was typed so far; "" asks for the next query.
            previous: The session's queries, most recent first. At most the newest 32
                are looked at, of each the first 512 code points; empty ones are ignored.
            k: Suggestions wanted, 1 to 100.
            beam: Nodes kept per level, 1 to 100; 0 for the index's own.
            pool: Labels the model hands to the blend, 1 to 2048; 0 for the index's own.
            sources: Where suggestions may come from; None for everywhere, but TAIL only if
                the index has learned to rank it. MODEL or POPULAR alone order by themselves.
            matcher: How the beam meets the prefix; None for the index's own.
            overlay: Blocks, pins and boosts that hold for this answer. Where it has
                patterns, resolve it for this index first: otherwise they filter a few
                more suggestions than ``k``, of which fewer than ``k`` may be left.
            previous_age: Seconds since each of ``previous``; None if not known.
            where: What suggestions must be: see :class:`espalier.Filter`; None for anything.
            keep_variants: Whether variants of better suggestions stay.
            groups_off: Groups of features the blend does without, of
                ``espalier.native.FEATURE_GROUPS``.

        Raises:
            InvalidTextError: A lone surrogate in ``prefix`` or ``previous``.
            InputError: As many ages as previous queries were not given, or one is NaN.
            LimitError: ``prefix`` above 1,024 bytes of UTF-8, a number out of range, or more
                than 32 values in a list of ``where``.
            UnsupportedError: ``where`` asks for something, and the index has no attributes.
        """
        return self._complete(
            self._scratch(),
            prefix,
            previous,
            previous_age,
            k,
            beam,
            pool,
            sources,
            matcher,
            KEEP_VARIANTS if keep_variants else 0,
            _group_bits(groups_off),
            overlay,
            where,
        )

    def complete_encoded(
        self,
        prefix: str,
        previous: Sequence[str] = (),
        *,
        field: int,
        k: int = 10,
        sources: Source | None = None,
        overlay: Overlay | None = None,
        previous_age: Sequence[float] | None = None,
        where: Filter | None = None,
        keep_variants: bool = False,
    ) -> Encoded | None:
        """Return completions as `complete` does, as bytes of a Protocol Buffers message.

        For a service that sends them on: they are field number ``field`` (1 to 15), each a
        message ``espalier.v1.Suggestion``. None where patterns have a say about texts.
        Arguments and errors are those of `complete`.
        """
        if self._patterns is not None or (overlay is not None and overlay.patterns):
            return None
        if not 1 <= k <= MAX_K:
            raise LimitError(f"k must be 1 to {MAX_K}, not {k}")
        queries, age = _encode_session(previous, previous_age)
        encoded = _encode_prefix(normalise_prefix(prefix))
        scratch = self._scratch()
        scratch.ask(
            encoded,
            queries,
            k,
            sources=0 if sources is None else int(sources),
            flags=KEEP_VARIANTS if keep_variants else 0,
            overlay=None if overlay is None else overlay.native,
            age=age,
            chosen=None if where is None else where.native(self._native),
        )
        return scratch.encoded(encoded, field)

    def complete_with_work(
        self,
        prefix: str,
        previous: Sequence[str] = (),
        *,
        k: int = 10,
        beam: int = 0,
        pool: int = 0,
        sources: Source | None = None,
        matcher: Literal["constrained", "unconstrained"] | None = None,
        overlay: Overlay | None = None,
        previous_age: Sequence[float] | None = None,
        where: Filter | None = None,
        keep_variants: bool = False,
        groups_off: Sequence[str] = (),
    ) -> Completion:
        """Complete, and tell what was considered. Arguments as in :meth:`complete`.

        ``groups_off`` names feature groups the blend does without, of
        ``espalier.native.FEATURE_GROUPS``.

        Raises:
            InputError: There is no such feature group.
        """
        scratch = self._scratch()
        found = self._complete(
            scratch,
            prefix,
            previous,
            previous_age,
            k,
            beam,
            pool,
            sources,
            matcher,
            KEEP_VARIANTS if keep_variants else 0,
            _group_bits(groups_off),
            overlay,
            where,
            looked_at=True,
        )
        labels, texts = scratch.candidates()
        return Completion(found, scratch.work(), labels, tuple(texts), hygiene=not keep_variants)

    def explain(
        self,
        prefix: str,
        previous: Sequence[str] = (),
        *,
        k: int = 10,
        beam: int = 0,
        pool: int = 0,
        sources: Source | None = None,
        matcher: Literal["constrained", "unconstrained"] | None = None,
        overlay: Overlay | None = None,
        previous_age: Sequence[float] | None = None,
        where: Filter | None = None,
        keep_variants: bool = False,
        groups_off: Sequence[str] = (),
    ) -> list[Explanation]:
        """Complete, and give every feature of every suggestion. Arguments as in ``complete``."""
        scratch = self._scratch()
        found = self._complete(
            scratch,
            prefix,
            previous,
            previous_age,
            k,
            beam,
            pool,
            sources,
            matcher,
            FEATURES | (KEEP_VARIANTS if keep_variants else 0),
            _group_bits(groups_off),
            overlay,
            where,
            looked_at=True,
        )
        values = scratch.ranked_features()
        names, groups = feature_names(), feature_groups()
        explained = []
        for one in found:
            row = scratch.ranked_row(one.text.encode())
            if row is None:
                explained.append(Explanation(one, 0.0, {}))
                continue
            *parts, average = scratch.explain(row).tolist()
            features = {
                name: Contribution(group, value, part)
                for name, group, value, part in zip(
                    names, groups, values[row].tolist(), parts, strict=True
                )
            }
            explained.append(Explanation(one, average, features))
        return explained

    def popular(self, prefix: str, k: int = 10) -> list[str]:
        """Return the ``k`` labels of the prefix that most distinct users typed.

        The baseline "most frequent completion": no session, no model.

        Raises:
            LimitError: ``k`` below 1 or above what a query may consider.
        """
        if not 1 <= k <= _CAPS.pool:
            raise LimitError(f"k must be 1 to {_CAPS.pool}, not {k}")
        labels = self._scratch().popular(_encode_prefix(normalise_prefix(prefix)), k)
        return [self._native.label_texts(label)[0] for label in labels]

    def find(self, text: str) -> int | None:
        """Return the number of the label ``text``, None if it is no label."""
        wanted = normalise(text)
        encoded = wanted.encode()
        lo, hi = self._native.prefix_range(encoded)
        if lo < hi and self._native.label_texts(lo)[0] == wanted:
            return lo
        return None

    def label(self, number: int) -> str:
        """Return the normalised text of a label.

        Raises:
            InputError: There is no such label.
        """
        return self._native.label_texts(self._number(number))[0]

    def labels(self) -> Iterator[str]:
        """Yield the normalised text of every label, in the order of their numbers."""
        for number in range(self._n_labels):
            yield self._native.label_texts(number)[0]

    def users(self, number: int) -> int:
        """Return how many distinct users typed a label.

        Raises:
            InputError: There is no such label.
        """
        return self._native.label_users(self._number(number))

    def attributes(self) -> dict[str, int]:
        """Return every attribute value labels have, and how many labels have it.

        Raises:
            IndexCorruptError: One of them is no text.
        """
        return dict(attribute_values(self._native.handle))

    def attributes_of(self, number: int) -> list[str]:
        """Return the attribute values of a label, ascending.

        Raises:
            InputError: There is no such label.
        """
        return label_attributes(self._native.handle, self._number(number))

    @cached_property
    def _n_labels(self) -> int:
        return self._native.info.labels

    def _number(self, label: int) -> int:
        if not 0 <= label < self._n_labels:
            raise InputError(f"label {label} of {self._n_labels}")
        return label

    def _scratch(self) -> Scratch:
        scratch: Scratch | None = getattr(self._local, "scratch", None)
        if scratch is None:
            scratch = self._native.scratch(_CAPS)
            self._local.scratch = scratch
        return scratch

    def _complete(  # noqa: PLR0917 - the hot path, called twice, by position
        self,
        scratch: Scratch,
        prefix: str,
        previous: Sequence[str],
        previous_age: Sequence[float] | None,
        k: int,
        beam: int,
        pool: int,
        sources: Source | None,
        matcher: str | None,
        flags: int,
        groups_off: int,
        overlay: Overlay | None,
        where: Filter | None,
        looked_at: bool = False,  # noqa: FBT001, FBT002
    ) -> list[Suggestion]:
        if not 1 <= k <= MAX_K:
            raise LimitError(f"k must be 1 to {MAX_K}, not {k}")
        if not (0 <= beam <= _CAPS.beam and 0 <= pool <= _CAPS.pool):
            raise LimitError(
                f"beam must be 0 to {_CAPS.beam} and pool 0 to {_CAPS.pool}, not {beam} and {pool}"
            )
        typed = normalise_prefix(prefix)
        if matcher not in _MATCHERS:
            raise InputError(f"no matcher {matcher!r}; use 'constrained' or 'unconstrained'")
        queries, age = _encode_session(previous, previous_age)
        encoded = _encode_prefix(typed)

        def ask(n: int, origins: int) -> list[RawSuggestion]:
            return scratch.complete(
                encoded,
                queries,
                n,
                beam=beam,
                pool=pool,
                sources=origins,
                matcher=_MATCHERS[matcher],
                flags=flags,
                groups_off=groups_off,
                overlay=None if overlay is None else overlay.native,
                age=age,
                chosen=None if where is None else where.native(self._native),
            )

        origins = 0 if sources is None else int(sources)
        if self._patterns is None and (overlay is None or not overlay.patterns):
            found = ask(k, origins)
        else:
            found = answer(ask, k, origins, partial(self._allowed, overlay), looked_at=looked_at)
        points, units = len(typed), utf16_length(typed)
        return [
            Suggestion(
                raw.text,
                raw.display,
                raw.score,
                _SOURCE_NAMES[raw.source],
                points if raw.matched is None else len(raw.matched),
                units if raw.matched is None else utf16_length(raw.matched),
                raw.model,
                raw.popularity,
                None if raw.label == NO_LABEL else raw.label,
                raw.pinned,
            )
            for raw in found
        ]

    def _allowed(self, overlay: Overlay | None, found: list[RawSuggestion]) -> list[RawSuggestion]:
        if self._patterns is not None:
            found = self._patterns.allowed(found)
        if overlay is not None and overlay.patterns:
            resolved = overlay.resolved_for == self.info.fingerprint
            found = by_overlay(found, overlay, resolved=resolved)
        return found

    def _trained_patterns(self) -> TrainedPatterns | None:
        # Opening reads META only where there is something to find.
        if META_KEY.encode() not in (self._native.section("META") or b""):
            return None
        return trained_patterns(self.info.meta.get(META_KEY), str(self.path))


def _group_bits(names: Sequence[str]) -> int:
    bits = 0
    for name in names:
        if name not in FEATURE_GROUPS:
            raise InputError(f"no feature group {name!r}; there are {', '.join(FEATURE_GROUPS)}")
        bits |= 1 << FEATURE_GROUPS.index(name)
    return bits


def _encode_prefix(typed: str) -> bytes:
    encoded = typed.encode()
    if len(encoded) > MAX_PREFIX_BYTES:
        raise LimitError(
            f"a prefix of {len(encoded)} bytes; at most {MAX_PREFIX_BYTES} bytes of UTF-8"
        )
    return encoded


def encode_previous(
    previous: Sequence[str], most: int = MAX_PREVIOUS, code_points: int = MAX_PREVIOUS_CODE_POINTS
) -> list[bytes]:
    """Return the previous queries as the C library takes them: normalised, cut, not empty."""
    if isinstance(previous, str):
        raise InputError("previous must be a sequence of queries, most recent first, not a string")
    encoded = []
    for text in list(previous)[:most]:
        query = normalise(text[:code_points])
        if query:
            encoded.append(query[:code_points].encode())
    return encoded


def _encode_session(
    previous: Sequence[str], age: Sequence[float] | None
) -> tuple[list[bytes], list[int] | None]:
    """Return what ``encode_previous`` does, and the ages of what it kept."""
    if age is None:
        return encode_previous(previous), None
    if len(age) != len(previous):
        raise InputError(f"{len(previous)} previous queries with {len(age)} ages; give one each")
    queries, seconds = [], []
    for text, old in zip(previous[:MAX_PREVIOUS], age[:MAX_PREVIOUS], strict=True):
        if math.isnan(old):
            raise InputError("an age is not a number; give seconds, or no ages if one is unknown")
        for query in encode_previous([text]):
            queries.append(query)
            seconds.append(round(min(max(old, 0), MAX_AGE)))
    return queries, seconds


def open(path: Path | str, *, verify: bool = True) -> Index:
    """Open an index file.

    Args:
        path: The ``.esp`` file.
        verify: Compare all checksums first. Without it opening takes constant time.

    Raises:
        IndexMissingError: The file cannot be opened.
        IndexFormatError: It is not an index.
        IndexVersionError: It was written by an incompatible version.
        IndexCorruptError: A checksum does not match, or the patterns it was trained with
            are none.
        UnsupportedError: It was trained with patterns, and RE2 is not installed.
    """
    native = open_native(path, verify=verify)
    try:
        return Index(native, Path(path))
    except BaseException:
        native.close()
        raise


def open_native(path: Path | str, *, verify: bool) -> NativeIndex:
    """Open a file as :func:`open` does, without the view on it that completes."""
    native = NativeIndex.open(path)
    if verify:
        try:
            native.verify()
        except BaseException:
            native.close()
            raise
    return native
