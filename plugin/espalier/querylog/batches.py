"""What every reader of lines yields: batches of rows with the same columns."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Batch:
    """Some rows of a file.

    Attributes:
        numbers: Line of each row, from 1, ascending.
        columns: Values of each role the file has, as long as ``numbers``; None is absent.
        bad: Rows that could not be read, as (kind, line).
    """

    numbers: Sequence[int]
    columns: Mapping[str, Sequence[str | None]]
    bad: Sequence[tuple[str, int]]


class RowReader(Protocol):
    """Reads one file.

    Attributes:
        present: Roles the file has; complete after the last batch.
    """

    present: set[str]

    def batches(self, advance: Callable[[int], None]) -> Iterator[Batch]:
        """Yield all rows in order; ``advance`` hears of bytes read from disk.

        Raises:
            LogError: The file or its columns cannot be used.
        """
        ...
