"""Which labels start almost as somebody typed, by definition.

Every beginning of every label is compared with the prefix by the textbook table
of the restricted Damerau-Levenshtein distance.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence

from espalier.native import FuzzyMatch

Near = tuple[int, int]
"""A label's distance from the prefix, and the length of its shortest beginning at it."""


def distance(a: str, b: str) -> int:
    """Return the least number of insertions, deletions, replacements and swaps.

    Swaps are of neighbours, and no part of the text is edited twice (optimal string
    alignment).
    """
    table = [[i + j for j in range(len(b) + 1)] for i in range(len(a) + 1)]
    for i, j in itertools.product(range(1, len(a) + 1), range(1, len(b) + 1)):
        table[i][j] = min(
            table[i - 1][j] + 1,
            table[i][j - 1] + 1,
            table[i - 1][j - 1] + (a[i - 1] != b[j - 1]),
        )
        if i > 1 and j > 1 and a[i - 2 : i] == b[j - 1] + b[j - 2]:
            table[i][j] = min(table[i][j], table[i - 2][j - 2] + 1)
    return table[-1][-1]


def nearest(label: str, prefix: str, most: int) -> Near | None:
    """Return how near a label comes, None if it is further than ``most``.

    The first code point must be right.
    """
    if not prefix or label[:1] != prefix[0]:
        return None
    lengths = range(1, min(len(label), len(prefix) + most) + 1)
    best = min((distance(label[:n], prefix), n) for n in lengths)
    return best if best[0] <= most else None


def matched(labels: Sequence[str], prefix: str, errors: int) -> int:
    """Return the bytes of a common beginning with so many errors.

    Of several, the one as long as the prefix or as close to that as can be; of two
    as close, the longer.
    """
    lengths = range(1, min(len(prefix) + errors, *map(len, labels)) + 1)
    common = [n for n in lengths if len({label[:n] for label in labels}) == 1]
    fitting = [n for n in common if distance(labels[0][:n], prefix) == errors]
    best = min(fitting, key=lambda n: (abs(n - len(prefix)), -n))
    return len(labels[0][:best].encode())


def ranges(
    labels: Sequence[str], popularity: Sequence[int], prefix: str, most: int
) -> list[FuzzyMatch]:
    """Return the ranges of labels at a distance of 1 to ``most``, closest first.

    A range is a run of labels with the same distance and the same shortest beginning
    at that distance. Ties of distance go to the range with the most popular label.
    """

    def key(number: int) -> tuple[int, str] | None:
        near = nearest(labels[number], prefix, most)
        return near and (near[0], labels[number][: near[1]])

    found = []
    for near, run in itertools.groupby(range(len(labels)), key):
        if near is None or near[0] == 0:
            continue
        numbers = list(run)
        inside = [labels[number] for number in numbers]
        found.append(
            FuzzyMatch(
                lo=numbers[0],
                hi=numbers[-1] + 1,
                popularity=max(popularity[number] for number in numbers),
                matched=matched(inside, prefix, near[0]),
                distance=near[0],
            )
        )
    return sorted(found, key=lambda match: (match.distance, -match.popularity, match.lo))
