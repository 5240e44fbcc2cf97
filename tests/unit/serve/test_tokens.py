"""Tokens: what a file may hold, and who gets in."""

from __future__ import annotations

import hmac
from hashlib import sha256
from pathlib import Path
from unittest.mock import patch

import grpc
import pytest
from google.rpc.error_details_pb2 import ErrorInfo
from google.rpc.status_pb2 import Status

from espalier.errors import ConfigError
from espalier.serve.tokens import LEAST_CHARACTERS, Guard, Tokens, _Metadatum
from integration.certificates import token_file

OLD, NEW = "old-" + "a" * 40, "new-" + "b" * 40


def reason(status: Status | None) -> tuple[int, str, str] | None:
    """Return code, reason and what was wrong with the token."""
    if status is None:
        return None
    info = ErrorInfo()
    assert status.details[0].Unpack(info)
    return status.code, info.reason, info.metadata["token"]


UNAUTHENTICATED = grpc.StatusCode.UNAUTHENTICATED.value[0]
MISSING = (UNAUTHENTICATED, "UNAUTHENTICATED", "missing")
UNKNOWN = (UNAUTHENTICATED, "UNAUTHENTICATED", "unknown")


def test_every_token_of_a_file_is_valid(tmp_path: Path) -> None:
    """Comments and empty lines are none; what is kept and told to workers is no token."""
    path = token_file(tmp_path / "t", "# of last month", OLD, "", f"  {NEW}  ")
    tokens = Tokens.read(path, "token_file")

    assert tokens.refusal(f"Bearer {OLD}".encode()) is None
    assert tokens.refusal(f"bearer {NEW}".encode()) is None
    assert OLD not in repr(tokens)
    assert tokens.digests == (sha256(OLD.encode()).digest(), sha256(NEW.encode()).digest())
    assert Tokens.of(tokens.as_message()) == tokens


@pytest.mark.parametrize(
    ("header", "why"),
    [
        (None, MISSING),
        (b"", MISSING),
        (OLD.encode(), MISSING),
        (f"Basic {OLD}".encode(), MISSING),
        (b"Bearer ", MISSING),
        (b"Bearer " + OLD.encode()[:-1], UNKNOWN),
        (b"Bearer " + OLD.encode() + b"a", UNKNOWN),
        (b"Bearer " + OLD.upper().encode(), UNKNOWN),
        (b"Bearer \xff\xfe\x00", UNKNOWN),
        (b"Bearer " + b"a" * 1_000_000, UNKNOWN),
    ],
)
def test_anything_else_is_refused_and_said_why(header: bytes | None, why: object) -> None:
    """Missing or unknown; what was sent is repeated nowhere."""
    tokens = Tokens((sha256(OLD.encode()).digest(),))
    refused = tokens.refusal(header)

    assert reason(refused) == why
    assert refused is not None
    assert OLD not in str(refused)


def test_every_token_is_compared_to_its_end_and_in_constant_time() -> None:
    """Also after one has matched, and by what does not stop at the first difference."""
    tokens = Tokens(tuple(sha256(bytes([n])).digest() for n in range(3)))
    with patch("espalier.serve.tokens.hmac.compare_digest", wraps=hmac.compare_digest) as compare:
        assert tokens.refusal(b"Bearer \x00") is None

    assert compare.call_count == 3


def test_metadata_of_a_call_is_searched() -> None:
    """The first entry of that name counts."""
    guard = Guard(Tokens((sha256(OLD.encode()).digest(),)))
    agent = _Metadatum("user-agent", "grpc")
    right = _Metadatum("authorization", f"Bearer {OLD}")
    wrong = _Metadatum("authorization", b"Bearer x")

    assert guard.refusal([agent, right]) is None
    assert reason(guard.refusal([agent])) == MISSING
    assert reason(guard.refusal([agent, wrong, right])) == UNKNOWN
    guard.tokens = Tokens((sha256(NEW.encode()).digest(),))
    assert reason(guard.refusal([right])) == UNKNOWN


@pytest.mark.parametrize(
    ("lines", "says"),
    [
        ([], "holds no token"),
        (["# nothing", ""], "holds no token"),
        (["a" * (LEAST_CHARACTERS - 1)], "line 1 has 31 characters, fewer than 32"),
        ([OLD, "two words " + "a" * 40], "line 2 is no token"),
    ],
)
def test_a_file_without_usable_tokens_is_refused(
    tmp_path: Path, lines: list[str], says: str
) -> None:
    """The error names the line, never what stands there."""
    path = token_file(tmp_path / "t", *lines)

    with pytest.raises(ConfigError, match=says) as caught:
        Tokens.read(path, "token_file")

    assert all(line not in str(caught.value) for line in lines if len(line) > 20)


def test_a_file_that_others_can_read_is_refused(tmp_path: Path) -> None:
    """Tokens in it are no secret any more."""
    path = token_file(tmp_path / "t", OLD)
    path.chmod(0o644)

    with pytest.raises(ConfigError, match=r"named by serve\.admin_token_file, is open to others"):
        Tokens.read(path, "admin_token_file")
