"""A configuration as a whole: every key broken in turn, and what is printed reads back."""

from __future__ import annotations

import dataclasses
import re
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from espalier.config import Problem, as_toml, problems_in, taken_over
from espalier.errors import ConfigError
from espalier.schema import Between, OneOf, check_of, kinds_of
from espalier.settings import CLASSES, ServeSettings, load, load_settings


def keys_of(settings: Any, above: str = "") -> Iterator[tuple[str, type, str]]:
    """Yield dotted key, class and name of every setting, nested tables included."""
    for name, kind in kinds_of(settings).items():
        if dataclasses.is_dataclass(kind.base):
            yield from keys_of(kind.base, f"{name}.")
        else:
            yield above + name, settings, name


KEYS = [
    pytest.param(table, key, settings, name, id=f"{table}.{key}")
    for table, known in CLASSES.items()
    for key, settings, name in keys_of(known)
]


def wrong_type(settings: type, name: str) -> str:
    """Return a TOML value of a type the setting cannot have."""
    base = kinds_of(settings)[name].base
    return '"x"' if base in {int, float, bool, tuple, Mapping} else "3"


def out_of_rule(settings: type, name: str) -> str | None:
    """Return a TOML value of the right type that breaks its rule, if it has one."""
    base = kinds_of(settings)[name].base
    rule: Any = check_of(settings, name)
    match rule:
        case None:
            return None
        case Between():
            number = rule.high + 1
            return str(int(number)) if base is int else repr(float(number))
        case OneOf():
            return "7777" if base is int else '"no such thing"'
        case _ if base is Mapping:
            return '{ "a b" = "x" }'
        case _ if base is tuple:
            return '[" ("]'
        case _:
            # An empty text is no value where there need be none.
            texts = [" "] if kinds_of(settings)[name].optional else [" ", ""]
            return next((f'"{text}"' for text in texts if not rule.holds(text)), None)


def written(folder: Path, table: str, key: str, value: str) -> Path:
    """Return a file with one setting in it."""
    path = folder / "site.toml"
    path.write_text(f"[{table}]\n{key} = {value}\n", encoding="utf-8")
    return path


@pytest.mark.parametrize(("table", "key", "settings", "name"), KEYS)
def test_every_key_of_the_wrong_type_is_named_with_its_type(
    tmp_path: Path, table: Any, key: str, settings: type, name: str
) -> None:
    """One problem, which says file, table, key and what must stand there; loading agrees."""
    path = written(tmp_path, table, key, wrong_type(settings, name))

    (problem,) = problems_in(path)

    assert (problem.table, problem.key) == (table, key)
    assert f"{path}, [{table}]" in problem.message
    assert f"{name} must be {kinds_of(settings)[name].name}, not " in problem.message
    with pytest.raises(ConfigError, match=re.escape(problem.message)):
        load_settings(path, table, {}, {})


@pytest.mark.parametrize(("table", "key", "settings", "name"), KEYS)
def test_every_key_that_breaks_its_rule_is_named_with_the_rule(
    tmp_path: Path, table: Any, key: str, settings: type, name: str
) -> None:
    """The message ends with what may stand there; a setting without a rule takes anything."""
    value = out_of_rule(settings, name)
    if value is None:
        assert kinds_of(settings)[name].base in {bool, Path, tuple} or name.endswith("_column")
        return
    path = written(tmp_path, table, key, value)

    (problem,) = problems_in(path)

    rule = check_of(settings, name)
    assert rule is not None
    assert (problem.table, problem.key) == (table, key)
    assert problem.message.endswith(f"cannot be used; it must be {rule.allowed}")
    with pytest.raises(ConfigError, match=re.escape(problem.message)):
        load_settings(path, table, {}, {})


@pytest.mark.parametrize(("table", "key", "settings", "name"), KEYS)
def test_every_misspelled_key_is_answered_with_the_right_one(
    tmp_path: Path,
    table: str,
    key: str,
    settings: type,  # noqa: ARG001 - part of every case
    name: str,
) -> None:
    """A letter typed twice is enough not to be known."""
    slip = key + key[-1]

    (problem,) = problems_in(written(tmp_path, table, slip, "1"))

    assert problem.key == slip
    assert f"did you mean {name!r}?" in problem.message


