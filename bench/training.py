"""Time and peak memory of training the whole session log.

Each round trains once per `min_users`, in a process of its own through the
command line, so that the peak is that of the command a user runs.
"""

from __future__ import annotations

import time
from pathlib import Path

from bench import harness


def main() -> None:
    """Run the benchmark."""
    options = harness.parser(__doc__, rounds=1)
    harness.add_training_options(options)
    chosen = options.parse_args()
    log = harness.data_file()
    report = harness.Reporter("training", as_json=chosen.json)
    peaks: dict[str, int] = {}
    sizes: dict[str, int] = {}
    with harness.work_folder(chosen.work) as folder:

        def side(min_users: int) -> float:
            out = folder / f"training-{min_users}.esp"
            run = train(log, out, [f"min_users={min_users}", *chosen.set])
            name = str(min_users)
            peaks[name] = max(peaks.get(name, 0), run.peak_bytes)
            sizes[name] = out.stat().st_size
            return run.seconds

        sides = {str(n): (lambda n=n: side(n)) for n in chosen.min_users}
        taken = harness.interleaved(sides, chosen.rounds)
    rows = []
    for name, seconds in taken.items():
        spread = harness.Spread.of(seconds)
        report.record(
            min_users=int(name),
            settings=chosen.set,
            seconds=spread.median,
            fastest_seconds=spread.fastest,
            rounds=spread.rounds,
            peak_bytes=peaks[name],
            index_bytes=sizes[name],
        )
        rows.append(
            [
                name,
                f"{spread.median:.1f} s",
                f"{spread.fastest:.1f} s",
                f"{peaks[name] / 2**20:,.0f} MiB",
                f"{sizes[name] / 2**20:,.1f} MiB",
            ]
        )
    report.table(["min_users", "median", "fastest", "peak memory", "index"], rows)
    report.calibration()


def train(log: Path, out: Path, settings: list[str]) -> harness.ChildRun:
    """Train one index through the command line."""
    harness.note(f"training {out.name}: {' '.join(settings)}")
    overrides = [part for setting in settings for part in ("--set", setting)]
    return harness.espalier(
        "train",
        "--log",
        log,
        "--out",
        out,
        *overrides,
        "--no-evaluate",
        "--quiet",
        clock=time.perf_counter,
    )


if __name__ == "__main__":
    main()
