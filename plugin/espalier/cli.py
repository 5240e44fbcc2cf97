"""The command line: one verb a function, each a thin call into the package.

Imports of the package proper stand inside the verbs, so that ``--help`` and shell
completion answer at once. How a command ends is written down in ``console``.
"""

from __future__ import annotations

import dataclasses
import functools
import json
import math
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from espalier import __version__, console, operate
from espalier.errors import ConfigError, InputError
from espalier.files import refuse_to_overwrite

if TYPE_CHECKING:
    from espalier.index import Contribution, Explanation, Index, Source
    from espalier.progress import Progress
    from espalier.settings import Loaded, ServeSettings

_Command = TypeVar("_Command", bound=Callable[..., Any])
_Given = TypeVar("_Given")

_FILE = click.Path(path_type=Path)
_REASONS = 12
"""Features of a suggestion that ``--explain`` shows."""
_SOURCES = ("model", "popular", "tail", "corrected")
_MATCHERS = ("constrained", "unconstrained")
_NAMED_INDEX = re.compile(r"([A-Za-z][A-Za-z0-9._-]*)=(.+)", re.DOTALL)


def main() -> int:
    """Run the command line of this process and return its exit code."""
    return console.run(cli)


@click.group(
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog="Exit codes: 0 done, 1 could not be done, 2 bad input, 3 not published (`train "
    "--must-beat`), 130 interrupted. "
    "ESPALIER_DEBUG=1 in the environment shows the traceback of an error.",
)
@click.version_option(__version__, message="espalier %(version)s")
def cli() -> None:
    """Query completion that knows the session, learned from your own query log."""


# ---- what several verbs share -------------------------------------------------


_examples = console.examples
_json = console.json_option


def _logs(command: _Command) -> _Command:
    text = "Query log: TSV, CSV, JSON lines, Parquet or UBI, plain, gz or zst. May repeat."
    return click.option("--log", "logs", type=_FILE, multiple=True, metavar="FILE", help=text)(
        command
    )


def _task(command: _Command) -> _Command:
    text = "Complete queries, or retrieve products for them."
    choice = click.Choice(("completion", "retrieval"))
    return click.option("--task", type=choice, default="completion", help=text)(command)


def _only_for(task: str, wanted: str, options: Mapping[str, object]) -> None:
    """Refuse options of another task than ``wanted``."""
    for flag, value in options.items():
        if value and task != wanted:
            raise InputError(f"{flag} belongs to --task {wanted}, this is {task}; leave it out")


def _needed(task: str, flag: str, value: _Given | None) -> _Given:
    if not value:
        raise InputError(f"--task {task} needs {flag}")
    return value


def _config(command: _Command) -> _Command:
    return click.option("--config", type=_FILE, metavar="FILE", help="TOML file with settings.")(
        command
    )


def _set(command: _Command) -> _Command:
    text = "One setting, over environment and config file. May repeat."
    return click.option("--set", "assignments", multiple=True, metavar="KEY=VALUE", help=text)(
        command
    )


def _new_file(
    flag: str, metavar: str, text: str, *, required: bool = False, name: str | None = None
) -> Callable[[_Command], _Command]:
    return click.option(
        flag,
        name or flag.removeprefix("--").replace("-", "_"),
        type=_FILE,
        required=required,
        metavar=metavar,
        callback=console.new_file,
        help=text,
    )


def _quiet(command: _Command) -> _Command:
    return click.option("--quiet", is_flag=True, help="Show no progress.")(command)


def _no_verify(command: _Command) -> _Command:
    text = "Do not compare the index with its checksums first."
    return click.option("--no-verify", is_flag=True, help=text)(command)


def _index(command: _Command) -> _Command:
    return click.argument("index", type=_FILE, metavar="NAME.esp")(command)


def _count(command: _Command) -> _Command:
    return click.option(
        "-k",
        type=click.IntRange(1, 100),
        default=10,
        show_default=True,
        metavar="N",
        help="Answers.",
    )(command)


def _previous(command: _Command) -> _Command:
    return click.option(
        "--previous",
        multiple=True,
        metavar="QUERY",
        callback=console.query_texts,
        help="A query of the session. May repeat, most recent first.",
    )(command)


