"""Publishing: train, ask people the index has never seen, and only then replace the old one.

::

    logs ──► training users ──► candidate ──┐
        └──► held-out users ──► questions ──┴─► worse than the old one? ──► rename
                                     └── old index ─┘

*When is a new index worse?* Two figures of some thousand rows differ every night, so a
lower one alone proves nothing: retraining on the same data would be refused at random.
A new index is refused if it loses more than ``must_beat_margin`` of the old one's MRR@10
(1 % by default) *and* chance does not explain it: the 95 % interval of the paired
difference, over users, lies wholly below zero. What the margin lets through night after
night can add up; who minds compares with an index that stays the same.
"""

from __future__ import annotations

import contextlib
import dataclasses
import importlib.util
import json
import shutil
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from espalier.errors import ConfigError, IndexMissingError, InputError, RejectedError, StorageError
from espalier.evaluate import EvaluationReport, IndexReport, evaluate_questions
from espalier.evaluate.questions import Questions, prepare
from espalier.evaluate.rivals import Comparison, compare
from espalier.evaluate.sampling import sample
from espalier.files import new_file, refuse_to_overwrite, replacement
from espalier.index import Index
from espalier.index import open as open_index
from espalier.progress import NO_PROGRESS, Progress
from espalier.querylog import Split, pairs_of_held_out
from espalier.querylog.holdout import MIN_USERS
from espalier.querylog.split import RULE
from espalier.settings import TrainSettings
from espalier.train import TrainReport, read_split, train_split

ROWS: Final = 5_000
"""Questions asked at most, the same ones every night as far as they still exist."""
LATENCY_ROWS: Final = 1_000
"""Calls that are timed."""
FEWEST_USERS: Final = 5
"""Fewer people cannot tell two indexes apart."""

_NAME: Final = Path("held-out users")
_OLD_KNEW: Final = (
    "the old index may have learned from the users asked, which makes it look better than it "
    "is; train it once more with this holdout, or publish once without --must-beat"
)
_NOBODY: Final = {
    "share is 0": "holdout is 0; set it, as in --set holdout=0.02",
    "no users": "the log has neither users nor sessions; name the column (log.user_column or "
    "log.session_column)",
    "few users": f"the log has fewer than {MIN_USERS} users; give more log",
    "all train": "every user of the log is among those who train, as in a log that "
    "`espalier pairs --train-log` wrote; give the whole log, or a larger holdout",
}


@dataclass(frozen=True, slots=True)
class PublishReport:
    """What became of a new index.

    Attributes:
        training: How it was trained.
        evaluation: How it completes what held-out users typed; None where nobody was asked.
        unasked: Why nobody was; "" where somebody was.
        comparison: With the index it had to beat; None where there was none.
        old_knew: Whether that one may have learned from the users asked.
        published: Whether it stands at its place.
        undrawn: Why there is no ``report.html`` though one was asked for; "" otherwise.
    """

    training: TrainReport
    evaluation: EvaluationReport | None
    unasked: str
    comparison: Comparison | None = None
    old_knew: bool = False
    published: bool = True
    undrawn: str = ""

    def to_json(self) -> dict[str, Any]:
        """Return the report of the training, and beside it what was found afterwards."""
        return {
            **self.training.to_json(),
            "published": self.published,
            "evaluation": None if self.evaluation is None else self.evaluation.to_json(),
            "not_evaluated": self.unasked or None,
            "not_drawn": self.undrawn or None,
            "must_beat": None
            if self.comparison is None
            else {**self.comparison.to_json(), "old_knew_the_users": self.old_knew},
        }

    def table(self) -> str:
        """Return the report as text for a terminal."""
        lines = [self.training.table(), ""]
        held_out = self.training.holdout.get("users", 0)
        if self.evaluation is None:
            lines.append(f"not evaluated: {self.unasked} ({held_out:,} users held out)")
        else:
            lines += _figures(self.evaluation.indexes[0], held_out)
        if self.undrawn:
            lines.append(f"no report.html: {self.undrawn}")
        if self.comparison is not None:
            lines += ["", f"against the old index: {self.comparison.line()}"]
            lines += [f"warning: {_OLD_KNEW}"] * self.old_knew
        return "\n".join(lines)

    def write(self, folder: Path) -> None:
        """Write ``report.json`` and, where somebody was asked, ``report.html``.

        The page needs matplotlib (the extra ``report``) and is left out without it;
        ``undrawn`` says so.

        Raises:
            StorageError: One of them cannot be written.
        """
        page = None
        if self.evaluation is not None and not self.undrawn:
            # Only here is matplotlib needed, which takes a second to load.
            from espalier.evaluate.page import render_page  # noqa: PLC0415

            page = render_page(self.evaluation).encode()
        figures = json.dumps(self.to_json(), indent=2, allow_nan=False) + "\n"
        try:
            folder.mkdir(parents=True, exist_ok=True)
            with new_file(folder / "report.json") as stream:
                stream.write(figures.encode())
            if page is not None:
                with new_file(folder / "report.html") as stream:
                    stream.write(page)
        except (OSError, StorageError) as error:
            raise StorageError(
                f"{folder}: the report cannot be written ({error}); the index is complete, "
                "give --report a folder that can be written"
            ) from error


