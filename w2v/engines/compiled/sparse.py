"""Products of sparse matrices with dense ones, for subwords and for the hierarchical softmax.

- With subwords, the vector of a word is a weighted sum of rows of the input matrix. A sparse matrix
  has the weights. Another one, of transposed shape, has the weights of the words' gradients in the
  gradients of these rows.
- In the hierarchical softmax, the sparse matrix has a row for each center word and a column for
  each tree node. An element is the score of the word and the node (a dot product), or the
  derivative of the loss with respect to the score.

A nonzero element selects a row of the dense matrix. The selected rows are read one at a time, while
their weighted sum stays in vector registers. Four center words with nearly the same tree nodes
share one list of nodes, with four factors for each node, some of them zero.
"""

from typing import Any, NamedTuple, TypeAlias

import numpy as np

from w2v.engines.compiled.functions import inlined, inner
from w2v.engines.compiled.rows import Targets, put_row
from w2v.engines.compiled.simd import (
    LANES,
    ZERO,
    load,
    load_address,
    load_each,
    load_float,
    load_int,
    multiply_add_each,
    splat,
    store,
    store_each,
    sum_lanes_of_four,
)

Count: TypeAlias = int | np.int64

MAX_SUMS = 8
"""When a sum of rows is computed, at most this many of its SIMD vectors are computed at the same
time. These vectors do not depend on each other, so the CPU can begin an addition before the
previous one is finished."""

MAX_VECTORS = 4 if LANES == 16 else 3
"""The most SIMD vectors that a row has in a block of columns, for functions that process four rows
together. Such a function keeps a block of all four rows in registers: 16 vectors with AVX-512,
which has 32 registers, and 12 with AVX2, which has 16. The others hold the other operands."""


class Rows(NamedTuple):
    """The place of a dense float32 matrix in memory, from which functions read selected rows.

    Attributes
    ----------
    base
        The address of the first row.
    stride
        The number of float32 values between the starts of two rows.
    """

    base: int
    stride: int


class List(NamedTuple):
    """Where the nonzero elements of a sparse matrix are in memory: their columns and values.

    In a product with a dense matrix, the column index of an element selects a row of the dense
    matrix. The value is the row's factor.

    Attributes
    ----------
    places
        The address of the column indices, int32.
    factors
        The address of the values, float32: one for each element. Some functions use one list for
        four sparse rows; each column index then has four adjacent values, one for each of these
        rows, some of them possibly 0.
    """

    places: int
    factors: int


@inlined
def combine_block(
    entries: List, first: Count, last: Count, rows: Rows, out: int, old: int, step: Any, zero: Any
) -> None:
    sums = zero
    for e in range(first, last):
        k = np.int64(load_int(entries.places, e)) * rows.stride
        factor = splat(load_float(entries.factors, e))
        sums = multiply_add_each(factor, load_each(zero, rows.base, k), sums)
    store_each(multiply_add_each(step, sums, load_each(zero, old, 0)), out, 0)


