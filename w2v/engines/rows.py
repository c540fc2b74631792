"""Compiled code that reads rows of vectors, and says where their gradients go."""

from typing import Any, NamedTuple

import numpy as np

from w2v.engines.memory import F32, I32, LINE, MR, Tile
from w2v.engines.simd import (
    LANES,
    address,
    compiled,
    inlined,
    load,
    multiply_add,
    prefetch,
    splat,
    store,
    sum_lanes_of_four,
)

ALONE = -2
"""What `w2v.engines.memory.Plans` has in place of the row after, for a row whose word has no other
row in the step."""

TINY = np.float32(1e-30)
"""What a curvature of zero is taken for."""


@compiled
def prefetch_rows(matrix: F32, ids: I32, width: int) -> None:
    """Start to load the rows that will soon be read."""
    base, stride = address(matrix), matrix.shape[1]
    for word in ids:
        if word >= 0:
            for k in range(0, width, LINE):
                prefetch(base, np.int64(word) * stride + k)


@inlined
def copy_row(matrix: int, word: int, stride: int, out: int, width: int) -> Any:
    """Copy a row, zeros for an id of -1, and return a vector whose lanes sum to its length squared.

    ``matrix`` and ``out`` are addresses: of the matrix, and of the copy.
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


@compiled
def gather_rows(matrix: F32, ids: I32, rows: F32, norms: F32) -> None:
    """Copy rows, whose number is a multiple of `MR`, and compute their squared lengths."""
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
    """Where the gradients of rows go: to ``old + step * gradient``.

    That is the row's place in the buffer, with a row of zeros for ``old`` and a step of 1; or the
    row of the model, if no other row of the step belongs to the same word.

    Attributes
    ----------
    out, old
        The addresses of arrays of addresses, int64.
    steps
        The address of an array of float32.
    """

    out: int
    old: int
    steps: int


@inlined
def limit(rate: np.float32, curvature: np.float32) -> np.float32:
    """Return the learning rate of a row: 2 / h where more could overshoot.

    With 1 / h the model would be biased: a noise word stands for so many pairs that the limit would
    apply to it more often than to the same word as a context.
    """
    longest = np.float32(2) / max(curvature, TINY)
    return longest if longest < rate else rate


@compiled
def choose_targets(
    matrix: F32,
    ids: I32,
    following: I32,
    curvature: F32,
    rate: np.float32,
    copies: int,
    places: int,
    tile: Tile,
    first: int,
) -> None:
    """Choose where the gradients of some rows go; see `Targets`.

    Parameters
    ----------
    copies, places
        The addresses of the rows as they are before the step, and of their places in the buffer.
    first
        Where to write the choice in the memory of the tile.
    """
    model, stride, size = address(matrix), np.int64(4 * matrix.shape[1]), 4 * tile.C.shape[1]
    zeros, one = address(tile.zeros), np.float32(1)
    for j in range(len(ids)):
        # Without branches, which would often be mispredicted.
        alone = following[j] == ALONE
        step = limit(rate, curvature[j])
        row, place = model + ids[j] * stride, places + j * size
        tile.out[first + j] = row if alone else place
        tile.old[first + j] = copies + j * size if alone else zeros
        tile.steps[first + j] = step if alone else one
