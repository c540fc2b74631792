"""Repeat calls to a tracking store that is locked or cannot be reached."""

import logging
import queue
import re
import sys
import threading
import time
from collections.abc import Callable
from functools import partial
from itertools import chain, repeat
from typing import Any, TypeVar

from mlflow.exceptions import MlflowException

log = logging.getLogger(__name__)

T = TypeVar("T")

RETRY_PAUSES = (0.2, 0.5, 1.0, 2.0, 5.0)
"""Seconds before each retry of a call; the last pause is used from then on."""

MAX_WAIT = 30.0
"""Seconds to wait for a store that is locked or cannot be reached."""


class RetryQueue:
    """Calls a tracking store in a thread of its own, in order; repeats calls that fail temporarily.

    Calls that fail permanently are dropped. ``name`` is the name of the store in messages.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self.calls: queue.SimpleQueue[Callable[[], object] | None] = queue.SimpleQueue()
        self.problem = ""  # why the present call keeps failing; empty if it does not
        self.dropped: list[str] = []  # the errors of the calls that were dropped
        self.stopped = threading.Event()
        self.thread = threading.Thread(target=self._work, name="retry queue", daemon=True)
        self.thread.start()

    def put(self, call: Callable[..., object], *args: object, **kwargs: object) -> None:
        """Add a call to the queue, and return at once."""
        self.calls.put(partial(call, *args, **kwargs))

    def wait(self) -> None:
        """Wait until the calls put so far are done, or have kept failing for `MAX_WAIT` seconds.

        Neither case raises an error. Calls that keep failing stay in the queue, and are repeated.
        """
        made = threading.Event()
        self.calls.put(made.set)
        self._wait(made.wait, MAX_WAIT)

    def close(self, max_wait: float = MAX_WAIT) -> str:
        """Wait until all calls are done; return the errors of calls that failed permanently, or "".

        If a call is retried for ``max_wait`` seconds, drop it and all later ones; return its error.
        """

        def ended(seconds: float) -> bool:
            self.thread.join(seconds)
            return not self.thread.is_alive()

        self.calls.put(None)
        if problem := self._wait(ended, max_wait):
            self.stopped.set()
            return problem
        return "; ".join(dict.fromkeys(self.dropped))

    def _wait(self, made: Callable[[float], bool], max_wait: float) -> str:
        """Wait for queued calls; return "", or the error of one retried for `max_wait` seconds.

        ``made(0.05)`` waits up to 0.05 s; it returns true once all succeeded or failed permanently.
        """
        waited = 0.0
        announced = False
        while not made(0.05):
            problem = self.problem  # the thread may clear it
            waited = waited + 0.05 if problem else 0.0
            if waited > 1.0 and not announced:
                print(f"waiting for {self.name} ({problem})", file=sys.stderr)
                announced = True
            if waited > max_wait:
                return problem
        return ""

    def _work(self) -> None:
        while (call := self.calls.get()) is not None:
            for pause in chain(RETRY_PAUSES, repeat(RETRY_PAUSES[-1])):
                try:
                    call()
                    break
                except Exception as error:
                    if not is_temporary(error):
                        log.info("a call to %s was dropped", self.name, exc_info=True)
                        self.dropped.append(one_line(error))
                        break
                    self.problem = one_line(error)
                if self.stopped.wait(pause):
                    return
            self.problem = ""


class QueueProxy:
    """Stands in for an object, `target`, so that calls of its methods are queued to be made later.

    A call returns None at once. The method `wait` waits until the queue has made the calls so far.
    """

    def __init__(self, target: object, calls: RetryQueue) -> None:
        self._target = target
        self._calls = calls

    def wait(self) -> None:
        self._calls.wait()

    def __getattr__(self, name: str) -> Any:
        attribute = getattr(self._target, name)
        return partial(self._calls.put, attribute) if callable(attribute) else attribute


def is_temporary(error: Exception) -> bool:
    """Return whether a failed call may succeed later, as when the store is busy or unreachable."""
    if isinstance(error, MlflowException):
        status: int = error.get_http_status_code()  # type: ignore[no-untyped-call]
        # Of several jobs that add the same dataset at once, all but one fail, and find it later.
        return status >= 500 or re.search("UNIQUE|[Dd]uplicate", str(error)) is not None
    return isinstance(error, OSError) and not isinstance(error, FileNotFoundError)


def one_line(error: Exception) -> str:
    """Shorten an error message to a cause in it, such as ``timed out``, or else its first line."""
    known = re.search(r"database is locked|Connection refused|timed out", str(error))
    first = str(error).strip().split("\n")[0]
    return known.group() if known else first[:200] or type(error).__name__


def retry_while_locked(call: Callable[[], T], max_wait: float = MAX_WAIT) -> T:
    """Return a call's result. If the database is locked, retry; raise after `max_wait` seconds."""
    deadline = time.monotonic() + max_wait
    while True:
        try:
            return call()
        except Exception as error:
            if "database is locked" not in str(error) or time.monotonic() > deadline:
                raise
        time.sleep(0.2)
