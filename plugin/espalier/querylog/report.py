"""What reading a log found: rows used, rows not used, and why."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from espalier.querylog.kinds import Bad, explain


@dataclass(frozen=True, slots=True)
class ReadReport:
    """What became of the rows of a log; ``rows_read`` is the sum of the three kinds.

    Attributes:
        files: The files, as they were given, in order.
        rows_read: Rows in the files, headers not counted.
        rows_used: Rows learnt from.
        repeats: Those of ``rows_used`` that only repeat the query before them; they
            are no events of their own.
        bad_rows: Rows with something wrong, by kind (see ``kinds``).
        private_rows: Rows a privacy rule kept out, by rule (see ``privacy``).
        ignored_values: Values that could not be read although their row was used.
    """

    files: tuple[str, ...]
    rows_read: int
    rows_used: int
    repeats: int
    bad_rows: Mapping[str, Bad]
    private_rows: Mapping[str, int]
    ignored_values: Mapping[str, Bad]

    def summary(self) -> str:
        """Return the report as a few lines for a person; no query is shown."""
        lines = [f"{self.rows_read:,} rows read, {self.rows_used:,} used"]
        if self.repeats:
            lines[0] += f" ({self.repeats:,} of them repeats)"
        if self.bad_rows:
            lines.append(f"bad rows: {explain(self.bad_rows)}")
        if self.private_rows:
            kept_out = ", ".join(f"{count:,} {rule}" for rule, count in self.private_rows.items())
            lines.append(f"kept out for privacy: {kept_out}")
        if self.ignored_values:
            lines.append(f"values ignored: {explain(self.ignored_values)}")
        return "\n".join(lines)

    def to_json(self) -> dict[str, object]:
        """Return a dictionary that ``json`` can write."""
        return {
            "files": list(self.files),
            "rows_read": self.rows_read,
            "rows_used": self.rows_used,
            "repeats": self.repeats,
            "bad_rows": {kind: bad.to_json() for kind, bad in self.bad_rows.items()},
            "private_rows": dict(self.private_rows),
            "ignored_values": {kind: bad.to_json() for kind, bad in self.ignored_values.items()},
        }
