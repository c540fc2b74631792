"""Compiled code for CBOW with negative sampling: each input row predicts one word, its center word.

The input row of a center word is the sum or mean of the vectors of the other words in its window. A
tile is `SHARED` = 64 consecutive center words, which share noise words. The input row of each
center word is multiplied with the output vector of this word and with those of the tile's noise
words; these dot products are the scores.

This module computes what skip-gram does not have: the scores with the output vectors of center
words, and the gradients of these vectors and of the input rows. ``negative_sampling.py`` computes
the scores with noise words and the gradients of noise words, and describes how the scores of a tile
are stored. `strips.compute_strip` calls both for each tile. It then computes the gradients of the
words in the windows from those of the input rows.
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

    A tile is 64 consecutive center words, which share noise words. The input row of a center word,
    in ``tile.C``, is the sum or mean of the vectors of the other words in its window, and predicts
    the center word. The score is the dot product of the input row and the output vector of the
    center word. The scores are written to ``tile.scores``, and the squared lengths of the input
    rows to ``tile.center_norms``. Later, `negative_sampling.compute_scores` computes the scores
    with noise words.

    Parameters
    ----------
    sizes
        The sizes of the tile and of its vectors.
    outside
        For each center word, the address of its output vector.
    norms
        The address to which the squared lengths of these output vectors are written.
    tile
        The thread's working memory for the tile.
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
    """For CBOW, compute some components of a gradient that comes from a center word's own score.

    With CBOW, each center word has an input row x: the sum or mean of the vectors of the other
    words in its window. Let y be the output vector of the center word, s = x·y their score (the own
    score), and g the negative derivative of the loss with respect to s. `center_block` calls this
    function for two gradients:

    - g y (``row`` is y) is a term of the negative gradient of x.
    - g x (``row`` is x) is the negative gradient of y.

    A block of columns, a few adjacent components, is returned as a tuple of SIMD vectors.

    Parameters
    ----------
    factor, row
        The address of the number g, and that of the row.
    column
        The first column of the block.
    zero
        A tuple of zero SIMD vectors. Its length is the width of the block in SIMD vectors.
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

    Each center word has an input row (the sum or mean of the vectors of the other words in its
    window) and an output vector. Their dot product is the own score of the center word.
    `write_centers` calls this function for each block of columns, a few adjacent components of all
    vectors.

    - The negative gradient of the input row is written to ``out``.
    - That of the output vector is multiplied by a step size and added to the vector in the model,
      if it is the only gradient of this vector in the training step. Otherwise it is written to the
      gradient buffer.

    Parameters
    ----------
    noise
        The operands of a weighted sum for each input row. The sum is the noise words' part of the
        row's negative gradient: the sum of their output vectors, each times the negative derivative
        of the loss with respect to its score. It is computed here.
    own
        The address of the negative derivative of the loss with respect to the own score of the
        first center word. Those of the next center words are ``noise.down`` float32 values apart.
        (The derivatives for the noise words are between them.)
    outside
        The address of an int64 array with the address of each center word's output vector.
    C, out
        The address of the first input row, and of the row to which its negative gradient is
        written. The next rows follow.
    width
        The number of float32 values in one of these rows.
    targets
        For each output vector, the address in the gradient buffer or in the model to write to, and
        the step size (`rows.Targets`).
    column
        The first column of the block.
    zero
        A tuple of zero SIMD vectors. Its length is the width of the block in SIMD vectors.
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

    This is for negative sampling. A tile is 64 consecutive center words, which share noise words.
    The input row of a center word is the sum or mean of the vectors of the other words in its
    window. It is scored with the output vector of the center word, which it predicts, and with
    those of noise words. The negative gradients of the input rows are written to ``out``. Those of
    the center words' output vectors are written to the gradient buffer or, times a step size, added
    to the model. Later, `negative_sampling.compute_gradients` computes the gradients of the noise
    words, and `strips.share_strip` those of the words in the windows.

    Parameters
    ----------
    sizes
        The sizes of the tile and of its vectors.
    outside
        For each center word, the address of its output vector.
    out
        The address to which the gradients of the input rows are written, one after the other.
    tile
        The working memory that holds the input rows, the negative derivatives of the loss with
        respect to the scores, and the addresses to which the gradients of the center words' output
        vectors are written, in the gradient buffer or in the model (`rows.Targets`).
    own
        The working memory that holds the output vectors of the noise words.
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
