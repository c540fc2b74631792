"""Compiled products of sparse matrices with rows, and where their results go.

A sparse matrix is a list of entries for each row. Windows, the parts of words and the scores of
nodes are such matrices. They have a few to a hundred entries a row, so the rows that they choose
are read one at a time; a vector stays in registers while the entries of its row are added.
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
"""Vectors of a row that are summed at a time. Their additions hide each other's latency."""


class Rows(NamedTuple):
    """Rows of float32 numbers: the address of the first, and how many numbers lie between two."""

    base: int
    stride: int


class List(NamedTuple):
    """The addresses of the places of some rows, int32, and of a factor for each, float32."""

    places: int
    factors: int


@inlined
def combine_block(
    entries: List, first: Count, last: Count, rows: Rows, out: int, old: int, step: Any, zero: Any
) -> None:
    """Do what `combine` does, over as many vectors as the tuple ``zero`` has."""
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
    """Write ``old + step * Σ factor row`` over the entries from ``first`` to before ``last``.

    Parameters
    ----------
    vectors
        How many vectors of each row are summed.
    out, old
        The addresses of where the result goes, and of what it is added to.
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
    """Return the address of the row that an entry chooses."""
    return int(rows.base + 4 * np.int64(load_int(places, e)) * rows.stride)


@compiled
def score_row(
    vectors: int, row: int, rows: Rows, places: int, first: Count, last: Count, out: int
) -> None:
    """Multiply a row with the rows that the entries from ``first`` to before ``last`` choose.

    Four entries are scored at a time. Up to three beyond the last one are read and written, too.

    Parameters
    ----------
    row, places, out
        The addresses of the row, of the entries' places, int32, and of their scores.
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
    """Fill in the entries by column, in the order of their rows; see `Entries`."""
    ends = entries.ends
    ends[: columns + 1] = 0
    for e in range(entries.starts[rows]):
        ends[entries.columns[e] + 1] += 1
    for j in range(columns):
        ends[j + 1] += ends[j]
    # What was the start of a column becomes its end while its entries are placed.
    for i in range(rows):
        for e in range(entries.starts[i], entries.starts[i + 1]):
            place = ends[entries.columns[e]]
            ends[entries.columns[e]] = place + 1
            entries.rows[place] = i
            entries.order[place] = e


@compiled
def lengths_squared(rows: Rows, count: int, vectors: int, out: int) -> None:
    """Compute the squared lengths of rows, whose number is a multiple of four."""
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
