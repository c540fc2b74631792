"""Compiled code for CBOW with negative sampling: each input row predicts one word, its center word.

The input row of a center word is the sum or mean of the vectors of the other words in its window.
Its scores are its dot products with the output vectors of the center word and of noise words, which
`SHARED` = 64 consecutive center words (a tile) share.

This module computes the scores with center words, and the gradients of their output vectors and of
the input rows. ``negative_sampling.py`` computes the scores with noise words and the gradients of
noise words, and describes how scores are stored.
"""

from typing import Any

from w2v.engines.compiled.functions import inlined, inner
from w2v.engines.compiled.negative_sampling import Terms, add_terms
from w2v.engines.compiled.rows import Targets, prefetch_targets, put_row
from w2v.engines.compiled.simd import (
    LANES,
    ZERO,
    address,
    load,
    load_address,
    load_each,
    load_float,
    multiply_add,
    multiply_add_each,
    splat,
    store,
    store_apart,
    store_each,
    sum_lanes_of_four,
)
from w2v.engines.compiled.sparse import MAX_VECTORS
from w2v.engines.compiled.structures import I64, MR, Band, Sizes, Tile
from w2v.engines.tiles import SHARED


@inlined
def add_products(x: Any, y: Any, sums: Any) -> Any:
    """For CBOW, add x * x, x * y and y * y of two SIMD vectors to three ``sums``; return these."""
    xx, xy, yy = sums
    return multiply_add(x, x, xx), multiply_add(x, y, xy), multiply_add(y, y, yy)


@inner
def score_centers(sizes: Sizes, outside: I64, norms: int, tile: Tile) -> None:
    """For CBOW with negative sampling, score each center word of a tile with the words around it.

    A tile is 64 consecutive center words. The input row of a center word, in ``tile.C``, is the sum
    or mean of the vectors of the other words in its window. The score is the dot product of the
    input row and the center word's output vector, whose address is in ``outside``. It is written to
    ``tile.scores``. The squared lengths of the input rows are written to ``tile.center_norms``, and
    those of the output vectors to the address ``norms``.
    """
    width, scores, size = sizes.vectors * LANES, address(tile.scores), 4 * sizes.row
    zero = splat(0)
    for i in range(0, SHARED, MR):
        x = address(tile.C) + 4 * i * width
        y0, y1, y2, y3 = outside[i], outside[i + 1], outside[i + 2], outside[i + 3]
        # For each center word, partial sums of x·x, x·y and y·y.
        sums0 = sums1 = sums2 = sums3 = (zero, zero, zero)
        for k in range(0, width, LANES):
            sums0 = add_products(load(x, k), load(y0, k), sums0)
            sums1 = add_products(load(x, width + k), load(y1, k), sums1)
            sums2 = add_products(load(x, 2 * width + k), load(y2, k), sums2)
            sums3 = add_products(load(x, 3 * width + k), load(y3, k), sums3)
        xx = sum_lanes_of_four(sums0[0], sums1[0], sums2[0], sums3[0])
        xy = sum_lanes_of_four(sums0[1], sums1[1], sums2[1], sums3[1])
        yy = sum_lanes_of_four(sums0[2], sums1[2], sums2[2], sums3[2])
        store(xx, address(tile.center_norms), i)
        store(yy, norms, i)
        store_apart(xy, scores + i * size, sizes.row)


@inlined
def own_term(factor: int, row: int, column: int, zero: Any) -> Any:
    """For CBOW, compute a part of a negative gradient that comes from a center word's own score.

    The own score is s = x·y, where x is the center word's input row (the sum or mean of the vectors
    of the other words in its window) and y its output vector. ``factor`` is the address of g, the
    negative derivative of the loss with respect to s. If ``row`` is the address of x, the result is
    a part of g x, the negative gradient for y. If ``row`` is the address of y, the result is a part
    of g y, a term of the negative gradient for x. The part is ``len(zero)`` SIMD vectors, from
    component ``column`` on. ``zero`` is a tuple of SIMD vectors of zeros.
    """
    return multiply_add_each(splat(load_float(factor, 0)), load_each(zero, row, column), zero)


