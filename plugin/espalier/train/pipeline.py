"""The training pipeline, stage by stage.

::

    log -> rows -> vectorise -> index -> match + rank -> words -> write
            |          |          |          |             |        |
          labels   vocabulary    tree     chunks        n-grams  .esp file

The same is done before without some of the users, whom the blender is taught with.

Before anything is learned, a share of the users is held out (``querylog.holdout``):
the index has never seen them and can be measured on what they typed.

Same log, settings and version: same bytes, on any number of threads.
"""

from __future__ import annotations

import contextlib
import functools
import resource
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from espalier.errors import InputError
from espalier.files import refuse_to_overwrite
from espalier.native import ATTRIBUTE_VALUES, NativeIndex, version
from espalier.progress import NO_PROGRESS, Progress
from espalier.querylog import QueryLog, Split, hold_out, read_log
from espalier.settings import TrainSettings
from espalier.train.attributes import LabelAttributes, choose_attributes
from espalier.train.beam import BeamSearch
from espalier.train.blend import choose_blend
from espalier.train.fold import (
    FEWEST_ANSWERED,
    FEWEST_USERS,
    MAX_PREVIOUS,
    answer,
    choose_fold,
    pose,
)
from espalier.train.index import IndexerInput
from espalier.train.matrices import take_rows
from espalier.train.rank import Entries, RankInput, rank_tree, tree_order
from espalier.train.recency import Recency, decayed_popularity
from espalier.train.report import TrainReport
from espalier.train.rows import log_digest
from espalier.train.stages import make_blender, make_indexer, make_matcher, make_ranker
from espalier.train.tree import Tree
from espalier.train.vectorise import Lessons, label_vectors, make_lessons
from espalier.train.words import Words, learn_words
from espalier.train.workers import Workers
from espalier.train.write import (
    Model,
    all_sections,
    fingerprint_of,
    recorded_settings,
    write_index,
)
from espalier.withheld import META_KEY


def train_index(
    logs: Sequence[Path],
    out: Path,
    settings: TrainSettings,
    *,
    report: Path | None = None,
    progress: Progress = NO_PROGRESS,
    clock: Callable[[], float] = time.perf_counter,
) -> TrainReport:
    """Train an index on query logs and write it to ``out``.

    Args:
        logs: Query logs; see ``espalier.querylog`` for the formats.
        out: The index file, replaced only when the new one is complete.
        settings: What to train, and how.
        report: Folder for ``report.json``, made if missing; None for none.
        progress: Told about every stage.
        clock: Seconds, for the report.

    Raises:
        InputError: No log, a log nobody can read, or unusable settings.
        StorageError: The index or the report cannot be written.
    """
    refuse_to_overwrite(logs, [out])
    split, seconds = read_split(logs, settings, progress=progress, clock=clock)
    result = train_split(split, out, settings, progress=progress, clock=clock)
    result = replace(result, seconds={**seconds, **result.seconds})
    if report is not None:
        result.write(report)
    return result


def read_split(
    logs: Sequence[Path],
    settings: TrainSettings,
    *,
    progress: Progress = NO_PROGRESS,
    clock: Callable[[], float] = time.perf_counter,
) -> tuple[Split, dict[str, float]]:
    """Read query logs and hold users out, as the settings ask; return the seconds too.

    Raises:
        InputError: No log, a log nobody can read, or unusable settings.
    """
    if not logs:
        raise InputError("training needs a query log; give at least one with --log")
    run = _Run(progress, clock)
    # Names that do not exist fail now, not after minutes of reading.
    make_indexer(settings), make_matcher(settings), make_ranker(settings), make_blender(settings)
    with run.stage("read"):
        log = read_log(logs, settings.log, progress)
    return hold_out(log, settings.holdout), run.seconds


