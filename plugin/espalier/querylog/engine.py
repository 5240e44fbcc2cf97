"""The database a log is worked on in: DuckDB, embedded, spilling to a private folder.

Everything that grows with the log (rows, joins, sorts, counts) stays in DuckDB, which
moves to disk what does not fit in its memory limit. The folder is readable by its
owner only, since it holds queries, and is gone when the work ends, however it ends.
"""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Iterator
from typing import Final

import duckdb

from espalier.errors import ResourceError, StorageError

_MEGABYTE: Final = 1 << 20
_MOST_MEGABYTES: Final = 2048


def default_memory() -> int:
    """Return the memory limit in MiB: half of what the machine has, at most 2,048."""
    total = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return max(256, min(_MOST_MEGABYTES, total // _MEGABYTE // 2))


@contextlib.contextmanager
def workspace(threads: int = 0, memory: int = 0) -> Iterator[duckdb.DuckDBPyConnection]:
    """Open an empty database and remove every trace of it at the end.

    Args:
        threads: Threads DuckDB may use; 0: one for each processor of this process.
        memory: Its memory in MiB before it spills to disk; 0: ``default_memory()``.

    Raises:
        ResourceError: The memory limit is too small even with spilling.
        StorageError: The temporary folder cannot be written, or its disk is full.
    """
    with contextlib.ExitStack() as cleanup:
        try:
            folder = cleanup.enter_context(
                tempfile.TemporaryDirectory(prefix="espalier-log-", ignore_cleanup_errors=True)
            )
            connection = duckdb.connect(
                ":memory:",
                config={
                    "temp_directory": folder,
                    "memory_limit": f"{memory or default_memory()}MiB",
                    "threads": threads or len(os.sched_getaffinity(0)),
                    # Order is asked for where it matters; keeping it elsewhere costs memory.
                    "preserve_insertion_order": False,
                    "autoinstall_known_extensions": False,
                },
            )
            cleanup.callback(connection.close)
            yield connection
        except duckdb.OutOfMemoryException as error:
            raise ResourceError(_out_of_memory(error)) from None
        except duckdb.IOException as error:
            raise StorageError(
                f"temporary files in {tempfile.gettempdir()} cannot be written "
                f"({str(error).splitlines()[0]}); free some space or set TMPDIR to another disk"
            ) from None


def _out_of_memory(error: duckdb.OutOfMemoryException) -> str:
    what = str(error).splitlines()[0]
    return (
        f"reading the log ran out of memory or temporary disk ({what}); set TMPDIR to a bigger disk"
    )