def _sources(command: _Command) -> _Command:
    return click.option(
        "--source",
        "sources",
        multiple=True,
        type=click.Choice(_SOURCES),
        help="Ask only this source. May repeat.",
    )(command)


def _filter(command: _Command) -> _Command:
    kinds = {
        "all-of": "Only suggestions with this attribute, as locale:de.",
        "any-of": "Only suggestions with this attribute or another one given so.",
        "none-of": "No suggestions with this attribute.",
    }
    generated = click.option(
        "--keep-generated",
        is_flag=True,
        help="With --all-of or --any-of: also suggestions that nobody has typed.",
    )
    for name, meaning in reversed(kinds.items()):
        command = click.option(
            f"--{name}",
            multiple=True,
            metavar="NAME:VALUE",
            callback=console.query_texts,
            help=f"{meaning} May repeat.",
        )(generated(command) if name == "none-of" else command)
    return command


def _source_flags(names: Sequence[str]) -> Source | None:
    from espalier.index import Source

    wanted = Source(0)
    for name in names:
        wanted |= Source[name.upper()]
    return wanted or None


def _progress(*, quiet: bool) -> Progress:
    from espalier.progress import NO_PROGRESS, TerminalProgress

    return NO_PROGRESS if quiet else TerminalProgress()


def _open(path: Path, *, verify: bool) -> Index:
    import espalier

    return espalier.open(path, verify=verify)


# ---- from a log to an index -----------------------------------------------------


@cli.command(
    epilog=_examples(
        "espalier train --log queries.tsv.gz --out site.esp",
        "espalier train --log day1.parquet --log day2.parquet --out site.esp --config site.toml",
        "espalier train --log visits.csv --out site.esp --set min_users=1 --set log.user_column=id",
        "espalier train --log queries.tsv.gz --out site.esp --must-beat site.esp --report report",
        "espalier train --task retrieval --pairs pairs.tsv --catalogue shop.tsv --out shop.esp",
    )
)
@_task
@_logs
@click.option(
    "--pairs", type=_FILE, metavar="PAIRS.tsv", help="With retrieval: query and product_id."
)
@click.option(
    "--catalogue", type=_FILE, metavar="FILE.tsv", help="With retrieval: product_id and title."
)
@_new_file(
    "--out",
    "NAME.esp",
    "Index to write. An old file is replaced only by a complete new one.",
    required=True,
)
@_config
@_set
@click.option(
    "--must-beat",
    type=_FILE,
    metavar="OLD.esp",
    help="Publish only if the new index is not worse than this one; else end with 3.",
)
@_new_file("--keep-rejected", "NAME.esp", "With --must-beat: where a worse index goes.")
@click.option("--no-evaluate", is_flag=True, help="Do not ask the held-out users' questions.")
@click.option(
    "--report", type=_FILE, metavar="DIR", help="Write report.json and report.html (plots) here."
)
@_json
@_quiet
def train(
    *,
    task: str,
    logs: tuple[Path, ...],
    pairs: Path | None,
    catalogue: Path | None,
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
    _only_for(task, "completion", completion)
    _only_for(task, "retrieval", {"--pairs": pairs, "--catalogue": catalogue})
    if task == "retrieval":
        given = _needed(task, "--pairs", pairs)
        _train_retrieval(given, catalogue, out, config, assignments, json=want_json, quiet=quiet)
        return
    _needed(task, "--log", logs)
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
        progress=_progress(quiet=quiet),
    )
    click.echo(console.as_json(result.to_json()) if want_json else result.table())


