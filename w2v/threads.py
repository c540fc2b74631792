"""Limit the threads of the libraries that compute in parallel, such as BLAS."""

import sys
from contextlib import AbstractContextManager
from functools import lru_cache
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from threadpoolctl import ThreadpoolController


def limited_threads(threads: int) -> AbstractContextManager[Any]:
    """Return a context manager that limits the thread pools of BLAS and OpenMP to `threads`.

    Searching the process for these libraries takes 10 ms. Unlike `threadpoolctl.threadpool_limits`,
    this function searches again only if modules have been imported since its last search.
    """
    limit: AbstractContextManager[Any] = _found(len(sys.modules)).limit(limits=threads)
    return limit


@lru_cache(1)
def _found(modules: int) -> "ThreadpoolController":
    """Find the libraries with thread pools; cached until the number of imported modules changes."""
    del modules
    from threadpoolctl import ThreadpoolController

    return ThreadpoolController()
