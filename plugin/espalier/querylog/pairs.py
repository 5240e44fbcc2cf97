"""Pairs of neighbouring queries, and the split of users into those to train and to test on.

Who is held out depends on the user id and the share alone; see ``split``.

Each pair gives one question: the next query with a prefix of it, its length uniform
from 1 to all but one code point. Lengths come from a counter-based generator, so they
depend on the seed and the place of the pair only.
"""

from __future__ import annotations

import contextlib
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import groupby, islice
from operator import itemgetter
from pathlib import Path
from typing import Final, TextIO

import duckdb
import numpy as np
from numpy.typing import NDArray

from espalier.errors import ConfigError, LogError
from espalier.files import refuse_to_overwrite
from espalier.progress import NO_PROGRESS, Progress
from espalier.querylog.columns import roles_of, wanted_columns
from espalier.querylog.output import new_text_file
from espalier.querylog.pairs_file import MAX_EARLIER, PairRow, PairsWriter
from espalier.querylog.reading import Events, read_events
from espalier.querylog.report import ReadReport
from espalier.querylog.split import first_held_out, point_sql
from espalier.settings import LogSettings

_BATCH: Final = 50_000

# Constants of SplitMix64 (Steele, Lea & Flood 2014, figure 16).
_GOLDEN: Final = 0x9E3779B97F4A7C15
_MIX_1: Final = 0xBF58476D1CE4E5B9
_MIX_2: Final = 0x94D049BB133111EB
_WORD: Final = (1 << 64) - 1


@dataclass(frozen=True, slots=True)
class PairsReport:
    """What ``write_pairs`` did.

    Attributes:
        read: What became of the rows of the logs.
        pairs: Rows written.
        too_short: Pairs without a row, since a next query of one character has no prefix.
        users: People whose pairs were written.
        train_users: People held back for training; 0 without a split.
        train_rows: Rows written to the training log.
    """

    read: ReadReport
    pairs: int
    too_short: int
    users: int
    train_users: int
    train_rows: int

    def summary(self) -> str:
        """Return the report as a few lines for a person; no query is shown."""
        lines = [self.read.summary(), f"{self.pairs:,} pairs of {self.users:,} users"]
        if self.too_short:
            lines[1] += f" ({self.too_short:,} more have nothing to type before the last character)"
        if self.train_users:
            lines.append(f"{self.train_users:,} other users to train on")
        if self.train_rows:
            lines[-1] += f": {self.train_rows:,} rows"
        return "\n".join(lines)


def prefix_lengths(lengths: NDArray[np.int64], seed: int, first: int = 0) -> NDArray[np.int64]:
    """Draw a prefix length for each pair, uniform in [1, length - 1].

    Args:
        lengths: Code points of each next query, all above 1, shape ``(n,)``.
        seed: Of the draw.
        first: Number of the first pair; splitting a draw into batches changes nothing.

    Returns:
        Shape ``(n,)``.
    """
    counters = np.arange(first + 1, first + 1 + len(lengths), dtype=np.uint64)
    # The seed is mixed before it meets the counter: neighbouring seeds are unrelated.
    start = int(_mix(np.array([(seed + 1) * _GOLDEN & _WORD], dtype=np.uint64))[0])
    draws = _mix(counters * np.uint64(_GOLDEN) + np.uint64(start))
    # The remainder of 64 bits by at most 1,000 is uniform to 1 in 10^16.
    return 1 + (draws % (lengths - 1).astype(np.uint64)).astype(np.int64)


def write_pairs(
    paths: Sequence[Path],
    out: Path,
    *,
    settings: LogSettings,
    split: float | None = None,
    train_log: Path | None = None,
    seed: int = 1,
    progress: Progress = NO_PROGRESS,
    threads: int = 0,
    memory: int = 0,
) -> PairsReport:
    """Write the pairs of a log, of held-out users only where ``split`` is given.

    Args:
        paths: The logs.
        out: Pairs file to write (see ``pairs_file``).
        settings: How the logs are read.
        split: Share of the users to train on, above 0 and below 1; None writes the
            pairs of everybody.
        train_log: With ``split``: TSV to write the usable rows of the other users to, as
            they were typed, under the column names of the settings.
        seed: Of the prefix lengths.
        progress: Hears of the stages.
        threads: Threads of the database; 0: one per processor.
        memory: Its memory in MiB; 0: see ``read_log``.

    Raises:
        ConfigError: A share out of range, or a training log without a share.
        LogError: A log cannot be used, has neither users nor sessions, or has no pairs.
        StorageError: A file cannot be written. None is left half-written.
    """
    if split is not None and not 0 < split < 1:
        raise ConfigError("split must be above 0 and below 1; 0.9 trains on 90 % of the users")
    if train_log is not None and split is None:
        raise ConfigError("a training log needs a split: the share of users to train on")
    refuse_to_overwrite(paths, [out] if train_log is None else [out, train_log])
    with (
        read_events(paths, settings, progress, threads=threads, memory=memory) as events,
        contextlib.ExitStack() as files,
    ):
        if not (events.ingested.has_users or events.ingested.has_sessions):
            raise LogError(
                f"{events.ingested.files[0]}: has neither users nor sessions, so no query follows "
                "another; name a column: --set log.user_column=NAME or log.session_column=NAME"
            )
        _mark_training(events.connection, split)
        train_rows = 0
        # Both files take their names only when both are complete.
        if train_log is not None:
            stream = files.enter_context(new_text_file(train_log))
            with progress.stage(f"writing {train_log.name}"):
                train_rows = _write_training(events, settings, stream)
        stream = files.enter_context(new_text_file(out))
        with progress.stage(f"writing {out.name}"):
            writer = PairsWriter(stream, has_gaps=events.ingested.has_times)
            pairs, too_short, users = _write(events.connection, writer, seed)
        if not pairs:
            raise LogError(
                f"{events.ingested.files[0]}: no pair to write: no session of the users chosen has "
                "two different queries; give a longer log or another split"
            )
        (train_users,) = events.connection.execute(
            "SELECT count(*) FROM persons WHERE trains"
        ).fetchall()[0]
        return PairsReport(events.report, pairs, too_short, users, train_users, train_rows)