@inlined
def center_block(
    noise: Terms,
    own: int,
    outside: int,
    C: int,
    out: int,
    width: int,
    targets: Targets,
    column: int,
    zero: Any,
) -> None:
    """For CBOW, compute and write some components of the gradients of `MR` = 4 center words.

    The own score of a center word is the dot product of its input row (the sum or mean of the
    vectors of the other words in its window) and its output vector. The negative gradients of the
    four input rows are written to ``out``; those of the four center words' output vectors go to the
    gradient buffer or the model, as ``targets`` says. Of each gradient, ``len(zero)`` SIMD vectors
    are computed, from component ``column`` on. ``zero`` is a tuple of SIMD vectors of zeros.

    Parameters
    ----------
    noise
        The operands of four weighted sums of the noise words' output vectors, one for each input
        row. Each sum is a term of the row's negative gradient.
    own
        The address of the negative derivative of the loss with respect to the first own score. The
        next are ``noise.down`` float32 values apart.
    outside
        The address of an int64 array: the addresses of the four center words' output vectors.
    C, out, width
        The addresses of the first input row and of its negative gradient, and the number of float32
        values in a row. The other rows follow.
    """
    own1, own2, own3 = own + 4 * noise.down, own + 8 * noise.down, own + 12 * noise.down
    tile = (
        own_term(own, load_address(outside, 0), column, zero),
        own_term(own1, load_address(outside, 1), column, zero),
        own_term(own2, load_address(outside, 2), column, zero),
        own_term(own3, load_address(outside, 3), column, zero),
    )
    sums0, sums1, sums2, sums3 = add_terms(noise, width, column, tile)
    store_each(sums0, out, column)
    store_each(sums1, out, column + width)
    store_each(sums2, out, column + 2 * width)
    store_each(sums3, out, column + 3 * width)
    # An output vector is not read any more once it is updated.
    put_row(targets, 0, column, own_term(own, C, column, zero))
    put_row(targets, 1, column, own_term(own1, C + 4 * width, column, zero))
    put_row(targets, 2, column, own_term(own2, C + 8 * width, column, zero))
    put_row(targets, 3, column, own_term(own3, C + 12 * width, column, zero))


@inner
def write_centers(sizes: Sizes, outside: I64, out: int, tile: Tile, own: Band) -> None:
    """For CBOW, compute the gradients of a tile's input rows and center words' output vectors.

    A tile is 64 consecutive center words. Their input rows (each the sum or mean of the vectors of
    the other words in the window) are in ``tile.C``, the addresses of their output vectors in
    ``outside``, and the output vectors of noise words in ``own.N``. ``tile.scores`` must have the
    negative derivatives of the loss with respect to the scores (dot products of input rows and
    output vectors). The negative gradients of the input rows are written to the address ``out``.
    Those of the center words' output vectors go to the gradient buffer or to the model, as ``tile``
    says (`rows.Targets`).
    """
    width, row, zero = sizes.vectors * LANES, sizes.row, splat(0)
    for i in range(0, SHARED, MR):
        factors, n = address(tile.scores) + 4 * i * row, 8 * (SHARED + i)
        noise = Terms(factors + 4, row, 1, sizes.noise, address(own.N), False, False)
        C, dC, rows = address(tile.C) + 4 * i * width, out + 4 * i * width, address(outside) + 8 * i
        targets = Targets(
            address(tile.out) + n, address(tile.old) + n, address(tile.steps) + n // 2
        )
        prefetch_targets(tile, SHARED + i + MR, ZERO, sizes.vectors)
        column, left = ZERO, sizes.vectors
        for blocks in range(-(-sizes.vectors // MAX_VECTORS), 0, -1):
            size = -(-left // blocks)
            if size == 4:
                four = (zero, zero, zero, zero)
                center_block(noise, factors, rows, C, dC, width, targets, column, four)
            elif size == 3:
                three = (zero, zero, zero)
                center_block(noise, factors, rows, C, dC, width, targets, column, three)
            elif size == 2:
                center_block(noise, factors, rows, C, dC, width, targets, column, (zero, zero))
            else:
                center_block(noise, factors, rows, C, dC, width, targets, column, (zero,))
            column += size * LANES
            left -= size
