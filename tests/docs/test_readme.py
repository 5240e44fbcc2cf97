"""The README tells the truth: its commands and its Python run, in order, as written."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.docs.reader import Reader, blocks_of, commands_of

ROOT = Path(__file__).resolve().parents[2]
README = ROOT / "README.md"
DOCUMENTS = sorted([*ROOT.glob("*.md"), *ROOT.glob("integration/ops/*.md")])
# What the reader brings along: a model, and questions for it.
PECOS_MODEL = ROOT / "tests" / "golden" / "pecos" / "trained"


def commands() -> list[str]:
    """Return every shell command of the README."""
    return commands_of(README)


@pytest.fixture
def reader(tmp_path: Path) -> Iterator[Reader]:
    """Return a reader in a folder with nothing but a model of PECOS."""
    shutil.copytree(PECOS_MODEL, tmp_path / "catalogue")
    shutil.copy(PECOS_MODEL / "X.npz", tmp_path)
    # Tested below, and by the packaging test.
    started = Reader(tmp_path, skipped=("make", "pip"))
    yield started
    started.leave()


@pytest.mark.slow
def test_every_block_of_the_readme_runs(reader: Reader) -> None:
    """Followed from top to bottom, everything works and says something."""
    for language, code in blocks_of(README):
        reader.follow(language, code)


def test_every_block_of_the_readme_is_of_a_kind_that_is_tested() -> None:
    """A block that nobody runs is drawn without a language."""
    assert {language for language, _ in blocks_of(README)} <= {"", "sh", "python", "toml"}


def test_every_number_of_the_readme_comes_with_its_command() -> None:
    """A figure nobody can print again is a claim."""
    block = README.read_text(encoding="utf-8").split("<!-- numbers: begin -->")[1]
    rows = [line for line in block.split("<!-- numbers: end -->")[0].splitlines() if "|" in line]

    assert len(rows) > 5
    for row in rows[2:]:
        *_, command, _end = row.split("|")
        assert "`" in command or command.strip() == "the same", row


def test_every_make_target_of_the_readme_exists() -> None:
    """``make`` knows what the README tells people to type."""
    for command in commands():
        words = shlex.split(command)
        if words[0] == "make":
            subprocess.run(
                ["make", "--dry-run", *words[1:]], cwd=ROOT, check=True, capture_output=True
            )


def test_every_verb_of_the_command_line_is_shown_or_listed() -> None:
    """The README, or the page on experiments, uses every verb but those whose help it points to."""
    from espalier.cli import cli

    shown = commands() + commands_of(ROOT / "EXPERIMENTS.md")
    used = {words[1] for words in map(shlex.split, shown) if words[0] == "espalier"}

    assert set(cli.commands) - used == {"completions", "validate"}


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_every_link_within_the_repository_leads_somewhere(document: Path) -> None:
    """Relative links name files and folders that exist."""
    text = document.read_text(encoding="utf-8")
    pictures = re.findall(r"\bsrc(?:set)?=\"([^\"]+)", text)
    for target in [*pictures, *re.findall(r"\]\((?!https?:)([^)#]+)", text)]:
        assert (document.parent / target).exists(), target


def test_every_block_of_the_documents_is_closed() -> None:
    """A fence left open would swallow the rest of the page."""
    for document in DOCUMENTS:
        fences = [line for line in document.read_text().splitlines() if line.startswith("```")]

        assert len(fences) % 2 == 0, document.name
