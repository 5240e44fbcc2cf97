"""An index without a file: answers from a list, and lets the session change the order."""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass, field

from espalier.index import Suggestion
from espalier.terminal.answers import Answer, Question, Row
from espalier.text import normalise, normalise_prefix, utf16_length

LABELS = (
    "tent",
    "tent pegs",
    "tea",
    "teapot",
    "television stand",
    "camping stove",
    "camping chair",
    "coffee",
    "coffee machine",
    "東京 ホテル",
    "東京タワー 入場料金",
    "فندق في دبي",
    "فندق رخيص",
    "می‌خواهم",
    "👩‍👩‍👧 costume",
    "a query of so many words that no list of any width on any screen would show it whole",
)
SOURCES = ("MODEL", "POPULAR", "TAIL", "CORRECTED")


def suggestion(text: str, prefix: str = "", *, score: float = 0.0, source: str = "") -> Suggestion:
    """Return a suggestion as an index makes it."""
    typed = normalise_prefix(prefix)
    return Suggestion(
        text=normalise(text),
        display_text=text,
        score=score,
        source=source or SOURCES[len(text) % 4],
        matched_code_points=len(typed),
        matched_utf16=utf16_length(typed),
        model=score - 1,
        popularity=1 / (1 - score),
    )


@dataclass(slots=True)
class FakeAsker:
    """Answers from ``labels``: what shares its first letter with the newest query comes first.

    Attributes:
        labels: In the order of popularity.
        k: Suggestions in an answer.
        asked: Every question so far.
    """

    labels: tuple[str, ...] = LABELS
    k: int = 10
    asked: list[Question] = field(default_factory=list)

    def ask(self, question: Question) -> Answer:
        """Return the answer, the same for the same question."""
        self.asked.append(question)
        if len(question.prefix) > 100:
            return Answer(refusal="a prefix of too many bytes; at most 100")
        plain = self._ranked(question.prefix, "")
        newest = question.previous[0] if question.previous else ""
        before = {label: rank for rank, label in enumerate(plain[: self.k], 1)}
        found = self._ranked(question.prefix, newest)[: self.k]
        rows = tuple(
            Row(
                suggestion(label, question.prefix, score=-float(rank)),
                users=None if len(label) % 4 == 2 else 1000 * len(label),
                before=before.get(label) if question.previous else None,
                figures=(("model", -1.5 * rank), ("popularity", 0.5)),
            )
            for rank, label in enumerate(found, 1)
        )
        return Answer(rows, 17 * len(plain), 84.3, bool(question.previous))

    def _ranked(self, prefix: str, newest: str) -> list[str]:
        typed = normalise_prefix(prefix)
        found = [label for label in self.labels if normalise(label).startswith(typed)]
        first = unicodedata.normalize("NFKC", newest)[:1]
        return sorted(found, key=lambda label: label[:1] != first)
