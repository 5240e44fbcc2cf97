"""The wire between supervisor and worker."""

from __future__ import annotations

import contextlib
import json
import socket
import struct
import threading
from collections.abc import Iterator, Mapping
from concurrent.futures import Future

import pytest
from google.rpc.error_details_pb2 import ErrorInfo
from hypothesis import given
from hypothesis import strategies as st

from espalier.errors import IndexCorruptError, InputError
from espalier.serve.control import (
    MAX_MESSAGE_BYTES,
    Channel,
    ControlError,
    GoneError,
    Handler,
    Params,
    Result,
    receive,
    send,
)
from espalier.serve.errors import status_of

PATIENT = 30.0


class Pair:
    """Two channels on one wire, and when each saw the end of it."""

    def __init__(self, **handlers: Handler) -> None:
        self.ended = [threading.Event(), threading.Event()]
        here, there = socket.socketpair()
        self.here = Channel(here, {}, self.ended[0].set)
        self.there = Channel(there, handlers, self.ended[1].set)
        self.here.start()
        self.there.start()

    def close(self) -> None:
        """Close both."""
        self.here.close()
        self.there.close()


@contextlib.contextmanager
def pair(**handlers: Handler) -> Iterator[Pair]:
    """Yield a pair of which the second side answers."""
    made = Pair(**handlers)
    yield made
    made.close()
    assert all(event.wait(PATIENT) for event in made.ended)


def double(params: Params) -> Mapping[str, int]:
    """Answer with twice the number."""
    return {"number": params["number"] * 2}


def test_a_request_returns_what_the_other_side_answers() -> None:
    """Parameters there, result back."""
    with pair(double=double, nothing=lambda _: None) as wire:
        assert wire.here.request("double", {"number": 21}, timeout=PATIENT) == {"number": 42}
        assert wire.here.request("nothing", timeout=PATIENT) == {}


