"""Products for a query: quality on held-out queries, and what beam and pruning cost.

Seven queries in ten of the product judgements train, the others are asked. The first
table is that of `espalier evaluate --task retrieval`. The second is the published
experiment: recall, size and latency over beam width and weight threshold, ordered by the
tree alone. `--plot FILE.svg` draws it (needs the extra `report`).
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from bench import harness
from espalier.catalogue import Catalogue, open_catalogue
from espalier.native import NativeIndex
from espalier.progress import TerminalProgress
from espalier.retrieval.evaluation import DEPTH, evaluate_retrieval, measure
from espalier.retrieval.reading import read_pairs
from espalier.retrieval.splitting import split_pairs
from espalier.retrieval.training import train_retrieval
from espalier.settings import RetrievalSettings, load_settings, parse_assignments

PRODUCTS = "products.tsv.gz"
JUDGEMENTS = "product-judgements.tsv.gz"
SPLIT = 0.7
RELEVANT = 2.33
BEAMS = (10, 20, 40, 80)
THRESHOLDS = (0.0, 0.5, 0.8, 1.0, 1.2, 1.5)


@dataclass(frozen=True, slots=True)
class Point:
    """One cell of the sweep.

    Attributes:
        threshold: Smaller weights were dropped.
        beam: Nodes kept per level.
        bytes: Of the weights.
        recall10, recall100: Of the tree alone.
        p50_us: Microseconds of an answer, from Python.
    """

    threshold: float
    beam: int
    bytes: int
    recall10: float
    recall100: float
    p50_us: float


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
        if not chosen.no_quality:
            index = folder / "products.esp"
            made = train_retrieval(
                train, index, settings, catalogue=products, progress=TerminalProgress()
            )
            report.text(made.table())
            found = evaluate_retrieval(
                index, test, products, relevant=RELEVANT, progress=TerminalProgress()
            )
            head, *rows = found.rows()
            report.table(head, rows)
            report.text(found.remarks())
            report.record(report=found.to_json(), training=made.to_json())
        points = sweep(train, test, products, settings=settings, rounds=chosen.rounds)
    report.table(
        ["threshold", "weights MB", "beam", "recall10", "recall100", "p50 us"],
        [
            [
                f"{one.threshold:g}",
                f"{one.bytes / 1e6:.1f}",
                str(one.beam),
                f"{one.recall10:.4f}",
                f"{one.recall100:.4f}",
                f"{one.p50_us:.0f}",
            ]
            for one in points
        ],
    )
    for one in points:
        report.record(**{name: getattr(one, name) for name in Point.__slots__})
    report.calibration()
    if chosen.plot is not None:
        draw(points, chosen.plot)


def sweep(
    train: Path, test: Path, products: Path, *, settings: RetrievalSettings, rounds: int
) -> list[Point]:
    """Return every combination of threshold and beam; rounds are interleaved over beams."""
    points = []
    for threshold in THRESHOLDS:
        index = train.with_name(f"products-{threshold:g}.esp")
        pruned = replace(settings, threshold=threshold, blender="none")
        train_retrieval(train, index, pruned, catalogue=products)
        with open_catalogue(index) as catalogue:
            wanted = _wanted(test, catalogue)
            size = _weight_bytes(index)
            taken: dict[int, list[float]] = {beam: [] for beam in BEAMS}
            recalls = {beam: _recalls(catalogue, wanted, beam) for beam in BEAMS}
            for _ in range(rounds):
                for beam in BEAMS:
                    taken[beam].append(_median_us(catalogue, wanted, beam))
        points += [
            Point(threshold, beam, size, *recalls[beam], float(np.median(taken[beam])))
            for beam in BEAMS
        ]
    return points


def _weight_bytes(index: Path) -> int:
    with NativeIndex.open(index) as native:
        return sum(section.length for section in native.sections() if section.name == "WGHT")


def _wanted(test: Path, catalogue: Catalogue) -> Mapping[str, Mapping[int, float]]:
    numbers = {catalogue.product_id(label): label for label in range(len(catalogue))}
    wanted: dict[str, dict[int, float]] = {}
    for pair in read_pairs(test, numbers).rows:
        if pair.relevance is not None and pair.relevance >= RELEVANT:
            wanted.setdefault(pair.query, {})[numbers[pair.product_id]] = pair.relevance
    return wanted


def _recalls(
    catalogue: Catalogue, wanted: Mapping[str, Mapping[int, float]], beam: int
) -> tuple[float, float]:
    found = [
        measure(
            [one.label for one in catalogue.ask(query, k=DEPTH, beam=beam, model_only=True)], grades
        )
        for query, grades in wanted.items()
    ]
    recall10, recall100, _, _ = np.mean(found, axis=0)
    return float(recall10), float(recall100)


def _median_us(catalogue: Catalogue, wanted: Mapping[str, Mapping[int, float]], beam: int) -> float:
    taken = []
    for query in wanted:
        start = time.perf_counter()
        catalogue.ask(query, k=DEPTH, beam=beam, model_only=True)
        taken.append(time.perf_counter() - start)
    return float(np.median(taken)) * 1e6


def draw(points: list[Point], path: Path) -> None:
    """Draw recall@100 over the size of the weights, a line a beam."""
    from matplotlib import pyplot as plt  # noqa: PLC0415 - an extra

    figure, axes = plt.subplots(figsize=(7, 4))
    for beam in BEAMS:
        line = [one for one in points if one.beam == beam]
        megabytes, recall = [one.bytes / 1e6 for one in line], [one.recall100 for one in line]
        axes.plot(megabytes, recall, marker="o", label=f"beam {beam}")
    axes.set_xlabel("weights, MB")
    axes.set_ylabel("recall@100")
    axes.legend()
    figure.savefig(path)


if __name__ == "__main__":
    main()