def train_on(
    log: QueryLog,
    out: Path,
    settings: TrainSettings,
    *,
    progress: Progress = NO_PROGRESS,
    clock: Callable[[], float] = time.perf_counter,
) -> TrainReport:
    """Train an index on a log that has been read; otherwise as ``train_index``."""
    split = hold_out(log, settings.holdout)
    return train_split(split, out, settings, progress=progress, clock=clock)


def train_split(
    split: Split,
    out: Path,
    settings: TrainSettings,
    *,
    progress: Progress = NO_PROGRESS,
    clock: Callable[[], float] = time.perf_counter,
) -> TrainReport:
    """Train an index on the training side of a log; otherwise as ``train_index``."""
    log = split.training
    run = _Run(progress, clock)
    digest = log_digest(log)
    scorer, blend_facts = _learn_blend(log, settings, run)
    learned = _learn(log, settings, run)
    fingerprint = fingerprint_of(digest, settings, version())
    facts: dict[str, Any] = {
        "settings": recorded_settings(settings),
        "fingerprint": f"{fingerprint:016x}",
        "counts": {**_counts(log, learned), **blend_facts.counts},
        "dropped": _dropped(log, learned),
        "holdout": split.to_json(),
        "recency": _recency_facts(learned.recency, settings),
    }
    with run.stage("write"):
        meta = {"version": version(), "data": digest, **facts}
        if log.kept_out.patterns:
            meta[META_KEY] = list(log.kept_out.patterns)
        sections = learned.sections(settings, meta, scorer)
        write_index(out, sections, fingerprint)
    return TrainReport(
        out=out,
        log=log.report,
        seconds=run.seconds,
        section_bytes={name: len(data) for name, data in sections.items()},
        file_bytes=out.stat().st_size,
        peak_memory_bytes=_peak_memory(),
        warnings=(*_warnings(log, settings, learned), *blend_facts.warnings),
        **facts,
    )


@dataclass(frozen=True, slots=True, eq=False)
class _Learned:
    """Everything an index holds but the blender."""

    lessons: Lessons
    tree: Tree
    chunks: list[bytes]
    recency: Recency | None
    words: Words
    attributes: LabelAttributes

    def sections(
        self, settings: TrainSettings, meta: dict[str, Any], scorer: bytes = b""
    ) -> dict[str, bytes]:
        model = Model(self.lessons.vocabulary.space, self.tree, self.chunks)
        return all_sections(
            settings,
            self.lessons.labels,
            model,
            choose_blend(settings),
            meta,
            recency=self.recency,
            words=self.words.sections,
            scorer=scorer,
            attributes=self.attributes.section(),
        )


def _learn(log: QueryLog, settings: TrainSettings, run: _Run) -> _Learned:
    with run.stage("vectorise"):
        lessons = make_lessons(log, settings)
    with run.stage("index"):
        tree = _grow(lessons, settings)
    with run.stage("rank", tree.n_nodes) as done:
        chunks = _rank(tree, lessons, settings, done)
    with run.stage("words"):
        words = learn_words(log, lessons.labels, settings)
    recency = decayed_popularity(log, lessons.labels, settings.popularity_half_life_days)
    attributes = choose_attributes(log, lessons.labels, settings)
    return _Learned(lessons, tree, chunks, recency, words, attributes)


@dataclass(frozen=True, slots=True)
class _BlendFacts:
    counts: dict[str, int] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()


