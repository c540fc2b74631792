"""Set up signals and output before slow imports. Only the standard library is imported here."""

import io
import os
import signal
import sys


def leave_at_once() -> None:
    """Let Ctrl-C end the process without a traceback, until another handler is set."""
    signal.signal(signal.SIGINT, lambda signum, _: os._exit(128 + signum))


def escape_unencodable() -> None:
    """Let output streams escape characters that their encoding lacks, instead of failing."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
