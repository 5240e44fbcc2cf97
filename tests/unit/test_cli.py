"""The command line: every verb, its output, its JSON, and what it says to bad input."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
import pytest

from espalier import console
from espalier.cli import cli


def _verbs(group: click.Group, above: str = "") -> Iterator[tuple[str, click.Command]]:
    """Yield every verb, those of groups with the group's name before them."""
    for name, command in group.commands.items():
        if isinstance(command, click.Group):
            yield from _verbs(command, f"{name} ")
        else:
            yield above + name, command


VERBS = dict(sorted(_verbs(cli)))


@dataclass(frozen=True, slots=True)
class Ended:
    """How a command ended."""

    code: int
    out: str
    err: str

    def json(self) -> Any:
        """Return stdout as JSON; a failed command has none."""
        assert self.code == 0, self.err
        return json.loads(self.out)


_GOLDEN = Path(__file__).parents[1] / "golden" / "v1"

Espalier = Callable[..., Ended]


@pytest.fixture
def espalier(capsys: pytest.CaptureFixture[str]) -> Espalier:
    """Return a function that runs the command line in this process."""

    def run(*words: str | Path) -> Ended:
        code = console.run(cli, [str(word) for word in words])
        captured = capsys.readouterr()
        return Ended(code, captured.out, captured.err)

    return run


@pytest.fixture
def served(monkeypatch: pytest.MonkeyPatch) -> list[tuple[Any, bool]]:
    """Replace the server by a list of what it was asked to serve."""
    calls: list[tuple[Any, bool]] = []

    def run(
        settings: object,
        *,
        reread: Callable[[], object],
        experiments: object,
        reread_experiments: Callable[[], object],
        verify: bool = True,
    ) -> int:
        assert reread() == settings
        assert reread_experiments() == experiments
        calls.append((settings, verify))
        return 0

    monkeypatch.setattr("espalier.serve.runner.run", run)
    return calls


# ---- help ---------------------------------------------------------------------------


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_explains_itself_with_examples(verb: str, espalier: Espalier) -> None:
    """`--help` says what the verb does and shows commands to copy."""
    ended = espalier(*verb.split(), "--help")

    assert ended.code == 0
    assert f"  espalier {verb}" in ended.out.split("Examples:")[1]


@pytest.mark.parametrize("verb", VERBS)
def test_every_example_in_the_help_parses(verb: str) -> None:
    """The commands shown are commands: every option in them exists."""
    command = VERBS[verb]
    name = verb.split()
    assert command.epilog is not None
    for line in command.epilog.splitlines()[2:]:
        words = shlex.split(re.split(r" [|<>] ", line)[0])
        context = command.make_context(verb, words[1 + len(name) :], resilient_parsing=True)

        assert words[: 1 + len(name)] == ["espalier", *name]
        assert context.args == []


def test_every_option_has_a_help_text() -> None:
    """An option without a word about it is a riddle (`--users` and `--seed` explain themselves)."""
    for verb, command in VERBS.items():
        for parameter in command.params:
            if parameter.param_type_name == "option" and parameter.name not in {"users", "seed"}:
                assert getattr(parameter, "help", None), f"{verb} {parameter.name}"


def test_the_version_is_printed(espalier: Espalier) -> None:
    """`--version` names program and version."""
    assert espalier("--version").out.startswith("espalier 0.")


def test_a_misspelled_verb_is_bad_input(espalier: Espalier) -> None:
    """One line, exit code 2."""
    ended = espalier("trian")

    assert ended.code == 2
    assert ended.err.count("\n") == 1
    assert "trian" in ended.err


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_shell_completion_is_printed(shell: str, espalier: Espalier) -> None:
    """The script mentions the variable that makes the command complete itself."""
    ended = espalier("completions", shell)

    assert ended.code == 0
    assert f"_ESPALIER_COMPLETE={shell}_complete" in ended.out


# ---- complete -------------------------------------------------------------------------


