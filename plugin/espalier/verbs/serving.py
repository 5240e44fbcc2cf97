"""The verbs of the sidecar: to run it, and to check what it would run with."""

from __future__ import annotations

import dataclasses
import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from espalier import console
from espalier.errors import ConfigError
from espalier.verbs import options

if TYPE_CHECKING:
    from espalier.settings import Loaded, ServeSettings

_NAMED_INDEX = re.compile(r"([A-Za-z][A-Za-z0-9._-]*)=(.+)", re.DOTALL)


@click.command(
    epilog=console.examples(
        "espalier serve --index site.esp",
        "espalier serve --index de=german.esp --index en=english.esp --listen 0.0.0.0:50051",
        "espalier serve --index indexes/current --state-dir state --admin unix:admin.sock",
        "espalier serve --config site.toml --set session_ttl_seconds=600",
        "espalier serve --index site.esp --http 127.0.0.1:8080 --metrics 127.0.0.1:9464",
        "espalier serve --index site.esp --http 127.0.0.1:8080 --demo",
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
@click.option("--metrics", metavar="HOST:PORT", help="Address where Prometheus reads, if it does.")
@click.option("--demo", is_flag=True, help="Show a page to try it, at / of the HTTP front.")
@click.option("--workers", metavar="N", help="Processes; by default one for each processor.")
@click.option("--state-dir", metavar="DIR", help="Folder for what survives a restart.")
@options.config_file
@options.set_option
@options.no_verify
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
    metrics: str | None,
    demo: bool,
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
    from espalier.settings import load, load_experiments, parse_assignments

    given = {
        "index": _named(indexes) or None,
        "listen": listen,
        "unix": unix,
        "admin": admin,
        "http": http,
        "metrics": metrics,
        "demo": "true" if demo else None,
        "workers": workers,
        "state_dir": state_dir,
    }
    flags = {name: value for name, value in given.items() if value is not None}

    def read() -> Loaded[ServeSettings]:
        return load(config, "serve", parse_assignments(list(assignments)), flags=flags)

    loaded = read()
    experiments = load_experiments(config, tuple(loaded.settings.index) or None)
    if print_config:
        from espalier.config import as_toml, experiments_as_toml

        click.echo(as_toml(loaded, "serve") + experiments_as_toml(experiments), nl=False)
        return 0
    from espalier.serve.supervisor import ENVIRONMENT

    # Before grpcio is loaded, which reads them once; what is said of it is for all processes.
    for name, value in ENVIRONMENT.items():
        os.environ.setdefault(name, value)
    from espalier.serve.runner import run

    if not loaded.settings.index:
        raise ConfigError("nothing to serve: give --index NAME.esp, or index under [serve]")
    return run(
        loaded.settings,
        verify=not no_verify,
        reread=lambda: read().settings,
        experiments=experiments,
        reread_experiments=lambda: load_experiments(config, tuple(read().settings.index)),
    )


def _named(indexes: Sequence[str]) -> dict[str, Path]:
    named: dict[str, Path] = {}
    for argument in indexes:
        match = _NAMED_INDEX.fullmatch(argument)
        name, path = match.groups() if match else ("default", argument)
        if name in named:
            raise ConfigError(f"--index: two indexes are named {name}; write --index NAME=PATH")
        named[name] = Path(path)
    return named


@click.command(
    "check-config",
    epilog=console.examples(
        "espalier check-config site.toml",
        "espalier check-config site.toml --json | jq '.problems[].key'",
    ),
)
@click.argument("file", type=options.FILE, metavar="FILE.toml")
@console.json_option
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
