"""The evaluation table with default settings, at `min_users` 1 and 3.

Nine users in ten of the session log train, the others are asked. Prints what
`espalier evaluate` prints; with `--json` its JSON, one line per index.
"""

from __future__ import annotations

from bench import harness
from bench.training import train
from espalier.evaluate import EvaluationReport, evaluate
from espalier.progress import TerminalProgress


def main() -> None:
    """Run the benchmark."""
    options = harness.parser(__doc__, rounds=1)
    harness.add_training_options(options)
    chosen = options.parse_args()
    log = harness.data_file()
    report = harness.Reporter("quality", as_json=chosen.json)
    with harness.work_folder(chosen.work) as folder:
        split = harness.split(log, folder)
        indexes = []
        for min_users in chosen.min_users:
            settings = [f"min_users={min_users}", *chosen.set]
            out = folder / f"quality-{'-'.join(settings)}.esp".replace("/", "_")
            if not out.exists():
                train(split.train_log, out, settings)
            indexes.append(out)
        found = evaluate(indexes, split.pairs, progress=TerminalProgress())
    for one in found.indexes:
        report.text("\n" + EvaluationReport((one,)).table())
        report.record(report=one.to_json())
    report.calibration()
    if found.violations.total:
        raise SystemExit("the contract of the suggestions is broken; see above")


if __name__ == "__main__":
    main()
