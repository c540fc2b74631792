"""Limit the threads of the libraries that compute in parallel, such as BLAS."""

import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from threadpoolctl import ThreadpoolController

# BLAS has one limit for the whole process, so all active blocks of `limited_threads` share these.
_LOCK = threading.Lock()
_LIMITS: list[int] = []
_LIMITERS: dict[Any, Any] = {}  # what restores the original limits, by search result


@contextmanager
def limited_threads(threads: int) -> Iterator[None]:
    """Limit the thread pools of BLAS and OpenMP to `threads` during a ``with`` block.

    OpenMP has a separate limit for each thread that calls it; only that of the current thread is
    set. BLAS has one limit for the whole process: while several threads are in such blocks, the
    smallest of their limits holds for all, and the last block restores the original limit.

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
    """Find the loaded libraries that have thread pools, such as BLAS and OpenMP.

    The result is cached until `modules`, the number of imported modules, changes.
    """
    del modules
    from threadpoolctl import ThreadpoolController

    return ThreadpoolController()
