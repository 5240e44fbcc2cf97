"""Recency: popularity that fades with time.

A user counts 2^(-age / half-life) for a label, ``age`` being the time from their
latest use of the query to the newest event of the log: each user once, whoever
repeats a query every hour. The present moment plays no part, so the same log gives
the same bytes on any day; and nothing is computed in floating point, so it does on
any machine.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from espalier.querylog import QueryLog
    from espalier.train.rows import Labels

U32 = NDArray[np.uint32]
U64 = NDArray[np.uint64]
I64 = NDArray[np.int64]

ONE_BITS: Final = 32
"""A user of this very moment is 2^32 before the sums are made to fit 32 bits."""

_FRACTION_BITS: Final = 16
_SECONDS_PER_DAY: Final = 86_400


def _roots() -> tuple[int, ...]:
    """Return 2^(-1/2), 2^(-1/4), ... in units of 2^-32, rounded down, by exact square roots."""
    roots, root, bits = [], 1 << 127, 128
    for _ in range(_FRACTION_BITS):
        root = math.isqrt(root << bits)
        roots.append(root >> (bits - ONE_BITS))
    return tuple(roots)


_ROOTS: Final = _roots()


@dataclass(frozen=True, slots=True, eq=False)
class Recency:
    """Decayed popularity of every label.

    Attributes:
        values: Users, each counting less the longer ago they used the label, in units
            of 2^-``unit_bits`` users, ``(labels,)``.
        unit_bits: The most, up to 32, with which every value fits 32 bits.
    """

    values: U32
    unit_bits: int


def decayed_popularity(log: QueryLog, labels: Labels, half_life_days: float) -> Recency | None:
    """Return the decayed popularity of ``labels``; None without times or without decay.

    Args:
        log: Where ages are taken from; the newest event of all has age 0.
        labels: What is counted.
        half_life_days: After so many days a use counts half; 0: no decay.
    """
    if log.event_time is None or half_life_days <= 0:
        return None
    label = labels.of_query[log.event_query]
    wanted = label >= 0
    label, user, time = label[wanted], log.event_user[wanted], log.event_time[wanted]
    order = np.lexsort((time, user, label))
    label, user, time = label[order], user[order], time[order]
    # Of the uses of a label by a user, which stand together, the last is the latest.
    latest = np.append((label[1:] != label[:-1]) | (user[1:] != user[:-1]), [True])
    age = int(log.event_time.max()) - time[latest]
    weight = decay(age, max(1, round(half_life_days * _SECONDS_PER_DAY)))
    sums = np.zeros(len(labels), np.uint64)
    np.add.at(sums, label[latest], weight)
    shift = max(0, int(sums.max()).bit_length() - 32)
    values = (sums >> np.uint64(shift)).astype(np.uint32)
    return Recency(values, ONE_BITS - shift)


def decay(age: I64, half_life: int) -> U64:
    """Return 2^(-``age`` / ``half_life``) in units of 2^-32.

    Rounded down, and right to one part in 2^15 and one unit.

    Args:
        age: Seconds, 0 or more, ``(n,)``.
        half_life: Seconds, 1 to 2^46.

    Returns:
        Shape ``(n,)``; never more for a greater age.
    """
    halves, rest = np.divmod(age, half_life)
    fraction = (rest << _FRACTION_BITS) // half_life
    weight = np.full(len(age), 1 << ONE_BITS, np.uint64)
    for bit, root in enumerate(_ROOTS):
        is_set = (fraction >> (_FRACTION_BITS - 1 - bit)) & 1 == 1
        weight = np.where(is_set, (weight * np.uint64(root)) >> np.uint64(ONE_BITS), weight)
    # A shift of 64 bits or more has no defined result.
    return weight >> np.minimum(halves, ONE_BITS + 1).astype(np.uint64)
