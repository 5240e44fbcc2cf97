"""Numbers as Prometheus reads them: the text format, version 0.0.4.

``prometheus_client`` would write it as well, but wants the numbers in its own registry:
its multi-process mode takes a lock and a microsecond for each of them, in files that pile
up with every worker that dies. The tests read what is written here with its parser.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Final

from espalier.serve.telemetry.families import FAMILIES, SECONDS, Family, Kind
from espalier.serve.telemetry.page import Key

CONTENT_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"

Numbers = Mapping[Key, Sequence[float]]
"""By family and labels: one number, or the buckets of a histogram and its sum."""


def merged(pages: Iterable[Mapping[Key, Sequence[int]]]) -> dict[Key, list[float]]:
    """Add up counters and histograms of several processes.

    A gauge is told apart by the place of its page among ``pages``, as the label after its
    own.
    """
    found: dict[Key, list[float]] = {}
    for number, page in enumerate(pages):
        for key, values in page.items():
            family = FAMILIES.get(key[0])
            # A damaged page may hold anything.
            if family is None or len(key) != 1 + len(family.labels) or len(values) != family.width:
                continue
            if family.kind is Kind.GAUGE:
                found[*key, str(number)] = list(values)
            elif (before := found.get(key)) is None:
                found[key] = list(values)
            else:
                found[key] = [a + b for a, b in zip(before, values, strict=True)]
    return found


def text_of(numbers: Numbers) -> str:
    """Return every family that has numbers, the series of each in order."""
    series: dict[str, list[tuple[tuple[str, ...], Sequence[float]]]] = {}
    for (name, *labels), values in sorted(numbers.items()):
        series.setdefault(name, []).append((tuple(labels), values))
    lines: list[str] = []
    for name, family in FAMILIES.items():
        if name in series:
            lines.append(f"# HELP {family.name} {_escaped(family.meaning)}")
            lines.append(f"# TYPE {family.name} {family.kind.value}")
            for of_one, values in series[name]:
                lines += _lines(family, of_one, values)
    return "\n".join(lines) + "\n"


def labelled(family: Family, values: Sequence[str]) -> dict[str, str]:
    """Return labels by name; a gauge of a worker has one more than its family says."""
    return dict(zip((*family.labels, "worker"), values, strict=False))


def _lines(family: Family, labels: Sequence[str], values: Sequence[float]) -> Iterator[str]:
    named = [
        f'{name}="{_escaped(value, quoted=True)}"'
        for name, value in labelled(family, labels).items()
    ]
    if family.kind is not Kind.HISTOGRAM:
        yield f"{family.name}{_braces(named)} {_number(values[0])}"
        return
    *buckets, total = values
    below: float = 0
    for bound, count in zip((*SECONDS, None), buckets, strict=True):
        below += count
        most = "+Inf" if bound is None else _number(bound)
        at_most = _braces([*named, f'le="{most}"'])
        yield f"{family.name}_bucket{at_most} {_number(below)}"
    yield f"{family.name}_sum{_braces(named)} {_number(total / 1e9)}"
    yield f"{family.name}_count{_braces(named)} {_number(below)}"


def _braces(named: Sequence[str]) -> str:
    return "{" + ",".join(named) + "}" if named else ""


def _number(value: float) -> str:
    return str(int(value)) if value == int(value) else repr(float(value))


def _escaped(text: str, *, quoted: bool = False) -> str:
    text = text.replace("\\", "\\\\").replace("\n", "\\n")
    return text.replace('"', '\\"') if quoted else text