def test_completions_are_ranked_lines_with_their_source(
    espalier: Espalier, demo_index: Path
) -> None:
    """Rank, text, score, source, aligned."""
    ended = espalier("complete", demo_index, "s", "-k", "3")

    rows = [line.split() for line in ended.out.splitlines()]
    assert ended.code == 0
    assert [row[0] for row in rows] == ["1", "2", "3"]
    assert all(row[1].startswith("s") for row in rows)
    assert {row[-1] for row in rows} <= {"model", "popular"}


def test_completions_as_json_have_the_four_fields(espalier: Espalier, demo_index: Path) -> None:
    """Other tools read exactly these."""
    found = espalier("complete", demo_index, "s", "--json", "-k", "4").json()

    assert list(found) == ["suggestions"]
    assert len(found["suggestions"]) == 4
    for one in found["suggestions"]:
        assert list(one) == ["text", "display_text", "score", "source"]
        assert one["text"].startswith("s")
        assert isinstance(one["score"], float)
        assert one["source"] in {"MODEL", "POPULAR"}


def test_previous_queries_change_the_ranking(espalier: Espalier, demo_index: Path) -> None:
    """`--previous` reaches the model: some context orders the same labels differently."""
    everything = espalier("complete", demo_index, "", "--json", "-k", "50").json()["suggestions"]
    contexts = [one["text"] for one in everything][:10]
    answers = {
        espalier("complete", demo_index, "s", "--previous", context, "--json").out
        for context in contexts
    }

    assert len(answers) > 1


def test_a_prefix_may_be_empty_or_begin_with_a_dash(espalier: Espalier, demo_index: Path) -> None:
    """An empty prefix asks for next queries; `--` ends the options."""
    assert espalier("complete", demo_index, "", "--json").json()["suggestions"]
    assert espalier("complete", demo_index, "--json", "--", "-x").json() == {"suggestions": []}


def test_no_completion_is_no_failure(espalier: Espalier, demo_index: Path) -> None:
    """Stdout stays empty, and a word on stderr says why."""
    ended = espalier("complete", demo_index, "zzzzzz")

    assert (ended.code, ended.out) == (0, "")
    assert ended.err != ""


def test_only_the_sources_asked_for_answer(espalier: Espalier, demo_index: Path) -> None:
    """`--source popular` leaves the model out."""
    found = espalier("complete", demo_index, "s", "--source", "popular", "--json").json()

    assert {one["source"] for one in found["suggestions"]} == {"POPULAR"}


@pytest.mark.parametrize("matcher", ["constrained", "unconstrained"])
def test_both_matchers_keep_the_prefix(espalier: Espalier, demo_index: Path, matcher: str) -> None:
    """How the beam walks changes the ranking at most, never the promise."""
    found = espalier("complete", demo_index, "sh", "--matcher", matcher, "--json").json()

    assert found["suggestions"]
    assert all(one["text"].startswith("sh") for one in found["suggestions"])


