"""The verbs of an operator: `espalier indexes` and `espalier rules`, over the admin listener."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from espalier import console
from espalier.errors import InputError
from espalier.verbs import options
from espalier.verbs.options import Target

if TYPE_CHECKING:
    from espalier.admin import Admin, OverlayState
    from espalier.overlay import Rule

_Command = TypeVar("_Command", bound=Callable[..., Any])
_STATE = "INDEX_STATE_"


@click.group()
def indexes() -> None:
    """See and change which index files a running service answers from."""


@click.group()
def rules() -> None:
    """See and change blocks, pins and boosts of a running service."""


# ---- what the verbs share -----------------------------------------------------------


def _admin(command: _Command) -> _Command:
    text = "Admin address of the service: HOST:PORT or unix:PATH."
    command = click.option(
        "--index", metavar="NAME", default="", help="Of which index; the default one if not given."
    )(options.access(command))
    return click.option(
        "--admin",
        "target",
        required=True,
        envvar="ESPALIER_ADMIN",
        show_envvar=True,
        metavar="ADDRESS",
        help=text,
    )(command)


def _texts(command: _Command) -> _Command:
    command = click.option(
        "--word",
        "words",
        multiple=True,
        metavar="WORD",
        callback=console.query_texts,
        help="Every query with this word. May repeat.",
    )(command)
    return click.argument("queries", nargs=-1, metavar="[QUERY]...", callback=console.query_texts)(
        command
    )


def _blocks(command: _Command) -> _Command:
    command = click.option(
        "--file",
        "file",
        type=click.Path(path_type=Path),
        metavar="FILE",
        help="Queries to block, one a line.",
    )(command)
    command = click.option(
        "--pattern",
        "patterns",
        multiple=True,
        metavar="RE2",
        callback=console.query_texts,
        help="Every query this expression is found in. May repeat.",
    )(command)
    return _texts(command)


def _open(target: Target) -> Admin:
    from espalier.admin import Admin

    return Admin(target.address, access=target.access)


# ---- indexes ------------------------------------------------------------------------


@indexes.command(
    "list",
    epilog=console.examples(
        "espalier indexes list --admin unix:admin.sock",
        "espalier indexes list --admin 127.0.0.1:50052 --json | jq .revisions",
    ),
)
@_admin
@console.json_option
def list_indexes(*, target: Target, index: str, want_json: bool) -> None:
    """Show every revision that is loaded, and what could not be."""
    from espalier.admin import IndexState

    with _open(target) as admin:
        reply = admin.indexes(index)
    found = [
        {
            "index": one.index,
            "revision": one.revision,
            "state": IndexState.Name(one.state).removeprefix(_STATE).lower(),
            "labels": one.labels,
            "bytes": one.bytes,
            "path": one.path,
        }
        for one in reply.revisions
    ]
    failures = [
        {"index": one.index, "path": one.path, "reason": one.reason, "message": one.message}
        for one in reply.failures
    ]
    if want_json:
        answer = {"workers": reply.workers, "revisions": found, "failures": failures}
        click.echo(console.as_json(answer))
        return
    heads = ["index", "revision", "state", "labels", "bytes", "path"]
    rows = [[_shown(one[head]) for head in heads] for one in found]
    click.echo(console.table([heads, *rows], "---rr-"))
    for failure in failures:
        click.echo(f"not loaded: {console.printable(failure['message'])}", err=True)


@indexes.command(
    epilog=console.examples(
        "espalier indexes load tonight.esp --activate --admin unix:admin.sock",
        "espalier indexes load german.esp --index de --admin unix:admin.sock",
    )
)
@click.argument("path", type=click.Path(path_type=Path), metavar="NAME.esp")
@click.option("--activate", is_flag=True, help="Let it answer as well.")
@_admin
@console.json_option
def load(*, path: Path, activate: bool, target: Target, index: str, want_json: bool) -> None:
    """Check a file, and get every worker ready to answer from it."""
    with _open(target) as admin:
        reply = admin.load(path, index=index, activate=activate)
    one = reply.loaded
    if want_json:
        answer = {"index": one.index, "loaded": one.revision, "active": reply.header.index_revision}
        click.echo(console.as_json(answer))
        return
    what = "answers" if one.revision == reply.header.index_revision else "is ready to be activated"
    click.echo(f"{one.index}: {one.revision} {what} ({one.labels:,} labels)")


@indexes.command(
    epilog=console.examples("espalier indexes activate 24207157c3746cdb --admin unix:admin.sock")
)
@click.argument("revision")
@_admin
@console.json_option
def activate(*, revision: str, target: Target, index: str, want_json: bool) -> None:
    """Let a loaded revision answer, in every worker."""
    with _open(target) as admin:
        header = admin.activate(revision, index=index).header
    _say_active(header, want_json=want_json)


@indexes.command(
    epilog=console.examples(
        "espalier indexes rollback --admin unix:admin.sock",
        "espalier indexes rollback --from 24207157c3746cdb --admin unix:admin.sock",
    )
)
@click.option(
    "--from", "leave", metavar="REVISION", default="", help="Only if this one answers: repeatable."
)
@_admin
@console.json_option
def rollback(*, leave: str, target: Target, index: str, want_json: bool) -> None:
    """Let the revision answer that did before."""
    with _open(target) as admin:
        header = admin.roll_back(index=index, from_revision=leave).header
    _say_active(header, want_json=want_json)


@indexes.command(
    epilog=console.examples("espalier indexes unload 24207157c3746cdb --admin unix:admin.sock")
)
@click.argument("revision")
@_admin
@console.json_option
def unload(*, revision: str, target: Target, index: str, want_json: bool) -> None:
    """Let go of a revision that does not answer."""
    with _open(target) as admin:
        header = admin.unload(revision, index=index).header
    _say_active(header, want_json=want_json)


def _say_active(header: Any, *, want_json: bool) -> None:
    if want_json:
        click.echo(console.as_json({"index": header.index, "active": header.index_revision}))
    else:
        click.echo(f"{header.index}: {header.index_revision or 'nothing'} answers")


def _shown(value: object) -> str:
    return f"{value:,}" if isinstance(value, int) else console.printable(str(value))


# ---- rules --------------------------------------------------------------------------


@rules.command("list", epilog=console.examples("espalier rules list --admin unix:admin.sock"))
@_admin
@console.json_option
def list_rules(*, target: Target, index: str, want_json: bool) -> None:
    """Show the rules of an index, in the form of an overlay file."""
    from espalier.overlay.rules import to_json

    with _open(target) as admin:
        found = [to_json(rule) for rule in admin.rules(index)]
    if want_json:
        click.echo(console.as_json({"espalier_overlay": 1, "rules": found}))
    elif not found:
        click.echo("no rules", err=True)
    else:
        for one in found:
            click.echo(console.printable(console.as_json(one, indent=None)))


@rules.command(
    epilog=console.examples(
        'espalier rules block "rolex replica" --admin unix:admin.sock',
        'espalier rules block --word fake --pattern "^cheap .* online$" --admin unix:admin.sock',
        "espalier rules block --file blocked.txt --admin unix:admin.sock",
    )
)
@_blocks
@_admin
@console.json_option
def block(*, target: Target, index: str, want_json: bool, **texts: Any) -> None:
    """Keep queries out of every answer, from now on."""
    with _open(target) as admin:
        _say_rules(admin.add(*_blocked(**texts), index=index), want_json=want_json)


@rules.command(
    epilog=console.examples('espalier rules unblock "rolex replica" --admin unix:admin.sock')
)
@_blocks
@_admin
@console.json_option
def unblock(*, target: Target, index: str, want_json: bool, **texts: Any) -> None:
    """Take blocks back, as they were given."""
    with _open(target) as admin:
        _say_rules(admin.remove(*_blocked(**texts), index=index), want_json=want_json)


@rules.command(
    epilog=console.examples(
        'espalier rules pin "Camping sale" --min-prefix 2 --admin unix:admin.sock'
    )
)
@click.argument("query", callback=console.query_text)
@click.option(
    "--position",
    type=click.IntRange(1, 100),
    default=1,
    show_default=True,
    help="Place in the list.",
)
@click.option(
    "--min-prefix",
    type=click.IntRange(0, 1024),
    default=1,
    show_default=True,
    help="Characters that must have been typed.",
)
@click.option("--display", default="", metavar="TEXT", callback=console.query_text, help="To show.")
@_admin
@console.json_option
def pin(
    *,
    query: str,
    position: int,
    min_prefix: int,
    display: str,
    target: Target,
    index: str,
    want_json: bool,
) -> None:
    """Give a query a fixed place; it need not be in the index."""
    from espalier.overlay import Pin

    one = Pin(query, position=position, min_prefix=min_prefix, display=display)
    with _open(target) as admin:
        _say_rules(admin.add(one, index=index), want_json=want_json)


@rules.command(epilog=console.examples('espalier rules unpin "Camping sale" --admin unix:a.sock'))
@click.argument("queries", nargs=-1, required=True, callback=console.query_texts)
@_admin
@console.json_option
def unpin(*, queries: Sequence[str], target: Target, index: str, want_json: bool) -> None:
    """Take pins back."""
    from espalier.overlay import Pin

    with _open(target) as admin:
        _say_rules(admin.remove(*map(Pin, queries), index=index), want_json=want_json)


@rules.command(
    epilog=console.examples(
        'espalier rules boost --by 0.5 "garden hose" --admin unix:admin.sock',
        "espalier rules boost --by -1 --word refurbished --admin unix:admin.sock",
    )
)
@click.option("--by", type=float, required=True, metavar="NUMBER", help="Below 0 demotes.")
@_texts
@_admin
@console.json_option
def boost(*, by: float, target: Target, index: str, want_json: bool, **texts: Any) -> None:
    """Add to the scores of queries."""
    with _open(target) as admin:
        _say_rules(admin.add(*_boosted(by, **texts), index=index), want_json=want_json)


@rules.command(
    epilog=console.examples('espalier rules unboost "garden hose" --admin unix:admin.sock')
)
@_texts
@_admin
@console.json_option
def unboost(*, target: Target, index: str, want_json: bool, **texts: Any) -> None:
    """Take boosts back."""
    with _open(target) as admin:
        _say_rules(admin.remove(*_boosted(0.0, **texts), index=index), want_json=want_json)


def _blocked(
    *,
    queries: Sequence[str],
    words: Sequence[str],
    patterns: Sequence[str],
    file: Path | None,
) -> list[Rule]:
    from espalier.overlay import Block, BlockPattern, BlockWord

    lines = [] if file is None else _lines(file)
    return _some(
        [
            *map(Block, (*queries, *lines)),
            *map(BlockWord, words),
            *map(BlockPattern, patterns),
        ]
    )


def _boosted(by: float, *, queries: Sequence[str], words: Sequence[str]) -> list[Rule]:
    from espalier.overlay import Boost, BoostWord

    return _some([*(Boost(text, by) for text in queries), *(BoostWord(text, by) for text in words)])


def _some(found: list[Rule]) -> list[Rule]:
    if not found:
        raise InputError("nothing is named; give a query, or see --help for words and more")
    return found


def _lines(path: Path) -> list[str]:
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror}); check the path") from None
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: byte {error.start} is not UTF-8; save it as UTF-8") from None
    return [line for line in text.splitlines() if line.strip()]


def _say_rules(state: OverlayState, *, want_json: bool) -> None:
    if want_json:
        answer = {
            "rules": state.rules,
            "persisted": state.persisted,
            "workers": state.workers,
        }
        click.echo(console.as_json(answer))
        return
    kept = "kept" if state.persisted else "until the service ends (it has no --state-dir)"
    click.echo(f"{state.rules:,} rules hold in {state.workers} workers, {kept}")
