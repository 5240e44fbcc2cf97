"""What every benchmark shares: rounds, medians, a calibration loop, JSON lines.

The method, after the benchmarks of zstd and the rules of this project:

- sides that are compared run *interleaved*, round by round, and the side that
  goes first rotates, so that a machine that warms up, throttles or is shared
  favours nobody;
- a figure is the median over rounds; the fastest round stands beside it;
- an absolute time is printed beside a fixed loop of pure Python of the same
  run, because the seconds of a shared machine prove nothing alone.

Figures go to standard output: text, or with ``--json`` one JSON object a line,
each with the machine and the commit it was measured on. What is happening goes
to standard error.
"""

from __future__ import annotations

import argparse
import contextlib
import gzip
import importlib.metadata
import json
import os
import platform
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any, NoReturn

from espalier.evaluate.latency import calibrate
from espalier.evaluate.table import aligned
from espalier.progress import TerminalProgress
from espalier.querylog import write_pairs
from espalier.settings import LogSettings

DATA_VARIABLE = "ESPALIER_DATA"
SESSIONS_LOG = "aol-sessions.tsv.gz"
SPLIT = 0.9
SEED = 1
MIN_USERS = (1, 3)

_ROOT = Path(__file__).resolve().parent.parent


# ---- the command line ---------------------------------------------------------


def parser(doc: str | None, *, rounds: int) -> argparse.ArgumentParser:
    """Return a parser with the options every benchmark has; ``doc`` is its module's."""
    made = argparse.ArgumentParser(
        description=doc, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    made.add_argument("--json", action="store_true", help="print JSON lines instead of text")
    made.add_argument(
        "--rounds", type=_positive, default=rounds, metavar="N", help=f"rounds [{rounds}]"
    )
    made.add_argument(
        "--work",
        type=Path,
        metavar="DIR",
        help="keep splits and indexes here, and use again those of an earlier run "
        "with equal settings; they are not noticed to be old [a temporary folder]",
    )
    return made


def _positive(text: str) -> int:
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f"{value} is not above 0")
    return value


def add_training_options(options: argparse.ArgumentParser) -> None:
    """Let the caller choose ``--min-users`` and settings."""
    options.add_argument(
        "--min-users", type=int, nargs="+", default=list(MIN_USERS), metavar="N", help="[1 3]"
    )
    options.add_argument(
        "--set", action="append", default=[], metavar="KEY=VALUE", help="a setting; may repeat"
    )


def data_file(name: str = SESSIONS_LOG) -> Path:
    """Return a file of the data folder, or end the benchmark with exit code 0 and the reason."""
    folder = os.environ.get(DATA_VARIABLE)
    if not folder:
        skip(f"{DATA_VARIABLE} is not set; it names the folder that holds {name}")
    file = Path(folder) / name
    if not file.is_file():
        skip(f"the folder of {DATA_VARIABLE} holds no {name}")
    return file


def skip(reason: str) -> NoReturn:
    """End the benchmark: nothing failed, it could not be measured here."""
    print(f"skipped: {reason}")
    sys.exit(0)


@contextlib.contextmanager
def work_folder(chosen: Path | None) -> Iterator[Path]:
    """Yield ``chosen``, made if need be, or a temporary folder that is removed at the end."""
    if chosen is not None:
        chosen.mkdir(parents=True, exist_ok=True)
        yield chosen
        return
    with tempfile.TemporaryDirectory(prefix="espalier-bench-") as folder:
        yield Path(folder)


def note(text: str) -> None:
    """Say on standard error what is going on."""
    print(text, file=sys.stderr, flush=True)


# ---- data ---------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Split:
    """A log cut by users: one file to train on, held-out pairs to evaluate on."""

    train_log: Path
    pairs: Path


def split(log: Path, folder: Path, *, share: float = SPLIT, seed: int = SEED) -> Split:
    """Hold out whole users of ``log``; ``share`` of them train."""
    name = f"split-{share}-{seed}"
    made = Split(folder / f"{name}-train.tsv", folder / f"{name}-pairs.tsv")
    if not (made.train_log.exists() and made.pairs.exists()):
        write_pairs(
            [log],
            made.pairs,
            settings=LogSettings(),
            split=share,
            train_log=made.train_log,
            seed=seed,
            progress=TerminalProgress(),
        )
    return made


