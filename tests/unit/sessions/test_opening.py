"""Which store a configuration asks for."""

from __future__ import annotations

import contextlib
import sys
from pathlib import Path

import pytest

from espalier.errors import ConfigError
from espalier.sessions.memory import MemorySessionStore
from espalier.sessions.opening import FILE_NAME, open_sessions
from espalier.sessions.redis import RedisSessionStore
from espalier.sessions.shared import SharedSessionStore
from espalier.settings import ServeSettings


def test_without_a_state_folder_sessions_are_in_memory() -> None:
    """The default needs no folder."""
    opened = open_sessions(ServeSettings())

    assert isinstance(opened.store, MemorySessionStore)
    assert opened.notices == ()


@pytest.mark.parametrize("sessions", ["auto", "shared"])
def test_with_a_state_folder_sessions_are_shared(tmp_path: Path, sessions: str) -> None:
    """Every worker that is told the same folder opens the same table."""
    settings = ServeSettings(
        state_dir=tmp_path, sessions=sessions, max_sessions=100, session_queries=2
    )
    one, two = open_sessions(settings), open_sessions(settings)
    with contextlib.closing(one.store), contextlib.closing(two.store):
        assert isinstance(one.store, SharedSessionStore)
        for query in "abc":
            one.store.append("s", query)

        assert two.store.recent("s", 9).queries == ("c", "b")
        assert (tmp_path / FILE_NAME).exists()


def test_memory_is_used_in_a_state_folder_if_asked_for(tmp_path: Path) -> None:
    """The folder may be there for other things."""
    opened = open_sessions(ServeSettings(state_dir=tmp_path, sessions="memory"))

    assert isinstance(opened.store, MemorySessionStore)
    assert list(tmp_path.iterdir()) == []


def test_a_worker_opens_what_its_parent_has(tmp_path: Path) -> None:
    """Where the parent found no disk space, its memory is shared under another path."""
    with contextlib.closing(SharedSessionStore(None, max_sessions=100)) as parents:
        parents.append("s", "nike")
        opened = open_sessions(
            ServeSettings(state_dir=tmp_path, max_sessions=100), shared_path=parents.shared_path
        )
        with contextlib.closing(opened.store):
            assert opened.store.recent("s", 5).queries == ("nike",)
            assert opened.notices == ()


def test_what_happened_while_opening_is_told(tmp_path: Path) -> None:
    """The caller logs it."""
    (tmp_path / FILE_NAME).write_bytes(b"something else")
    opened = open_sessions(ServeSettings(state_dir=tmp_path, max_sessions=100))
    opened.store.close()

    assert [notice.event for notice in opened.notices] == ["session_file_replaced"]


def test_a_url_opens_redis(tmp_path: Path) -> None:
    """With the secret from a file; a server that is not there is no error."""
    key = tmp_path / "key"
    key.write_bytes(bytes(range(40)))
    opened = open_sessions(
        ServeSettings(sessions=f"unix://{tmp_path}/no.sock", session_key_file=key)
    )
    with contextlib.closing(opened.store):
        assert isinstance(opened.store, RedisSessionStore)
        assert opened.store.recent("s", 5).degraded


def test_the_key_must_be_a_secret(tmp_path: Path) -> None:
    """Too short and not there: both are said before service begins."""
    key = tmp_path / "key"
    settings = ServeSettings(sessions="redis://localhost/0", session_key_file=key)
    with pytest.raises(ConfigError, match="cannot be read"):
        open_sessions(settings)

    key.write_bytes(b"short")
    with pytest.raises(ConfigError, match="5 bytes are no secret"):
        open_sessions(settings)


def test_a_bad_url_is_not_repeated(tmp_path: Path) -> None:
    """It may hold a password."""
    key = tmp_path / "key"
    key.write_bytes(bytes(32))
    with pytest.raises(ConfigError, match="no URL of a Redis server") as caught:
        open_sessions(ServeSettings(sessions="redis://:canary@host:port/0", session_key_file=key))
    assert "canary" not in str(caught.value)

    with pytest.raises(ConfigError, match=r"serve\.sessions cannot be used") as caught:
        ServeSettings(sessions="http://:canary@host")
    assert "canary" not in str(caught.value)


def test_settings_that_need_each_other_are_checked_together() -> None:
    """Before anything is opened."""
    with pytest.raises(ConfigError, match="state_dir"):
        ServeSettings(sessions="shared")
    with pytest.raises(ConfigError, match="session_key_file"):
        ServeSettings(sessions="redis://localhost/0")


def test_without_redis_py_the_extra_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The command that would help stands in the message."""
    key = tmp_path / "key"
    key.write_bytes(bytes(32))
    for name in [name for name in sys.modules if name.startswith("espalier.sessions.redis")]:
        monkeypatch.delitem(sys.modules, name)
    for name in [name for name in sys.modules if name.partition(".")[0] == "redis"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setattr(sys, "path", [])

    with pytest.raises(ConfigError, match=r"\[redis\]"):
        open_sessions(ServeSettings(sessions="redis://localhost/0", session_key_file=key))
