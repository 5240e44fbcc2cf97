"""Who is held out: a property of the user id alone.

A stable hash puts every id at a point between 0 and 1, and the ids below the share to
train on train. The same user is on the same side every night, in every log, on every
machine, and a larger share keeps every user it had.
"""

from __future__ import annotations

import hashlib
import math
from typing import Final

RULE: Final = 1
"""Version of the rule; an index says by which one its users were held out."""

_SALT: Final = f"espalier held-out users {RULE}:"
# Thirteen hexadecimal digits are 52 bits, which a double holds exactly.
_HEX_DIGITS: Final = 13
_POINTS: Final = 1 << (4 * _HEX_DIGITS)


def is_training_user(user: str, split: float) -> bool:
    """Return whether a user is among the share ``split`` (0 to 1) that is trained on."""
    return point_of(user) < first_held_out(split)


def point_of(user: str) -> int:
    """Return where a user stands, from 0 to 2^52 - 1."""
    return int(hashlib.sha256((_SALT + user).encode()).hexdigest()[:_HEX_DIGITS], 16)


def first_held_out(split: float) -> int:
    """Return the lowest point of those who are held out when ``split`` is trained on."""
    return min(math.ceil(split * _POINTS), _POINTS - 1)


def point_sql(user: str) -> str:
    """Return the SQL of ``point_of`` for the column ``user``, as a BIGINT."""
    # A text that begins with 0x is cast as a number in base 16.
    return f"CAST('0x' || substr(sha256('{_SALT}' || {user}), 1, {_HEX_DIGITS}) AS BIGINT)"