@pytest.mark.parametrize(
    "words",
    [
        ("complete", "{index}", "{bad}"),
        ("complete", "{index}", "a", "--previous", "{bad}"),
        ("complete", "{index}", "a" * 2000),
        ("complete", "{index}", "a", "-k", "0"),
        ("complete", "{index}", "a", "-k", "many"),
        ("complete", "{index}"),
        ("complete", "{index}", "a", "b"),
        ("complete", "{index}.missing", "a"),
        ("try", "{index}.missing"),
        ("try", "{index}", "-k", "0"),
        ("try", "{index}", "--previous", "{bad}"),
        ("try", "{index}", "--source", "tail", "--no-tails"),
        ("inspect", "{index}.missing"),
        ("validate", "{index}.missing"),
        ("evaluate", "{index}", "--pairs", "{index}.missing"),
        ("evaluate", "{index}", "--pairs", "{index}"),
        ("train", "--log", "{index}.missing", "--out", "{index}.new"),
        ("train", "--log", "{index}", "--out", "{index}.new"),
        ("train", "--log", "{log}", "--out", "{index}/x"),
        ("train", "--log", "{log}", "--out", "{index}.new", "--set", "min_user=1"),
        ("train", "--log", "{log}", "--out", "{index}.new", "--set", "min_users"),
        ("train", "--log", "{log}", "--out", "{index}.new", "--config", "{index}"),
        ("train", "--log", "{log}", "--out", "{index}.new", "--config", "{index}.missing"),
        ("train", "--out", "{index}.new"),
        ("pairs", "--log", "{log}", "--out", "{index}.new", "--split", "1.5"),
        ("pairs", "--log", "{log}", "--out", "{index}.new", "--train-log", "{index}.train"),
        ("serve",),
        ("serve", "--index", "a.esp", "--index", "b.esp"),
        ("serve", "--index", "{index}", "--listen", "nowhere"),
        ("serve", "--index", "{index}.missing", "--listen", "127.0.0.1:0"),
    ],
    ids=lambda words: " ".join(words)[:60],
)
def test_bad_input_is_one_line_and_exit_code_2(
    words: tuple[str, ...], demo_index: Path, demo_log: Path, tmp_path: Path
) -> None:
    """Whatever is wrong with the arguments, no traceback and nothing written."""
    index = shutil.copy(demo_index, tmp_path / "demo.esp")
    places = {"index": str(index), "log": str(demo_log), "bad": os.fsdecode(b"caf\xe9")}
    done = subprocess.run(
        [sys.executable, "-m", "espalier", *(word.format(**places) for word in words)],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )

    errors = done.stderr.splitlines()
    assert done.returncode == 2, done.stderr
    assert errors[-1].startswith("espalier: error: ")
    assert "Traceback" not in done.stderr
    assert done.stdout == ""
    assert sorted(path.name for path in tmp_path.iterdir()) == ["demo.esp"]


# ---- inspect, validate -------------------------------------------------------------------


def test_inspect_as_json_says_what_the_index_holds(espalier: Espalier, demo_index: Path) -> None:
    """Labels, bytes, sections and the fingerprint of the training."""
    facts = espalier("inspect", demo_index, "--json").json()

    assert facts["bytes"] == demo_index.stat().st_size
    assert facts["labels"] > 100
    assert facts["bytes_per_label"] == round(facts["bytes"] / facts["labels"], 1)
    assert int(facts["training_fingerprint"], 16) != 0
    assert {"id", "offset", "length", "crc32c"} == set(facts["sections"][0])
    assert sum(one["length"] for one in facts["sections"]) <= facts["bytes"]
    assert isinstance(facts["meta"], dict)


def test_inspect_shows_a_page_for_people(espalier: Espalier, demo_index: Path) -> None:
    """The same facts, aligned."""
    ended = espalier("inspect", demo_index)

    assert ended.code == 0
    assert "labels" in ended.out
    assert "crc-32c" in ended.out


@pytest.mark.parametrize("deep", [(), ("--deep",)])
def test_a_whole_index_is_ok(espalier: Espalier, demo_index: Path, deep: tuple[str, ...]) -> None:
    """One line that begins with ok."""
    ended = espalier("validate", demo_index, *deep)

    assert ended.code == 0
    assert ended.out.startswith("ok: ")


def test_a_damaged_index_fails_validation_with_2(
    espalier: Espalier, demo_index: Path, tmp_path: Path
) -> None:
    """The line names what is wrong."""
    damaged = bytearray(demo_index.read_bytes())
    damaged[-100] ^= 0xFF
    path = tmp_path / "damaged.esp"
    path.write_bytes(damaged)

    ended = espalier("validate", path)

    assert ended.code == 2
    assert ended.out == ""
    assert "damaged" in ended.err


# ---- train, pairs, evaluate, demo-log ------------------------------------------------------


