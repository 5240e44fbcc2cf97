"""PECOS beside Espalier, on the same matrices, tree and weights.

A model is trained by PECOS for each task, imported (32-bit weights), and both sides
rank the held-out rows in one interleaved run: one row a call, and all rows in one.
Figures are medians over rounds.

"call" is a call from Python: `XLinearModel.predict` on a prepared one-row matrix with
libpecos; here `Model.predict_row` on a prepared row ("matrix call" is `Model.predict`
on the one-row matrix libpecos gets). "inside" leaves the
interpreter out: a loop in C (`driver.c`) calls `c_xlinear_predict_csr_f32` and
`esp_predict` through function pointers, with arguments and room for answers made
before, and reads the monotonic clock between calls (about 25 ns, on both sides).

Then both train the same configuration: labels by mean of their rows, balanced k-means
of the same arity, at most 100 labels a leaf, squared hinge, threshold 0.1. Random starts
move the quality of a tree more than anything else, so it is a mean over seeds; times
are medians.

Needs ESPALIER_DATA; --pecos names the interpreter of an environment with libpecos.
"""

from __future__ import annotations

import functools
import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from statistics import mean, median
from typing import Any, Final

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from bench import harness
from espalier.interop import import_pecos
from integration.peers.pecos import ours, quality
from integration.peers.pecos.peer import HERE, Peer, compile_driver
from integration.peers.pecos.tasks import TASKS, Task

LAYOUTS: Final = ("BINARY_SEARCH_CHUNKED", "HASH_CHUNKED", "CSC")
# Task and arity: PECOS's default, and binary as in the completion paper.
CASES: Final = (("products", 16), ("sessions", 16), ("sessions", 2))
MAX_LEAF: Final = 100
BEAM: Final = 10
K: Final = 10
ROWS: Final = 5000
QUICK_ROWS: Final = 500
QUICK_SHARE: Final = 0.1
OURS: Final = "Espalier"
STAGES: Final = ("label_vectors", "index", "rank")
QUALITY: Final = ("p1", "p5", "r10")


def main() -> None:
    """Run the comparison."""
    options = harness.parser(__doc__, rounds=5)
    options.add_argument("--pecos", type=Path, required=True, metavar="PYTHON")
    options.add_argument("--quick", action="store_true", help="a tenth of the data, in minutes")
    options.add_argument("--seeds", type=int, default=3, metavar="N", help="trainings a side [3]")
    options.add_argument("--threads", type=int, default=2, metavar="N", help="to train with [2]")
    options.add_argument(
        "--task", choices=tuple(TASKS), action="append", help="only this; may repeat"
    )
    chosen = options.parse_args()
    data = harness.data_file().parent
    if not chosen.pecos.exists():
        harness.skip(f"{chosen.pecos} is not there; the environment with libpecos was not made")
    report = harness.Reporter("pecos", as_json=chosen.json)
    with harness.work_folder(chosen.work) as folder:
        driver = compile_driver(folder)
        for name, arity in CASES:
            if chosen.task and name not in chosen.task:
                continue
            place = folder / ("quick" if chosen.quick else "full") / name
            if not (place / "y_test.npz").exists():
                harness.note(f"{name}: making matrices")
                TASKS[name](data, QUICK_SHARE if chosen.quick else 1.0).save(place)
            case = Case(report, chosen, driver, Task.load(place), place, arity)
            case.train()
            with Peer(chosen.pecos, driver) as peer:
                case.measure(peer)
    report.calibration()


