"""The compiled training loop of ``engine=numba``, for negative sampling and hierarchical softmax.

A training step is one update of the model by a batch of center words. Its text is divided into
strips, and a strip into tiles: `Sizes.tile` consecutive center words that are scored together. The
threads share the work, which is divided into jobs (``jobs.py``) of these kinds:

1. `subsample`, `add_up`: sub-sample the text.
2. `plan`: prepare a step, with its random numbers and lists of where each word occurs.
3. `sum_parts`, with subwords: compute the vectors of some words.
4. `compute_strip`: compute the gradients of a strip. A vector with a single gradient is updated at
   once (with subwords, only output vectors). With one or two threads, a job computes all strips of
   half a step (`Sizes.halves`).
5. `sum_words`, with subwords: add up the gradients of some words.
6. `move`: update some of the other vectors, each by the sum of its gradients in a fixed order.

A thread that would have to wait for others prepares later steps instead.

With CBOW and the hierarchical softmax, the center words of a step are sorted by their tree paths
and then divided into tiles. `read_strip`, `compute_sorted` and `share_sorted` replace
`compute_strip`.

This module does not work with ``NUMBA_DISABLE_JIT=1``.
"""

from typing import NamedTuple

import numpy as np

from w2v import sampling
from w2v.engines.compiled.cbow_hierarchical import compute_sorted, read_strip, share_sorted
from w2v.engines.compiled.functions import compiled, inner
from w2v.engines.compiled.jobs import finish, finished, take, wait
from w2v.engines.compiled.plans import (
    add_up,
    plan,
    step_strips,
    step_tiles,
    strips_of_half,
    subsample,
)
from w2v.engines.compiled.simd import ZERO
from w2v.engines.compiled.strips import compute_strip
from w2v.engines.compiled.structures import (
    SORTED_TILES,
    Buffer,
    Plans,
    Problem,
    Scratch,
    Shard,
    Sizes,
    Source,
)
from w2v.engines.compiled.updates import WORDS, input_jobs, move, output_jobs, sum_parts, sum_words


class Group(NamedTuple):
    """Consecutive training steps of a shard (part of the text) that are prepared together.

    Attributes
    ----------
    first, steps
        The index, in the shard, of the group's first step; and how many steps the group has.
        `steps` is 0 if all steps of the shard are in earlier groups.
    phase
        The index of the phase in which the steps are prepared, before any of them is trained. A
        phase is a part of the work, divided into jobs that threads share. In this phase, each job
        prepares one step (`plan`).
    """

    first: int
    steps: int
    phase: int


@inner
def wait_and_prepare(
    problem: Problem,
    sizes: Sizes,
    key: sampling.Key,
    group: Group,
    plans: Plans,
    shard: Shard,
    phase: int,
    number: int,
    scratch: Scratch,
) -> None:
    """Wait until all jobs of a phase are finished, and prepare training steps in the meantime.

    A phase is a part of the work, divided into jobs that threads share (``jobs.py``). While this
    function waits for ``phase``, it takes jobs of ``group.phase``, each of which prepares a step of
    ``group``, and no other jobs. So if the two phases differ, threads must have taken all jobs of
    ``phase`` before the call. The other parameters are those of `train`.

    Parameters
    ----------
    group
        The steps to prepare. A thread must wait for ``group.phase`` before it reads their plans.
    phase, number
        The index of the phase to wait for, and how many jobs it has.
    """
    while not finished(shard.jobs, phase, number):
        job = take(shard.jobs, group.phase)
        if job >= group.steps:
            wait(shard.jobs, phase, number)
            return
        plan(problem, sizes, key, group.first + job, plans, shard, scratch.planning)
        finish(shard.jobs, group.phase)


