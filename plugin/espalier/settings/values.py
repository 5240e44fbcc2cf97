"""Rules that settings of several tables obey."""

from __future__ import annotations

from typing import Final

from espalier.schema import Matches

NAME: Final = Matches(
    r"[A-Za-z][A-Za-z0-9._+-]*", "a name of letters, digits, '.', '_', '+' and '-'"
)
INDEX_NAME: Final = NAME
"""What an index that is served may be called."""
ADDRESS: Final = Matches(
    r"(\[[0-9A-Fa-f:.]+\]|[^:\[\]\s]+):\d{1,5}", "HOST:PORT, as in 127.0.0.1:50051"
)
COLUMN: Final = Matches(r"(?s).+", "a column name that is not empty")
