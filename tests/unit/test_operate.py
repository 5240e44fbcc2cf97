"""The verbs of an operator: what they ask of the service, and what they say."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, Self

import pytest

from espalier import console
from espalier.access import Access
from espalier.admin import _batches
from espalier.cli import cli
from espalier.overlay import Block, BlockPattern, BlockWord, Boost, BoostWord, Pin
from espalier.v1 import index_service_pb2 as pb
from espalier.v1.core_pb2 import ResponseHeader

HEADER = ResponseHeader(index="main", index_revision="00ff")


class FakeAdmin:
    """Keeps what it is asked for; replies as if all went well."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, tuple[Any, ...], dict[str, Any]]] = []
        self.target = ""
        self.access = Access()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        """Nothing is open."""

    def __getattr__(self, name: str) -> Callable[..., Any]:
        replies: dict[str, Any] = {
            "indexes": pb.ListIndexesResponse(
                header=HEADER,
                workers=2,
                revisions=[
                    pb.IndexRevision(
                        index="main",
                        revision="00ff",
                        state=pb.IndexState.INDEX_STATE_ACTIVE,
                        labels=12_345,
                        bytes=99,
                        path="/srv/a\x1b.esp",
                    )
                ],
                failures=[
                    pb.IndexFailure(index="main", path="/srv/b.esp", reason="R", message="b: bad")
                ],
            ),
            "load": pb.LoadIndexResponse(
                header=HEADER, loaded=pb.IndexRevision(index="main", revision="00aa", labels=7)
            ),
            "activate": pb.ActivateIndexResponse(header=HEADER),
            "roll_back": pb.RollbackIndexResponse(header=HEADER),
            "unload": pb.UnloadIndexResponse(header=HEADER),
            "add": pb.OverlayState(rules=3, persisted=True, workers=2),
            "remove": pb.OverlayState(rules=1, persisted=False, workers=2),
            "rules": [Block("fake watch"), Pin("sale", position=2)],
        }

        def ask(*args: Any, **kwargs: Any) -> Any:
            self.asked.append((name, args, kwargs))
            return replies[name]

        return ask


@pytest.fixture
def admin(monkeypatch: pytest.MonkeyPatch) -> FakeAdmin:
    """Return what stands in for the client."""
    fake = FakeAdmin()

    def opened(target: str, *, access: Access) -> FakeAdmin:
        fake.target, fake.access = target, access
        return fake

    monkeypatch.setattr("espalier.admin.Admin", opened)
    monkeypatch.setenv("ESPALIER_ADMIN", "unix:of-the-environment")
    return fake


Run = Callable[..., str]


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    """Return a function that runs a command and returns what it printed."""

    def run(*words: str | Path) -> str:
        code = console.run(cli, [str(word) for word in words])
        captured = capsys.readouterr()
        assert code == 0, captured.err
        return captured.out

    return run


def test_the_address_comes_from_the_flag_or_the_environment(admin: FakeAdmin, run: Run) -> None:
    """The flag is nearer."""
    run("indexes", "list")
    assert admin.target == "unix:of-the-environment"
    run("indexes", "list", "--admin", "127.0.0.1:1")
    assert admin.target == "127.0.0.1:1"


def test_indexes_are_listed_as_a_table_or_json(admin: FakeAdmin, run: Run) -> None:
    """A path cannot steer the terminal."""
    text = run("indexes", "list", "--index", "main")
    assert text.splitlines()[1].split() == [
        "main",
        "00ff",
        "active",
        "12,345",
        "99",
        r"/srv/a\x1b.esp",
    ]
    assert admin.asked == [("indexes", ("main",), {})]

    found = json.loads(run("indexes", "list", "--json"))
    assert found["workers"] == 2
    assert found["revisions"][0]["state"] == "active"
    assert found["failures"][0]["message"] == "b: bad"


