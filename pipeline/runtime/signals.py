"""Stop a run on Ctrl-C or SIGTERM: cleanly on the first signal, at once on the second."""

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import FrameType
from typing import Any, NoReturn


class StopRequest:
    """Handles Ctrl-C (SIGINT) and SIGTERM: the first raises `KeyboardInterrupt` or `SystemExit`.

    If `defer` was called, the exception is raised at the end of the ``with deferrable()`` block, so
    that training can save a checkpoint; else at once. A second signal ends the process.
    """

    def __init__(self) -> None:
        self.signum: int | None = None
        """The number of the signal that was received, or ``None``."""
        self.file: Path | None = None
        """While this file exists, `requested` returns true, as after a signal; None: no file."""
        self._deferred = False

    @contextmanager
    def handling_signals(self) -> Iterator[None]:
        """In a ``with`` block, replace the handlers of SIGINT and SIGTERM, in the main thread only.

        A signal raises an exception, or is noted if `defer` was called; a second ends the process.
        """
        main = threading.current_thread() is threading.main_thread()
        signals = (signal.SIGINT, signal.SIGTERM) if main else ()
        before: dict[int, Any] = {n: signal.signal(n, self._receive) for n in signals}
        try:
            yield
        finally:
            for signum, handler in before.items():
                signal.signal(signum, handler)

    def requested(self) -> bool:
        """Return whether this process is to stop: a signal came, or the file `self.file` exists."""
        return self.signum is not None or (self.file is not None and self.file.exists())

    def defer(self) -> None:
        """Let signals raise exceptions only when the current ``with deferrable()`` block ends."""
        self._deferred = True

    @contextmanager
    def deferrable(self) -> Iterator[None]:
        """Context manager: a signal stops the block at once, or at its end if `defer` was called.

        Ctrl-C raises `KeyboardInterrupt`, and SIGTERM raises `SystemExit`. If the block itself
        raises an error after a deferred signal, this error is dropped. If the file `self.file`,
        which asks to stop, exists when the block ends, `KeyboardInterrupt` is raised.
        """
        try:
            yield
        except Exception:
            if not self.requested():
                raise
        finally:
            self._deferred = False
        if self.requested():
            self._stop()

    def _receive(self, signum: int, _: FrameType | None) -> None:
        if self.signum is not None:
            end_child_processes()
            os._exit(128 + signum)  # without cleaning up, which may be what hangs
        self.signum = signum
        if self._deferred:
            with suppress(OSError):  # print could fail: the signal may have interrupted another
                os.write(2, b"\nstopping after this part of the text; again to stop at once\n")
        else:
            self._stop()

    def _stop(self) -> NoReturn:
        if self.signum == signal.SIGTERM:
            raise SystemExit(128 + self.signum)
        raise KeyboardInterrupt


def end_child_processes() -> None:
    """Send SIGTERM to the child processes of this process (only on Linux)."""
    with suppress(OSError):
        for task in Path("/proc/self/task").iterdir():
            for child in (task / "children").read_text().split():
                with suppress(OSError):
                    os.kill(int(child), signal.SIGTERM)
