"""The Redis store before servers that are none, or are slow: nothing is waited for long."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections.abc import Iterator

import pytest

from espalier.sessions.base import WITHOUT_STORE, SessionStoreError
from espalier.sessions.breaker import CircuitBreaker
from espalier.sessions.redis import RedisSessionStore
from tests.unit.sessions.fake_redis import NONSENSE, PATIENCE, Answer, drips, hangs, says, server

KEY = bytes(16)
BUDGET = 0.02


@contextlib.contextmanager
def store_at(url: str, breaker: CircuitBreaker | None = None) -> Iterator[RedisSessionStore]:
    """Open a store on the server, its first connection made."""
    store = RedisSessionStore(url, key=KEY, budget_seconds=BUDGET, breaker=breaker)
    with contextlib.closing(store):
        yield store


@pytest.mark.parametrize("answer", [says(text) for text in NONSENSE.values()], ids=NONSENSE)
def test_nonsense_is_an_answer_without_context(answer: Answer) -> None:
    """Whatever speaks on that port, a completion goes on, and knows that it lacks context."""
    with server(answer) as url, store_at(url) as store:
        store.ping()
        failed = store.stats().failed

        assert store.recent("s", 5) is WITHOUT_STORE
        assert store.stats().failed == failed + 1


@pytest.mark.parametrize("answer", [says(text) for text in (b"+OK\r\n", b"-ERR no\r\n", b"x")])
def test_recording_and_deleting_say_that_they_failed(answer: Answer) -> None:
    """What was not remembered, or may still be, is not said to be done."""
    with server(answer) as url, store_at(url) as store:
        store.ping()
        with pytest.raises(SessionStoreError, match="did not answer"):
            store.append("s", "secret query")
        store.ping()
        with pytest.raises(SessionStoreError) as caught:
            store.delete("s")

        assert "secret" not in str(caught.value)


@pytest.mark.parametrize("answer", [hangs, drips], ids=["hangs", "drips"])
def test_one_budget_holds_for_the_whole_call(answer: Answer) -> None:
    """However slowly bytes come, the call ends in time."""
    with server(answer) as url, store_at(url) as store:
        times = []
        for _ in range(4):
            store.ping()
            start = time.monotonic()
            assert store.recent("s", 5).degraded
            times.append(time.monotonic() - start)

        assert BUDGET * 0.9 <= min(times) < BUDGET * 5


def test_a_server_that_fails_is_given_a_rest() -> None:
    """After failures in a row calls end at once; when it is well again it is used again."""
    well = threading.Event()

    def answer(connection: socket.socket, data: bytes) -> None:
        if well.is_set():
            connection.sendall(b"*0\r\n:0\r\n*2\r\n$2\r\n99\r\n$1\r\n0\r\n")
            connection.recv(1)
        else:
            hangs(connection, data)

    breaker = CircuitBreaker(failures=3, pause=0.2, longest=0.2)
    with server(answer) as url, store_at(url, breaker) as store:
        store.ping()
        end = time.monotonic() + PATIENCE
        while breaker.closed and time.monotonic() < end:
            assert store.recent("s", 5).degraded
        start = time.monotonic()
        for _ in range(100):
            store.recent("s", 5)
        quick = time.monotonic() - start
        well.set()
        while store.recent("s", 5).degraded and time.monotonic() < end:
            time.sleep(0.01)

        # A hundred calls that wait for the server would take a hundred budgets.
        assert quick < 50 * BUDGET
        assert time.monotonic() < end


def test_a_port_where_nobody_listens() -> None:
    """Opening does not fail, calls end in time, and a ping says what is the matter."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    store = RedisSessionStore(
        f"redis://:pass-canary@127.0.0.1:{port}/0",
        key=KEY,
        budget_seconds=BUDGET,
        connect_seconds=0.05,
    )
    with contextlib.closing(store):
        for _ in range(20):
            assert store.recent("s", 5) is WITHOUT_STORE
        with pytest.raises(SessionStoreError, match="ConnectionError") as caught:
            store.ping()

        assert "canary" not in str(caught.value)
        assert store.stats().failed >= 20


def test_many_threads_share_few_connections() -> None:
    """More callers than connections: some wait a little, none gets another's answer."""

    def answer(connection: socket.socket, data: bytes) -> None:
        while data:
            name = data[data.index(b"session:") :][8:40]
            entry = b"0 " + name
            connection.sendall(
                b"*1\r\n$%d\r\n%s\r\n:1\r\n*2\r\n$2\r\n99\r\n$1\r\n0\r\n" % (len(entry), entry)
            )
            data = connection.recv(65_536)

    with server(answer) as url:
        store = RedisSessionStore(url, key=KEY, budget_seconds=5.0, connections=2)
        strays: list[str] = []

        def work(number: int) -> None:
            name = store._name(f"s{number}").rpartition(":")[2]
            for _ in range(50):
                recent = store.recent(f"s{number}", 5)
                if recent.queries != (name,):
                    strays.append(repr(recent))

        with contextlib.closing(store):
            store.ping()
            threads = [threading.Thread(target=work, args=(i,)) for i in range(8)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()

            assert strays == []
            assert store._links._count <= 2


def test_ids_are_hashed_with_the_key() -> None:
    """The same on all hosts that share the secret, unrelated on others; never the id itself."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        url = f"redis://127.0.0.1:{listener.getsockname()[1]}/0"
    stores = [
        RedisSessionStore(url, key=key, connect_seconds=0.05)
        for key in (KEY, KEY, bytes(15) + b"x")
    ]
    names = [store._name("canary") for store in stores]
    for store in stores:
        store.close()

    assert names[0] == names[1] != names[2]
    assert "canary" not in names[0]
    assert names[0].startswith("espalier:session:")
