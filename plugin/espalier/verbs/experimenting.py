"""The verbs of experiments: to replay people, and to say what was found."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from espalier import console
from espalier.errors import InputError
from espalier.verbs import options

if TYPE_CHECKING:
    from espalier.analysis import Question
    from espalier.replay import Person


@click.group()
def experiments() -> None:
    """See what experiments found."""


@experiments.command(
    epilog=console.examples(
        "espalier experiments report state/events --experiment ranking --config site.toml",
        "espalier experiments report day1.ndjson day2.ndjson.gz --experiment ranking --control A",
        "espalier experiments report events --experiment ranking --weight A=90 --weight B=10",
        "espalier experiments report events --experiment ranking --report report",
    )
)
@click.argument("events", type=options.FILE, nargs=-1, required=True, metavar="EVENTS...")
@click.option("--experiment", required=True, metavar="NAME", help="Which experiment.")
@click.option(
    "--config",
    type=options.FILE,
    metavar="FILE",
    help="TOML file with the experiment: its first variant is the control, its weights are meant, "
    "and after its end nothing counts.",
)
@click.option(
    "--control",
    default="",
    metavar="VARIANT",
    help="What the others are compared with; that of --config, or the first in the alphabet.",
)
@click.option(
    "--weight",
    "weights",
    multiple=True,
    metavar="VARIANT=N",
    help="Share a variant was meant to have, in any unit. May repeat; those of --config, or equal.",
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
    config: Path | None,
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
    from espalier.analysis import Question, analyse
    from espalier.analysis.table import render
    from espalier.evaluate.folder import prepare_folder, report_files, write_files
    from espalier.events.reading import event_files
    from espalier.files import refuse_to_overwrite

    files = event_files(events)
    if folder is not None:
        refuse_to_overwrite(files, report_files(folder))
        prepare_folder(folder)
    designed = Question(experiment) if config is None else _designed(experiment, config)
    found = analyse(
        files,
        Question(
            experiment,
            control=control or designed.control,
            weights=dict(map(_weight, weights)) or designed.weights,
            metric=metric,
            tuned_for=tuned_for,
            until=designed.until,
        ),
        progress=options.progress(quiet=quiet),
    )
    click.echo(console.as_json(found.to_json()) if want_json else render(found))
    if folder is not None:
        from espalier.analysis.page import render_page

        write_files(folder, render_page(found), found.to_json())


def _designed(name: str, config: Path) -> Question:
    """Return what the configuration says of an experiment."""
    from espalier.analysis import Question
    from espalier.experiments import Mode
    from espalier.settings import load_experiments

    experiments = load_experiments(config)
    found = next((one for one in experiments if one.name == name), None)
    if found is None:
        known = ", ".join(one.name for one in experiments) or "none"
        raise InputError(f"{config} has no experiment {name!r}; those it has: {known}")
    widths = {one.name: one.share[1] - one.share[0] for one in found.variants}
    weights = {variant: width for variant, width in widths.items() if width > 0}
    split = found.mode is Mode.SPLIT and len(weights) > 1
    return Question(
        name, control=found.control.name, weights=weights if split else {}, until=found.end
    )


def _weight(text: str) -> tuple[str, float]:
    name, _, number = text.rpartition("=")
    try:
        weight = float(number)
    except ValueError:
        weight = 0.0
    if not name or not 0.0 < weight < float("inf"):
        raise InputError("--weight wants VARIANT=N with a number above 0, as in A=90")
    return name, weight


@click.command(
    epilog=console.examples(
        "espalier replay 127.0.0.1:50051 --pairs pairs.tsv",
        "espalier replay 127.0.0.1:50051 --sessions test-log.tsv --accept 0.7 --give-up 0.1",
        "espalier replay unix:espalier.sock.0 --pairs pairs.tsv --concurrency 2 --rate 50 --json",
    )
)
@click.argument("target", metavar="TARGET")
@options.access
@click.option(
    "--pairs",
    type=options.FILE,
    metavar="FILE.tsv",
    help="As `espalier pairs` writes: their next queries are typed, the others are known.",
)
@click.option(
    "--sessions",
    type=options.FILE,
    metavar="FILE",
    help="A query log, in any format: all queries of its sessions are typed.",
)
@click.option(
    "--people",
    "most",
    type=click.IntRange(1),
    metavar="N",
    help="At most so many people, drawn by the seed; all of them if not given.",
)
@click.option(
    "--first",
    "looks_at",
    type=click.IntRange(1, 100),
    default=10,
    show_default=True,
    metavar="N",
    help="Suggestions that are looked at, the first N.",
)
@click.option(
    "--accept",
    "attention",
    type=click.FloatRange(0, 1),
    default=1.0,
    show_default=True,
    metavar="P",
    help="Probability that somebody takes what was wanted when it is shown.",
)
@click.option(
    "--give-up",
    "gives_up",
    type=click.FloatRange(0, 1),
    default=0.0,
    show_default=True,
    metavar="P",
    help="Probability that somebody leaves instead of typing on to the end.",
)
@click.option(
    "--attribute",
    "attributes",
    multiple=True,
    metavar="NAME=VALUE",
    help="Of everybody, for experiments that ask for some. May repeat.",
)
@click.option(
    "--seed",
    type=int,
    default=1,
    show_default=True,
    metavar="N",
    help="Of chance, and of who the people are: with another they are others.",
)
@click.option(
    "--concurrency",
    type=click.IntRange(1, 256),
    default=8,
    show_default=True,
    metavar="N",
    help="People typing at a time.",
)
@click.option(
    "--rate",
    type=click.FloatRange(0),
    default=0.0,
    metavar="N",
    help="Keystrokes a second, of all together; as many as it takes if not given.",
)
@click.option(
    "--timeout",
    type=click.FloatRange(0, min_open=True),
    default=5.0,
    show_default=True,
    metavar="SECONDS",
    help="A call may take.",
)
@console.json_option
@options.quiet
def replay(
    *,
    target: options.Target,
    pairs: Path | None,
    sessions: Path | None,
    most: int | None,
    looks_at: int,
    attention: float,
    gives_up: float,
    attributes: tuple[str, ...],
    seed: int,
    concurrency: int,
    rate: float,
    timeout: float,
    want_json: bool,
    quiet: bool,
) -> int:
    """Let simulated people type held-out sessions into a running sidecar.

    They type letter by letter, accept their query when it is among the first
    suggestions, and report what they did, as people do: experiments that run are
    filled with units, and event files with events. Ends with 1 if a call failed.
    """
    from espalier.client import Client
    from espalier.replay import Behaviour
    from espalier.replay import replay as run
    from espalier.replay.calls import GrpcSidecar

    people = _people(pairs, sessions)
    given = dict(map(_attribute, attributes))
    channels = min(concurrency, 8)
    with Client(target.address, timeout=timeout, channels=channels, access=target.access) as client:
        found = run(
            GrpcSidecar(client, given),
            people,
            Behaviour(looks_at, attention, gives_up, seed),
            most=most,
            concurrency=concurrency,
            rate=rate,
            progress=options.progress(quiet=quiet),
        )
    click.echo(console.as_json(found.to_json()) if want_json else found.table())
    return console.EXIT_FAILURE if found.failed else 0


def _people(pairs: Path | None, sessions: Path | None) -> list[Person]:
    from espalier.querylog import read_log, read_pairs
    from espalier.replay import people_of_log, people_of_pairs
    from espalier.settings import LogSettings

    if (pairs is None) == (sessions is None):
        raise InputError("give --pairs or --sessions, one of them: what is to be typed")
    if pairs is not None:
        return people_of_pairs(read_pairs(pairs).rows)
    assert sessions is not None  # noqa: S101 - one of them was given
    return people_of_log(read_log([sessions], LogSettings()))


def _attribute(text: str) -> tuple[str, str]:
    name, sign, value = text.partition("=")
    if not name or not sign:
        raise InputError("--attribute wants NAME=VALUE, as in country=de")
    return name, value
