"""Changes reach every worker or none, whatever a worker does."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from espalier.errors import IndexMissingError, InputError, LimitError, StorageError
from espalier.overlay import Block, BlockWord, Overlay
from espalier.serve.control import ControlError, GoneError, Params
from espalier.serve.counters import Counters
from espalier.serve.errors import (
    IndexActiveError,
    NoPreviousRevisionError,
    PathForbiddenError,
    UnknownIndexError,
    UnknownRevisionError,
    UnsupportedRequestError,
    WorkerUnavailableError,
)
from espalier.serve.held import hold
from espalier.serve.ledger import MAX_REVISIONS, Entry, Ledger, Loaded
from espalier.serve.lifecycle import Lifecycle
from espalier.serve.rulebook import Rulebook
from tests.unit.serve.fakes import ListLog

NOW = 1_700_000_000_000_000_000


class FakeWorkers:
    """Two workers that do as they are told; the revision of a file is what stands in it.

    Attributes:
        asked: Every request: method and parameters.
        faults: What a method raises, by method, once.
        orders: The newest.
    """

    def __init__(self) -> None:
        self.asked: list[tuple[str, dict[str, Any]]] = []
        self.faults: dict[str, Exception] = {}
        self.orders: Sequence[Mapping[str, Any]] = []

    def request_all(
        self, method: str, params: Params | None = None, *, timeout: float
    ) -> dict[int, Mapping[str, Any]]:
        """Keep the request; fail if told to."""
        return dict.fromkeys((0, 1), self.request_one(method, params, timeout=timeout))

    def request_one(
        self, method: str, params: Params | None = None, *, timeout: float
    ) -> Mapping[str, Any]:
        """Keep the request; fail if told to."""
        assert timeout > 0
        self.asked.append((method, dict(params or {})))
        if method in self.faults:
            raise self.faults.pop(method)
        if method == "check":
            assert params is not None
            text = Path(params["file"]).read_text()
            return {
                "revision": text,
                "labels": 1,
                "bytes": len(text),
                "products": text.startswith("products"),
            }
        return {}

    def give_orders(self, orders: Sequence[Mapping[str, Any]]) -> None:
        """Keep them."""
        self.orders = orders

    def methods(self) -> list[str]:
        """Return the methods asked for, and forget them."""
        found = [method for method, _ in self.asked]
        self.asked.clear()
        return found


class Bench:
    """A life cycle over fake workers, with one index called ``main``."""

    def __init__(self, folder: Path, *, state: bool = False) -> None:
        self.folder = folder
        self.workers = FakeWorkers()
        self.log = ListLog()
        self.counters = Counters()
        self.told: list[tuple[str, bool]] = []
        path = self.file("first")
        first = Loaded("main", path, hold(path), "first", 1, 5, NOW)
        self.lifecycle = Lifecycle(
            self.workers,
            Ledger({"main": Entry({"first": first}, active="first")}),
            Rulebook(folder / "state" if state else None),
            orders=lambda ledger: [{"indexes": ledger.orders(), "unwell": ledger.unwell()}],
            roots=[folder],
            log=self.log,
            counters=self.counters,
            told=lambda name, well: self.told.append((name, well)),
            clock=lambda: NOW,
        )

    def file(self, text: str) -> Path:
        """Return a file that is an index to the workers here."""
        path = self.folder / f"{text}.esp"
        path.write_text(text)
        return path

    def load(self, text: str, *, name: str = "main", activate: bool = False) -> Loaded:
        """Load such a file."""
        return self.lifecycle.load(name, self.file(text), activate=activate)

    def entry(self) -> tuple[list[str], str, str]:
        """Return what is loaded, what answers, and what did before."""
        entry = self.lifecycle.ledger.entry("main")
        return list(entry.revisions), entry.active, entry.previous

    def ordered(self) -> dict[str, bool]:
        """Return what a worker that starts now opens, and whether it answers."""
        return {one.revision: one.active for one in self.workers.orders[0]["indexes"]}


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    """Return a life cycle without a state folder."""
    return Bench(tmp_path)


def test_a_load_is_checked_staged_and_then_settled(bench: Bench) -> None:
    """In this order, with orders for newcomers that fit."""
    bench.load("second")
    assert bench.workers.methods() == ["check", "stage", "health"]
    assert bench.ordered() == {"first": True, "second": False}

    bench.load("second", activate=True)
    assert bench.workers.methods() == ["check", "stage", "settle", "health"]
    assert bench.ordered() == {"first": False, "second": True}
    assert bench.entry() == (["first", "second"], "second", "first")
    assert bench.counters.get("index_loads", "main", "OK") == 2


def test_a_refused_check_changes_nothing(bench: Bench) -> None:
    """The failure is noted, counted, logged and told until a load succeeds."""
    refusal = ControlError("bad", reason="INDEX_CORRUPT", evidence={"check": "S4"})
    bench.workers.faults["check"] = refusal
    with pytest.raises(ControlError) as caught:
        bench.load("second", activate=True)

    failure = bench.lifecycle.ledger.entry("main").failure
    assert caught.value is refusal
    assert failure is not None
    assert (failure.reason, failure.failed_ns) == ("INDEX_CORRUPT", NOW)
    assert bench.entry() == (["first"], "first", "")
    assert bench.ordered() == {"first": True}
    assert bench.told == [("main", False)]
    assert bench.workers.orders[0]["unwell"] == ("main",)
    assert bench.counters.get("index_loads", "main", "INDEX_CORRUPT") == 1
    assert bench.log.names() == ["index_refused"]

    bench.load("second")
    assert bench.told[-1] == ("main", True)
    assert bench.lifecycle.ledger.entry("main").failure is None


@pytest.mark.parametrize("fault", ["stage", "settle"])
def test_one_worker_that_does_not_follow_means_that_none_does(bench: Bench, fault: str) -> None:
    """What had begun is taken back, in the orders as well."""
    bench.workers.faults[fault] = ControlError("no reply within 1 s")
    with pytest.raises(WorkerUnavailableError, match="repeat the call"):
        bench.load("second", activate=True)

    assert bench.entry()[1:] == ("first", "")
    assert bench.ordered()["first"] is True
    method, params = bench.workers.asked[-2]
    assert method == "settle"
    assert params["active"] == "first"
    assert bench.workers.asked[-1] == ("health", {"name": "main", "well": False})
    # And again, when it has recovered.
    bench.load("second", activate=True)
    assert bench.entry()[1:] == ("second", "first")


def test_no_worker_at_all_is_said_so(bench: Bench) -> None:
    """All of them died a moment ago."""
    bench.workers.faults["check"] = GoneError("check: no worker answers at the moment")
    with pytest.raises(WorkerUnavailableError, match="no worker answers"):
        bench.load("second")


def test_what_was_loaded_is_not_loaded_again(bench: Bench) -> None:
    """A repeated call finds it done; the file is checked all the same."""
    one = bench.load("second")
    bench.workers.methods()

    assert bench.load("second") is one
    assert bench.workers.methods() == ["check", "health"]
    bench.lifecycle.activate("main", "second")
    bench.workers.methods()
    bench.lifecycle.activate("main", "second")
    assert bench.workers.methods() == []


def test_the_revision_before_the_last_goes(bench: Bench) -> None:
    """One step back is kept, not two."""
    for text in ("second", "third"):
        bench.load(text, activate=True)

    assert bench.entry() == (["second", "third"], "third", "second")
    bench.lifecycle.roll_back("")
    assert bench.entry() == (["second", "third"], "second", "")
    with pytest.raises(NoPreviousRevisionError):
        bench.lifecycle.roll_back("")
    bench.lifecycle.roll_back("", "third")
    assert bench.entry()[1] == "second"


def test_what_answers_cannot_be_unloaded(bench: Bench) -> None:
    """The rest can, and what is not there counts as done."""
    bench.load("second")
    with pytest.raises(IndexActiveError):
        bench.lifecycle.unload("main", "first")
    bench.lifecycle.unload("main", "second")
    bench.lifecycle.unload("main", "second")

    assert bench.entry() == (["first"], "first", "")
    with pytest.raises(UnknownRevisionError, match="use one of: first"):
        bench.lifecycle.activate("main", "second")
    with pytest.raises(UnknownIndexError):
        bench.lifecycle.unload("other", "second")


def test_a_name_that_was_never_activated_goes_with_its_last_revision(bench: Bench) -> None:
    """As if it had not been."""
    bench.load("second", name="other")
    assert list(bench.lifecycle.ledger.entries) == ["main", "other"]
    bench.lifecycle.unload("other", "second")

    assert list(bench.lifecycle.ledger.entries) == ["main"]


def test_there_is_a_limit_to_what_is_loaded(bench: Bench) -> None:
    """Each revision is a file that every worker has open."""
    for number in range(MAX_REVISIONS - 1):
        bench.load(f"r{number}")
    with pytest.raises(LimitError, match="unload one first"):
        bench.load("more")

    assert len(bench.entry()[0]) == MAX_REVISIONS


def test_files_outside_the_roots_are_refused_wherever_links_lead(
    bench: Bench, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Unless the configuration itself names them; nothing is asked of a worker."""
    outside = tmp_path_factory.mktemp("outside") / "x.esp"
    outside.write_text("outside")
    link = bench.folder / "link.esp"
    link.symlink_to(outside)
    for path in (outside, link, bench.folder / ".." / outside.parent.name / "x.esp"):
        with pytest.raises(PathForbiddenError):
            bench.lifecycle.load("main", path, activate=True)
    assert bench.workers.methods() == []
    assert bench.told == []

    bench.lifecycle.load("main", link, activate=True, trusted=True)
    assert bench.entry()[1] == "outside"