def _train_retrieval(
    pairs: Path,
    catalogue: Path | None,
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
    result = train_retrieval(
        pairs, out, settings, catalogue=catalogue, progress=_progress(quiet=quiet)
    )
    click.echo(console.as_json(result.to_json()) if json else result.table())


@cli.command(
    epilog=_examples(
        "espalier pairs --log queries.tsv.gz --out pairs.tsv --split 0.9 --train-log train.tsv",
        "espalier pairs --log tomorrow.tsv --out pairs.tsv --seed 7",
        "espalier pairs --task retrieval --pairs judged.tsv --out test.tsv --train-pairs train.tsv",
    )
)
@_task
@_logs
@click.option(
    "--pairs", "judged", type=_FILE, metavar="FILE.tsv", help="With retrieval: pairs to divide."
)
@_new_file("--train-pairs", "TRAIN.tsv", "With retrieval: the other queries' pairs.")
@_new_file(
    "--out", "PAIRS.tsv", "Pairs to write: previous query, prefix, next query.", required=True
)
@click.option(
    "--split",
    type=click.FloatRange(0, 1, min_open=True, max_open=True),
    metavar="SHARE",
    help="Share of the users, or of the queries, to train on; only the others' pairs are "
    "written. With retrieval 0.7 where not given.",
)
@_new_file("--train-log", "TRAIN.tsv", "With --split: write the log of the users to train on.")
@click.option("--seed", type=click.IntRange(0), default=1, show_default=True, help="Of prefixes.")
@_config
@_set
@_quiet
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
    _only_for(task, "completion", {"--log": logs, "--train-log": train_log})
    _only_for(task, "retrieval", {"--pairs": judged, "--train-pairs": train_pairs})
    if task == "retrieval":
        from espalier.retrieval.splitting import split_pairs

        given = _needed(task, "--pairs", judged)
        divided = split_pairs(given, out, split=split or 0.7, train=train_pairs)
        click.echo(divided.summary())
        return
    _needed(task, "--log", logs)
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
        progress=_progress(quiet=quiet),
    )
    click.echo(result.summary())


@cli.command(
    "demo-log",
    epilog=_examples(
        "espalier demo-log --out demo.tsv",
        "espalier demo-log --out demo.tsv --catalogue products.tsv --users 500",
    ),
)
@_new_file("--out", "FILE", "Log to write, tab-separated.", required=True)
@_new_file("--catalogue", "FILE", "Also write the products the log is about, tab-separated.")
@_new_file("--pairs", "FILE", "Also write which queries led to which products, tab-separated.")
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


@cli.command(
    "import-pecos",
    epilog=_examples(
        "espalier import-pecos models/catalogue --out catalogue.esp",
        "espalier import-pecos models/catalogue --out catalogue.esp --json | jq .counts",
    ),
)
@click.argument("model", type=_FILE, metavar="MODEL_DIR")
@_new_file(
    "--out",
    "NAME.esp",
    "Index to write. An old file is replaced only by a complete new one.",
    required=True,
)
@_json
@_quiet
def import_pecos(*, model: Path, out: Path, want_json: bool, quiet: bool) -> None:
    """Make an index of a ranking model that PECOS trained.

    MODEL_DIR is what XLinearModel.save wrote. Weights stay as they are, in 32 bits;
    `espalier predict` gives the answers PECOS gives.
    """
    from espalier.interop import import_pecos as read

    result = read(model, out, progress=_progress(quiet=quiet))
    click.echo(console.as_json(result.to_json()) if want_json else result.table())


# ---- asking an index --------------------------------------------------------------


