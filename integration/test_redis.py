"""Sessions in a real Redis server: alive, stopped, killed, restarted."""

from __future__ import annotations

import contextlib
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from espalier.sessions.base import Recent, SessionStoreError
from espalier.sessions.redis import RedisSessionStore
from integration.processes import PATIENCE
from integration.redis_server import Server

KEY = bytes(range(32))
# Wide enough for a machine that runs other tests; that the time is kept is tested
# with servers that never answer.
BUDGET = 0.25


@pytest.fixture(name="server")
def a_server(tmp_path: Path) -> Iterator[Server]:
    """Return a running server; it ends with the test."""
    server = Server(tmp_path)
    yield server
    if server.process.poll() is None:
        server.send(signal.SIGKILL)


@contextlib.contextmanager
def opened(
    server: Server, *, ttl: float = 600.0, queries: int = 3, budget: float = BUDGET
) -> Iterator[RedisSessionStore]:
    """Open a store that is connected."""
    store = RedisSessionStore(
        server.url, key=KEY, ttl_seconds=ttl, max_queries=queries, budget_seconds=budget
    )
    with contextlib.closing(store):
        wait_until_well(store)
        yield store


def wait_until_well(store: RedisSessionStore) -> None:
    """Wait for the first answer."""
    end = time.monotonic() + PATIENCE
    while True:
        with contextlib.suppress(SessionStoreError):
            store.ping()
            return
        assert time.monotonic() < end, "the server did not come up"


def test_sessions_are_shared_by_all_hosts(server: Server) -> None:
    """Two stores with one secret, as on two hosts: the newest queries, newest first."""
    with opened(server) as one, opened(server) as two:
        assert not one.append("s", "nike")
        assert two.append("s", "größe 44 größer")
        assert one.append("s", "größe 44 größer")
        assert one.append("s", "a b  c")
        assert one.append("s", "d")

        recent = two.recent("s", 5)
        assert recent.queries == ("d", "a b  c", "größe 44 größer")
        assert len(recent.ages) == 3
        assert not recent.degraded
        assert two.recent("s", 1).queries == ("d",)
        assert Recent() == two.recent("other", 5)
        one.delete("s")
        one.delete("s")
        assert Recent() == two.recent("s", 5)
        assert (two.stats().found, two.stats().missed) == (2, 2)


def test_a_query_is_as_old_as_its_last_report(server: Server) -> None:
    """Ages come from the server's clock; repeating the newest query moves its time."""
    with opened(server) as store:
        store.append("s", "a")
        store.append("s", "b")
        time.sleep(2.1)
        store.append("s", "b")
        ages = store.recent("s", 5).ages

        assert len(ages) == 2
        assert ages[0] < ages[1]
        assert 2 <= ages[1] < PATIENCE


def test_use_starts_the_time_of_a_session_anew(server: Server) -> None:
    """Reading and writing both; unused, a session is gone after its time."""
    with opened(server, ttl=1.0) as store:
        store.append("read", "a")
        store.append("unused", "a")
        end = time.monotonic() + 2.5
        while time.monotonic() < end:
            assert store.recent("read", 1).queries == ("a",)
            time.sleep(0.05)

        assert store.recent("unused", 1).queries == ()
        time.sleep(1.2)
        assert store.recent("read", 1).queries == ()


def test_neither_ids_nor_more_than_the_last_queries_are_kept(
    server: Server, tmp_path: Path
) -> None:
    """What the server holds is the keyed hash and the queries that count."""
    client = shutil.which("redis-cli") or shutil.which("valkey-cli")
    if client is None:
        pytest.skip("no redis-cli to look into the server with")
    with opened(server) as store:
        for number in range(20):
            store.append("canary", f"query {number}")

    def ask(*words: str) -> str:
        return subprocess.run(
            [client, "-s", str(tmp_path / "redis.sock"), *words],
            capture_output=True,
            text=True,
            check=True,
        ).stdout

    (name,) = ask("KEYS", "*").split()
    assert name.startswith("espalier:session:")
    assert "canary" not in name
    assert ask("LLEN", name).strip() == "3"
    assert 0 < int(ask("PTTL", name)) <= 600_000


def test_a_server_that_hangs_costs_no_more_than_the_budget(server: Server) -> None:
    """Stopped in the middle of service: answers without context, and soon without waiting."""
    with opened(server, budget=0.02) as store:
        store.append("s", "nike")
        server.send(signal.SIGSTOP)
        times = []
        for _ in range(100):
            start = time.monotonic()
            assert store.recent("s", 5).degraded
            times.append(time.monotonic() - start)
        with pytest.raises(SessionStoreError):
            store.append("s", "adidas")
        server.send(signal.SIGCONT)

        # The median call does not wait at all: the breaker is open.
        assert sorted(times)[50] < 0.01
        assert store.stats().failed >= 101
        wait_until_well(store)
        assert store.recent("s", 5).queries[-1] == "nike"


def test_a_server_that_dies_is_used_again_when_it_is_back(server: Server) -> None:
    """Killed and started anew: sessions are gone, service is not."""
    with opened(server) as store:
        store.append("s", "nike")
        server.send(signal.SIGKILL)
        assert store.recent("s", 5).degraded
        with pytest.raises(SessionStoreError):
            store.delete("s")

        server.start()
        wait_until_well(store)
        assert Recent() == store.recent("s", 5)
        assert not store.append("s", "adidas")
        assert store.recent("s", 5).queries == ("adidas",)


def test_a_server_at_its_memory_limit_is_said_to_fail(server: Server, tmp_path: Path) -> None:
    """An error of the server is an answer without context, and no wrong one."""
    client = shutil.which("redis-cli") or shutil.which("valkey-cli")
    if client is None:
        pytest.skip("no redis-cli to set the limit with")
    with opened(server) as store:
        subprocess.run(
            [client, "-s", str(tmp_path / "redis.sock"), "CONFIG", "SET", "maxmemory", "1"],
            check=True,
            stdout=subprocess.DEVNULL,
        )
        with pytest.raises(SessionStoreError):
            store.append("s", "nike")
