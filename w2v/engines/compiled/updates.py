"""Update the model at the end of a training step, by the sums of the gradients of each vector.

A training step is one update of the model. A vector may get several gradients in a step, because a
word may occur at several places, and a tree node may be scored with several groups of center words.
These gradients are rows of the gradient buffer (`Buffer`), and the vector has a list of its rows
(`Lists`). The rows are added up in a fixed order, so that the result does not depend on the number
of threads. Vectors with a single gradient have been updated already (with subwords, only
output vectors).

With subwords, the input vector of a word is a weighted sum of rows of the input matrix: the word's
own row and the rows of its n-grams. `sum_parts` computes the vectors of the step's words when the
step begins. At its end, `sum_words` adds up the gradients of each word, and `move` updates all rows
of the input matrix that the step uses.
"""

from typing import Any

import numpy as np

from w2v.engines.compiled.functions import inlined, inner
from w2v.engines.compiled.lists import lists_of
from w2v.engines.compiled.rows import ALONE, limit, prefetch_rows
from w2v.engines.compiled.simd import (
    LANES,
    address,
    load_each,
    load_float,
    load_int,
    multiply_add_each,
    prefetch,
    splat,
    store,
    store_each,
)
from w2v.engines.compiled.sparse import List, Rows, combine
from w2v.engines.compiled.structures import (
    F32,
    LINE,
    Buffer,
    Lists,
    Plans,
    Problem,
    Shard,
    Sizes,
)

AHEAD = 4
"""A row of the model is prefetched this many rows before it is updated."""
WORDS, PARTS = 32, 256
"""`WORDS`: the most words, or tree nodes, that one job processes. `PARTS`, used with subwords only:
the most rows of the input matrix that one job updates."""


@inlined
def add_sums(
    first: Any, after: int, gradients: int, width: int, step: Any, out: int, zero: Any
) -> None:
    """Add the sum of a vector's gradients, times ``step``, to a row, for a block of columns.

    The gradients of the vector in a training step are in a linked list of rows of the gradient
    buffer. For a word (not a tree node), the rows from each half of the training step's text are
    added up, then the two sums. With at most two threads, the list has at most one row for each
    half: a sum computed by one thread. So the order of addition does not depend on the threads.

    Parameters
    ----------
    first
        The number of the first row in the list.
    after
        The address of ``Lists.next``, which links the rows and marks where the second half begins.
    gradients, out
        The addresses of the block's first column in row 0 of the buffer, and in the row to update.
    width
        The number of float32 values in a row of the buffer.
    step
        The factor, in every lane of a SIMD vector.
    zero
        A tuple of zero SIMD vectors, which together are as wide as the block.
    """
    one, row = splat(1), load_int(after, first)
    sums = load_each(zero, gradients, np.int64(first) * width)
    while row >= 0:
        sums = multiply_add_each(one, load_each(zero, gradients, np.int64(row) * width), sums)
        row = load_int(after, row)
    # The number of the first row of the second half, r > 1, is stored as ~r < ALONE.
    if row < ALONE:
        more = load_each(zero, gradients, np.int64(~row) * width)
        row = load_int(after, ~row)
        while row >= 0:
            more = multiply_add_each(one, load_each(zero, gradients, np.int64(row) * width), more)
            row = load_int(after, row)
        sums = multiply_add_each(one, more, sums)
    store_each(multiply_add_each(step, sums, load_each(zero, out, 0)), out, 0)


@inlined
def add_list(gradients: int, width: int, head: Any, after: int, step: Any, out: int) -> None:
    """Add the sum of a vector's gradients in a training step, times ``step``, to a row.

    The gradients of the vector are in a linked list of rows of the gradient buffer. For a word (not
    a tree node), the rows from each half of the training step's text are added up, then the two
    sums. With at most two threads, the list has at most one row for each half: a sum computed by
    one thread. So the order of addition does not depend on the threads.

    Parameters
    ----------
    gradients
        The address of row 0 of the buffer.
    width
        The number of float32 values in a row of the buffer.
    head
        The number of the first row in the list.
    after
        The address of ``Lists.next``, which links the rows and marks where the second half begins.
    step
        The factor, in every lane of a SIMD vector.
    out
        The address of the row that is updated.
    """
    zero, k = splat(0), 0
    while k + 4 * LANES <= width:
        zeros = (zero, zero, zero, zero)
        add_sums(head, after, gradients + 4 * k, width, step, out + 4 * k, zeros)
        k += 4 * LANES
    if k + 2 * LANES <= width:
        add_sums(head, after, gradients + 4 * k, width, step, out + 4 * k, (zero, zero))
        k += 2 * LANES
    if k < width:
        add_sums(head, after, gradients + 4 * k, width, step, out + 4 * k, (zero,))


