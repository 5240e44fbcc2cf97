"""Print how Espalier's answers compare with libpecos's.

python -m tests.differential --models 500
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

from tests.differential.compare import pecos_python, run


def main() -> int:
    """Compare and print; ends with 1 if anybody was wrong."""
    parser = argparse.ArgumentParser(prog="python -m tests.differential")
    parser.add_argument("--models", type=int, default=100)
    parser.add_argument("--first-seed", type=int, default=0)
    asked = parser.parse_args()
    python = pecos_python()
    if python is None:
        sys.stderr.write("no libpecos: `make .venv-pecos/.ready`, or set ESPALIER_PECOS\n")
        return 2
    with tempfile.TemporaryDirectory(prefix="espalier-differential-") as folder:
        seeds = range(asked.first_seed, asked.first_seed + asked.models)
        tally = run(python, Path(folder), seeds)
    lines = [
        f"models                                {tally.models:>10,}",
        f"answers                               {tally.rows:>10,}",
        f"same labels, same order, 3 layouts    {tally.same_order:>10,}",
        f"a beam had to choose between equals   {tally.open_rows:>10,}",
        f"largest difference of scores          {tally.largest:>10.1e}",
        f"wrong                                 {len(tally.wrong):>10,}",
        *tally.wrong[:20],
    ]
    sys.stdout.write("\n".join(lines) + "\n")
    return 1 if tally.wrong else 0


if __name__ == "__main__":
    sys.exit(main())
