"""Set up signals and output before slow imports; only the standard library is imported here."""

import io
import os
import signal
import sys


def leave_at_once() -> None:
    """Set a handler for Ctrl-C that ends the process without a traceback."""
    signal.signal(signal.SIGINT, lambda signum, _: os._exit(128 + signum))


def escape_unencodable() -> None:
    """Make stdout and stderr escape characters that their encoding lacks, instead of failing."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
