"""Flags and arguments that several verbs share, and what they stand for."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar, cast

import click

from espalier import console
from espalier.access import ENVIRONMENT, Access
from espalier.errors import InputError

if TYPE_CHECKING:
    from espalier.index import Index, Source
    from espalier.progress import Progress

_Command = TypeVar("_Command", bound=Callable[..., Any])
_Given = TypeVar("_Given")

FILE = click.Path(path_type=Path)
SOURCES = ("model", "popular", "tail", "corrected")


def logs(command: _Command) -> _Command:
    """Take query logs as ``logs``."""
    text = (
        "Query log: TSV, CSV, JSON lines, Parquet or UBI, plain, gz or zst, or event files of "
        "espalier serve, or their folder. May repeat."
    )
    return click.option("--log", "logs", type=FILE, multiple=True, metavar="FILE", help=text)(
        command
    )


def task(command: _Command) -> _Command:
    """Take what the index is for as ``task``."""
    text = "Complete queries, or retrieve products for them."
    choice = click.Choice(("completion", "retrieval"))
    return click.option("--task", type=choice, default="completion", help=text)(command)


def only_for(task: str, wanted: str, options: Mapping[str, object]) -> None:
    """Refuse options of another task than ``wanted``."""
    for flag, value in options.items():
        if value and task != wanted:
            raise InputError(f"{flag} belongs to --task {wanted}, this is {task}; leave it out")


def needed(task: str, flag: str, value: _Given | None) -> _Given:
    """Return what was given for ``flag``, which this task cannot do without."""
    if not value:
        raise InputError(f"--task {task} needs {flag}")
    return value


def config_file(command: _Command) -> _Command:
    """Take a TOML file as ``config``."""
    return click.option("--config", type=FILE, metavar="FILE", help="TOML file with settings.")(
        command
    )


def set_option(command: _Command) -> _Command:
    """Take single settings as ``assignments``."""
    text = "One setting, over environment and config file. May repeat."
    return click.option("--set", "assignments", multiple=True, metavar="KEY=VALUE", help=text)(
        command
    )


def new_file(
    flag: str, metavar: str, text: str, *, required: bool = False, name: str | None = None
) -> Callable[[_Command], _Command]:
    """Take a file that is to be written, named by ``flag``."""
    return click.option(
        flag,
        name or flag.removeprefix("--").replace("-", "_"),
        type=FILE,
        required=required,
        metavar=metavar,
        callback=console.new_file,
        help=text,
    )


def quiet(command: _Command) -> _Command:
    """Take whether progress is hidden as ``quiet``."""
    return click.option("--quiet", is_flag=True, help="Show no progress.")(command)


def no_verify(command: _Command) -> _Command:
    """Take whether checksums are left unread as ``no_verify``."""
    text = "Do not compare the index with its checksums first."
    return click.option("--no-verify", is_flag=True, help=text)(command)


def index_file(command: _Command) -> _Command:
    """Take an index file as ``index``."""
    return click.argument("index", type=FILE, metavar="NAME.esp")(command)


def count(command: _Command) -> _Command:
    """Take the number of answers as ``k``."""
    return click.option(
        "-k",
        type=click.IntRange(1, 100),
        default=10,
        show_default=True,
        metavar="N",
        help="Answers.",
    )(command)


def previous(command: _Command) -> _Command:
    """Take queries of the session as ``previous``, most recent first."""
    return click.option(
        "--previous",
        multiple=True,
        metavar="QUERY",
        callback=console.query_texts,
        help="A query of the session. May repeat, most recent first.",
    )(command)


def sources(command: _Command) -> _Command:
    """Take names of sources as ``sources``."""
    return click.option(
        "--source",
        "sources",
        multiple=True,
        type=click.Choice(SOURCES),
        help="Ask only this source. May repeat.",
    )(command)


def where(command: _Command) -> _Command:
    """Take conditions on attributes of suggestions, and ``keep_generated``."""
    generated = click.option(
        "--keep-generated",
        is_flag=True,
        help="With --all-of or --any-of: also suggestions that nobody has typed.",
    )
    return conditions("suggestions", "locale:de")(generated(command))


def conditions(what: str, example: str) -> Callable[[_Command], _Command]:
    """Take conditions on attributes as ``all_of``, ``any_of`` and ``none_of``."""
    kinds = {
        "all-of": f"Only {what} with this attribute, as {example}.",
        "any-of": f"Only {what} with this attribute or another one given so.",
        "none-of": f"No {what} with this attribute.",
    }

    def add(command: _Command) -> _Command:
        for name, meaning in reversed(kinds.items()):
            command = click.option(
                f"--{name}",
                multiple=True,
                metavar="NAME:VALUE",
                callback=console.query_texts,
                help=f"{meaning} May repeat.",
            )(command)
        return command

    return add


@dataclass(frozen=True, slots=True)
class Target:
    """A service to call.

    Attributes:
        address: Where it is.
        access: How to get in.
    """

    address: str
    access: Access


def access(command: _Command) -> _Command:
    """Take how to get into a service, and give ``target`` as a `Target`."""

    @functools.wraps(command)
    def with_access(*, target: str, **given: Any) -> Any:
        chosen = {name: given.pop(name) for name in _ACCESS}
        return command(target=Target(target, Access(**chosen)), **given)

    taken: Any = with_access
    for name, (text, kind, metavar) in reversed(tuple(_ACCESS.items())):
        taken = click.option(
            f"--{name.replace('_', '-')}",
            name,
            type=kind,
            is_flag=kind is bool,
            default=None if kind is FILE else kind(),
            envvar=ENVIRONMENT[name],
            show_envvar=True,
            metavar=metavar,
            help=text,
        )(taken)
    return cast("_Command", taken)


# A token is never an argument: whoever may list processes could read it.
_ACCESS: Mapping[str, tuple[str, Any, str | None]] = {
    "tls": ("Ask for TLS; so do --ca and --certificate.", bool, None),
    "ca": ("PEM file of the authorities to trust; the system's if not given.", FILE, "FILE"),
    "certificate": ("PEM file of a certificate to show.", FILE, "FILE"),
    "key": ("PEM file of its key.", FILE, "FILE"),
    "server_name": ("Name in the service's certificate, if not the host's.", str, "NAME"),
    "token_file": ("File with the token to send.", FILE, "FILE"),
    "plain_token": ("Send it over a network without TLS.", bool, None),
}


def source_flags(names: Sequence[str]) -> Source | None:
    """Return the sources of these names, None for all of them."""
    from espalier.index import Source

    wanted = Source(0)
    for name in names:
        wanted |= Source[name.upper()]
    return wanted or None


def progress(*, quiet: bool) -> Progress:
    """Return what long work reports to."""
    from espalier.progress import NO_PROGRESS, TerminalProgress

    return NO_PROGRESS if quiet else TerminalProgress()


def open_index(path: Path, *, verify: bool) -> Index:
    """Open an index for completion."""
    import espalier

    return espalier.open(path, verify=verify)
