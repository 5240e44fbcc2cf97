"""Products for a query: quality on held-out queries, and what beam and pruning cost.

Seven queries in ten of the product judgements train, the others are asked. The first
table is that of `espalier evaluate --task retrieval`. The second is the published
experiment: recall, size and latency over beam width and pruning, by `threshold` (small
weights go) and by `keep` (features that say least go). There the tree orders alone, but for
the first and the half-sized index, whose fusion is learned anew: the last two rows. `--plot
FILE.svg` draws it (needs the extra `report`).
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from bench import harness
from espalier.progress import TerminalProgress
from espalier.retrieval.evaluation import evaluate_retrieval
from espalier.retrieval.splitting import split_pairs
from espalier.retrieval.sweep import draw, rows_of, sweep
from espalier.retrieval.training import train_retrieval
from espalier.settings import load_settings, parse_assignments

PRODUCTS = "products.tsv.gz"
JUDGEMENTS = "product-judgements.tsv.gz"
SPLIT = 0.7
RELEVANT = 2.33
BEAMS = (10, 20, 40, 80)
THRESHOLDS = (0.0, 0.5, 0.8, 1.0, 1.2, 1.5)
KEEPS = (0.7, 0.5, 0.38, 0.3)
HALF = 0.38
"""`keep` of an index of half the size."""


def main() -> None:
    """Run the benchmark."""
    options = harness.parser(__doc__, rounds=5)
    options.add_argument("--set", action="append", default=[], metavar="KEY=VALUE")
    options.add_argument("--plot", type=Path, metavar="FILE.svg", help="draw the sweep")
    options.add_argument("--no-quality", action="store_true", help="only the sweep")
    chosen = options.parse_args()
    judgements, products = harness.data_file(JUDGEMENTS), harness.data_file(PRODUCTS)
    settings = load_settings(None, "retrieval", parse_assignments(chosen.set))
    report = harness.Reporter("retrieval", as_json=chosen.json)
    with harness.work_folder(chosen.work) as folder:
        test, train = folder / "products-test.tsv", folder / "products-train.tsv"
        split_pairs(judgements, test, split=SPLIT, train=train)
        fused = []
        if not chosen.no_quality:
            for name, keep in (("products", 1.0), ("half", HALF)):
                index = folder / f"{name}.esp"
                made = train_retrieval(
                    train,
                    index,
                    replace(settings, keep=keep),
                    catalogue=products,
                    progress=TerminalProgress(),
                )
                report.text(made.table())
                fused.append(index)
            found = evaluate_retrieval(
                fused[0], test, products, relevant=RELEVANT, progress=TerminalProgress()
            )
            head, *rows = found.rows()
            report.table(head, rows)
            report.text(found.remarks())
            report.record(report=found.to_json())
        pruned = []
        for key, value in [
            *(("threshold", one) for one in THRESHOLDS),
            *(("keep", one) for one in KEEPS),
        ]:
            pruned.append(folder / f"{key}-{value:g}.esp")
            less = load_settings(
                None,
                "retrieval",
                parse_assignments([*chosen.set, "blender=none", f"{key}={value}"]),
            )
            train_retrieval(train, pruned[-1], less, catalogue=products)
        points = sweep(pruned, test, beams=BEAMS, relevant=RELEVANT)
        both = sweep(fused, test, beams=[settings.beam], relevant=RELEVANT)
    report.table(*_split(rows_of([*points, *both])))
    for one in (*points, *both):
        report.record(**one.to_json())
    report.calibration()
    if chosen.plot is not None:
        draw(points, chosen.plot)


def _split(rows: list[list[str]]) -> tuple[list[str], list[list[str]]]:
    return rows[0], rows[1:]


if __name__ == "__main__":
    main()