def _learn_blend(log: QueryLog, settings: TrainSettings, run: _Run) -> tuple[bytes, _BlendFacts]:
    """Teach the blender on users an index of the others has not seen.

    That index is trained as the real one is, asked, and thrown away. Where the log is
    too small to leave anybody out, the fixed blend has to do.
    """
    blender = make_blender(settings)
    if blender is None:
        return b"", _BlendFacts()
    if settings.blend_share == 0:
        return _unlearned("blend_share is 0, so nobody teaches the blender")
    fold = choose_fold(log, settings.blend_share, settings.seed)
    if fold is None:
        return _unlearned(f"the log has fewer than {FEWEST_USERS} users")
    try:
        with run.within("fold"):
            learned = _learn(fold.training, settings, run)
    except InputError:
        # Nothing is left to learn from: then nobody is left out.
        return _unlearned(
            f"without the users who teach the blender, no query has {settings.min_users}"
        )
    questions = pose(fold.asked, settings.blend_questions, MAX_PREVIOUS, settings.seed)
    # The file goes as soon as it is open: interrupted or killed, nothing is left of it.
    with tempfile.TemporaryDirectory(prefix="espalier-") as folder:
        path = Path(folder) / "fold.esp"
        write_index(path, learned.sections(settings, {}), 0)
        index = NativeIndex.open(path)
    del learned
    with index, run.stage("ask", len(questions.event)) as done:
        answers = answer(index, fold.asked, questions, settings.thread_count, done)
    counts = {"blend_questions": answers.asked, "blend_answered": len(answers.group)}
    if len(answers.group) < FEWEST_ANSWERED:
        few = (
            f"{len(answers.group):,} of {answers.asked:,} questions can teach the blender, and it "
            f"takes {FEWEST_ANSWERED}; give more log, or set a larger blend_share"
        )
        return _unlearned(few, counts)
    with run.stage("blend"):
        forest = blender.learn(answers, threads=settings.thread_count, progress=run.progress)
    return forest.section(), _BlendFacts({**counts, "blend_trees": len(forest.trees)})


def _unlearned(reason: str, counts: dict[str, int] | None = None) -> tuple[bytes, _BlendFacts]:
    """Return no scorer, and a warning that says why."""
    warning = f"suggestions are ordered by fixed weights: {reason}"
    return b"", _BlendFacts(counts or {}, (warning,))


@dataclass(slots=True)
class _Run:
    """Shows the stages of one run and remembers how long each took."""

    progress: Progress
    clock: Callable[[], float]
    seconds: dict[str, float] = field(default_factory=dict)
    outer: str = ""

    @contextlib.contextmanager
    def within(self, name: str) -> Iterator[None]:
        """Name the stages inside after what they are for."""
        self.outer = f"{name}: "
        try:
            yield
        finally:
            self.outer = ""

    @contextlib.contextmanager
    def stage(self, name: str, total: int | None = None) -> Iterator[Callable[[int], None]]:
        name = self.outer + name
        start = self.clock()
        with self.progress.stage(name, total) as advance:
            yield advance
        self.seconds[name] = self.clock() - start


def _grow(lessons: Lessons, settings: TrainSettings) -> Tree:
    vectors = functools.cache(lambda: label_vectors(lessons, settings))
    with Workers(settings.thread_count) as workers:
        return make_indexer(settings).index(IndexerInput(lessons.labels.texts, vectors, workers))


def _rank(
    tree: Tree, lessons: Lessons, settings: TrainSettings, done: Callable[[int], None]
) -> list[bytes]:
    """Train every node; the rows are brought into tree order first."""
    rows = lessons.rows
    order = tree_order(tree, rows.entry_row, rows.entry_label, len(rows))
    number = np.empty(len(rows), np.uint32)
    number[order] = np.arange(len(rows), dtype=np.uint32)
    x = take_rows(lessons.x, order)
    # With a threshold of one user every weight has the support it needs.
    support = settings.min_users > 1 and rows.user is not None
    data = RankInput(
        x=x,
        user=rows.user[order] if support and rows.user is not None else None,
        cost=None if rows.cost is None else rows.cost[order],
        is_context=lessons.vocabulary.is_context,
    )
    with Workers(settings.thread_count) as workers:
        return rank_tree(
            tree,
            Entries.of(tree, number[rows.entry_row], rows.entry_label, len(rows)),
            data,
            matcher=make_matcher(settings),
            ranker=make_ranker(settings),
            workers=workers,
            beams=BeamSearch(tree, x, lessons.vocabulary.space, settings),
            done=done,
        )


