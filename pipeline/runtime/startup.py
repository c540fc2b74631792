"""Prepare a process before its slow imports; only the standard library is imported here."""

import atexit
import gc
import io
import os
import signal
import sys


def start() -> None:
    """Make Python escape unencodable output, exit silently on Ctrl-C and rarely collect garbage."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # escape what the encoding lacks; do not fail
            stream.reconfigure(errors="backslashreplace")
    # Until the imports are done, Ctrl-C ends the process without a traceback.
    signal.signal(signal.SIGINT, lambda signum, _: os._exit(128 + signum))
    collect_rarely()


def collect_rarely() -> None:
    """Collect garbage rarely, and not at exit: imports make 500,000 objects that stay in use."""
    gc.set_threshold(50_000, 20, 20)
    atexit.register(gc.freeze)
