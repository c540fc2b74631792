"""Ctrl-C and SIGTERM: the first stops in good order, the second at once."""

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import FrameType
from typing import Any, NoReturn

SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Stopping:
    """Turns a signal into an exception, or into a question that training asks itself.

    Where nothing would be lost, the first signal raises `KeyboardInterrupt` or `SystemExit` (with
    128 + the signal's number), so that every block is left. While training, it makes `asked` true:
    the trainer writes a checkpoint after the piece of text in hand and stops.
    """

    def __init__(self) -> None:
        self.signum: int | None = None
        self.postponed = False

    @contextmanager
    def listening(self) -> Iterator[None]:
        """Take over the signals in the block."""
        if threading.current_thread() is not threading.main_thread():
            yield  # Python hands signals to the main thread alone
            return
        self.signum = None
        before: dict[int, Any] = {n: signal.signal(n, self._receive) for n in SIGNALS}
        try:
            yield
        finally:
            for signum, handler in before.items():
                signal.signal(signum, handler)

    def _receive(self, signum: int, _: FrameType | None) -> None:
        if self.signum is not None:
            end_children()
            os._exit(128 + signum)  # no block is left: whatever hangs there does not matter now
        self.signum = signum
        if self.postponed:
            # Not by print: the signal may have come while standard error was being written to.
            with suppress(OSError):
                os.write(2, b"\nstopping after this piece of text; once more stops at once\n")
        else:
            self._stop()

    def asked(self) -> bool:
        """Whether a signal has come."""
        return self.signum is not None

    def postpone(self) -> None:
        """From here to the end of the `work` block, a signal only asks."""
        self.postponed = True

    @contextmanager
    def work(self) -> Iterator[None]:
        """Stop at the end of the block, or at what it raises, if that was asked for meanwhile."""
        try:
            yield
        except Exception:
            self.postponed = False
            if self.signum is None:
                raise
        finally:
            self.postponed = False
        if self.signum is not None:
            self._stop()

    def _stop(self) -> NoReturn:
        assert self.signum is not None
        if self.signum == signal.SIGINT:
            raise KeyboardInterrupt
        raise SystemExit(128 + self.signum)


def end_children() -> None:
    """End the processes that this one has started, where the system names them (Linux)."""
    with suppress(OSError):
        for task in Path("/proc/self/task").iterdir():
            for child in (task / "children").read_text().split():
                with suppress(OSError):
                    os.kill(int(child), signal.SIGTERM)