@cli.command(
    epilog=_examples(
        "espalier complete site.esp runn",
        'espalier complete site.esp --previous "marathon training plan" sh',
        'espalier complete site.esp --previous "running shoes" "" -k 5 --json',
        "espalier complete site.esp runn --overlay rules.json",
        'espalier complete site.esp --previous "tent" c -k 3 --explain',
        "espalier complete site.esp runn --all-of locale:de --none-of category:toys",
    )
)
@_index
@click.argument("prefix", callback=console.query_text)
@_previous
@_count
@_json
@_sources
@_filter
@click.option("--matcher", type=click.Choice(_MATCHERS), help="How the beam meets the prefix.")
@click.option("--beam", type=click.IntRange(0), default=0, help="Nodes kept per level.")
@click.option(
    "--overlay",
    "rules",
    type=_FILE,
    metavar="RULES.json",
    help="Blocks, pins and boosts that hold for this answer.",
)
@click.option("--keep-variants", is_flag=True, help="Also other plurals, word orders and spacings.")
@click.option(
    "--explain", "why", is_flag=True, help="Show what the scores are made of (FEATURES.md)."
)
@_no_verify
def complete(
    *,
    index: Path,
    prefix: str,
    previous: tuple[str, ...],
    k: int,
    want_json: bool,
    sources: tuple[str, ...],
    all_of: tuple[str, ...],
    any_of: tuple[str, ...],
    none_of: tuple[str, ...],
    keep_generated: bool,
    matcher: Any,
    beam: int,
    rules: Path | None,
    keep_variants: bool,
    why: bool,
    no_verify: bool,
) -> None:
    """Complete PREFIX, which may be empty."""
    from espalier.filters import Filter
    from espalier.overlay import Overlay

    where = Filter(all_of, any_of, none_of, keep_generated=keep_generated)
    overlay = None if rules is None else Overlay.load(rules)
    with _open(index, verify=not no_verify) as opened:
        if overlay is not None:
            overlay = overlay.resolved(opened)
        ask = opened.explain if why else opened.complete
        answer: list[Any] = list(
            ask(
                prefix,
                previous,
                k=k,
                beam=beam,
                sources=_source_flags(sources),
                matcher=matcher,
                overlay=overlay,
                where=where,
                keep_variants=keep_variants,
            )
        )
    found = [one.suggestion for one in answer] if why else answer
    if want_json:
        fields = ("text", "display_text", "score", "source")
        rows = [{field: getattr(one, field) for field in fields} for one in found]
        if why:
            for row, one in zip(rows, answer, strict=True):
                row["average"] = one.average
                row["features"] = {name: _plain(part) for name, part in one.features.items()}
        click.echo(console.as_json({"suggestions": rows}))
    elif not found:
        having = " and has what is asked for" if all_of or any_of or none_of else ""
        click.echo(f"nothing in this index starts with the prefix{having}", err=True)
    else:
        shown = [
            [str(i), console.printable(one.display_text), f"{one.score:.4f}", one.source.lower()]
            for i, one in enumerate(found, 1)
        ]
        click.echo(console.table(shown, "r-r"))
        for i, one in enumerate(answer if why else (), 1):
            click.echo(f"\n{i}  {console.printable(one.suggestion.display_text)}")
            click.echo(console.table(_reasons(one), "-rr"))


@cli.command(
    epilog=_examples(
        'espalier retrieve shop.esp "cordless drill"',
        'espalier retrieve shop.esp "cordless drill" -k 3 --json | jq .products[0].product_id',
        'espalier retrieve shop.esp "cordless drill" --host 100012 --host 100077',
    )
)
@_index
@click.argument("query", callback=console.query_text)
@click.option(
    "-k",
    type=click.IntRange(1, 1000),
    default=10,
    show_default=True,
    metavar="N",
    help="Products.",
)
@click.option("--beam", type=click.IntRange(0), default=0, help="Nodes kept per level.")
@click.option(
    "--host",
    multiple=True,
    metavar="PRODUCT_ID",
    help="A product another engine found, to be ranked with the others. May repeat, best first.",
)
@click.option("--no-fusion", is_flag=True, help="Order by the ranking tree alone.")
@click.option(
    "--popular", is_flag=True, help="Answer a query nothing is known of with popular products."
)
@_json
@_no_verify
def retrieve(
    *,
    index: Path,
    query: str,
    k: int,
    beam: int,
    host: tuple[str, ...],
    no_fusion: bool,
    popular: bool,
    want_json: bool,
    no_verify: bool,
) -> None:
    """Find products for QUERY in an index trained with --task retrieval."""
    from espalier.catalogue import open_catalogue

    with open_catalogue(index, verify=not no_verify) as catalogue:
        found = catalogue.retrieve(
            query, k=k, beam=beam, host=host, fused=not no_fusion, popular=popular
        )
    if want_json:
        click.echo(console.as_json({"products": [one._asdict() for one in found]}))
    elif not found:
        click.echo("no product has anything in common with the query", err=True)
    else:
        shown = [
            [
                str(i),
                console.printable(one.product_id),
                f"{one.score:.4f}",
                console.printable(one.title),
            ]
            for i, one in enumerate(found, 1)
        ]
        click.echo(console.table(shown, "r-r-"))


def _plain(part: Contribution) -> dict[str, object]:
    # JSON has no number for what is not known.
    value = None if math.isnan(part.value) else part.value
    return {**part._asdict(), "value": value}


def _reasons(explanation: Explanation) -> list[list[str]]:
    """Return what did most for a suggestion: name, value, contribution; the average last."""
    features = sorted(explanation.features.items(), key=lambda item: -abs(item[1].contribution))
    rows = [
        [
            name,
            "unknown" if math.isnan(part.value) else f"{part.value:.4g}",
            f"{part.contribution:+.4f}",
        ]
        for name, part in features
        if part.contribution
    ]
    return [*rows[:_REASONS], ["average candidate", "", f"{explanation.average:+.4f}"]]