@pytest.mark.parametrize(("table", "key", "settings", "name"), KEYS)
def test_every_key_says_what_it_is_for(table: str, key: str, settings: type, name: str) -> None:
    """`--print-config` is the reference of the settings."""
    assert settings.__dataclass_fields__[name].metadata["meaning"], f"{table}.{key}"  # type: ignore[attr-defined]


def test_everything_wrong_with_a_file_is_said_at_once(tmp_path: Path) -> None:
    """Whoever mends a file should not have to run the check once for each fault."""
    path = tmp_path / "site.toml"
    path.write_text(
        """
        [train]
        min_users = 0
        arty = 2
        [train.log]
        format = "xml"
        user_colum = "who"
        [serve]
        sessions = "shared"
        threads = "two"
        [experiments]
        name = "x"
        [experiments.order]
        covrage = 5
        [experiments.order.variants]
        a = { weight = 5000 }
        b = { weight = 4000, beam = 1000 }
        [sreve]
        """,
        encoding="utf-8",
    )

    problems = problems_in(path)

    assert [(one.table, one.key) for one in problems] == [
        ("train", "min_users"),
        ("train", "arty"),
        ("train", "log.format"),
        ("train", "log.user_colum"),
        ("serve", "threads"),
        ("serve", "sessions"),
        ("experiments", "name"),
        ("experiments", "order.covrage"),
        ("experiments", "order.variants.b.beam"),
        ("experiments", "order.variants"),
        ("sreve", ""),
    ]
    assert "did you mean [serve]" in problems[-1].message


def test_variants_are_checked_against_the_indexes_that_the_file_serves(tmp_path: Path) -> None:
    """Without any the flags will name them, and nobody knows yet."""
    path = tmp_path / "site.toml"
    experiment = """
        [experiments.order.variants]
        a = { weight = 5000 }
        b = { weight = 5000, index = "new" }
    """
    path.write_text(experiment, encoding="utf-8")
    assert problems_in(path) == []

    path.write_text(f'[serve.index]\nold = "a.esp"\n{experiment}', encoding="utf-8")
    (problem,) = problems_in(path)
    assert (problem.table, problem.key) == ("experiments", "order.variants.b.index")
    assert "b.index = new is not served; use one of: old" in problem.message


def test_values_that_cannot_stand_together_are_not_blamed_on_a_broken_key(tmp_path: Path) -> None:
    """What the broken key should have said nobody knows."""
    path = tmp_path / "site.toml"
    path.write_text('[serve]\nsessions = "shared"\nstate_dir = 3\n', encoding="utf-8")

    assert ["state_dir"] == [one.key for one in problems_in(path)]


@pytest.mark.parametrize(
    ("content", "says"),
    [(b"[serve", "not TOML"), (b'[serve]\nlisten = "\xff"\n', "byte 18 is not UTF-8")],
)
def test_a_file_that_is_no_toml_has_one_problem(tmp_path: Path, content: bytes, says: str) -> None:
    """Nothing can be said about its keys."""
    path = tmp_path / "site.toml"
    path.write_bytes(content)

    (problem,) = problems_in(path)

    assert says in problem.message
    assert Problem("", "", problem.message) == problem


def test_a_file_that_is_fine_has_no_problems(tmp_path: Path) -> None:
    """Empty tables and an empty file included."""
    path = tmp_path / "site.toml"
    for text in ("", "[train]\n[serve]\n[experiments]\n", '[serve]\nindex.a = "a.esp"\n'):
        path.write_text(text, encoding="utf-8")
        assert problems_in(path) == []


