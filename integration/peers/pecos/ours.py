"""The Espalier side: the same questions to the same tree and weights.

Run as a script, ``ours.py FOLDER OUT ARITY MAX_LEAF BITS THREADS SEED``, it trains on the
matrices of a task as PECOS would, in a process of its own so that its memory is known.
"""

from __future__ import annotations

import ctypes
import functools
import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from espalier.model import open_model
from espalier.native import NativeIndex, Space
from espalier.native.border import ffi, lib
from espalier.native.features import csr_view
from espalier.settings import TrainSettings
from espalier.train.beam import BeamSearch
from espalier.train.blend import Blend
from espalier.train.index import IndexerInput
from espalier.train.matrices import csr_of, normalise_rows, take_rows
from espalier.train.rank import Entries, RankInput, rank_tree, tree_order
from espalier.train.stages import make_indexer, make_matcher, make_ranker
from espalier.train.workers import Workers
from espalier.train.write import Model, params_section, tree_sections, write_index

F64 = NDArray[np.float64]


class Ours:
    """An open index and the rows to ask it about."""

    def __init__(self, index: Path, x: sp.csr_matrix, driver: Path) -> None:
        """Open ``index``; ``x`` holds the rows."""
        self._model = open_model(index, verify=False)
        self._index = NativeIndex.open(index)
        self._matrix = x
        self._matrices = [x[i] for i in range(x.shape[0])]
        self._x = csr_of(x)
        self._rows = [
            (self._x.col[begin:end], self._x.val[begin:end])
            for begin, end in zip(
                self._x.row_ptr[:-1].tolist(), self._x.row_ptr[1:].tolist(), strict=True
            )
        ]
        self._driver = ctypes.CDLL(str(driver))
        self._scratch = self._index.scratch()
        self._view, self._keep = csr_view(self._x)

    def close(self) -> None:
        """Unmap the index."""
        self._model.close()
        self._index.close()

    def row(self, beam: int, k: int) -> F64:
        """Return nanoseconds of every row, given as columns and values."""
        ask = self._model.predict_row
        return _each([functools.partial(ask, *row, beam=beam, k=k) for row in self._rows])

    def single(self, beam: int, k: int) -> F64:
        """Return nanoseconds of every row, given and answered as a scipy matrix."""
        ask = self._model.predict
        return _each([functools.partial(ask, row, beam=beam, k=k) for row in self._matrices])

    def single_native(self, beam: int, k: int) -> F64:
        """Return nanoseconds of every row, called from C with arguments made before."""
        taken = np.empty(len(self._rows))
        status = self._driver.time_espalier(
            _address(ffi.addressof(lib, "esp_predict")),
            _address(self._index.handle),
            _address(self._scratch.handle),
            _address(self._view),
            ctypes.c_uint32(len(self._rows)),
            ctypes.c_uint32(beam),
            ctypes.c_uint32(k),
            taken.ctypes.data_as(ctypes.c_void_p),
        )
        if status != 0:
            raise RuntimeError(f"esp_predict failed with status {status}")
        return taken

    def batch(self, beam: int, k: int, threads: int) -> float:
        """Return the seconds of one call with all rows."""
        start = time.perf_counter()
        self._model.predict(self._matrix, beam=beam, k=k, threads=threads)
        return time.perf_counter() - start

    def answers(self, beam: int, k: int) -> sp.csr_matrix:
        """Return the predictions of all rows, entries best first."""
        return sp.csr_matrix(self._model.predict(self._matrix, beam=beam, k=k))


def _each(calls: list[Callable[[], object]]) -> F64:
    clock = time.perf_counter_ns
    taken = np.empty(len(calls))
    for i, call in enumerate(calls):
        start = clock()
        call()
        taken[i] = clock() - start
    return taken


def load_seconds(index: Path) -> float:
    """Return how long opening takes."""
    start = time.perf_counter()
    opened = NativeIndex.open(index)
    seconds = time.perf_counter() - start
    opened.close()
    return seconds


def _address(pointer: Any) -> ctypes.c_void_p:
    return ctypes.c_void_p(int(ffi.cast("intptr_t", pointer)))


def train(
    folder: Path, out: Path, *, arity: int, max_leaf: int, bits: int, threads: int, seed: int
) -> dict[str, float]:
    """Train on the matrices in ``folder`` with the configuration the helper uses."""
    # Every number of the published configuration: defaults are for completion.
    settings = TrainSettings(
        indexer="kmeans",
        arity=arity,
        max_leaf=max_leaf,
        kmeans_iterations=20,
        negatives="tfn",
        min_users=1,
        cp=1.0,
        cn=1.0,
        epsilon=0.1,
        max_iterations=100,
        bias=1.0,
        threshold=0.1,
        max_nonzeros=0,
        post_processor="l3-hinge",
        weight_bits=bits,
        threads=threads,
        seed=seed,
    )
    x, y = (sp.csr_matrix(sp.load_npz(folder / f"{name}.npz")) for name in ("x", "y"))
    start = time.perf_counter()
    vectors = csr_of(normalise_rows(normalise_rows(y).T.tocsr() @ x))
    made_vectors = time.perf_counter()
    with Workers(settings.thread_count) as workers:
        names = [f"{label:08d}" for label in range(y.shape[1])]
        tree = make_indexer(settings).index(IndexerInput(names, lambda: vectors, workers))
        indexed = time.perf_counter()
        pairs = y.tocoo()
        row, label = pairs.row.astype(np.uint32), pairs.col.astype(np.uint32)
        order = tree_order(tree, row, label, y.shape[0])
        number = np.empty(len(order), np.uint32)
        number[order] = np.arange(len(order), dtype=np.uint32)
        rows = take_rows(csr_of(x), order)
        space = Space(
            np.arange(x.shape[1], dtype=np.uint32), np.ones(x.shape[1], np.float32), 0, 0.0, 0
        )
        chunks = rank_tree(
            tree,
            Entries.of(tree, number[row], label, y.shape[0]),
            RankInput(rows, None, None, np.zeros(x.shape[1], np.uint8)),
            matcher=make_matcher(settings),
            ranker=make_ranker(settings),
            workers=workers,
            beams=BeamSearch(tree, rows, space, settings),
            done=lambda _: None,
        )
    ranked = time.perf_counter()
    params = params_section(settings, Model(space, tree, chunks), Blend(1.0, 0.0))
    write_index(out, {"META": b"{}", "PARM": params, **tree_sections(tree, chunks)}, 1)
    return {
        "label_vectors_s": made_vectors - start,
        "index_s": indexed - made_vectors,
        "rank_s": ranked - indexed,
        "peak_bytes": _peak(),
    }


def _peak() -> int:
    """Return the largest resident set of this program; rusage counts the parent's too."""
    status = Path("/proc/self/status").read_text(encoding="utf-8")
    return int(status.partition("VmHWM:")[2].split()[0]) * 1024


if __name__ == "__main__":
    _folder, _out, *_numbers = sys.argv[1:]
    _names = ("arity", "max_leaf", "bits", "threads", "seed")
    _options = dict(zip(_names, map(int, _numbers), strict=True))
    sys.stdout.write(json.dumps(train(Path(_folder), Path(_out), **_options)))
