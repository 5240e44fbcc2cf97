"""The table of sessions that processes share, from Python, against an obviously correct twin."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import stat
import tempfile
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from espalier.sessions.base import Recent, SessionStoreError
from espalier.sessions.shared import SharedSessionStore

TTL = 10.0


class Milliseconds:
    """A clock to set by hand."""

    def __init__(self, now: int = 1_700_000_000_000) -> None:
        self.now = now

    def __call__(self) -> int:
        """Return the time."""
        return self.now


@contextlib.contextmanager
def opened(
    path: Path | None, *, clock: Milliseconds | None = None, sessions: int = 50, queries: int = 5
) -> Iterator[SharedSessionStore]:
    """Open a small store that only sweeps when told to."""
    store = SharedSessionStore(
        path,
        ttl_seconds=TTL,
        max_queries=queries,
        max_sessions=sessions,
        clock=clock or Milliseconds(),
        sweep_seconds=None,
    )
    with contextlib.closing(store):
        yield store


@pytest.fixture(name="path")
def a_path(tmp_path: Path) -> Path:
    """Return where a table may be made."""
    return tmp_path / "state" / "sessions.est"


# ---- sharing and lasting ------------------------------------------------------------


def test_what_one_process_records_another_reads(path: Path) -> None:
    """Two openings of one path are one store."""
    with opened(path) as one, opened(path) as two:
        assert not one.append("s", "nike")
        assert two.append("s", "größe 44")

        assert Recent(("größe 44", "nike"), (0, 0)) == one.recent("s", 5)
        assert ("größe 44",) == one.recent("s", 1).queries
        two.delete("s")
        assert Recent() == one.recent("s", 5)


def test_sessions_survive_a_restart(path: Path) -> None:
    """Context is not lost when the service is updated; nobody else may read it."""
    clock = Milliseconds()
    with opened(path, clock=clock) as store:
        store.append("s", "nike")
    clock.now += 3_000
    with opened(path, clock=clock) as store:
        assert Recent(("nike",), (3,)) == store.recent("s", 5)
        assert store.notices == []

    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700


def test_neither_ids_nor_deleted_queries_are_in_the_file(path: Path) -> None:
    """Ids are kept as keyed hashes, and what is deleted is zero."""
    with opened(path) as store:
        store.append("canary-session", "kept query")
        store.append("other", "canary-query")
        store.delete("other")

    data = path.read_bytes()
    assert b"kept query" in data
    assert b"canary" not in data


def test_the_sweep_zeroes_what_expired(path: Path) -> None:
    """Text of a session that is over does not wait for somebody to ask for it."""
    clock = Milliseconds()
    with opened(path, clock=clock) as store:
        store.append("s", "canary")
        clock.now += 11_000
        for _ in range(10):
            store.sweep(1.0)
        assert store.stats().expired == 1
        assert store.stats().sessions == 0

    assert b"canary" not in path.read_bytes()


def test_a_thread_sweeps_by_itself(path: Path) -> None:
    """Nobody needs to think of it."""
    store = SharedSessionStore(path, ttl_seconds=0.05, max_sessions=50, sweep_seconds=0.01)
    with contextlib.closing(store):
        store.append("s", "nike")
        end = time.monotonic() + 30
        while store.stats().sessions and time.monotonic() < end:
            time.sleep(0.01)

        assert store.stats().expired == 1
    assert "sweep" not in {thread.name for thread in threading.enumerate()}


def test_the_default_clock_is_one_for_all_processes(path: Path) -> None:
    """Openings of one boot count from one start; ages are true."""
    with (
        contextlib.closing(SharedSessionStore(path, max_sessions=50)) as one,
        contextlib.closing(SharedSessionStore(path, max_sessions=50)) as two,
    ):
        one.append("s", "nike")
        (age,) = two.recent("s", 5).ages

        assert 0 <= age <= 30
        assert abs(one._clock() - two._clock()) < 30_000
        assert abs(one._clock() - time.time_ns() // 1_000_000) < 60_000


@pytest.mark.parametrize("days", [400, -400])
def test_setting_the_wall_clock_changes_nothing(
    path: Path, monkeypatch: pytest.MonkeyPatch, days: int
) -> None:
    """Neither for who has the table open nor for who opens it then: all count from the boot."""
    with contextlib.closing(SharedSessionStore(path, max_sessions=50)) as one:
        one.append("s", "nike")
        wall = time.time_ns
        monkeypatch.setattr(time, "time_ns", lambda: wall() + days * 86_400 * 10**9)
        with contextlib.closing(SharedSessionStore(path, max_sessions=50)) as two:
            for store in (one, two):
                recent = store.recent("s", 5)
                assert recent.queries == ("nike",)
                assert 0 <= recent.ages[0] <= 30
            assert two.append("s", "adidas")
            assert one.recent("s", 5).queries == ("adidas", "nike")


def test_a_closed_store_says_so(path: Path) -> None:
    """No call after close reaches memory that is gone; closing twice is no error."""
    with opened(path) as store:
        store.close()
        for call in (
            lambda: store.append("s", "q"),
            lambda: store.recent("s", 1),
            lambda: store.delete("s"),
            store.ping,
        ):
            with pytest.raises(SessionStoreError, match="closed"):
                call()


def test_closing_waits_for_nobody_and_breaks_nobody(path: Path) -> None:
    """A call under way on another thread ends well, or says that the store is closed."""
    with opened(path, sessions=1_000) as store:
        ends: list[str] = []

        def work() -> None:
            try:
                for number in range(1_000_000):
                    store.append(str(number % 100), "q")
            except SessionStoreError as error:
                ends.append(str(error))

        threads = [threading.Thread(target=work) for _ in range(4)]
        for thread in threads:
            thread.start()
        time.sleep(0.05)
        store.close()
        for thread in threads:
            thread.join()

        assert len(ends) == 4
        assert all("closed" in end for end in ends)


def test_a_refused_query_is_counted(path: Path) -> None:
    """An empty query is the caller's mistake, and does no harm."""
    with opened(path) as store:
        with pytest.raises(SessionStoreError, match="must not be empty"):
            store.append("s", "")
        with pytest.raises(SessionStoreError, match="id is empty"):
            store.recent("", 1)
        with pytest.raises(SessionStoreError, match="id is empty"):
            store.delete("")

        assert store.stats().failed == 3