def test_a_file_that_is_not_there_is_a_failure_too(bench: Bench) -> None:
    """A dangling link must be seen by somebody."""
    with pytest.raises(IndexMissingError, match="No such file"):
        bench.lifecycle.load("main", bench.folder / "none.esp", activate=True)

    assert bench.told == [("main", False)]


def test_rules_change_everywhere_and_add_up(bench: Bench) -> None:
    """The reply counts the workers; without a folder nothing is kept."""
    rules, workers = bench.lifecycle.change_rules("", add=[Block("A  query"), BlockWord("fake")])
    assert (len(rules.rules), workers, bench.lifecycle.persisted) == (2, 2, False)
    method, params = bench.workers.asked[-1]
    assert method == "rules"
    assert Overlay.load(params["file"]).rules == (Block("a query"), BlockWord("fake"))

    rules, _ = bench.lifecycle.change_rules("main", remove=[Block("a QUERY"), Block("never")])
    assert rules.rules == bench.lifecycle.rules("").rules == (BlockWord("fake"),)
    with pytest.raises(UnknownIndexError):
        bench.lifecycle.change_rules("other")


def test_products_take_no_rules(bench: Bench) -> None:
    """They are about completions; to take back what was set before is no harm."""
    bench.load("products", activate=True)

    with pytest.raises(UnsupportedRequestError, match="products"):
        bench.lifecycle.change_rules("", add=[Block("a query")])
    assert bench.lifecycle.rules("").rules == ()
    bench.lifecycle.change_rules("", remove=[Block("a query")])