def _counts(log: QueryLog, learned: _Learned) -> dict[str, int]:
    lessons, tree = learned.lessons, learned.tree
    return {
        "rows_read": log.report.rows_read,
        "rows_used": log.report.rows_used,
        "events": len(log.event_query),
        "queries": len(log.queries),
        "labels": len(lessons.labels),
        "blocked_queries": len(log.kept_out.queries),
        "blocked_words": len(log.kept_out.words),
        "training_rows": len(lessons.rows),
        "features": len(lessons.vocabulary.space.keys),
        "context_features": int(lessons.vocabulary.is_context.sum()),
        "nonzeros": int(lessons.x.row_ptr[-1]),
        "nodes": tree.n_nodes,
        "levels": tree.n_levels,
        "attribute_values": len(learned.attributes.values),
        "attributes": len(learned.attributes.label),
    }


def _dropped(log: QueryLog, learned: _Learned) -> dict[str, int]:
    """Return what was left out, by reason; kinds and rules are those of ``querylog``."""
    labels, attributes = learned.lessons.labels, learned.attributes
    return {
        **{f"row: {kind}": bad.count for kind, bad in log.report.bad_rows.items()},
        **{f"row: {rule}": count for rule, count in log.report.private_rows.items()},
        "query: too few users": len(log.queries) - len(labels) - labels.without_results,
        "query: no results": labels.without_results,
        "attribute of a query: too few users": attributes.rare,
        "attribute of a query: it has 16 with more users": attributes.above_label,
        "attribute of a query: 65,535 values have more users": attributes.above_index,
        **{f"words_mib: {kind}": count for kind, count in learned.words.dropped.items()},
    }


def _recency_facts(recency: Recency | None, settings: TrainSettings) -> dict[str, float]:
    if recency is None:
        return {}
    return {
        "half_life_days": settings.popularity_half_life_days,
        "unit_bits": recency.unit_bits,
    }


def _way_to_sessions(log: QueryLog) -> str:
    if log.has_sessions:
        cut = ", or none, so that users and times make sessions" if log.has_users else ""
        return (
            "every session of the column in use has a single query: name a column whose values "
            f"queries share (log.session_column){cut}"
        )
    if log.has_users:
        return (
            "no user has a second query soon enough: raise log.session_gap_minutes, or name a "
            "column of sessions (log.session_column)"
        )
    return "name the column (log.session_column or log.user_column)"


def _warnings(log: QueryLog, settings: TrainSettings, learned: _Learned) -> Iterator[str]:
    """Yield what the settings ask for and this log cannot teach."""
    if log.event_time is None and settings.popularity_half_life_days > 0:
        yield (
            "the log has no times, so popularity does not fade; name the column "
            "(log.time_column), or set popularity_half_life_days=0"
        )
    if settings.context_queries > 0 and not (log.event_session[1:] == log.event_session[:-1]).any():
        yield (
            "no query of the log follows another in a session, so nothing is learned from "
            f"previous queries; {_way_to_sessions(log)}"
        )
    if learned.words.dropped and not learned.words.sections:
        yield (
            f"words_mib = {settings.words_mib:g} has no room for a single word, so only labels are "
            "suggested; give more, or 0 for no limit"
        )
    yield from _attribute_warnings(log, settings, learned)


def _attribute_warnings(log: QueryLog, settings: TrainSettings, learned: _Learned) -> Iterator[str]:
    names = settings.log.attribute_columns
    had = {value.partition(":")[0] for value in learned.attributes.values}
    missing = [name for name in names if name not in had]
    if missing:
        yield (
            f"no query has enough users with the same {' or '.join(missing)}, so nothing can be "
            "filtered by that; give more log, or set a smaller min_users or attribute_share"
        )
    if learned.attributes.above_index:
        yield (
            f"the log has {len(log.attributes.values):,} attribute values, of which an index holds "
            f"{ATTRIBUTE_VALUES:,}; leave columns that name single things out of log.attributes"
        )


def _peak_memory() -> int:
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024  # Linux counts in KiB
