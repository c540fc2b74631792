"""What compiled functions of every room share."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any


@contextmanager
def one_process_at_a_time(function: Callable[..., Any]) -> Iterator[None]:
    """Let one process compile a function while others wait to load what it leaves on disk.

    Parameters
    ----------
    function
        Compiled by Numba with ``cache=True``. The lock is one for all functions of its file.
    """
    try:
        import fcntl
    except ImportError:  # not POSIX: each compiles for itself
        yield
        return
    folder = Path(function.stats.cache_path)  # type: ignore[attr-defined]
    folder.mkdir(parents=True, exist_ok=True)
    name = function.__module__.rpartition(".")[2]
    with (folder / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
