"""A smaller evaluation: some of the rows, chosen by what they say.

A row's place in the order is a hash of its normalised texts, so the same rows are
chosen whatever the order of the file, and a larger sample holds every smaller one.
Rows that say the same are told apart by counting them: they are as likely to be
chosen as any others.
"""

from __future__ import annotations

import dataclasses
import hashlib
from collections import Counter

from espalier.evaluate.questions import Question, Questions

# Joins texts in front of the hash; no normalised text holds a control character.
_BETWEEN = "\x1f"


def sample(questions: Questions, rows: int) -> Questions:
    """Return the ``rows`` questions with the lowest hashes, in the order of the file.

    ``rows`` is at least 1; where there are no more, all are returned. Units are
    numbered anew, so that those without a row left do not count.
    """
    asked = questions.asked
    if rows >= len(asked):
        return questions
    copies: Counter[str] = Counter()
    ranked: list[tuple[bytes, int]] = []
    for number, question in enumerate(asked):
        said = _BETWEEN.join((question.prefix, question.wanted, *question.previous))
        copies[said] += 1
        key = f"{said}{_BETWEEN}{copies[said]}".encode()
        ranked.append((hashlib.blake2b(key, digest_size=8).digest(), number))
    chosen = sorted(number for _, number in sorted(ranked)[:rows])
    units: dict[int, int] = {}
    kept: list[Question] = []
    for number in chosen:
        unit = units.setdefault(asked[number].unit, len(units))
        kept.append(dataclasses.replace(asked[number], unit=unit))
    return dataclasses.replace(
        questions, asked=tuple(kept), units=len(units), left_out=len(asked) - rows
    )
