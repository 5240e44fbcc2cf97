"""What smaller indexes and other beams cost: the experiment of the paper on product retrieval.

Chang et al. (KDD 2021, arXiv 2106.12657) prune weights and vary the beam, and look at recall,
size and latency. Here each index is a point of the first, and each is asked with every beam.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

import numpy as np

from espalier.catalogue import Catalogue, open_catalogue
from espalier.errors import ConfigError, PairsError
from espalier.native import NativeIndex
from espalier.progress import NO_PROGRESS, Progress
from espalier.retrieval.evaluation import DEPTH, measure
from espalier.retrieval.reading import read_pairs

Grades = Mapping[str, Mapping[int, float]]
ROUNDS: Final = 3
"""Times every query is asked; beams take turns, and medians count."""


@dataclass(frozen=True, slots=True)
class Point:
    """One index with one beam.

    Attributes:
        index: Name of its file.
        bytes: Of the file.
        weight_bytes: Of its weights.
        beam: Nodes kept per level.
        model_recall10, model_recall100: Ordered by the tree.
        recall10, recall100: Ordered by the scorer, if there is one.
        p50_us: Microseconds of such an answer of 100 products, from Python.
    """

    index: str
    bytes: int
    weight_bytes: int
    beam: int
    model_recall10: float
    model_recall100: float
    recall10: float
    recall100: float
    p50_us: float

    def to_json(self) -> dict[str, object]:
        """Return a dictionary that ``json`` can write."""
        return asdict(self)


def sweep(
    indexes: Sequence[Path],
    judgements: Path,
    *,
    beams: Sequence[int],
    relevant: float = 2.33,
    verify: bool = True,
    progress: Progress = NO_PROGRESS,
) -> list[Point]:
    """Return a point for each index with each beam.

    Raises:
        PairsError: The judgements cannot be read, or hold no relevant product of an index.
        IndexFileError, UnsupportedError: An index cannot be used, or has no products.
    """
    points: list[Point] = []
    if not beams:
        return points
    with progress.stage("sweep", len(indexes) * len(beams)) as advance:
        for path in indexes:
            with open_catalogue(path, verify=verify) as catalogue:
                wanted = _wanted(judgements, catalogue, relevant)
                recalls = {beam: _recalls(catalogue, wanted, beam) for beam in beams}
                taken: dict[int, list[float]] = {beam: [] for beam in beams}
                for _ in range(ROUNDS):
                    for beam in beams:
                        taken[beam].append(_median_us(catalogue, wanted, beam))
            size = path.stat().st_size
            weights = _weight_bytes(path)
            for beam in beams:
                p50 = float(np.median(taken[beam]))
                points.append(Point(path.name, size, weights, beam, *recalls[beam], p50))
                advance(1)
    return points


def rows_of(points: Sequence[Point]) -> list[list[str]]:
    """Return points for people: a header, and a row each."""
    model = ["model@10", "model@100"]
    head = ["index", "MB", "weights", "beam", *model, "recall@10", "recall@100", "p50_us"]
    return [head] + [
        [
            one.index,
            f"{one.bytes / 1e6:.2f}",
            f"{one.weight_bytes / 1e6:.2f}",
            str(one.beam),
            f"{one.model_recall10:.4f}",
            f"{one.model_recall100:.4f}",
            f"{one.recall10:.4f}",
            f"{one.recall100:.4f}",
            f"{one.p50_us:.0f}",
        ]
        for one in points
    ]


def draw(points: Sequence[Point], path: Path) -> None:
    """Draw recall@100 over the size of the file and over latency, a line a beam.

    Raises:
        ConfigError: matplotlib is not installed, or cannot write such a file.
    """
    try:
        from matplotlib.figure import Figure  # noqa: PLC0415 - an extra
    except ImportError:
        raise ConfigError("a plot needs matplotlib: install the extra `report`") from None
    figure = Figure(figsize=(10, 4), layout="constrained")
    size, latency = figure.subplots(1, 2, sharey=True)
    for beam in sorted({one.beam for one in points}):
        line = sorted((one for one in points if one.beam == beam), key=lambda one: one.bytes)
        recall = [one.recall100 for one in line]
        size.plot([one.bytes / 1e6 for one in line], recall, marker="o", label=f"beam {beam}")
        latency.plot([one.p50_us for one in line], recall, marker="o")
    size.set_xlabel("file, MB")
    size.set_ylabel("recall@100")
    latency.set_xlabel("p50, microseconds")
    size.legend()
    try:
        figure.savefig(path)
    except ValueError as error:
        raise ConfigError(f"{path}: {error}; name it FILE.svg or FILE.png") from None


def _wanted(judgements: Path, catalogue: Catalogue, relevant: float) -> Grades:
    numbers = {catalogue.product_id(label): label for label in range(len(catalogue))}
    wanted: dict[str, dict[int, float]] = {}
    for pair in read_pairs(judgements, numbers).rows:
        if pair.relevance is not None and pair.relevance >= relevant:
            wanted.setdefault(pair.query, {})[numbers[pair.product_id]] = pair.relevance
    if not wanted:
        raise PairsError(
            f"{judgements}: no product of {catalogue.path} has a relevance of {relevant:g} or "
            "more; lower --relevant"
        )
    return wanted


def _recalls(catalogue: Catalogue, wanted: Grades, beam: int) -> tuple[float, float, float, float]:
    """Return recall@10 and @100 by the tree, then by the scorer."""
    figures: list[float] = []
    for model_only in (True, False):
        found = [
            measure(
                [
                    one.label
                    for one in catalogue.ask(query, k=DEPTH, beam=beam, model_only=model_only)
                ],
                grades,
            )[:2]
            for query, grades in wanted.items()
        ]
        figures += np.mean(found, axis=0).tolist()
    return figures[0], figures[1], figures[2], figures[3]


def _median_us(catalogue: Catalogue, wanted: Grades, beam: int) -> float:
    taken = []
    for query in wanted:
        start = time.perf_counter()
        catalogue.retrieve(query, k=DEPTH, beam=beam)
        taken.append(time.perf_counter() - start)
    return float(np.median(taken)) * 1e6


def _weight_bytes(index: Path) -> int:
    with NativeIndex.open(index) as native:
        return sum(section.length for section in native.sections() if section.name == "WGHT")