def publish(
    logs: Sequence[Path],
    out: Path,
    settings: TrainSettings,
    *,
    evaluate: bool = True,
    must_beat: Path | None = None,
    keep_rejected: Path | None = None,
    report: Path | None = None,
    progress: Progress = NO_PROGRESS,
    clock: Callable[[], float] = time.perf_counter,
) -> PublishReport:
    """Train an index, measure it on its held-out users, and let it take its place.

    Args:
        logs: Query logs; see ``espalier.querylog`` for the formats.
        out: The index file, replaced only when the new one is complete.
        settings: What to train, and how; ``holdout`` says whom to ask.
        evaluate: Ask the held-out users' questions.
        must_beat: An index, ``out`` itself or another: if the new one is worse on the
            same questions, ``out`` stays as it is.
        keep_rejected: Where a new index goes that is worse; None removes it.
        report: Folder for ``report.json`` and ``report.html``, made if missing.
        progress: Told about every stage.
        clock: Seconds, for the report.

    Raises:
        RejectedError: The new index is worse than ``must_beat``.
        InputError: No log, a log nobody can read, unusable settings, or nobody whose
            questions could tell two indexes apart.
        IndexFileError: ``must_beat`` cannot be used.
        StorageError: The index or the report cannot be written.
    """
    _check(logs, out, must_beat, keep_rejected, evaluate=evaluate)
    with contextlib.ExitStack() as opened:
        # Before the training: a slip in its name must not cost the minutes that takes.
        old = None if must_beat is None else opened.enter_context(_open_rival(must_beat))
        split, seconds = read_split(logs, settings, progress=progress, clock=clock)
        questions, unasked = _questions(split, evaluate=evaluate)
        work = _Work(split, out, settings, questions, unasked, seconds, progress, clock)
        if old is None:
            made = work.train(out)
        else:
            _need_judges(questions, unasked)
            with replacement(out) as candidate:
                made = work.compare(work.train(candidate), candidate, old)
                if not made.published:
                    _keep(candidate, keep_rejected)
                    _write(made, report)
                    raise _rejection(made, keep_rejected)
    return _write(made, report)


def _write(made: PublishReport, folder: Path | None) -> PublishReport:
    """Write the report, if one was asked for, and return it with what is not in the folder."""
    if folder is None:
        return made
    undrawn = ""
    if made.evaluation is None:
        undrawn = f"the page shows an evaluation, and there was none ({made.unasked})"
    elif importlib.util.find_spec("matplotlib") is None:
        undrawn = "matplotlib is not installed; install the extra `report`"
    made = dataclasses.replace(made, undrawn=undrawn)
    made.write(folder)
    return made


@dataclass(frozen=True, slots=True)
class _Work:
    """What one publication is made of."""

    split: Split
    out: Path
    settings: TrainSettings
    questions: Questions
    unasked: str
    seconds: Mapping[str, float]
    progress: Progress
    clock: Callable[[], float]

    def train(self, target: Path) -> PublishReport:
        """Train to ``target``, ask it, and report on it under the name it will have."""
        training = train_split(
            self.split, target, self.settings, progress=self.progress, clock=self.clock
        )
        seconds = {**self.seconds, **training.seconds}
        found = None
        if not self.unasked:
            start = self.clock()
            found = self._evaluate(target)
            seconds["evaluate"] = self.clock() - start
        training = dataclasses.replace(training, out=self.out, seconds=seconds)
        return PublishReport(training, found, self.unasked)

    def _evaluate(self, target: Path) -> EvaluationReport:
        found = evaluate_questions(
            [target],
            self.questions,
            _NAME,
            verify=False,
            latency_rows=LATENCY_ROWS,
            progress=self.progress,
        ).indexes[0]
        facts = dataclasses.replace(found.index, file=self.out)
        return EvaluationReport((dataclasses.replace(found, index=facts),))

    def compare(self, made: PublishReport, candidate: Path, old: Index) -> PublishReport:
        """Ask ``old`` and the index at ``candidate`` the same questions."""
        with (
            open_index(candidate, verify=False) as new,
            self.progress.stage("comparing", 2 * len(self.questions.asked)) as advance,
        ):
            comparison = compare(
                new,
                old,
                self.questions,
                margin=self.settings.must_beat_margin,
                advance=advance,
            )
        return dataclasses.replace(
            made,
            comparison=comparison,
            old_knew=_knew(old, self.settings.holdout),
            published=not comparison.is_worse,
        )


