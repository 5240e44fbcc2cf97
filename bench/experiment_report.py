"""Time and peak memory of `espalier experiments report` on synthetic events.

Episodes of five lists of ten suggestions, every one submitted and four in ten accepted,
of people who come back four times in two weeks: half a kilobyte an event, as the service
writes them. The command runs in a process of its own. `processor` is what it took of all
processors together: on a machine that others use, that is the steadier figure.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import duckdb

from bench import harness

EVENTS: Final = 10_000_000
EXPERIMENT: Final = "ranking"

_FILES: Final = 10
_LISTS: Final = 5
_OURS: Final = (
    "intent_id",
    "prefix_length",
    "suggestions",
    "context",
    "shown",
    "query",
    "latency_us",
)
# Five lists, a submission, four in ten accepted, and an exposure a unit in most files.
_EVENTS_PER_EPISODE: Final = 7.2
_EPISODES_PER_UNIT: Final = 4
_START_US: Final = 1_767_225_600_000_000  # 2026-01-01T00:00:00Z
_SPAN_US: Final = 14 * 86_400_000_000


def main() -> None:
    """Run the benchmark."""
    options = harness.parser(__doc__, rounds=1)
    options.add_argument("--events", type=int, default=EVENTS, metavar="N", help=f"[{EVENTS}]")
    options.add_argument("--compress", action="store_true", help="write files with gzip")
    chosen = options.parse_args()
    report = harness.Reporter("experiment_report", as_json=chosen.json)
    with harness.work_folder(chosen.work) as folder:
        events = folder / f"events-{chosen.events}{'-gz' if chosen.compress else ''}"
        if not events.exists():
            harness.note(f"writing {chosen.events:,} events")
            events.mkdir()
            written = write_events(events, chosen.events, compress=chosen.compress)
            harness.note(f"{written:,} written")
        size = sum(path.stat().st_size for path in events.iterdir())
        runs = [read(events) for _ in range(chosen.rounds)]
    spread = harness.Spread.of([run.seconds for run in runs])
    processor = harness.Spread.of([run.processor_seconds for run in runs])
    peak = max(run.peak_bytes for run in runs)
    report.record(
        events=chosen.events,
        bytes=size,
        seconds=spread.median,
        processor_seconds=processor.median,
        rounds=spread.rounds,
        peak_bytes=peak,
    )
    report.table(
        ["events", "files", "median", "processor", "peak memory"],
        [
            [
                f"{chosen.events:,}",
                f"{size / 2**20:,.0f} MiB",
                f"{spread.median:.1f} s",
                f"{processor.median:.1f} s",
                f"{peak / 2**20:,.0f} MiB",
            ]
        ],
    )
    report.calibration()


def read(events: Path) -> harness.ChildRun:
    """Report on the files of a folder, through the command line."""
    return harness.espalier(
        "experiments",
        "report",
        events,
        "--experiment",
        EXPERIMENT,
        "--quiet",
        clock=time.perf_counter,
    )


def write_events(folder: Path, events: int, *, compress: bool) -> int:
    """Write about so many events into a few files, and return how many there are."""
    episodes = max(_FILES, round(events / _EVENTS_PER_EPISODE))
    units = max(1, episodes // _EPISODES_PER_UNIT)
    with duckdb.connect(config={"preserve_insertion_order": False}) as connection:
        return sum(
            _write(
                connection,
                folder / f"events-{number}.ndjson{'.gz' if compress else ''}",
                (episodes * number // _FILES, episodes * (number + 1) // _FILES),
                units,
            )
            for number in range(_FILES)
        )


def _write(
    connection: duckdb.DuckDBPyConnection, path: Path, episodes: tuple[int, int], units: int
) -> int:
    """Write one file; a unit whose episodes stand in several is exposed in each."""
    shown = ", ".join(["q", *(f"q || ' word {place}'" for place in range(9))])
    lists = _event(
        "impression",
        f"FROM episodes, range(1, {_LISTS + 1}) AS lists(k)",
        "began + to_milliseconds(200 * k)",
        {"query_id": "'set-' || i || '-' || k", "user_query": "q[1:k]"},
        {
            "intent_id": "'episode-' || i",
            "prefix_length": "k",
            "suggestions": "10",
            "context": "i % 4",
            "shown": f"[{shown}]",
            "latency_us": "100 + hash(i * 13 + k) % 400",
        },
    )
    query = {"intent_id": "'episode-' || i", "query": "q"}
    accepted = _event(
        "acceptance",
        "FROM episodes WHERE coin < 40",
        "began + to_milliseconds(1500)",
        {"query_id": f"'set-' || i || '-{_LISTS}'", "ordinal": "1"},
        query,
    )
    submitted = _event(
        "submission",
        "FROM episodes",
        "began + to_milliseconds(1600)",
        {"user_query": "q"},
        query,
    )
    exposed = _event(
        "exposure",
        "FROM (SELECT u, variant, min(began) AS began, min(i) AS i FROM episodes GROUP BY ALL)",
        "began",
    )
    (count,) = connection.execute(
        f"""
        CREATE OR REPLACE TEMP VIEW episodes AS
        SELECT i, 'unit-' || lpad((hash(i) % {units})::VARCHAR, 17, '0') AS u,
               CASE hash('v' || hash(i) % {units}) % 2 WHEN 0 THEN 'A' ELSE 'B' END AS variant,
               'some query ' || hash(i * 3) % 100000 AS q, hash(i * 11) % 100 AS coin,
               make_timestamp({_START_US} + (hash(i * 5) % {_SPAN_US})::BIGINT) AS began
        FROM range({episodes[0]}, {episodes[1]}) AS numbers(i);
        COPY ({lists} UNION ALL {accepted} UNION ALL {submitted} UNION ALL {exposed})
        TO '{path}' (FORMAT json)
        """  # noqa: S608 - of our own names and numbers
    ).fetchall()[0]
    return int(count)


def _event(
    action: str,
    where: str,
    at: str,
    outer: Mapping[str, str] | None = None,
    ours: Mapping[str, str] | None = None,
) -> str:
    """Return a statement that selects events in the shape of a line."""
    around = {"query_id": "NULL", "user_query": "NULL", "ordinal": "0"} | dict(outer or {})
    within = dict.fromkeys(_OURS, "NULL") | dict(ours or {})
    fields = ", ".join(f"'{name}': {value}" for name, value in within.items())
    return f"""
        SELECT 'type-ahead' AS application, '{action}' AS action_name,
               {around["query_id"]} AS query_id, u AS client_id, u AS session_id,
               strftime({at}, '%Y-%m-%dT%H:%M:%S.%gZ') AS timestamp,
               {around["user_query"]} AS user_query,
               {{'position': {{'ordinal': {around["ordinal"]}}},
                 'espalier': {{
                     'event_id': '{action}' || coalesce({around["query_id"]}, i::VARCHAR),
                     'unit': u, 'experiments': MAP {{'{EXPERIMENT}': variant}}, {fields}}}}}
                   AS event_attributes
        {where}"""


if __name__ == "__main__":
    main()