_TRY_HELP = """Type and see what is suggested, letter by letter, as a session grows.

\b
Up, Down        choose a suggestion
Tab, Right      take it (or the first) into the line
Enter           submit it, or the line: it joins the session
Ctrl-X          leave the session out of account, and back
Ctrl-E          show what the scores are made of: what features added most to each
Ctrl-N          begin a new session
Ctrl-W, Ctrl-U  delete a word, the line
Esc, Ctrl-C     leave

Beside a suggestion stands how its rank differs from the list without the session.
No query is written to a file.

Where input or output is no terminal, TERM is dumb, or --json is given, it reads lines:
a line is a prefix, and one that begins with "> " submits the rest of it to the session.
Each suggestion is a line of seven fields, separated by tabs: prefix, rank, change of
rank, suggestion, source, score, users. A line that cannot be answered is named on
stderr, in JSON by an object with "error"; the exit code is 2 then.
"""


@cli.command(
    "try",
    help=_TRY_HELP,
    epilog=_examples(
        "espalier try site.esp",
        'espalier try site.esp --previous "running shoes" -k 15 --no-tails',
        "espalier try site.esp < prefixes.txt",
        "espalier try site.esp --json < prefixes.txt | jq .suggestions[0].text",
    ),
)
@_index
@_previous
@_count
@_sources
@click.option("--no-tails", is_flag=True, help="Ask every source but `tail`.")
@click.option("--json", "want_json", is_flag=True, help="Answer lines, each as a line of JSON.")
@_no_verify
def try_(
    *,
    index: Path,
    previous: tuple[str, ...],
    k: int,
    sources: tuple[str, ...],
    no_tails: bool,
    want_json: bool,
    no_verify: bool,
) -> None:
    """Type and see what is suggested. What it says of itself is ``_TRY_HELP``."""
    import os
    import sys

    from espalier import terminal

    names = [name for name in sources or _SOURCES if not (no_tails and name == "tail")]
    if not names:
        raise InputError("--no-tails leaves no source to ask; name another --source")
    with _open(index, verify=not no_verify) as opened:
        screen = terminal.is_screen(os.environ) and not want_json
        asker = terminal.IndexAsker(opened, k=k, sources=_source_flags(names), explain=screen)
        if screen:
            about = terminal.About(index.name, opened.info.labels)
            terminal.converse(terminal.begin(asker, previous), asker, about)
        else:
            bad = terminal.answer_lines(
                sys.stdin.buffer,
                click.echo,
                previous,
                asker,
                want_json=want_json,
                complain=functools.partial(click.echo, err=True),
            )
            if bad:
                raise InputError(f"lines that could not be answered: {bad:,}; the others were")


@cli.command(
    epilog=_examples(
        "espalier predict catalogue.esp --features X.npz --out Y.npz",
        "espalier predict catalogue.esp --features X.npz --out Y.npz --beam 20 -k 5 --threads 4",
    )
)
@_index
@click.option(
    "--features",
    type=_FILE,
    required=True,
    metavar="X.npz",
    help="Features, a row a question, as scipy.sparse.save_npz writes them.",
)
@_new_file("--out", "Y.npz", "Scores to write, a row an answer, best first.", required=True)
@click.option("--beam", type=click.IntRange(0), default=0, help="Nodes kept per level.")
@click.option("-k", type=click.IntRange(0), default=0, metavar="N", help="Labels per row.")
@click.option(
    "--threads", type=click.IntRange(0), default=0, help="Threads; 0 for one per processor."
)
@_json
@_no_verify
def predict(
    *,
    index: Path,
    features: Path,
    out: Path,
    beam: int,
    k: int,
    threads: int,
    want_json: bool,
    no_verify: bool,
) -> None:
    """Rank labels for features of your own, as any extreme multi-label model does.

    Beam and labels per row are the index's own unless given. Y.npz has a column per
    label; the entries of a row stand best first.
    """
    from espalier.matrices import read_matrix, write_matrix
    from espalier.model import open_model

    refuse_to_overwrite([index, features], [out])
    with open_model(index, verify=not no_verify) as model:
        found = model.predict(read_matrix(features, "csr"), beam=beam, k=k, threads=threads)
    write_matrix(out, found)
    facts = {"out": str(out), "rows": found.shape[0], "labels": found.shape[1], "scores": found.nnz}
    click.echo(
        console.as_json(facts)
        if want_json
        else f"{out}: {found.nnz:,} scores for {found.shape[0]:,} rows of {found.shape[1]:,} labels"
    )


