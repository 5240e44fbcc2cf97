"""The verbs that say what an index is worth, what it holds, and whether it is whole."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from espalier import console
from espalier.errors import InputError
from espalier.files import refuse_to_overwrite
from espalier.verbs import options

if TYPE_CHECKING:
    from espalier.index import Index


@click.command(
    epilog=console.examples(
        "espalier evaluate site.esp --pairs pairs.tsv",
        "espalier evaluate new.esp old.esp --pairs pairs.tsv --json figures.json",
        "espalier evaluate site.esp --pairs pairs.tsv --ablate --sample 5000 --report report",
        "espalier evaluate shop.esp --task retrieval --judgements test.tsv --catalogue shop.tsv",
    )
)
@click.argument("indexes", type=options.FILE, nargs=-1, required=True, metavar="NAME.esp...")
@options.task
@click.option("--pairs", type=options.FILE, metavar="FILE.tsv", help="As `espalier pairs` writes.")
@click.option(
    "--judgements",
    type=options.FILE,
    metavar="FILE.tsv",
    help="With retrieval: query, product_id and relevance.",
)
@click.option(
    "--catalogue",
    type=options.FILE,
    metavar="FILE.tsv",
    help="With retrieval: product_id and title.",
)
@click.option(
    "--relevant",
    type=float,
    default=2.33,
    show_default=True,
    metavar="GRADE",
    help="With retrieval: lowest relevance that counts.",
)
@click.option(
    "--beam",
    "beams",
    type=click.IntRange(1, 1000),
    multiple=True,
    metavar="N",
    help="With retrieval: recall, size and latency of each index with this beam. May repeat.",
)
@options.new_file("--plot", "FILE.svg", "With --beam: draw them (needs the extra `report`).")
@options.new_file(
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
    type=options.FILE,
    metavar="DIR",
    help="Write report.html, with plots, and report.json here (needs the extra `report`).",
)
@click.option(
    "--sample",
    type=click.IntRange(1),
    metavar="N",
    help="Ask at most N rows, the same ones in every run.",
)
@options.count
@options.no_verify
@options.quiet
def evaluate(
    *,
    indexes: tuple[Path, ...],
    task: str,
    pairs: Path | None,
    judgements: Path | None,
    catalogue: Path | None,
    relevant: float,
    beams: tuple[int, ...],
    plot: Path | None,
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
    queries of judgements. With --beam there may be more indexes, as of different sizes
    (`keep`, `threshold`): the first is measured so, and all of them with each beam.
    """
    completion = {
        "--pairs": pairs, "--system": systems, "--ablate": ablate, "--report": folder,
        "--sample": sample,
    }  # fmt: skip
    options.only_for(task, "completion", completion)
    retrieval = {
        "--judgements": judgements, "--catalogue": catalogue, "--beam": beams, "--plot": plot
    }  # fmt: skip
    options.only_for(task, "retrieval", retrieval)
    if task == "retrieval":
        _evaluate_retrieval(
            indexes,
            options.needed(task, "--judgements", judgements),
            options.needed(task, "--catalogue", catalogue),
            relevant,
            json_out,
            beams=beams,
            plot=plot,
            verify=not no_verify,
            quiet=quiet,
        )
        return 0
    pairs = options.needed(task, "--pairs", pairs)
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
        progress=options.progress(quiet=quiet),
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
    beams: tuple[int, ...],
    plot: Path | None,
    verify: bool,
    quiet: bool,
) -> None:
    from espalier.retrieval.evaluation import evaluate_retrieval
    from espalier.retrieval.sweep import draw, rows_of, sweep

    if len(indexes) != 1 and not beams:
        raise InputError(
            f"--task retrieval measures one index at a time, not {len(indexes)}; "
            "give --beam to compare several"
        )
    if plot is not None and not beams:
        raise InputError("--plot needs --beam, the beams to draw")
    targets = [one for one in (json_out, plot) if one is not None]
    refuse_to_overwrite([*indexes, judgements, catalogue], targets)
    report = evaluate_retrieval(
        indexes[0],
        judgements,
        catalogue,
        relevant=relevant,
        verify=verify,
        progress=options.progress(quiet=quiet),
    )
    points = sweep(
        indexes,
        judgements,
        beams=beams,
        relevant=relevant,
        verify=verify,
        progress=options.progress(quiet=quiet),
    )
    if json_out is None or str(json_out) != "-":
        click.echo(console.table(report.rows(), "-r-rrrr"))
        click.echo(f"\n{report.remarks()}")
        if points:
            click.echo(f"\n{console.table(rows_of(points), '-rrrrrrrr')}")
    if json_out is not None:
        found = report.to_json() | {"sweep": [one.to_json() for one in points]}
        console.write_json(json_out, found)
    if plot is not None:
        draw(points, plot)


@click.command(
    epilog=console.examples(
        "espalier inspect site.esp", "espalier inspect site.esp --json | jq .labels"
    )
)
@options.index_file
@console.json_option
def inspect(*, index: Path, want_json: bool) -> None:
    """Show what an index holds, in constant time whatever its size."""
    with options.open_index(index, verify=False) as opened:
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


@click.command(
    epilog=console.examples("espalier validate site.esp", "espalier validate site.esp --deep")
)
@options.index_file
@click.option("--deep", is_flag=True, help="Check every invariant of the format as well.")
def validate(*, index: Path, deep: bool) -> None:
    """Check that an index file is whole; ends with 2 if it is not."""
    with options.open_index(index, verify=True) as opened:
        opened.validate(deep=deep)
        labels = opened.info.labels
    holds = "checksums and every invariant hold" if deep else "checksums hold"
    click.echo(f"ok: {index}: {labels:,} labels, {holds}")