def test_requests_of_many_threads_get_their_own_replies() -> None:
    """Nothing is mixed up."""
    wrong: list[int] = []
    with pair(double=double) as wire:

        def ask(start: int) -> None:
            for number in range(start, start + 200):
                reply = wire.here.request("double", {"number": number}, timeout=PATIENT)
                if reply["number"] != number * 2:
                    wrong.append(number)

        threads = [threading.Thread(target=ask, args=(n * 1000,)) for n in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(PATIENT)

    assert wrong == []


def test_an_answer_may_come_later_and_keeps_no_other_waiting() -> None:
    """A future of a handler is replied to when it is done, well or not."""
    later: list[Future[Result]] = []

    def slowly(_params: Params) -> Future[Result]:
        later.append(Future())
        return later[-1]

    with pair(double=double, slowly=slowly) as wire:
        asked = [wire.here.ask("slowly") for _ in range(3)]
        assert wire.here.request("double", {"number": 1}, timeout=PATIENT) == {"number": 2}
        assert not any(future.done() for future in asked)
        later[2].set_result({"third": True})
        assert asked[2].result(PATIENT) == {"third": True}
        later[0].set_exception(InputError("not like that"))
        with pytest.raises(ControlError, match="not like that") as caught:
            asked[0].result(PATIENT)
        assert caught.value.reason == "INVALID_REQUEST"
        later[1].set_result(None)
        assert asked[1].result(PATIENT) == {}


def test_what_an_error_about_a_file_carries_travels_with_it() -> None:
    """The other side can say as much as this one."""

    def refuse(_params: Params) -> None:
        raise IndexCorruptError("bad", check="S4", section="LABL", offset=64)

    with pair(refuse=refuse) as wire, pytest.raises(ControlError) as caught:
        wire.here.request("refuse", timeout=PATIENT)

    assert caught.value.reason == "INDEX_CORRUPT"
    assert caught.value.evidence == {"check": "S4", "section": "LABL", "offset": "64"}
    info = ErrorInfo()
    assert status_of(caught.value).details[0].Unpack(info)
    assert dict(info.metadata) == caught.value.evidence


def test_both_sides_may_ask() -> None:
    """A wire has no master."""
    here, there = socket.socketpair()
    one = Channel(here, {"double": double}, lambda: None)
    other = Channel(there, {"double": double}, lambda: None)
    one.start()
    other.start()

    assert one.request("double", {"number": 1}, timeout=PATIENT) == {"number": 2}
    assert other.request("double", {"number": 2}, timeout=PATIENT) == {"number": 4}
    one.close()


def test_errors_of_the_package_travel_with_their_reason() -> None:
    """Of others only the kind does: their message might quote a query."""

    def refuse(_params: Params) -> None:
        raise InputError("a number is missing")

    def fail(_params: Params) -> None:
        raise ValueError("canary")

    with pair(refuse=refuse, fail=fail) as wire:
        with pytest.raises(ControlError, match="a number is missing") as refused:
            wire.here.request("refuse", timeout=PATIENT)
        with pytest.raises(ControlError, match="fail: ValueError") as failed:
            wire.here.request("fail", timeout=PATIENT)
        with pytest.raises(ControlError, match="no such method"):
            wire.here.request("unheard", timeout=PATIENT)

    assert (refused.value.reason, failed.value.reason) == ("INVALID_REQUEST", "INTERNAL")
    assert "canary" not in str(failed.value)


def test_no_reply_in_time_is_an_error_and_a_late_one_harms_nobody() -> None:
    """The next request gets its own."""
    gate = threading.Event()

    def slow(_params: Params) -> None:
        gate.wait(PATIENT)

    with pair(slow=slow, double=double) as wire:
        with pytest.raises(ControlError, match="no reply within"):
            wire.here.request("slow", timeout=0.05)
        gate.set()
        assert wire.here.request("double", {"number": 3}, timeout=PATIENT) == {"number": 6}


def test_the_end_of_the_other_side_ends_every_request() -> None:
    """Those under way, and those to come."""
    begun = threading.Event()
    gate = threading.Event()

    def slow(_params: Params) -> None:
        begun.set()
        gate.wait(PATIENT)

    with pair(slow=slow) as wire:
        caught: list[GoneError] = []

        def ask() -> None:
            try:
                wire.here.request("slow", timeout=PATIENT)
            except GoneError as error:
                caught.append(error)

        thread = threading.Thread(target=ask)
        thread.start()
        assert begun.wait(PATIENT)
        wire.there.close()
        thread.join(PATIENT)
        gate.set()
        assert wire.ended[0].wait(PATIENT)
        with pytest.raises(GoneError, match="gone"):
            wire.here.request("slow", timeout=PATIENT)
        with pytest.raises(GoneError, match="gone"):
            wire.here.tell("slow")

    assert len(caught) == 1


def test_what_is_told_is_heard_before_what_is_asked_later() -> None:
    """Requests are handled in their order, whether anybody waits or not."""
    heard: list[int] = []

    def note(params: Params) -> None:
        heard.append(params["number"])

    with pair(note=note) as wire:
        for number in range(5):
            wire.here.tell("note", {"number": number})
        wire.here.request("note", {"number": 5}, timeout=PATIENT)

    assert heard == [0, 1, 2, 3, 4, 5]


def test_a_side_that_does_not_read_is_given_up() -> None:
    """Whoever waited to send, and whoever waited behind, hears of it in bounded time."""
    here, there = socket.socketpair()
    ended = threading.Event()
    channel = Channel(here, {}, ended.set, patience=0.2)
    channel.start()
    gone: list[GoneError] = []

    def ask() -> None:
        try:
            channel.request("much", {"text": "x" * (MAX_MESSAGE_BYTES // 2)}, timeout=PATIENT)
        except GoneError as error:
            gone.append(error)

    with there:
        threads = [threading.Thread(target=ask, daemon=True) for _ in range(3)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(PATIENT)

        assert len(gone) == len(threads)
        assert ended.wait(PATIENT)
        assert channel.stuck


def test_a_side_that_is_quiet_is_no_side_that_is_stuck() -> None:
    """Waiting for words takes as long as it takes."""
    here, there = socket.socketpair()
    ended = threading.Event()
    channel = Channel(here, {}, ended.set, patience=0.05)
    channel.start()
    with there:
        assert not ended.wait(0.3)
        channel.tell("still there")
        assert receive(there) == {"id": 1, "method": "still there", "params": {}}
    assert ended.wait(PATIENT)
    assert not channel.stuck


def test_a_message_above_the_limit_is_refused_before_it_is_sent() -> None:
    """And the wire is still good."""
    with pair(double=double) as wire:
        with pytest.raises(ControlError, match="pass a file"):
            wire.here.request("double", {"text": "x" * MAX_MESSAGE_BYTES}, timeout=PATIENT)
        assert wire.here.request("double", {"number": 1}, timeout=PATIENT) == {"number": 2}


@given(
    st.dictionaries(st.text(), st.integers() | st.text() | st.none(), max_size=5),
    st.integers(1, 7),
)
def test_messages_arrive_in_whatever_pieces_they_come(
    message: dict[str, int | str | None], size: int
) -> None:
    """The stream knows no borders, the reader does."""
    here, there = socket.socketpair()
    with here, there:
        data = json.dumps(message).encode()
        whole = struct.pack(">I", len(data)) + data

        # A socket holds a few hundred pieces, however small: somebody has to read.
        def send_pieces() -> None:
            for start in range(0, len(whole), size):
                here.sendall(whole[start : start + size])

        sender = threading.Thread(target=send_pieces)
        sender.start()
        assert receive(there) == message
        sender.join()
        send(here, message)
        here.close()
        assert receive(there) == message
        assert receive(there) is None


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(struct.pack(">I", MAX_MESSAGE_BYTES + 1), id="too long"),
        pytest.param(struct.pack(">I", 2) + b"{[", id="not JSON"),
        pytest.param(struct.pack(">I", 2) + b"17", id="no object"),
    ],
)
def test_bytes_that_are_no_message_are_an_error(data: bytes) -> None:
    """A length alone must not make anybody allocate."""
    here, there = socket.socketpair()
    with here, there:
        here.sendall(data)
        with pytest.raises(ValueError, match=r"."):
            receive(there)


@pytest.mark.parametrize("data", [b"\xff\xff\xff\xff", struct.pack(">I", 2) + b"{}", b"\0\0"])
def test_a_stranger_on_the_wire_ends_it(data: bytes) -> None:
    """The channel closes instead of guessing."""
    here, there = socket.socketpair()
    ended = threading.Event()
    Channel(there, {}, ended.set).start()
    with here:
        here.sendall(data)
        here.shutdown(socket.SHUT_WR)
        assert ended.wait(PATIENT)
