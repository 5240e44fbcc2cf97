"""Which calls are traced, and what is noted of them; makes no spans yet, see `spans`.

Most calls are not, and of those nothing is noted: a span costs as much as a fifth of a
completion.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from espalier.errors import ConfigError

if TYPE_CHECKING:
    from espalier.serve.domain import Answer

_PARENT: Final = re.compile(r"([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(?:-.*)?")
_SAMPLED: Final = 1
_TWO_64: Final = 1 << 64

AttributeValue = str | int | bool


@dataclass(frozen=True, slots=True)
class Parent:
    """The span of the caller, as its ``traceparent`` says."""

    trace_id: int
    span_id: int
    sampled: bool

    @classmethod
    def of(cls, header: str) -> Parent | None:
        """Return it; ``None`` if the header is none as W3C Trace Context has them."""
        found = _PARENT.fullmatch(header)
        if found is None or found[1] == "ff" or (found[1] == "00" and len(header) != 55):
            return None
        trace_id, span_id = int(found[2], 16), int(found[3], 16)
        if not (trace_id and span_id):
            return None
        return cls(trace_id, span_id, bool(int(found[4], 16) & _SAMPLED))


@dataclass(frozen=True, slots=True)
class Stage:
    """A part of the work, in nanoseconds of the clock that measured it."""

    name: str
    began: int
    ended: int


@dataclass(slots=True)
class Traced:
    """What is noted of one call.

    Attributes:
        parent: ``None`` if the trace begins here.
        began: Nanoseconds of the clock that measures.
        wall: Unix time of the same moment, in nanoseconds.
    """

    parent: Parent | None
    began: int
    wall: int
    stages: list[Stage] = field(default_factory=list)
    attributes: dict[str, AttributeValue] = field(default_factory=dict)

    def completed(
        self, began: int, lookup_ns: int, rest_ns: int, length: str, answer: Answer
    ) -> None:
        """Note a completion: numbers and names of ours, nothing that anybody typed."""
        ended = began + lookup_ns + rest_ns
        if lookup_ns:
            self.stages.append(Stage("session_lookup", began, began + lookup_ns))
        self.stages.append(Stage("completion", began + lookup_ns, ended))
        self.attributes |= {
            "espalier.index": answer.served.name,
            "espalier.index.revision": answer.served.revision,
            "espalier.prefix_length": length,
            "espalier.suggestions": len(answer.suggestions),
            "espalier.session": answer.session.value,
        }
        if answer.degradations:
            reasons = ",".join(one.value for one in answer.degradations)
            self.attributes["espalier.degraded"] = reasons


@dataclass(frozen=True, slots=True)
class Sampling:
    """Which calls are traced.

    Attributes:
        share: Of the calls that begin a trace.
        parent_decides: Whether a caller that traces, or does not, decides for its calls.
    """

    share: float
    parent_decides: bool = True

    @classmethod
    def of(cls, environment: Mapping[str, str] | None = None, *, share: float) -> Sampling:
        """Return what ``OTEL_TRACES_SAMPLER`` says, by default a ``share`` of what begins here.

        Raises:
            ConfigError: It names a sampler there is not, or its argument is no share.
        """
        given = os.environ if environment is None else environment
        name = given.get("OTEL_TRACES_SAMPLER", "").strip().lower()
        parent_decides = not name or name.startswith("parentbased_")
        kind = name.removeprefix("parentbased_")
        if kind not in {"", "always_on", "always_off", "traceidratio"}:
            raise ConfigError(
                f"OTEL_TRACES_SAMPLER is {name}; use always_on, always_off or traceidratio, "
                "or one of them after parentbased_"
            )
        if kind == "traceidratio":
            argument = given.get("OTEL_TRACES_SAMPLER_ARG", "").strip() or "1"
            try:
                share = float(argument)
            except ValueError:
                share = -1
            if not 0 <= share <= 1:
                raise ConfigError(f"OTEL_TRACES_SAMPLER_ARG is {argument}; use a share from 0 to 1")
        elif kind:
            share = float(kind == "always_on")
        return cls(share, parent_decides)

    def takes(self, parent: Parent | None, chance: Callable[[], float]) -> bool:
        """Return whether a call is traced; ``chance`` returns a number below 1."""
        if parent is None:
            return chance() < self.share
        if self.parent_decides:
            return parent.sampled
        # By the trace, so that everybody with this share decides alike.
        return (parent.trace_id & (_TWO_64 - 1)) < self.share * _TWO_64
