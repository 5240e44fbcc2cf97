"""libpecos answers: run by the Python of its own environment, never by ours.

    .venv-pecos/bin/python -m tests.differential.peer FOLDER

Every ``FOLDER/*.case.npz`` gets a ``*.answers.npz`` beside it: what libpecos says to
each question of the case, in each of its weight layouts.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from pecos.xmc.xlinear.model import XLinearModel

from tests.differential.models import Case, pack, save_arrays, save_model

LAYOUTS: Final = ("BINARY_SEARCH_CHUNKED", "HASH_CHUNKED", "CSC")


def answers_of(case: Case, layouts: tuple[str, ...] = LAYOUTS) -> dict[str, NDArray[Any]]:
    """Return what libpecos says, as named arrays: ``LAYOUT/question_...``."""
    arrays: dict[str, NDArray[Any]] = {}
    with tempfile.TemporaryDirectory(prefix="espalier-pecos-") as folder:
        save_model(Path(folder), case)
        for layout in layouts:
            model = XLinearModel.load(folder, is_predict_only=True, weight_matrix_type=layout)
            for number, (beam, k) in enumerate(case.asked):
                found = model.predict(case.x, beam_size=beam, only_topk=k, threads=1)
                arrays |= pack(f"{layout}/{number}", found)
    return arrays


def main() -> None:
    """Answer every case of the folder named on the command line."""
    for path in sorted(Path(sys.argv[1]).glob("*.case.npz")):
        with np.load(path) as arrays:
            case = Case.from_arrays(arrays)
        save_arrays(path.with_name(path.name.replace(".case.", ".answers.")), answers_of(case))


if __name__ == "__main__":
    main()