@cli.command(
    epilog=_examples(
        "espalier evaluate site.esp --pairs pairs.tsv",
        "espalier evaluate new.esp old.esp --pairs pairs.tsv --json figures.json",
        "espalier evaluate site.esp --pairs pairs.tsv --ablate --sample 5000 --report report",
        "espalier evaluate shop.esp --task retrieval --judgements test.tsv --catalogue shop.tsv",
    )
)
@click.argument("indexes", type=_FILE, nargs=-1, required=True, metavar="NAME.esp...")
@_task
@click.option("--pairs", type=_FILE, metavar="FILE.tsv", help="As `espalier pairs` writes.")
@click.option(
    "--judgements",
    type=_FILE,
    metavar="FILE.tsv",
    help="With retrieval: query, product_id and relevance.",
)
@click.option(
    "--catalogue", type=_FILE, metavar="FILE.tsv", help="With retrieval: product_id and title."
)
@click.option(
    "--relevant",
    type=float,
    default=2.33,
    show_default=True,
    metavar="GRADE",
    help="With retrieval: lowest relevance that counts.",
)
@_new_file(
    "--json", "OUT.json", "Write the figures as JSON too; `-` prints only them.", name="json_out"
)
@click.option(
    "--system",
    "systems",
    multiple=True,
    metavar="NAME",
    help="A system besides those always measured, as model_unconstrained. May repeat.",
)
@click.option(
    "--ablate",
    is_flag=True,
    help="Also switch off each source and each group of features, one at a time.",
)
@click.option(
    "--report",
    "folder",
    type=_FILE,
    metavar="DIR",
    help="Write report.html, with plots, and report.json here (needs the extra `report`).",
)
@click.option(
    "--sample",
    type=click.IntRange(1),
    metavar="N",
    help="Ask at most N rows, the same ones in every run.",
)
@_count
@_no_verify
@_quiet
def evaluate(
    *,
    indexes: tuple[Path, ...],
    task: str,
    pairs: Path | None,
    judgements: Path | None,
    catalogue: Path | None,
    relevant: float,
    json_out: Path | None,
    systems: tuple[str, ...],
    ablate: bool,
    folder: Path | None,
    sample: int | None,
    k: int,
    no_verify: bool,
    quiet: bool,
) -> int:
    """Measure ranking quality and latency on held-out pairs.

    Ends with 1 if an answer broke a promise: the prefix kept, k of k, no duplicates.

    With --task retrieval one index and three lexical baselines find products for the
    queries of judgements.
    """
    completion = {
        "--pairs": pairs, "--system": systems, "--ablate": ablate, "--report": folder,
        "--sample": sample,
    }  # fmt: skip
    _only_for(task, "completion", completion)
    _only_for(task, "retrieval", {"--judgements": judgements, "--catalogue": catalogue})
    if task == "retrieval":
        _evaluate_retrieval(
            indexes,
            _needed(task, "--judgements", judgements),
            _needed(task, "--catalogue", catalogue),
            relevant,
            json_out,
            verify=not no_verify,
            quiet=quiet,
        )
        return 0
    pairs = _needed(task, "--pairs", pairs)
    from espalier.evaluate import evaluate as measure
    from espalier.evaluate.folder import prepare_folder, report_files, write_report

    targets = [] if json_out is None else [json_out]
    if folder is not None:
        targets += report_files(folder)
    refuse_to_overwrite([*indexes, pairs], targets)
    if folder is not None:
        prepare_folder(folder)
    report = measure(
        indexes,
        pairs,
        systems=systems,
        ablate=ablate,
        sample=sample,
        k=k,
        verify=not no_verify,
        progress=_progress(quiet=quiet),
    )
    if json_out is None or str(json_out) != "-":
        click.echo(report.table())
    if json_out is not None:
        console.write_json(json_out, report.to_json())
    if folder is not None:
        write_report(report, folder)
    if report.violations.total:
        click.echo("espalier: error: answers broke a promise; see violations", err=True)
        return console.EXIT_FAILURE
    return 0


