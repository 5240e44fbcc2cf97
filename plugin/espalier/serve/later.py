"""Answers that are still to come: for methods that wait for something but a processor.

A method that returns a future keeps nobody waiting: whoever called it goes on, and the
reply is sent by the thread that settles the future.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future
from typing import TypeVar

_A = TypeVar("_A")
_B = TypeVar("_B")


def then(answered: _A | Future[_A], finish: Callable[[_A], _B]) -> _B | Future[_B]:
    """Return what ``finish`` makes of an answer: now if it is there, else when it is.

    An exception of the answer, or of ``finish``, is that of the result.
    """
    if not isinstance(answered, Future):
        return finish(answered)
    later: Future[_B] = Future()
    # Who does not want the answer any more cannot take back the question.
    later.set_running_or_notify_cancel()

    def settle(done: Future[_A]) -> None:
        try:
            result = finish(done.result())
        except BaseException as error:  # noqa: BLE001 - it belongs to who waits
            later.set_exception(error)
        else:
            later.set_result(result)

    answered.add_done_callback(settle)
    return later
