"""What an operator is told about metrics and log events is what there is."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

from espalier.serve.admin import ANSWERING, WORKERS
from espalier.serve.experiment_book import COMPONENT as EXPERIMENTS
from espalier.serve.health import LIVE, READY, SESSIONS
from espalier.serve.retrieval_service import SERVICE_NAME as RETRIEVAL
from espalier.serve.service import SERVICE_NAME as COMPLETION
from tools.gen_telemetry import PAGE, metric_rows

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "plugin" / "espalier"
LEVELS = {"info", "warning", "error"}


def table(heading: str, first_column: str) -> list[str]:
    """Return the rows of a table below a heading."""
    _, _, rest = PAGE.read_text(encoding="utf-8").partition(f"## {heading}\n")
    _, _, rest = rest.partition(f"| {first_column} |")
    rows = rest.split("\n\n", 1)[0].splitlines()
    return [row for row in rows[2:] if row.startswith("|")]


def test_the_table_of_metrics_is_the_table_in_the_code() -> None:
    """Name, type, labels and meaning; `python -m tools.gen_telemetry` writes it anew."""
    assert table("Metrics", "metric") == metric_rows()


def events() -> Iterator[tuple[str, str]]:
    """Yield the name of every event in the code, and the level it is logged at, "" if unknown."""
    for path in PACKAGE.rglob("*.py"):
        module = ast.parse(path.read_text(encoding="utf-8"))
        # A name that two places need is a constant of the module.
        constants = {
            one.target.id: one.value
            for one in module.body
            if isinstance(one, ast.AnnAssign) and isinstance(one.target, ast.Name)
        }
        for node in ast.walk(module):
            if not isinstance(node, ast.Call):
                continue
            called = node.func.attr if isinstance(node.func, ast.Attribute) else ""
            values = [
                constants.get(one.id) if isinstance(one, ast.Name) else one for one in node.args
            ]
            words = [
                one.value
                for one in values
                if isinstance(one, ast.Constant) and isinstance(one.value, str)
            ]
            if called in LEVELS and words:
                yield words[0], called
            elif called == "_note_active":
                yield words[-1], "info"
            elif called == "_note" and len(words) == 1 and path.parent.name == "sessions":
                yield words[0], "warning"
            elif called == "finalize" and words:
                # What happens when an object goes is logged by what it is given.
                yield words[0], "info"


def test_every_event_of_the_log_is_listed_with_its_level() -> None:
    """And nothing that is not logged any more."""
    listed = {}
    for row in table("Log", "event"):
        name, level, *_ = (cell.strip() for cell in row.strip("|").split("|"))
        listed[name.strip("`")] = level
    logged = dict(events())

    assert listed == dict(sorted(logged.items()))
    assert list(listed) == sorted(listed)


def test_names_of_events_are_words_not_sentences() -> None:
    """Whoever searches a log searches for one word."""
    assert [name for name, _ in events() if not re.fullmatch(r"[a-z]+(_[a-z]+)*", name)] == []


def test_every_component_of_health_is_listed() -> None:
    """What `espalier health` can be asked for by name."""
    listed = "\n".join(table("Health", "name"))

    for name in (LIVE, READY, SESSIONS, WORKERS, ANSWERING, EXPERIMENTS, COMPLETION, RETRIEVAL):
        assert f"`{name}`" in listed
