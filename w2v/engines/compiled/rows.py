"""Compiled code that reads vectors of the model, and decides where their gradients go.

Vectors of words and tree nodes are rows of the model. A gradient updates the model at once if it is
the only one of its row in the training step. Otherwise it goes to the gradient buffer, where the
gradients of a row are added up; their sum updates the row at the end of the step. (With subwords,
gradients of input vectors always go to the buffer.)
"""

from typing import Any, NamedTuple

import numpy as np

from w2v.engines.compiled.functions import inlined, inner
from w2v.engines.compiled.simd import (
    LANES,
    address,
    load,
    load_address,
    load_each,
    load_float,
    multiply_add,
    multiply_add_each,
    prefetch,
    prefetch_target,
    select,
    splat,
    store,
    store_each,
    sum_lanes_of_four,
    unsigned,
)
from w2v.engines.compiled.structures import F32, I32, LINE, MR, Tile

ALONE = -2
"""Marks a row of the gradient buffer as the only one of its word, or tree node, in a training step
(`structures.Lists`)."""

TINY = np.float32(1e-30)
"""The smallest number by which `limit` divides, so that it never divides by 0. `limit` divides 2 by
an upper bound on the curvature of the loss, which is its second derivative with respect to a vector
of the model. The result limits the step size of this vector."""


@inner
def prefetch_rows(matrix: F32, ids: I32, width: int) -> None:
    """Prefetch rows of a matrix, such as word vectors that are needed soon, into the CPU's cache.

    ``ids`` are the numbers of the rows; -1 is skipped. Only the first ``width`` values of each row
    are loaded.
    """
    base, stride = address(matrix), matrix.shape[1]
    for word in ids:
        if word >= 0:
            for k in range(0, width, LINE):
                prefetch(base, np.int64(word) * stride + k)


@inlined
def copy_row(matrix: int, word: int, stride: int, out: int, width: int) -> Any:
    """Copy a vector, which is a row of a matrix; return its squared length in partial sums.

    The result is a SIMD vector, whose lanes `gather_rows` adds up. For the row number -1, zeros are
    written.

    Parameters
    ----------
    matrix, out
        The addresses of the matrix and of the copy.
    word
        The number of the row, or -1.
    stride
        The number of float32 values between the starts of two rows of the matrix.
    width
        The number of float32 values to copy.
    """
    total = splat(0)
    if word >= 0:
        for k in range(0, width, LANES):
            values = load(matrix, np.int64(word) * stride + k)
            store(values, out, k)
            total = multiply_add(values, values, total)
    else:
        for k in range(0, width, LANES):
            store(splat(0), out, k)
    return total


@inner
def gather_rows(matrix: F32, ids: I32, rows: F32, norms: F32) -> None:
    """Copy vectors, such as those of words, to ``rows``; write their squared lengths to ``norms``.

    ``ids`` are the numbers of the vectors, which are rows of ``matrix``. Scores and gradients are
    computed from the copies. The squared lengths serve to limit the step sizes. The number of ids
    is a multiple of `MR`. For an id of -1, zeros are written.
    """
    base, stride, width = address(matrix), matrix.shape[1], rows.shape[1]
    out, size = address(rows), 4 * rows.shape[1]
    for j in range(0, len(ids), MR):
        sums = sum_lanes_of_four(
            copy_row(base, ids[j], stride, out + j * size, width),
            copy_row(base, ids[j + 1], stride, out + (j + 1) * size, width),
            copy_row(base, ids[j + 2], stride, out + (j + 2) * size, width),
            copy_row(base, ids[j + 3], stride, out + (j + 3) * size, width),
        )
        store(sums, address(norms), j)


class Targets(NamedTuple):
    """Where negative gradients go: to the gradient buffer, or directly to the model.

    For gradient number i, the row at the address ``out[i]`` is set to the row at the address
    ``old[i]`` plus ``steps[i]`` times the negative gradient. There are three cases:

    - The gradient is written to a row of the buffer: ``old[i]`` is a row of zeros, and ``steps[i]``
      is 1.
    - The gradient is added to a row of the buffer: ``out[i]`` and ``old[i]`` are this row, and
      ``steps[i]`` is 1.
    - The gradient is the only one of its vector in the training step: ``out[i]`` is the vector in
      the model, ``old[i]`` its value before the step, and ``steps[i]`` the step size (`limit`).
    """

    # The address of an int64 array: for each gradient, the address of the row that is set.
    out: int

    # The address of an int64 array: for each gradient, the address of the row to which its
    # negative, times the factor in `steps`, is added.
    old: int

    # The address of a float32 array: for each gradient, the factor by which its negative is
    # multiplied.
    steps: int


@inlined
def put_row(targets: Targets, p: int, column: int, sums: Any) -> None:
    """Write some columns of gradient number ``p`` to the gradient buffer, or to the model.

    The caller has decided where, in most cases by `choose_targets`. The decisions are the elements
    ``p`` of the arrays of ``targets``: the addresses of the result and of the old values, and the
    step size. From column ``column`` on, the result is the old values + step size * ``sums``.
    ``sums`` is the negative gradient in these columns, a tuple of SIMD vectors.
    """
    step = splat(load_float(targets.steps, p))
    old = load_each(sums, load_address(targets.old, p), column)
    store_each(multiply_add_each(step, sums, old), load_address(targets.out, p), column)


