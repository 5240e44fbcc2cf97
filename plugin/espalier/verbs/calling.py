"""The verbs that ask any gRPC server: what it offers, what it answers, how it is."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, Final, TypeVar

import click

from espalier import console
from espalier.errors import InputError
from espalier.verbs import options

if TYPE_CHECKING:
    from espalier.calling import AnyServer, Element

_Command = TypeVar("_Command", bound=Callable[..., Any])

_HEADER: Final = re.compile(r"([0-9A-Za-z_.-]+)\s*:\s*([\x20-\x7e]*)")
_BINARY: Final = "-bin"


def _address(command: _Command) -> _Command:
    return click.argument("target", metavar="ADDRESS")(options.access(command))


def _timeout(default: float, text: str) -> Callable[[_Command], _Command]:
    return click.option(
        "--timeout",
        type=click.FloatRange(0, 86_400),
        default=default,
        show_default=True,
        metavar="SECONDS",
        help=text,
    )


@click.command(
    epilog=console.examples(
        "espalier call 127.0.0.1:50051",
        "espalier call 127.0.0.1:50051 Complete",
        """espalier call 127.0.0.1:50051 Complete '{"prefix": "c", "maxSuggestions": 3}'""",
        "espalier call unix:admin.sock espalier.v1.IndexService/ListIndexes '{}' --json",
        "espalier call 127.0.0.1:50051 Complete - < requests.json",
    )
)
@_address
@click.argument("name", required=False, default="", metavar="[METHOD]")
@click.argument("request_text", required=False, metavar="[REQUEST]")
@click.option(
    "--header",
    "-H",
    "headers",
    multiple=True,
    metavar="NAME:VALUE",
    help="Send this metadata too. May repeat.",
)
@_timeout(10.0, "A call may take; 0: as long as it takes.")
@console.json_option
def call(
    *,
    target: options.Target,
    name: str,
    request_text: str | None,
    headers: tuple[str, ...],
    timeout: float,
    want_json: bool,
) -> None:
    """Call a method of any server that describes itself, as JSON.

    Without METHOD, list what the server at ADDRESS (HOST:PORT or unix:PATH) offers. Without
    REQUEST, describe the method, or a service or message of that name. With REQUEST, a JSON
    document in the mapping of Protocol Buffers, call it; `-` reads that from stdin, and a
    method that takes a stream takes several documents. With --json every reply is one line.
    """
    metadata = [_header(one) for one in headers]
    with _open(target, timeout, metadata) as server:
        if not name:
            _list(server, want_json=want_json)
        elif request_text is None:
            _describe(server.element(name), want_json=want_json)
        else:
            text = sys.stdin.read() if request_text == "-" else request_text
            for document in _replies(server, name, text):
                _show(document, want_json=want_json)


def _open(
    target: options.Target, timeout: float, metadata: Sequence[tuple[str, str]] = ()
) -> AnyServer:
    from espalier.calling import AnyServer

    access = target.access
    return AnyServer(target.address, timeout=timeout or None, metadata=metadata, access=access)


def _header(text: str) -> tuple[str, str]:
    match = _HEADER.fullmatch(text)
    if match is None or match[1].lower().endswith(_BINARY):
        raise InputError("--header takes NAME:VALUE, both of printable ASCII and no NAME-bin")
    return match[1].lower(), match[2]


def _replies(server: AnyServer, name: str, text: str) -> Iterator[dict[str, Any]]:
    from espalier.calling import documents_in

    documents = documents_in(text)
    method = server.method(name)
    if len(documents) != 1 and not method.client_streaming:
        raise InputError(f"{method.full_name} takes one request, not {len(documents)}")
    requests = [server.message(method.input_type, one) for one in documents]
    return map(server.as_document, server.call(method, requests))


def _list(server: AnyServer, *, want_json: bool) -> None:
    services = {name: server.service(name) for name in server.services}
    methods = {
        name: [] if service is None else [method.name for method in service.methods]
        for name, service in services.items()
    }
    if want_json:
        found = [{"service": name, "methods": names} for name, names in methods.items()]
        click.echo(console.as_json({"services": found}))
        return
    for service, names in methods.items():
        # One that is not described is listed all the same.
        for line in [f"{service}/{name}" for name in names] or [service]:
            click.echo(console.printable(line))


def _describe(element: Element, *, want_json: bool) -> None:
    from google.protobuf import json_format

    from espalier.calling import declaration_of, source_of

    if want_json:
        declared = json_format.MessageToDict(declaration_of(element))
        click.echo(console.as_json({"name": element.full_name, "declaration": declared}))
        return
    for line in source_of(element).splitlines():
        click.echo(console.printable(line))


def _show(document: dict[str, Any], *, want_json: bool) -> None:
    if want_json:
        click.echo(console.as_json(document, indent=None))
        return
    for line in console.as_json(document).splitlines():
        click.echo(console.printable(line))


@click.command(
    epilog=console.examples(
        "espalier health 127.0.0.1:50051",
        "espalier health 127.0.0.1:50051 index/default",
        "espalier health unix:admin.sock workers --wait 30",
    )
)
@_address
@click.argument("component", default="ready")
@click.option(
    "--wait",
    type=click.FloatRange(0, 86_400),
    default=0.0,
    metavar="SECONDS",
    help="Ask until it serves, at most so long.",
)
@_timeout(5.0, "An answer may take.")
@console.json_option
def health(
    *, target: options.Target, component: str, wait: float, timeout: float, want_json: bool
) -> int:
    """Ask a server how it, or one COMPONENT of it, is; ends with 0 only if it serves.

    It speaks grpc.health.v1, which every gRPC service may. Of a sidecar, `ready` means that
    requests may be sent, `live` that the process runs, `index/NAME` that the newest file of
    an index could be loaded.
    """
    with _open(target, timeout) as server:
        status = server.health(component, wait=wait)
    if want_json:
        click.echo(console.as_json({"component": component, "status": status}))
    else:
        click.echo(status)
    return 0 if status == "SERVING" else console.EXIT_FAILURE
