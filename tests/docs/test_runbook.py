"""The runbook tells the truth: its commands run in order, and it knows every alarm."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from espalier.querylog import write_demo_log
from espalier.schema import kinds_of
from espalier.serve.telemetry.families import FAMILIES
from espalier.settings import LogSettings, ServeSettings
from integration.certificates import Authority
from tests.docs.reader import Reader, blocks_of, commands_of

FOLDER = Path(__file__).resolve().parents[2] / "integration" / "ops"
RUNBOOK = FOLDER / "RUNBOOK.md"


@pytest.fixture
def operator(tmp_path: Path) -> Iterator[Reader]:
    """Return somebody with a log, a certificate, and the one that comes after it."""
    write_demo_log(tmp_path / "queries.tsv", catalogue=tmp_path / "catalogue.tsv", users=600)
    authority = Authority.in_folder(tmp_path, "tls")
    authority.path.rename(tmp_path / "tls" / "ca.pem")
    for name in ("server", "new"):
        pair = authority.issue(name)
        pair.certificate.rename(pair.certificate.with_suffix(".pem"))
    reader = Reader(tmp_path)
    yield reader
    reader.leave()


@pytest.mark.slow
def test_every_command_of_the_runbook_runs(operator: Reader) -> None:
    """From the first start to the end of one service, which ends with 0."""
    for language, code in blocks_of(RUNBOOK):
        operator.follow(language, code)


def test_every_alarm_has_its_section_and_every_section_its_alarm() -> None:
    """In the order of the rules, so that both are read side by side."""
    rules = yaml.safe_load((FOLDER / "alerts.yml").read_text(encoding="utf-8"))
    alarms = [rule["alert"] for group in rules["groups"] for rule in group["rules"]]
    sections = re.findall(r"^### (\w+)$", RUNBOOK.read_text(encoding="utf-8"), re.MULTILINE)

    assert sections == alarms


def test_every_section_of_an_alarm_says_what_to_do() -> None:
    """A paragraph, not a heading."""
    for section in RUNBOOK.read_text(encoding="utf-8").split("\n### ")[1:]:
        name, _, text = section.partition("\n")
        text = text.partition("\n## ")[0]

        assert len(text.split()) > 20, name


def test_commands_in_the_text_are_verbs_the_blocks_use() -> None:
    """So that what is said in passing has been tried as well."""
    said = re.findall(r"`espalier ([a-z-]+(?: [a-z]+)?)[^`]*`", RUNBOOK.read_text(encoding="utf-8"))
    done = " && ".join(commands_of(RUNBOOK))

    assert said
    for verb in said:
        assert f"espalier {verb}" in done, verb


def test_names_in_the_text_are_names_there_are() -> None:
    """Settings, metrics and log events are called what they are called."""
    text = RUNBOOK.read_text(encoding="utf-8")
    telemetry = (FOLDER / "TELEMETRY.md").read_text(encoding="utf-8")
    known = {*kinds_of(ServeSettings), *kinds_of(LogSettings)}
    known |= {family.name for family in FAMILIES.values()}
    known |= {label for family in FAMILIES.values() for label in family.labels}
    known |= set(re.findall(r"^\| `(\w+)` \|", telemetry, re.MULTILINE))
    named = set(re.findall(r"`([a-z]+(?:_[a-z]+)+)`", text))

    assert len(named) > 20
    assert named <= known