def test_the_life_of_an_index_is_four_verbs(admin: FakeAdmin, run: Run) -> None:
    """Each says what answers then."""
    assert "00aa is ready to be activated" in run("indexes", "load", "x.esp", "--index", "main")
    assert run("indexes", "activate", "00ff") == "main: 00ff answers\n"
    assert run("indexes", "rollback", "--from", "00aa") == "main: 00ff answers\n"
    answer = json.loads(run("indexes", "unload", "00aa", "--json"))
    assert answer == {"index": "main", "active": "00ff"}
    assert json.loads(run("indexes", "load", "x.esp", "--activate", "--json"))["loaded"] == "00aa"

    assert admin.asked == [
        ("load", (Path("x.esp"),), {"index": "main", "activate": False}),
        ("activate", ("00ff",), {"index": ""}),
        ("roll_back", (), {"index": "", "from_revision": "00aa"}),
        ("unload", ("00aa",), {"index": ""}),
        ("load", (Path("x.esp"),), {"index": "", "activate": True}),
    ]


def test_rules_come_from_arguments_and_files(admin: FakeAdmin, run: Run, tmp_path: Path) -> None:
    """Every kind, and the reply says whether they are kept."""
    listed = tmp_path / "blocked.txt"
    listed.write_text("one\n\n two words \n")
    said = run("rules", "block", "a b", "--word", "w", "--pattern", "^p", "--file", listed)
    assert said == "3 rules hold in 2 workers, kept\n"
    said = run("rules", "unblock", "--index", "main", "--", "-dash")
    assert said == "1 rules hold in 2 workers, until the service ends (it has no --state-dir)\n"
    run("rules", "pin", "Sale", "--position", "2", "--min-prefix", "0", "--display", "SALE")
    run("rules", "unpin", "Sale", "Other")
    run("rules", "boost", "--by", "-1.5", "q", "--word", "w")
    assert json.loads(run("rules", "unboost", "q", "--json")) == {
        "rules": 1,
        "persisted": False,
        "workers": 2,
    }

    assert [(name, args) for name, args, _ in admin.asked] == [
        (
            "add",
            (Block("a b"), Block("one"), Block(" two words "), BlockWord("w"), BlockPattern("^p")),
        ),
        ("remove", (Block("-dash"),)),
        ("add", (Pin("Sale", position=2, min_prefix=0, display="SALE"),)),
        ("remove", (Pin("Sale"), Pin("Other"))),
        ("add", (Boost("q", -1.5), BoostWord("w", -1.5))),
        ("remove", (Boost("q", 0.0),)),
    ]
    assert admin.asked[1][2] == {"index": "main"}


def test_rules_are_listed_in_the_form_of_their_file(admin: FakeAdmin, run: Run) -> None:
    """So that `--json` can become one."""
    assert run("rules", "list").splitlines()[1] == '{"pin": "sale", "position": 2}'
    whole = json.loads(run("rules", "list", "--json"))

    assert whole == {
        "espalier_overlay": 1,
        "rules": [{"block": "fake watch"}, {"pin": "sale", "position": 2}],
    }
    assert admin.target


@pytest.mark.parametrize(
    "words",
    [
        ("rules", "block"),
        ("rules", "boost", "--by", "1"),
        ("rules", "block", "--file", "/nowhere/at/all"),
    ],
)
def test_a_change_of_nothing_is_a_slip(
    admin: FakeAdmin, capsys: pytest.CaptureFixture[str], words: tuple[str, ...]
) -> None:
    """Nothing is asked of the service."""
    assert console.run(cli, list(words)) == console.EXIT_INPUT
    assert capsys.readouterr().err.startswith("espalier: error: ")
    assert admin.asked == []


def test_without_a_service_the_error_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    """With the status the transport gave."""
    words = ["rules", "list", "--admin", "unix:/nowhere/at/all"]
    assert console.run(cli, words) == console.EXIT_FAILURE
    error = capsys.readouterr().err

    assert error.startswith("espalier: error: UNAVAILABLE: ")
    assert error.count("\n") == 1


def test_batches_fit_into_requests_and_lose_nothing() -> None:
    """One that is large alone goes alone."""
    items = [pb.Block(query=f"{n} {'x' * (n * 40)}") for n in range(200)]
    batches = list(_batches(items))

    assert [one for batch in batches for one in batch] == items
    assert len(batches) > 1
    for batch in batches:
        assert pb.BlockQueriesRequest(blocks=batch).ByteSize() < 200 * 1024
    assert list(_batches([])) == []
