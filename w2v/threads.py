"""Limit the threads of the libraries that compute in parallel, such as BLAS."""

import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from threadpoolctl import ThreadpoolController

# The threads of BLAS belong to the process, and so do the limits that are in force.
_LOCK = threading.Lock()
_LIMITS: list[int] = []
_LIMITERS: dict[Any, Any] = {}  # for each search of the process, what was set before


@contextmanager
def limited_threads(threads: int) -> Iterator[None]:
    """Limit the thread pools of BLAS and OpenMP to `threads` during a ``with`` block.

    OpenMP has a number of threads for each thread that calls it, which this function sets for its
    own. BLAS has one for the process: if several threads are in such blocks at the same time, the
    smallest limit holds for all, and what was set before the first block is set again after the
    last.

    Searching the process for these libraries takes 10 ms. Unlike `threadpoolctl.threadpool_limits`,
    this function searches again only if modules have been imported since its last search.
    """
    with _LOCK:
        _LIMITS.append(threads)
    try:
        with _LOCK:
            _limit_blas()
        with _found(len(sys.modules)).select(user_api="openmp").limit(limits=threads):
            yield
    finally:
        with _LOCK:
            _LIMITS.remove(threads)
            if _LIMITS:
                _limit_blas()
            while _LIMITERS and not _LIMITS:
                _LIMITERS.popitem()[1].restore_original_limits()


def _limit_blas() -> None:
    found = _found(len(sys.modules))
    limiter = found.select(user_api="blas").limit(limits=min(_LIMITS))
    _LIMITERS.setdefault(found, limiter)


@lru_cache(1)
def _found(modules: int) -> "ThreadpoolController":
    """Find the libraries with thread pools; cached until the number of imported modules changes."""
    del modules
    from threadpoolctl import ThreadpoolController

    return ThreadpoolController()
