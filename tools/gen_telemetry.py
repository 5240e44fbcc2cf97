"""Write the table of metrics in integration/ops/TELEMETRY.md anew, from the code.

python -m tools.gen_telemetry
"""

from __future__ import annotations

import re
from pathlib import Path

from espalier.serve.telemetry.families import FAMILIES, Family

PAGE = Path(__file__).resolve().parent.parent / "integration" / "ops" / "TELEMETRY.md"
_TABLE = re.compile(r"(\| metric \| type \| labels \| meaning \|\n\|[-|]+\|\n)(\|.*\n)*")


def main() -> None:
    """Write it."""
    rows = "\n".join(metric_rows()) + "\n"
    text, found = _TABLE.subn(lambda match: match[1] + rows, PAGE.read_text(encoding="utf-8"))
    if found != 1:
        raise SystemExit(f"{PAGE}: there is no one table of metrics")
    PAGE.write_text(text, encoding="utf-8")


def metric_rows() -> list[str]:
    """Return the rows of the table, in the order of the code."""
    return [_row(family) for family in FAMILIES.values()]


def _row(family: Family) -> str:
    labels = ", ".join(f"`{label}`" for label in family.labels)
    cells = (f"`{family.name}`", family.kind.value, labels, family.meaning)
    return "| " + " | ".join(cells) + " |"


if __name__ == "__main__":
    main()