def _evaluate_retrieval(
    indexes: tuple[Path, ...],
    judgements: Path,
    catalogue: Path,
    relevant: float,
    json_out: Path | None,
    *,
    verify: bool,
    quiet: bool,
) -> None:
    from espalier.retrieval.evaluation import evaluate_retrieval

    if len(indexes) != 1:
        raise InputError(f"--task retrieval measures one index at a time, not {len(indexes)}")
    refuse_to_overwrite([*indexes, judgements, catalogue], [] if json_out is None else [json_out])
    report = evaluate_retrieval(
        indexes[0],
        judgements,
        catalogue,
        relevant=relevant,
        verify=verify,
        progress=_progress(quiet=quiet),
    )
    if json_out is None or str(json_out) != "-":
        click.echo(console.table(report.rows(), "-r-rrrr"))
        click.echo(f"\n{report.remarks()}")
    if json_out is not None:
        console.write_json(json_out, report.to_json())


@cli.command(
    epilog=_examples("espalier inspect site.esp", "espalier inspect site.esp --json | jq .labels")
)
@_index
@_json
def inspect(*, index: Path, want_json: bool) -> None:
    """Show what an index holds, in constant time whatever its size."""
    with _open(index, verify=False) as opened:
        facts = _facts(opened)
    click.echo(console.as_json(facts) if want_json else _facts_as_text(facts))


def _facts(index: Index) -> dict[str, Any]:
    info = index.info
    return {
        "path": str(index.path),
        "format_version": info.format_version,
        "training_fingerprint": info.fingerprint,
        "bytes": info.bytes,
        "labels": info.labels,
        "bytes_per_label": round(info.bytes / info.labels, 1) if info.labels else None,
        "nodes": info.nodes,
        "depth": info.depth,
        "features": info.features,
        "attributes": info.attributes,
        "sections": [
            {"id": name, "offset": offset, "length": length, "crc32c": f"{crc:08x}"}
            for name, offset, length, crc in info.sections
        ],
        "meta": info.meta,
    }


def _facts_as_text(facts: Mapping[str, Any]) -> str:
    plain = {key: value for key, value in facts.items() if key != "sections"}
    sections = [["section", "offset", "bytes", "crc-32c"]] + [
        [one["id"], f"{one['offset']:,}", f"{one['length']:,}", one["crc32c"]]
        for one in facts["sections"]
    ]
    return f"{console.table(list(_flat(plain)))}\n\n{console.table(sections, '-rr-')}"


def _flat(facts: Mapping[str, Any], above: str = "") -> Iterator[list[str]]:
    for key, value in facts.items():
        name = above + console.printable(key)
        if isinstance(value, dict):
            yield from _flat(value, f"{name}.")
        elif isinstance(value, int) and not isinstance(value, bool):
            yield [name, f"{value:,}"]
        else:
            text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
            yield [name, console.printable(text)]


@cli.command(epilog=_examples("espalier validate site.esp", "espalier validate site.esp --deep"))
@_index
@click.option("--deep", is_flag=True, help="Check every invariant of the format as well.")
def validate(*, index: Path, deep: bool) -> None:
    """Check that an index file is whole; ends with 2 if it is not."""
    with _open(index, verify=True) as opened:
        opened.validate(deep=deep)
        labels = opened.info.labels
    holds = "checksums and every invariant hold" if deep else "checksums hold"
    click.echo(f"ok: {index}: {labels:,} labels, {holds}")


# ---- serving ------------------------------------------------------------------------


