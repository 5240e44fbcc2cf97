"""Settings: where a value comes from, what it may be, and what an error says."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from espalier.errors import ConfigError
from espalier.gather import from_environment
from espalier.schema import kinds_of
from espalier.settings import (
    CLASSES,
    LogSettings,
    ServeSettings,
    TrainSettings,
    as_json,
    load_settings,
    parse_assignments,
)


@pytest.fixture
def config(tmp_path: Path) -> Path:
    """Write a file that uses every table and most kinds of value."""
    path = tmp_path / "site.toml"
    path.write_text(
        """
        [train]
        min_users = 2
        cp = 4
        include_first = false
        [train.log]
        user_column = "who"
        session_column = ""
        blocklist = "blocked.txt"
        pii_patterns = ["a,b", "c"]
        [serve]
        listen = "[::1]:9000"
        [serve.index]
        main = "main.esp"
        [experiments]
        """,
        encoding="utf-8",
    )
    return path


def test_defaults_need_no_file() -> None:
    """Without file, flags and environment the defaults stand."""
    assert TrainSettings() == load_settings(None, "train", {}, {})
    assert ServeSettings() == load_settings(None, "serve", {}, {})


def test_a_file_is_read_by_table(config: Path) -> None:
    """Each command reads its own table, nested ones included."""
    train = load_settings(config, "train", {}, {})
    serve = load_settings(config, "serve", {}, {})

    assert (train.min_users, train.cp, train.include_first) == (2, 4.0, False)
    assert train.log.user_column == "who"
    assert train.log.pii_patterns == ("a,b", "c")
    assert serve.listen == "[::1]:9000"


def test_an_empty_text_means_no_such_column(config: Path) -> None:
    """TOML has no null, so an empty text stands for one where a setting may be absent."""
    assert load_settings(config, "train", {}, {}).log.session_column is None


def test_relative_paths_start_from_the_file(config: Path) -> None:
    """A configuration works from any working directory."""
    train = load_settings(config, "train", {}, {})
    serve = load_settings(config, "serve", {}, {})

    assert config.parent / "blocked.txt" == train.log.blocklist
    assert {"main": config.parent / "main.esp"} == serve.index


def test_flags_win_over_environment_and_environment_over_file(config: Path) -> None:
    """The nearer to the command line, the stronger."""
    env = {"ESPALIER_TRAIN_MIN_USERS": "5", "ESPALIER_TRAIN_LOG_USER_COLUMN": "id"}
    settings = load_settings(config, "train", {"min_users": "7"}, env)

    assert settings.min_users == 7
    assert settings.log.user_column == "id"
    assert settings.cp == 4.0


def test_nested_keys_can_be_set_by_flag() -> None:
    """A dot leads into a nested table, and into a table of names."""
    train = load_settings(None, "train", {"log.user_column": "who", "log.drop_pii": "false"}, {})
    serve = load_settings(None, "serve", {"index.shop": "shop.esp"}, {})

    assert (train.log.user_column, train.log.drop_pii) == ("who", False)
    assert {"shop": Path("shop.esp")} == serve.index


def test_text_is_read_by_the_type_of_the_setting() -> None:
    """Numbers, truth values, lists and tables arrive as such."""
    env = {
        "ESPALIER_TRAIN_THRESHOLD": "1e-3",
        "ESPALIER_TRAIN_MAX_NONZEROS": "1_000",
        "ESPALIER_TRAIN_INCLUDE_FIRST": "0",
        "ESPALIER_TRAIN_LOG_PII_PATTERNS": '["x"]',
        "ESPALIER_SERVE_INDEX": "a=x.esp,b=y.esp",
    }
    train = load_settings(None, "train", {}, env)
    serve = load_settings(None, "serve", {}, env)

    assert (train.threshold, train.max_nonzeros, train.include_first) == (0.001, 1000, False)
    assert train.log.pii_patterns == ("x",)
    assert {"a": Path("x.esp"), "b": Path("y.esp")} == serve.index


@pytest.mark.parametrize("key", ["min_user", "log.user_colum", "mim_users"])
def test_an_unknown_key_is_refused_with_the_nearest_known_one(key: str) -> None:
    """A misspelled setting never silently does nothing."""
    nearest = {"log.user_colum": "user_column"}.get(key, "min_users")

    with pytest.raises(ConfigError, match=f"did you mean '{nearest}'"):
        load_settings(None, "train", {key: "1"}, {})


def test_an_unknown_key_in_the_file_or_environment_is_refused(tmp_path: Path) -> None:
    """The same holds for the other two sources, and for tables."""
    path = tmp_path / "bad.toml"
    path.write_text("[train]\narty = 2\n", encoding="utf-8")
    with pytest.raises(ConfigError, match=r"bad\.toml.*did you mean 'arity'"):
        load_settings(path, "train", {}, {})

    path.write_text("[tran]\narity = 2\n", encoding="utf-8")
    with pytest.raises(ConfigError, match=r"did you mean \[train\]"):
        load_settings(path, "train", {}, {})

    with pytest.raises(ConfigError, match="did you mean 'ESPALIER_TRAIN_ARITY'"):
        load_settings(None, "train", {}, {"ESPALIER_TRAIN_ARTY": "2"})


def test_a_slip_in_the_table_of_a_variable_is_named_too() -> None:
    """What is of something else that begins with our name is left alone."""
    with pytest.raises(ConfigError, match="did you mean 'ESPALIER_SERVE_WORKERS'"):
        load_settings(None, "serve", {}, {"ESPALIER_SERV_WORKERS": "2"})
    with pytest.raises(ConfigError, match="did you mean 'ESPALIER_SERVE_STATE_DIR'"):
        load_settings(None, "serve", {}, {"ESPALIER_SERVER_STATE_DIR": "x"})

    others = {"ESPALIER_DEBUG": "1", "ESPALIER_ADMIN": "unix:a", "ESPALIER_IMAGE_TAG": "v1"}
    assert load_settings(None, "serve", {}, others) == ServeSettings()


def test_no_table_takes_a_variable_of_another_for_a_slip() -> None:
    """Each reads its own, whatever is set for the other commands."""
    for table, settings in CLASSES.items():
        others: dict[str, Any] = {name: one for name, one in CLASSES.items() if name != table}
        for other, theirs in others.items():
            names = [f"ESPALIER_{other}_{name}".upper() for name in kinds_of(theirs)]
            assert from_environment(dict.fromkeys(names, "x"), table, settings) == {}


def test_a_setting_above_all_tables_is_sent_to_its_own(tmp_path: Path) -> None:
    """Somebody forgot the head of the table."""
    path = tmp_path / "bad.toml"
    path.write_text("grace_seconds = 2\n", encoding="utf-8")

    with pytest.raises(ConfigError, match=r"is a setting of \[serve\]; write \[serve\] above it"):
        load_settings(path, "serve", {}, {})


def test_a_file_from_an_editor_that_marks_its_encoding_is_read(tmp_path: Path) -> None:
    """The mark is no part of the text."""
    path = tmp_path / "marked.toml"
    path.write_bytes(b"\xef\xbb\xbf[serve]\r\ngrace_seconds = 2\r\n")

    assert load_settings(path, "serve", {}, {}).grace_seconds == 2


def test_a_file_nested_beyond_reason_is_an_error_like_any_other(tmp_path: Path) -> None:
    """On SIGHUP as well, where it would be a fault of the watch."""
    path = tmp_path / "deep.toml"
    path.write_text("a = " + "[" * 100_000, encoding="utf-8")

    with pytest.raises(ConfigError, match="nested deeper"):
        load_settings(path, "serve", {}, {})


def test_variables_a_cluster_adds_by_itself_are_ignored() -> None:
    """Kubernetes describes a service called espalier-serve to every container."""
    env = {
        "ESPALIER_SERVE_SERVICE_HOST": "10.0.0.1",
        "ESPALIER_SERVE_SERVICE_PORT": "50051",
        "ESPALIER_SERVE_PORT": "tcp://10.0.0.1:50051",
        "ESPALIER_SERVE_PORT_50051_TCP_ADDR": "10.0.0.1",
    }

    assert ServeSettings() == load_settings(None, "serve", {}, env)


@pytest.mark.parametrize(
    ("key", "value", "says"),
    [
        ("min_users", "0", "must be from 1 to 1,000,000 users"),
        ("min_users", "three", "must be a whole number"),
        ("min_users", "1.5", "must be a whole number"),
        ("cp", "0", "above 0 and at most"),
        ("cp", "nan", "above 0 and at most"),
        ("weight_bits", "8", "one of 16, 32"),
        ("prefix_features", "words", "one of none, char-tfidf, position-weighted"),
        ("include_first", "perhaps", "must be true or false"),
        ("indexer", "", "a name of letters"),
        ("log", "x", "log is a table"),
        ("arity.x", "1", "has no settings below it"),
        ("log.max_query_chars", "0", "from 1 to 1,000 characters"),
        ("log.pii_patterns", "x", "a list of texts"),
    ],
)
def test_an_unusable_value_is_answered_with_the_allowed_range(
    key: str, value: str, says: str
) -> None:
    """The error says what may stand there."""
    with pytest.raises(ConfigError, match=says):
        load_settings(None, "train", {key: value}, {})


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("[train]\nmin_users = true\n", "a whole number, not bool"),
        ("[train]\nindexer = 3\n", "must be text, not int"),
        ("[train]\nlog = 3\n", "log is a table"),
        ("train = 3\n", "write \\[train\\] above"),
        ("[train.log]\nblocklist = 3\n", "must be a path, not int"),
        ("[train\n", "not TOML"),
    ],
)
def test_a_file_of_wrong_types_is_refused(tmp_path: Path, text: str, says: str) -> None:
    """TOML values are not converted from other types."""
    path = tmp_path / "bad.toml"
    path.write_text(text, encoding="utf-8")

    with pytest.raises(ConfigError, match=says):
        load_settings(path, "train", {}, {})


def test_an_index_is_named_in_a_table(tmp_path: Path) -> None:
    """A path alone has no name to be asked for."""
    path = tmp_path / "bad.toml"
    path.write_text("[serve]\nindex = 3\n", encoding="utf-8")

    with pytest.raises(ConfigError, match="table of names and paths"):
        load_settings(path, "serve", {}, {})


def test_a_file_that_cannot_be_read_is_a_config_error(tmp_path: Path) -> None:
    """Missing and not UTF-8: both name the file and the way out."""
    with pytest.raises(ConfigError, match="cannot be read"):
        load_settings(tmp_path / "none.toml", "train", {}, {})

    path = tmp_path / "latin.toml"
    path.write_bytes(b'[train]\nindexer = "\xe9"\n')
    with pytest.raises(ConfigError, match="byte 19 is not UTF-8"):
        load_settings(path, "train", {}, {})


def test_settings_built_in_code_obey_the_same_ranges() -> None:
    """The check sits where the value is stored, not where it is read."""
    with pytest.raises(ConfigError, match=r"train\.arity = 1"):
        TrainSettings(arity=1)
    with pytest.raises(ConfigError, match="HOST:PORT"):
        ServeSettings(listen="nowhere")
    with pytest.raises(ConfigError, match="index name"):
        ServeSettings(index={"a b": Path("x.esp")})


def test_settings_cannot_be_changed() -> None:
    """What was checked stays so."""
    with pytest.raises(dataclasses.FrozenInstanceError):
        TrainSettings().min_users = 0  # type: ignore[misc]


def test_assignments_are_split_at_the_first_equals_sign() -> None:
    """A value may hold one itself."""
    assert parse_assignments(["a=1", "index=x=y"]) == {"a": "1", "index": "x=y"}
    with pytest.raises(ConfigError, match="key=value"):
        parse_assignments(["min_users"])


def test_settings_can_be_written_as_json() -> None:
    """Nested tables, paths and lists included."""
    settings = TrainSettings(log=LogSettings(blocklist=Path("b.txt"), pii_patterns=("x",)))
    document = json.loads(json.dumps(as_json(settings)))

    assert document["log"]["blocklist"] == "b.txt"
    assert document["log"]["pii_patterns"] == ["x"]
    assert document["min_users"] == 3


@given(st.integers(1, 1_000_000), st.floats(1e-6, 1e6, allow_nan=False))
def test_any_value_in_range_survives_text(users: int, cost: float) -> None:
    """What is written on the command line is what is used."""
    settings = load_settings(None, "train", {"min_users": str(users), "cp": repr(cost)}, {})

    assert (users, cost) == (settings.min_users, settings.cp)


def test_an_empty_variable_is_one_that_is_not_set(tmp_path: Path) -> None:
    """It takes nothing back that the file asks for; ``--set`` does."""
    path = tmp_path / "site.toml"
    path.write_text('[serve]\ntoken_file = "/etc/espalier/tokens"\n', encoding="utf-8")
    empty = {"ESPALIER_SERVE_TOKEN_FILE": "", "ESPALIER_SERVE_WORKERS": ""}

    loaded = load_settings(path, "serve", env=empty)
    taken_back = load_settings(path, "serve", {"token_file": ""}, env=empty)

    assert loaded.token_file == Path("/etc/espalier/tokens")
    assert loaded.workers == 0
    assert taken_back.token_file is None