@inner
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
    """Add a weighted sum of selected rows to a row: ``old + step * Σ factor * row``.

    With subwords, the vector of a word is a weighted sum of rows. Each of the elements ``first`` to
    ``last - 1`` of ``entries`` selects a row of the matrix ``rows`` and has a factor.

    Parameters
    ----------
    vectors
        The number of SIMD vectors in a row.
    out, old
        The addresses of the result and of the row that the sum is added to; they may be equal.
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
    """Return the address of the row of a matrix that one element of a list selects.

    ``places`` is the address of the list, an int32 array of row numbers. Its element ``e`` is the
    number of the row. ``rows`` is the matrix.
    """
    return int(rows.base + 4 * np.int64(load_int(places, e)) * rows.stride)


@inner
def score_four_rows(
    vectors: int, four: int, rows: Rows, places: int, first: Count, last: Count, out: int
) -> None:
    """Compute the scores of four center words with the tree nodes of a list, as dot products.

    This is for the hierarchical softmax. The elements ``first`` to ``last - 1`` of the list are
    used. If their number is odd, element ``last`` is read, too, and its scores are stored.

    Parameters
    ----------
    vectors
        The number of SIMD vectors that make up one word vector.
    four
        The address of the four input vectors, which are adjacent.
    rows, places
        The matrix of the nodes' vectors, and the address of the list: int32 row numbers.
    out
        The four float32 scores of list element e are written to the address ``out + 16 * e``.
    """
    width, zero = vectors * LANES, splat(0)
    for e in range(first, last, 2):
        y, z = row_address(rows, places, e), row_address(rows, places, e + 1)
        sums0 = sums1 = sums2 = sums3 = (zero, zero)
        for k in range(0, width, LANES):
            both = load(y, k), load(z, k)
            sums0 = multiply_add_each(load(four, k), both, sums0)
            sums1 = multiply_add_each(load(four, width + k), both, sums1)
            sums2 = multiply_add_each(load(four, 2 * width + k), both, sums2)
            sums3 = multiply_add_each(load(four, 3 * width + k), both, sums3)
        store(sum_lanes_of_four(sums0[0], sums1[0], sums2[0], sums3[0]), out, 4 * e)
        store(sum_lanes_of_four(sums0[1], sums1[1], sums2[1], sums3[1]), out, 4 * e + 4)


@inlined
def combine_four_block(
    entries: List, first: Count, last: Count, rows: Rows, column: int, targets: Targets, zero: Any
) -> None:
    sums0 = sums1 = sums2 = sums3 = zero
    G = entries.factors
    for e in range(first, last):
        y = load_each(zero, row_address(rows, entries.places, e), column)
        sums0 = multiply_add_each(splat(load_float(G, 4 * e)), y, sums0)
        sums1 = multiply_add_each(splat(load_float(G, 4 * e + 1)), y, sums1)
        sums2 = multiply_add_each(splat(load_float(G, 4 * e + 2)), y, sums2)
        sums3 = multiply_add_each(splat(load_float(G, 4 * e + 3)), y, sums3)
    put_row(targets, 0, column, sums0)
    put_row(targets, 1, column, sums1)
    put_row(targets, 2, column, sums2)
    put_row(targets, 3, column, sums3)


@inner
def combine_four(
    vectors: int, entries: List, first: Count, last: Count, rows: Rows, targets: Targets
) -> None:
    """Compute the negative gradients of the input vectors of four center words.

    This is for the hierarchical softmax. Each negative gradient is a weighted sum of tree nodes'
    vectors, which are read from the matrix ``rows``. Each of the elements ``first`` to ``last - 1``
    of ``entries`` selects a node, and has a factor for each center word: the negative derivative of
    the loss with respect to the dot product of the word's input vector and the node's vector.
    ``targets`` says where each negative gradient is stored, or which vector it updates.
    ``vectors`` is the number of SIMD vectors that make up one word vector.
    """
    zero, column, left = splat(0), ZERO, vectors
    for blocks in range(-(-vectors // MAX_VECTORS), 0, -1):
        size = -(-left // blocks)
        if size == 4:
            z4 = (zero, zero, zero, zero)
            combine_four_block(entries, first, last, rows, column, targets, z4)
        elif size == 3:
            combine_four_block(entries, first, last, rows, column, targets, (zero, zero, zero))
        elif size == 2:
            combine_four_block(entries, first, last, rows, column, targets, (zero, zero))
        else:
            combine_four_block(entries, first, last, rows, column, targets, (zero,))
        column += size * LANES
        left -= size


@inlined
def spread_four_block(
    entries: List,
    first: Count,
    last: Count,
    four: int,
    width: int,
    rows: int,
    column: int,
    zero: Any,
) -> None:
    x0, x1 = load_each(zero, four, column), load_each(zero, four, width + column)
    x2, x3 = load_each(zero, four, 2 * width + column), load_each(zero, four, 3 * width + column)
    G = entries.factors
    for e in range(first, last):
        place = load_address(rows, np.int64(load_int(entries.places, e)))
        y = load_each(zero, place, column)
        y = multiply_add_each(splat(load_float(G, 4 * e)), x0, y)
        y = multiply_add_each(splat(load_float(G, 4 * e + 1)), x1, y)
        y = multiply_add_each(splat(load_float(G, 4 * e + 2)), x2, y)
        y = multiply_add_each(splat(load_float(G, 4 * e + 3)), x3, y)
        store_each(y, place, column)


@inner
def spread_four(
    vectors: int, entries: List, first: Count, last: Count, four: int, rows: int
) -> None:
    """Add the contributions of four center words to the gradient of each tree node in a list.

    This is for the hierarchical softmax. Each of the elements ``first`` to ``last - 1`` of
    ``entries`` has an index into ``rows``, which selects a row, and four factors. The input vectors
    of the four center words, each times its factor, are added to the row: the node's row in the
    gradient buffer, or its vector in the model.

    Parameters
    ----------
    vectors
        The number of SIMD vectors in a row.
    four
        The address of the four input vectors, which are adjacent.
    rows
        The address of an int64 array with the address of each row.
    """
    zero, width, column, left = splat(0), vectors * LANES, ZERO, vectors
    for blocks in range(-(-vectors // MAX_VECTORS), 0, -1):
        size = -(-left // blocks)
        if size == 4:
            z4 = (zero, zero, zero, zero)
            spread_four_block(entries, first, last, four, width, rows, column, z4)
        elif size == 3:
            spread_four_block(entries, first, last, four, width, rows, column, (zero, zero, zero))
        elif size == 2:
            spread_four_block(entries, first, last, four, width, rows, column, (zero, zero))
        else:
            spread_four_block(entries, first, last, four, width, rows, column, (zero,))
        column += size * LANES
        left -= size
