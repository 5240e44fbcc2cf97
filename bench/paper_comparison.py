"""The published comparison: the paper's hybrid index against default PECOS.

Yadav et al. 2021 (arXiv 2012.07654) report 3.9 times the MRR of default PECOS on
the same kind of log. Both sides here rank by the model alone with an unconstrained
beam of 10, keep the 1,000 best labels and drop those that do not start with the
prefix, as the published code does. Beside them stand the same models with the
beam kept inside the prefix, and the most frequent completion.

Configurations are numbered as in the published code; the comparison is 8 : 0.
Number 12 is 8 with this package's own settings: five previous queries instead of
one, leaves of 50 labels instead of 100, twice the regularisation.
`--all` trains and evaluates all of them, which takes an hour or so.

The ratio depends on whether the same people stand on both sides of the split: the
baseline knows nothing but the previous query, and what it learns from a person it
can repeat to that person. So the figures come twice: users split by hash, as
`espalier pairs --split` does, and a block of neighbouring users held out.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from bench import harness
from bench.training import train
from espalier.evaluate import IndexReport, evaluate
from espalier.progress import TerminalProgress

# The published code trains on pairs only, one prefix each, one previous query.
PUBLISHED_SETTINGS = (
    "context_queries=1",
    "cp=1",
    "cn=1",
    "include_first=false",
    "max_leaf=100",
    "prefixes_per_pair=1",
    "threshold=0.1",
)

CONFIGURATIONS: dict[int, dict[str, str]] = {
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
OWN = 12
CONFIGURATIONS[OWN] = CONFIGURATIONS[PUBLISHED]
PAPER_RATIO = 3.9
SYSTEMS = ("model_unconstrained", "model_constrained")
BUCKETS = ("all", "len_1_3", "len_4_6", "len_7_10", "len_11_plus", "seen")

MODEL_ALONE = ("tails=false", "blender=fixed", "context_cut=0")
"""The comparison asks for the tree's own order, trained on whole sessions as published;
what stands beside the tree is not trained."""


def main() -> None:
    """Run the benchmark."""
    options = harness.parser(__doc__, rounds=1)
    options.add_argument("--all", action="store_true", help="all twelve configurations")
    chosen = options.parse_args()
    log = harness.data_file()
    report = harness.Reporter("paper_comparison", as_json=chosen.json)
    numbers = list(CONFIGURATIONS) if chosen.all else [DEFAULT_PECOS, PUBLISHED, OWN]
    with harness.work_folder(chosen.work) as folder:
        for name, held_out in (
            ("users by hash", harness.split(log, folder)),
            ("neighbouring users", harness.split_apart(log, folder)),
        ):
            report.text(f"\nheld out: {name}")
            _compare(report, name, held_out, numbers)
    report.text(f"the paper reports {PAPER_RATIO} for model_unconstrained")
    report.calibration()


def _compare(
    report: harness.Reporter, name: str, held_out: harness.Split, numbers: Sequence[int]
) -> None:
    """Train and evaluate every configuration on one split."""
    indexes = []
    for number in numbers:
        out = held_out.pairs.with_name(f"{held_out.pairs.stem}-{number:02}.esp")
        if not out.exists():
            settings = [f"{key}={value}" for key, value in CONFIGURATIONS[number].items()]
            published = () if number == OWN else PUBLISHED_SETTINGS
            train(held_out.train_log, out, ["min_users=1", *MODEL_ALONE, *published, *settings])
        indexes.append(out)
    found = evaluate(indexes, held_out.pairs, systems=SYSTEMS, progress=TerminalProgress())
    report.text(f"{found.indexes[0].pairs.rows:,} rows asked")
    _print(report, name, dict(zip(numbers, found.indexes, strict=True)))


def _print(report: harness.Reporter, split: str, by_number: Mapping[int, IndexReport]) -> None:
    """Print the table and the ratios."""
    head = ["MRR@10", "configuration", *BUCKETS, "returned"]
    rows: list[list[str]] = []
    mrr: dict[tuple[int, str], float] = {}
    for number, one in by_number.items():
        report.record(
            split=split, configuration=number, settings=CONFIGURATIONS[number], report=one.to_json()
        )
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
        for number in (PUBLISHED, OWN):
            ratio = mrr[number, system] / base if base else None
            report.record(
                split=split, system=system, configuration=number, ratio=ratio, paper=PAPER_RATIO
            )
            shown = "undefined" if ratio is None else f"{ratio:.2f}"
            report.text(f"{system}: {_label(number)} / {_label(DEFAULT_PECOS)} = {shown}")


def _label(number: int) -> str:
    row = CONFIGURATIONS[number]
    depth = "" if row["depth"] == "0" else f" {row['depth']}"
    own = ", own settings" if number == OWN else ""
    name = f"{number:2} {row['indexer']}{depth}"
    return f"{name}, {row['prefix_features']}, {row['label_features']}{own}"


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.4f}"


if __name__ == "__main__":
    main()
