"""Limit the threads of the libraries that compute in parallel, such as BLAS."""

import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from threadpoolctl import ThreadpoolController

# The thread pools belong to the process, and so do the limits that are in force.
_LOCK = threading.Lock()
_LIMITS: list[int] = []
_LIMITERS: list[Any] = []


@contextmanager
def limited_threads(threads: int) -> Iterator[None]:
    """Limit the thread pools of BLAS and OpenMP to `threads` during a ``with`` block.

    If several threads are in such blocks at the same time, the smallest limit holds for all. What
    was set before the first block is set again after the last.

    Searching the process for these libraries takes 10 ms. Unlike `threadpoolctl.threadpool_limits`,
    this function searches again only if modules have been imported since its last search.
    """
    with _LOCK:
        _LIMITS.append(threads)
        _LIMITERS.append(_found(len(sys.modules)).limit(limits=min(_LIMITS)))
    try:
        yield
    finally:
        with _LOCK:
            _LIMITS.remove(threads)
            if _LIMITS:
                _LIMITERS.append(_found(len(sys.modules)).limit(limits=min(_LIMITS)))
            else:
                while _LIMITERS:
                    _LIMITERS.pop().restore_original_limits()


@lru_cache(1)
def _found(modules: int) -> "ThreadpoolController":
    """Find the libraries with thread pools; cached until the number of imported modules changes."""
    del modules
    from threadpoolctl import ThreadpoolController

    return ThreadpoolController()
