"""The verbs that make files: from a log to an index, to pairs, to a demonstration."""

from __future__ import annotations

from pathlib import Path

import click

from espalier import console
from espalier.errors import InputError
from espalier.verbs import options


@click.command(
    epilog=console.examples(
        "espalier train --log queries.tsv.gz --out site.esp",
        "espalier train --log day1.parquet --log day2.parquet --out site.esp --config site.toml",
        "espalier train --log visits.csv --out site.esp --set min_users=1 --set log.user_column=id",
        "espalier train --log queries.tsv.gz --out site.esp --must-beat site.esp --report report",
        "espalier train --task retrieval --pairs pairs.tsv --catalogue shop.tsv --out shop.esp",
    )
)
@options.task
@options.logs
@click.option(
    "--pairs", type=options.FILE, metavar="PAIRS.tsv", help="With retrieval: query and product_id."
)
@click.option(
    "--catalogue",
    type=options.FILE,
    metavar="FILE.tsv",
    help="With retrieval: product_id and title.",
)
@click.option(
    "--host-results",
    type=options.FILE,
    metavar="FILE.tsv",
    help="With retrieval: query and product_id, what another engine finds, best first.",
)
@options.new_file(
    "--out",
    "NAME.esp",
    "Index to write. An old file is replaced only by a complete new one.",
    required=True,
)
@options.config_file
@options.set_option
@click.option(
    "--must-beat",
    type=options.FILE,
    metavar="OLD.esp",
    help="Publish only if the new index is not worse than this one; else end with 3.",
)
@options.new_file("--keep-rejected", "NAME.esp", "With --must-beat: where a worse index goes.")
@click.option("--no-evaluate", is_flag=True, help="Do not ask the held-out users' questions.")
@click.option(
    "--report",
    type=options.FILE,
    metavar="DIR",
    help="Write report.json and report.html (plots) here.",
)
@console.json_option
@options.quiet
def train(
    *,
    task: str,
    logs: tuple[Path, ...],
    pairs: Path | None,
    catalogue: Path | None,
    host_results: Path | None,
    out: Path,
    config: Path | None,
    assignments: tuple[str, ...],
    must_beat: Path | None,
    keep_rejected: Path | None,
    no_evaluate: bool,
    report: Path | None,
    want_json: bool,
    quiet: bool,
) -> None:
    """Learn an index from query logs, and measure it on people it has never seen.

    A share of the users (`holdout`, 0.02) is kept out of training, the same ones every
    night; they are asked afterwards. A log of fewer than 500 users keeps nobody out.

    With --must-beat both indexes get the same questions. The new one is worse if it loses
    more than `must_beat_margin` (0.01) of the old one's MRR@10 and the 95 % interval of
    the difference, over users, lies wholly below zero. Then the exit code is 3, and the
    file at --out stays as it was.

    With --task retrieval the index finds products: it learns from pairs of a query and a
    product, and from the titles of a catalogue. Settings are those of [retrieval].
    """
    completion = {
        "--log": logs, "--must-beat": must_beat, "--keep-rejected": keep_rejected,
        "--no-evaluate": no_evaluate, "--report": report,
    }  # fmt: skip
    options.only_for(task, "completion", completion)
    retrieval = {"--pairs": pairs, "--catalogue": catalogue, "--host-results": host_results}
    options.only_for(task, "retrieval", retrieval)
    if task == "retrieval":
        given = options.needed(task, "--pairs", pairs)
        files = given, catalogue, host_results
        _train_retrieval(files, out, config, assignments, json=want_json, quiet=quiet)
        return
    options.needed(task, "--log", logs)
    from espalier.publish import publish
    from espalier.settings import load_settings, parse_assignments

    settings = load_settings(config, "train", parse_assignments(list(assignments)))
    result = publish(
        logs,
        out,
        settings,
        evaluate=not no_evaluate,
        must_beat=must_beat,
        keep_rejected=keep_rejected,
        report=report,
        progress=options.progress(quiet=quiet),
    )
    click.echo(console.as_json(result.to_json()) if want_json else result.table())


def _train_retrieval(
    files: tuple[Path, Path | None, Path | None],
    out: Path,
    config: Path | None,
    assignments: tuple[str, ...],
    *,
    json: bool,
    quiet: bool,
) -> None:
    from espalier.retrieval.training import train_retrieval
    from espalier.settings import load_settings, parse_assignments

    settings = load_settings(config, "retrieval", parse_assignments(list(assignments)))
    pairs, catalogue, host = files
    result = train_retrieval(
        pairs,
        out,
        settings,
        catalogue=catalogue,
        host=host,
        progress=options.progress(quiet=quiet),
    )
    click.echo(console.as_json(result.to_json()) if json else result.table())


