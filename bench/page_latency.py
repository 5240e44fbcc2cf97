"""From a keystroke to the painted list: the demo page in a browser, debounce 0.

A real Chromium without a window types queries of the synthetic log, one key after the
other, as the demo page runs against a service on the same machine. What is measured is
what the page shows: from the time stamp of the keystroke's event until after the frame
that has the list for it; a frame takes up to 16.7 ms by itself. Two completions are asked
for each keystroke, with the session and without, and the searches in between add to it.
Needs Chromium (tools/setup.sh), and no data.
"""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from playwright.sync_api import Page

from bench import harness
from espalier.querylog import write_demo_log
from espalier.settings import TrainSettings
from espalier.train import train_index
from integration.browser import chromium, opened
from integration.processes import Sidecar

QUERIES = (
    "running shoes",
    "waterproof walking boots",
    "red tent",
    "camping stove",
    "wireless headphones",
    "office chair",
)
KEY_MILLISECONDS = 120
"""Between two keys of somebody who types fast."""


def main() -> None:
    """Run the benchmark."""
    chosen = harness.parser(__doc__, rounds=5).parse_args()
    if not (shutil.which("chromium") or shutil.which("chromium-browser")):
        harness.skip("chromium is not installed")
    report = harness.Reporter("page_latency", as_json=chosen.json)
    with harness.work_folder(chosen.work) as folder:
        index = folder / "page-latency.esp"
        if not index.exists():
            harness.note("training on the synthetic log")
            log = folder / "page-latency.tsv"
            write_demo_log(log)
            train_index([log], index, TrainSettings())
        painted, engine = measured(index, chosen.rounds)
    rows = []
    for name, times in (("keystroke to painted list", painted), ("engine", engine)):
        middle, late = (float(np.percentile(times, share)) for share in (50, 95))
        report.record(what=name, p50_ms=middle, p95_ms=late, keystrokes=len(times))
        rows.append([name, f"{middle:.2f} ms", f"{late:.2f} ms", f"{max(times):.2f} ms"])
    report.text(f"{len(painted)} keystrokes, {chosen.rounds} rounds")
    report.table(["", "p50", "p95", "worst"], rows)
    report.calibration()


def measured(index: Path, rounds: int) -> tuple[list[float], list[float]]:
    """Return milliseconds to the painted list, and of the engine, for every keystroke."""
    painted: list[float] = []
    engine: list[float] = []
    with (
        Sidecar("--index", index, "--http", "127.0.0.1:0", "--workers", "1", "--demo") as sidecar,
        chromium() as browser,
    ):
        for number in range(rounds):
            harness.note(f"round {number + 1} of {rounds}")
            with opened(browser) as page:
                page.goto(f"http://{sidecar.http}/")
                page.locator("#starters button").first.wait_for()
                type_all(page, QUERIES)
                painted += entries(page, "performance.getEntriesByName('painted')", "duration")
                engine += entries(
                    page,
                    "performance.getEntriesByType('resource').flatMap(one => one.serverTiming)"
                    ".filter(one => one.name === 'complete')",
                    "duration",
                )
    return painted, engine


def type_all(page: Page, queries: Sequence[str]) -> None:
    """Type queries and submit them, key by key."""
    page.locator("#q").focus()
    for query in queries:
        page.keyboard.type(query, delay=KEY_MILLISECONDS)
        page.keyboard.press("Enter")
        page.wait_for_timeout(KEY_MILLISECONDS)


def entries(page: Page, which: str, field: str) -> list[float]:
    """Return a number of each performance entry."""
    found: list[Any] = page.evaluate(f"{which}.map(one => one.{field})")
    return [float(one) for one in found]


if __name__ == "__main__":
    main()
