"""Test how threads share the work of a compiled function, which is divided into phases and jobs.

Each job must be done once, by one thread, after all jobs of the previous phase.
"""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from numpy.typing import NDArray

from w2v.engines.compiled.functions import compiled
from w2v.engines.compiled.jobs import BYTES, finish, make_jobs, take, wait


@compiled
def sum_in_phases(jobs: NDArray[np.int64], sums: NDArray[np.int64]) -> int:
    """Run jobs that are shared with other threads; return how many this thread has run.

    A job adds up the results of all jobs of the previous phase, which are a row of `sums`, and
    writes the sum into the next row. So a job that runs too early gives a wrong sum. `jobs` has
    counters that `make_jobs` made.
    """
    done = 0
    phases, number = sums.shape
    for phase in range(1, phases):
        job = take(jobs, phase)
        while job < number:
            for n in range(number):
                sums[phase, job] += sums[phase - 1, n]
            finish(jobs, phase)
            done += 1
            job = take(jobs, phase)
        wait(jobs, phase, number)
    return done


@pytest.mark.parametrize("threads", [1, 2, 7])
def test_each_job_is_done_once_after_all_of_the_phase_before(threads: int) -> None:
    phases, number = 2000, 3
    sums = np.zeros((phases, number), np.int64)
    sums[0] = 1
    jobs = make_jobs(phases)
    with ThreadPoolExecutor(threads) as pool:
        done = sum(pool.map(lambda _: sum_in_phases(jobs, sums), range(threads)))
    assert done == (phases - 1) * number
    wanted = [[pow(number, phase, 2**64)] * number for phase in range(phases)]
    np.testing.assert_array_equal(sums.view(np.uint64), np.array(wanted, np.uint64))


def test_a_thread_that_comes_late_finds_nothing_to_do() -> None:
    sums = np.ones((4, 2), np.int64)
    jobs = make_jobs(4)
    sum_in_phases(jobs, sums)
    after = sums.copy()
    assert sum_in_phases(jobs, sums) == 0
    np.testing.assert_array_equal(sums, after)


def test_counters_do_not_share_cache_lines() -> None:
    jobs = make_jobs(3)
    assert jobs.ctypes.data % BYTES == 0
    assert jobs.strides[0] == BYTES
    assert not jobs.any()
