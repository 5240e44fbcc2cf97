"""Signals are collected, whichever thread gets them."""

from __future__ import annotations

import os
import signal
import threading
import time

from espalier.serve.signals import FIRST_WORD, SignalQueue

PATIENT = 30.0


def test_signals_are_queued_in_order() -> None:
    """Also those that come before anybody waits."""
    with SignalQueue([signal.SIGTERM, signal.SIGINT]) as signals:
        os.kill(os.getpid(), signal.SIGTERM)
        os.kill(os.getpid(), signal.SIGINT)

        assert signals.wait(PATIENT) == signal.SIGTERM
        assert signals.wait() == signal.SIGINT
        assert signals.wait(0.0) is None


def test_a_waiting_thread_is_woken_by_a_signal_to_another() -> None:
    """The system may hand a signal to any thread of the process."""

    def send() -> None:
        time.sleep(0.05)
        signal.pthread_kill(threading.get_ident(), signal.SIGTERM)

    with SignalQueue([signal.SIGTERM]) as signals:
        thread = threading.Thread(target=send)
        thread.start()
        assert signals.wait(PATIENT) == signal.SIGTERM
        thread.join(PATIENT)


def test_words_of_other_threads_stand_among_the_signals() -> None:
    """One wait hears of both; a word put after the end is lost, not an error."""
    with SignalQueue([signal.SIGTERM]) as signals:
        thread = threading.Thread(target=signals.put, args=(FIRST_WORD + 1,))
        thread.start()
        assert signals.wait(PATIENT) == FIRST_WORD + 1
        thread.join(PATIENT)
        os.kill(os.getpid(), signal.SIGTERM)
        assert signals.wait(PATIENT) == signal.SIGTERM
    signals.put(FIRST_WORD)


def test_other_signals_are_not_ours() -> None:
    """Their handlers run, and the wait goes on."""
    seen: list[int] = []
    before = signal.signal(signal.SIGUSR1, lambda number, _: seen.append(number))
    try:
        with SignalQueue([signal.SIGTERM]) as signals:
            os.kill(os.getpid(), signal.SIGUSR1)
            assert signals.wait(0.05) is None
    finally:
        signal.signal(signal.SIGUSR1, before)

    assert seen == [signal.SIGUSR1]


def test_handlers_are_put_back() -> None:
    """Afterwards a signal does what it did."""
    before = signal.getsignal(signal.SIGINT)
    with SignalQueue([signal.SIGINT]):
        assert signal.getsignal(signal.SIGINT) is not before

    assert signal.getsignal(signal.SIGINT) is before
