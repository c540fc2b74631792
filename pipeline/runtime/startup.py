"""The first moments of a program: streams that do not break it, and Ctrl-C before all is imported.

Imports nothing but the standard library, so that it can come first.
"""

import io
import os
import signal
import sys
from contextlib import suppress
from types import FrameType


class Steady(io.FileIO):
    """A standard stream whose reader may go away, or whose disk may be full, without a word.

    What is printed is not what the program is for: it goes on without it.
    """

    def write(self, data: object) -> int:
        """Write; what cannot be written is taken for written."""
        try:
            return super().write(data)  # type: ignore[arg-type]
        except OSError:
            return len(memoryview(data))  # type: ignore[arg-type]


def steady() -> None:
    """Make standard output and standard error `Steady`.

    A stream that was closed is opened on nothing: otherwise the next file to be opened would take
    its number, and what is printed would be written into it.
    """
    while True:
        number = os.open(os.devnull, os.O_RDWR)
        if number > 2:
            os.close(number)
            break
    for name, number in (("stdout", 1), ("stderr", 2)):
        stream = getattr(sys, name)
        with suppress(OSError, ValueError, AttributeError):
            if stream is not None and stream.fileno() != number:
                continue  # something else stands there, as in tests
        encoding = getattr(stream, "encoding", None) or "utf-8"
        unbuffered = getattr(stream, "write_through", False)  # python -u
        with suppress(ValueError, AttributeError):
            stream.flush()
        raw = Steady(number, "w", closefd=False)
        terminal = os.isatty(number)
        wrapped = io.TextIOWrapper(
            io.BufferedWriter(raw),
            encoding=encoding,
            errors="backslashreplace",
            line_buffering=terminal or name == "stderr" or unbuffered,
        )
        setattr(sys, name, wrapped)


def leave_at_once() -> None:
    """End without a traceback at Ctrl-C, until something better takes over."""

    def leave(signum: int, _: FrameType | None) -> None:
        os._exit(128 + signum)

    signal.signal(signal.SIGINT, leave)
