"""Espalier beside libpecos on the same models: who says what, and who is right."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

import espalier
from espalier.interop import import_pecos
from tests.differential.models import Case, random_case, save_arrays, save_model, unpack
from tests.reference.xlinear import Expected, expect, problem_with

ROOT: Final = Path(__file__).resolve().parents[2]
LAYOUTS: Final = ("BINARY_SEARCH_CHUNKED", "HASH_CHUNKED", "CSC")


def pecos_python() -> Path | None:
    """Return the interpreter that has libpecos: ``ESPALIER_PECOS``, or what make sets up."""
    python = Path(os.environ.get("ESPALIER_PECOS", ROOT / ".venv-pecos/bin/python"))
    return python if python.exists() else None


@dataclass(slots=True)
class Tally:
    """What was compared, and what was found.

    Attributes:
        models: Models compared.
        rows: Answers of Espalier compared.
        open_rows: Answers where a beam had to choose between equals: both sides are
            right, but need not agree.
        same_order: Answers with the same labels in the same order as libpecos.
        largest: Largest difference of scores at the same rank, over 1 or the score.
        wrong: Problems, Espalier's first.
    """

    models: int = 0
    rows: int = 0
    open_rows: int = 0
    same_order: int = 0
    largest: float = 0.0
    wrong: list[str] = field(default_factory=list)


def compare(
    name: str, case: Case, answers: Mapping[str, NDArray[Any]], folder: Path, tally: Tally
) -> None:
    """Import the case, ask it, and hold the answers against libpecos and against float64."""
    save_model(folder / f"{name}.model", case)
    index = folder / f"{name}.esp"
    import_pecos(folder / f"{name}.model", index)
    with espalier.open(index) as opened:
        opened.validate(deep=True)
    tally.models += 1
    layouts = [layout for layout in LAYOUTS if f"{layout}/0_data" in answers]
    with espalier.open_model(index) as model:
        for number, (beam, k) in enumerate(case.asked):
            ours = model.predict(case.x, beam=beam, k=k, threads=1 + number % 2)
            theirs = {layout: unpack(f"{layout}/{number}", answers) for layout in layouts}
            for row in range(case.x.shape[0]):
                expected = expect(_layers(case), case.post_processor, case.x[row], beam, k)
                sides = {"espalier": _row(ours, row)}
                sides |= {layout: _row(theirs[layout], row) for layout in layouts}
                where = f"{name}, beam {beam}, k {k}, row {row}"
                _compare_row(where, case.post_processor, expected, sides, tally)


def _layers(case: Case) -> list[tuple[Any, NDArray[np.int64], float]]:
    return [(layer.weights, layer.parents, layer.bias) for layer in case.layers]


Answer = tuple[NDArray[Any], NDArray[Any]]


def _row(matrix: Any, row: int) -> Answer:
    part = slice(matrix.indptr[row], matrix.indptr[row + 1])
    return matrix.indices[part], matrix.data[part]


def _compare_row(
    where: str, post_processor: str, expected: Expected, sides: Mapping[str, Answer], tally: Tally
) -> None:
    tally.rows += 1
    tally.open_rows += expected.is_open
    for side, (labels, scores) in sides.items():
        problem = problem_with(expected, post_processor, labels, scores)
        if problem is not None:
            tally.wrong.append(f"{where}: {side}: {problem}")
    labels, scores = sides["espalier"]
    others = [answer for side, answer in sides.items() if side != "espalier"]
    tally.same_order += all(np.array_equal(labels, other) for other, _ in others)
    if expected.is_open:
        return
    for other_labels, other_scores in others:
        if len(labels) != len(other_labels):
            tally.wrong.append(f"{where}: {len(labels)} labels, not {len(other_labels)}")
            continue
        each = np.abs(scores - other_scores) / np.maximum(1.0, np.abs(other_scores))
        apart = float(each.max(initial=0.0))
        tally.largest = max(tally.largest, apart)
        if apart > 1e-5:
            tally.wrong.append(f"{where}: scores at one rank differ by {apart:.1e}")


def run(python: Path, folder: Path, seeds: range) -> Tally:
    """Compare random models, one for each seed, in an empty folder."""
    cases = {f"seed{seed}": random_case(seed) for seed in seeds}
    for name, case in cases.items():
        save_arrays(folder / f"{name}.case.npz", case.to_arrays())
    subprocess.run(
        [python, "-m", "tests.differential.peer", folder],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"},
        check=True,
        capture_output=True,
    )
    tally = Tally()
    for name, case in cases.items():
        with np.load(folder / f"{name}.answers.npz") as answers:
            compare(name, case, answers, folder, tally)
    return tally