def test_the_whole_way_from_a_log_to_figures(
    espalier: Espalier, demo_log: Path, tmp_path: Path
) -> None:
    """Pairs → train → evaluate, as the README shows it."""
    pairs, train_log = tmp_path / "pairs.tsv", tmp_path / "train.tsv"
    index, figures = tmp_path / "site.esp", tmp_path / "figures.json"
    report = tmp_path / "report"

    split = espalier(
        "pairs", "--log", demo_log, "--out", pairs, "--split", "0.8", "--train-log", train_log
    )
    trained = espalier(
        "train", "--log", train_log, "--out", index, "--set", "min_users=1", "--report", report
    )
    evaluated = espalier("evaluate", index, "--pairs", pairs, "--json", figures)

    assert split.code == 0, split.err
    assert trained.code == 0, trained.err
    assert any(report.iterdir())
    assert evaluated.code == 0, evaluated.err
    assert "mrr" in evaluated.out.lower()
    found = json.loads(figures.read_text(encoding="utf-8"))
    assert found["rows"] > 0
    assert {"p50", "p95", "p99"} <= set(found["latency_us"])
    assert {"all_sources", "labels_only", "most_frequent"} <= set(found["systems"])
    assert 0 < found["systems"]["all_sources"]["mrr10"]["all"] <= 1


@pytest.mark.parametrize("victim", ["index", "pairs"])
def test_evaluate_does_not_write_over_what_it_reads(
    espalier: Espalier, demo_index: Path, tmp_path: Path, victim: str
) -> None:
    """An index that is served would be cut off under its readers."""
    files = {"index": tmp_path / "site.esp", "pairs": tmp_path / "pairs.tsv"}
    files["index"].write_bytes(demo_index.read_bytes())
    files["pairs"].write_text("previous_query\tprefix\tnext_query\n\tc\tcoffee\n")
    before = files[victim].read_bytes()

    found = espalier("evaluate", files["index"], "--pairs", files["pairs"], "--json", files[victim])

    assert found.code == 2
    assert "would overwrite" in found.err
    assert files[victim].read_bytes() == before


def test_log_and_catalogue_of_the_demo_are_two_files(espalier: Espalier, tmp_path: Path) -> None:
    """One of them would be lost."""
    both = tmp_path / "demo.tsv"

    assert espalier("demo-log", "--out", both, "--catalogue", both).code == 2
    assert not both.exists()


def test_evaluate_can_print_only_json(espalier: Espalier, demo_index: Path, tmp_path: Path) -> None:
    """`--json -` leaves nothing but the document on stdout."""
    pairs = tmp_path / "pairs.tsv"
    pairs.write_text("previous_query\tprefix\tnext_query\n\ts\tshoes\n", encoding="utf-8")

    found = espalier("evaluate", demo_index, "--pairs", pairs, "--json", "-", "--quiet").json()

    assert found["rows"] == 1


def test_evaluate_writes_a_report_with_its_ablation(
    espalier: Espalier, demo_index: Path, demo_log: Path, tmp_path: Path
) -> None:
    """The folder is made, holds page and figures, and the table names what was switched off."""
    pairs, report = tmp_path / "pairs.tsv", tmp_path / "new" / "report"
    assert espalier("pairs", "--log", demo_log, "--out", pairs).code == 0

    ended = espalier(
        "evaluate",
        *(demo_index, "--pairs", pairs, "--ablate", "--sample", "50", "--report", report),
    )
    figures = json.loads((report / "report.json").read_text(encoding="utf-8"))

    assert ended.code == 0, ended.err
    assert "without_tail" in ended.out
    assert (report / "report.html").read_text(encoding="utf-8").startswith("<!doctype html>")
    assert figures["rows"] == 50
    assert "without_group_context" in figures["ablation"]


def test_a_report_does_not_go_over_what_is_read(
    espalier: Espalier, demo_index: Path, tmp_path: Path
) -> None:
    """Pairs that are called as the report is would be lost."""
    pairs = tmp_path / "report.json"
    pairs.write_text("previous_query\tprefix\tnext_query\n\ts\tshoes\n", encoding="utf-8")

    ended = espalier("evaluate", demo_index, "--pairs", pairs, "--report", tmp_path)

    assert ended.code == 2
    assert "would overwrite" in ended.err
    assert "shoes" in pairs.read_text(encoding="utf-8")


def test_quiet_training_says_nothing_on_stderr(
    espalier: Espalier, demo_log: Path, tmp_path: Path
) -> None:
    """`--quiet --json` is for scripts: one document, no progress."""
    ended = espalier("train", "--log", demo_log, "--out", tmp_path / "x.esp", "--quiet", "--json")

    assert isinstance(ended.json(), dict)
    assert ended.err == ""


