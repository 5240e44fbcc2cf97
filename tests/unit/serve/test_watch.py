"""What is noticed at a path, and when."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import pytest

from espalier.errors import IndexCorruptError
from espalier.serve.errors import WorkerUnavailableError
from espalier.serve.held import Identity, hold
from espalier.serve.ledger import Entry, Failure, Ledger, Loaded
from espalier.serve.watch import Watch
from tests.unit.serve.fakes import ListLog

PATIENT = 30.0


class FakeLifecycle:
    """Loads what does not say ``bad``.

    Attributes:
        loads: What was loaded or tried, by content.
        rereads: How often rules were looked at.
        deaths: How often from now on a worker goes away over a load.
    """

    def __init__(self) -> None:
        self.ledger = Ledger({"main": Entry()})
        self.loads: list[str] = []
        self.rereads = 0
        self.fault: Exception | None = None
        self.deaths = 0

    def load(self, name: str, path: Path, *, activate: bool, trusted: bool) -> Loaded:
        """Load a file."""
        assert activate
        assert trusted
        if self.fault is not None:
            raise self.fault
        text = path.read_text() if path.exists() else "missing"
        self.loads.append(text)
        if self.deaths:
            self.deaths -= 1
            raise WorkerUnavailableError("check: the other side went away before it replied")
        if text in {"bad", "missing"}:
            failure = Failure(name, path, "INDEX_CORRUPT", "bad", 0)
            self.ledger = self.ledger.failed(failure)
            raise IndexCorruptError("bad")
        self.ledger = self.ledger.mended(name)
        return Loaded(name, path, hold(path), text, 0, 0, 0)

    def reread_rules(self) -> None:
        """Look at files of rules."""
        self.rereads += 1


def watching(
    path: Path, *, seconds: float = 0, log: ListLog | None = None
) -> tuple[FakeLifecycle, Watch]:
    """Return a watch over one path, as it was when the service started."""
    lifecycle = FakeLifecycle()
    seen = {"main": Identity.of(path)}
    watch = Watch(lifecycle, {"main": path}, seen, seconds=seconds, log=log or ListLog())
    return lifecycle, watch


def renew(path: Path, text: str) -> None:
    """Put a new file at ``path``."""
    fresh = path.with_name("fresh")
    fresh.write_text(text)
    fresh.replace(path)


def point(link: Path, target: Path) -> None:
    """Let ``link`` point elsewhere, at once."""
    fresh = link.with_name("fresh")
    fresh.symlink_to(target)
    fresh.replace(link)


def until(true: Callable[[], bool]) -> None:
    """Wait until ``true`` is."""
    deadline = time.monotonic() + PATIENT
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.01)


@pytest.fixture
def link(tmp_path: Path) -> Path:
    """Return a link to a file that says ``a``, beside one that says ``b``."""
    for text in ("a", "b", "bad"):
        (tmp_path / text).write_text(text)
    link = tmp_path / "current"
    link.symlink_to("a")
    return link


def test_a_link_is_followed_once_per_change(link: Path) -> None:
    """Wherever it points, back as well."""
    lifecycle, watch = watching(link)
    for target in ("a", "b", "b", "a"):
        point(link, Path(target))
        watch.look(at_all=False)
        watch.look(at_all=False)

    assert lifecycle.loads == ["b", "a"]
    assert lifecycle.rereads == 0


def test_a_file_that_changes_under_a_link_is_new_too(link: Path) -> None:
    """A rename in the folder it leads to is a publication like another."""
    lifecycle, watch = watching(link)
    renew(link.with_name("a"), "newer")
    watch.look(at_all=False)

    assert lifecycle.loads == ["newer"]


def test_a_path_that_is_no_link_waits_to_be_asked(tmp_path: Path) -> None:
    """Whoever wrote the file may not be done with its folder."""
    path = tmp_path / "site.esp"
    path.write_text("a")
    lifecycle, watch = watching(path)
    renew(path, "b")
    watch.look(at_all=False)
    assert lifecycle.loads == []

    watch.look(at_all=True)
    watch.look(at_all=True)
    assert lifecycle.loads == ["b"]
    assert lifecycle.rereads == 2


def test_a_bad_file_is_tried_once_and_again_when_asked(link: Path) -> None:
    """Not every second."""
    lifecycle, watch = watching(link)
    point(link, Path("bad"))
    for at_all in (False, False, True, False):
        watch.look(at_all=at_all)

    assert lifecycle.loads == ["bad", "bad"]


@pytest.mark.parametrize(("deaths", "loads"), [(1, 2), (2, 3), (100, 3)])
def test_a_file_over_which_a_worker_went_away_is_tried_again(
    link: Path, deaths: int, loads: int
) -> None:
    """It may be good; but not for ever, since it may be what ends workers."""
    lifecycle, watch = watching(link)
    point(link, Path("b"))
    lifecycle.deaths = deaths
    for _ in range(6):
        watch.look(at_all=False)

    assert lifecycle.loads == ["b"] * loads


def test_another_file_is_tried_as_often_again(link: Path) -> None:
    """What the one before did to workers says nothing of it."""
    lifecycle, watch = watching(link)
    lifecycle.deaths = 100
    for target in ("b", "bad"):
        point(link, Path(target))
        for _ in range(6):
            watch.look(at_all=False)

    assert lifecycle.loads == ["b"] * 3 + ["bad"] * 3


def test_a_link_that_leads_nowhere_is_a_failure_and_heals(link: Path) -> None:
    """Somebody should hear of it."""
    lifecycle, watch = watching(link)
    point(link, Path("nowhere"))
    watch.look(at_all=False)
    point(link, Path("b"))
    watch.look(at_all=False)

    assert lifecycle.loads == ["missing", "b"]


def test_the_thread_looks_by_itself_and_when_told(link: Path) -> None:
    """And survives what it does not expect."""
    log = ListLog()
    lifecycle, watch = watching(link, seconds=0.01, log=log)
    lifecycle.fault = RuntimeError("a surprise")
    watch.start()
    point(link, Path("b"))
    until(lambda: "watch_failed" in log.names())
    lifecycle.fault = None
    point(link, Path("a"))
    until(lambda: lifecycle.loads == ["a"])
    watch.hang_up()
    until(lambda: lifecycle.rereads == 1)
    watch.stop()

    assert log.events[0][2] == {
        "exception": "RuntimeError",
        "raised_at": log.events[0][2]["raised_at"],
    }


def test_before_everything_is_looked_at_somebody_may_say_what_to_look_at(tmp_path: Path) -> None:
    """Another path of the same name is loaded if another file is there."""
    path, other = tmp_path / "a.esp", tmp_path / "b.esp"
    path.write_text("good")
    other.write_text("other")
    lifecycle = FakeLifecycle()
    watch = Watch(
        lifecycle,
        {"main": path},
        {"main": Identity.of(path)},
        seconds=0,
        log=ListLog(),
        before=lambda: watch.follow({"main": other}, seconds=0),
    )
    watch.start()
    watch.hang_up()
    end = time.monotonic() + PATIENT
    while not lifecycle.rereads and time.monotonic() < end:
        time.sleep(0.01)
    watch.stop()

    assert ["other"] == lifecycle.loads
