"""Set up signals and output before slow imports; only the standard library is imported here."""

import io
import os
import signal
import sys


def leave_at_once() -> None:
    """End the process without a traceback on Ctrl-C, until another handler is set."""
    signal.signal(signal.SIGINT, lambda signum, _: os._exit(128 + signum))


def escape_unencodable() -> None:
    """Print characters that the terminal's encoding lacks as escape sequences."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
