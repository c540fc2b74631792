"""How threads share the work of a compiled function: jobs, handed out in phases.

A phase has a fixed number of jobs. Each thread takes jobs until there are none, then waits until
the last one is finished. It does not wait for other threads: one that is late, or that the system
has interrupted, finds no jobs left and follows. Whatever a job writes can be read in later phases.

    job = take(jobs, phase)
    while job < number:
        ...
        finish(jobs, phase)
        job = take(jobs, phase)
    wait(jobs, phase, number)
"""

import sys
from typing import Any

import numpy as np
from llvmlite import ir
from numba import types
from numpy.typing import NDArray

from w2v.engines.simd import address, compiled, inlined, instruction

BYTES = 128
"""Bytes of a phase: the cache line of the jobs taken, and that of the jobs finished."""

SPINS = 1000
"""How often a thread looks at once whether a phase has ended, before it lets others run."""

let_others_run = types.ExternalFunction(
    "SwitchToThread" if sys.platform == "win32" else "sched_yield", types.int32()
)


def make_jobs(phases: int) -> NDArray[np.int64]:
    """Return the counters of some phases: int64 (phases, 16), each on cache lines of its own."""
    raw = np.zeros((phases + 1) * BYTES // 8, np.int64)
    first = (-raw.ctypes.data // 8) % (BYTES // 8)
    return raw[first : first + phases * BYTES // 8].reshape(phases, -1)


@instruction(lambda *_: types.int64(types.intp))
def add_one(builder: Any, address: Any) -> Any:
    """Add 1 to an int64, as one step that no other thread can divide, and return what it was."""
    place = builder.inttoptr(address, ir.PointerType())
    return builder.atomic_rmw("add", place, ir.IntType(64)(1), "seq_cst")


@instruction(lambda *_: types.int64(types.intp))
def load_shared(builder: Any, address: Any) -> Any:
    """Load an int64 that other threads change, and with it all that they wrote before."""
    place = builder.inttoptr(address, ir.PointerType())
    return builder.load_atomic(place, "seq_cst", 8, typ=ir.IntType(64))


@inlined
def take(jobs: NDArray[np.int64], phase: int) -> int:
    """Return the number of the phase's next job. It has none if that is not below their number."""
    job: int = add_one(address(jobs) + phase * BYTES)
    return job


@inlined
def finish(jobs: NDArray[np.int64], phase: int) -> None:
    """Say that a job of the phase is finished."""
    add_one(address(jobs) + phase * BYTES + BYTES // 2)


@compiled
def wait(jobs: NDArray[np.int64], phase: int, number: int) -> None:
    """Wait until all jobs of the phase are finished."""
    place = address(jobs) + phase * BYTES + BYTES // 2
    spins = 0
    while load_shared(place) < number:
        spins += 1
        if spins > SPINS:
            let_others_run()