def _knew(old: Index, share: float) -> bool:
    """Return whether ``old`` may have learned from the users that ``share`` holds out.

    A larger share holds out the users of every smaller one.
    """
    held_out = old.info.meta.get("holdout")
    if not isinstance(held_out, dict) or held_out.get("rule") != RULE:
        return True
    return not held_out.get("users") or float(held_out.get("share", 0)) < share


def _keep(candidate: Path, keep_rejected: Path | None) -> None:
    if keep_rejected is None:
        return
    try:
        shutil.move(candidate, keep_rejected)
    except OSError as error:
        raise StorageError(
            f"{keep_rejected}: cannot be written ({error.strerror or error}); "
            "give --keep-rejected a file in a folder that can be written"
        ) from None


def _rejection(made: PublishReport, kept: Path | None) -> RejectedError:
    comparison = made.comparison
    assert comparison is not None  # noqa: S101 - nothing else rejects
    parts = [f"{made.training.out} is as it was: the new index is worse, {comparison.line()}"]
    if kept is not None:
        parts.append(f"it is kept as {kept}")
    if made.old_knew:
        parts.append(_OLD_KNEW)
    return RejectedError(
        "; ".join(parts),
        new=comparison.new,
        old=comparison.old,
        low=comparison.interval.low,
        high=comparison.interval.high,
        rows=comparison.rows,
        users=comparison.users,
    )


def _check(
    logs: Sequence[Path],
    out: Path,
    must_beat: Path | None,
    keep_rejected: Path | None,
    *,
    evaluate: bool,
) -> None:
    if must_beat is not None and not evaluate:
        raise ConfigError("--must-beat compares indexes on held-out users; leave out --no-evaluate")
    if keep_rejected is not None and must_beat is None:
        raise ConfigError("--keep-rejected needs --must-beat: nothing else rejects an index")
    refuse_to_overwrite(logs, [out])
    if keep_rejected is not None and must_beat is not None:
        refuse_to_overwrite([*logs, must_beat, out], [keep_rejected])


def _open_rival(path: Path) -> Index:
    try:
        index = open_index(path)
    except IndexMissingError as error:
        raise IndexMissingError(
            f"{error}; where there is no index to beat yet, leave out --must-beat once"
        ) from None
    # One without label texts cannot complete; better known now than after the training.
    index.complete("", k=1)
    return index


def _questions(split: Split, *, evaluate: bool) -> tuple[Questions, str]:
    """Return what is asked of the held-out users' queries, and why nothing is."""
    if not evaluate:
        return prepare(()), "it was not asked for"
    if split.nobody is not None:
        return prepare(()), _NOBODY[split.nobody]
    questions = sample(prepare(pairs_of_held_out(split)), ROWS)
    if not questions.asked:
        return questions, "no held-out user typed two queries in one session"
    return questions, ""


def _need_judges(questions: Questions, unasked: str) -> None:
    if unasked:
        raise InputError(f"--must-beat has nobody to compare on: {unasked}")
    if questions.units < FEWEST_USERS:
        raise InputError(
            f"--must-beat has the queries of {questions.units} held-out users to compare on, and "
            f"needs {FEWEST_USERS} at least; set a larger holdout, or give more log"
        )


def _figures(asked: IndexReport, held_out: int) -> Iterator[str]:
    """Yield the table of MRR@10 on held-out users."""
    yield (
        f"held-out users: {held_out:,}, of whom {asked.pairs.units:,} asked "
        f"{asked.pairs.rows:,} questions"
    )
    yield f"{'MRR@10':<32}{'all':>16}{'1-3 characters':>16}"
    for name, figures in asked.summary.systems.items():
        cells = (figures.measures["mrr10"][bucket] for bucket in ("all", "len_1_3"))
        yield f"{name:<32}" + "".join(
            f"{'-' if cell is None else format(cell, '.4f'):>16}" for cell in cells
        )
    if asked.violations.total:
        yield f"broken promises: {asked.violations.total:,}; see `espalier evaluate`"