@inlined
def add_curvatures(curvature: int, head: Any, after: int) -> Any:
    """Return an upper bound on the curvature of the loss with respect to a vector.

    The curvature (second derivative) limits the step size of the vector. Each of the vector's
    gradients in a training step is kept in a row of the gradient buffer, and has a bound of its
    own. The result is the sum of these bounds.

    Parameters
    ----------
    curvature
        The address of the bounds, a float32 number for each row of the buffer.
    head
        The number of the first row in the list of the vector's rows.
    after
        The address of ``Lists.next``, which links the rows.
    """
    total, row = load_float(curvature, head), load_int(after, head)
    while row >= 0:
        total += load_float(curvature, row)
        row = load_int(after, row)
    if row < ALONE:  # a row of the second half
        more = load_float(curvature, ~row)
        row = load_int(after, ~row)
        while row >= 0:
            more += load_float(curvature, row)
            row = load_int(after, row)
        total += more
    return total


@inner
def move_words(
    matrix: F32,
    gradients: F32,
    curvature: F32,
    lists: Lists,
    first: int,
    last: int,
    rate: np.float32,
) -> None:
    """Update some vectors of the model, each by the sum of its gradients in a training step.

    The step size of a vector is the learning rate, or less if the curvature (second derivative) of
    the loss with respect to the vector is large (`rows.limit`).

    Parameters
    ----------
    matrix
        The vectors, of words or tree nodes; updated in place.
    gradients, curvature
        The rows of the gradient buffer, which are negative gradients, and for each row its part of
        an upper bound on the curvature.
    lists, first, last
        A list of rows for each vector to update. Lists ``first`` to ``last`` - 1 are processed.
    rate
        The learning rate.
    """
    # The model's rows are padded to whole cache lines, those of the buffer to whole vectors.
    stride, width = matrix.shape[1], gradients.shape[1]
    base, model, after = address(gradients), address(matrix), address(lists.next)
    words, heads = lists.words, lists.heads
    for n in range(first, last):
        if n + AHEAD < last:
            for k in range(0, width, LINE):
                prefetch(base, np.int64(heads[n + AHEAD]) * width + k)
                prefetch(model, np.int64(words[n + AHEAD]) * stride + k)
        head = np.int64(heads[n])
        step = splat(limit(rate, add_curvatures(address(curvature), head, after)))
        add_list(base, width, head, after, step, model + np.int64(words[n]) * 4 * stride)


@inner
def prefetch_parts(problem: Problem, word: int, width: int) -> None:
    """With subwords, prefetch the rows of the input matrix whose sum is the vector of a word.

    `sum_parts` will add them up next. ``width`` is the number of float32 values to prefetch of each
    row.
    """
    starts = problem.parts.starts
    prefetch_rows(problem.center, problem.parts.rows[starts[word] : starts[word + 1]], width)


@inner
def sum_parts(
    problem: Problem, sizes: Sizes, step: int, job: int, plans: Plans, buffer: Buffer, shard: Shard
) -> None:
    """With subwords, compute the vectors of some words of a training step from their n-grams.

    A word's input vector is a weighted sum of rows of the input matrix, one for the word and one
    for each of its n-grams. The gradients of the step are computed later, from these vectors. The
    distinct input words of the step are numbered; the vector of word number k becomes row k of
    ``buffer.words``. One call computes up to `WORDS` vectors, from number ``job * WORDS`` on.
    """
    n, parts, width = step % len(plans.ids), problem.parts, sizes.vectors * LANES
    words = plans.center.words[n]
    first, last = job * WORDS, min((job + 1) * WORDS, shard.several[step, 0])
    table = Rows(address(problem.center), problem.center.shape[1])
    listed = List(address(parts.rows), address(parts.weights))
    prefetch_parts(problem, words[first], width)
    for k in range(first, last):
        if k + 1 < last:
            prefetch_parts(problem, words[k + 1], width)
        start, end = np.int64(parts.starts[words[k]]), np.int64(parts.starts[words[k] + 1])
        out = address(buffer.words) + k * 4 * width
        for column in range(0, width, LANES):
            store(splat(0), out, column)
        combine(sizes.vectors, listed, start, end, table, out, out, np.float32(1))


@inner
def sum_words(
    problem: Problem, sizes: Sizes, step: int, job: int, plans: Plans, buffer: Buffer, shard: Shard
) -> None:
    """With subwords, add up the gradients of each word, for some words of a training step.

    All gradients of the step must have been computed. One call processes up to `WORDS` of the
    step's distinct input words, from number ``job * WORDS`` on. Two results are stored for each
    word:

    - in ``buffer.words``, in place of the word's vector: the sum of its negative gradients;
    - in ``buffer.word_curvature``: an upper bound on the curvature (second derivative) of the loss
      with respect to the vector. `move_parts` computes step sizes from these bounds.
    """
    n, width = step % len(plans.ids), sizes.vectors * LANES
    words, heads, after = plans.center.words[n], plans.center.heads[n], plans.center.next[n]
    for k in range(job * WORDS, min((job + 1) * WORDS, shard.several[step, 0])):
        out = address(buffer.words) + k * 4 * width
        for column in range(0, width, LANES):
            store(splat(0), out, column)
        head = np.int64(heads[k])
        add_list(address(buffer.center), width, head, address(after), splat(1), out)
        total = add_curvatures(address(buffer.center_curvature), head, address(after))
        buffer.word_curvature[k] = total * problem.parts.totals[words[k]]


