"""Update vectors of the model at the end of a training step, by the sums of their gradients.

A training step is one update of the model, by some thousands of words. A vector may get several
gradients in a step. The vector of a word gets one from each place where the word occurs or is a
noise word. The vector of a tree node gets one from each tile (group of center words) that is scored
with the node. The gradients are kept in rows of the gradient buffer (`Buffer`). Vectors with a
single gradient have been updated already (``strips.py``; with subwords, output vectors only). The
others are updated here, at the end of the step, when the loop in ``loop.py`` calls `move`. Each of
them has a list of its rows in the buffer (`Lists`), which was made when the step was prepared. The
rows are added up in the order of the list, so that the result does not depend on the number of
threads:

- The list of a word is in the order of the text, tile by tile. The gradients of a word are added up
  separately for each half of the step's text, and then the two sums are added. If `Sizes.halves` is
  true, the buffer already has the two sums, one row for each half. This module then adds these two
  rows.
- The list of a tree node is in the order of the buffer. All rows of the list are added up in this
  order.

With subwords, the input vector of a word is a weighted sum of rows of the input matrix, which has a
row for each word and rows for n-grams. This module then also runs at the start of a step, where
`sum_parts` computes the vectors of the step's words. At the end of the step, `sum_words` adds up
the gradients of each word, and `move` updates all rows of the input matrix that the step uses.
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
    """Update some columns of a vector by the sum of its gradients in a training step.

    A training step is one update of the model. A vector, of a word or a tree node, may get several
    gradients in it. They are rows of a buffer, and a list links the rows of one vector. This
    function multiplies their sum by the factor ``step`` and adds the product to the row at ``out``.
    `add_list` calls it for each block of columns. The gradients of a word may be computed by one
    thread, or by two, one for each half of the step's text. To get the same result in both cases,
    the gradients of each half are added up separately, and then the two sums are added. The
    gradients of a tree node are all added up in the order of the list.

    Parameters
    ----------
    first
        The number of the first row of the list. The rows from the first half of the text come
        first in the list.
    after
        The address of the array ``Lists.next``. It has, for each row, the number of the next row of
        its list, or -1 if there is none. If the next row, r, is the first one from the second half
        of the text, it has ``~r`` = -r - 1 instead of r. Rows 0 and 1 are always in the first half,
        so ``~r`` is at most -3 and differs from -1.
    gradients
        The address, in row 0 of the gradients, of the block of columns that is added.
    width
        The number of float32 values in a gradient row.
    step
        The factor by which the sum is multiplied, in every lane of a SIMD vector.
    out
        The address of the same block of columns in the row to update.
    zero
        A tuple of zero SIMD vectors. Its length is the width of the block in SIMD vectors.
    """
    one, row = splat(1), load_int(after, first)
    sums = load_each(zero, gradients, np.int64(first) * width)
    while row >= 0:
        sums = multiply_add_each(one, load_each(zero, gradients, np.int64(row) * width), sums)
        row = load_int(after, row)
    if row < ALONE:  # a row of the second half
        more = load_each(zero, gradients, np.int64(~row) * width)
        row = load_int(after, ~row)
        while row >= 0:
            more = multiply_add_each(one, load_each(zero, gradients, np.int64(row) * width), more)
            row = load_int(after, row)
        sums = multiply_add_each(one, more, sums)
    store_each(multiply_add_each(step, sums, load_each(zero, out, 0)), out, 0)


@inlined
def add_list(gradients: int, width: int, head: Any, after: int, step: Any, out: int) -> None:
    """Add up the gradients of a vector in a training step; add the sum, times ``step``, to a row.

    A training step is one update of the model. A vector, of a word or a tree node, may get several
    gradients in it. They are rows of a buffer, and a list links the rows of one vector.
    `move_words` calls this function to update the vector in the model. If the model has subwords,
    `sum_words` calls it with a row of zeros and a ``step`` of 1, so that the row becomes the sum.
    The order of the additions is fixed, so that the result does not depend on the number of
    threads:

    - The rows of a word are added up separately for each half of the step's text, in the order of
      the list. Then the two sums are added. If `Sizes.halves` is true, the list has at most one row
      for each half: the sum of the word's gradients in this half, which one thread has added up in
      the same order.
    - For a tree node, all rows are added up in the order of the list.

    Parameters
    ----------
    gradients
        The address of all gradient rows.
    width
        The number of float32 values in a row.
    head
        The number of the first row of the list.
    after
        The address of the array ``Lists.next``. It has, for each row, the number of the next row of
        its list, or -1 if there is none. If the next row, r, is the first one from the second half
        of the text, it has ``~r`` = -r - 1 instead of r. Rows 0 and 1 are always in the first half,
        so ``~r`` is at most -3 and differs from -1.
    step
        The factor by which the sum is multiplied, in every lane of a SIMD vector.
    out
        The address of the row to which the product is added.
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
    """Return a bound on the curvature of the loss with respect to a vector, for a training step.

    The curvature is the second derivative of the loss. The bound limits the step size of the
    vector. The vector belongs to a word or to a tree node, and may get several gradients in a
    training step (one update of the model). They are rows of a buffer, and each row has a bound of
    its own. This function adds up these bounds, in the order in which `add_list` adds up the rows.
    For a word, the bounds are added up separately for each half of the step's text, and then the
    two sums are added. For a tree node, all bounds are added up in the order of the list.

    Parameters
    ----------
    curvature
        The address of the bounds, one number for each gradient row.
    head
        The number of the first row in the list of the vector's gradient rows.
    after
        The address of the array ``Lists.next``. It has, for each row, the number of the next row of
        its list, or -1 if there is none. If the next row, r, is the first one from the second half
        of the text, it has ``~r`` = -r - 1 instead of r. Rows 0 and 1 are always in the first half,
        so ``~r`` is at most -3 and differs from -1.
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
    """Update some vectors, each by the sum of its several gradients in a training step.

    The vectors are those of words or tree nodes. `move` calls this function at the end of a step
    (one update of the model), when all gradients have been computed. Vectors with a single gradient
    have been updated already. The step size of a vector is the learning rate, or less if the
    curvature (second derivative) of the loss with respect to it is large (`rows.limit`).

    Parameters
    ----------
    matrix
        The input or output vectors of the model; updated in place.
    gradients, curvature
        The rows of a buffer with the gradients, with reversed sign, and for each row its part of an
        upper bound on the curvature.
    lists, first, last
        The lists of gradient rows, one for each vector. Those from number ``first`` to ``last`` - 1
        are processed.
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

    All gradients of the step have been computed. `move_parts` will use the sums to update the rows
    of the input matrix. (A word's vector is a weighted sum of such rows.) One call processes up to
    `WORDS` of the step's distinct input words, from number ``job * WORDS`` on. Two results are
    stored for each word:

    - in ``buffer.words``, in place of the word's vector: the sum of its gradients, with reversed
      sign (the direction of descent);
    - in ``buffer.word_curvature``: an upper bound on the curvature (second derivative) of the loss
      with respect to the vector, times ``Parts.totals``. This factor, 1 up to rounding, is the
      sum of the weights of the word's rows in their mean. The bound for each of these rows contains
      the factor, because the rows are updated together.
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
    """With subwords, update the rows of some words and n-grams at the end of a training step.

    The vector of a word is a weighted sum of rows of the input matrix: one for the word itself and
    one for each of its n-grams. These rows are the parts of the word. `sum_words` has added up the
    gradients of each word of the step (one update of the model), in ``buffer.words``. Here a row is
    updated by a weighted sum of the gradients of all words that it is a part of, times a step size.
    The step size is the learning rate ``rate``, or less (`rows.limit`). ``plans.part_rows`` lists
    the parts of all words of the step, each distinct row once. One call updates up to `PARTS` rows
    of the list, from number ``job * PARTS`` on. ``step`` is the number of the step in the shard
    (part of the text).
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
    """Return the number of jobs in which the input vectors are updated at the end of a step.

    A step is one update of the model, by some thousands of words. A job is a piece of work that one
    thread takes: a call of `move`. It updates up to `WORDS` of the vectors that have several
    gradients in the step. Vectors with one gradient have been updated already. With subwords, each
    input vector is a weighted sum of rows of the input matrix. A job then updates up to `PARTS` of
    these rows. A shard is a part of the text; ``step`` is the number of the step in it.
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

    All gradients of the step have been computed, and are in ``buffer``. The vectors are in
    ``problem`` and updated in place. Vectors with a single gradient have been updated already.
    (With subwords, this is so for output vectors only.) The work of a step is divided into jobs,
    and one thread does a job. A call does job number ``job``. Let n be the number that `input_jobs`
    returns:

    - Jobs 0 to n - 1, without subwords: each updates the input vectors of up to `WORDS` words.
    - Jobs 0 to n - 1, with subwords: each updates up to `PARTS` rows of the input matrix. (An input
      vector is a weighted sum of such rows.)
    - Jobs from n on: each updates the output vectors of up to `WORDS` words, or the vectors of up
      to `WORDS` tree nodes.

    ``plans`` lists what to update, and ``shard.several`` has the lengths of these lists. ``step``
    is the number of the step in the shard (part of the text).
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
