"""What a program does before its imports. This module imports only the standard library."""

import io
import os
import signal
import sys


def leave_at_once() -> None:
    """Let Ctrl-C end the process without a traceback, until another handler is set."""
    signal.signal(signal.SIGINT, lambda signum, _: os._exit(128 + signum))


def escape_unencodable() -> None:
    """Print characters that the terminal's encoding lacks as escapes instead of failing."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
