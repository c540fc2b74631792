"""A lock so that several processes (on POSIX systems) compile a Numba function only once."""

import gc
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

COLLECT_AFTER = 50_000
"""While a function is compiled, Python collects garbage after this many new objects. Compiling
makes millions of objects that are kept for a while. Checking them after every 700 new objects, the
default of Python 3.11, would make up a tenth of the compile time."""


@contextmanager
def one_process_at_a_time(function: Callable[..., Any], *sources: Path) -> Iterator[None]:
    """Hold a lock during a ``with`` block, in which the caller makes Numba compile a function.

    Other processes wait for the lock, and then load the compiled code from Numba's cache on disk.
    On systems other than POSIX, nothing is done.

    Parameters
    ----------
    function
        A function that Numba compiles with ``cache=True``. All functions of its file share a lock.
    sources
        Other files whose code is compiled into the function. Numba notices only changes of the
        function's own file. Therefore, Numba's cached code for that file is deleted before the
        block if it is older than one of `sources`.
    """
    try:
        import fcntl
    except ImportError:  # not POSIX: each process compiles for itself
        yield
        return
    folder = Path(function.stats.cache_path)  # type: ignore[attr-defined]
    folder.mkdir(parents=True, exist_ok=True)
    name = function.__module__.rpartition(".")[2]
    with (folder / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        thresholds = gc.get_threshold()
        try:
            changed = max((source.stat().st_mtime for source in sources), default=0.0)
            for index in folder.glob(f"{name}.*.nbi"):
                if index.stat().st_mtime < changed:
                    index.unlink()
            gc.set_threshold(max(COLLECT_AFTER, thresholds[0]), *thresholds[1:])
            yield
        finally:
            gc.set_threshold(*thresholds)
            # A process that was forked meanwhile holds the lock, too, until it is released here.
            fcntl.flock(lock, fcntl.LOCK_UN)
