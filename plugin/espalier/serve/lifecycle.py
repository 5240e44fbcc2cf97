"""Changes what all workers answer from, or by which rules: everywhere or nowhere.

A load is checked by one worker and staged by all; only when each of them is ready to
answer is each told to. Rules need no such care: what a rule does in one worker does no
harm before it does in the next.

Two things make a change hold in every worker, now and later. Orders are changed first,
so that a worker that starts begins with it; then all workers are asked, and each replies
when no call under way goes by what was before (`shelf`).
"""

from __future__ import annotations

import contextlib
import dataclasses
import math
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, Protocol

from espalier.errors import EspalierError, IndexFileError, InputError
from espalier.overlay import Overlay, Rule
from espalier.overlay.rules import to_json
from espalier.serve.control import ControlError, GoneError, Params
from espalier.serve.counters import Counting
from espalier.serve.errors import (
    PathForbiddenError,
    UnsupportedRequestError,
    WorkerUnavailableError,
)
from espalier.serve.held import HeldFile, hold
from espalier.serve.ledger import Entry, Failure, Ledger, Loaded
from espalier.serve.log import EventLog
from espalier.serve.rulebook import Rulebook

PREPARE_SECONDS: Final = 600.0
"""For checking and staging a file, at most."""
SETTLE_SECONDS: Final = 30.0
"""For what takes no time, but must wait for a worker that is just starting."""


class Workers(Protocol):
    """What of `supervisor.Supervisor` is needed here."""

    def request_all(
        self, method: str, params: Params | None = None, *, timeout: float
    ) -> Mapping[int, Mapping[str, Any]]:
        """Make a request to every worker."""
        ...

    def request_one(
        self, method: str, params: Params | None = None, *, timeout: float
    ) -> Mapping[str, Any]:
        """Make a request to one that answers calls."""
        ...

    def give_orders(self, orders: Sequence[Mapping[str, Any]]) -> None:
        """Let workers that start from now on begin with these."""
        ...


