"""The libpecos side: a process of another environment, driven over a pipe.

Reads one JSON object a line from standard input, ``{"do": name, ...}``, and answers
each with one on standard output. Runs without any module of this project, on
Python 3.9 or later, with numpy, scipy, scikit-learn and libpecos.

Whatever libpecos prints on standard output goes to standard error.
"""

from __future__ import annotations

import ctypes
import json
import os
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import scipy.sparse as sp
from pecos.core import clib
from pecos.core.base import ScipyCsrF32
from pecos.xmc.base import HierarchicalKMeans
from pecos.xmc.xlinear.model import XLinearModel
from sklearn.preprocessing import normalize


class Helper:
    """Answers requests; holds one loaded model per layout."""

    def __init__(self, driver: str) -> None:
        """Load the timing loop from the shared library ``driver``."""
        self._driver = ctypes.CDLL(driver)
        self._models: dict[str, Any] = {}
        self._x = sp.csr_matrix((0, 0), dtype=np.float32)
        self._rows: list[Any] = []
        self._c_rows: Any = None

    def train(  # noqa: PLR0917 - the request's fields
        self, task: str, out: str, arity: int, max_leaf: int, threads: int, seed: int
    ) -> dict[str, Any]:
        """Train a model on the matrices in the folder ``task`` and save it to ``out``."""
        x, y = (_matrix(Path(task) / f"{name}.npz") for name in ("x", "y"))
        start = time.perf_counter()
        features = normalize(normalize(y).T.dot(x)).tocsr()
        pifa = time.perf_counter()
        chain = HierarchicalKMeans.gen(
            features,
            train_params=HierarchicalKMeans.TrainParams(
                nr_splits=arity,
                max_leaf_size=max_leaf,
                kmeans_max_iter=20,
                seed=seed,
                threads=threads,
            ),
        )
        clustered = time.perf_counter()
        model = XLinearModel.train(x, y, C=chain, Cp=1.0, Cn=1.0, threshold=0.1, threads=threads)
        ranked = time.perf_counter()
        model.save(out)
        return {
            "label_vectors_s": pifa - start,
            "index_s": clustered - pifa,
            "rank_s": ranked - clustered,
            "peak_bytes": _peak(),
        }

    def load(self, model: str, layout: str) -> dict[str, Any]:
        """Load a model for prediction only, and tell how long that took.

        ``layout`` is one of its weight layouts, or ``mmap``: compiled before, mapped
        without reading it.
        """
        start = time.perf_counter()
        if layout == "mmap":
            loaded = XLinearModel.load(model, is_predict_only=True, lazy_load=True)
        else:
            loaded = XLinearModel.load(model, is_predict_only=True, weight_matrix_type=layout)
        seconds = time.perf_counter() - start
        self._models[layout] = loaded
        return {"seconds": seconds, "peak_bytes": _peak()}

    def compile(self, model: str, out: str) -> dict[str, Any]:
        """Compile the memory-mapped form of a saved model."""
        XLinearModel.compile_mmap_model(model, out)
        return {}

    def rows(self, x: str, n: int) -> dict[str, Any]:
        """Take the first ``n`` rows of the matrix ``x`` as those to predict."""
        self._x = _matrix(Path(x))[:n]
        self._x.sort_indices()
        self._rows = [self._x[i] for i in range(self._x.shape[0])]
        views = [ScipyCsrF32(row) for row in self._rows]
        self._c_rows = ((ScipyCsrF32 * len(views))(*views), views)
        return {"rows": len(views)}

    def single(self, layout: str, beam: int, k: int) -> dict[str, Any]:
        """Return nanoseconds of every row, called as a user calls it."""
        model = self._models[layout]
        taken = np.empty(len(self._rows))
        for i, row in enumerate(self._rows):
            start = time.perf_counter_ns()
            model.predict(row, beam_size=beam, only_topk=k, threads=1)
            taken[i] = time.perf_counter_ns() - start
        return {"ns": taken.tolist()}

    def single_native(self, layout: str, beam: int, k: int) -> dict[str, Any]:
        """Return nanoseconds of every row, called from C with arguments made before."""
        rows, _ = self._c_rows
        taken = np.empty(len(rows))
        predict = ctypes.cast(clib.clib_float32.c_xlinear_predict_csr_f32, ctypes.c_void_p)
        self._driver.time_pecos(
            predict,
            ctypes.c_void_p(self._models[layout].model.model_chain),
            rows,
            ctypes.c_uint32(len(rows)),
            ctypes.c_uint32(beam),
            ctypes.c_uint32(k),
            taken.ctypes.data_as(ctypes.c_void_p),
        )
        return {"ns": taken.tolist()}

    def batch(self, layout: str, beam: int, k: int, threads: int) -> dict[str, Any]:
        """Return the seconds of one call with all rows."""
        start = time.perf_counter()
        self._models[layout].predict(self._x, beam_size=beam, only_topk=k, threads=threads)
        return {"seconds": time.perf_counter() - start}

    def answers(self, layout: str, beam: int, k: int, out: str) -> dict[str, Any]:
        """Save the predictions of all rows as npz."""
        found = self._models[layout].predict(self._x, beam_size=beam, only_topk=k, threads=1)
        sp.save_npz(out, sp.csr_matrix(found))
        return {}

    def peak(self) -> dict[str, Any]:
        """Return the largest resident set of this process so far."""
        return {"peak_bytes": _peak()}


def _matrix(path: Path) -> sp.csr_matrix:
    return sp.csr_matrix(sp.load_npz(path), dtype=np.float32)


def _peak() -> int:
    """Return the largest resident set of this program; rusage counts the parent's too."""
    status = Path("/proc/self/status").read_text(encoding="utf-8")
    return int(status.partition("VmHWM:")[2].split()[0]) * 1024


def main() -> None:
    """Answer until standard input ends."""
    replies = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    helper = Helper(sys.argv[1])
    for line in sys.stdin:
        request = json.loads(line)
        answer = getattr(helper, request.pop("do"))(**request)
        print(json.dumps(answer), file=replies, flush=True)


if __name__ == "__main__":
    main()
