"""A process that keeps events durably until somebody kills it.

    python -m integration.event_writer FOLDER FIRST

Events are numbered from FIRST on, and the number of each stands on stdout as soon as it
is acknowledged. Several threads report, so that reports share their way to the disk.
"""

from __future__ import annotations

import itertools
import os
import sys
import threading
import time
from concurrent.futures import Future
from pathlib import Path

from espalier.events import Action, Event, Privacy, TextPolicy
from espalier.events.folder import EventFolder, Keeping
from espalier.events.writer import EventWriter, Mode
from espalier.serve.counters import Counters
from espalier.serve.log import JsonLog

REPORTERS = 4
FILE_BYTES = 20_000
"""So small that files change while the process is killed."""


def main() -> None:
    """Report events without end."""
    folder, first = Path(sys.argv[1]), int(sys.argv[2])
    made = itertools.count(first)
    writer = EventWriter(
        EventFolder(folder, Keeping(file_bytes=FILE_BYTES)),
        Privacy(TextPolicy.FULL, b"the secret of a test"),
        mode=Mode.DURABLE,
        new_id=lambda: f"made {os.getpid()} {next(made)}",
        counters=Counters(),
        log=JsonLog(),
    )
    writer.start()
    numbers = itertools.count(first)

    def report() -> None:
        while True:
            number = next(numbers)
            now = time.time_ns()
            event = Event(Action.SUBMISSION, now, event_id=str(number), session="s", text="tent")
            future = writer.record([event])
            if isinstance(future, Future):
                future.result()
                # One write, so that whoever reads gets whole lines.
                os.write(1, b"%d\n" % number)

    threads = [threading.Thread(target=report, daemon=True) for _ in range(REPORTERS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


if __name__ == "__main__":
    main()
