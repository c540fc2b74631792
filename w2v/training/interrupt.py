"""Let Ctrl-C stop a training without losing the vectors that are trained so far."""

import signal
import threading
from typing import Any


class Interrupt:
    """A context manager that turns the first Ctrl-C into a flag, `received`, without an exception.

    It does so from the call of `defer` to the end of the block; a second Ctrl-C, or one before
    `defer`, raises `KeyboardInterrupt` as usual. In threads other than the main one it has no
    effect, because Python handles signals in the main thread only.
    """

    def __init__(self) -> None:
        self.received = False
        self._before: Any = None
        self._handling = False

    def __enter__(self) -> "Interrupt":
        return self

    def defer(self) -> None:
        """From now on, let the first Ctrl-C set `received` instead of raising an exception."""
        if threading.current_thread() is threading.main_thread():
            self._before = signal.signal(signal.SIGINT, self._receive)
            self._handling = True

    def __exit__(self, *_: object) -> None:
        if self._handling:
            signal.signal(signal.SIGINT, self._before)

    def requested(self) -> bool:
        """Return whether Ctrl-C was pressed after `defer`, so that the training should stop."""
        return self.received

    def _receive(self, *_: object) -> None:
        if self.received:
            raise KeyboardInterrupt
        self.received = True
