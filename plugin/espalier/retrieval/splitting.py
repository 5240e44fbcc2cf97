"""Queries held out of pairs: those of a file that nobody trains on."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

from espalier.errors import InputError
from espalier.files import refuse_to_overwrite
from espalier.querylog.output import new_text_file
from espalier.querylog.split import is_training_user
from espalier.retrieval.reading import Pair, read_pairs


@dataclass(frozen=True, slots=True)
class SplitResult:
    """How many queries and pairs went where."""

    out: Path
    queries_out: int
    pairs_out: int
    queries_train: int
    pairs_train: int

    def summary(self) -> str:
        """Return one line."""
        return (
            f"{self.out}: {self.pairs_out:,} pairs of {self.queries_out:,} queries held out; "
            f"{self.pairs_train:,} pairs of {self.queries_train:,} queries to train on"
        )


def split_pairs(pairs: Path, out: Path, *, split: float, train: Path | None = None) -> SplitResult:
    """Write the pairs of the queries that are not trained on, whole queries at a time.

    By a hash of the normalised query, so the same ones on any day and machine.

    Args:
        pairs: A pairs file or judgements.
        out: The held-out queries' pairs.
        split: Share of the queries to train on.
        train: Where the other pairs go; None: nowhere.

    Raises:
        PairsError: The file cannot be read.
        InputError: All queries are on one side.
        StorageError: A file cannot be written.
    """
    targets = [out] if train is None else [out, train]
    refuse_to_overwrite([pairs], targets)
    rows = read_pairs(pairs).rows
    taught = [pair for pair in rows if is_training_user(pair.query, split)]
    held = [pair for pair in rows if not is_training_user(pair.query, split)]
    if not taught or not held:
        raise InputError(
            f"{pairs}: a split of {split:g} leaves no query on one side; change --split"
        )
    for path, chosen in zip(targets, (held, taught), strict=False):
        with new_text_file(path) as stream:
            _write(stream, chosen)
    return SplitResult(
        out,
        len({pair.query for pair in held}),
        len(held),
        len({pair.query for pair in taught}),
        len(taught),
    )


def _write(stream: TextIO, pairs: list[Pair]) -> None:
    graded = any(pair.relevance is not None for pair in pairs)
    stream.write("query\tproduct_id\tweight" + "\trelevance" * graded + "\n")
    for pair in pairs:
        grade = "" if pair.relevance is None else f"{pair.relevance:g}"
        line = f"{pair.query}\t{pair.product_id}\t{pair.weight:g}"
        stream.write(f"{line}\t{grade}\n" if graded else f"{line}\n")
