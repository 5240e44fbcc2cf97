"""What SECURITY.md says of limits, settings and options is what there is."""

from __future__ import annotations

import re
from pathlib import Path

from espalier.access import ENVIRONMENT
from espalier.index import MAX_K, MAX_PREFIX_BYTES, MAX_PREVIOUS
from espalier.schema import kinds_of
from espalier.serve import secret_files, server
from espalier.serve.calls import Limits
from espalier.serve.http import app, front
from espalier.serve.reporting import MAX_EVENTS
from espalier.serve.tokens import LEAST_CHARACTERS
from espalier.sessions.base import MAX_SESSION_ID_BYTES
from espalier.settings import ServeSettings

ROOT = Path(__file__).resolve().parents[2]
TEXT = (ROOT / "SECURITY.md").read_text(encoding="utf-8")

LIMITS = {
    "request, over gRPC as over HTTP": server.MAX_REQUEST_BYTES,
    "reply over gRPC": server.MAX_REPLY_BYTES,
    "gRPC metadata": server.MAX_METADATA_BYTES,
    "HTTP request line and headers": app.MAX_HEAD_BYTES,
    "parameters of a URL": front.MAX_PARAMETERS,
    "calls of one connection at the same time": server.MAX_STREAMS,
    "handshake of a connection": server.HANDSHAKE_SECONDS,
    "request after its headers, or the next part of an HTTP request": Limits().request_seconds,
    "prefix": MAX_PREFIX_BYTES,
    "session id": MAX_SESSION_ID_BYTES,
    "previous queries that count": MAX_PREVIOUS,
    "suggestions of one answer": MAX_K,
    "events of one report": MAX_EVENTS,
    "file of certificates or tokens": secret_files.MOST_BYTES,
}


def test_every_limit_is_the_one_in_force() -> None:
    """The table has them all, and each in the number the code has."""
    _, _, rest = TEXT.partition("## Limits\n")
    rows = re.findall(r"^\| ([^|]+) \| ([\d,]+)[^|]* \|", rest.partition("\n## ")[0], re.MULTILINE)

    assert {what: float(number.replace(",", "")) for what, number in rows} == LIMITS
    assert f"each of {LEAST_CHARACTERS} characters or more" in TEXT


def test_every_option_of_a_client_is_listed() -> None:
    """By field, flag and variable."""
    for field, variable in ENVIRONMENT.items():
        flag = f"--{field.replace('_', '-')}"

        assert all(f"`{name}`" in TEXT for name in (field, flag, variable)), field


def test_every_setting_it_names_is_one() -> None:
    """A word in snake case that looks like a setting of the service is one."""
    known = set(kinds_of(ServeSettings))
    others = {"server_name", "plain_token", "min_users"}
    events = {"credentials_refused", "certificate_expires", "espalier_credential_reads_total"}
    named = set(re.findall(r"`([a-z]+(?:_[a-z]+)+)`", TEXT))

    assert named - known - others - events == set()
    assert {name for name in known if "tls" in name or "token" in name} <= named
