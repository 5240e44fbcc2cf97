"""The loop under load: what it begins, what it drops, and what it counts."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any

import grpc
import pytest

from espalier.client import CallError
from espalier.serve.calls import Limits
from espalier.serve.counters import Counters
from espalier.serve.loop import CallLoop
from espalier.serve.rpc import Dialogue, Outcome, Stream, Subscription, Unary, plain_status
from integration.raw_http2 import RawConnection

PATIENT = 30.0


@dataclass
class Service:
    """Methods that do what a test needs, and the loop that serves them.

    Attributes:
        gate: What ``/s/Work`` waits for.
        begun: Released by every call of ``/s/Work`` that begins.
        worked: Requests of ``/s/Work``, in the order they were worked on.
        streams: Open streams of ``/s/Listen``.
        later: Answers of ``/s/Later``, in the order of the calls.
    """

    limits: Limits = field(default_factory=Limits)
    threads: int = 1
    counters: Counters = field(default_factory=Counters)
    gate: threading.Event = field(default_factory=threading.Event)
    begun: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(0))
    worked: list[bytes] = field(default_factory=list)
    left: list[float] = field(default_factory=list)
    streams: list[Stream] = field(default_factory=list)
    streams_ended: list[Stream] = field(default_factory=list)
    later: list[Future[Outcome]] = field(default_factory=list)
    crashes: list[Exception] = field(default_factory=list)

    def __post_init__(self) -> None:
        """Start the loop on any port."""
        self.loop = CallLoop(
            {
                "/s/Work": Unary(self.work),
                "/s/Check": Unary(lambda data, _left: data, at_once=True),
                "/s/Refuse": Unary(lambda _data, _left: REFUSED),
                "/s/Break": Unary(break_down),
                "/s/Later": Unary(self.answer_later),
                "/s/Listen": Subscription(self.listen),
                "/s/Talk": Dialogue(talk),
            },
            options=[("grpc.max_send_message_length", -1)],
            counters=self.counters,
            crashed=self.crashes.append,
            limits=self.limits,
            threads=self.threads,
        )
        self.address = f"127.0.0.1:{self.loop.listen('127.0.0.1:0')}"
        self.loop.start()

    def work(self, data: bytes, time_left: float) -> Outcome:
        """Wait for the gate, then return the request."""
        self.worked.append(data)
        self.left.append(time_left)
        self.begun.release()
        self.gate.wait(PATIENT)
        return data

    def answer_later(self, _data: bytes, _left: float) -> Future[Outcome]:
        """Return a future that the test settles."""
        self.later.append(Future())
        return self.later[-1]

    def listen(self, _data: bytes, stream: Stream) -> Callable[[], None]:
        """Keep the stream."""
        self.streams.append(stream)
        return lambda: self.streams_ended.append(stream)

    def dropped(self, why: str, method: str = "/s/Work") -> int:
        """Return how many calls were not answered because of ``why``."""
        return self.counters.get("unanswered", method, why)

    def stop(self) -> None:
        """End it, and check that it held together."""
        self.gate.set()
        self.loop.stop_accepting()
        self.loop.cancel_all()
        assert self.loop.wait(PATIENT)
        assert self.crashes == []
        assert (self.loop.unanswered, self.loop.waiting) == (0, 0)


REFUSED = plain_status(grpc.StatusCode.FAILED_PRECONDITION, "not now")


def break_down(_data: bytes, _left: float) -> Outcome:
    """Raise what no method should."""
    raise ValueError("canary")


def talk(data: bytes) -> Outcome:
    """Return the message twice; refuse an empty one, and break down at a bang."""
    if data == b"!":
        raise ValueError("canary")
    return data * 2 if data else REFUSED


@contextlib.contextmanager
def serving(**arguments: Any) -> Iterator[tuple[Service, grpc.Channel]]:
    """Yield a service and a channel to it."""
    service = Service(**arguments)
    with grpc.insecure_channel(service.address) as channel:
        yield service, channel
        service.stop()


def call(channel: grpc.Channel, method: str, data: bytes, timeout: float = PATIENT) -> Any:
    """Start a call; return its future."""
    made: Any = channel.unary_unary(method)
    return made.future(data, timeout=timeout)


def listen(channel: grpc.Channel) -> Any:
    """Subscribe; return the stream."""
    made: Any = channel.unary_stream("/s/Listen")
    return made(b"")


def headers_only(channel: grpc.Channel, method: str, given_up: threading.Event) -> Any:
    """Start a call whose request does not come before ``given_up``; return its future."""

    def nothing() -> Iterator[bytes]:
        given_up.wait(PATIENT)
        yield from ()

    made: Any = channel.stream_unary(method)
    return made.future(nothing(), timeout=PATIENT)


def until(true: Callable[[], bool]) -> None:
    """Wait until ``true`` is."""
    deadline = time.monotonic() + PATIENT
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.002)


def code_of(future: Any) -> grpc.StatusCode:
    """Return how a call ended."""
    found: grpc.StatusCode = future.code()
    return found


@pytest.mark.parametrize("threads", [1, 4])
def test_calls_are_answered_and_counted(threads: int) -> None:
    """By method and status."""
    with serving(threads=threads) as (service, channel):
        service.gate.set()
        futures = [call(channel, "/s/Work", str(n).encode()) for n in range(100)]
        assert [one.result() for one in futures] == [str(n).encode() for n in range(100)]
        assert code_of(call(channel, "/s/Refuse", b"")) == grpc.StatusCode.FAILED_PRECONDITION
        assert code_of(call(channel, "/s/Nowhere", b"")) == grpc.StatusCode.UNIMPLEMENTED
        until(lambda: not service.loop.unanswered)

    assert service.counters.snapshot() == {
        "calls": {
            "/s/Refuse FAILED_PRECONDITION": 1,
            "/s/Work OK": 100,
            "unknown UNIMPLEMENTED": 1,
        }
    }


def test_calls_that_wait_are_worked_on_in_their_order() -> None:
    """First come, first served."""
    with serving() as (service, channel):
        futures = []
        for n in range(20):
            futures.append(call(channel, "/s/Work", bytes([n])))
            if n == 0:
                assert service.begun.acquire(timeout=PATIENT)
        service.gate.set()
        for one in futures:
            one.result()

    assert service.worked == [bytes([n]) for n in range(20)]


def test_a_method_that_breaks_down_breaks_one_call() -> None:
    """The client learns nothing but that; the next call is answered."""
    with serving() as (service, channel):
        service.gate.set()
        broken = call(channel, "/s/Break", b"")
        assert code_of(broken) == grpc.StatusCode.INTERNAL
        assert "canary" not in broken.details()
        assert call(channel, "/s/Work", b"x").result() == b"x"


def test_the_time_left_is_told() -> None:
    """Seconds until the deadline; without one, more than anybody waits."""
    with serving() as (service, channel):
        service.gate.set()
        call(channel, "/s/Work", b"", timeout=PATIENT).result()
        without: Any = channel.unary_unary("/s/Work")
        without(b"")

    # The timeout travels rounded up, to three digits.
    assert 0 < service.left[0] < PATIENT + 1
    assert service.left[1] > 1e6


def test_a_call_that_expires_while_it_waits_is_not_begun() -> None:
    """Nobody waits for the answer any more."""
    with serving(threads=2) as (service, channel):
        first = [call(channel, "/s/Work", b"first") for _ in range(2)]
        for _ in first:
            assert service.begun.acquire(timeout=PATIENT)
        late = call(channel, "/s/Work", b"late", timeout=0.2)
        assert code_of(late) == grpc.StatusCode.DEADLINE_EXCEEDED
        until(lambda: service.dropped("expired") == 1)
        service.gate.set()
        for one in first:
            one.result()

    assert service.worked == [b"first", b"first"]


def test_a_call_cancelled_while_it_waits_is_not_begun() -> None:
    """Typing goes on: the client has a newer question."""
    with serving(threads=2) as (service, channel):
        first = [call(channel, "/s/Work", b"first") for _ in range(2)]
        for _ in first:
            assert service.begun.acquire(timeout=PATIENT)
        old = call(channel, "/s/Work", b"old")
        until(lambda: service.loop.waiting == 1)
        old.cancel()
        until(lambda: service.dropped("cancelled") == 1)
        assert service.loop.waiting == 0
        service.gate.set()
        for one in first:
            one.result()

    assert service.worked == [b"first", b"first"]


def test_a_call_cancelled_while_it_is_worked_on_counts_as_cancelled() -> None:
    """The work is lost, nothing else is."""
    with serving(threads=2) as (service, channel):
        begun = call(channel, "/s/Work", b"x")
        assert service.begun.acquire(timeout=PATIENT)
        begun.cancel()
        time.sleep(0.05)
        service.gate.set()
        assert call(channel, "/s/Work", b"y").result() == b"y"
        until(lambda: not service.loop.unanswered)

    assert service.counters.get("calls", "/s/Work", "CANCELLED") == 1
    assert "unanswered" not in service.counters.snapshot()


@pytest.mark.parametrize("threads", [1, 3])
def test_above_the_soft_limit_calls_are_told_to_come_back(threads: int) -> None:
    """With RetryInfo, while those that wait are answered and health still is."""
    limits = Limits(waiting=5, retry_seconds=0.5)
    with serving(limits=limits, threads=threads) as (service, channel):
        first = [call(channel, "/s/Work", b"first") for _ in range(threads)]
        for _ in first:
            assert service.begun.acquire(timeout=PATIENT)
        if threads > 1:
            # The loop goes on while threads are busy, so it can say no at once.
            waiting = [call(channel, "/s/Work", b"waiting") for _ in range(5)]
            until(lambda: service.loop.waiting == 5)
            turned_away = call(channel, "/s/Work", b"x")
            with pytest.raises(grpc.RpcError) as caught:
                turned_away.result()
            error = CallError(caught.value)
            assert (error.code, error.reason) == (
                grpc.StatusCode.RESOURCE_EXHAUSTED,
                "OVERLOADED",
            )
            assert call(channel, "/s/Check", b"well?").result() == b"well?"
            service.gate.set()
            for one in [*first, *waiting]:
                one.result()
            assert service.dropped("overloaded") == 1
        else:
            later = [call(channel, "/s/Work", b"x", timeout=PATIENT) for _ in range(40)]
            time.sleep(0.3)
            service.gate.set()
            codes = [code_of(one) for one in [*first, *later]]
            refused = codes.count(grpc.StatusCode.RESOURCE_EXHAUSTED)
            assert codes.count(grpc.StatusCode.OK) == 41 - refused
            assert refused == service.dropped("overloaded") > 0
        assert call(channel, "/s/Work", b"again").result() == b"again"


def test_above_the_hard_limit_calls_are_not_even_read() -> None:
    """Streams count as well; the room of calls that end is free again."""
    with serving(limits=Limits(open=3)) as (service, channel):
        service.gate.set()
        given_up = threading.Event()
        held = [headers_only(channel, "/s/Work", given_up) for _ in range(2)]
        listening = listen(channel)
        until(lambda: len(service.streams) == 1 and service.loop.unanswered == 2)
        for method in ("/s/Work", "/s/Check"):
            assert code_of(call(channel, method, b"")) == grpc.StatusCode.RESOURCE_EXHAUSTED
        with pytest.raises(grpc.RpcError, match="too many calls"):
            next(listen(channel))
        for one in [*held, listening]:
            one.cancel()
        until(lambda: service.loop.unanswered == 0)
        until(lambda: code_of(call(channel, "/s/Work", b"")) == grpc.StatusCode.OK)
        given_up.set()

    assert service.dropped("refused") >= 1
    assert service.dropped("refused", "/s/Check") == 1
    assert service.dropped("refused", "/s/Listen") == 1


@pytest.mark.parametrize("threads", [1, 2])
def test_clients_that_read_nothing_do_not_keep_others_out(threads: int) -> None:
    """Where there is no room their replies give way; calls that are worked on do not."""
    limits = Limits(open=4, unread_seconds=0.05)
    with serving(limits=limits, threads=threads) as (service, channel):
        later = call(channel, "/s/Later", b"")
        until(lambda: len(service.later) == 1)
        service.gate.set()
        with RawConnection(service.address, "/s/Work", window=0) as deaf:
            for _ in range(3):
                deaf.call(b"x")
            until(lambda: len(service.worked) == 3)
            until(lambda: code_of(call(channel, "/s/Work", b"y")) == grpc.StatusCode.OK)
        service.later[0].set_result(b"late")
        assert later.result() == b"late"
        until(lambda: service.loop.unanswered == 0)

    assert service.dropped("refused") >= 1


def test_clients_that_read_slowly_are_let_be_where_there_is_room() -> None:
    """However slowly."""
    with serving(limits=Limits(open=50, unread_seconds=0.0)) as (service, channel):
        service.gate.set()
        with RawConnection(service.address, "/s/Work", window=0) as deaf:
            for _ in range(3):
                deaf.call(b"x")
            until(lambda: len(service.worked) == 3)
            for _ in range(10):
                assert call(channel, "/s/Work", b"y").result() == b"y"
            until(lambda: service.loop.unanswered == 3)


def test_clients_that_send_headers_only_hold_nobody_up_and_are_given_up() -> None:
    """However many, other calls are answered at once."""
    with serving(limits=Limits(request_seconds=0.3)) as (service, channel):
        service.gate.set()
        given_up = threading.Event()
        held = [headers_only(channel, "/s/Work", given_up) for _ in range(50)]
        held += [headers_only(channel, "/s/Talk", given_up)]
        until(lambda: service.loop.unanswered == 50)
        assert call(channel, "/s/Work", b"x").result() == b"x"
        assert {code_of(one) for one in held} == {grpc.StatusCode.CANCELLED}
        until(lambda: service.loop.unanswered == 0)
        given_up.set()

    assert service.dropped("no_request") == 50
    assert service.dropped("no_request", "/s/Talk") == 1


def test_a_call_without_a_message_is_no_call_of_the_method() -> None:
    """The client closes its side without having sent one."""
    with serving() as (service, channel):
        for method in ("/s/Work", "/s/Check"):
            made: Any = channel.stream_unary(method)
            assert code_of(made.future(iter(()))) == grpc.StatusCode.UNIMPLEMENTED
        with pytest.raises(grpc.RpcError, match="exactly one request"):
            list(channel.stream_stream("/s/Listen")(iter(())))

    assert service.worked == []


def test_a_client_that_vanishes_leaves_nothing_behind() -> None:
    """Whether its call waits, is worked on, or only began."""
    with serving(threads=2) as (service, channel):
        given_up = threading.Event()
        vanishing = grpc.insecure_channel(service.address, [("grpc.use_local_subchannel_pool", 1)])
        first = [call(vanishing, "/s/Work", b"first") for _ in range(2)]
        for _ in first:
            assert service.begun.acquire(timeout=PATIENT)
        # A call nobody holds is cancelled.
        held = [
            call(vanishing, "/s/Work", b"waiting"),
            headers_only(vanishing, "/s/Work", given_up),
        ]
        listening = listen(vanishing)
        until(lambda: service.loop.unanswered == 4 and len(service.streams) == 1)
        vanishing.close()
        until(lambda: service.loop.unanswered == 2 and len(service.streams_ended) == 1)
        service.gate.set()
        until(lambda: service.loop.unanswered == 0)
        assert call(channel, "/s/Work", b"x").result() == b"x"
        given_up.set()
        assert {code_of(one) for one in [*held, listening]} == {grpc.StatusCode.CANCELLED}

    assert service.worked == [b"first", b"first", b"x"]


def test_streams_deliver_in_order_from_any_thread() -> None:
    """More than fits into the window of a client that does not read yet."""
    with serving() as (service, channel):
        listening = listen(channel)
        until(lambda: len(service.streams) == 1)
        (stream,) = service.streams
        messages = [bytes([n]) * 100_000 for n in range(50)]

        def speak() -> None:
            for message in messages:
                stream.send(message)
            stream.finish()
            stream.send(b"too late")
            stream.finish(REFUSED)

        thread = threading.Thread(target=speak)
        thread.start()
        thread.join(PATIENT)
        assert list(listening) == messages
        assert listening.code() == grpc.StatusCode.OK
        until(lambda: service.streams_ended == [stream])

    assert service.counters.get("calls", "/s/Listen", "OK") == 1


def test_a_dialogue_answers_each_message_until_the_client_is_done() -> None:
    """One by one; a refusal or a fault ends it."""
    with serving() as (_, channel):
        talking: Any = channel.stream_stream("/s/Talk")
        assert list(talking(iter([b"a", b"b", b"c"]))) == [b"aa", b"bb", b"cc"]
        for last, code in (
            (b"", grpc.StatusCode.FAILED_PRECONDITION),
            (b"!", grpc.StatusCode.INTERNAL),
        ):
            replies = talking(iter([b"a", last, b"c"]))
            assert next(replies) == b"aa"
            with pytest.raises(grpc.RpcError) as caught:
                next(replies)
            assert caught.value.code() == code


def test_stopping_lets_calls_under_way_finish() -> None:
    """The listener is closed, the calls are not."""
    with serving(threads=2) as (service, channel):
        begun = call(channel, "/s/Work", b"begun")
        assert service.begun.acquire(timeout=PATIENT)
        service.loop.stop_accepting()
        assert not service.loop.wait(0.05)
        service.gate.set()
        assert begun.result() == b"begun"
        assert service.loop.wait(PATIENT)


def test_a_loop_that_fails_says_so() -> None:
    """A server that answers nothing must not look alive."""
    failure = RuntimeError("counting failed")

    class Failing(Counters):
        def add(self, *_: str) -> None:
            raise failure

    service = Service(counters=Failing())
    with grpc.insecure_channel(service.address) as channel:
        future = call(channel, "/s/Check", b"")
        until(lambda: service.crashes == [failure])
        future.cancel()


@pytest.mark.parametrize("threads", [1, 4])
def test_an_answer_that_comes_later_keeps_nobody_waiting(threads: int) -> None:
    """The loop goes on meanwhile; the reply is sent by whoever settles the future."""
    with serving(threads=threads) as (service, channel):
        service.gate.set()
        calls = []
        for number in range(3):
            calls.append(call(channel, "/s/Later", b""))
            until(lambda begun=number: len(service.later) > begun)  # type: ignore[misc]
        assert call(channel, "/s/Work", b"meanwhile").result() == b"meanwhile"
        service.later[1].set_result(b"second")
        assert calls[1].result() == b"second"
        service.later[0].set_result(REFUSED)
        assert code_of(calls[0]) == grpc.StatusCode.FAILED_PRECONDITION
        until(lambda: service.loop.unanswered == 1)
        calls[2].cancel()
        service.later[2].set_result(b"nobody listens")
        until(lambda: service.loop.unanswered == 0)

        assert service.counters.get("calls", "/s/Later", "FAILED_PRECONDITION") == 1
        # Whether the service heard first that the client left is chance.
        ended = [service.counters.get("calls", "/s/Later", code) for code in ("OK", "CANCELLED")]
        assert sum(ended) == 2