@cli.command(
    epilog=_examples(
        "espalier serve --index site.esp",
        "espalier serve --index de=german.esp --index en=english.esp --listen 0.0.0.0:50051",
        "espalier serve --index indexes/current --state-dir state --admin unix:admin.sock",
        "espalier serve --config site.toml --set session_ttl_seconds=600",
        "espalier serve --index site.esp --http 127.0.0.1:8080",
        "espalier serve --config site.toml --print-config",
    )
)
@click.option(
    "--index",
    "indexes",
    multiple=True,
    metavar="[NAME=]PATH",
    help="Index to serve, as NAME or as `default`. May repeat.",
)
@click.option("--listen", metavar="HOST:PORT", help="Address of the gRPC service.")
@click.option(
    "--unix", metavar="PATH", help="Unix sockets as well: PATH.0 and so on, one a worker."
)
@click.option(
    "--admin",
    metavar="ADDRESS",
    help="HOST:PORT or unix:PATH where indexes and rules are changed while they are served.",
)
@click.option("--http", metavar="HOST:PORT", help="Address of the HTTP front, if there is one.")
@click.option("--workers", metavar="N", help="Processes; by default one for each processor.")
@click.option("--state-dir", metavar="DIR", help="Folder for what survives a restart.")
@_config
@_set
@_no_verify
@click.option(
    "--print-config",
    is_flag=True,
    help="Print what is set and where it comes from, as TOML, and end.",
)
def serve(
    *,
    indexes: tuple[str, ...],
    listen: str | None,
    unix: str | None,
    admin: str | None,
    http: str | None,
    workers: str | None,
    state_dir: str | None,
    config: Path | None,
    assignments: tuple[str, ...],
    no_verify: bool,
    print_config: bool,
) -> int:
    """Serve completions over gRPC until SIGTERM or Ctrl-C, which drain first.

    SIGHUP reads the configuration anew (--print-config says which settings that takes
    over), and looks for newer files of the indexes and for edited rules. An index path that is
    a symbolic link is followed when it comes to point elsewhere (`watch_seconds`).
    """
    from espalier.settings import load, parse_assignments

    given = {
        "index": _named(indexes) or None,
        "listen": listen,
        "unix": unix,
        "admin": admin,
        "http": http,
        "workers": workers,
        "state_dir": state_dir,
    }
    flags = {name: value for name, value in given.items() if value is not None}

    def read() -> Loaded[ServeSettings]:
        return load(config, "serve", parse_assignments(list(assignments)), flags=flags)

    loaded = read()
    if print_config:
        from espalier.config import as_toml

        click.echo(as_toml(loaded, "serve"), nl=False)
        return 0
    from espalier.serve.runner import run

    if not loaded.settings.index:
        raise ConfigError("nothing to serve: give --index NAME.esp, or index under [serve]")
    return run(loaded.settings, verify=not no_verify, reread=lambda: read().settings)


def _named(indexes: Sequence[str]) -> dict[str, Path]:
    named: dict[str, Path] = {}
    for argument in indexes:
        match = _NAMED_INDEX.fullmatch(argument)
        name, path = match.groups() if match else ("default", argument)
        if name in named:
            raise ConfigError(f"--index: two indexes are named {name}; write --index NAME=PATH")
        named[name] = Path(path)
    return named


cli.add_command(operate.indexes)
cli.add_command(operate.rules)


@cli.command(
    "check-config",
    epilog=_examples(
        "espalier check-config site.toml",
        "espalier check-config site.toml --json | jq '.problems[].key'",
    ),
)
@click.argument("file", type=_FILE, metavar="FILE.toml")
@_json
def check_config(*, file: Path, want_json: bool) -> int:
    """Say everything that is wrong with a configuration; ends with 2 if anything is."""
    from espalier.config import problems_in

    problems = problems_in(file)
    if want_json:
        found = [dataclasses.asdict(problem) for problem in problems]
        click.echo(console.as_json({"file": str(file), "ok": not found, "problems": found}))
    elif problems:
        for problem in problems:
            click.echo(console.printable(problem.message), err=True)
    else:
        click.echo(f"ok: {file}")
    return console.EXIT_INPUT if problems else 0


@cli.command(
    epilog=_examples(
        "espalier completions bash > ~/.local/share/bash-completion/completions/espalier",
        "espalier completions zsh > ~/.zfunc/_espalier",
        "espalier completions fish > ~/.config/fish/completions/espalier.fish",
    )
)
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
def completions(*, shell: str) -> None:
    """Print the script that completes `espalier` in a shell."""
    from click.shell_completion import BashComplete, FishComplete, ZshComplete

    classes = {"bash": BashComplete, "zsh": ZshComplete, "fish": FishComplete}
    script = classes[shell](cli, {}, "espalier", "_ESPALIER_COMPLETE")
    # Not source(): for bash that starts a shell only to ask its version.
    click.echo(script.source_template % script.source_vars())