def test_what_holds_is_printed_with_where_it_comes_from(tmp_path: Path) -> None:
    """File, environment, --set and a flag, each over the one before; the rest are defaults."""
    path = tmp_path / "site.toml"
    path.write_text(
        '[serve]\nthreads = 2\nworkers = 2\nmax_open = 9\nmax_waiting = 2\nindex.a = "a.esp"\n',
        encoding="utf-8",
    )
    loaded = load(
        path,
        "serve",
        {"max_open": "11", "workers": "4", "index.b": "b.esp"},
        {"ESPALIER_SERVE_WORKERS": "3", "ESPALIER_SERVE_MAX_WAITING": "3"},
        {"workers": "5"},
    )

    lines = as_toml(loaded, "serve").splitlines()

    begins = [line.partition(";")[0] for line in lines]
    assert f"threads = 2  # {path}, [serve]" in begins
    assert "max_waiting = 3  # environment, ESPALIER_SERVE_MAX_WAITING" in begins
    assert "max_open = 11  # --set" in begins
    assert "workers = 5  # --workers" in begins
    assert "grace_seconds = 10.0  # default" in begins
    assert f'a = "{tmp_path}/a.esp"  # {path}, [serve]' in lines
    assert f'b = "{Path("b.esp").absolute()}"  # --set' in lines


def test_a_flag_that_names_indexes_replaces_all_of_them(tmp_path: Path) -> None:
    """Nothing of the file is left, neither in the values nor in where they come from."""
    path = tmp_path / "site.toml"
    path.write_text('[serve]\nindex.a = "a.esp"\n', encoding="utf-8")

    loaded = load(path, "serve", {}, {}, {"index": {"b": Path("b.esp")}})

    assert {"b": Path("b.esp")} == loaded.settings.index
    assert {"index.b": "--index"} == loaded.origins


def test_secrets_are_not_printed() -> None:
    """The address of a Redis server may hold a password; the words for other stores may not."""
    given = {"sessions": "redis://:canary@host/0", "session_key_file": "key"}

    printed = as_toml(load(None, "serve", given, {}), "serve")

    assert "canary" not in printed
    assert "# sessions is set, and not shown" in printed
    assert 'sessions = "memory"' in as_toml(
        load(None, "serve", {"sessions": "memory"}, {}), "serve"
    )


def test_a_value_cannot_leave_its_comment() -> None:
    """The name of a file may hold a line end, and then a setting."""
    loaded = load(None, "serve", {}, {})
    broken = dataclasses.replace(loaded, origins={"threads": "a\nworkers = 9 #"})

    assert tomllib.loads(as_toml(broken, "serve"))["serve"]["workers"] == 0


@given(
    unix=st.none() | st.text(st.characters(exclude_categories=["Cs"]), min_size=1),
    ttl=st.integers(1, 604_800),
    budget=st.floats(0.1, 1_000),
    paths=st.dictionaries(
        st.from_regex(r"[A-Za-z][A-Za-z0-9._+-]{0,8}", fullmatch=True),
        st.text(st.characters(exclude_characters="\0~", exclude_categories=["Cs"]), min_size=1),
        max_size=3,
    ),
)
def test_what_is_printed_reads_back_as_the_same(
    tmp_path_factory: pytest.TempPathFactory,
    unix: str | None,
    ttl: int,
    budget: float,
    paths: dict[str, str],
) -> None:
    """Whatever the values, printing and loading again changes nothing."""
    settings = ServeSettings(
        unix=None if unix is None else Path("/", unix),
        session_ttl_seconds=ttl,
        session_budget_ms=budget,
        index={name: Path("/", path) for name, path in paths.items()},
    )
    loaded = dataclasses.replace(load(None, "serve", {}, {}), settings=settings)
    path = tmp_path_factory.getbasetemp() / "printed.toml"
    path.write_text(as_toml(loaded, "serve"), encoding="utf-8")

    assert settings == load_settings(path, "serve", {}, {})
    assert problems_in(path) == []


def test_all_of_train_reads_back_as_the_same(tmp_path: Path) -> None:
    """A nested table stands below, under its whole name."""
    given = {"log.user_column": "who", "log.pii_patterns": r'["a\\d", "b"]', "cp": "1e-9"}
    loaded = load(None, "train", given, {})
    path = tmp_path / "printed.toml"
    path.write_text(as_toml(loaded, "train"), encoding="utf-8")

    assert loaded.settings == load_settings(path, "train", {}, {})
    assert 'user_column = "who"  # --set; who typed it' in path.read_text(encoding="utf-8")


