"""What telemetry costs: the sidecar with and without it, in one run.

Four services of one worker each, alike in all else, take turns on one processor; the
client has another:

``off``
    nobody reads numbers, so nothing is measured
``again``
    the same once more: what it differs by is what this machine's figures are worth
``metrics``
    the metrics listener is on, and scraped every five seconds, three times as often as usual
``otel``
    the same, and OTLP on as well: numbers sent every ten seconds, six times as often as
    usual, and one call in a hundred traced (the default share), to a collector in the
    client's process

Each is asked, round by round, for completions from every source with previous queries,
for the same with a session to look up, and for popular completions only, which cost the
least and of which telemetry therefore is the largest part.

A figure is the median over rounds, a ratio the median of the rounds' ratios. Processor
time a call counts supervisor and worker; on a machine that others use too it is the
figure to trust. Without `--index` one is trained as `serve_load` does.
"""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from statistics import median
from urllib.request import urlopen

from bench import harness
from bench.complete_latency import questions_of, trained
from bench.serve_clients import Call, Load, Outcome, Target, closed_loop
from bench.serve_load import POPULAR, completions, in_rounds, log_of, sample_of, session_calls
from integration.collector import Collector
from integration.processes import Sidecar

OFF = "off"
SIDES: Mapping[str, tuple[str, ...]] = {
    OFF: (),
    "again": (),
    "metrics": ("--metrics", "127.0.0.1:0"),
    "otel": ("--metrics", "127.0.0.1:0", "--set", "otel=true"),
}
SCRAPE_SECONDS = 5.0


def main() -> None:
    """Run the benchmark."""
    options = harness.parser(__doc__, rounds=9)
    options.add_argument("--index", type=Path, metavar="NAME.esp", help="serve this index")
    options.add_argument("--seconds", type=float, default=2.0, metavar="S", help="a round [2]")
    chosen = options.parse_args()
    processors = sorted(os.sched_getaffinity(0))
    if len(processors) < 2:
        harness.skip("server and client need a processor each, and there is only one")
    report = harness.Reporter("telemetry_load", as_json=chosen.json)
    load = Load(connections=4, under_way=4, seconds=chosen.seconds)
    with harness.work_folder(chosen.work) as folder:
        log = log_of(folder)
        index = chosen.index or trained(log, folder)
        questions = sample_of(questions_of(log, folder).asked)
        calls = {
            "everything": completions(questions),
            "sessions": session_calls(questions),
            "popular": completions(questions, POPULAR),
        }
        os.sched_setaffinity(0, {processors[0]})
        with serving(index) as targets:
            os.sched_setaffinity(0, {processors[1]})
            for name, asked in calls.items():
                measure(report, name, targets, asked, load, rounds=chosen.rounds)
    report.calibration()


@contextlib.contextmanager
def serving(index: Path) -> Iterator[dict[str, Target]]:
    """Yield every side, its service started on the processor this process may use."""
    with contextlib.ExitStack() as stack:
        collector = stack.enter_context(Collector("http/protobuf"))
        env = {
            **collector.environment,
            "OTEL_METRIC_EXPORT_INTERVAL": "10000",
            "OTEL_BSP_SCHEDULE_DELAY": "5000",
        }
        targets, scraped = {}, []
        for name, more in SIDES.items():
            sidecar = stack.enter_context(
                Sidecar(
                    *more,
                    "--index",
                    index,
                    *("--set", "workers=1", "--set", "max_waiting=100000"),
                    env=env,
                )
            )
            pids = {sidecar.process.pid, *sidecar.workers().values()}
            targets[name] = Target(sidecar.address, tuple(pids))
            if sidecar.metrics:
                scraped.append(sidecar.metrics)
        stop = threading.Event()
        scraper = threading.Thread(target=scrape, args=(scraped, stop))
        scraper.start()
        try:
            yield targets
        finally:
            stop.set()
            scraper.join()


def scrape(addresses: Sequence[str], stop: threading.Event) -> None:
    """Do what Prometheus does, more often."""
    while not stop.wait(SCRAPE_SECONDS):
        for address in addresses:
            with urlopen(f"http://{address}/metrics") as reply:
                reply.read()


def measure(
    report: harness.Reporter,
    name: str,
    targets: Mapping[str, Target],
    calls: Sequence[Call],
    load: Load,
    *,
    rounds: int,
) -> None:
    """Ask every side the same, and print what came out."""
    for target in targets.values():
        closed_loop(target, calls, load)
    outcomes = in_rounds(
        {side: partial(closed_loop, target, calls, load) for side, target in targets.items()},
        rounds,
    )
    rows = []
    for side, found in outcomes.items():
        figures = figures_of(found, outcomes[OFF])
        report.record(calls=name, side=side, rounds=rounds, **figures)
        rows.append(
            [
                side,
                f"{figures['rate']:,.0f}",
                f"{figures['rate_to_off']:.3f}",
                f"{figures['server_us']:.1f}",
                f"{figures['added_us']:+.1f}",
                f"{figures['cost_to_off']:.3f}",
                f"{figures['failed']:.0f}",
            ]
        )
    report.text(f"\n{name}")
    report.table(["side", "calls/s", "to off", "cpu us", "added", "to off", "failed"], rows)


def figures_of(found: Sequence[Outcome], off: Sequence[Outcome]) -> dict[str, float]:
    """Return medians; a ratio of 1 is as fast as without telemetry, below 1 is slower."""
    pairs = list(zip(found, off, strict=True))
    return {
        "rate": median(one.rate for one in found),
        "rate_to_off": median(one.rate / base.rate for one, base in pairs),
        "server_us": median(one.server_us for one in found),
        "added_us": median(one.server_us - base.server_us for one, base in pairs),
        "cost_to_off": median(base.server_us / one.server_us for one, base in pairs),
        "failed": float(sum(one.failed for one in found)),
    }


if __name__ == "__main__":
    main()