def test_progress_of_training_goes_to_stderr(
    espalier: Espalier, demo_log: Path, tmp_path: Path
) -> None:
    """Long work shows its stages, away from stdout."""
    ended = espalier("train", "--log", demo_log, "--out", tmp_path / "x.esp")

    assert ended.code == 0
    assert len(ended.err.splitlines()) >= 2


def test_the_demo_log_is_the_same_every_time(espalier: Espalier, tmp_path: Path) -> None:
    """Same users, same seed, same bytes; and it says that it is synthetic."""
    first, second = tmp_path / "a.tsv", tmp_path / "b.tsv"
    ended = espalier("demo-log", "--out", first, "--users", "20")
    espalier(
        "demo-log", "--out", second, "--users", "20", "--catalogue", tmp_path / "catalogue.tsv"
    )

    assert "synthetic" in ended.out
    assert first.read_bytes() == second.read_bytes()
    assert (tmp_path / "catalogue.tsv").stat().st_size > 0


# ---- models of other systems --------------------------------------------------------


PECOS_MODEL = Path(__file__).parents[1] / "golden" / "pecos" / "trained"


def test_a_pecos_model_is_imported_and_asked(espalier: Espalier, tmp_path: Path) -> None:
    """From a folder to scores: a table and a line, or JSON."""
    index, scores = tmp_path / "m.esp", tmp_path / "Y.npz"
    ended = espalier("import-pecos", PECOS_MODEL, "--out", index, "--quiet")
    asked = ("predict", index, "--features", PECOS_MODEL / "X.npz", "--out", scores)
    said = espalier(*asked, "--beam", "2", "-k", "5")

    assert (ended.code, ended.err) == (0, "")
    assert ["labels", "30"] in [line.split() for line in ended.out.splitlines()]
    assert said.out == f"{scores}: 125 scores for 25 rows of 30 labels\n"
    assert espalier(*asked, "-k", "3", "--threads", "2", "--no-verify", "--json").json() == {
        "out": str(scores),
        "rows": 25,
        "labels": 30,
        "scores": 75,
    }
    facts = espalier("import-pecos", PECOS_MODEL, "--out", index, "--quiet", "--json").json()
    assert facts["post_processor"] == "l3-hinge"
    assert facts["file_bytes"] == index.stat().st_size


def test_bad_models_and_bad_features_end_with_2_and_write_nothing(
    espalier: Espalier, tmp_path: Path
) -> None:
    """One line that names the file; no output file appears."""
    index = tmp_path / "m.esp"
    espalier("import-pecos", PECOS_MODEL, "--out", index, "--quiet")
    (tmp_path / "bad.npz").write_bytes(b"not an archive")
    words = [
        ("import-pecos", tmp_path / "nothing", "--out", tmp_path / "n.esp"),
        ("import-pecos", PECOS_MODEL / "ranker", "--out", tmp_path / "n.esp"),
        ("predict", index, "--features", tmp_path / "bad.npz", "--out", tmp_path / "Y.npz"),
        ("predict", index, "--features", tmp_path / "none.npz", "--out", tmp_path / "Y.npz"),
        ("predict", index, "--features", PECOS_MODEL / "Y_beam2_k5.npz", "--out", tmp_path / "Y"),
    ]
    for command in words:
        ended = espalier(*command)

        assert ended.code == 2
        assert ended.err.count("\n") == 1
        assert ended.err.startswith("espalier: error: ")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["bad.npz", "m.esp"]


# ---- serve ------------------------------------------------------------------------------------


def test_serve_names_its_indexes(espalier: Espalier, served: list[tuple[Any, bool]]) -> None:
    """`NAME=PATH` names an index; a path that has an equals sign in it needs no name."""
    ended = espalier(
        "serve", "--index", "de=g.esp", "--index", "./a=b.esp", "--listen", "127.0.0.1:0"
    )

    assert ended.code == 0, ended.err
    ((settings, verify),) = served
    assert settings.index == {"de": Path("g.esp"), "default": Path("./a=b.esp")}
    assert settings.listen == "127.0.0.1:0"
    assert verify is True