@inner
def move_parts(
    problem: Problem,
    sizes: Sizes,
    step: int,
    job: int,
    plans: Plans,
    buffer: Buffer,
    shard: Shard,
    rate: np.float32,
) -> None:
    """With subwords, update some rows of the input matrix at the end of a training step.

    The vector of a word is a weighted sum of such rows: the word's own row and the rows of its
    n-grams. `sum_words` must have added up the gradients of each word. A row is updated by a
    weighted sum of the gradients of the step's words that it is part of, times a step size: the
    learning rate ``rate``, or less (`rows.limit`). One call updates up to `PARTS` of the distinct
    rows in ``plans.part_rows``, from number ``job * PARTS`` on. ``step`` is the number of the
    training step in the shard (part of the text).
    """
    n, width = step % len(plans.ids), sizes.vectors * LANES
    rows, ends = plans.part_rows[n], plans.part_ends[n]
    words, shares = plans.part_words[n], plans.part_shares[n]
    gradients = Rows(address(buffer.words), width)
    listed = List(address(words), address(shares))
    first, last = job * PARTS, min((job + 1) * PARTS, shard.several[step, 2])
    stride = np.int64(4 * problem.center.shape[1])
    start = np.int64(ends[first - 1]) if first else np.int64(0)
    prefetch_rows(problem.center, rows[first : min(first + AHEAD, last)], width)
    for k in range(first, last):
        if k + AHEAD < last:
            prefetch_rows(problem.center, rows[k + AHEAD : k + AHEAD + 1], width)
        end, total = np.int64(ends[k]), np.float32(0)
        for e in range(start, end):
            total += buffer.word_curvature[words[e]] * shares[e]
        row = address(problem.center) + rows[k] * stride
        combine(sizes.vectors, listed, start, end, gradients, row, row, limit(rate, total))
        start = end


@inlined
def input_jobs(sizes: Sizes, shard: Shard, step: int) -> int:
    """Return the number of jobs that update the input vectors at the end of a training step.

    A job is a call of `move`, by one thread. It updates up to `WORDS` vectors or, with subwords, up
    to `PARTS` rows of the input matrix, whose weighted sums are the vectors. Without subwords,
    vectors with a single gradient are not counted: they have been updated already. ``step`` is the
    number of the step in the shard (part of the text).
    """
    if sizes.parts:
        return int(-(-shard.several[step, 2] // PARTS))
    return int(-(-shard.several[step, 0] // WORDS))


@inlined
def output_jobs(shard: Shard, step: int) -> int:
    """Return the number of jobs in which the output vectors are updated at the end of a step.

    The vectors are those of words or of tree nodes. A step is one update of the model, by some
    thousands of words. A job is a piece of work that one thread takes: a call of `move`. It updates
    up to `WORDS` of the vectors that have several gradients in the step. Vectors with one gradient
    have been updated already. A shard is a part of the text; ``step`` is the number of the step in
    it.
    """
    return int(-(-shard.several[step, 1] // WORDS))


@inner
def move(
    problem: Problem,
    sizes: Sizes,
    step: int,
    job: int,
    plans: Plans,
    buffer: Buffer,
    shard: Shard,
    rate: np.float32,
) -> None:
    """Update some vectors of the model at the end of a training step, by sums of gradients.

    Vectors with a single gradient in the step have been updated already; with subwords, this holds
    for output vectors, but not for input vectors. The other gradients must be in ``buffer``; with
    subwords, `sum_words` must have added up those of each input word.

    The work is divided into jobs, which threads share; a call does job number ``job`` of step
    number ``step`` of the shard (part of the text). Let n be the result of `input_jobs`:

    - Jobs 0 to n - 1 each update the input vectors of up to `WORDS` words. With subwords, they each
      update up to `PARTS` rows of the input matrix, whose weighted sums are the input vectors.
    - Jobs from n on each update the output vectors of up to `WORDS` words or tree nodes.
    """
    n = step % len(plans.ids)
    jobs = input_jobs(sizes, shard, step)
    if sizes.parts and job < jobs:
        move_parts(problem, sizes, step, job, plans, buffer, shard, rate)
        return
    if job < jobs:
        first, last = job * WORDS, min((job + 1) * WORDS, shard.several[step, 0])
        move_words(
            problem.center,
            buffer.center,
            buffer.center_curvature,
            lists_of(plans.center, n),
            first,
            last,
            rate,
        )
        return
    first = (job - jobs) * WORDS
    last = min(first + WORDS, shard.several[step, 1])
    move_words(
        problem.outside,
        buffer.outside,
        buffer.outside_curvature,
        lists_of(plans.outside, n),
        first,
        last,
        rate,
    )
