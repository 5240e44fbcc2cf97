"""What keeping events costs a completion: the sidecar under load, with events and without.

The servers have one processor, the client another, as in `serve_load`; each side is a
sidecar with one worker that answers the same questions:

``off``
    no events
``full``, ``hash``
    an impression for every completion, with texts and with hashes of them

Closed loop: what comes out is processor time a call, of all processes of the server,
the thread that writes included. Open loop, at half the rate the side without events
sustains: what comes out is latency; a thread that computes beside the one that answers
would show in the 99th percentile.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from statistics import median

from bench import harness
from bench.complete_latency import questions_of, trained
from bench.serve_clients import Load, Target, closed_loop, open_loop
from bench.serve_load import Side, completions, in_rounds, log_of, sample_of
from integration.processes import Sidecar

OFF = "off"
SIDES = {
    OFF: ("events=off",),
    "full": ("events=drop", "events_text=full"),
    "hash": ("events=drop", "events_text=hash"),
}


def main() -> None:
    """Run the benchmark."""
    options = harness.parser(__doc__, rounds=7)
    options.add_argument("--index", type=Path, metavar="NAME.esp", help="serve this index")
    options.add_argument("--seconds", type=float, default=2.0, metavar="S", help="a round [2]")
    chosen = options.parse_args()
    processors = sorted(os.sched_getaffinity(0))
    if len(processors) < 2:
        harness.skip("server and client need a processor each, and there is only one")
    report = harness.Reporter("events_load", as_json=chosen.json)
    with harness.work_folder(chosen.work) as folder:
        log = log_of(folder)
        index = chosen.index or trained(log, folder)
        calls = completions(sample_of(questions_of(log, folder).asked))
        os.sched_setaffinity(0, {processors[0]})
        with serving(index) as targets:
            os.sched_setaffinity(0, {processors[1]})
            sides = {name: Side(target, calls) for name, target in targets.items()}
            measure(report, sides, Load(4, 4, chosen.seconds), chosen.rounds)
    report.calibration()


@contextlib.contextmanager
def serving(index: Path) -> Iterator[dict[str, Target]]:
    """Yield the sides by name, all of them running."""
    with contextlib.ExitStack() as stack:
        targets = {}
        for name, settings in SIDES.items():
            state = stack.enter_context(harness.work_folder(None))
            chosen = ("workers=1", "max_waiting=100000", *settings)
            sidecar = stack.enter_context(
                Sidecar(
                    *("--index", index, "--state-dir", state),
                    *(word for one in chosen for word in ("--set", one)),
                )
            )
            pids = {sidecar.process.pid, *sidecar.workers().values()}
            targets[name] = Target(sidecar.address, tuple(pids))
        yield targets


def measure(report: harness.Reporter, sides: dict[str, Side], load: Load, rounds: int) -> None:
    """Run both loops on every side, and print what came out."""
    for side in sides.values():
        closed_loop(side.target, side.calls, load)
    closed = in_rounds(
        {name: partial(closed_loop, one.target, one.calls, load) for name, one in sides.items()},
        rounds,
    )
    half = median(one.rate for one in closed[OFF]) / 2
    opened = in_rounds(
        {
            name: partial(open_loop, one.target, one.calls, load, half)
            for name, one in sides.items()
        },
        rounds,
    )
    rows = []
    for name, outcomes in closed.items():
        pairs = list(zip(outcomes, closed[OFF], strict=True))
        figures = {
            "server_us": median(one.server_us for one in outcomes),
            "added_us": median(one.server_us - base.server_us for one, base in pairs),
            "rate": median(one.rate for one in outcomes),
            "p50_ms": median(one.at(50) for one in opened[name]),
            "p99_ms": median(one.at(99) for one in opened[name]),
        }
        failed = sum(one.failed for one in (*outcomes, *opened[name]))
        report.record(side=name, rounds=rounds, due_rate=half, failed=failed, **figures)
        rows.append(
            [
                name,
                f"{figures['rate']:,.0f}",
                f"{figures['server_us']:.0f}",
                f"{figures['added_us']:+.1f}",
                f"{figures['p50_ms']:.2f}",
                f"{figures['p99_ms']:.2f}",
                str(failed),
            ]
        )
    report.text(f"\nlatency at {half:,.0f} calls/s, half of what {OFF} sustains")
    report.table(["events", "calls/s", "cpu us", "added", "p50 ms", "p99 ms", "failed"], rows)


if __name__ == "__main__":
    main()
