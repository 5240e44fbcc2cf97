"""What a training run did: counts, seconds, bytes. Numbers only, no query text."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from espalier.errors import StorageError
from espalier.files import new_file
from espalier.querylog import ReadReport


@dataclass(frozen=True, slots=True)
class TrainReport:
    """Account of one training run.

    Attributes:
        out: The index written.
        log: What became of the rows: bad ones by kind, each with an example line.
        fingerprint: Name of the run, 16 hexadecimal digits.
        counts: What was read, kept and built.
        dropped: Events and queries that were left out, by reason.
        seconds: Wall-clock time per stage, in order.
        section_bytes: Size of each section of the file.
        file_bytes: Size of the file.
        peak_memory_bytes: Most memory the process had resident so far.
        settings: The settings used.
        holdout: Which users were kept out of training: share, version of the rule, number.
        recency: Half-life and unit of decayed popularity; empty where it does not decay.
        warnings: What was asked for and this log cannot teach, a sentence each.
    """

    out: Path
    log: ReadReport
    fingerprint: str
    counts: Mapping[str, int]
    dropped: Mapping[str, int]
    seconds: Mapping[str, float]
    section_bytes: Mapping[str, int]
    file_bytes: int
    peak_memory_bytes: int
    settings: Mapping[str, Any]
    holdout: Mapping[str, Any] = field(default_factory=dict)
    recency: Mapping[str, float] = field(default_factory=dict)
    warnings: Sequence[str] = ()

    @property
    def bytes_per_label(self) -> float:
        """Size of the file divided by the number of labels."""
        return self.file_bytes / max(1, self.counts.get("labels", 0))

    def to_json(self) -> dict[str, Any]:
        """Return the report as a dictionary that ``json`` can write."""
        return {
            "out": str(self.out),
            "fingerprint": self.fingerprint,
            "log": self.log.to_json(),
            "counts": dict(self.counts),
            "dropped": dict(self.dropped),
            "seconds": {name: round(value, 3) for name, value in self.seconds.items()},
            "seconds_total": round(sum(self.seconds.values()), 3),
            "section_bytes": dict(self.section_bytes),
            "file_bytes": self.file_bytes,
            "bytes_per_label": round(self.bytes_per_label, 2),
            "peak_memory_bytes": self.peak_memory_bytes,
            "settings": dict(self.settings),
            "holdout": dict(self.holdout),
            "recency": dict(self.recency),
            "warnings": list(self.warnings),
        }

    def table(self) -> str:
        """Return the report as text for a terminal."""
        labels = max(1, self.counts.get("labels", 0))
        lines = [f"{self.out}  fingerprint {self.fingerprint}", "", self.log.summary(), ""]
        lines += [f"warning: {warning}\n" for warning in self.warnings]
        lines += [_line(name, f"{value:,}") for name, value in self.counts.items()]
        lines += [
            _line(f"dropped: {name}", f"{value:,}") for name, value in self.dropped.items() if value
        ]
        lines += ["", _line("stage", "seconds")]
        lines += [_line(name, f"{value:.2f}") for name, value in self.seconds.items()]
        lines += [_line("total", f"{sum(self.seconds.values()):.2f}")]
        lines += ["", f"{_line('section', 'bytes')}{'per label':>12}"]
        lines += [
            f"{_line(name, f'{size:,}')}{size / labels:>12.1f}"
            for name, size in self.section_bytes.items()
        ]
        lines += [f"{_line('file', f'{self.file_bytes:,}')}{self.bytes_per_label:>12.1f}"]
        lines += ["", _line("peak memory", f"{self.peak_memory_bytes / 2**20:,.0f} MiB")]
        return "\n".join(lines)

    def write(self, folder: Path) -> Path:
        """Write ``report.json`` into ``folder``, made if missing, and return its path.

        Raises:
            StorageError: The folder or the file cannot be written.
        """
        path = folder / "report.json"
        try:
            folder.mkdir(parents=True, exist_ok=True)
            with new_file(path) as stream:
                stream.write((json.dumps(self.to_json(), indent=2) + "\n").encode())
        except (OSError, StorageError) as error:
            raise StorageError(
                f"{path}: the report cannot be written ({error}); the index is complete, "
                "give --report a folder that can be written"
            ) from error
        return path


def _line(name: str, value: str) -> str:
    return f"{name:<32}{value:>16}"
