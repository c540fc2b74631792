"""Test `RetryQueue` with a tracking store that is slow, or fails for a while or forever."""

import threading
import time

import pytest

from pipeline.tracking.retries import QueueProxy, RetryQueue


@pytest.fixture
def queue(monkeypatch: pytest.MonkeyPatch) -> RetryQueue:
    monkeypatch.setattr("pipeline.tracking.retries.RETRY_PAUSES", (0.0, 0.01))
    return RetryQueue("the store")


def test_calls_are_made_in_order_and_retried_until_they_succeed(queue: RetryQueue) -> None:
    done: list[int] = []
    failures = [OSError("unreachable") for _ in range(5)]

    def call(number: int) -> None:
        if number % 3 == 1 and failures:
            raise failures.pop()
        done.append(number)

    for number in range(10):
        queue.put(call, number)
    assert queue.close() == ""
    assert done == list(range(10))


def test_a_call_with_a_lasting_error_is_dropped_and_reported(queue: RetryQueue) -> None:
    done: list[int] = []

    def refuse() -> None:
        raise KeyError("no such run")

    queue.put(done.append, 1)
    queue.put(refuse)
    queue.put(refuse)
    queue.put(done.append, 2)
    assert queue.close() == "'no such run'"
    assert done == [1, 2]


def test_close_gives_up_on_a_store_that_stays_unreachable(
    queue: RetryQueue, capsys: pytest.CaptureFixture[str]
) -> None:
    def refuse() -> None:
        raise OSError(111, "Connection refused")

    queue.put(refuse)
    assert queue.close(max_wait=1.2) == "Connection refused"
    assert capsys.readouterr().err == "waiting for the store (Connection refused)\n"
    queue.thread.join(10)
    assert not queue.thread.is_alive()


def test_a_store_that_answers_when_close_has_given_up_is_reported(
    queue: RetryQueue, monkeypatch: pytest.MonkeyPatch
) -> None:
    answers = threading.Event()

    def call() -> None:
        if not answers.is_set():
            raise OSError(111, "Connection refused")

    def give_up() -> None:
        answers.set()
        queue.thread.join(10)

    monkeypatch.setattr(queue.stopped, "set", give_up)
    queue.put(call)
    assert queue.close(max_wait=0.1) == "Connection refused"


def test_close_waits_for_a_slow_store(queue: RetryQueue) -> None:
    finish = threading.Event()
    queue.put(finish.wait, 60)
    threading.Timer(0.3, finish.set).start()
    assert queue.close(max_wait=0.1) == ""
    assert finish.is_set()


def test_a_proxy_queues_calls_and_reads_attributes_at_once(queue: RetryQueue) -> None:
    class Target:
        run_id = "x"

        def __init__(self) -> None:
            self.calls: list[object] = []
            self.allowed = threading.Event()

        def take(self, *args: object, **kwargs: object) -> int:
            self.allowed.wait(60)
            self.calls.append((args, kwargs, threading.current_thread()))
            return 3

    target = Target()
    proxy = QueueProxy(target, queue)
    assert proxy.run_id == "x"
    begun = time.monotonic()
    assert proxy.take(1, b=2) is None
    assert time.monotonic() - begun < 30  # it did not wait for the call
    target.allowed.set()
    assert queue.close() == ""
    assert target.calls == [((1,), {"b": 2}, queue.thread)]
    with pytest.raises(AttributeError):
        _ = proxy.missing