def _mark_training(connection: duckdb.DuckDBPyConnection, split: float | None) -> None:
    """Add the column ``trains`` to ``persons``: the same rule as ``is_training_user``."""
    trains = "false"
    if split is not None:
        trains = f"{point_sql('person')} < {first_held_out(split)}"
    connection.execute(
        f"CREATE OR REPLACE TABLE persons AS SELECT person, member, {trains} AS trains FROM persons"
    )


def _write_training(events: Events, settings: LogSettings, stream: TextIO) -> int:
    """Write the usable rows of the training users in the order of the logs; count them."""
    names = wanted_columns(settings)
    roles = [role for role in roles_of(settings) if role in events.ingested.present & names.keys()]
    # What would end a field or a line is white space inside a query all the same.
    columns = ", ".join(
        f"regexp_replace(coalesce(log.raw_{role}, ''), '[\\t\\n\\v\\f\\r]', ' ', 'g')"
        for role in roles
    )
    stream.write("\t".join(names[role] for role in roles) + "\n")
    result = events.connection.execute(
        f"SELECT {columns} FROM log JOIN judged ON judged.spot = log.spot "
        "JOIN persons ON persons.person = judged.person "
        "WHERE judged.verdict IS NULL AND persons.trains ORDER BY log.spot"
    )
    written = 0
    while rows := result.fetchmany(_BATCH):
        stream.writelines("\t".join(row) + "\n" for row in rows)
        written += len(rows)
    return written


def _write(
    connection: duckdb.DuckDBPyConnection, writer: PairsWriter, seed: int
) -> tuple[int, int, int]:
    """Write the pairs of all people who do not train.

    Returns:
        Pairs written, pairs too short to write, people with a pair written.
    """
    written = too_short = users = 0
    last_user = None
    pairs = _pairs(connection)
    while batch := list(islice(pairs, _BATCH)):
        kept = [pair for pair in batch if len(pair.next_query) > 1]
        too_short += len(batch) - len(kept)
        lengths = np.array([len(pair.next_query) for pair in kept], dtype=np.int64)
        for pair, length in zip(kept, prefix_lengths(lengths, seed, written).tolist(), strict=True):
            writer.row(replace(pair, prefix=pair.next_query[:length]))
            # People come one after another, so a new name is a new person.
            users += pair.user != last_user
            last_user = pair.user
        written += len(kept)
    return written, too_short, users


def _pairs(connection: duckdb.DuckDBPyConnection) -> Iterator[PairRow]:
    """Yield the pairs, their prefixes still empty."""
    for _, session in groupby(_held_out_events(connection), key=itemgetter(0)):
        queries: deque[str] = deque(maxlen=MAX_EARLIER + 1)
        then: int | None = None
        for _, text, user, second in session:
            if queries:
                gap = None if second is None or then is None else second - then
                previous, *earlier = queries
                yield PairRow(previous, "", text, user, tuple(earlier), gap)
            queries.appendleft(text)
            then = second


def _held_out_events(
    connection: duckdb.DuckDBPyConnection,
) -> Iterator[tuple[int, str, str, int | None]]:
    result = connection.execute(
        # White space that would end a field or a line is as good as a space in a name.
        "SELECT events.session, labels.text, "
        "regexp_replace(persons.person, '[\\t\\n\\v\\f\\r]', ' ', 'g'), events.second "
        "FROM events JOIN labels ON labels.label = events.label "
        "JOIN persons ON persons.member = events.member WHERE NOT persons.trains "
        "ORDER BY events.session, events.second, events.spot"
    )
    while rows := result.fetchmany(_BATCH):
        yield from rows


def _mix(words: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Return the SplitMix64 finaliser of each word; arithmetic is modulo 2^64."""
    words = (words ^ (words >> np.uint64(30))) * np.uint64(_MIX_1)
    words = (words ^ (words >> np.uint64(27))) * np.uint64(_MIX_2)
    return words ^ (words >> np.uint64(31))
