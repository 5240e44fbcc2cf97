"""Sessions in Redis or Valkey, for several hosts: quick, or done without.

A session is a list under the keyed hash of its id, newest query first, each with the
server's time in front. Reading and writing take one round trip each and start the
time-to-live anew. Every call has one budget of time; a server that does not answer in
it is asked no more until a probe in the background finds it well (`breaker`).
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from hashlib import blake2b
from typing import Any, Final

from espalier.sessions.base import (
    NOTHING,
    WITHOUT_STORE,
    Recent,
    SessionStats,
    SessionStoreError,
)
from espalier.sessions.breaker import CircuitBreaker
from espalier.sessions.redis_links import (
    Answer,
    Command,
    Links,
    NonsenseError,
    check_pong,
)

_PREFIX: Final = "espalier:session:"
_DIGEST_BYTES: Final = 16

# KEYS[1] the session; ARGV: the query, queries kept, milliseconds to live. The
# server's clock is the one that all hosts share. Returns whether there was a session.
_RECORD: Final = """
local time = redis.call('TIME')
local entry = string.format('%d%03d ', time[1], math.floor(time[2] / 1000)) .. ARGV[1]
local newest = redis.call('LINDEX', KEYS[1], 0)
if newest and string.sub(newest, (string.find(newest, ' ', 1, true) or 0) + 1) == ARGV[1] then
    redis.call('LSET', KEYS[1], 0, entry)
else
    redis.call('LPUSH', KEYS[1], entry)
    redis.call('LTRIM', KEYS[1], 0, ARGV[2] - 1)
end
redis.call('PEXPIRE', KEYS[1], ARGV[3])
return newest and 1 or 0
"""


class RedisSessionStore:
    """A `SessionStore` on a server that may be slow, gone, or something else.

    `recent` never raises: without an answer in time it returns ``degraded``.

    Args:
        url: ``redis://``, ``rediss://`` or ``unix://``.
        key: Secret of the id hash, the same on all hosts; at most 64 bytes.
        ttl_seconds: Time without use after which a session is forgotten.
        max_queries: Queries remembered per session.
        budget_seconds: What one call may take in all.
        connections: Connections at the same time, at most.
        connect_seconds: What connecting may take, in the background.
        breaker: Decides when the server is asked no more.
    """

    def __init__(
        self,
        url: str,
        *,
        key: bytes,
        ttl_seconds: float = 1_800.0,
        max_queries: int = 5,
        budget_seconds: float = 0.002,
        connections: int = 8,
        connect_seconds: float = 1.0,
        breaker: CircuitBreaker | None = None,
    ) -> None:
        self._key = key
        self._ttl_ms = max(1, round(ttl_seconds * 1_000))
        self._max_queries = max_queries
        self._budget = budget_seconds
        self._connect_seconds = connect_seconds
        self._breaker = breaker or CircuitBreaker()
        self._links = Links(
            url,
            most=connections,
            breaker=self._breaker,
            budget=budget_seconds,
            connect_seconds=connect_seconds,
        )
        self._counting = threading.Lock()
        self._found = self._missed = self._failed = 0

    def append(self, session_id: str, query: str) -> bool:
        """Make ``query`` the newest of the session; return whether the session was known."""
        text = query.encode()
        name = self._name(session_id)
        known = self._ask_or_raise(
            ("EVAL", _RECORD, 1, name, text, self._max_queries, self._ttl_ms)
        )
        return known > 0

    def recent(self, session_id: str, limit: int) -> Recent:
        """Return at most ``limit`` queries, newest first, and their ages; never raises."""
        name = self._name(session_id)
        commands: list[Command] = [
            ("LRANGE", name, 0, limit - 1),
            ("PEXPIRE", name, self._ttl_ms),
            ("TIME",),
        ]
        try:
            recent = self._ask(commands, _recent_from)
        except Exception:  # noqa: BLE001 - nothing a server does may end a completion
            return WITHOUT_STORE
        with self._counting:
            if recent.queries:
                self._found += 1
            else:
                self._missed += 1
        return recent

    def delete(self, session_id: str) -> None:
        """Forget the session; an unknown one is no error."""
        self._ask_or_raise(("DEL", self._name(session_id)))

    def ping(self) -> None:
        """Return if the server answers; waits as long as connecting may take."""
        end = time.monotonic() + self._connect_seconds + self._budget
        while not self._answers():
            if time.monotonic() >= end:
                raise SessionStoreError(
                    "the session store does not answer in time "
                    f"({self._links.trouble or 'slow'}); check serve.sessions and the server, or "
                    "go on without: completions then know no previous queries"
                )
            time.sleep(0.005)

    def stats(self) -> SessionStats:
        """Return counters of this process; how many sessions there are it cannot know: -1."""
        with self._counting:
            return SessionStats(-1, self._found, self._missed, 0, 0, self._failed)

    def close(self) -> None:
        """Hang up."""
        self._links.close()

    def _name(self, session_id: str) -> str:
        hashed = blake2b(session_id.encode(), key=self._key, digest_size=_DIGEST_BYTES)
        return _PREFIX + hashed.hexdigest()

    def _answers(self) -> bool:
        try:
            self._ask([("PING",)], check_pong)
        except Exception:  # noqa: BLE001 - any failure is the same answer
            return False
        return True

    def _ask(
        self, commands: Sequence[Command], understand: Callable[[list[Any]], Answer]
    ) -> Answer:
        """Ask within the budget."""
        try:
            return self._links.ask(commands, time.monotonic() + self._budget, understand)
        except BaseException:
            with self._counting:
                self._failed += 1
            raise

    def _ask_or_raise(self, command: Command) -> int:
        try:
            return self._ask([command], _number_from)
        except Exception as error:  # noqa: BLE001 - any failure is the same answer
            raise SessionStoreError(
                f"the session store did not answer in {1_000 * self._budget:g} ms "
                f"({type(error).__name__}); try again"
            ) from None


def _number_from(answers: list[Any]) -> int:
    (number,) = answers
    if not isinstance(number, int):
        raise NonsenseError("not a number")
    return number


def _recent_from(answers: list[Any]) -> Recent:
    """Read what LRANGE, PEXPIRE and TIME answered; whatever else that is raises."""
    entries, _, now = answers
    if not isinstance(entries, list) or not isinstance(now, list):
        raise NonsenseError("not lists")
    if not entries:
        return NOTHING
    now_ms = int(now[0]) * 1_000 + int(now[1]) // 1_000
    queries, ages = [], []
    for entry in entries:
        time_ms, _, text = entry.partition(b" ")
        queries.append(text.decode())
        ages.append(max(0, (now_ms - int(time_ms)) // 1_000))
    return Recent(tuple(queries), tuple(ages))