@click.command(
    epilog=console.examples(
        "espalier pairs --log queries.tsv.gz --out pairs.tsv --split 0.9 --train-log train.tsv",
        "espalier pairs --log tomorrow.tsv --out pairs.tsv --seed 7",
        "espalier pairs --task retrieval --pairs judged.tsv --out test.tsv --train-pairs train.tsv",
    )
)
@options.task
@options.logs
@click.option(
    "--pairs",
    "judged",
    type=options.FILE,
    metavar="FILE.tsv",
    help="With retrieval: pairs to divide.",
)
@options.new_file("--train-pairs", "TRAIN.tsv", "With retrieval: the other queries' pairs.")
@options.new_file(
    "--out", "PAIRS.tsv", "Pairs to write: previous query, prefix, next query.", required=True
)
@click.option(
    "--split",
    type=click.FloatRange(0, 1, min_open=True, max_open=True),
    metavar="SHARE",
    help="Share of the users, or of the queries, to train on; only the others' pairs are "
    "written. With retrieval 0.7 where not given.",
)
@options.new_file(
    "--train-log", "TRAIN.tsv", "With --split: write the log of the users to train on."
)
@click.option("--seed", type=click.IntRange(0), default=1, show_default=True, help="Of prefixes.")
@options.config_file
@options.set_option
@options.quiet
def pairs(
    *,
    task: str,
    logs: tuple[Path, ...],
    judged: Path | None,
    train_pairs: Path | None,
    out: Path,
    split: float | None,
    train_log: Path | None,
    seed: int,
    config: Path | None,
    assignments: tuple[str, ...],
    quiet: bool,
) -> None:
    """Make evaluation questions from query logs, whole users held out.

    Each pair of adjacent queries of a session gives one row, with one prefix of the
    next query, its length uniform from one to all but one character.

    With --task retrieval a file of pairs is divided, whole queries at a time.
    """
    options.only_for(task, "completion", {"--log": logs, "--train-log": train_log})
    options.only_for(task, "retrieval", {"--pairs": judged, "--train-pairs": train_pairs})
    if task == "retrieval":
        from espalier.retrieval.splitting import split_pairs

        given = options.needed(task, "--pairs", judged)
        divided = split_pairs(given, out, split=split or 0.7, train=train_pairs)
        click.echo(divided.summary())
        return
    options.needed(task, "--log", logs)
    from espalier.querylog import write_pairs
    from espalier.settings import load_settings, parse_assignments

    if train_log is not None and split is None:
        raise InputError("--train-log needs --split, the share of the users to train on")
    settings = load_settings(config, "train", parse_assignments(list(assignments)))
    result = write_pairs(
        logs,
        out,
        settings=settings.log,
        split=split,
        train_log=train_log,
        seed=seed,
        progress=options.progress(quiet=quiet),
    )
    click.echo(result.summary())


@click.command(
    "demo-log",
    epilog=console.examples(
        "espalier demo-log --out demo.tsv",
        "espalier demo-log --out demo.tsv --catalogue products.tsv --users 500",
    ),
)
@options.new_file("--out", "FILE", "Log to write, tab-separated.", required=True)
@options.new_file("--catalogue", "FILE", "Also write the products the log is about, tab-separated.")
@options.new_file(
    "--pairs", "FILE", "Also write which queries led to which products, tab-separated."
)
@click.option("--users", type=click.IntRange(1), default=2000, show_default=True)
@click.option("--seed", type=click.IntRange(0), default=1, show_default=True)
def demo_log(
    *, out: Path, catalogue: Path | None, pairs: Path | None, users: int, seed: int
) -> None:
    """Write a synthetic shopping log for trying things out.

    Nobody typed these queries: users, sessions and reformulations are generated.
    """
    from espalier.querylog import write_demo_log

    write_demo_log(out, catalogue=catalogue, pairs=pairs, users=users, seed=seed)
    click.echo(f"{out}: a synthetic log of {users:,} users")


@click.command(
    "import-pecos",
    epilog=console.examples(
        "espalier import-pecos models/catalogue --out catalogue.esp",
        "espalier import-pecos models/catalogue --out catalogue.esp --json | jq .counts",
    ),
)
@click.argument("model", type=options.FILE, metavar="MODEL_DIR")
@options.new_file(
    "--out",
    "NAME.esp",
    "Index to write. An old file is replaced only by a complete new one.",
    required=True,
)
@console.json_option
@options.quiet
def import_pecos(*, model: Path, out: Path, want_json: bool, quiet: bool) -> None:
    """Make an index of a ranking model that PECOS trained.

    MODEL_DIR is what XLinearModel.save wrote. Weights stay as they are, in 32 bits;
    `espalier predict` gives the answers PECOS gives.
    """
    from espalier.interop import import_pecos as read

    result = read(model, out, progress=options.progress(quiet=quiet))
    click.echo(console.as_json(result.to_json()) if want_json else result.table())