def test_what_can_change_is_taken_over_and_the_rest_is_named() -> None:
    """Other values of settings that say so, and other paths of names that are there."""
    running = ServeSettings(index={"a": Path("a.esp"), "b": Path("b.esp")})
    wanted = ServeSettings(
        index={"b": Path("new.esp"), "c": Path("c.esp")}, grace_seconds=1.0, threads=2
    )

    taken, left = taken_over(running, wanted)

    assert taken == dataclasses.replace(
        running, index={"a": Path("a.esp"), "b": Path("new.esp")}, grace_seconds=1.0
    )
    assert ["index.a", "index.c", "threads"] == left
    assert taken_over(running, running) == (running, [])


def test_what_is_taken_over_on_sighup_is_printed_with_the_settings() -> None:
    """So an operator knows before, not after."""
    lines = as_toml(load(None, "serve", {}, {}), "serve").splitlines()

    marked = {line.split(" ")[0] for line in lines if line.endswith("; read anew on SIGHUP")}
    assert {"[serve.index]", "grace_seconds", "watch_seconds"} == marked


TLS = 'tls_certificate = "c"\ntls_key = "k"\n'
CONFLICTS = {
    "certificate without key": ('tls_certificate = "c"', "serve.tls_key is not set"),
    "key without certificate": ('tls_key = "k"', "serve.tls_certificate is not set"),
    "client authority without TLS": ('tls_client_ca = "a"', "serve.tls_client_ca is about"),
    "admin authority without TLS": ('admin_client_ca = "a"', "serve.admin_client_ca is about"),
    "admin authority for a Unix socket": (
        f'{TLS}admin = "unix:a"\nadmin_client_ca = "a"',
        "serve.admin is a Unix socket",
    ),
    "admin for other machines": ('admin = "0.0.0.0:50052"', "or set serve.admin_remote"),
    "remote admin for everybody": (
        f'{TLS}admin = "0.0.0.0:1"\nadmin_remote = true\ntls_client_ca = "a"',
        "serve.admin_remote lets other machines",
    ),
    "tokens in plain over gRPC": (
        'token_file = "t"\nlisten = "0.0.0.0:50051"',
        "serve.listen can be reached from other machines",
    ),
    "tokens in plain over HTTP": (
        'token_file = "t"\nhttp = "192.0.2.1:80"',
        "serve.http can be reached from other machines",
    ),
    "admin tokens in plain": (
        'admin_token_file = "t"\nadmin = "[::]:50052"\nadmin_remote = true',
        "serve.admin can be reached from other machines",
    ),
    "shared sessions without a folder": ('sessions = "shared"', "name a folder"),
    "Redis without a secret": ('sessions = "redis://h"', "name a file with a secret"),
}


@pytest.mark.parametrize(("text", "says"), CONFLICTS.values(), ids=CONFLICTS)
def test_values_that_do_not_go_together_are_named(tmp_path: Path, text: str, says: str) -> None:
    """One file for each rule that several settings of a service keep."""
    path = tmp_path / "site.toml"
    path.write_text(f"[serve]\n{text}\n", encoding="utf-8")

    (problem,) = problems_in(path)

    assert says in problem.message
    with pytest.raises(ConfigError, match=re.escape(says)):
        load_settings(path, "serve", {}, {})


@pytest.mark.parametrize(
    "text",
    [
        f'{TLS}tls_client_ca = "a"\nadmin_client_ca = "b"\nadmin = "127.0.0.1:1"',
        f'{TLS}token_file = "t"\nlisten = "0.0.0.0:50051"\nhttp = "0.0.0.0:443"',
        'token_file = "t"\nhttp = "127.0.0.1:80"\nadmin = "unix:a"\nadmin_token_file = "a"',
        'token_file = "t"\nlisten = "0.0.0.0:50051"\nplain_tokens = true',
        f'{TLS}admin = "0.0.0.0:1"\nadmin_remote = true\nadmin_token_file = "t"',
    ],
)
def test_values_that_go_together_are_not_complained_about(tmp_path: Path, text: str) -> None:
    """Each is a way services are deployed."""
    path = tmp_path / "site.toml"
    path.write_text(f"[serve]\n{text}\n", encoding="utf-8")

    assert problems_in(path) == []