# ---- files that are not as they should be --------------------------------------------


def _flip(path: Path, at: int) -> None:
    data = bytearray(path.read_bytes())
    data[at] ^= 0xFF
    path.write_bytes(data)


def _cut(path: Path) -> None:
    os.truncate(path, 10_000)


def _empty(path: Path) -> None:
    os.truncate(path, 0)


def _foreign(path: Path) -> None:
    path.write_bytes(b"PK\x03\x04" + bytes(50_000))


def _older(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[12] = 0
    path.write_bytes(data)


def _damaged(path: Path) -> None:
    _flip(path, 45)


@pytest.mark.parametrize(
    ("spoil", "check"),
    [
        (_cut, "SH4"),
        (_empty, "SH1"),
        (_foreign, "SH1"),
        (_older, "SH2"),
        (_damaged, "SH3"),
    ],
)
def test_a_file_that_cannot_be_used_is_put_aside(path: Path, spoil: object, check: str) -> None:
    """Service goes on with a new table; the old file is there for whoever wants to look."""
    with opened(path) as store:
        store.append("s", "nike")
    assert callable(spoil)
    spoil(path)
    spoilt = path.read_bytes()

    with opened(path) as store, opened(path) as second:
        (notice,) = store.notices
        assert (notice.event, notice.fields["check"]) == ("session_file_replaced", check)
        assert second.notices == []
        assert Recent() == store.recent("s", 5)
        store.append("s", "adidas")
        assert ("adidas",) == second.recent("s", 5).queries
    assert spoilt == path.with_name("sessions.est.damaged").read_bytes()


def test_damaged_records_count_as_absent_and_are_swept(path: Path) -> None:
    """Whatever happened to a record, the others are there and its place is used again."""
    with opened(path) as store:
        for number in range(20):
            store.append(f"s{number}", f"number {number}")
    data = path.read_bytes()
    _flip(path, data.index(b"number 7"))

    with opened(path) as store:
        assert [] == store.notices
        known = [number for number in range(20) if store.recent(f"s{number}", 1).queries]
        assert [number for number in range(20) if number != 7] == known
        assert store.table.report().damaged == 1
        store.sweep(TTL)
        assert store.table.report().damaged == 0
        assert store.table.info().damaged == 1
        assert not store.append("s7", "again")


def test_another_capacity_makes_a_new_table_unless_others_use_it(path: Path) -> None:
    """A changed setting takes effect at the next restart, and never under a running service."""
    with opened(path, sessions=50) as store:
        store.append("s", "nike")
        with opened(path, sessions=90) as second:
            assert ["session_capacity_kept"] == [notice.event for notice in second.notices]
            assert ("nike",) == second.recent("s", 5).queries

    with opened(path, sessions=90) as store:
        assert ["session_file_resized"] == [notice.event for notice in store.notices]
        assert store.table.info().capacity == 90
        assert Recent() == store.recent("s", 5)
    with opened(path, sessions=90) as store:
        assert store.notices == []


def test_openers_take_turns(path: Path) -> None:
    """Of two processes that find a damaged file only one puts it aside."""
    with opened(path):
        pass
    lock = os.open(f"{path}.lock", os.O_RDWR)
    fcntl.flock(lock, fcntl.LOCK_EX)
    done = threading.Event()

    def work() -> None:
        with opened(path):
            done.set()

    thread = threading.Thread(target=work)
    thread.start()
    assert not done.wait(0.2)
    os.close(lock)
    assert done.wait(30)
    thread.join()


# ---- without a file -------------------------------------------------------------------


def test_without_a_path_sessions_are_in_memory() -> None:
    """The same store for whoever wants no file."""
    with opened(None) as store:
        assert store.in_memory
        assert store.notices == []
        store.append("s", "nike")

        assert ("nike",) == store.recent("s", 5).queries


def test_memory_can_be_shared_as_long_as_its_owner_lives() -> None:
    """A path of the owner's open files leads others to the same table."""
    with opened(None) as store:
        store.append("s", "nike")
        with opened(store.shared_path) as second:
            assert ("nike",) == second.recent("s", 5).queries
            second.append("s", "adidas")
        assert ("adidas", "nike") == store.recent("s", 5).queries

        with opened(store.shared_path, sessions=99) as third:
            assert ["session_capacity_kept"] == [notice.event for notice in third.notices]


@pytest.mark.parametrize("garbage", [False, True], ids=["gone", "another"])
def test_a_table_in_use_stays_one_whatever_becomes_of_its_path(
    path: Path, *, garbage: bool
) -> None:
    """Who joins later finds what the others have, and makes no second table."""
    with opened(path) as store:
        store.append("s", "nike")
        path.unlink()
        if garbage:
            path.write_bytes(b"no table")
        with opened(store.shared_path) as second:
            assert second.notices == []
            assert ("nike",) == second.recent("s", 5).queries
            second.append("s", "adidas")
        assert ("adidas", "nike") == store.recent("s", 5).queries
        assert path.exists() is garbage


def test_a_folder_that_cannot_be_made_leads_to_memory(tmp_path: Path) -> None:
    """Sessions are never the reason that search is down."""
    (tmp_path / "file").write_bytes(b"")

    with opened(tmp_path / "file" / "sessions.est") as store:
        assert store.in_memory
        (notice,) = store.notices
        assert notice.event == "session_file_unusable"
        assert os.strerror(errno.EEXIST) in str(notice.fields["reason"]) or os.strerror(
            errno.ENOTDIR
        ) in str(notice.fields["reason"])


def test_a_path_that_is_a_folder_leads_to_memory(tmp_path: Path) -> None:
    """What cannot be put aside is left alone."""
    (tmp_path / "sessions.est").mkdir()

    with opened(tmp_path / "sessions.est") as store:
        assert ["session_file_unusable"] == [notice.event for notice in store.notices]
        assert store.in_memory


# ---- a twin -----------------------------------------------------------------------------

KEPT_BYTES = 468
ENTRY_BYTES = 8
IDS = st.sampled_from("stuvwxyz")
TEXTS = st.one_of(
    st.sampled_from(["a", "b", "ä", "€uro", "😀", "nike shoes"]),
    st.text(st.sampled_from("aé€😀 "), min_size=1, max_size=300),
)


def _beginning(text: str) -> str:
    """Return what fits of a query that stands alone."""
    return text.encode()[: KEPT_BYTES - ENTRY_BYTES].decode("utf-8", "ignore")


@dataclass
class Known:
    """A session of the twin."""

    used: int
    queries: list[tuple[str, int]] = field(default_factory=list)


class SharedStoreMachine(RuleBasedStateMachine):
    """Any history of calls through any of several openings, with any clock."""

    SESSIONS = 50
    QUERIES = 3
    FORWARD = True

    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.TemporaryDirectory()
        self.path = Path(self.folder.name) / "sessions.est"
        self.clock = Milliseconds()
        self.latest = 0
        self.known: dict[str, Known] = {}
        self.stores = [self.open()]

    def teardown(self) -> None:
        """Check the whole table, then close."""
        report = self.stores[0].table.report()
        for store in self.stores:
            store.close()
        self.folder.cleanup()
        assert (report.damaged, report.held, report.lost, report.unlisted) == (0, 0, 0, 0)
        assert (report.twice, report.dirty) == (0, 0)

    def open(self) -> SharedSessionStore:
        """Open the table once more."""
        return SharedSessionStore(
            self.path,
            ttl_seconds=TTL,
            max_queries=self.QUERIES,
            max_sessions=self.SESSIONS,
            clock=self.clock,
            sweep_seconds=None,
        )

    def peek(self) -> int:
        """Return the time by the rules for clocks that step back."""
        ahead = self.latest - self.clock.now
        return self.latest if 0 < ahead <= TTL * 1_000 else self.clock.now

    def now(self) -> int:
        """Return the time, which the table will know as well."""
        self.latest = self.peek()
        return self.latest

    def live(self, name: str) -> Known | None:
        """Return the session unless it is over, as used now."""
        now = self.now()
        session = self.known.get(name)
        if session is None or now - session.used > TTL * 1_000:
            self.known.pop(name, None)
            return None
        session.used = now
        return session

    @rule(which=st.integers(0, 2), name=IDS, text=TEXTS)
    def append(self, which: int, name: str, text: str) -> None:
        """Record through one of the openings."""
        now = self.now()
        session = self.live(name)
        assert self.stores[which % len(self.stores)].append(name, text) == (session is not None)
        earlier = session.queries if session else []
        kept = [(_beginning(text), now)]
        if earlier and earlier[0][0] == kept[0][0]:
            earlier = earlier[1:]
        for query in earlier:
            size = sum(ENTRY_BYTES + len(one.encode()) for one, _ in [*kept, query])
            if len(kept) == self.QUERIES or size > KEPT_BYTES:
                break
            kept.append(query)
        if session is None and len(self.known) == self.SESSIONS:
            del self.known[min(self.known, key=lambda other: self.known[other].used)]
        self.known[name] = Known(now, kept)

    @rule(which=st.integers(0, 2), name=IDS, limit=st.integers(1, 5))
    def recent(self, which: int, name: str, limit: int) -> None:
        """Look up through one of the openings."""
        now = self.now()
        session = self.live(name)
        told = session.queries[:limit] if session else []
        expected = Recent(
            tuple(text for text, _ in told),
            tuple(max(0, now - time) // 1_000 for _, time in told),
        )
        assert expected == self.stores[which % len(self.stores)].recent(name, limit)

    @rule(which=st.integers(0, 2), name=IDS)
    def delete(self, which: int, name: str) -> None:
        """Forget through one of the openings."""
        self.now()
        self.stores[which % len(self.stores)].delete(name)
        self.known.pop(name, None)

    @rule(milliseconds=st.sampled_from([1, 700, 5_000, 10_000, 10_001]))
    def wait(self, milliseconds: int) -> None:
        """Let time pass."""
        self.clock.now += milliseconds

    @precondition(lambda self: self.FORWARD)
    @rule(which=st.integers(0, 2), seconds=st.sampled_from([0.0, 1.0]))
    def sweep_some(self, which: int, seconds: float) -> None:
        """Sweep a part: what is over may go, or go later, which nobody can tell."""
        self.now()
        self.stores[which % len(self.stores)].sweep(seconds)

    @rule(which=st.integers(0, 2))
    def sweep_all(self, which: int) -> None:
        """Sweep the whole table: what is over is gone, nothing is used in the future."""
        now = self.now()
        self.stores[which % len(self.stores)].sweep(TTL)
        for name, session in list(self.known.items()):
            if now - session.used > TTL * 1_000:
                del self.known[name]
            session.used = min(session.used, now)

    @precondition(lambda self: len(self.stores) < 3)
    @rule()
    def open_again(self) -> None:
        """Another process."""
        self.stores.append(self.open())

    @precondition(lambda self: len(self.stores) > 1)
    @rule(which=st.integers(0, 2))
    def close_one(self, which: int) -> None:
        """End a process."""
        self.stores.pop(which % len(self.stores)).close()

    @rule()
    def restart(self) -> None:
        """End the service and begin again."""
        for store in self.stores:
            store.close()
        self.stores = [self.open()]

    @invariant()
    def nothing_is_out_of_place(self) -> None:
        """Whatever lives is in the table, and of what is over at most what was there."""
        now = self.peek()
        live = sum(now - session.used <= TTL * 1_000 for session in self.known.values())
        assert live <= self.stores[0].table.info().sessions <= len(self.known)


class SmallTableMachine(SharedStoreMachine):
    """A table for fewer sessions than there are; time only goes forward, so ages differ."""

    SESSIONS = 4

    @invariant()
    def time_passes(self) -> None:
        """No two calls at one time: which session is oldest is never in doubt."""
        self.clock.now += 1

    @invariant()
    def nothing_is_out_of_place(self) -> None:
        """Never more than the table was made for."""
        assert self.stores[0].table.info().sessions <= self.SESSIONS


class TurningClockMachine(SharedStoreMachine):
    """The clock steps back as well; nothing used since is lost, nothing lives for ever."""

    FORWARD = False

    @rule(milliseconds=st.sampled_from([1, 5_000, 10_000]))
    def step_back(self, milliseconds: int) -> None:
        """Set the clock back a little: time stands still."""
        self.clock.now -= milliseconds

    @rule(milliseconds=st.sampled_from([30_000, 500_000]))
    def jump_back(self, milliseconds: int) -> None:
        """Set it back far: after a sweep all that is known counts as used now."""
        self.clock.now -= milliseconds
        self.sweep_all(0)


TestSharedStore = SharedStoreMachine.TestCase
TestSmallTable = SmallTableMachine.TestCase
TestTurningClock = TurningClockMachine.TestCase
