"""Indexes and rules change under load: everywhere or nowhere, and no call notices."""

from __future__ import annotations

import json
import os
import shutil
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Self

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

import espalier
from espalier.admin import Admin
from espalier.client import CallError, Client
from espalier.overlay import Block, BlockPattern, BlockWord, Boost, BoostWord, Overlay, Pin, Rule
from espalier.settings import TrainSettings
from espalier.train import train_index
from espalier.v1.index_service_pb2 import IndexState
from integration.processes import PATIENCE, Sidecar

SWAPS = 5_000 if os.environ.get("ESPALIER_PROFILE") == "long" else 100
PREFIXES = ("", "c", "r", "b", "sh")
WORKERS = 2
ENOUGH = 12
"""Connections among which both workers are, almost certainly."""


@pytest.fixture(scope="module")
def night_index(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return an index whose answers are none of the demo index."""
    folder = tmp_path_factory.mktemp("night")
    words = ("camel", "reed", "beacon", "shard", "crypt", "bauble")
    rows = [f"{user}\t{first} {other}" for user in range(4) for first in words for other in "abcd"]
    (folder / "log.tsv").write_text("\n".join(["user\tquery", *rows]) + "\n")
    path = folder / "night.esp"
    train_index([folder / "log.tsv"], path, TrainSettings(min_users=1, threads=1))
    return path


class Site:
    """A folder of index files, and the answers each of them gives."""

    def __init__(self, folder: Path, *indexes: Path) -> None:
        self.folder = folder
        self.paths = [Path(shutil.copy(path, folder)) for path in indexes]
        self.expected: dict[str, dict[str, list[str]]] = {}
        self.revisions: list[str] = []
        for path in self.paths:
            with espalier.open(path) as index:
                self.revisions.append(index.info.fingerprint)
                self.expected[index.info.fingerprint] = {
                    prefix: [one.text for one in index.complete(prefix)] for prefix in PREFIXES
                }

    def bad(self) -> Path:
        """Return a file with one bit wrong."""
        path = self.folder / "bad.esp"
        data = bytearray(self.paths[1].read_bytes())
        data[len(data) // 2] ^= 1
        path.write_bytes(data)
        return path

    def serve(self, *arguments: str, index: Path | None = None) -> Sidecar:
        """Return a service of the first index, with an admin listener."""
        return Sidecar(
            "--index",
            index or self.paths[0],
            "--admin",
            f"unix:{self.folder / 'admin'}",
            "--set",
            f"workers={WORKERS}",
            "--set",
            "watch_seconds=0.05",
            *arguments,
        )


@pytest.fixture
def site(tmp_path: Path, demo_index: Path, night_index: Path) -> Site:
    """Return a folder with two indexes."""
    return Site(tmp_path, demo_index, night_index)


@pytest.fixture
def sidecar(site: Site) -> Iterator[Sidecar]:
    """Return a service of the first index without a state folder."""
    with site.serve() as started:
        yield started


def until(true: Callable[[], bool]) -> None:
    """Wait until ``true`` is."""
    deadline = time.monotonic() + PATIENCE
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def everywhere(sidecar: Sidecar, prefix: str = "c") -> Iterator[tuple[str, list[str]]]:
    """Yield revision and texts of answers over so many connections that all workers answer."""
    with Client(sidecar.address, timeout=PATIENCE, channels=ENOUGH) as client:
        for _ in range(ENOUGH):
            reply = client.complete(prefix)
            yield reply.header.index_revision, [one.text for one in reply.suggestions]


def revisions(sidecar: Sidecar) -> set[str]:
    """Return the revisions that answer."""
    return {revision for revision, _ in everywhere(sidecar)}


def texts(sidecar: Sidecar, prefix: str) -> set[str]:
    """Return everything that is suggested, by whichever worker."""
    return {text for _, found in everywhere(sidecar, prefix) for text in found}


def health(address: str, name: str) -> int:
    """Return the status of a component."""
    with grpc.insecure_channel(address) as channel:
        stub = health_pb2_grpc.HealthStub(channel)
        reply = stub.Check(health_pb2.HealthCheckRequest(service=name), timeout=PATIENCE)
        return int(reply.status)


def told(sidecar: Sidecar, event: str) -> list[dict[str, object]]:
    """Return the events of a name, those of workers left out."""
    return [one for one in sidecar.events() if one["event"] == event and "worker" not in one]


class Load:
    """Clients that ask without a pause, and what became of it."""

    def __init__(self, sidecar: Sidecar, site: Site, threads: int = 4) -> None:
        self.outcomes: Counter[str] = Counter()
        self._stop = threading.Event()
        self._address, self._site = sidecar.address, site
        self._threads = [threading.Thread(target=self._ask) for _ in range(threads)]

    def __enter__(self) -> Self:
        """Begin."""
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """End."""
        self._stop.set()
        for thread in self._threads:
            thread.join(PATIENCE)

    def _ask(self) -> None:
        turn = 0
        with Client(self._address, timeout=PATIENCE, channels=2) as client:
            while not self._stop.is_set():
                turn += 1
                prefix = PREFIXES[turn % len(PREFIXES)]
                try:
                    reply = client.complete(prefix)
                except CallError as error:
                    self.outcomes[str(error)] += 1
                    continue
                found = [one.text for one in reply.suggestions]
                wanted = self._site.expected[reply.header.index_revision][prefix]
                self.outcomes["right" if found == wanted else "mixed"] += 1


def test_a_hundred_swaps_under_load_cost_no_answer(site: Site, sidecar: Sidecar) -> None:
    """None fails, none is mixed from two revisions, and each call returns when all follow."""
    lagging = 0
    with Admin(sidecar.admin, timeout=PATIENCE) as admin, Load(sidecar, site) as load:
        admin.load(site.paths[1])
        for turn in range(1, SWAPS + 1):
            wanted = site.revisions[turn % 2]
            reply = admin.activate(wanted)
            assert reply.header.index_revision == wanted
            if turn % 20 == 0:
                lagging += revisions(sidecar) != {wanted}
        final = revisions(sidecar)

    assert load.outcomes.keys() == {"right"}
    assert load.outcomes["right"] > SWAPS
    assert lagging == 0
    assert final == {site.revisions[SWAPS % 2]}


def test_loading_and_unloading_under_load_keeps_nothing_open(site: Site, sidecar: Sidecar) -> None:
    """Files come and go under the same name, as every night; what is gone is unmapped."""
    with Admin(sidecar.admin, timeout=PATIENCE) as admin, Load(sidecar, site) as load:
        for turn in range(1, 7):
            wanted = site.revisions[turn % 2]
            admin.load(site.paths[turn % 2], activate=True)
            admin.unload(site.revisions[(turn + 1) % 2])
            assert [one.revision for one in admin.indexes().revisions] == [wanted]
    maps = [Path(f"/proc/{pid}/maps").read_text() for pid in sidecar.workers().values()]

    assert load.outcomes.keys() == {"right"}
    for one in maps:
        assert str(site.paths[0]) in one
        assert str(site.paths[1]) not in one


def test_a_bad_file_changes_nothing_and_is_seen(site: Site, sidecar: Sidecar) -> None:
    """By the caller, in the health of the index, in the list and in the log, until it is mended."""
    bad = site.bad()
    with Admin(sidecar.admin, timeout=PATIENCE) as admin:
        with pytest.raises(CallError) as caught:
            admin.load(bad, activate=True)
        (failure,) = admin.indexes().failures
        unwell = [health(where, "index/default") for where in (sidecar.admin, sidecar.address)]
        ready = health(sidecar.admin, "ready")
        kept = revisions(sidecar)
        admin.load(site.paths[1], activate=True)
        mended = [health(where, "index/default") for where in (sidecar.admin, sidecar.address)]

        assert admin.indexes().failures == []

    assert caught.value.reason == "INDEX_CORRUPT"
    assert caught.value.metadata["section"]
    assert str(bad) in str(caught.value)
    assert (failure.path, failure.reason) == (str(bad), "INDEX_CORRUPT")
    assert unwell == [health_pb2.HealthCheckResponse.NOT_SERVING] * 2
    assert mended == [health_pb2.HealthCheckResponse.SERVING] * 2
    assert ready == health_pb2.HealthCheckResponse.SERVING
    assert kept == {site.revisions[0]}
    assert [one["reason"] for one in told(sidecar, "index_refused")] == ["INDEX_CORRUPT"]


def test_an_index_goes_through_its_life(site: Site, sidecar: Sidecar) -> None:
    """Load, activate, roll back, unload; what cannot be done is refused by name."""
    first, second = site.revisions
    with Admin(sidecar.admin, timeout=PATIENCE) as admin:

        def states() -> dict[str, str]:
            return {
                one.revision: IndexState.Name(one.state).removeprefix("INDEX_STATE_")
                for one in admin.indexes().revisions
            }

        def refused(call: Callable[[], object]) -> str:
            with pytest.raises(CallError) as caught:
                call()
            return caught.value.reason

        assert admin.indexes().workers == WORKERS
        assert refused(admin.roll_back) == "NO_PREVIOUS_REVISION"
        assert refused(lambda: admin.unload(first)) == "INDEX_ACTIVE"
        assert refused(lambda: admin.activate(second)) == "UNKNOWN_REVISION"
        assert refused(lambda: admin.indexes("fr")) == "UNKNOWN_INDEX"
        assert refused(lambda: admin.load(Path(__file__))) == "PATH_FORBIDDEN"
        assert refused(lambda: admin.load(site.folder / "none.esp")) == "INDEX_MISSING"
        assert refused(lambda: admin.load(site.folder)) == "INDEX_FORMAT"
        assert refused(lambda: admin.load(site.paths[1], index="no/name")) == "INVALID_REQUEST"

        loaded = admin.load(site.paths[1]).loaded
        assert (loaded.revision, loaded.path) == (second, str(site.paths[1]))
        assert states() == {first: "ACTIVE", second: "LOADED"}
        admin.load(site.paths[1], activate=True)
        assert states() == {second: "ACTIVE", first: "PREVIOUS"}
        assert revisions(sidecar) == {second}
        # The file may be gone by now: it is held open.
        site.paths[0].unlink()
        assert admin.roll_back(from_revision=second).header.index_revision == first
        assert admin.roll_back(from_revision=second).header.index_revision == first
        assert states() == {first: "ACTIVE", second: "LOADED"}
        assert revisions(sidecar) == {first}
        admin.unload(second)
        admin.unload(second)
        assert states() == {first: "ACTIVE"}


def test_a_new_name_is_served_from_its_first_activation_on(site: Site, sidecar: Sidecar) -> None:
    """Beside the default one, with rules of its own."""
    with (
        Admin(sidecar.admin, timeout=PATIENCE) as admin,
        Client(sidecar.address, timeout=PATIENCE) as client,
    ):
        admin.load(site.paths[1], index="night")
        with pytest.raises(CallError, match="no index of that name"):
            client.complete("c", index="night")
        admin.activate(site.revisions[1], index="night")
        admin.add(BlockWord("camel"), index="night")
        found = {one.text for one in client.complete("c", index="night").suggestions}
        default = client.complete("c").header.index_revision

        assert found == {f"crypt {letter}" for letter in "abcd"}
        assert default == site.revisions[0]
        assert admin.rules() == []


def test_a_block_holds_in_every_worker_when_the_call_returns(site: Site, sidecar: Sidecar) -> None:
    """Under load, for what comes back from any connection; and it survives swaps."""
    top = site.expected[site.revisions[0]]["c"]
    with Admin(sidecar.admin, timeout=PATIENCE) as admin:
        for text in top[:5]:
            state = admin.add(Block(text))
            assert (state.workers, state.persisted) == (WORKERS, False)
            assert text not in texts(sidecar, "c")
        admin.load(site.paths[1], activate=True)
        admin.add(BlockPattern("^camel [ab]"))
        admin.roll_back()
        assert not set(top[:5]) & texts(sidecar, "c")
        admin.activate(site.revisions[1])
        assert texts(sidecar, "camel") == {"camel c", "camel d"}
        admin.remove(BlockPattern("^camel [ab]"), Block("never blocked"))
        assert len(texts(sidecar, "camel")) == 4


def test_pins_and_boosts_hold_and_are_listed(sidecar: Sidecar, site: Site) -> None:
    """What was set comes back, and what was taken back is gone."""
    usual = site.expected[site.revisions[0]]["c"]
    rules: list[Rule] = [
        Block("some query"),
        BlockPattern("^cheap"),
        BlockWord("fake"),
        Pin("camping sale", position=2, min_prefix=0, display="Camping Sale"),
        Boost(usual[-1], 50.0),
        BoostWord("refurbished", -1.0),
    ]
    with Admin(sidecar.admin, timeout=PATIENCE) as admin:
        admin.add(*rules)
        assert admin.rules() == rules
        for _, found in everywhere(sidecar, "c"):
            assert found[:2] == [usual[-1], "camping sale"]
        admin.remove(*rules[3:])
        assert admin.rules() == rules[:3]
        assert admin.remove(*rules).rules == 0
        with pytest.raises(CallError, match=r"rule 1 \(block_word\)") as caught:
            admin.add(BlockWord("two words"))
        assert caught.value.reason == "INVALID_REQUEST"


def test_ten_thousand_blocks_come_in_batches_and_back_in_pages(sidecar: Sidecar) -> None:
    """Neither a request nor a reply grows beyond what the transport takes."""
    rules = [Block(f"query number {number} that nobody shall see") for number in range(10_000)]
    with Admin(sidecar.admin, timeout=PATIENCE) as admin:
        assert admin.add(*rules).rules == len(rules)
        assert admin.rules() == sorted(rules, key=lambda rule: rule.text)


def test_the_successor_of_a_killed_worker_follows_as_well(site: Site, sidecar: Sidecar) -> None:
    """It begins with the revision and the rules of now, though the file is not there any more."""
    with Admin(sidecar.admin, timeout=PATIENCE) as admin:
        admin.load(site.paths[1], activate=True)
        admin.add(Block("camel a"))
        for path in site.paths:
            path.unlink()
        before = sidecar.workers()
        for pid in before.values():
            os.kill(pid, signal.SIGKILL)
        until(lambda: not set(sidecar.workers().values()) & set(before.values()))
        until(lambda: health(sidecar.admin, "workers") == health_pb2.HealthCheckResponse.SERVING)

        assert revisions(sidecar) == {site.revisions[1]}
        assert texts(sidecar, "camel") == {"camel b", "camel c", "camel d"}
        assert admin.roll_back().header.index_revision == site.revisions[0]
        assert revisions(sidecar) == {site.revisions[0]}


def test_workers_killed_during_changes_lose_none_of_them(site: Site, sidecar: Sidecar) -> None:
    """Whoever comes up late comes up right."""
    blocked: list[str] = []
    with Admin(sidecar.admin, timeout=PATIENCE) as admin:
        admin.load(site.paths[1])
        for turn in range(1, 5):
            victim = sidecar.workers()[turn % WORKERS]
            os.kill(victim, signal.SIGKILL)
            text = site.expected[site.revisions[0]]["c"][turn]
            admin.add(Block(text))
            blocked.append(text)
            admin.activate(site.revisions[turn % 2])
            assert revisions(sidecar) == {site.revisions[turn % 2]}
            until(lambda turn=turn, victim=victim: sidecar.workers()[turn % WORKERS] != victim)  # type: ignore[misc]
        until(lambda: health(sidecar.admin, "workers") == health_pb2.HealthCheckResponse.SERVING)

        assert revisions(sidecar) == {site.revisions[0]}
        assert not set(blocked) & texts(sidecar, "c")


def test_rules_survive_a_restart_in_a_file_for_its_owner_alone(site: Site) -> None:
    """With a state folder; the reply says so."""
    state = site.folder / "state"
    gone = site.expected[site.revisions[0]]["c"][0]
    arguments = ("--state-dir", str(state), "--set", "max_sessions=1000")
    with site.serve(*arguments) as sidecar:
        with Admin(sidecar.admin, timeout=PATIENCE) as admin:
            assert admin.add(Block(gone), BlockPattern("^nobody types this$")).persisted
            admin.load(site.paths[1], index="night")
            admin.add(Block("camel a"), index="night")
        sidecar.send(signal.SIGTERM)
        assert sidecar.wait() == 0
        # Not a word that is no JSON, from whatever library.
        assert sidecar.events()[-1]["event"] == "stopped"
    kept = state / "overlay.default.json"
    assert kept.stat().st_mode & 0o777 == 0o600
    with site.serve(*arguments) as sidecar:
        assert gone not in texts(sidecar, "c")
        with (
            Admin(sidecar.admin, timeout=PATIENCE) as admin,
            Client(sidecar.address, timeout=PATIENCE) as client,
        ):
            # Loaded by a call, so not there; its rules are when it is again.
            assert {one.index for one in admin.indexes().revisions} == {"default"}
            admin.load(site.paths[1], index="night", activate=True)
            found = {one.text for one in client.complete("camel", index="night").suggestions}
            assert found == {"camel b", "camel c", "camel d"}
    kept.write_text("{")
    with pytest.raises(AssertionError, match=r"overlay\.default\.json: line 1: not JSON"):
        site.serve(*arguments).__enter__()


def test_sighup_loads_what_changed_and_keeps_what_is_good(site: Site) -> None:
    """Configured files and edited rules; a bad one of either changes nothing."""
    state = site.folder / "state"
    rules = state / "overlay.default.json"
    arguments = ("--state-dir", str(state), "--set", "max_sessions=1000")
    with site.serve(*arguments) as sidecar:
        # A file that is no link is not looked at without being asked.
        site.bad().replace(site.paths[0])
        sidecar.send(signal.SIGHUP)
        until(lambda: len(told(sidecar, "index_refused")) == 1)
        assert revisions(sidecar) == {site.revisions[0]}

        shutil.copy(site.paths[1], site.folder / "new")
        (site.folder / "new").replace(site.paths[0])
        Overlay([Block("camel a")]).save(rules)
        sidecar.send(signal.SIGHUP)
        until(lambda: len(told(sidecar, "rules_changed")) == 1)
        assert revisions(sidecar) == {site.revisions[1]}
        assert texts(sidecar, "camel") == {"camel b", "camel c", "camel d"}

        rules.write_text(json.dumps({"espalier_overlay": 1, "rules": [{"block": ""}]}))
        sidecar.send(signal.SIGHUP)
        until(lambda: len(told(sidecar, "rules_refused")) == 1)
        sidecar.send(signal.SIGHUP)
        until(lambda: len(told(sidecar, "looking_for_changes")) == 4)
        assert texts(sidecar, "camel") == {"camel b", "camel c", "camel d"}
        assert len(told(sidecar, "index_activated")) == 1


def test_a_link_that_comes_to_point_elsewhere_is_followed(site: Site) -> None:
    """Once per change: not back to what was rolled back, and not into a bad file."""
    link = site.folder / "current"
    link.symlink_to(site.paths[0])

    def point(path: Path) -> None:
        fresh = site.folder / "fresh"
        fresh.symlink_to(path)
        fresh.replace(link)

    with site.serve(index=link) as sidecar, Admin(sidecar.admin, timeout=PATIENCE) as admin:
        with Load(sidecar, site) as load:
            point(site.paths[1])
            until(lambda: len(told(sidecar, "index_activated")) == 1)
            assert revisions(sidecar) == {site.revisions[1]}
            admin.roll_back()
            point(site.bad())
            until(lambda: len(told(sidecar, "index_refused")) == 1)
            link.unlink()
            time.sleep(0.2)
            assert revisions(sidecar) == {site.revisions[0]}
            point(site.paths[1])
            until(lambda: len(told(sidecar, "index_activated")) == 2)

        assert load.outcomes.keys() == {"right"}
        assert admin.indexes().failures == []


def test_the_admin_listener_is_for_this_machine_and_its_socket_for_its_user(
    site: Site, sidecar: Sidecar
) -> None:
    """Unless settings say otherwise, and who may; each listener serves its own alone."""
    assert (site.folder / "admin").stat().st_mode & 0o777 == 0o600
    with pytest.raises(AssertionError, match="can be reached from other machines"):
        Sidecar("--index", site.paths[0], "--admin", "0.0.0.0:0").__enter__()
    with pytest.raises(CallError, match="UNIMPLEMENTED"), Admin(sidecar.address) as admin:
        admin.indexes()
    with pytest.raises(CallError, match="UNIMPLEMENTED"), Client(sidecar.admin) as client:
        client.complete("a")
    with pytest.raises(AssertionError, match="say who may"):
        Sidecar(
            *("--index", site.paths[0], "--admin", "0.0.0.0:0", "--set", "admin_remote=true")
        ).__enter__()
