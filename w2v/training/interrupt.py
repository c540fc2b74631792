"""Ctrl-C during a training that should give back what it has learnt."""

import signal
import threading
from typing import Any


class Interrupt:
    """In its ``with`` block and after `defer`, the first Ctrl-C only makes `received` true.

    Before, and at the second one, Ctrl-C raises `KeyboardInterrupt` as usual. Python lets only
    the main thread handle signals: in other threads, this changes nothing.
    """

    def __init__(self) -> None:
        self.received = False
        self._before: Any = None
        self._handling = False

    def __enter__(self) -> "Interrupt":
        return self

    def defer(self) -> None:
        """Let the next Ctrl-C raise nothing."""
        if threading.current_thread() is threading.main_thread():
            self._before = signal.signal(signal.SIGINT, self._receive)
            self._handling = True

    def __exit__(self, *_: object) -> None:
        if self._handling:
            signal.signal(signal.SIGINT, self._before)

    def requested(self) -> bool:
        """Return whether Ctrl-C was pressed."""
        return self.received

    def _receive(self, *_: object) -> None:
        if self.received:
            raise KeyboardInterrupt
        self.received = True
