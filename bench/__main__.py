"""Runs every benchmark, one process each: ``python -m bench [--json]``."""

from __future__ import annotations

import subprocess
import sys

BENCHMARKS = (
    "training",
    "quality",
    "complete_latency",
    "serve_load",
    "http_load",
    "page_latency",
    "telemetry_load",
    "paper_comparison",
    "retrieval",
    "experiment_cost",
    "experiment_report",
)


def main() -> int:
    """Run all benchmarks with the arguments given; return 1 if any failed."""
    failed = []
    for name in BENCHMARKS:
        print(f"== {name}", file=sys.stderr, flush=True)
        command = [sys.executable, "-m", f"bench.{name}", *sys.argv[1:]]
        if subprocess.run(command, check=False).returncode:
            failed.append(name)
    if failed:
        print(f"failed: {', '.join(failed)}", file=sys.stderr)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
