"""Limit the threads of the libraries that compute in parallel, such as BLAS."""

import sys
from contextlib import AbstractContextManager
from typing import Any

_found: list[Any] = [0, None]
"""The number of modules when the libraries were looked for, and threadpoolctl's object for them."""


def limited_threads(threads: int) -> AbstractContextManager[Any]:
    """Return a context manager that limits the thread pools of BLAS and OpenMP to `threads`.

    Searching the process for these libraries takes 10 ms. Unlike `threadpoolctl.threadpool_limits`,
    the function repeats the search only if modules have been imported since the last one.
    """
    from threadpoolctl import ThreadpoolController

    if _found[0] != len(sys.modules):
        _found[:] = len(sys.modules), ThreadpoolController()
    limit: AbstractContextManager[Any] = _found[1].limit(limits=threads)
    return limit
