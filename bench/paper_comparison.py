"""The published comparison: the paper's hybrid index against default PECOS.

Yadav et al. 2021 (arXiv 2012.07654) report 3.9 times the MRR of default PECOS on
the same kind of log. Both sides here rank by the model alone with an unconstrained
beam of 10, keep the 1,000 best labels and drop those that do not start with the
prefix, as the published code does. Beside them stand the same models with the
beam kept inside the prefix, and the most frequent completion.

Configurations are numbered as in the published code; the comparison is 8 : 0.
`--all` trains and evaluates all twelve, which takes an hour or so.
"""

from __future__ import annotations

from collections.abc import Mapping

from bench import harness
from bench.training import train
from espalier.evaluate import IndexReport, evaluate
from espalier.progress import TerminalProgress

# The published code trains on pairs only, one prefix each, one previous query.
COMMON = ("min_users=1", "context_queries=1", "prefixes_per_pair=1", "include_first=false")

CONFIGURATIONS: Mapping[int, Mapping[str, str]] = {
    number: dict(zip(("prefix_features", "label_features", "indexer", "depth"), row, strict=True))
    for number, row in {
        0: ("none", "pifa", "kmeans", "0"),
        1: ("none", "label-text", "kmeans", "0"),
        2: ("char-tfidf", "pifa", "kmeans", "0"),
        3: ("char-tfidf", "label-text", "kmeans", "0"),
        4: ("position-weighted", "pifa", "kmeans", "0"),
        5: ("position-weighted", "label-text", "kmeans", "0"),
        6: ("position-weighted", "label-text", "hybrid", "1"),
        7: ("position-weighted", "label-text", "hybrid", "2"),
        8: ("position-weighted", "label-text", "hybrid", "3"),
        9: ("position-weighted", "label-text", "trie", "16"),
        10: ("char-tfidf", "label-text", "trie", "16"),
        11: ("position-weighted", "label-text", "must-link", "5"),
    }.items()
}
"""What sets each configuration apart (depth 0: the indexer's own default)."""

DEFAULT_PECOS = 0
PUBLISHED = 8
PAPER_RATIO = 3.9
SYSTEMS = ("model_unconstrained", "model_constrained")
BUCKETS = ("all", "len_1_3", "len_4_6", "len_7_10", "len_11_plus", "seen")


def main() -> None:
    """Run the benchmark."""
    options = harness.parser(__doc__, rounds=1)
    options.add_argument("--all", action="store_true", help="all twelve configurations")
    chosen = options.parse_args()
    log = harness.data_file()
    report = harness.Reporter("paper_comparison", as_json=chosen.json)
    numbers = list(CONFIGURATIONS) if chosen.all else [DEFAULT_PECOS, PUBLISHED]
    with harness.work_folder(chosen.work) as folder:
        split = harness.split(log, folder)
        indexes = []
        for number in numbers:
            out = folder / f"paper-{number:02}.esp"
            if not out.exists():
                settings = [f"{key}={value}" for key, value in CONFIGURATIONS[number].items()]
                train(split.train_log, out, [*COMMON, *settings])
            indexes.append(out)
        found = evaluate(indexes, split.pairs, systems=SYSTEMS, progress=TerminalProgress())
    report.text(f"{found.indexes[0].pairs.rows:,} rows asked")
    _print(report, dict(zip(numbers, found.indexes, strict=True)))
    report.calibration()


def _print(report: harness.Reporter, by_number: Mapping[int, IndexReport]) -> None:
    """Print the table and the ratios."""
    head = ["MRR@10", "configuration", *BUCKETS, "returned"]
    rows: list[list[str]] = []
    mrr: dict[tuple[int, str], float] = {}
    for number, one in by_number.items():
        report.record(configuration=number, settings=CONFIGURATIONS[number], report=one.to_json())
        systems = SYSTEMS if rows else (*SYSTEMS, "most_frequent")
        for system in systems:
            figures = one.summary.systems[system]
            mrr[number, system] = figures.measures["mrr10"]["all"] or 0.0
            label = "-" if system == "most_frequent" else _label(number)
            rows.append(
                [
                    system,
                    label,
                    *(_number(figures.measures["mrr10"][bucket]) for bucket in BUCKETS),
                    f"{figures.suggestions['all'] or 0:.1f}",
                ]
            )
    report.table(head, rows)
    for system in SYSTEMS:
        base = mrr[DEFAULT_PECOS, system]
        ratio = mrr[PUBLISHED, system] / base if base else None
        report.record(system=system, ratio=ratio, paper=PAPER_RATIO)
        shown = "undefined" if ratio is None else f"{ratio:.2f}"
        report.text(f"{system}: {_label(PUBLISHED)} / {_label(DEFAULT_PECOS)} = {shown}")
    report.text(f"the paper reports {PAPER_RATIO} for model_unconstrained")


def _label(number: int) -> str:
    row = CONFIGURATIONS[number]
    depth = "" if row["depth"] == "0" else f" {row['depth']}"
    return f"{number:2} {row['indexer']}{depth}, {row['prefix_features']}, {row['label_features']}"


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.4f}"


if __name__ == "__main__":
    main()
