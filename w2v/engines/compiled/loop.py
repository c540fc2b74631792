"""The compiled training loop of ``engine=numba``, for losses that are sums of logistic terms.

A training step is one update of the model by a batch of center words. Its text is divided into
*strips*, and a strip into *tiles*, each of `Sizes.tile` consecutive words of the sub-sampled text.
The scores of a tile are computed together. The gradients of a step are computed from the model
before the step. A vector that gets only one gradient in the step is updated as soon as this
gradient is computed. (With subwords, this is done for output vectors only.) The other gradients are
written to a buffer, which has a row for each place in the step where an input or output vector gets
a gradient. The vectors of these gradients are updated at the end of the step.

Each thread calls `train` with the same arguments, except for its own working memory. The work is
divided into jobs, which the threads share (see ``jobs.py``). The result of a job does not
depend on the thread that runs it. The kinds of jobs are listed below; with CBOW and the
hierarchical softmax, three other kinds replace kind 4. First, jobs of kind 1 sub-sample the text.
Then jobs of kind 2 prepare a group of training steps, and jobs of kinds 3 to 6 compute these steps,
one after the other; both are repeated until all steps are done. A thread that would have to wait
for others prepares steps of the next group instead.

1. `subsample`: sub-sample a part of the text. A last job, `add_up`, counts the words kept.
2. `plan`: prepare a training step. Copy its words, draw its random numbers, and list where each
   word occurs.
3. `sum_parts`, with subwords: compute the vectors of some of the step's words.
4. `compute_strip`: compute the gradients of a strip, and update vectors that get only one.
5. `sum_words`, with subwords: add up the gradients of some of the step's words.
6. `move`: for some of the vectors not updated yet, add up the gradients in a fixed order and
   update the model.

With one or two threads, a job of kind 4 computes all strips of one half of the step, one after the
other (`Sizes.halves`). All gradients of a word in this half share one buffer row, that of the
word's first gradient in the half: each is added to it as soon as it is computed.

Tree nodes are treated alike with any number of threads. A tile computes one gradient for each of
its nodes. With skip-gram, each of these gradients has a buffer row of its own. With CBOW, a job of
the kind `compute_sorted` (see below) computes several tiles, and adds up their gradients of the
same node in one row.

With CBOW and the hierarchical softmax, tiles are not parts of strips: all center words of the step
are sorted by their tree paths and then divided into tiles, so the words of a tile come from
anywhere in the step's text. Three kinds of jobs replace `compute_strip`, one after the other:
`read_strip` computes the input rows (sums or means over windows) of a strip, `compute_sorted` the
gradients of the input rows and tree nodes of some tiles, and `share_sorted` the gradients of the
words of a strip, or of all strips of a half.

Jobs of kind 1 and 2 are in ``plans.py``, those of kind 4 in ``strips.py`` and
``cbow_hierarchical.py``, and the others in ``updates.py``.

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
    """Consecutive training steps of a shard (part of the text) that are prepared at a time.

    Attributes
    ----------
    first, steps
        The index, in the shard, of the group's first step; and how many steps the group has.
        `steps` is 0 if all steps of the shard are in earlier groups.
    phase
        The index of the phase in which the steps are prepared. A phase is a part of the work,
        divided into jobs that threads share. In this phase, each job prepares one step.
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

    A phase is a part of the work, divided into jobs that threads share. A thread calls this,
    instead of `jobs.wait`, when no jobs of the phase are left to take. The phase ``group.phase``,
    in which the steps of ``group`` are prepared, is an exception: its jobs may be left, and the
    call takes them before it waits.

    Parameters
    ----------
    problem, sizes, key, plans, shard, scratch
        As for `train`.
    group
        The steps to prepare, if other threads have not prepared them yet. A thread must not read
        their plans before it has waited for ``group.phase``, the phase in which they are prepared.
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

    Each of several threads calls this function once for the shard. The threads share the work of
    each training step, which is one update of the model by some thousands of words. The work is
    divided into jobs, such as the gradients of one stretch of the step's text. A job is done by one
    thread.

    Parameters
    ----------
    problem, sizes
        The model, which is updated in place, with the settings; and the sizes of training steps and
        of their parts.
    source
        The documents of the shard.
    key
        The key from which all random numbers of the shard are computed.
    rates
        The learning rate at the start and at the end of the shard; it changes linearly.
    plans
        Memory for the plans of a few training steps: their words, and where gradients are kept.
    buffer
        Memory for the gradients of a training step.
    shard
        Memory for the words of the shard after sub-sampling, for the losses, and for the counters
        of jobs. These say which jobs are taken and how many are done.
    scratch
        The working memory of the calling thread. All other arguments are the same for all threads.

    Returns
    -------
    int
        The number of training steps of the shard, which is the same for all threads.
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
