"""Share the work of a compiled function among threads.

The work is divided into phases, and each phase into a fixed ``number`` of jobs. A job is done by
one thread. Every thread goes through the phases:

    job = take(jobs, phase)
    while job < number:
        ...
        finish(jobs, phase)
        job = take(jobs, phase)
    wait(jobs, phase, number)

After `wait`, a thread can read everything that the jobs of the phase have written. A thread that
reaches a phase after its end finds no jobs left, and goes on. While a thread waits, it may take
jobs of another phase (`loop.wait_and_prepare`).
"""

import sys
from typing import Any

import numpy as np
from llvmlite import ir
from numba import types
from numpy.typing import NDArray

from w2v.engines.compiled.functions import inlined, inner
from w2v.engines.compiled.simd import address, instruction

BYTES = 128
"""The number of bytes for the two counters of a phase, a group of jobs that threads share. One
counter is for jobs taken, the other for jobs finished. Each is on a cache line of its own."""

SPINS = 1000
"""How many times in succession a thread checks whether all jobs of a phase are finished, before it
yields the processor to other threads."""

let_others_run = types.ExternalFunction(
    "SwitchToThread" if sys.platform == "win32" else "sched_yield", types.int32()
)


def make_jobs(phases: int) -> NDArray[np.int64]:
    """Allocate the counters by which threads share their work: int64 (phases, 16), zeroed.

    The work is divided into phases, and each phase into jobs, each done by one thread. In the row
    of a phase, column 0 is the number of the job to take next,
    and column 8 the number of finished jobs. The other columns are padding, so that each counter
    has its own cache line.
    """
    raw = np.zeros((phases + 1) * BYTES // 8, np.int64)
    first = (-raw.ctypes.data // 8) % (BYTES // 8)
    return raw[first : first + phases * BYTES // 8].reshape(phases, -1)


@instruction(lambda *_: types.int64(types.intp))
def add_one(builder: Any, address: Any) -> Any:
    """Emit LLVM code that adds 1 atomically to an int64 in memory and returns the old value.

    Threads count jobs with it. If several threads call it at the same time, each gets a different
    number.
    """
    place = builder.inttoptr(address, ir.PointerType())
    return builder.atomic_rmw("add", place, ir.IntType(64)(1), "seq_cst")


@instruction(lambda *_: types.int64(types.intp))
def load_shared(builder: Any, address: Any) -> Any:
    """Emit LLVM code that loads an int64 from memory that other threads update by `add_one`.

    A thread checks with it how many jobs are finished. The load is sequentially consistent: if it
    reads the result of an update, everything that the other thread wrote before this update is
    visible after the load.
    """
    place = builder.inttoptr(address, ir.PointerType())
    return builder.load_atomic(place, "seq_cst", 8, typ=ir.IntType(64))


@inlined
def take(jobs: NDArray[np.int64], phase: int) -> int:
    """Give the calling thread the next job of a phase of the work; return the job's number.

    The work of all threads is divided into phases, and each phase into jobs. A thread takes jobs
    until none are left. Numbers begin at 0, and no two threads get the same one. If the result is
    at least the phase's number of jobs, no jobs are left.

    Parameters
    ----------
    jobs
        The counters of all phases, from `make_jobs`.
    phase
        The number of the phase.
    """
    job: int = add_one(address(jobs) + phase * BYTES)
    return job


@inlined
def finish(jobs: NDArray[np.int64], phase: int) -> None:
    """Count one more job as finished, in a phase of the work that threads share.

    A thread calls this after each job that it has done. `wait` waits for the count. ``jobs`` has
    the counters of all phases (`make_jobs`), and ``phase`` is the number of the phase.
    """
    add_one(address(jobs) + phase * BYTES + BYTES // 2)


@inlined
def finished(jobs: NDArray[np.int64], phase: int, number: int) -> bool:
    """Return whether all ``number`` jobs of a phase of the work are finished.

    If so, the calling thread can read what these jobs have written. ``jobs`` has the counters of
    all phases (`make_jobs`), and ``phase`` is the number of the phase.
    """
    done: int = load_shared(address(jobs) + phase * BYTES + BYTES // 2)
    return done >= number


@inner
def wait(jobs: NDArray[np.int64], phase: int, number: int) -> None:
    """Wait until all jobs of a phase are finished, also those that other threads have taken.

    A phase is a part of the work, divided into jobs that threads share. A thread calls this when no
    jobs are left to take. After the wait, it can read what all jobs of the phase have written.

    Parameters
    ----------
    jobs
        The counters of all phases, from `make_jobs`.
    phase
        The number of the phase.
    number
        The number of jobs in the phase.
    """
    spins = 0
    while not finished(jobs, phase, number):
        spins += 1
        if spins > SPINS:
            let_others_run()
