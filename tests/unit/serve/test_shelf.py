"""Open index files: staged, switched, ruled and let go, with calls under way all the time."""

from __future__ import annotations

import os
import shutil
import threading
import weakref
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

import espalier
from espalier.errors import IndexCorruptError, IndexMissingError, InputError
from espalier.overlay import Block, BlockPattern, Overlay
from espalier.serve.control import ControlError
from espalier.serve.indexes import Indexes
from espalier.serve.orders import IndexOrder, RulesOrder
from espalier.serve.shelf import Change, Shelf
from espalier.settings import TrainSettings
from espalier.train import train_index
from tests.unit.serve.fakes import ListLog

PATIENT = 30.0
SWITCHES = 1_000 if os.environ.get("ESPALIER_PROFILE") == "long" else 30


@pytest.fixture(scope="module")
def other_index(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return an index of other queries than those of the demo log."""
    folder = tmp_path_factory.mktemp("other")
    log = folder / "log.tsv"
    rows = [f"{user}\tcamel {word}" for user in range(5) for word in ("a", "b", "c", "d")]
    log.write_text("\n".join(["user\tquery", *rows]) + "\n")
    train_index([log], folder / "other.esp", TrainSettings(min_users=1, threads=1))
    return folder / "other.esp"


def revision_of(path: Path) -> str:
    """Return the fingerprint of a file."""
    with espalier.open(path) as index:
        return index.info.fingerprint


def order(path: Path, *, active: bool = False, name: str = "main") -> IndexOrder:
    """Return an order for a file, as the supervisor gives it after a check."""
    return IndexOrder(name, path, path, revision_of(path), active)


class Served:
    """A shelf that answers from the demo index, and what it published."""

    def __init__(self, path: Path) -> None:
        self.log = ListLog()
        self.version = 0
        self.first = order(path, active=True)
        self.shelf = Shelf([self.first], {}, verify=True, log=self.log, leave_seconds=0.3)
        self.now = self.shelf.indexes
        self.shelf.publish_to(self._publish)

    def _publish(self, indexes: Indexes) -> None:
        self.now = indexes

    def top(self, prefix: str) -> list[str]:
        """Return what a call is told."""
        served = self.now.get("")
        found = served.index.complete(prefix, overlay=served.overlay)
        return [one.text for one in found]

    def rule(self, folder: Path, *rules: Block | BlockPattern) -> None:
        """Let rules hold."""
        Overlay(rules).save(folder / "rules.json")
        self.version += 1
        self.shelf.rule("main", RulesOrder(folder / "rules.json", self.version))


@pytest.fixture
def served(demo_index: Path) -> Iterator[Served]:
    """Return a shelf, closed in the end."""
    made = Served(demo_index)
    yield made
    made.shelf.close()


def test_what_is_opened_first_is_verified_warmed_and_reported(demo_index: Path) -> None:
    """The fingerprint is the revision; the log says what was opened."""
    log = ListLog()
    unknown = IndexOrder("main", Path("named/so.esp"), demo_index)
    shelf = Shelf([unknown], {}, verify=True, log=log)

    (report,) = shelf.report()
    assert report["name"] == "main"
    assert report["revision"] == revision_of(demo_index)
    assert report["bytes"] == demo_index.stat().st_size
    ((_, event, fields),) = log.events
    assert (event, fields["path"], fields["verified"]) == ("index_loaded", "named/so.esp", True)
    shelf.close()


def test_an_active_file_that_is_missing_is_named_as_people_know_it(tmp_path: Path) -> None:
    """Not by the descriptor it was to be opened through."""
    bad = IndexOrder("main", Path("named/so.esp"), tmp_path / "fd")
    with pytest.raises(IndexMissingError, match=r"^named/so\.esp: "):
        Shelf([bad], {}, verify=True, log=ListLog())


def test_a_file_that_is_only_kept_ready_stops_nobody(demo_index: Path, tmp_path: Path) -> None:
    """The one that answers does; the log tells of the other."""
    log = ListLog()
    bad = IndexOrder("main", Path("old.esp"), tmp_path / "fd", "00ff", active=False)
    shelf = Shelf([order(demo_index, active=True), bad], {}, verify=False, log=log)

    assert len(shelf.report()) == 1
    assert log.names() == ["index_loaded", "index_refused"]
    shelf.close()


def test_a_staged_file_answers_when_it_is_settled(served: Served, other_index: Path) -> None:
    """Not before; and what it replaced is closed, or kept."""
    staged = order(other_index)
    before = served.top("c")
    served.shelf.stage(staged)
    assert served.top("c") == before

    served.shelf.settle("main", staged.revision, [staged.revision, served.first.revision])
    assert served.now.default.revision == staged.revision
    assert served.top("c")[0].startswith("camel")
    assert "index_closed" not in served.log.names()

    served.shelf.settle("main", served.first.revision, [])
    assert served.top("c") == before
    assert served.log.events[-1] == (
        "info",
        "index_closed",
        {"index": "main", "revision": staged.revision},
    )


def test_settling_and_staging_again_change_nothing(served: Served, other_index: Path) -> None:
    """A request that is repeated does no harm."""
    staged = order(other_index)
    for _ in range(2):
        served.shelf.stage(staged)
        served.shelf.stage(served.first)
    for _ in range(2):
        served.shelf.settle("main", staged.revision, [])

    assert served.log.names().count("index_loaded") == 2
    assert [one["revision"] for one in served.shelf.report()] == [staged.revision]


def test_what_is_not_staged_cannot_answer(served: Served) -> None:
    """The supervisor hears of it, and nothing has changed."""
    before = served.now
    with pytest.raises(ControlError, match="not open here"):
        served.shelf.settle("main", "00ff", [])

    assert served.now is before


def test_a_file_that_was_exchanged_after_the_check_is_refused(
    served: Served, other_index: Path
) -> None:
    """A revision means one content."""
    wrong = IndexOrder("main", other_index, other_index, "00ff", active=False)
    with pytest.raises(IndexCorruptError, match="not the file that was checked"):
        served.shelf.stage(wrong)


def test_a_check_finds_what_opening_does_not(served: Served, tmp_path: Path) -> None:
    """Every byte of the file counts, and nothing stays open."""
    bad = tmp_path / "bad.esp"
    shutil.copy(served.first.file, bad)
    data = bytearray(bad.read_bytes())
    data[len(data) // 2] ^= 1
    bad.write_bytes(data)
    order_of_bad = IndexOrder("main", Path("named/so.esp"), bad, "", active=False)

    with pytest.raises(IndexCorruptError, match=r"^named/so\.esp: ") as caught:
        served.shelf.check(order_of_bad)
    assert caught.value.section
    assert served.shelf.check(served.first)["revision"] == served.first.revision


def test_rules_hold_for_every_revision_that_is_open(
    served: Served, other_index: Path, tmp_path: Path
) -> None:
    """Those that answer later as well, patterns included."""
    gone = served.top("c")[0]
    served.shelf.stage(order(other_index))
    served.rule(tmp_path, Block(gone), BlockPattern("camel [ab]"))

    assert gone not in served.top("c")
    assert len(served.top("c")) == 10
    served.shelf.settle("main", revision_of(other_index), [])
    assert sorted(served.top("camel ")) == ["camel c", "camel d"]
    served.rule(tmp_path)
    assert len(served.top("camel ")) == 4


def test_rules_wait_for_what_is_staged_later(
    served: Served, other_index: Path, tmp_path: Path
) -> None:
    """An index that comes after a block obeys it from its first answer on."""
    served.rule(tmp_path, Block("camel a"))
    served.shelf.stage(order(other_index))
    served.shelf.settle("main", revision_of(other_index), [])

    assert sorted(served.top("camel ")) == ["camel b", "camel c", "camel d"]


def test_a_change_is_over_when_no_call_goes_by_what_was_before(
    served: Served, other_index: Path, tmp_path: Path
) -> None:
    """A call that hangs makes it fail, one that ends lets it succeed."""
    under_way = served.now.get("")
    served.shelf.stage(order(other_index))
    with pytest.raises(ControlError, match="under way"):
        served.shelf.settle("main", revision_of(other_index), [])
    under_way = served.now.get("")
    with pytest.raises(ControlError, match="under way"):
        served.rule(tmp_path, Block("camel a"))

    leaving = [served.now.get("")]
    timer = threading.Timer(0.05, leaving.clear)
    del under_way
    timer.start()
    served.rule(tmp_path, Block("camel b"))
    assert leaving == []
    timer.join(PATIENT)


def test_no_call_is_cut_off_however_often_the_index_is_switched(
    demo_index: Path, other_index: Path, tmp_path: Path
) -> None:
    """Every answer is that of its revision, and in the end one file is mapped, once.

    Had a file been unmapped under a call, the process would be gone.
    """
    paths = [tmp_path / "a.esp", tmp_path / "b.esp"]
    shutil.copy(demo_index, paths[0])
    shutil.copy(other_index, paths[1])
    orders = [order(path) for path in paths]
    expected: dict[str, list[str]] = {}
    for one in orders:
        with espalier.open(one.file) as index:
            expected[one.revision] = [found.text for found in index.complete("c", ["red"])]
    log = ListLog()
    shelf = Shelf([order(paths[0], active=True)], {}, verify=True, log=log)
    published = [shelf.indexes]
    shelf.publish_to(lambda indexes: published.__setitem__(0, indexes))
    stop = threading.Event()

    def call() -> tuple[int, int]:
        right = wrong = 0
        while not stop.is_set():
            served = published[0].get("")
            found = [one.text for one in served.index.complete("c", ["red"])]
            if found == expected[served.revision]:
                right += 1
            else:
                wrong += 1
        return right, wrong

    with ThreadPoolExecutor(4) as pool:
        calls = [pool.submit(call) for _ in range(4)]
        try:
            for turn in range(1, SWITCHES + 1):
                one = orders[turn % 2]
                shelf.stage(one)
                # What answered before is closed as soon as the last call leaves.
                shelf.settle("main", one.revision, [])
        finally:
            stop.set()
        counts = [future.result(PATIENT) for future in calls]

    assert sum(wrong for _, wrong in counts) == 0
    assert all(right > 0 for right, _ in counts)
    assert log.names().count("index_loaded") == SWITCHES + 1
    assert log.names().count("index_closed") == SWITCHES
    maps = Path("/proc/self/maps").read_text()
    assert (maps.count(str(paths[0])), maps.count(str(paths[1]))) == (1, 0)
    shelf.close()


def test_an_index_nobody_refers_to_is_unmapped(demo_index: Path, tmp_path: Path) -> None:
    """Scratch objects of threads that used it keep nothing alive."""
    path = tmp_path / "gone.esp"
    shutil.copy(demo_index, path)
    index = espalier.open(path)
    used = threading.Thread(target=index.complete, args=("c",))
    used.start()
    used.join(PATIENT)
    index.complete("c")
    assert str(path) in Path("/proc/self/maps").read_text()
    seen = weakref.ref(index)

    del index, used
    assert seen() is None
    assert str(path) not in Path("/proc/self/maps").read_text()


def test_changes_of_rules_keep_what_is_resolved(
    served: Served, other_index: Path, tmp_path: Path
) -> None:
    """Patterns are matched with all labels aside, once, and not for every other rule again."""
    path = tmp_path / "rules.json"
    served.shelf.stage(order(other_index))
    served.shelf.settle("main", revision_of(other_index), [])
    served.rule(tmp_path, BlockPattern("camel [ab]"))
    first = served.now.default.overlay
    assert first is not None
    assert first.resolved_for == ""
    assert sorted(served.top("camel ")) == ["camel c", "camel d"]
    served.shelf.resolve("main")
    served.shelf.resolve("main")

    # No file is read for a change to the version before.
    path.unlink()
    change = Change.of([{"block": "camel c"}], [{"block": "never"}])
    served.shelf.rule("main", RulesOrder(path, 2), change)
    served.shelf.rule("main", RulesOrder(path, 2), change)
    second = served.now.default.overlay
    assert second is not None
    assert second.resolved_for == revision_of(other_index)
    assert served.top("camel ") == ["camel d"]

    # Who missed one reads them all.
    with pytest.raises(InputError, match="cannot be read"):
        served.shelf.rule("main", RulesOrder(path, 4), change)
    Overlay([Block("camel d")]).save(path)
    served.shelf.rule("main", RulesOrder(path, 4), change)
    assert sorted(served.top("camel ")) == ["camel a", "camel b", "camel c"]