@dataclass(frozen=True, slots=True)
class Case:
    """One task at one arity."""

    report: harness.Reporter
    chosen: Any
    driver: Path
    task: Task
    place: Path
    arity: int

    @property
    def name(self) -> str:
        """What tables call it."""
        return f"{self.task.name}-{self.arity}"

    @property
    def model(self) -> Path:
        """Folder of the model PECOS trained."""
        return self.place / f"pecos-{self.arity}"

    @property
    def imported(self) -> Path:
        """The same model as an index."""
        return self.place / f"imported-{self.arity}.esp"

    @property
    def n_rows(self) -> int:
        """Rows that are timed."""
        return min(QUICK_ROWS if self.chosen.quick else ROWS, int(self.task.x_test.shape[0]))

    # ---- training ---------------------------------------------------------------

    def train(self) -> None:
        """Train the configuration on both sides in turn, and print time, memory, quality."""
        task = self.task
        self.report.text(
            f"\n{self.name}: {task.x.shape[0]:,} rows, {task.x.shape[1]:,} features "
            f"({task.x.nnz / task.x.shape[0]:.1f} a row), {task.y.shape[1]:,} labels"
        )
        found: dict[str, list[dict[str, float]]] = {}
        for seed in range(self.chosen.seeds, 0, -1):  # the first seed's model stays
            found.setdefault("PECOS", []).append(self._pecos_trains(seed))
            for bits in (16, 32):
                found.setdefault(f"{OURS}, {bits}-bit", []).append(self._we_train(seed, bits))
        rows = []
        for side, runs in found.items():
            middle = {key: median(run[key] for run in runs) for key in runs[0]}
            middle |= {key: mean(run[key] for run in runs) for key in QUALITY}
            self.report.record(case=self.name, trained_by=side, seeds=len(runs), **middle)
            rows.append(
                [
                    side,
                    *(f"{middle[f'{part}_s']:.1f} s" for part in STAGES),
                    f"{sum(middle[f'{part}_s'] for part in STAGES):.1f} s",
                    *(f"{middle[key] / 2**20:,.1f} MiB" for key in ("peak_bytes", "bytes")),
                    *(f"{middle[key]:.4f}" for key in QUALITY),
                    "..".join(f"{pick(run['r10'] for run in runs):.4f}" for pick in (min, max)),
                ]
            )
        head = ["trained by", "label vectors", "index", "rank", "all", "peak", "size"]
        self.report.table([*head, "P@1", "P@5", "R@10", "R@10 over seeds"], rows)

    def _pecos_trains(self, seed: int) -> dict[str, float]:
        harness.note(f"{self.name}: PECOS trains, seed {seed}")
        with Peer(self.chosen.pecos, self.driver) as peer:
            taken: dict[str, float] = peer.ask(
                "train",
                task=self.place,
                out=self.model,
                arity=self.arity,
                max_leaf=MAX_LEAF,
                threads=self.chosen.threads,
                seed=seed,
            )
            peer.ask("load", model=self.model, layout=LAYOUTS[0])
            answers = self._pecos_answers(peer, self.task.x_test.shape[0])
        found = quality.measures(answers, self.task.y_test)
        return {**taken, **found, "bytes": _bytes_of(self.model)}

    def _we_train(self, seed: int, bits: int) -> dict[str, float]:
        harness.note(f"{self.name}: Espalier trains, seed {seed}, {bits}-bit weights")
        out = self.place / f"ours-{self.arity}-{bits}.esp"
        numbers = [self.arity, MAX_LEAF, bits, self.chosen.threads, seed]
        command = [sys.executable, str(HERE / "ours.py"), *map(str, (self.place, out, *numbers))]
        taken: dict[str, float] = json.loads(
            subprocess.run(command, check=True, capture_output=True).stdout
        )
        side = ours.Ours(out, self.task.x_test, self.driver)
        found = quality.measures(side.answers(BEAM, K), self.task.y_test)
        side.close()
        return {**taken, **found, "bytes": out.stat().st_size}

    def _pecos_answers(self, peer: Peer, rows: int) -> sp.csr_matrix:
        out = self.place / "answers.npz"
        peer.ask("rows", x=self.place / "x_test.npz", n=rows)
        peer.ask("answers", layout=LAYOUTS[0], beam=BEAM, k=K, out=out)
        return sp.csr_matrix(sp.load_npz(out))

    # ---- speed ------------------------------------------------------------------

    def measure(self, peer: Peer) -> None:
        """Import the model PECOS trained and time both sides, interleaved."""
        import_pecos(self.model, self.imported)
        rows = sp.csr_matrix(self.task.x_test[: self.n_rows])
        side = ours.Ours(self.imported, rows, self.driver)
        loads = self._loads(peer)
        theirs = self._pecos_answers(peer, rows.shape[0])
        equal, difference = quality.agreement(side.answers(BEAM, K), theirs, K)
        self.report.text(
            f"\n{self.name}: rows with the same labels in the same order {equal:.2%}, "
            f"largest difference of a score {difference:.1e}"
        )
        self.report.record(case=self.name, equal_rows=equal, largest_difference=difference)
        taken = self._interleaved(peer, side)
        side.close()
        self._print(taken, loads, rows.shape[0])

    def _loads(self, peer: Peer) -> dict[str, float]:
        """Load each layout once to warm the page cache, then once to be timed."""
        loads = {}
        for layout in LAYOUTS:
            peer.ask("load", model=self.model, layout=layout)
            loads[layout] = float(peer.ask("load", model=self.model, layout=layout)["seconds"])
        mapped = self.model.with_name(self.model.name + "-mmap")
        peer.ask("compile", model=self.model, out=mapped)
        peer.ask("load", model=mapped, layout="mmap")
        loads["mmap"] = float(peer.ask("load", model=mapped, layout="mmap")["seconds"])
        ours.load_seconds(self.imported)
        loads[OURS] = ours.load_seconds(self.imported)
        return loads

    def _interleaved(self, peer: Peer, side: ours.Ours) -> dict[tuple[str, str], list[float]]:
        taken: dict[tuple[str, str], list[float]] = {}

        def single(name: str, how: str, ask: Callable[[], NDArray[np.float64]]) -> float:
            microseconds = ask() / 1e3
            for percentile in (50, 99):
                value = float(np.percentile(microseconds, percentile))
                taken.setdefault((name, f"{how} p{percentile}"), []).append(value)
            return float(np.median(microseconds))

        def batch(name: str, threads: int, ask: Callable[[], float]) -> float:
            microseconds = ask() * 1e6 / self.n_rows
            taken.setdefault((name, f"batch {threads}"), []).append(microseconds)
            return microseconds

        sides: dict[str, Callable[[], float]] = {}
        sides[f"{OURS} matrix call"] = functools.partial(
            single, OURS, "matrix call", functools.partial(side.single, BEAM, K)
        )
        for name in (OURS, *LAYOUTS):
            for how in ("call", "inside"):
                sides[f"{name} {how}"] = functools.partial(
                    single, name, how, _single(peer, side, name, how)
                )
            for threads in (1, 2):
                sides[f"{name} batch {threads}"] = functools.partial(
                    batch, name, threads, _batch(peer, side, name, threads)
                )
        harness.interleaved(sides, self.chosen.rounds)
        return taken

    def _print(
        self, taken: dict[tuple[str, str], list[float]], loads: dict[str, float], n_rows: int
    ) -> None:
        columns = (
            "call p50", "call p99", "inside p50", "inside p99", "batch 1", "batch 2",
        )  # fmt: skip
        medians = {key: harness.Spread.of(values).median for key, values in taken.items()}
        sizes = {OURS: self.imported.stat().st_size}
        table = []
        for name in (OURS, *LAYOUTS):
            size = sizes.get(name, _bytes_of(self.model))
            self.report.record(
                case=self.name,
                side=name,
                rows=n_rows,
                bytes=size,
                load_s=loads[name],
                rounds=self.chosen.rounds,
                **{f"{c.replace(' ', '_')}_us": medians[name, c] for c in columns},
            )
            table.append(
                [
                    name,
                    *(f"{medians[name, c]:.1f}" for c in columns),
                    f"{size / 2**20:.1f} MiB",
                    f"{loads[name] * 1e3:.1f} ms",
                ]
            )
        fastest = [min(medians[name, c] for name in LAYOUTS) for c in columns]
        ratios = [best / medians[OURS, c] for best, c in zip(fastest, columns, strict=True)]
        table.append(
            [
                "fastest layout / Espalier",
                *(f"{ratio:.2f}x" for ratio in ratios),
                f"{_bytes_of(self.model) / sizes[OURS]:.2f}x",
                f"{min(loads[name] for name in LAYOUTS) / loads[OURS]:.0f}x",
            ]
        )
        self.report.record(
            case=self.name,
            ratio_to_fastest_layout=dict(zip(columns, ratios, strict=True)),
            mmap_load_s=loads["mmap"],
        )
        self.report.table([f"{self.name}, us a row", *columns, "on disk", "load"], table)
        matrix_call = medians[OURS, "matrix call p50"]
        self.report.record(case=self.name, side=OURS, matrix_call_p50_us=matrix_call)
        theirs = min(medians[name, "call p50"] for name in LAYOUTS)
        self.report.text(
            f"matrix in, matrix out: Espalier {matrix_call:.1f} us, "
            f"libpecos {theirs:.1f} us ({theirs / matrix_call:.2f}x)"
        )
        self.report.text(f"libpecos opens its memory-mapped form in {loads['mmap'] * 1e3:.1f} ms")


def _single(peer: Peer, side: ours.Ours, name: str, how: str) -> Callable[[], NDArray[np.float64]]:
    if name == OURS:
        return functools.partial(side.row if how == "call" else side.single_native, BEAM, K)
    do = "single" if how == "call" else "single_native"
    return lambda: np.array(peer.ask(do, layout=name, beam=BEAM, k=K)["ns"])


def _batch(peer: Peer, side: ours.Ours, name: str, threads: int) -> Callable[[], float]:
    if name == OURS:
        return functools.partial(side.batch, BEAM, K, threads)
    return lambda: float(peer.ask("batch", layout=name, beam=BEAM, k=K, threads=threads)["seconds"])


def _bytes_of(folder: Path) -> int:
    return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())


if __name__ == "__main__":
    main()
