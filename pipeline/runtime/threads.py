"""The processor cores of this process, and the thread pools that must keep to them."""

import os
from collections.abc import Iterator
from contextlib import contextmanager

from threadpoolctl import threadpool_limits


def available_cores() -> int:
    """The processor cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


POOLS = (
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "BLIS_NUM_THREADS",
    "VECLIB_MAXIMUM_THREADS",
    "NUMEXPR_NUM_THREADS",
    "NUMBA_NUM_THREADS",
)
"""What thread pools read when they start."""


def announce(threads: int) -> None:
    """Tell the pools of processes that are still to start how large they may be.

    A size that a person has set in the environment stays.
    """
    for name in POOLS:
        os.environ.setdefault(name, str(threads))


@contextmanager
def capped(threads: int) -> Iterator[None]:
    """Keep the pools of the libraries that are loaded, BLAS and OpenMP, to so many threads."""
    with threadpool_limits(threads):
        yield