def test_a_bad_rule_changes_none(bench: Bench) -> None:
    """Not even the good ones beside it."""
    with pytest.raises(InputError, match="rule 2"):
        bench.lifecycle.change_rules("", add=[Block("good"), BlockWord("two words")])

    assert bench.lifecycle.rules("").rules == ()
    assert bench.workers.methods() == []


def test_rules_that_cannot_be_kept_do_not_hold(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A full disk is found out before anybody relies on them."""
    bench = Bench(tmp_path, state=True)

    def refuse(*_: object, **_more: object) -> None:
        raise StorageError("disk full")

    monkeypatch.setattr(Overlay, "save", refuse)
    with pytest.raises(StorageError):
        bench.lifecycle.change_rules("", add=[Block("a query")])

    assert bench.lifecycle.rules("").rules == ()
    assert bench.workers.methods() == []


def test_rules_somebody_edited_hold_when_they_are_read_again(tmp_path: Path) -> None:
    """Once; a bad file, or one that is gone, changes nothing."""
    bench = Bench(tmp_path, state=True)
    kept = tmp_path / "state" / "overlay.main.json"
    bench.lifecycle.change_rules("", add=[Block("a query")])
    assert kept.stat().st_mode & 0o777 == 0o600
    bench.workers.methods()
    bench.lifecycle.reread_rules()
    assert bench.workers.methods() == []

    Overlay([Block("another")]).save(kept)
    bench.lifecycle.reread_rules()
    bench.lifecycle.reread_rules()
    assert bench.workers.methods() == ["rules"]
    assert bench.lifecycle.rules("").rules == (Block("another"),)

    breaks: list[Callable[[], object]] = [lambda: kept.write_text("{"), kept.unlink]
    for spoil in breaks:
        spoil()
        bench.lifecycle.reread_rules()
        assert bench.workers.methods() == []
        assert bench.lifecycle.rules("").rules == (Block("another"),)
    assert bench.log.names().count("rules_refused") == 1
    assert bench.counters.get("rule_changes", "main", "INVALID_REQUEST") == 1


def test_rules_of_a_name_are_there_when_it_is_loaded_again(tmp_path: Path) -> None:
    """Workers have them before they are asked to stage."""
    (tmp_path / "state").mkdir()
    Overlay([Block("a query")]).save(tmp_path / "state" / "overlay.other.json")
    bench = Bench(tmp_path, state=True)
    bench.load("second", name="other")

    assert bench.workers.methods() == ["check", "rules", "stage", "health"]
    assert bench.lifecycle.rules("other").rules == (Block("a query"),)


def test_a_worker_that_misses_a_rule_fails_the_call_and_the_rule_stays(bench: Bench) -> None:
    """It may hold elsewhere already; the call can be repeated."""
    bench.workers.faults["rules"] = ControlError("no reply within 1 s")
    with pytest.raises(WorkerUnavailableError):
        bench.lifecycle.change_rules("", add=[Block("a query")])
    assert bench.lifecycle.rules("").rules == (Block("a query"),)

    assert bench.lifecycle.change_rules("", add=[Block("a query")])[1] == 2