def split_apart(log: Path, folder: Path, *, seed: int = SEED) -> Split:
    """Hold out the middle tenth of the users in file order, so that people stay apart.

    A `user` of the shared log is a window of consecutive lines, and windows stand in
    the order of the log: one person often fills several that are neighbours. A split
    by the hash of the window puts them on both sides; a block has two borders.
    """
    made = Split(folder / f"apart-{seed}-train.tsv", folder / f"apart-{seed}-pairs.tsv")
    if made.train_log.exists() and made.pairs.exists():
        return made
    with gzip.open(log, "rt", encoding="utf-8", newline="\n") as stream:
        head, *rows = stream.readlines()
    place = head.rstrip("\n").split("\t").index("user")
    users = [row.split("\t")[place] for row in rows]
    order = list(dict.fromkeys(users))
    held_out = set(order[len(order) * 9 // 20 : len(order) * 11 // 20])
    apart = folder / f"apart-{seed}-held-out.tsv"
    for path, wanted in ((made.train_log, False), (apart, True)):
        chosen = [
            row for row, user in zip(rows, users, strict=True) if (user in held_out) is wanted
        ]
        path.write_text(head + "".join(chosen), encoding="utf-8", newline="\n")
    write_pairs(
        [apart],
        made.pairs,
        settings=LogSettings(),
        split=None,
        train_log=None,
        seed=seed,
        progress=TerminalProgress(),
    )
    return made


# ---- measuring ----------------------------------------------------------------


def interleaved(sides: Mapping[str, Callable[[], float]], rounds: int) -> dict[str, list[float]]:
    """Run every side once a round and return its figures, one per round.

    A side measures itself and returns the figure; sides rotate, so that each goes
    first equally often.
    """
    names = list(sides)
    figures: dict[str, list[float]] = {name: [] for name in names}
    for number in range(rounds):
        first = number % len(names)
        for name in names[first:] + names[:first]:
            figures[name].append(sides[name]())
    return figures


@dataclass(frozen=True, slots=True)
class Spread:
    """Median and fastest of some rounds."""

    median: float
    fastest: float
    rounds: int

    @classmethod
    def of(cls, figures: Sequence[float]) -> Spread:
        """Return the spread of at least one figure."""
        return cls(median(figures), min(figures), len(figures))


@dataclass(frozen=True, slots=True)
class ChildRun:
    """What a child process took: by the clock, of all processors, and its largest resident set."""

    seconds: float
    peak_bytes: int
    processor_seconds: float


def espalier(*arguments: str | Path, clock: Callable[[], float]) -> ChildRun:
    """Run the ``espalier`` command in a process of its own and measure it.

    Raises:
        SystemExit: The command failed; its own message stands above.
    """
    command = [sys.executable, "-m", "espalier", *map(str, arguments)]
    start = clock()
    # Popen reaps the child itself; os.wait4 alone tells this child's memory.
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    seconds = clock() - start
    if process.returncode != 0:
        sys.exit(f"{' '.join(command)} ended with {process.returncode}")
    # Linux counts kilobytes.
    return ChildRun(seconds, usage.ru_maxrss * 1024, usage.ru_utime + usage.ru_stime)


# ---- reporting ----------------------------------------------------------------


def machine() -> dict[str, Any]:
    """Return what a figure depends on besides the code, and which code it was."""
    return {
        "cpu": _cpu(),
        "processors": len(os.sched_getaffinity(0)),
        "system": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
        "numpy": importlib.metadata.version("numpy"),
        "load": round(os.getloadavg()[0], 2),
        "commit": _commit(),
    }


def _cpu() -> str:
    with contextlib.suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def _commit() -> str:
    """Return the commit, with ``+`` where the tree differs from it; "" outside git."""

    def git(*arguments: str) -> str:
        return subprocess.run(
            ["git", "-C", str(_ROOT), *arguments],  # noqa: S607 - git is wherever PATH has it
            capture_output=True,
            text=True,
            check=True,
        ).stdout.strip()

    try:
        changed = git("status", "--porcelain", "--untracked-files=no")
        return git("rev-parse", "--short=12", "HEAD") + ("+" if changed else "")
    except (OSError, subprocess.CalledProcessError):
        return ""


class Reporter:
    """Prints figures as text or as JSON lines, never both."""

    def __init__(self, benchmark: str, *, as_json: bool) -> None:
        self._benchmark = benchmark
        self._as_json = as_json
        self._machine = machine()
        if not as_json:
            facts = self._machine
            print(
                f"{benchmark}: {facts['cpu']}, {facts['processors']} processors, "
                f"Python {facts['python']}, commit {facts['commit'] or 'unknown'}, "
                f"load {facts['load']}"
            )

    def record(self, **figures: Any) -> None:
        """Print one JSON line; nothing in text mode."""
        if self._as_json:
            line = {"benchmark": self._benchmark, **figures, "machine": self._machine}
            print(json.dumps(line, allow_nan=False), flush=True)

    def text(self, text: str) -> None:
        """Print ``text``; nothing in JSON mode."""
        if not self._as_json:
            print(text, flush=True)

    def table(self, head: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
        """Print aligned rows; nothing in JSON mode."""
        self.text("\n" + aligned(head, rows))

    def calibration(self) -> None:
        """Print the calibration loop of this run."""
        microseconds = calibrate()
        self.text(f"\ncalibration loop of this run: {microseconds:,.0f} us")
        self.record(calibration_us=microseconds)
