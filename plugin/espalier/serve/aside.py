"""Work that must not keep others waiting, one job after the other."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future
from queue import SimpleQueue
from typing import TypeVar

_Result = TypeVar("_Result")


class Aside:
    """A thread that does jobs in the order they came, and does not keep the process alive."""

    def __init__(self, name: str) -> None:
        self._jobs: SimpleQueue[Callable[[], None]] = SimpleQueue()
        threading.Thread(target=self._run, name=name, daemon=True).start()

    def do(self, job: Callable[[], _Result]) -> Future[_Result]:
        """Do ``job`` in its turn; return what it will return or raise."""
        future: Future[_Result] = Future()

        def settle() -> None:
            try:
                result = job()
            except BaseException as error:  # noqa: BLE001 - it belongs to who waits
                future.set_exception(error)
            else:
                future.set_result(result)

        self._jobs.put(settle)
        return future

    def _run(self) -> None:
        while True:
            self._jobs.get()()
