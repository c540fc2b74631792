"""Compiled products of sparse matrices with rows of vectors.

The sparse matrices are the windows of CBOW, the subwords of words and the scores of tree nodes. A
row has from a few to a hundred nonzero elements. The dense rows that they select are read one at a
time, while the sum stays in vector registers.
"""

from typing import Any, NamedTuple, TypeAlias

import numpy as np

from w2v.engines.memory import Entries
from w2v.engines.simd import (
    LANES,
    compiled,
    inlined,
    load,
    load_each,
    load_float,
    load_int,
    multiply_add,
    multiply_add_each,
    splat,
    store,
    store_each,
    sum_lanes_of_four,
)

Count: TypeAlias = int | np.int64

MAX_SUMS = 8
"""The most SIMD vectors of a row summed at a time; independent additions hide their latency."""


class Rows(NamedTuple):
    """A float32 matrix in memory.

    Attributes
    ----------
    base
        The address of the first row.
    stride
        How many float32 values lie between the starts of two rows.
    """

    base: int
    stride: int


class List(NamedTuple):
    """Nonzero elements of a sparse matrix: addresses of column indices (int32) and of values."""

    places: int
    factors: int


@inlined
def combine_block(
    entries: List, first: Count, last: Count, rows: Rows, out: int, old: int, step: Any, zero: Any
) -> None:
    """Compute `combine` for a block of columns, as many SIMD vectors as the tuple ``zero`` has."""
    sums = zero
    for e in range(first, last):
        k = np.int64(load_int(entries.places, e)) * rows.stride
        factor = splat(load_float(entries.factors, e))
        sums = multiply_add_each(factor, load_each(zero, rows.base, k), sums)
    store_each(multiply_add_each(step, sums, load_each(zero, old, 0)), out, 0)


@compiled
def combine(
    vectors: int,
    entries: List,
    first: Count,
    last: Count,
    rows: Rows,
    out: int,
    old: int,
    step: np.float32,
) -> None:
    """Compute a weighted sum of rows, ``old + step * Σ factor * row``, and store it at ``out``.

    The sum is over the elements ``first : last`` of the sparse row ``entries``.

    Parameters
    ----------
    vectors
        The number of SIMD vectors in a row.
    rows
        The matrix whose rows are summed.
    out, old
        The addresses of the result and of the row that the sum is added to.
    step
        The factor of the sum.
    """
    z, size = splat(0), 0
    by, left = splat(step), vectors
    for blocks in range(-(-vectors // MAX_SUMS), 0, -1):
        size = -(-left // blocks)
        if size == 8:
            combine_block(entries, first, last, rows, out, old, by, (z, z, z, z, z, z, z, z))
        elif size == 7:
            combine_block(entries, first, last, rows, out, old, by, (z, z, z, z, z, z, z))
        elif size == 6:
            combine_block(entries, first, last, rows, out, old, by, (z, z, z, z, z, z))
        elif size == 5:
            combine_block(entries, first, last, rows, out, old, by, (z, z, z, z, z))
        elif size == 4:
            combine_block(entries, first, last, rows, out, old, by, (z, z, z, z))
        elif size == 3:
            combine_block(entries, first, last, rows, out, old, by, (z, z, z))
        elif size == 2:
            combine_block(entries, first, last, rows, out, old, by, (z, z))
        else:
            combine_block(entries, first, last, rows, out, old, by, (z,))
        bytes_done = 4 * size * LANES
        rows = Rows(rows.base + bytes_done, rows.stride)
        out, old = out + bytes_done, old + bytes_done
        left -= size


@inlined
def row_address(rows: Rows, places: int, e: int) -> int:
    """Return the address of the row that element ``e`` of a list of row indices selects."""
    return int(rows.base + 4 * np.int64(load_int(places, e)) * rows.stride)


@compiled
def score_row(
    vectors: int, row: int, rows: Rows, places: int, first: Count, last: Count, out: int
) -> None:
    """Compute the dot products of a row with the rows that the elements ``first : last`` select.

    Four dot products are computed at a time, so up to three elements after the last are read, and
    their scores written, as well.

    Parameters
    ----------
    vectors
        The number of SIMD vectors in a row.
    row
        The address of the row.
    rows
        The matrix of the other rows.
    places
        The address of their row indices, int32.
    out
        The address of the scores.
    """
    for e in range(first, last, 4):
        a, b = row_address(rows, places, e), row_address(rows, places, e + 1)
        c, d = row_address(rows, places, e + 2), row_address(rows, places, e + 3)
        sum_a = sum_b = sum_c = sum_d = splat(0)
        for k in range(0, vectors * LANES, LANES):
            x = load(row, k)
            sum_a = multiply_add(x, load(a, k), sum_a)
            sum_b = multiply_add(x, load(b, k), sum_b)
            sum_c = multiply_add(x, load(c, k), sum_c)
            sum_d = multiply_add(x, load(d, k), sum_d)
        store(sum_lanes_of_four(sum_a, sum_b, sum_c, sum_d), out, e)


@compiled
def arrange_by_column(entries: Entries, rows: int, columns: int) -> None:
    """Fill in the column order of a sparse matrix, given its row order (see `Entries`)."""
    ends = entries.ends
    ends[: columns + 1] = 0
    for e in range(entries.starts[rows]):
        ends[entries.columns[e] + 1] += 1
    for j in range(columns):
        ends[j + 1] += ends[j]
    # `ends` has the starts of columns, and is advanced to their ends while elements are stored.
    for i in range(rows):
        for e in range(entries.starts[i], entries.starts[i + 1]):
            place = ends[entries.columns[e]]
            ends[entries.columns[e]] = place + 1
            entries.rows[place] = i
            entries.order[place] = e


@compiled
def lengths_squared(rows: Rows, count: int, vectors: int, out: int) -> None:
    """Store the squared lengths of ``count`` rows at ``out``; ``count`` is a multiple of four."""
    for i in range(0, count, 4):
        a = rows.base + 4 * i * rows.stride
        b, c, d = a + 4 * rows.stride, a + 8 * rows.stride, a + 12 * rows.stride
        sum_a = sum_b = sum_c = sum_d = splat(0)
        for k in range(0, vectors * LANES, LANES):
            w, x, y, z = load(a, k), load(b, k), load(c, k), load(d, k)
            sum_a = multiply_add(w, w, sum_a)
            sum_b = multiply_add(x, x, sum_b)
            sum_c = multiply_add(y, y, sum_c)
            sum_d = multiply_add(z, z, sum_d)
        store(sum_lanes_of_four(sum_a, sum_b, sum_c, sum_d), out, i)