@compiled
def train(
    problem: Problem,
    sizes: Sizes,
    source: Source,
    key: sampling.Key,
    rates: tuple[float, float],
    plans: Plans,
    buffer: Buffer,
    shard: Shard,
    scratch: Scratch,
) -> int:
    """Train on a shard, a part of the text: sub-sample it, and update the model step by step.

    Each thread calls this function once. The work of each training step (one update of the model)
    is divided into jobs, each done by one thread. The threads share all arguments but ``scratch``.

    Parameters
    ----------
    problem, sizes
        The model (updated in place) with its settings, and the sizes of steps and their parts.
    source, key
        The documents of the shard, and the key from which its random numbers are computed.
    rates
        The learning rate at the start and at the end of the shard; it changes linearly.
    plans, buffer
        Memory for the plans of coming steps (`plan`), and for the gradients of one step.
    shard
        Memory for the sub-sampled text, the losses, and the counters of jobs taken and finished.
    scratch
        The working memory of the calling thread.

    Returns
    -------
    int
        The number of training steps.
    """
    jobs, phase = shard.jobs, ZERO
    number = len(shard.kept)
    job = take(jobs, phase)
    while job < number:
        subsample(problem, source, key, job, shard, scratch.planning)
        finish(jobs, phase)
        job = take(jobs, phase)
    wait(jobs, phase, number)
    phase += 1
    if take(jobs, phase) == 0:
        add_up(shard)
        finish(jobs, phase)
    wait(jobs, phase, 1)
    phase += 1
    steps = -(-shard.starts[-1] // sizes.step)
    size = len(plans.ids) // 2  # there is memory for the plans of two groups
    group = Group(ZERO, min(size, steps), phase)
    phase += 1
    while group.steps > 0:
        wait_and_prepare(
            problem, sizes, key, group, plans, shard, group.phase, group.steps, scratch
        )
        begin, end = group.first, group.first + group.steps
        group = Group(end, min(size, steps - end), phase)  # prepared while threads wait
        phase += 1
        for step in range(begin, end):
            rate = np.float32(rates[0] + (rates[1] - rates[0]) * step / steps)
            words = -(-shard.several[step, 0] // WORDS)
            if sizes.parts:
                job = take(jobs, phase)
                while job < words:
                    sum_parts(problem, sizes, step, job, plans, buffer, shard)
                    finish(jobs, phase)
                    job = take(jobs, phase)
                wait_and_prepare(problem, sizes, key, group, plans, shard, phase, words, scratch)
                phase += 1
            strips = step_strips(sizes, shard, step)
            if sizes.sorted:
                job = take(jobs, phase)
                while job < strips:
                    read_strip(problem, sizes, step, job, plans, buffer, shard, scratch)
                    finish(jobs, phase)
                    job = take(jobs, phase)
                wait_and_prepare(problem, sizes, key, group, plans, shard, phase, strips, scratch)
                phase += 1
                number = -(-step_tiles(sizes, shard, step) // SORTED_TILES)
                job = take(jobs, phase)
                while job < number:
                    compute_sorted(problem, sizes, step, job, plans, buffer, shard, rate, scratch)
                    finish(jobs, phase)
                    job = take(jobs, phase)
                wait_and_prepare(problem, sizes, key, group, plans, shard, phase, number, scratch)
                phase += 1
            half = strips_of_half(strips) if sizes.halves else 1
            number = -(-strips // half)
            job = take(jobs, phase)
            while job < number:
                for k in range(job * half, min((job + 1) * half, strips)):
                    if sizes.sorted:
                        share_sorted(problem, sizes, step, k, plans, buffer, shard, rate, scratch)
                    else:
                        compute_strip(problem, sizes, step, k, plans, buffer, shard, rate, scratch)
                finish(jobs, phase)
                job = take(jobs, phase)
            wait_and_prepare(problem, sizes, key, group, plans, shard, phase, number, scratch)
            phase += 1
            if sizes.parts:
                job = take(jobs, phase)
                while job < words:
                    sum_words(problem, sizes, step, job, plans, buffer, shard)
                    finish(jobs, phase)
                    job = take(jobs, phase)
                wait_and_prepare(problem, sizes, key, group, plans, shard, phase, words, scratch)
                phase += 1
            number = input_jobs(sizes, shard, step) + output_jobs(shard, step)
            job = take(jobs, phase)
            while job < number:
                move(problem, sizes, step, job, plans, buffer, shard, rate)
                finish(jobs, phase)
                job = take(jobs, phase)
            wait_and_prepare(problem, sizes, key, group, plans, shard, phase, number, scratch)
            phase += 1
    return int(steps)
