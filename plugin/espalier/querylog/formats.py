"""From a log file of any layout to batches of rows with the same columns.

=========  ===================================================================
layout     told by
=========  ===================================================================
``tsv``    ``.tsv``, ``.tab``, or a tab in the first line. A tab ends a field and
           nothing else does: quotes are ordinary characters.
``csv``    ``.csv``, or none of the others fits. RFC 4180 quotes; a quoted field
           may hold line ends.
``jsonl``  ``.jsonl``, ``.ndjson``, ``.json``, or ``{`` in front. One object a line.
``ubi``    JSON lines whose first object is a UBI query (see ``ubi``)
=========  ===================================================================

Parquet has no lines and is read by DuckDB itself (see ``ingest``). Files may be
compressed with gzip or zstd, told by their first bytes, whatever the name says.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

from espalier.errors import LogError
from espalier.querylog import documents, ubi
from espalier.querylog.batches import RowReader
from espalier.querylog.delimited import DelimitedReader
from espalier.querylog.lines import read_start
from espalier.settings import LogSettings

_SUFFIXES: Final = {
    ".tsv": "tsv", ".tab": "tsv", ".csv": "csv", ".jsonl": "jsonl", ".ndjson": "jsonl",
    ".json": "jsonl", ".parquet": "parquet", ".pq": "parquet",
}  # fmt: skip
_COMPRESSION_SUFFIXES: Final = (".gz", ".gzip", ".zst", ".zstd")
_PARQUET: Final = b"PAR1"


def detect(path: Path, settings: LogSettings) -> str:
    """Return the layout of a file: the one the settings name, or what it looks like.

    Raises:
        LogError: The file is empty, cannot be opened or cannot be decompressed.
    """
    start = read_start(path)
    if not start.strip():
        raise LogError(f"{path}: is empty; a log has a header and at least one row")
    if settings.format != "auto":
        return settings.format
    if start.startswith(_PARQUET):
        return "parquet"
    stem = path.name.lower()
    for suffix in _COMPRESSION_SUFFIXES:
        stem = stem.removesuffix(suffix)
    layout = _SUFFIXES.get(Path(stem).suffix, "")
    if not layout:
        first = start.lstrip(b"\xef\xbb\xbf \t\r\n").partition(b"\n")[0]
        layout = "jsonl" if first.startswith(b"{") else "tsv" if b"\t" in first else "csv"
    return "ubi" if layout == "jsonl" and _starts_with_ubi(start, settings) else layout


def is_event_file(path: Path) -> bool:
    """Return whether a file begins as those that ``espalier serve`` writes.

    Raises:
        LogError: The file cannot be opened or decompressed.
    """
    document = _first_document(read_start(path))
    return document is not None and ubi.is_event(document)


def _starts_with_ubi(start: bytes, settings: LogSettings) -> bool:
    document = _first_document(start)
    if document is None or settings.query_column in document:
        return False
    return ubi.looks_like_ubi(document)


def _first_document(start: bytes) -> documents.Document | None:
    for line in start.decode(errors="replace").removeprefix("\ufeff").splitlines():
        document = documents.parse(line)
        if isinstance(document, dict):
            return document
    return None


def row_reader(path: Path, layout: str, settings: LogSettings) -> RowReader:
    """Return the reader of a file of lines.

    Args:
        path: The file.
        layout: ``tsv``, ``csv``, ``jsonl`` or ``ubi``.
        settings: Names of the columns.
    """
    if layout == "tsv":
        return DelimitedReader(path, settings, delimiter="\t", has_quotes=False)
    if layout == "csv":
        return DelimitedReader(path, settings, delimiter=settings.delimiter or ",", has_quotes=True)
    return documents.DocumentReader(
        path, settings, ubi.row_reader(path, settings) if layout == "ubi" else None
    )
