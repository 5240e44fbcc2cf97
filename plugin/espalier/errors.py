"""Every error Espalier raises, and how it travels to a gRPC client.

The tree::

    EspalierError
    ├── InputError                     the caller's data or arguments
    │   ├── InvalidTextError           text that is not Unicode or UTF-8
    │   ├── LimitError                 longer, larger or more than documented
    │   ├── ConfigError                an unknown or unusable setting
    │   ├── LogError                   a query log nobody can read
    │   │   └── NoTextError            event files whose texts were not kept
    │   ├── PairsError                 a pairs file nobody can read
    │   ├── MatrixError                a sparse matrix, or its file, that cannot be used
    │   └── ModelError                 a foreign model that cannot be imported
    ├── IndexFileError                 an index file that cannot be used
    │   ├── IndexMissingError          no such file, or not readable
    │   ├── IndexFormatError           not an Espalier index
    │   ├── IndexVersionError          of a version this library does not read
    │   └── IndexCorruptError          a checksum or an invariant fails
    ├── UnsupportedError               the index lacks what the call needs
    ├── RejectedError                  a new index that is worse than the one it must beat
    ├── StorageError                   the operating system refused to write
    └── ResourceError                  out of memory

Messages say what was found and how to mend it; they never hold query text.
"""

from __future__ import annotations


class EspalierError(Exception):
    """Root of all errors. ``exit_code`` is what the command line ends with."""

    exit_code = 1
    reason = "INTERNAL"


class InputError(EspalierError, ValueError):
    """The caller's data or arguments cannot be used."""

    exit_code = 2
    reason = "INVALID_REQUEST"


class InvalidTextError(InputError):
    """Text with a lone surrogate, or bytes that are not UTF-8."""

    reason = "INVALID_TEXT"


class LimitError(InputError):
    """Something is longer, larger or more than the documented limit."""

    reason = "LIMIT_EXCEEDED"


class ConfigError(InputError):
    """A setting that is unknown or has an unusable value."""

    reason = "INVALID_CONFIG"


class LogError(InputError):
    """A query log that cannot be read, or has no usable row."""

    reason = "INVALID_LOG"


class NoTextError(LogError):
    """An event file with hashes in place of texts, or without them: nothing to learn from."""


class PairsError(InputError):
    """A pairs file that cannot be read, or has no usable row."""

    reason = "INVALID_PAIRS"


class MatrixError(InputError):
    """A sparse matrix, or a file of one, that cannot be used."""

    reason = "INVALID_MATRIX"


class ModelError(InputError):
    """A model of another system that cannot be imported."""

    reason = "INVALID_MODEL"


class IndexFileError(EspalierError):
    """An index file that cannot be used.

    Attributes:
        check: Name of the check that failed, as in FORMAT.md; "" if none.
        section: Four-letter id of the section concerned; "" if none.
        offset: Byte offset in the file, or index of the bad value.
    """

    exit_code = 2
    reason = "INDEX_UNAVAILABLE"

    def __init__(
        self, message: str, *, check: str = "", section: str = "", offset: int = 0
    ) -> None:
        super().__init__(message)
        self.check = check
        self.section = section
        self.offset = offset


class IndexMissingError(IndexFileError):
    """The file does not exist or cannot be opened."""

    reason = "INDEX_MISSING"


class IndexFormatError(IndexFileError):
    """The file is not an Espalier index."""

    reason = "INDEX_FORMAT"


class IndexVersionError(IndexFileError):
    """The file was written by an incompatible version."""

    reason = "INDEX_VERSION"


class IndexCorruptError(IndexFileError):
    """A checksum or an invariant of the file fails."""

    reason = "INDEX_CORRUPT"


class UnsupportedError(EspalierError):
    """The index lacks what the call needs."""

    exit_code = 2
    reason = "UNSUPPORTED"


class RejectedError(EspalierError):
    """A new index is worse than the one it had to beat, and was not published.

    Attributes:
        new: MRR@10 of the new index.
        old: MRR@10 of the one it had to beat, on the same rows.
        low, high: 95 % interval of the difference, over users.
        rows: Rows compared.
        users: People they come from.
    """

    exit_code = 3
    reason = "INDEX_REJECTED"

    def __init__(
        self,
        message: str,
        *,
        new: float,
        old: float,
        low: float,
        high: float,
        rows: int,
        users: int,
    ) -> None:
        super().__init__(message)
        self.new = new
        self.old = old
        self.low = low
        self.high = high
        self.rows = rows
        self.users = users


class StorageError(EspalierError):
    """The operating system refused to write: full disk, permissions."""

    exit_code = 1
    reason = "STORAGE"


class ResourceError(EspalierError):
    """Memory could not be allocated."""

    reason = "OUT_OF_MEMORY"
