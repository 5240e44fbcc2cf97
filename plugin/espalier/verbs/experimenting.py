"""The verbs of experiments: what one found."""

from __future__ import annotations

from pathlib import Path

import click

from espalier import console
from espalier.errors import InputError
from espalier.verbs import options


@click.group()
def experiments() -> None:
    """See what experiments found."""


@experiments.command(
    epilog=console.examples(
        "espalier experiments report state/events --experiment ranking",
        "espalier experiments report day1.ndjson day2.ndjson.gz --experiment ranking --control A",
        "espalier experiments report events --experiment ranking --weight A=90 --weight B=10",
        "espalier experiments report events --experiment ranking --report report",
    )
)
@click.argument("events", type=options.FILE, nargs=-1, required=True, metavar="EVENTS...")
@click.option("--experiment", required=True, metavar="NAME", help="Which experiment.")
@click.option(
    "--control",
    default="",
    metavar="VARIANT",
    help="What the others are compared with; the first in the alphabet if not given.",
)
@click.option(
    "--weight",
    "weights",
    multiple=True,
    metavar="VARIANT=N",
    help="Share a variant was meant to have, in any unit. May repeat; equal if not given.",
)
@click.option(
    "--metric",
    default="acceptance_rate",
    show_default=True,
    metavar="NAME",
    help="The metric that decides.",
)
@click.option(
    "--tuned-for",
    type=click.IntRange(100),
    default=5_000,
    show_default=True,
    metavar="UNITS",
    help="Units at which intervals are narrowest; to be chosen before looking.",
)
@console.json_option
@click.option(
    "--report",
    "folder",
    type=options.FILE,
    metavar="DIR",
    help="Write report.html, with plots, and report.json here (needs the extra `report`).",
)
@options.quiet
def report(
    *,
    events: tuple[Path, ...],
    experiment: str,
    control: str,
    weights: tuple[str, ...],
    metric: str,
    tuned_for: int,
    want_json: bool,
    folder: Path | None,
    quiet: bool,
) -> None:
    """Say whether a variant is better, from the events of `espalier serve`.

    EVENTS are event files, plain or compressed, or folders of them. The report may be
    read every day: its intervals and its test of the shares hold at every look.
    """
    from espalier.analysis import Question, analyse, event_files
    from espalier.analysis.table import render
    from espalier.evaluate.folder import prepare_folder, report_files, write_files
    from espalier.files import refuse_to_overwrite

    files = event_files(events)
    if folder is not None:
        refuse_to_overwrite(files, report_files(folder))
        prepare_folder(folder)
    found = analyse(
        files,
        Question(
            experiment,
            control=control,
            weights=dict(map(_weight, weights)),
            metric=metric,
            tuned_for=tuned_for,
        ),
        progress=options.progress(quiet=quiet),
    )
    click.echo(console.as_json(found.to_json()) if want_json else render(found))
    if folder is not None:
        from espalier.analysis.page import render_page

        write_files(folder, render_page(found), found.to_json())


def _weight(text: str) -> tuple[str, float]:
    name, _, number = text.rpartition("=")
    try:
        weight = float(number)
    except ValueError:
        weight = 0.0
    if not name or not 0.0 < weight < float("inf"):
        raise InputError("--weight wants VARIANT=N with a number above 0, as in A=90")
    return name, weight
