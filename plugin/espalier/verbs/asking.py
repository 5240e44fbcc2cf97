"""The verbs that ask an index: for completions, products, or the labels of a matrix."""

from __future__ import annotations

import functools
import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from espalier import console
from espalier.errors import InputError
from espalier.files import refuse_to_overwrite
from espalier.verbs import options

if TYPE_CHECKING:
    from espalier.index import Contribution, Explanation

_REASONS = 12
"""Features of a suggestion that ``--explain`` shows."""
_MATCHERS = ("constrained", "unconstrained")


@click.command(
    epilog=console.examples(
        "espalier complete site.esp runn",
        'espalier complete site.esp --previous "marathon training plan" sh',
        'espalier complete site.esp --previous "running shoes" "" -k 5 --json',
        "espalier complete site.esp runn --overlay rules.json",
        'espalier complete site.esp --previous "tent" c -k 3 --explain',
        "espalier complete site.esp runn --all-of locale:de --none-of category:toys",
    )
)
@options.index_file
@click.argument("prefix", callback=console.query_text)
@options.previous
@options.count
@console.json_option
@options.sources
@options.where
@click.option("--matcher", type=click.Choice(_MATCHERS), help="How the beam meets the prefix.")
@click.option("--beam", type=click.IntRange(0), default=0, help="Nodes kept per level.")
@click.option(
    "--overlay",
    "rules",
    type=options.FILE,
    metavar="RULES.json",
    help="Blocks, pins and boosts that hold for this answer.",
)
@click.option("--keep-variants", is_flag=True, help="Also other plurals, word orders and spacings.")
@click.option(
    "--explain", "why", is_flag=True, help="Show what the scores are made of (FEATURES.md)."
)
@options.no_verify
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
    with options.open_index(index, verify=not no_verify) as opened:
        if overlay is not None:
            overlay = overlay.resolved(opened)
        ask = opened.explain if why else opened.complete
        answer: list[Any] = list(
            ask(
                prefix,
                previous,
                k=k,
                beam=beam,
                sources=options.source_flags(sources),
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


@click.command(
    epilog=console.examples(
        'espalier retrieve shop.esp "cordless drill"',
        'espalier retrieve shop.esp "cordless drill" -k 3 --json | jq .products[0].product_id',
        'espalier retrieve shop.esp "cordless drill" --host 100012 --host 100077',
        'espalier retrieve shop.esp drill --all-of brand:acme --previous "cordless tools"',
        "espalier retrieve shop.esp --queries queries.tsv --out found.tsv -k 100",
    )
)
@options.index_file
@click.argument("query", required=False, callback=console.query_text)
@click.option(
    "--queries",
    type=options.FILE,
    metavar="FILE.tsv",
    help="Instead of QUERY: answer the column `query` of a file.",
)
@options.new_file("--out", "FOUND.tsv", "With --queries: where the products go.")
@click.option("--threads", type=click.IntRange(0), default=0, help="With --queries; 0: all.")
@options.previous
@click.option(
    "-k",
    type=click.IntRange(1, 1000),
    default=10,
    show_default=True,
    metavar="N",
    help="Products.",
)
@click.option("--beam", type=click.IntRange(0), default=0, help="Nodes kept per level.")
@options.conditions("products", "category:tools")
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
@console.json_option
@options.no_verify
@options.quiet
def retrieve(
    *,
    index: Path,
    query: str | None,
    queries: Path | None,
    out: Path | None,
    threads: int,
    previous: tuple[str, ...],
    k: int,
    beam: int,
    all_of: tuple[str, ...],
    any_of: tuple[str, ...],
    none_of: tuple[str, ...],
    host: tuple[str, ...],
    no_fusion: bool,
    popular: bool,
    want_json: bool,
    no_verify: bool,
    quiet: bool,
) -> None:
    """Find products for QUERY in an index trained with --task retrieval.

    With --queries every query of a file is answered, and --out gets a line a product: query,
    rank from 1, product_id, score.
    """
    from espalier.catalogue import open_catalogue
    from espalier.filters import Filter

    if (query is None) == (queries is None):
        raise InputError("give one QUERY, or a file of them with --queries")
    if (queries is None) != (out is None):
        raise InputError("--queries and --out belong together; give both or none")
    if queries is not None and (host or previous):
        raise InputError("--host and --previous are about one QUERY; leave out --queries")
    where = Filter(all_of, any_of, none_of)
    if queries is not None and out is not None:
        from espalier.retrieval.batch import retrieve_file

        asked: dict[str, Any] = {"k": k, "beam": beam, "fused": not no_fusion, "popular": popular}
        report = retrieve_file(
            index,
            queries,
            out,
            threads=threads,
            verify=not no_verify,
            progress=options.progress(quiet=quiet),
            where=where,
            **asked,
        )
        click.echo(console.as_json(report.to_json()) if want_json else report.summary())
        return
    with open_catalogue(index, verify=not no_verify) as catalogue:
        found = catalogue.retrieve(
            query or "",
            k=k,
            beam=beam,
            host=host,
            fused=not no_fusion,
            popular=popular,
            where=where,
            previous=previous,
        )
    if want_json:
        click.echo(console.as_json({"products": [one._asdict() for one in found]}))
    elif not found:
        having = " and has what is asked for" if all_of or any_of or none_of else ""
        click.echo(f"no product has anything in common with the query{having}", err=True)
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


@click.command(
    "try",
    help=_TRY_HELP,
    epilog=console.examples(
        "espalier try site.esp",
        'espalier try site.esp --previous "running shoes" -k 15 --no-tails',
        "espalier try site.esp < prefixes.txt",
        "espalier try site.esp --json < prefixes.txt | jq .suggestions[0].text",
    ),
)
@options.index_file
@options.previous
@options.count
@options.sources
@click.option("--no-tails", is_flag=True, help="Ask every source but `tail`.")
@click.option("--json", "want_json", is_flag=True, help="Answer lines, each as a line of JSON.")
@options.no_verify
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

    names = [name for name in sources or options.SOURCES if not (no_tails and name == "tail")]
    if not names:
        raise InputError("--no-tails leaves no source to ask; name another --source")
    with options.open_index(index, verify=not no_verify) as opened:
        screen = terminal.is_screen(os.environ) and not want_json
        asker = terminal.IndexAsker(
            opened, k=k, sources=options.source_flags(names), explain=screen
        )
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


@click.command(
    epilog=console.examples(
        "espalier predict catalogue.esp --features X.npz --out Y.npz",
        "espalier predict catalogue.esp --features X.npz --out Y.npz --beam 20 -k 5 --threads 4",
    )
)
@options.index_file
@click.option(
    "--features",
    type=options.FILE,
    required=True,
    metavar="X.npz",
    help="Features, a row a question, as scipy.sparse.save_npz writes them.",
)
@options.new_file("--out", "Y.npz", "Scores to write, a row an answer, best first.", required=True)
@click.option("--beam", type=click.IntRange(0), default=0, help="Nodes kept per level.")
@click.option("-k", type=click.IntRange(0), default=0, metavar="N", help="Labels per row.")
@click.option(
    "--threads", type=click.IntRange(0), default=0, help="Threads; 0 for one per processor."
)
@console.json_option
@options.no_verify
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