def test_serve_prints_the_experiments_too(tmp_path: Path, espalier: Espalier) -> None:
    """With all that the file leaves out, as text that is read as the same."""
    config = tmp_path / "site.toml"
    variants = "a = { weight = 5000 }\nb = { weight = 5000, sources = ['MODEL'] }"
    config.write_text(f"[experiments.'e.1'.variants]\n{variants}\n", encoding="utf-8")
    first = espalier("serve", "--print-config", "--config", config)
    config.write_text(first.out, encoding="utf-8")

    again = espalier("serve", "--print-config", "--config", config)

    table = tomllib.loads(first.out)["experiments"]["e.1"]
    assert (table["seed"], table["coverage"]) == ("e.1", 10_000)
    assert table["variants"]["b"] == {"weight": 5_000, "sources": ["MODEL"]}
    assert tomllib.loads(again.out)["experiments"]["e.1"] == table


def test_serve_prints_its_configuration_and_serves_nothing(
    espalier: Espalier, served: list[tuple[Any, bool]], tmp_path: Path
) -> None:
    """What is printed is a file to serve with; it needs no index yet."""
    printed = espalier("serve", "--print-config", "--workers", "3", "--set", "threads=2")
    path = tmp_path / "site.toml"
    path.write_text(printed.out, encoding="utf-8")

    assert printed.code == 0
    assert served == []
    assert "workers = 3  # --workers" in printed.out
    assert espalier("check-config", path) == Ended(0, f"ok: {path}\n", "")


def test_check_config_says_everything_and_ends_with_2(espalier: Espalier, tmp_path: Path) -> None:
    """One problem a line on stderr, or all of them as JSON on stdout."""
    path = tmp_path / "site.toml"
    path.write_text("[train]\nmin_user = 1\n[serve]\nthreads = 0\n", encoding="utf-8")

    as_text, as_json = espalier("check-config", path), espalier("check-config", path, "--json")

    assert (as_text.code, as_text.out) == (2, "")
    assert "did you mean 'min_users'" in as_text.err.splitlines()[0]
    assert "threads = 0 cannot be used" in as_text.err.splitlines()[1]
    document = json.loads(as_json.out)
    assert (as_json.code, document["ok"], document["file"]) == (2, False, str(path))
    assert [("train", "min_user"), ("serve", "threads")] == [
        (one["table"], one["key"]) for one in document["problems"]
    ]


def test_check_config_of_no_file_ends_with_2(espalier: Espalier, tmp_path: Path) -> None:
    """The check of a deployment must not pass because a file was not there."""
    ended = espalier("check-config", tmp_path / "none.toml")

    assert ended.code == 2
    assert "cannot be read" in ended.err


def test_serve_takes_settings_from_everywhere(
    espalier: Espalier, served: list[tuple[Any, bool]], tmp_path: Path
) -> None:
    """Flags override the config file."""
    config = tmp_path / "site.toml"
    config.write_text('[serve]\nlisten = "127.0.0.1:1"\nsession_queries = 3\n', encoding="utf-8")

    ended = espalier(
        "serve",
        "--config",
        config,
        "--index",
        "a.esp",
        "--listen",
        "127.0.0.1:2",
        "--set",
        "session_ttl_seconds=60",
        "--no-verify",
    )

    assert ended.code == 0, ended.err
    ((settings, verify),) = served
    assert (settings.listen, settings.session_queries, settings.session_ttl_seconds) == (
        "127.0.0.1:2",
        3,
        60,
    )
    assert verify is False


def test_complete_keeps_variants_if_told(espalier: Espalier) -> None:
    """Other plurals and word orders come with a flag, explained or not."""
    asked = ("complete", _GOLDEN / "words.esp", "nike ", "--previous", "red bag", "-k", "100")
    sources = ("--source", "tail", "--source", "popular", "--json")

    def texts(*more: str) -> list[str]:
        return [one["text"] for one in espalier(*asked, *sources, *more).json()["suggestions"]]

    assert set(texts()) < set(texts("--keep-variants"))
    assert texts("--keep-variants") == texts("--keep-variants", "--explain")