class Lifecycle:
    """The life cycle of indexes and their rules. Safe to use from many threads.

    Args:
        workers: Who answers calls.
        ledger: What they have open.
        rules: The rules they go by.
        orders: Makes the first message to each worker, rules included.
        roots: Folders that files may be loaded from.
        told: Called with the name of an index and whether its newest load succeeded, when
            that changes.
        clock: Unix time in nanoseconds.
    """

    def __init__(
        self,
        workers: Workers,
        ledger: Ledger,
        rules: Rulebook,
        *,
        orders: Callable[[Ledger], Sequence[Mapping[str, Any]]],
        roots: Iterable[Path],
        log: EventLog,
        counters: Counting,
        told: Callable[[str, bool], object],
        clock: Callable[[], int] = time.time_ns,
    ) -> None:
        self._workers = workers
        self._ledger = ledger
        self._rules = rules
        self._orders = orders
        self._roots = [root.resolve() for root in roots]
        self._log = log
        self._counters = counters
        self._told = told
        self._clock = clock
        # One life cycle at a time; blocking a query does not wait for a load.
        self._loading = threading.Lock()
        # Held while ledger, rules and orders change, until every worker follows.
        self._changing = threading.Lock()
        self._give_orders()

    @property
    def ledger(self) -> Ledger:
        """What is loaded."""
        return self._ledger

    @property
    def persisted(self) -> bool:
        """Whether rules survive a restart."""
        return self._rules.persisted

    def rules(self, name: str) -> Overlay:
        """Return the rules of an index.

        Raises:
            UnknownIndexError: There is no such index.
        """
        return self._rules.get(self._ledger.named(name))

    def renew_orders(self) -> None:
        """Let workers that start from now on begin with what holds now."""
        with self._changing:
            self._give_orders()

    def close(self) -> None:
        """Let go of every file."""
        for entry in self._ledger.entries.values():
            for one in entry.revisions.values():
                one.file.close()

    # ---- indexes --------------------------------------------------------------------

    def load(
        self,
        name: str,
        path: Path,
        *,
        activate: bool,
        trusted: bool = False,
        seconds: float = math.inf,
    ) -> Loaded:
        """Check a file, get every worker ready for it and, with ``activate``, switch to it.

        ``trusted`` files may lie anywhere; ``seconds`` is when to give up.

        Raises:
            PathForbiddenError: It lies outside the folders it may come from.
            LimitError: Too many revisions are loaded.
            IndexFileError, ControlError, WorkerUnavailableError: It cannot be used;
                nothing has changed, and the failure is noted.
        """
        name = name or self._ledger.default
        with self._loading:
            try:
                loaded = self._load(name, path, seconds, trusted=trusted)
                if activate:
                    self._activate(loaded, seconds)
            except (IndexFileError, ControlError, WorkerUnavailableError) as error:
                self._note_failure(name, path, error)
                raise
            self._note_success(name)
        return loaded

    def activate(self, name: str, revision: str, *, seconds: float = math.inf) -> None:
        """Let a loaded revision answer.

        Raises:
            UnknownIndexError, UnknownRevisionError: As named.
            ControlError, WorkerUnavailableError: A worker cannot; nothing has changed.
        """
        with self._loading:
            self._activate(self._ledger.find(self._ledger.named(name), revision), seconds)

    def roll_back(self, name: str, from_revision: str = "", *, seconds: float = math.inf) -> None:
        """Let the revision answer that did before, unless ``from_revision`` does not any more.

        Raises:
            UnknownIndexError, NoPreviousRevisionError: As named.
            ControlError, WorkerUnavailableError: A worker cannot; nothing has changed.
        """
        with self._loading:
            name = self._ledger.named(name)
            entry = self._ledger.entry(name)
            if from_revision not in {"", entry.active}:
                return
            after = self._ledger.rolled_back(name)
            self._stage(after.find(name, entry.previous), seconds)
            self._switch(name, lambda ledger: ledger.rolled_back(name))
            self._note_active(name, entry.active, "index_rolled_back")

    def unload(self, name: str, revision: str) -> None:
        """Let go of a revision that does not answer.

        Raises:
            UnknownIndexError, IndexActiveError: As named.
            WorkerUnavailableError: A worker did not reply.
        """
        with self._loading:
            name = self._ledger.named(name)
            self._ledger.unloaded(name, revision)
            self._switch(name, lambda ledger: ledger.unloaded(name, revision))
            self._log.info("index_unloaded", index=name, revision=revision)

    def _load(self, name: str, path: Path, seconds: float, *, trusted: bool) -> Loaded:
        file = hold(path)
        try:
            if not trusted:
                self._check_place(file)
            found = self._checked(name, path, file, seconds)
            already = self._ledger.entries.get(name, Entry()).revisions.get(found.revision)
            if already is not None:
                file.close()
                return already
            with self._changing:
                new = name not in self._ledger.entries
                after = self._ledger.loaded(found)
                if new:
                    # It may have had rules before a restart.
                    self._rules.open([name])
                self._ledger = after
                self._give_orders()
        except BaseException:
            file.close()
            raise
        try:
            if new:
                with self._changing:
                    self._spread(name)
            self._stage(found, seconds)
        except BaseException:
            with contextlib.suppress(WorkerUnavailableError):
                self._switch(name, lambda ledger: ledger.unloaded(name, found.revision))
            raise
        self._log.info(
            "index_staged", index=name, path=str(path), revision=found.revision, labels=found.labels
        )
        return found

    def _check_place(self, file: HeldFile) -> None:
        place = file.place
        if not any(place.is_relative_to(root) for root in self._roots):
            raise PathForbiddenError(
                "path lies outside the folders indexes may be loaded from; put the file there, "
                "or add its folder to the setting index_roots",
                field="path",
            )

    def _checked(self, name: str, path: Path, file: HeldFile, seconds: float) -> Loaded:
        unknown = Loaded(name, path, file, "", 0, 0, self._clock())
        facts = _asked(
            lambda: self._workers.request_one(
                "check",
                unknown.order(active=False).as_message(),
                timeout=min(seconds, PREPARE_SECONDS),
            )
        )
        return dataclasses.replace(
            unknown,
            revision=facts["revision"],
            labels=facts["labels"],
            bytes=facts["bytes"],
            loaded_ns=self._clock(),
            products=facts["products"],
        )

    def _activate(self, loaded: Loaded, seconds: float) -> None:
        name, revision = loaded.name, loaded.revision
        before = self._ledger.entry(name).active
        if before == revision:
            return
        self._stage(loaded, seconds)
        self._switch(name, lambda ledger: ledger.activated(name, revision))
        self._note_active(name, before, "index_activated")

    def _stage(self, loaded: Loaded, seconds: float) -> None:
        message = loaded.order(active=False).as_message()
        timeout = min(seconds, PREPARE_SECONDS)
        _asked(lambda: self._workers.request_all("stage", message, timeout=timeout))

    def _switch(self, name: str, change: Callable[[Ledger], Ledger]) -> None:
        """Change the ledger and let every worker follow, or none."""
        with self._changing:
            before, after = self._ledger, change(self._ledger)
            self._ledger = after
            self._give_orders()
            try:
                self._settle(name)
            except WorkerUnavailableError:
                self._ledger = before
                self._give_orders()
                self._log.error("change_taken_back", index=name)
                with contextlib.suppress(WorkerUnavailableError):
                    self._settle(name)
                raise
            left = after.entries.get(name, Entry()).revisions
            for revision, one in before.entries.get(name, Entry()).revisions.items():
                if revision not in left:
                    one.file.close()

    def _settle(self, name: str) -> None:
        entry = self._ledger.entries.get(name, Entry())
        message = {"name": name, "active": entry.active, "keep": entry.kept()}
        _asked(lambda: self._workers.request_all("settle", message, timeout=SETTLE_SECONDS))

    # ---- rules ----------------------------------------------------------------------

    def change_rules(
        self, name: str, *, add: Iterable[Rule] = (), remove: Iterable[Rule] = ()
    ) -> tuple[Overlay, int]:
        """Change the rules of an index; return them, and how many workers go by them.

        Raises:
            UnknownIndexError: There is no such index.
            UnsupportedRequestError: It holds products, which no rule is about.
            InputError: A rule cannot be kept; none has changed.
            StorageError: They cannot be written; none has changed.
            ControlError, WorkerUnavailableError: A worker did not follow; others may have.
        """
        with self._changing:
            name = self._ledger.named(name)
            add, remove = list(add), list(remove)
            entry = self._ledger.entry(name)
            if add and entry.active and entry.revisions[entry.active].products:
                raise UnsupportedRequestError(
                    "the index holds products; blocks, pins and boosts are about completions. "
                    "Keep products out with a filter, or leave them out of the catalogue",
                    field="index",
                )
            rules = self._rules.get(name).without(*remove).with_(*add)
            # A hundred thousand rules take a second to read, so workers hear of one more.
            return rules, self._rule(name, rules, add=_plain(add), remove=_plain(remove))

    def reread_rules(self) -> None:
        """Let the rules hold that somebody wrote into the files of the state folder."""
        for name in list(self._ledger.entries):
            with self._changing:
                try:
                    rules = self._rules.edited(name)
                    if rules is not None:
                        self._rule(name, rules)
                except (ControlError, InputError, WorkerUnavailableError) as error:
                    self._counters.add("rule_changes", name, error.reason)
                    self._log.error("rules_refused", index=name, error=str(error))

    def _rule(self, name: str, rules: Overlay, **change: list[dict[str, Any]]) -> int:
        self._rules.put(name, rules)
        workers = self._spread(name, **change)
        self._counters.add("rule_changes", name, "OK")
        self._log.info(
            "rules_changed",
            index=name,
            rules=len(rules.rules),
            persisted=self._rules.persisted,
            workers=workers,
        )
        return workers

    def _spread(self, name: str, **change: list[dict[str, Any]]) -> int:
        """Let the rules of an index hold, if it has any; return in how many workers.

        A ``change`` is what was added and removed since the version before.
        """
        self._give_orders()
        order = self._rules.orders().get(name)
        if order is None:
            return 0
        message = {"name": name, **order.as_message(), **change}
        replies = _asked(
            lambda: self._workers.request_all("rules", message, timeout=SETTLE_SECONDS)
        )
        self._rules.forget()
        return len(replies)

    # ---- credentials ----------------------------------------------------------------

    def spread_credentials(self, message: Params) -> None:
        """Let every worker go by the credentials in ``message``; orders have them already.

        Raises:
            ControlError, WorkerUnavailableError: A worker did not follow; others may have.
        """
        with self._changing:
            self._give_orders()
            _asked(
                lambda: self._workers.request_all("credentials", message, timeout=SETTLE_SECONDS)
            )

    # ---- notes ----------------------------------------------------------------------

    def _give_orders(self) -> None:
        self._workers.give_orders(self._orders(self._ledger))

    def _note_active(self, name: str, before: str, event: str) -> None:
        self._counters.add("index_switches", name, event.removeprefix("index_"))
        self._log.info(
            event, index=name, revision=self._ledger.entry(name).active, before=before or None
        )

    def _note_failure(self, name: str, path: Path, error: EspalierError) -> None:
        self._counters.add("index_loads", name, error.reason)
        self._log.error(
            "index_refused", index=name, path=str(path), reason=error.reason, error=str(error)
        )
        failure = Failure(name, path, error.reason, str(error), self._clock())
        self._note(name, lambda ledger: ledger.failed(failure))

    def _note_success(self, name: str) -> None:
        self._counters.add("index_loads", name, "OK")
        self._note(name, lambda ledger: ledger.mended(name))

    def _note(self, name: str, change: Callable[[Ledger], Ledger]) -> None:
        with self._changing:
            self._ledger = change(self._ledger)
            if name not in self._ledger.entries:
                return
            self._give_orders()
            well = name not in self._ledger.unwell()
            self._told(name, well)
            # Whoever misses it is busy with worse.
            with contextlib.suppress(WorkerUnavailableError, ControlError):
                _asked(
                    lambda: self._workers.request_all(
                        "health", {"name": name, "well": well}, timeout=SETTLE_SECONDS
                    )
                )


def _plain(rules: Iterable[Rule]) -> list[dict[str, Any]]:
    return [to_json(rule) for rule in rules]


def _asked(ask: Callable[[], Any]) -> Any:
    """Return what workers reply.

    Raises:
        WorkerUnavailableError: One of them did not.
        ControlError: One of them refused; its reason is that of its error.
    """
    try:
        return ask()
    except GoneError as error:
        raise WorkerUnavailableError(f"{error}; repeat the call") from error
    except ControlError as error:
        if error.reason == "INTERNAL":
            raise WorkerUnavailableError(f"{error}; repeat the call") from error
        raise