@inlined
def prefetch_targets(tile: Tile, first: int, column: int, vectors: int) -> None:
    """Prefetch some columns of the rows that the next gradients of a tile will be written to.

    A tile is a group of center words that are computed together. While `MR` = 4 of its gradients
    are computed, this loads the rows for the next four, from number ``first`` on, into the CPU's
    cache. The columns begin at number ``column`` and fill ``vectors`` SIMD vectors. ``tile.out``
    has the address of the row for each gradient, and four more elements only for prefetching.
    """
    for j in range(first, first + MR):
        for k in range(column, column + vectors * LANES, LINE):
            prefetch_target(tile.out[unsigned(j)], k)


@inlined
def limit(rate: np.float32, curvature: np.float32) -> np.float32:
    """Return the step size for a vector: the learning rate, but at most 2 / ``curvature``.

    ``curvature`` is an upper bound on the largest eigenvalue of the Hessian matrix of the loss with
    respect to the vector. So the step cannot increase the loss while the other vectors stay the
    same. A limit of 1 / ``curvature`` would bias the model: it would affect noise words more often
    than context words, because one noise word is shared by many pairs.
    """
    longest = np.float32(2) / max(curvature, TINY)
    return longest if longest < rate else rate


@inner
def choose_targets(
    matrix: F32,
    ids: I32,
    places: I32,
    curvature: F32,
    rate: np.float32,
    copies: int,
    gradients: int,
    start: int,
    tile: Tile,
    first: int,
) -> None:
    """Decide where some gradients will go: to the gradient buffer, or directly to the model.

    Each gradient belongs to the vector of a word, and has a row in the buffer (at the address
    ``gradients``). The decisions are stored in ``tile`` (`Targets`). A training step calls this for
    some gradients at a time, and once for each gradient. If gradient a is added to the row of
    gradient b, then b must come first, because it overwrites the row.

    Parameters
    ----------
    ids
        The row of ``matrix``, the model's matrix, with the vector of each gradient.
    places
        For each buffer row r: r if the gradient of r overwrites row r; the number of another row if
        the gradient is added to that row; `ALONE` if the gradient is the only one of its vector in
        the step, and updates the vector directly; -1 if r is unused.
    curvature
        For each buffer row, an upper bound on the curvature of the loss (its second derivative),
        which limits the step size (`limit`). The caller sets the bound of each row's own gradient.
        If a gradient is added to another row, this function adds its bound to that row's bound.
    copies
        The address of copies of the vectors from before the step, in the order of ``ids``; 0 if the
        model still has these values.
    start, first
        Gradient i has row ``start + i`` of the buffer, and element ``first + i`` of ``tile.out``.
    """
    model, stride, size = address(matrix), np.int64(4 * matrix.shape[1]), 4 * tile.C.shape[1]
    zeros = address(tile.zeros)
    for j in range(len(ids)):
        # Selected without branches, which would often be mispredicted.
        own, k = np.int64(start + j), unsigned(first + j)
        listed, bound = np.int64(places[unsigned(own)]), curvature[unsigned(own)]
        alone, n = listed == ALONE, select(listed >= 0, listed, own)
        joins = n != own
        curvature[unsigned(n)] += select(joins, bound, np.float32(0))
        row, place = model + ids[unsigned(j)] * stride, gradients + n * size
        before = copies + j * size if copies else row
        tile.out[k] = select(alone, row, place)
        tile.old[k] = select(alone, before, select(joins, place, zeros))
        tile.steps[k] = select(alone, limit(rate, bound), np.float32(1))


@inner
def put_gradients(
    matrix: F32,
    ids: I32,
    places: I32,
    curvature: F32,
    rate: np.float32,
    copies: int,
    gradients: int,
    width: int,
) -> None:
    """Update the vectors of those tree nodes that have only one gradient in the training step.

    This is for skip-gram with the hierarchical softmax. A vector becomes its copy from before the
    step plus a step size times its negative gradient. Other nodes are skipped.

    Parameters
    ----------
    matrix
        The vectors of all tree nodes; updated in place.
    ids
        The row of ``matrix`` for each gradient.
    places
        For each gradient, `ALONE` if it is the only one of its node in the step.
    curvature
        For each gradient, an upper bound on the curvature of the loss (its second derivative),
        which limits the step size (`limit`).
    copies, gradients
        The addresses of the copies of the vectors and of the negative gradients, in the order of
        ``ids``, as float32 rows of ``width`` values.
    """
    model, stride = address(matrix), matrix.shape[1]
    for j in range(len(ids)):
        row = 4 * j * width
        if places[j] == ALONE:
            step, out = splat(limit(rate, curvature[j])), model + 4 * np.int64(ids[j]) * stride
            for k in range(0, width, LANES):
                old, gradient = load(copies + row, k), load(gradients + row, k)
                store(multiply_add(step, gradient, old), out, k)
